"""The person in Zoho: found loosely, verified strictly, stamped with our key, and only ever completed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from acervo.crms.contract import ContactCard, ContactDraft, ContactMatch, CrmError, CrmErrorKind, RecordRef
from acervo.crms.fields import moment_of, placed_roll_ups, with_roll_ups
from acervo.crms.phones import forms, is_same_line, local_forms
from acervo.crms.zoho.api import Api, Json, done
from acervo.crms.zoho.names import CONTACTS, Names
from acervo.crms.zoho.values import value_of

TYPED = ("Mobile", "Phone", "Home_Phone", "Other_Phone")
"""Where people type the person's own number. `Asst_Phone` is somebody else's."""
PARTIAL_DIGITS = 8
"""The end of a number that its ninth digit, area code and country code do not change."""
NAMES = ("First_Name", "Last_Name")
_TOLD = (*NAMES, *TYPED, "Email", "Account_Name", "Owner", "Created_Time", "Last_Activity_Time")
LAST_NAME = "WhatsApp"
"""Zoho demands a last name; this stands in where we know neither name nor number."""


async def find(api: Api, names: Names, phone: str) -> Sequence[ContactMatch]:
    """Whoever carries our stamp, exactly and at once; otherwise whoever a loose search finds and libphonenumber
    confirms. Zoho's index lags: a contact typed in just now may be missed."""
    key = names.contact["phone_e164"]
    if stamped := await api.by_key(CONTACTS, key, forms(phone), (*NAMES, *TYPED)):
        return [match(names, row, key) for row in stamped]
    return await search(api, names, phone)


async def search(api: Api, names: Names, phone: str) -> Sequence[ContactMatch]:
    """Whoever a loose search finds and libphonenumber confirms."""
    key = names.contact["phone_e164"]
    hits: dict[str, Json] = {}
    for wanted in _loose(phone):
        rows = await api.search_phone(CONTACTS, wanted, (*NAMES, *TYPED, key))
        hits |= {str(row["id"]): row for row in rows}
        if rows and len(wanted) == PARTIAL_DIGITS:
            break  # so Zoho does find numbers by a part of them, however they are written: these are all
    verified = ((row, field_holding(row, phone)) for row in hits.values())
    return [match(names, row, name) for row, name in verified if name]


async def describe(api: Api, names: Names, ids: Sequence[str]) -> Sequence[ContactCard]:
    return [_card(names, row) for row in await api.read(CONTACTS, ids, _TOLD)] if ids else []


async def upsert(
    api: Api, names: Names, draft: ContactDraft, known: RecordRef | None, moved: dict[str, str]
) -> RecordRef:
    """Completes the known contact, or the one already stamped with our key, or creates one. A known contact that is
    gone is looked for by our stamp, which a merge hands on; found nowhere raises NOT_FOUND: whether to make a new
    one is for a person to say. `moved` takes down where it went."""
    if known:
        row = await _known(api, names, draft, known.record_id)
        if str(row["id"]) != known.record_id:
            moved[known.record_id] = str(row["id"])
    else:
        row = await _stamped(api, names, draft) or await _create(api, names, draft)
    return names.ref("contact", await _complete(api, names, row, draft))


def _loose(phone: str) -> Iterator[str]:
    """Zoho says that it finds parts of numbers, but not how it compares formats: the most forgiving question first."""
    local = local_forms(phone)[0]
    yield from dict.fromkeys((local[-PARTIAL_DIGITS:], local, phone))


def field_holding(row: Json, phone: str) -> str | None:
    return next((name for name in TYPED if is_same_line(text(row, name), phone)), None)


def _card(names: Names, row: Json) -> ContactCard:
    return ContactCard(
        names.ref("contact", str(row["id"])),
        name=_name(row),
        phones=tuple(dict.fromkeys(value for name in TYPED if (value := text(row, name)))),
        email=text(row, "Email"),
        company=_name_of(row.get("Account_Name")),
        owner=_name_of(row.get("Owner")),
        created_at=moment_of(row.get("Created_Time")),
        active_at=moment_of(row.get("Last_Activity_Time")),
    )


def _name_of(other: Any) -> str:
    return str(other.get("name") or "") if isinstance(other, dict) else ""


def _name(row: Json) -> str:
    return " ".join(part for part in (text(row, one) for one in NAMES) if part)


def match(names: Names, row: Json, matched_on: str) -> ContactMatch:
    key = names.contact["phone_e164"]
    return ContactMatch(
        ref=names.ref("contact", str(row["id"])),
        name=_name(row) or None,
        matched_on=matched_on,
        is_stamped=matched_on == key or bool(text(row, key)),
    )


