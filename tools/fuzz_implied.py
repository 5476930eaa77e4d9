"""Run random programs on packets of all lengths: `--programs N --seed S`.

Of accesses that need no check (`drybpf.jit.implied`), each one that is run must lie in the packet.
Nothing is compiled (`tests/packet_paths.py`).  Exits with 1 at the first that does not.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from fuzzing import fuzz
from packet_paths import Case, Tally


def main() -> None:
    """Check the programs."""
    tally = Tally()
    fuzz(
        __doc__,
        lambda seed: Case(seed).check(tally),
        lambda: (
            f"{tally.programs} programs, {tally.proved} of {tally.accesses} accesses need no "
            f"check, {tally.looked} runs of them looked at"
        ),
    )


if __name__ == "__main__":
    main()
