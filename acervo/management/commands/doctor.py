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

from acervo import providers
from acervo.base import clock, ids
from acervo.base.errors import AcervoError
from acervo.crms.contract import CrmError
from acervo.govern import concerns, liveness, probes
from acervo.govern.concerns import Weight
from acervo.keep import storage
from acervo.management.command import AcervoCommand, by_command, wait_for
from acervo.models import Connection, Purpose, Workspace
from acervo.prepare import isolation, scan
from acervo.prepare.clamd import Scanner
from acervo.prepare.isolation import MIB
from acervo.web.concern_words import said
from acervo.web.health_words import facts, way_in
from acervo.web.words import crm_refusal, refusal

TOOL_TIMEOUT_S = 20
FACTS_SAID = 4
SAID_ALREADY = frozenset({"access_lost", "not_answering", "way_in_closed"})
"""Concerns that the doctor has just tried for itself."""
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
        yield _tried("clock", _clock, _clock_cure())
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


def _clock_cure() -> str:
    """Where signatures live for a minute, as MessageBird's do, a wrong clock loses webhooks."""
    cure = _("Synchronise this machine's clock (NTP).")
    names = {
        providers.get(row.kind).name for row in Connection.objects.live().providers() if _counts_seconds(row)
    }
    if not names:
        return cure
    also = _("Webhooks of %(names)s are refused while it is wrong: their signatures are good for one minute.")
    return f"{cure} {also % {'names': ', '.join(sorted(names))}}"


def _counts_seconds(row: Connection) -> bool:
    return providers.get(row.kind).capabilities.signature_life is not None


def _keys() -> str:
    needed = set(Workspace.objects.exclude(master_key_id=None).values_list("master_key_id", flat=True))
    if needed - {settings.ACERVO_MASTER_KEY_ID}:
        raise OSError(_("files were sealed under another master key than the one at hand"))
    return _("the master key fits")


def _connections() -> Iterator[Finding]:
    """Each is asked whether it is well and, where we can knock like its provider, tried from outside; then whatever else
    is known to be wrong with it."""
    rows = list(Connection.objects.filter(removed_at=None).select_related("workspace").order_by("created_at"))
    for row in rows:
        part = f"{row.kind} {ids.text(row.pk)}"
        yield _tried(part, partial(_is_well, row), _("Reconnect it under Integrations."))
        if probes.can_probe(row) and settings.ACERVO_PROBE:
            yield _way_in(row, part)
        for concern in concerns.of([row], row.workspace.time_zone)[row.pk]:
            if concern.code not in SAID_ALREADY:
                told = said(concern, row)
                yield Finding(part, concern.weight == Weight.NOTE, told.title, told.text)


def _is_well(row: Connection) -> str:
    wait_for(liveness.check(row, by_command()))
    row.refresh_from_db()
    if row.check_code != liveness.OK:
        code = row.check_code
        raise OSError(crm_refusal(code) if row.purpose == Purpose.CRM else refusal(code))
    told = [f"{label} {value}" for _name, label, value in facts(row.check_facts)]
    return ", ".join([_("answers"), *told[:FACTS_SAID]])


def _way_in(row: Connection, part: str) -> Finding:
    tried = wait_for(probes.probe(row, by_command()))
    if tried is None:
        return Finding(f"{part} way in", True, _("is being tried by somebody else just now"))
    is_well = tried.code == probes.OK
    cure = "" if is_well else _signature_cure(row, str(tried.code))
    return Finding(f"{part} way in", is_well, str(way_in(tried.code)), cure)


def _signature_cure(row: Connection, code: str) -> str:
    if code != "signature_refused" or not _counts_seconds(row):
        return ""
    return _(
        "Its signatures are good for one minute: the clock of every machine must be right (see `clock` above)."
    )
