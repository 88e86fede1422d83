"""`acervo verify`: every kept object read back and compared with its hash."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils.translation import gettext as _

from acervo.govern.integrity import verify
from acervo.management.command import AcervoCommand, wait_for


class Command(AcervoCommand):
    help = "Read every kept object back and compare it with its hash; exit code 1 when one is missing or damaged."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--limit", type=int, help="Only so many originals and renditions.")

    def work(self, options: dict[str, Any]) -> None:
        verdict = wait_for(verify(options["limit"]))
        words = _("%(whole)d whole, %(erased)d erased, %(missing)d missing, %(damaged)d damaged.") % asdict(
            verdict
        )
        self.say(options, asdict(verdict), "\n".join([words, *verdict.ill]))
        if verdict.ill:
            raise CommandError(
                _("Some bytes are not what they were. Restore them from a backup of the store.")
            )
