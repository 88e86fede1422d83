"""`acervo tick`: what happens by the clock, in a process of its own."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from acervo.management.command import AcervoCommand
from acervo.management.commands.worker import run
from acervo.management.processes import die_with_parent


class Command(AcervoCommand):
    help = "Carry out what the timetable asks for."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--lifeline", type=int, help="A pipe: stop when its other side is gone.")

    def work(self, options: dict[str, Any]) -> None:
        die_with_parent(options["lifeline"])
        run(["tick"], concurrency=1)
