"""`acervo media`: list files, or get the bytes of one."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils.translation import gettext as _

from acervo.base import ids
from acervo.keep import vault
from acervo.management.command import AcervoCommand, by_command, wait_for
from acervo.models import AuditEntry, Deed, MediaFile


class Command(AcervoCommand):
    help = "List files, newest first, or write the bytes of one to a file."

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB", parser_class=type(parser))
        listing = verbs.add_parser("list", help="List files.")
        listing.add_argument("--workspace")
        listing.add_argument("--limit", type=int, default=50)
        listing.add_argument("--json", action="store_true", help="Print data for machines.")
        getting = verbs.add_parser("get", help="Get one file.")
        getting.add_argument("id")
        getting.add_argument("-o", "--output", required=True, help="`-` writes to standard output.")

    def work(self, options: dict[str, Any]) -> None:
        if options["verb"] == "list":
            return self._list(options)
        return self._get(options)

    def _list(self, options: dict[str, Any]) -> None:
        found = MediaFile.objects.select_related("connection").order_by("-received_at", "-id")
        if options["workspace"]:
            found = found.filter(workspace__name=options["workspace"])
        rows = [facts(media) for media in found[: options["limit"]]]
        lines = [
            f"{row['id']}  {row['kind']:<8}  {row['state']:<9}  {row['size_bytes'] or '-'}" for row in rows
        ]
        self.say(options, rows, "\n".join(lines) or _("There are no files yet."))

    def _get(self, options: dict[str, Any]) -> None:
        media = _find(options["id"])
        if media.stored_at is None:
            raise CommandError(_("This file is not kept: %s.") % (media.refusal or media.state))
        if not media.is_openable:
            raise CommandError(_("Nobody may have this file now: %s.") % media.state)
        AuditEntry.objects.record(
            media.workspace_id, by_command(), [Deed("file.downloaded", "file", media.pk)]
        )
        if options["output"] == "-":
            sys.stdout.buffer.write(wait_for(vault.read_all(media)))
            return
        path = Path(options["output"])
        wait_for(vault.copy_to(media, path))
        self.stdout.write(
            _("%(bytes)d bytes written to %(path)s.") % {"bytes": media.size_bytes, "path": path}
        )


def _find(slug: str) -> MediaFile:
    try:
        return MediaFile.objects.get(pk=ids.parse(slug))
    except (ValueError, MediaFile.DoesNotExist) as error:
        raise CommandError(_("There is no file %s.") % slug) from error


def facts(media: MediaFile) -> dict[str, Any]:
    """No caption, name or number: lists end up in tickets and logs."""
    return {
        "id": media.slug,
        "kind": media.kind,
        "state": media.state,
        "refusal": media.refusal,
        "mime": media.mime or media.announced_mime,
        "size_bytes": media.size_bytes,
        "sha256": media.sha256,
        "provider_id": media.provider_id,
        "duration_s": media.duration_s,
        "received_at": media.received_at.isoformat(),
        "stored_at": media.stored_at.isoformat() if media.stored_at else None,
        "fetch_before": media.fetch_before.isoformat(),
        "attempts": media.attempts,
    }
