"""`acervo receipts`: webhooks as they arrived; those we could not read, and reading them again."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils.translation import gettext as _

from acervo import journey
from acervo.base import ids
from acervo.management.command import AcervoCommand, by_command
from acervo.models import Receipt


class Command(AcervoCommand):
    help = "List webhooks with parts we could not read, or read receipts again."

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB", parser_class=type(parser))
        for name, words in (("list", "List what could not be read."), ("replay", "Read receipts again.")):
            verb = verbs.add_parser(name, help=words)
            verb.add_argument("--json", action="store_true", help="Print data for machines.")
        verbs.choices["replay"].add_argument(
            "ids", nargs="*", metavar="ID", help="None: all that were not fully read."
        )
        verbs.choices["replay"].add_argument("--all", action="store_true", help="Every receipt there is.")

    def work(self, options: dict[str, Any]) -> None:
        if options["verb"] == "list":
            return self._list(options)
        return self._replay(options)

    def _list(self, options: dict[str, Any]) -> None:
        rows = [
            {"id": str(row), "received_at": row.received_at.isoformat(), "unread": row.unread}
            for row in Receipt.objects.unread().order_by("-id")[:500]
        ]
        lines = [f"{row['id']}  {part['type']}: {part['reason']}" for row in rows for part in row["unread"]]
        self.say(options, rows, "\n".join(lines) or _("Every receipt could be read."))

    def _replay(self, options: dict[str, Any]) -> None:
        found = Receipt.objects.filter(read_at__isnull=False) if options["all"] else Receipt.objects.unread()
        if options["ids"]:
            try:
                found = Receipt.objects.filter(pk__in=[ids.parse(text) for text in options["ids"]])
            except ValueError as error:
                raise CommandError(_("That is not the id of a receipt.")) from error
        count = journey.replay_receipts(list(found.values_list("pk", flat=True)), by=by_command())
        self.say(options, {"replayed": count}, _("%d receipts will be read again.") % count)
