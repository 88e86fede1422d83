"""Chat exports: looked into, asked for, started, and asked to be taken out again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet

from acervo.base import clock
from acervo.base.database import in_thread
from acervo.base.errors import Refused
from acervo.keep import keys, vault
from acervo.models import AuditEntry, ChatImport, Connection, Deed, Message, Person, PersonIdentifier, Sealing
from acervo.providers.chat_export import archive
from acervo.providers.chat_export.archive import Limits
from acervo.providers.chat_export.headers import Order
from acervo.providers.chat_export.survey import Survey, survey
from acervo.providers.contract import Identity
from acervo.receive.known import ABSENT, TOO_LARGE
from acervo.receive.people import Register

BY: Final = "system:import"
LIMITS: Final = Limits()
NAME_LENGTH: Final = 255
PLACE: Final = (
    "object_key",
    "size_bytes",
    "sealed_bytes",
    "sha256",
    "sealing",
    "seal_header",
    "data_key_id",
)


class AlreadyImported(Refused):
    """This very export is here already; nothing of it would be new. Undo that import first to bring it in anew."""

    code = "already_imported"


class ContactMissing(Refused):
    """Say whose chat it is: the contact's name, or the phone number with its country code."""

    code = "contact_missing"


class WrongPhone(Refused):
    """A phone number is written with plus sign and country code, and has 8 to 15 digits."""

    code = "wrong_phone"


class SeveralContacts(Refused):
    """Several contacts have this name. Say the phone number, too."""

    code = "several_contacts"


class DateOrderMissing(Refused):
    """The dates of this chat can be read in two ways, and nothing in it tells which. Say which one is right."""

    code = "date_order_missing"


class UsMissing(Refused):
    """Say which of the people in this chat is your company; the others are the contact's side."""

    code = "us_missing"


class UnknownZone(Refused):
    """There is no such time zone. They are written like America/Sao_Paulo."""

    code = "unknown_zone"


class NotWaiting(Refused):
    """This import was started or taken back meanwhile."""

    code = "import_not_waiting"


@dataclass(frozen=True, slots=True)
class Look:
    """An export as it was found: whole, harmless, and a chat."""

    found: Survey
    text: str
    sha256: str
    label: str

    @property
    def contact(self) -> str:
        """As the archive's name has it."""
        return archive.contact_of(self.label)

    def report(self) -> dict[str, Any]:
        """For the row; it names people."""
        found, dates = self.found, self.found.dates
        return {
            "text": self.text,
            "phone": found.phone,
            "messages": found.messages,
            "app_lines": found.app_lines,
            "attached": found.attached,
            "attached_bytes": found.attached_bytes,
            "omitted": found.omitted,
            "missing": found.missing,
            "missing_names": [list(one) for one in found.missing_names],
            "deleted": found.deleted,
            "edited": found.edited,
            "unused": found.unused,
            "may_be_cut": found.may_be_cut,
            "authors": found.authors,
            "contact": self.contact,
            "date_order": dates.order.value,
            "date_rule": dates.rule.value,
            "readings": [
                {"order": one.order.value, "first": one.first.isoformat(), "last": one.last.isoformat()}
                for one in dates.readings
            ],
        }


@dataclass(frozen=True, slots=True)
class Choice:
    """What somebody says about an export before it is imported."""

    us: str
    time_zone: str
    date_order: str = ""
    delivers: bool = False


def look(path: Path, *, name: str = "", progress: Callable[[int], None] = lambda size_bytes: None) -> Look:
    """Read everything once and write nothing. Raises Hostile, NoText and NotAnExport."""
    with archive.opened(path, LIMITS, name=name) as opened:
        members = archive.look_through(opened, LIMITS, progress=progress)
        text = archive.text_of(opened, LIMITS)
        sizes = {name: member.size_bytes for name, member in members.items()}
        now = clock.now().replace(tzinfo=None)
        found = survey(opened.lines(text, LIMITS), sizes, text=text, now=now)
        return Look(found, text, archive.fingerprint(path, members), opened.label)


