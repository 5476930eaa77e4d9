"""Ask the guards of random loops, and look at what they stand for: `--programs N --seed S`.

Where `fuzz_engines.py --loops` compares what compiled loops do, this tool compiles nothing: guards
are worked out in numbers while the interpreter runs the program (`tests/loop_guards.py`).  It tries
many more programs, and guards are given just what they demand.  Exits with 1 at the first guard
that holds although an access that it stands for leaves its region, or the fuel does not suffice.
"""

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from loop_guards import Case, Tally


def main() -> None:
    """Check the programs."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--programs", type=int, default=1000)
    options.add_argument("--seed", type=int, default=0)
    given = options.parse_args()
    tally, begin, wrong = Tally(), time.monotonic(), ""
    for seed in range(given.seed, given.seed + given.programs):
        wrong = Case.of(seed).check(tally)
        if wrong:
            print(wrong)
            break
    print(
        f"{tally.programs} programs from seed {given.seed}, {tally.loops} loops with guards: "
        f"{tally.held} of {tally.asked} guards held, {tally.accesses} accesses and "
        f"{tally.payments} fuel points proved, in {time.monotonic() - begin:.0f} s"
    )
    print("one is wrong" if wrong else "none is wrong")
    raise SystemExit(bool(wrong))


if __name__ == "__main__":
    main()
