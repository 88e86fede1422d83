"""`python -m bench [NAME …]`: measure against floors, in one run; a table, and bench/results.json."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator

from bench import (
    acceptance,
    backfill,
    capture,
    doors,
    first_byte,
    importing,
    memory,
    preparation,
    ranges,
    results,
    sealing,
    steady,
)
from bench.options import Options
from bench.results import Result

BENCHMARKS: dict[str, Callable[[Options], Iterator[Result]]] = {
    "acceptance": acceptance.run,
    "doors": doors.run,
    "steady": steady.run,
    "capture": capture.run,
    "preparation": preparation.run,
    "memory": memory.run,
    "importing": importing.run,
    "backfill": backfill.run,
    "first_byte": first_byte.run,
    "ranges": ranges.run,
    "sealing": sealing.run,
}


def main() -> None:
    chosen, options = _arguments()
    found: list[Result] = []
    for name in chosen:
        started = time.perf_counter()
        print(f"{name} …", flush=True)
        found += BENCHMARKS[name](options)
        results.write(found)
        print(f"{name} took {time.perf_counter() - started:.0f} s", flush=True)
    print(results.table(found))
    raise SystemExit(any(result.held is False for result in found))


def _arguments() -> tuple[list[str], Options]:
    usual = Options()
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="The same as NAME.")
    parser.add_argument("--rounds", type=int, default=usual.rounds, help="Of each side, in turn.")
    parser.add_argument("--scale", type=float, default=usual.scale, help="Of numbers and durations.")
    given = parser.parse_args()
    chosen = [*given.names, *given.only] or list(BENCHMARKS)
    if unknown := set(chosen) - set(BENCHMARKS):
        parser.error(
            f"There is no benchmark {', '.join(sorted(unknown))}. There are: {', '.join(BENCHMARKS)}."
        )
    return chosen, Options(rounds=given.rounds, scale=given.scale)


if __name__ == "__main__":
    main()