def ask(
    connection: Connection, look: Look, *, name: str, phone: str, archive_name: str, time_zone: str, by: str
) -> ChatImport:
    """A new import that waits for `begin`. Raises AlreadyImported, and what `contact` raises."""
    known = ChatImport.objects.filter(
        connection=connection, archive_sha256=look.sha256, undone_at=None
    ).first()
    if known is not None:
        raise AlreadyImported(archive_sha256=look.sha256)
    row = ChatImport(
        workspace_id=connection.workspace_id,
        connection=connection,
        archive_name=archive_name[-NAME_LENGTH:],
        archive_sha256=look.sha256,
        report=look.report(),
        time_zone=_zone(time_zone),
        total=look.found.messages,
        asked_by=by,
    )
    row.date_order = look.found.dates.order.value if look.found.dates.is_sure else ""
    row.us = guessed_us(row.report, name)
    try:
        with transaction.atomic():
            row.person_id, row.made_person = _contact(connection, name=name, phone=phone)
            row.save(force_insert=True)
            record(row, "import.asked", by)
    except IntegrityError as error:  # somebody asked for the same in this moment
        if "archive_is_imported_once" not in str(error):
            raise
        raise AlreadyImported() from error
    return row


def lacks_archive(row: ChatImport) -> bool:
    """Whether it could go on if somebody uploaded its archive: the first upload broke off, or a command read it where
    it lay."""
    return row.object_key is None and row.state in ("waiting", "running", "stopped")


async def keep_archive(row: ChatImport, path: Path) -> None:
    """Seal an uploaded archive and hold it until its import ends. Raises StorageAway."""
    key = await in_thread(_key, row)
    sealing = Sealing.ACERVO if key else Sealing.STORAGE
    place = vault.Place(row.workspace_id, row.pk, vault.ARCHIVE, sealing.value, key)
    stored = await vault.store_file(place, path)
    lacking = ChatImport.objects.filter(pk=row.pk, object_key=None, finished_at=None, undo_asked_at=None)
    if not await in_thread(lacking.update, **stored.columns()):
        await vault.discard([stored.object_key])


def _key(row: ChatImport) -> keys.OpenKey | None:
    if row.workspace.sealing != Sealing.ACERVO or row.person_id is None:
        return None
    return keys.for_people(row.workspace_id, [row.person_id])[row.person_id]


def begin(row: ChatImport, choice: Choice, *, by: str) -> None:
    """From now on it is imported. Raises DateOrderMissing, UsMissing, UnknownZone and NotWaiting."""
    order = row.report["date_order"] if _is_sure(row.report) else choice.date_order
    if order not in set(Order):
        raise DateOrderMissing()
    if choice.us not in {"", *row.report["authors"]} or (not choice.us and len(row.report["authors"]) > 1):
        raise UsMissing()
    waiting = ChatImport.objects.filter(pk=row.pk, started_at=None, undo_asked_at=None)
    with transaction.atomic():
        changed = waiting.update(
            started_at=clock.now(),
            us=choice.us[:256],
            date_order=order,
            time_zone=_zone(choice.time_zone),
            delivers=choice.delivers,
        )
        if not changed:
            raise NotWaiting()
        row.refresh_from_db()
        record(row, "import.started", by)


def resume(row: ChatImport, *, by: str) -> None:
    """It goes on where it stopped, once whatever hindered it is mended."""
    with transaction.atomic():
        stopped = ChatImport.objects.filter(pk=row.pk, undo_asked_at=None, finished_at=None)
        if stopped.exclude(refusal=None).update(refusal=None, refused_at=None):
            row.refresh_from_db()
            record(row, "import.resumed", by)


