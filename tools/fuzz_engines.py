"""Compare both engines on random programs: `tools/fuzz_engines.py --programs N --seed S`.

Each chunk of programs is compiled as one module and runs in a child process, so that a crash is a
finding with its seeds.  `--whole` compiles each program as users do, and tries every way in;
`--maps` is for programs over maps, moving packets and tail calls, `--callbacks` for `bpf_loop`;
`--loops` and `--nests` take programs that are all loops, each once as users run it and once in code
that checks what the guards of loops stand for; `tools/fuzz_guards.py` asks the guards themselves.
"""

import argparse
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parent.parent / "tests"
CHUNK = 400
PACKED = """
import sys
from agreement import Case
from packing import pack
first, last = map(int, sys.argv[1:3])
for begin in range(first, last, 20):
    cases = [Case.of(seed) for seed in range(begin, min(begin + 20, last))]
    for case, jit in zip(cases, pack(cases), strict=True):
        case.check(jit)
"""
LOOPS = """
import sys
from agreement import Case
from packing import pack
first, last = map(int, sys.argv[1:3])
for begin in range(first, last, 10):
    seeds = range(begin, min(begin + 10, last))
    make = Case.of_nests if "nests" in sys.argv else Case.of_loops
    cases = [make(seed, paranoid=p) for seed in seeds for p in (False, True)]
    level = 2 if begin // 10 % 4 == 0 else 0  # the guards are the same, and LLVM takes its time
    for case, jit in zip(cases, pack(cases, level=level, codegen=level), strict=True):
        case.check(jit)
"""
WHOLE = """
import sys
from agreement import Case
for seed in range(*map(int, sys.argv[1:3])):
    loops = "loops" in sys.argv
    case = Case.of_loops(seed, paranoid=False) if loops else Case.of(seed)
    case.check(), case.check_slices(), case.check_entries()
"""

MAPS = """
import sys
from map_programs import Case
first, last, _ = sys.argv[1:]
for seed in range(int(first), int(last)):
    case = Case(seed)
    case.check()
    case.check_ways_in()
"""

CALLBACKS = """
import sys
from callback_programs import check
for seed in range(*map(int, sys.argv[1:3])):
    check(seed)
"""


def main() -> None:
    """Run the chunks; exit with 1 at the first difference."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--programs", type=int, default=1000)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--whole", action="store_true")
    options.add_argument("--loops", action="store_true")
    options.add_argument("--nests", action="store_true")
    options.add_argument("--maps", action="store_true")
    options.add_argument("--callbacks", action="store_true")
    given = options.parse_args()
    chosen = {"whole": WHOLE, "loops": LOOPS, "nests": LOOPS, "maps": MAPS, "callbacks": CALLBACKS}
    script = next((text for name, text in chosen.items() if getattr(given, name)), PACKED)
    kind = next((name for name in ("loops", "nests") if getattr(given, name)), "all")
    for first in range(given.seed, given.seed + given.programs, CHUNK):
        last = min(first + CHUNK, given.seed + given.programs)
        done = subprocess.run(
            [sys.executable, "-c", script, str(first), str(last), kind],
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
