"""`acervo scan`: files that people have already, shown to the malware scanner; or held ones let through without it."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.core.management.base import CommandError, CommandParser
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from acervo import journey
from acervo.base import clock
from acervo.base.database import in_thread
from acervo.management.command import AcervoCommand, by_command, wait_for
from acervo.models import AuditEntry, Deed, MediaFile
from acervo.prepare import scan
from acervo.prepare.clamd import ScannerAway
from acervo.prepare.scan import Verdict

BATCH = 200


class Command(AcervoCommand):
    help = (
        "Scan kept files for malware. They stay open to people meanwhile; what is found infected goes into quarantine. "
        "The rows remember what was scanned: interrupted and started again, it goes on. New files need no command: "
        "where ACERVO_CLAMD is set, they are scanned before anybody has them."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        which = parser.add_mutually_exclusive_group(required=True)
        which.add_argument("--unscanned", action="store_true", help="Files that were never scanned.")
        which.add_argument(
            "--all",
            action="store_true",
            help="Also what was scanned before, with the signatures of today. Begins anew each time.",
        )
        which.add_argument(
            "--older-than-days",
            type=int,
            metavar="N",
            help="What was never scanned, or N days ago and longer.",
        )
        which.add_argument(
            "--waive",
            metavar="REASON",
            help="Scan nothing: let every held file through unscanned, e.g. after the scanner was given up.",
        )
        parser.add_argument("--limit", type=int, help="At most so many files.")
        parser.add_argument("--concurrency", type=int, default=2, help="Files side by side (2).")

    def work(self, options: dict[str, Any]) -> None:
        if options["waive"] is not None:
            self._waive(options)
        else:
            self._scan(options)

    def _scan(self, options: dict[str, Any]) -> None:
        if scan.scanner() is None:
            raise CommandError(_("No scanner is set. Name one in ACERVO_CLAMD."))
        found: Counter[tuple[UUID, Verdict]] = Counter()
        try:
            wait_for(_scan_all(_chosen(options), options["limit"], options["concurrency"], found))
        finally:  # however it ended, what was done is written down
            _record(found)
        counts = {verdict.value: _sum(found, verdict) for verdict in Verdict}
        words = _("%(clean)d clean, %(infected)d in quarantine now, %(undecided)d could not be scanned.")
        self.say(options, counts, words % counts)

    def _waive(self, options: dict[str, Any]) -> None:
        let_through = 0
        held = MediaFile.objects.awaiting_scan().order_by("pk")
        while pks := list(held.values_list("pk", flat=True)[:BATCH]):
            let_through += journey.waive_scans(pks, by_command(), options["waive"])
        self.say(
            options, {"waived": let_through}, _("%d held files were let through unscanned.") % let_through
        )


def _chosen(options: dict[str, Any]) -> QuerySet[MediaFile]:
    files = scan.open_files()
    if options["unscanned"]:
        return files.filter(scanned_at=None)
    age = timedelta(days=options["older_than_days"] or 0)
    return files.filter(Q(scanned_at=None) | Q(scanned_at__lt=clock.now() - age))


async def _scan_all(
    chosen: QuerySet[MediaFile],
    limit: int | None,
    concurrency: int,
    found: Counter[tuple[UUID, Verdict]],
) -> None:
    """Newest first, for those are opened most; by id, so that what could not be scanned is not met again."""
    room, last = asyncio.Semaphore(max(1, concurrency)), None

    async def one(pk: UUID, workspace_id: UUID) -> None:
        async with room:
            if verdict := await scan.rescan(pk):
                found[workspace_id, verdict] += 1

    while limit is None or limit > 0:
        page = await in_thread(_page, chosen, last, BATCH if limit is None else min(limit, BATCH))
        if not page:
            return
        try:
            async with asyncio.TaskGroup() as together:
                for pk, workspace_id in page:
                    together.create_task(one(pk, workspace_id))
        except (
            ExceptionGroup
        ) as failed:  # what `except*` raises anew comes wrapped from Python 3.11.2, Debian 12's
            _away, others = failed.split(ScannerAway)
            if others:
                raise
            raise ScannerAway() from None
        last = page[-1][0]
        limit = None if limit is None else limit - len(page)


def _page(files: QuerySet[MediaFile], last: UUID | None, size: int) -> list[tuple[UUID, UUID]]:
    older = files if last is None else files.filter(pk__lt=last)
    return list(older.order_by("-pk").values_list("pk", "workspace_id")[:size])


def _sum(found: Counter[tuple[UUID, Verdict]], verdict: Verdict) -> int:
    return sum(count for (_workspace, of), count in found.items() if of == verdict)


def _record(found: Counter[tuple[UUID, Verdict]]) -> None:
    by_workspace: dict[UUID, dict[str, int]] = {}
    for (workspace_id, verdict), count in found.items():
        by_workspace.setdefault(workspace_id, {})[verdict.value] = count
    for workspace_id, counts in sorted(by_workspace.items()):
        with transaction.atomic():
            deed = Deed("workspace.scanned", "workspace", workspace_id, "", dict(counts))
            AuditEntry.objects.record(workspace_id, by_command(), [deed])