def ask_undo(row: ChatImport, *, by: str) -> None:
    """What it brought is to go; the import itself stops at its next step. Asking twice changes nothing."""
    with transaction.atomic():
        unasked = ChatImport.objects.filter(pk=row.pk, undo_asked_at=None)
        if unasked.update(undo_asked_at=clock.now(), undo_asked_by=by):
            row.refresh_from_db()
            record(row, "import.undo_asked", by)


def let_go_of_archive(row: ChatImport) -> str | None:
    """Where it lay; the caller deletes it there."""
    with transaction.atomic():
        held = ChatImport.objects.select_for_update().get(pk=row.pk)
        object_key = held.object_key
        ChatImport.objects.filter(pk=row.pk).update(**dict.fromkeys(PLACE))
    row.refresh_from_db()
    return object_key


def missing(run: ChatImport) -> QuerySet[Message]:
    """Messages of an import whose file the archive does not hold."""
    has_another_reason = Q(extra__absent__why__isnull=True) | ~Q(extra__absent__why=TOO_LARGE)
    return run.messages.filter(has_another_reason, type=ABSENT)


def too_large(run: ChatImport) -> QuerySet[Message]:
    """Messages of an import whose file was kept out because of its size."""
    return run.messages.filter(type=ABSENT, extra__absent__why=TOO_LARGE)


def guessed_us(report: Mapping[str, Any], contact: str = "") -> str:
    """The author who is not the contact, where that leaves one; else empty."""
    authors = list(report["authors"])
    known = {name.casefold() for name in (contact, report["contact"]) if name}
    others = [name for name in authors if name.casefold() not in known]
    return others[0] if len(others) == 1 and len(authors) == 2 else ""


def _is_sure(report: Mapping[str, Any]) -> bool:
    return len(report["readings"]) < 2


def _contact(connection: Connection, *, name: str, phone: str) -> tuple[UUID, bool]:
    """The person, and whether they are new here. A number decides; without one, the name must mean one person."""
    name, phone = " ".join(name.split()), _phone(phone)
    if phone:
        known = PersonIdentifier.objects.filter(
            workspace=connection.workspace_id, kind=PersonIdentifier.Kind.PHONE, value=phone
        ).first()
        if known is not None:
            return known.person_id, False
        identity = Identity(phone=phone, name=name or None)
        register = Register.load(connection.workspace_id, [identity])
        person = register.person_of(identity)
        is_new = person in register.born
        deeds = register.save()
        if deeds:
            AuditEntry.objects.record(connection.workspace_id, BY, deeds)
        return person, is_new
    if not name:
        raise ContactMissing()
    found = Person.objects.filter(workspace=connection.workspace_id, merged_into=None, name__iexact=name)
    here = list(found.filter(chats__connection=connection).distinct()[:2]) or list(found[:2])
    if len(here) > 1:
        raise SeveralContacts()
    if here:
        return here[0].pk, False
    return Person.objects.create(workspace_id=connection.workspace_id, name=name[:256]).pk, True


def _phone(written: str) -> str:
    """E.164, or empty. Raises WrongPhone."""
    if not written.strip():
        return ""
    digits = "".join(letter for letter in written if letter.isdecimal() and letter.isascii())
    if not written.strip().startswith("+") or not 8 <= len(digits) <= 15:
        raise WrongPhone()
    return f"+{digits}"


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise UnknownZone() from error
    return name


def moment_in(zone: str, local: datetime) -> datetime:
    """A moment of the phone's clock. Where the hour was there twice it is the first one; where it was skipped, the one
    the clock would have gone on to."""
    return local.replace(tzinfo=ZoneInfo(zone), fold=0).astimezone(UTC)


def record(row: ChatImport, action: str, by: str) -> None:
    details = {
        "connection": str(row.connection_id),
        "archive_sha256": row.archive_sha256,
        "messages": row.total,
        "done": row.done,
        "new_messages": row.new_messages,
        "new_files": row.new_files,
        "delivers": row.delivers,
    }
    AuditEntry.objects.record(row.workspace_id, by, [Deed(action, "import", row.pk, "", details)])
