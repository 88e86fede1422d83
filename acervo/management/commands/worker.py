"""`acervo worker`: carries out the jobs of some queues; with `capture` it also reads the journal."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import uvloop
from django.core.management.base import CommandError, CommandParser
from django.db import Error
from procrastinate.contrib.django import app

from acervo import journey
from acervo.base.database import in_thread
from acervo.checks import OURS
from acervo.keep import storage
from acervo.management.command import AcervoCommand
from acervo.management.processes import die_with_parent

log = logging.getLogger(__name__)

QUEUES = ("capture", "tick", "prepare", "deliver", "transcribe", "bulk")
IDLE_S = 0.2
"""Pause of the reader when nothing waits. A poll of an empty partial index costs less than a NOTIFY per webhook."""
AWAY_S = 1.0


class Command(AcervoCommand):
    requires_system_checks = (OURS,)  # Django's own would load every page, here where none is shown
    help = "Carry out jobs. Any number of workers may run, on any number of machines."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--queues", default=",".join(QUEUES), help="Separated by commas: " + ", ".join(QUEUES)
        )
        parser.add_argument("--concurrency", type=int, default=3, help="Jobs side by side.")
        parser.add_argument("--lifeline", type=int, help="A pipe: stop when its other side is gone.")

    def work(self, options: dict[str, Any]) -> None:
        queues = [name.strip() for name in options["queues"].split(",") if name.strip()]
        if unknown := set(queues) - set(QUEUES):
            raise CommandError(
                f"There is no queue {', '.join(sorted(unknown))}. There are: {', '.join(QUEUES)}."
            )
        die_with_parent(options["lifeline"])
        run(queues, options["concurrency"])


def run(queues: list[str], concurrency: int) -> None:
    """Until told to stop by a signal."""
    with app.replace_connector(app.connector.get_worker_connector()):  # type: ignore[attr-defined]
        uvloop.run(_work(queues, concurrency))


async def _work(queues: list[str], concurrency: int) -> None:
    reader = asyncio.create_task(read_forever()) if "capture" in queues else None
    try:
        async with app.open_async():
            await app.run_worker_async(
                queues=queues,
                concurrency=concurrency,
                delete_jobs="successful",
                shutdown_graceful_timeout=10,
                fetch_job_polling_interval=2.0,
                update_heartbeat_interval=5.0,
            )
    finally:
        if reader is not None:
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)
        await storage.configured().settle()


async def read_forever() -> None:
    """Read what the journal holds, as it comes."""
    while True:
        try:
            read = await in_thread(journey.read)
        except Error as error:
            log.warning("reader.database_away", extra={"reason": type(error).__name__})
            await asyncio.sleep(AWAY_S)
            continue
        except Exception:  # a fault of ours is seen, and must not end the reading for good
            log.exception("reader.fault")
            await asyncio.sleep(AWAY_S)
            continue
        if not read:
            await asyncio.sleep(IDLE_S)
