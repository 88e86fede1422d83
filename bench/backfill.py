"""10,000 earlier files of 2,000 people written to each simulated CRM by a worker that is killed twice: calls a file."""

from __future__ import annotations

from collections.abc import Iterator

from bench.options import Options
from bench.results import Result, reported, within
from tests.backfill import FILES, PEOPLE, VENDORS, backfilled

MOST_CALLS_A_FILE = 1.2


def run(options: Options) -> Iterator[Result]:
    for kind in VENDORS:
        found = backfilled(kind, files=options.count(FILES), people=options.count(PEOPLE))
        if (found.records, found.doubled, found.contacts) != (found.files, 0, found.people):
            raise AssertionError(f"Not every file is there once: {found}.")
        yield within(
            f"backfill to {kind}, calls a file", found.calls_a_file, "calls", at_most=MOST_CALLS_A_FILE
        )
        yield reported(
            f"backfill to {kind}, calls against the estimate", found.calls, "calls", found.expected_calls
        )
        yield reported(f"backfill to {kind}, files", 60 * found.files / found.seconds, "files/min")
