"""The person in Salesforce: found loosely, verified strictly, stamped with our key, and only ever completed."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import phonenumbers
from phonenumbers.phonenumberutil import ndd_prefix_for_region

from acervo.crms.contract import ContactCard, ContactDraft, ContactMatch, CrmError, CrmErrorKind, RecordRef
from acervo.crms.fields import moment_of, placed_roll_ups, with_roll_ups
from acervo.crms.phones import forms, is_same_line, local_forms, region_of
from acervo.crms.salesforce.api import Api, Json
from acervo.crms.salesforce.definitions import CONTACT_NAMES
from acervo.crms.salesforce.places import PERSON_KEY, PHONE_KEY
from acervo.crms.salesforce.records import Records, is_id, listed, quoted, record_id, select

SEARCH_JOINS_TERMS = True
"""Whether one search takes several numbers joined by OR, as its grammar says; else each is a search of its own."""
NAMELESS = "WhatsApp"
"""Salesforce makes no contact without a last name."""

_TYPED = ("Phone", "MobilePhone", "HomePhone", "OtherPhone", "AssistantPhone")
READ = ("Id", "FirstName", "LastName", "MailingCountry", *_TYPED, *CONTACT_NAMES.values())
_OWN = {name: theirs for name, theirs in CONTACT_NAMES.items() if theirs not in {PHONE_KEY, PERSON_KEY}}
"""Our roll-ups under their names in Salesforce."""
_TOLD = ("Id", "FirstName", "LastName", "Email", *_TYPED[:2])
_TOLD_OF_OTHERS = ("Account.Name", "Owner.Name", "CreatedDate", "LastActivityDate")
"""Not everybody may see these; then the others are shown without them."""
LIVES = ("IsDeleted", "MasterRecordId")
_FOLLOWED_MERGES = 5


async def find(api: Api, records: Records, phone: str) -> Sequence[ContactMatch]:
    """Whoever carries our stamp, exactly and at once; otherwise whoever a search finds and libphonenumber confirms.
    The search index lags: a contact typed in just now may be missed."""
    if stamped := await _by_key(api, PHONE_KEY, forms(phone)):
        return [match(records, row, PHONE_KEY) for row in stamped]
    return await search(api, records, phone)


async def search(api: Api, records: Records, phone: str) -> Sequence[ContactMatch]:
    """Whoever a search finds and libphonenumber confirms."""
    hits = {str(row.get("Id")): row for terms in terms_of(phone) for row in await search_terms(api, terms)}
    verified = ((row, field_holding(row, phone)) for row in hits.values())
    return [match(records, row, name) for row, name in verified if name]


async def describe(api: Api, records: Records, ids: Collection[str]) -> Sequence[ContactCard]:
    wanted = [one for one in ids if is_id(one)]
    if not wanted:
        return []
    where = (f"Id IN {listed(wanted)}", "IsDeleted = false")
    full, plain = await api.query(
        select((*_TOLD, *_TOLD_OF_OTHERS), "Contact", *where),
        select(_TOLD, "Contact", *where),
        is_optional=True,
    )
    return [_card(records, row) for row in full or plain]


async def upsert(api: Api, records: Records, draft: ContactDraft, known: RecordRef | None) -> RecordRef:
    """Completes the known contact, or the one already stamped with our key, or creates one.
    A known contact that is deleted raises NOT_FOUND: whether to make a new one is for a person to say."""
    row = await _live(api, record_id(known), columns(draft)) if known else await _stamped(api, draft)
    if row is None:
        try:
            return records.ref("contact", await _create(api, draft))
        except CrmError as error:
            row = await _meant(api, error, draft)
    if changes := changes_of(row, draft):
        await _complete(api, str(row["Id"]), changes)
    return records.ref("contact", str(row["Id"]))


async def survivors(api: Api, ids: Collection[str]) -> dict[str, str]:
    """Contacts that were merged away, and the contact each lives on as."""
    moved: dict[str, str] = {}
    asked = {one: one for one in ids if is_id(one)}
    for _step in range(_FOLLOWED_MERGES):
        if not asked:
            break
        wanted = f"Id IN {listed(sorted(set(asked.values())))}"
        (rows,) = await api.query(select(["Id", *LIVES], "Contact", wanted))
        there = {str(row["Id"]): row for row in rows}
        following: dict[str, str] = {}
        for first, now in asked.items():
            row = there.get(now)
            if row and row.get("IsDeleted") and row.get("MasterRecordId"):
                following[first] = str(row["MasterRecordId"])
            elif row and not row.get("IsDeleted") and now != first:
                moved[first] = now
        asked = following
    return moved


async def _complete(api: Api, contact_id: str, changes: dict[str, object]) -> None:
    try:
        await api.update("Contact", contact_id, changes)
    except CrmError as error:
        keys = [changes.pop(name, None) for name in (PHONE_KEY, PERSON_KEY)]
        if error.kind is not CrmErrorKind.CONFLICT or not any(keys):
            raise
        if changes:  # our key is on another contact: somebody chose this one all the same, and we remember it
            await api.update("Contact", contact_id, changes)


async def _live(api: Api, contact_id: str, wanted: Sequence[str]) -> Json:
    """The contact, or the one it was merged into. Raises NOT_FOUND for a deleted one."""
    for _step in range(_FOLLOWED_MERGES):
        (rows,) = await api.query(select([*wanted, *LIVES], "Contact", f"Id = {quoted(contact_id)}"))
        row = rows[0] if rows else {}
        if row and not row.get("IsDeleted"):
            return row
        contact_id = str(row.get("MasterRecordId") or "")
        if not contact_id:
            break
    raise CrmError(CrmErrorKind.NOT_FOUND, "the contact does not exist in Salesforce (any more)")


async def _by_key(api: Api, key: str, values: Sequence[str]) -> Sequence[Json]:
    (rows,) = await api.query(live_where(f"{key} IN {listed(values)}"))
    return rows


def live_where(condition: str, wanted: Sequence[str] = READ) -> str:
    return select(wanted, "Contact", condition, "IsDeleted = false")


async def _stamped(api: Api, draft: ContactDraft) -> Json | None:
    by_phone = f"{PHONE_KEY} IN {listed(forms(draft.phone) if draft.phone else ())}"
    by_person = f"{PERSON_KEY} = {quoted(draft.person_id)}"
    wanted = [by_phone, by_person] if draft.phone else [by_person]
    found = await api.query(*(live_where(one, columns(draft)) for one in wanted))
    return next((row for rows in found for row in rows), None)


async def _create(api: Api, draft: ContactDraft) -> str:
    """By our key, so that creating twice is creating once."""
    (outcome,) = await api.upsert("Contact", key_of(draft), [new_record(draft)])
    if isinstance(outcome, CrmError):
        raise outcome
    return str(outcome["id"])


def key_of(draft: ContactDraft) -> str:
    """The field a new contact is written by."""
    return PHONE_KEY if draft.phone else PERSON_KEY


def new_record(draft: ContactDraft) -> dict[str, object]:
    last_name = draft.last_name or draft.first_name or draft.phone or NAMELESS
    values = {
        key_of(draft): draft.phone or draft.person_id,
        "LastName": last_name,
        "FirstName": draft.first_name if draft.last_name else None,
        "MobilePhone": draft.phone,
        **_roll_ups({}, draft),
    }
    return {name: one for name, one in values.items() if one is not None}


def changes_of(row: Json, draft: ContactDraft) -> dict[str, object]:
    """What is missing or newer."""
    return {**_gaps(row, draft), **_roll_ups(row, draft)}


async def _meant(api: Api, error: CrmError, draft: ContactDraft) -> Json:
    """The contact a duplicate rule says is there already, if the number is its own: the search index did not know
    it yet. Raises the refusal where it is somebody else, as far as we can tell."""
    if error.kind is not CrmErrorKind.CONFLICT or not error.existing_id:
        raise error
    row = await _live(api, error.existing_id, columns(draft))
    is_theirs = draft.phone and (row.get(PHONE_KEY) in forms(draft.phone) or field_holding(row, draft.phone))
    if not is_theirs:
        raise error
    return row


def terms_of(phone: str) -> Sequence[str]:
    """What is asked of the index of phone fields, digits only: with the country's code, without, and as dialled
    from another town. A search looks at the beginning of a number, not at its end."""
    country = str(phonenumbers.parse(phone).country_code)
    prefix = ndd_prefix_for_region(region_of(phone) or "", True)
    every = [
        form
        for local in local_forms(phone)
        for form in (f"{country}{local}", local, *([f"{prefix}{local}"] if prefix else ()))
    ]
    return [" OR ".join(dict.fromkeys(every))] if SEARCH_JOINS_TERMS else list(dict.fromkeys(every))


async def search_terms(api: Api, terms: str) -> Sequence[Json]:
    return await api.search_phones(terms, "Contact", READ)


def field_holding(row: Json, phone: str) -> str | None:
    return next((name for name in _TYPED if is_same_line(row.get(name), phone)), None)


def _card(records: Records, row: Json) -> ContactCard:
    return ContactCard(
        records.ref("contact", str(row["Id"])),
        name=_name(row),
        phones=tuple(dict.fromkeys(str(row[name]) for name in _TYPED if row.get(name))),
        email=str(row.get("Email") or ""),
        company=_name_of(row.get("Account")),
        owner=_name_of(row.get("Owner")),
        created_at=moment_of(row.get("CreatedDate")),
        active_at=moment_of(row.get("LastActivityDate")),
    )


def _name_of(parent: object) -> str:
    return str(parent.get("Name") or "") if isinstance(parent, dict) else ""


def _name(row: Json) -> str:
    return " ".join(str(part) for part in (row.get("FirstName"), row.get("LastName")) if part)


def match(records: Records, row: Json, matched_on: str) -> ContactMatch:
    return ContactMatch(
        ref=records.ref("contact", str(row["Id"])),
        name=_name(row) or None,
        matched_on=matched_on,
        is_stamped=bool(row.get(PHONE_KEY)),
    )


def _gaps(row: Json, draft: ContactDraft) -> dict[str, str]:
    gaps: dict[str, str | None] = {}
    if not any(row.get(name) for name in _TYPED):
        gaps["MobilePhone"] = draft.phone
    if not row.get(PHONE_KEY):
        gaps[PHONE_KEY] = draft.phone
    if not draft.phone and not row.get(PERSON_KEY):
        gaps[PERSON_KEY] = draft.person_id
    return {name: value for name, value in gaps.items() if value}


def _roll_ups(row: Mapping[str, object], draft: ContactDraft) -> dict[str, object]:
    """Those that changed. Salesforce gives moments with thousandths and numbers with a fraction."""
    changed: dict[str, object] = {}
    for one in placed_roll_ups(draft, _OWN):
        value, theirs = one.as_json, row.get(one.name)
        is_same_moment = one.type == "moment" and str(theirs or "")[:19] == str(value or "")[:19]
        if value != theirs and not is_same_moment:
            changed[one.name] = value
    return changed


def columns(*drafts: ContactDraft) -> tuple[str, ...]:
    """With the fields of their own that our roll-ups go to."""
    return with_roll_ups(READ, _OWN, drafts)
