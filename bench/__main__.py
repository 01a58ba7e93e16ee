"""Measure, and print one table: `python -m bench [--quick] [part …]`."""

import argparse
import os
import platform
import sys
import time
from importlib import import_module

from bench.table import Row, shown

PARTS = ("record", "contention", "request", "shipping", "memory", "sizes", "pages")


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="part", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--quick", action="store_true", help="a few minutes: fewer, rougher rounds")
    options = parser.parse_args()
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    rows: list[Row] = []
    for part in options.parts or PARTS:
        began = time.monotonic()
        print(f"{part} …", end=" ", flush=True, file=sys.stderr)
        rows += import_module(f"bench.{part}").run(quick=options.quick)
        print(f"{time.monotonic() - began:.0f} s", file=sys.stderr)
    cores = os.cpu_count()
    print(f"\nPython {platform.python_version()}, {platform.machine()}, {cores} cores, ", end="")
    print(f"{time.strftime('%Y-%m-%d')}{', quick' if options.quick else ''}\n")
    print(shown(rows))
    missed = sum(row.met is False for row in rows)
    print(f"\n{missed} bars missed." if missed else "\nEvery bar is met.")


if __name__ == "__main__":
    main()
