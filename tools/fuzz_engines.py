"""Compare both engines on random programs: `tools/fuzz_engines.py [--programs N] [--seed S]`.

Each chunk of programs runs in a child process, so that a crash is a finding with its seeds.
"""

import argparse
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parent.parent / "tests"
CHUNK = 100
SCRIPT = (
    "import sys; from agreement import check; [check(s) for s in range(*map(int, sys.argv[1:]))]"
)


def main() -> None:
    """Run the chunks; exit with 1 at the first difference."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--programs", type=int, default=1000)
    options.add_argument("--seed", type=int, default=0)
    given = options.parse_args()
    for first in range(given.seed, given.seed + given.programs, CHUNK):
        last = min(first + CHUNK, given.seed + given.programs)
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, str(first), str(last)],
            cwd=TESTS,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            print(done.stderr[-6000:])
            print(f"seeds {first} to {last}: exit {done.returncode}")
            raise SystemExit(1)
    print(f"{given.programs} programs from seed {given.seed}: no difference")


if __name__ == "__main__":
    main()
