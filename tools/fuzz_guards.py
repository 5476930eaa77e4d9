"""Ask the guards of random loops, and look at what they stand for: `--programs N --seed S`.

Where `fuzz_engines.py --loops` compares what compiled loops do, this tool compiles nothing: guards
are worked out in numbers while the interpreter runs the program (`tests/loop_guards.py`).  It tries
many more programs, and guards are given just what they demand.  Exits with 1 at the first guard
that holds although an access that it stands for leaves its region, or the fuel does not suffice.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from fuzzing import fuzz
from loop_guards import Case, Tally


def main() -> None:
    """Check the programs."""
    tally = Tally()
    fuzz(
        __doc__,
        lambda seed: Case.of(seed).check(tally),
        lambda: (
            f"{tally.programs} programs, {tally.loops} loops with guards: {tally.held} of "
            f"{tally.asked} guards held, {tally.accesses} accesses and "
            f"{tally.payments} fuel points proved"
        ),
    )


if __name__ == "__main__":
    main()
