"""The command line of the fuzzers that compile nothing: `--programs N --seed S`."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable


def fuzz(description: str | None, check: Callable[[int], str], told: Callable[[], str]) -> None:
    """Check the programs of so many seeds, to the first that is wrong; then end the process.

    `check` gives what is wrong with one, empty if nothing is; `told` says what has been looked at.
    """
    options = argparse.ArgumentParser(description=description)
    options.add_argument("--programs", type=int, default=1000)
    options.add_argument("--seed", type=int, default=0)
    given = options.parse_args()
    begin, wrong = time.monotonic(), ""
    for seed in range(given.seed, given.seed + given.programs):
        wrong = check(seed)
        if wrong:
            print(wrong)
            break
    print(f"from seed {given.seed}: {told()}, in {time.monotonic() - begin:.0f} s")
    print("one is wrong" if wrong else "none is wrong")
    raise SystemExit(bool(wrong))
