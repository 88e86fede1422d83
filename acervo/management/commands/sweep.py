"""`acervo sweep`: objects in the store that no row came to own."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from django.core.management.base import CommandParser
from django.utils.translation import gettext as _

from acervo.keep import sweeper
from acervo.management.command import AcervoCommand, wait_for


class Command(AcervoCommand):
    help = "Find objects without a file, left by processes that died, and delete them."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--older-than-hours", type=float, default=sweeper.OLDER_THAN_HOURS)
        parser.add_argument("--dry-run", action="store_true", help="Only count.")
        parser.add_argument("--sure", action="store_true", help="Delete even suspiciously many.")

    def work(self, options: dict[str, Any]) -> None:
        swept = wait_for(
            sweeper.sweep(
                older_than_hours=options["older_than_hours"],
                dry_run=options["dry_run"],
                is_sure=options["sure"],
            )
        )
        text = _("%(seen)d objects seen, %(orphans)d without a file, %(deleted)d deleted.") % asdict(swept)
        self.say(options, asdict(swept), text)
