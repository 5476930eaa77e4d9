"""Compare maps with the kernel's on random programs: `tools/fuzz_maps.py --programs N --seed S`.

Each program calls helpers of maps of every type that the kernel lets test programs use; it runs in
the kernel, interpreted and compiled.  Needs bpf(2), so root or CAP_BPF.
"""

import argparse
import sys
from pathlib import Path

TESTS = Path(__file__).parent.parent / "tests"


def main() -> int:
    """Run; 1 where something differs, 2 where the kernel is not at hand."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--programs", type=int, default=200, help="how many")
    parser.add_argument("--seed", type=int, default=0, help="of the first one")
    options = parser.parse_args()
    sys.path.insert(0, str(TESTS))
    from drybpf.kernel import objection  # noqa: PLC0415 (of the tests' path)
    from map_fuzz import compare  # noqa: PLC0415 (as above)

    if reason := objection():
        print(reason, file=sys.stderr)
        return 2
    differ = 0
    for seed in range(options.seed, options.seed + options.programs):
        if difference := compare(seed):
            differ += 1
            print(f"seed {seed}: {difference}", flush=True)
    print(f"{options.programs} programs, {differ} differ")
    return int(differ > 0)


if __name__ == "__main__":
    sys.exit(main())
