"""`acervo doctor`: every part tried for real, each line with its cure."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import timedelta
from functools import partial
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError
from django.db import Error, connection
from django.utils.translation import gettext as _

from acervo.base import clock, ids
from acervo.base.errors import AcervoError
from acervo.base.http import crm_client, media_session
from acervo.crms.contract import CrmError
from acervo.keep import credentials, storage
from acervo.management.command import AcervoCommand, wait_for
from acervo.models import Connection, Purpose, Workspace
from acervo.prepare import isolation, scan
from acervo.prepare.clamd import Scanner
from acervo.prepare.isolation import MIB

TOOL_TIMEOUT_S = 20
CLOCK_TOLERANCE = timedelta(seconds=30)
SIGNATURES_LIVE = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Finding:
    part: str
    is_well: bool
    says: str
    cure: str = ""


class Command(AcervoCommand):
    help = "Check database, storage, tools, isolation, scanner, clock, keys and every connection. Exit code 1 when one is not well."

    def work(self, options: dict[str, Any]) -> None:
        findings = list(examine())
        self.say(options, [asdict(finding) for finding in findings], "\n".join(map(_line, findings)))
        if not all(finding.is_well for finding in findings):
            raise CommandError(_("Something is not well; the lines above say what to do."))


def examine() -> Iterator[Finding]:
    """Each part in turn; a part that fails hides none after it, but connections need the database."""
    database = _tried("database", _database, _("Start PostgreSQL, or correct DATABASE_URL."))
    yield database
    yield _tried("storage", _storage, _("Correct ACERVO_STORAGE_URL and the store's own credentials."))
    for name, program in (("ffmpeg", settings.ACERVO_FFMPEG), ("ffprobe", settings.ACERVO_FFPROBE)):
        yield _tried(
            name,
            partial(_tool, program),
            _("Install ffmpeg, or name it in ACERVO_FFMPEG and ACERVO_FFPROBE."),
        )
    yield _isolation()
    yield from _scanner()
    if database.is_well:
        yield _tried("clock", _clock, _("Synchronise this machine's clock (NTP)."))
        yield _tried(
            "keys", _keys, _("Restore ACERVO_MASTER_KEY, or the file keys/master of the data folder.")
        )
        yield from _connections()


def _line(finding: Finding) -> str:
    mark = "ok   " if finding.is_well else "WRONG"
    cure = f"\n      → {finding.cure}" if not finding.is_well and finding.cure else ""
    return f"{mark} {finding.part}: {finding.says}{cure}"


def _tried(part: str, examination: Callable[[], str], cure: str) -> Finding:
    try:
        return Finding(part, True, examination())
    except (AcervoError, CrmError, Error, OSError, subprocess.SubprocessError) as error:
        says = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        return Finding(part, False, says, cure)


def _database() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SHOW server_version")
        (version,) = cursor.fetchone()
    place = _("embedded") if settings.EMBEDDED is not None else _("external")
    return f"PostgreSQL {version}, {place}"


def _storage() -> str:
    async def write_read_delete() -> None:
        store, key, body = storage.configured(), f"doctor/{ids.text(ids.new())}", b"acervo"
        await store.put(key, body)
        try:
            if await store.get_range(key, 0, len(body)) != body:
                raise storage.StorageAway("What was written is not what was read.")
        finally:
            await store.delete([key])

    wait_for(write_read_delete())
    return _("written, read and deleted (%s)") % settings.ACERVO_STORAGE_URL.split(":")[0]


def _tool(program: str) -> str:
    path = shutil.which(program)
    if path is None:
        raise FileNotFoundError(_("%s is not installed") % program)
    answer = subprocess.run([path, "-version"], capture_output=True, timeout=TOOL_TIMEOUT_S, check=True)
    return answer.stdout.decode(errors="replace").split("\n")[0][:60]


def _isolation() -> Finding:
    active = isolation.active()
    is_well = active.landlock_abi > 0 or settings.ACERVO_ISOLATION != "required"
    words = _("Landlock %d and limits") % active.landlock_abi if active.landlock_abi else _("limits only")
    return Finding(
        "isolation", is_well, words, _("Use a Linux kernel of 5.13 or newer with Landlock switched on.")
    )


def _scanner() -> Iterator[Finding]:
    """Whether it answers, takes the largest file we fetch, and knows what is new."""
    scanner = scan.scanner()
    if scanner is None:
        yield Finding("scanner", True, _("off: files are not scanned for malware"))
        return
    answers = _tried(
        "scanner",
        partial(_engine, scanner),
        _("Start clamd, or correct ACERVO_CLAMD. Files are held until then."),
    )
    yield answers
    if answers.is_well:
        yield _tried(
            "scanner size",
            partial(_takes_the_largest, scanner),
            _("Raise StreamMaxLength, MaxFileSize and MaxScanSize in clamd.conf above ACERVO_MAX_FILE_MB."),
        )
        yield _tried("scanner signatures", partial(_signatures, scanner), _("Look after freshclam."))


def _engine(scanner: Scanner) -> str:
    return wait_for(scanner.engine()).name


def _takes_the_largest(scanner: Scanner) -> str:
    infection = wait_for(scanner.infection(_zeros(settings.ACERVO_MAX_FILE_BYTES)))
    if infection is not None:
        raise OSError(_("it takes harmless bytes of the largest size for %s") % infection)
    return _("takes files of %d MB") % (settings.ACERVO_MAX_FILE_BYTES // MIB)


async def _zeros(size_bytes: int) -> AsyncIterator[bytes]:
    piece = bytes(MIB)
    for start in range(0, size_bytes, MIB):
        yield piece[: size_bytes - start]


def _signatures(scanner: Scanner) -> str:
    engine = wait_for(scanner.engine())
    if engine.signatures_at is None:
        return _("a database of your own, without a date")
    age = clock.now() - engine.signatures_at
    if age > SIGNATURES_LIVE:
        raise OSError(_("the signatures are %d days old") % age.days)
    return _("number %(number)d, %(days)d days old") % {
        "number": engine.signatures or 0,
        "days": max(age.days, 0),
    }


def _clock() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT now()")
        (theirs,) = cursor.fetchone()
    drift = abs(clock.now() - theirs)
    if drift > CLOCK_TOLERANCE:
        raise OSError(_("%d seconds away from the database's clock") % drift.total_seconds())
    return _("agrees with the database")


def _keys() -> str:
    needed = set(Workspace.objects.exclude(master_key_id=None).values_list("master_key_id", flat=True))
    if needed - {settings.ACERVO_MASTER_KEY_ID}:
        raise OSError(_("files were sealed under another master key than the one at hand"))
    return _("the master key fits")


def _connections() -> Iterator[Finding]:
    for row in Connection.objects.filter(removed_at=None).order_by("created_at"):
        check = _provider_is_alive if row.purpose == Purpose.PROVIDER else _crm_is_alive
        yield _tried(
            f"{row.kind} {ids.text(row.pk)}",
            partial(check, row),
            _("Reconnect it under Integrations."),
        )


def _provider_is_alive(row: Connection) -> str:
    async def ask() -> str:
        async with media_session(settings.ACERVO_ALLOW_PRIVATE_HOSTS, limit=1) as session:
            health = await credentials.provider(row).check(session)
        if not health.is_alive:
            raise OSError(f"{health.code} {health.detail}".strip())
        return _("answers")

    return wait_for(ask())


def _crm_is_alive(row: Connection) -> str:
    async def ask() -> str:
        async with crm_client(settings.ACERVO_ALLOW_PRIVATE_HOSTS, timeout_s=TOOL_TIMEOUT_S) as http:
            return (await credentials.connector(row, http).check()).account_id

    return _("answers, account %s") % wait_for(ask())
