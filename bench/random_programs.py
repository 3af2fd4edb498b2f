"""Random programs on NumPy and JAX: do values, gradients and JVPs agree?

``python bench/random_programs.py --count 5000`` prints the first programs that fail, shrunk, as code to run; then how
many ran, how many failed and how long it took.
"""

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from support import programs  # noqa: E402
from zkynet import backends  # noqa: E402


def main() -> int:
    """Run the programs of a range of seeds; the exit status is 1 where one fails."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=1000, help="how many programs (default 1000)")
    parser.add_argument("--first", type=int, default=0, help="the first seed (default 0)")
    parser.add_argument("--backends", default="numpy,jax", help="names with commas between (default numpy,jax)")
    parser.add_argument("--show", type=int, default=5, help="how many failing programs to print (default 5)")
    asked = parser.parse_args()
    names = [backends.get(name) for name in asked.backends.split(",")]
    start, lines, failed = time.perf_counter(), 0, []
    for seed in range(asked.first, asked.first + asked.count):
        program = programs.generate(seed)
        lines += len(program.lines)
        if programs.disagreement(program, names):
            failed.append(seed)
            if len(failed) <= asked.show:
                print(programs.report(program, names), flush=True)
        if (seed + 1 - asked.first) % 1000 == 0:
            print(f"{seed + 1 - asked.first} programs, {len(failed)} failed", flush=True)
    seconds = time.perf_counter() - start
    print(f"{asked.count} programs of {lines} lines on {asked.backends}: {len(failed)} failed, {seconds:.0f} s")
    if failed:
        print("failing seeds:", *failed)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