async def _known(api: Api, names: Names, draft: ContactDraft, record_id: str) -> Json:
    rows = await api.read(CONTACTS, [record_id], columns(names, draft))
    row = rows[0] if rows else await _stamped(api, names, draft)
    if row is None:
        raise CrmError(CrmErrorKind.NOT_FOUND, "the contact does not exist in Zoho (any more)")
    return row


async def _stamped(api: Api, names: Names, draft: ContactDraft) -> Json | None:
    """By the number first: it is the key where there is one."""
    phone, person = names.contact["phone_e164"], names.contact["person_id"]
    keys: dict[str, Sequence[str]] = {person: (draft.person_id,)}
    if draft.phone:
        keys[phone] = forms(draft.phone)
    rows = await api.by_any_key(CONTACTS, keys, columns(names, draft))
    return min(rows, key=lambda row: text(row, phone) not in keys.get(phone, ()), default=None)


async def _create(api: Api, names: Names, draft: ContactDraft) -> Json:
    """By upsert, so that an answer that never came does not make two of them."""
    row = new_row(names, draft)
    try:
        details = done(await api.upsert(CONTACTS, key_of(names, draft), [row]))
    except CrmError as error:
        if error.kind is CrmErrorKind.CONFLICT and error.existing_id:
            rows = await api.read(CONTACTS, [error.existing_id], columns(names, draft))
            if rows:
                return rows[0]
        raise
    return {**row, "id": str(details["id"])}


def key_of(names: Names, draft: ContactDraft) -> str:
    """The unique field a new contact is written by."""
    return names.contact["phone_e164" if draft.phone else "person_id"]


def new_row(names: Names, draft: ContactDraft) -> dict[str, Any]:
    given = [part for part in (draft.first_name, draft.last_name) if part]
    return {
        "Last_Name": given[-1] if given else draft.phone or LAST_NAME,
        **({"First_Name": given[0]} if len(given) > 1 else {}),
        **({"Mobile": draft.phone} if draft.phone else {}),
        **_roll_ups(names, {}, draft),
        key_of(names, draft): draft.phone or draft.person_id,
    }


def changes_of(names: Names, row: Json, draft: ContactDraft) -> dict[str, Any]:
    """What is missing or newer."""
    return {**_gaps(names, row, draft), **_roll_ups(names, row, draft)}


async def _complete(api: Api, names: Names, row: Json, draft: ContactDraft) -> str:
    """Writes what is missing or newer, in one call, or none when nothing is. Returns the record's id."""
    if not (changes := changes_of(names, row, draft)):
        return str(row["id"])
    try:
        done(await api.update(CONTACTS, [{"id": str(row["id"]), **changes}]))
    except CrmError as error:
        keys = [changes.pop(names.contact[name], None) for name in ("phone_e164", "person_id")]
        if error.kind is not CrmErrorKind.CONFLICT or not any(keys):
            raise
        if changes:  # our key is on another contact: somebody chose this one all the same, and we remember it
            done(await api.update(CONTACTS, [{"id": str(row["id"]), **changes}]))
    return str(row["id"])


def _gaps(names: Names, row: Json, draft: ContactDraft) -> dict[str, Any]:
    gaps: dict[str, str | None] = {}
    if not any(text(row, name) for name in TYPED):
        gaps["Mobile"] = draft.phone
    if not text(row, names.contact["phone_e164"]):
        gaps[names.contact["phone_e164"]] = draft.phone
    if not draft.phone and not text(row, names.contact["person_id"]):
        gaps[names.contact["person_id"]] = draft.person_id
    return {name: value for name, value in gaps.items() if value}


def _roll_ups(names: Names, row: Json, draft: ContactDraft) -> dict[str, Any]:
    now = {one.name: value_of(names, one, "contact") for one in placed_roll_ups(draft, _own(names))}
    return {name: value for name, value in now.items() if not _is_same(row.get(name), value)}


def _own(names: Names) -> dict[str, str]:
    """Our roll-ups under their names in Zoho."""
    return {name: theirs for name, theirs in names.contact.items() if name not in {"phone_e164", "person_id"}}


def _is_same(stored: Any, value: Any) -> bool:
    """Zoho answers moments in the time zone of the account."""
    if not stored and not value:
        return True
    try:
        return datetime.fromisoformat(str(stored)) == datetime.fromisoformat(str(value))
    except (ValueError, TypeError):
        return str(stored) == str(value)


def columns(names: Names, *drafts: ContactDraft) -> tuple[str, ...]:
    """What is read of contacts to complete them, with the fields of their own that our roll-ups go to."""
    return with_roll_ups((*NAMES, *TYPED, *names.contact.values()), _own(names), drafts)


def text(row: Json, name: str) -> str:
    value = row.get(name)
    return value if isinstance(value, str) else ""
