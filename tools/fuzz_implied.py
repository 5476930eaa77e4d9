"""Run random programs on packets of all lengths: `--programs N --seed S`.

Of accesses that need no check (`drybpf.jit.implied`), each one that is run must lie in the packet.
Nothing is compiled (`tests/packet_paths.py`).  Exits with 1 at the first that does not.
"""

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from packet_paths import Case, Tally


def main() -> None:
    """Check the programs."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--programs", type=int, default=1000)
    options.add_argument("--seed", type=int, default=0)
    given = options.parse_args()
    tally, begin, wrong = Tally(), time.monotonic(), ""
    for seed in range(given.seed, given.seed + given.programs):
        wrong = Case(seed).check(tally)
        if wrong:
            print(wrong)
            break
    print(
        f"{tally.programs} programs from seed {given.seed}: {tally.proved} of {tally.accesses} "
        f"accesses need no check, {tally.looked} runs of them looked at, "
        f"in {time.monotonic() - begin:.0f} s"
    )
    print("one is wrong" if wrong else "none is wrong")
    raise SystemExit(bool(wrong))


if __name__ == "__main__":
    main()
