"""The person in HubSpot: found loosely, verified strictly, stamped with our key, and only ever completed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from acervo.crms.contract import ContactCard, ContactDraft, ContactMatch, CrmError, CrmErrorKind, RecordRef
from acervo.crms.fields import CONTACT_FIELDS, moment_of, placed_roll_ups, with_roll_ups
from acervo.crms.hubspot.api import Api, Json
from acervo.crms.hubspot.errors import read_item_error
from acervo.crms.hubspot.records import Records, properties_of, value_of
from acervo.crms.phones import forms, is_same_line, local_forms

PHONE_KEY = "wa_phone_e164"
PERSON_KEY = "wa_person_id"
FOUND = 100
"""Contacts that one search answers at most."""
_OWN = {one.name: f"wa_{one.name}" for one in CONTACT_FIELDS if not one.is_unique}
"""Our roll-ups under their names in HubSpot."""
_SEARCHABLE = {
    "phone": "hs_searchable_calculated_phone_number",
    "mobilephone": "hs_searchable_calculated_mobile_number",
}
_TYPED = ("phone", "mobilephone", "hs_whatsapp_phone_number")
_TOLD = ("firstname", "lastname", "email", "company", *_TYPED, "notes_last_updated")
_COUNTRY = "hs_calculated_phone_number_country_code"
READ = (
    "firstname",
    "lastname",
    PHONE_KEY,
    PERSON_KEY,
    *_TYPED,
    *_SEARCHABLE.values(),
    _COUNTRY,
    *_OWN.values(),
)


async def find(api: Api, records: Records, phone: str) -> Sequence[ContactMatch]:
    """Whoever carries our stamp, exactly and at once; otherwise whoever a loose search finds and
    libphonenumber confirms. HubSpot's index lags by seconds: a contact typed in just now may be missed."""
    if stamped := await api.read_many("contacts", forms(phone), READ, id_property=PHONE_KEY):
        return [match(records, row, PHONE_KEY) for row in stamped]
    hits = await api.search("contacts", loose_search([phone]))
    verified = ((row, field_holding(row, phone)) for row in hits)
    return [match(records, row, name) for row, name in verified if name]


async def describe(api: Api, records: Records, ids: Sequence[str]) -> Sequence[ContactCard]:
    """Owners are ids here, and their names another scope: left out."""
    return [_card(records, row) for row in await api.read_many("contacts", ids, _TOLD)]


async def upsert(api: Api, records: Records, draft: ContactDraft, known: RecordRef | None) -> RecordRef:
    """Completes the known contact, or the one already stamped with our key, or creates one.
    A known contact that is deleted raises NOT_FOUND: whether to make a new one is for a person to say."""
    row = await api.read("contacts", known.record_id, columns(draft)) if known else await _stamped(api, draft)
    if row is None:
        row = await _create(api, draft)
    return records.ref("contact", await _complete(api, row, draft))


async def survivor(api: Api, record_id: str) -> str:
    """The id under which a contact lives on after merges. Raises NOT_FOUND for a deleted one."""
    return str((await api.read("contacts", record_id, (PHONE_KEY,)))["id"])


def loose_search(phones: Sequence[str]) -> Json:
    """Five groups, the most HubSpot's page allows (2026-11). The searchable fields hold numbers as dialled
    locally, without country code, so a number typed that way is found too; others' numbers as well."""
    dialled = [form for phone in phones for form in local_forms(phone)]
    whole = [form for phone in phones for form in forms(phone)]
    wanted = {
        "hs_searchable_calculated_phone_number": dialled,
        "hs_searchable_calculated_mobile_number": dialled,
        "phone": whole,
        "mobilephone": whole,
        "hs_whatsapp_phone_number": whole,
    }
    return {
        "filterGroups": [
            {"filters": [{"propertyName": name, "operator": "IN", "values": list(dict.fromkeys(values))}]}
            for name, values in wanted.items()
        ],
        "properties": list(READ),
        "limit": FOUND,
    }


def field_holding(row: Json, phone: str) -> str | None:
    properties = properties_of(row)
    region = properties.get(_COUNTRY)
    for name in _TYPED:
        value = properties.get(name)
        if value and "*" in value:
            # Some portals mask numbers for the token's user; the searchable twin is complete.
            value = properties.get(_SEARCHABLE.get(name, ""))
        if is_same_line(value, phone, region=region):
            return name
    return None


def _card(records: Records, row: Json) -> ContactCard:
    properties = properties_of(row)
    return ContactCard(
        records.ref("contact", str(row["id"])),
        name=_name(properties),
        phones=tuple(dict.fromkeys(value for name in _TYPED if (value := properties.get(name)))),
        email=properties.get("email") or "",
        company=properties.get("company") or "",
        created_at=moment_of(row.get("createdAt")),
        active_at=moment_of(properties.get("notes_last_updated") or row.get("updatedAt")),
    )


def _name(properties: Mapping[str, str | None]) -> str:
    return " ".join(part for part in (properties.get("firstname"), properties.get("lastname")) if part)


def match(records: Records, row: Json, matched_on: str) -> ContactMatch:
    properties = properties_of(row)
    return ContactMatch(
        ref=records.ref("contact", str(row["id"])),
        name=_name(properties) or None,
        matched_on=matched_on,
        is_stamped=bool(properties.get(PHONE_KEY)),
    )


async def _stamped(api: Api, draft: ContactDraft) -> Json | None:
    if draft.phone and (
        rows := await api.read_many("contacts", forms(draft.phone), columns(draft), id_property=PHONE_KEY)
    ):
        return rows[0]
    rows = await api.read_many("contacts", [draft.person_id], columns(draft), id_property=PERSON_KEY)
    return rows[0] if rows else None


async def _create(api: Api, draft: ContactDraft) -> Json:
    entry = new_entry(draft)
    try:
        answer = await api.upsert("contacts", [entry])
        if not answer.get("results"):
            raise next((read_item_error(error) for error in answer.get("errors", [])), _no_answer())
        return {"id": str(answer["results"][0]["id"]), "properties": entry["properties"]}
    except CrmError as error:
        if error.kind is CrmErrorKind.CONFLICT and error.existing_id:
            return await api.read("contacts", error.existing_id, columns(draft))
        raise


async def _complete(api: Api, row: Json, draft: ContactDraft) -> str:
    """Writes what is missing or newer, in one call, or none when nothing is. Returns the record's id."""
    if not (changes := changes_of(row, draft)):
        return str(row["id"])
    try:
        await api.update("contacts", str(row["id"]), changes)
    except CrmError as error:
        keys = [changes.pop(name, None) for name in (PHONE_KEY, PERSON_KEY)]
        if error.kind is not CrmErrorKind.CONFLICT or not any(keys):
            raise
        if changes:  # our key is on another contact: somebody chose this one all the same, and we remember it
            await api.update("contacts", str(row["id"]), changes)
    return str(row["id"])


def new_entry(draft: ContactDraft) -> Json:
    """Of an upsert by our key, so that creating twice is creating once."""
    key, value = (PHONE_KEY, draft.phone) if draft.phone else (PERSON_KEY, draft.person_id)
    return {
        "idProperty": key,
        "id": value,
        "properties": {**_gaps({}, draft), **_roll_ups({}, draft), key: value},
        "objectWriteTraceId": draft.person_id,
    }


def changes_of(row: Json, draft: ContactDraft) -> dict[str, str]:
    """What is missing or newer."""
    properties = properties_of(row)
    return {**_gaps(properties, draft), **_roll_ups(properties, draft)}


def _gaps(properties: Mapping[str, str | None], draft: ContactDraft) -> dict[str, str]:
    gaps: dict[str, str | None] = {}
    if not properties.get("firstname") and not properties.get("lastname"):
        gaps |= {"firstname": draft.first_name, "lastname": draft.last_name}
    if not any(properties.get(name) for name in _TYPED):
        gaps["phone"] = draft.phone
    if not properties.get(PHONE_KEY):
        gaps[PHONE_KEY] = draft.phone
    if not draft.phone and not properties.get(PERSON_KEY):
        gaps[PERSON_KEY] = draft.person_id
    return {name: value for name, value in gaps.items() if value}


def _roll_ups(properties: Mapping[str, str | None], draft: ContactDraft) -> dict[str, str]:
    now = {one.name: value_of(one) for one in placed_roll_ups(draft, _OWN)}
    return {name: value for name, value in now.items() if value != (properties.get(name) or "")}


def columns(*drafts: ContactDraft) -> tuple[str, ...]:
    """With the fields of their own that our roll-ups go to."""
    return with_roll_ups(READ, _OWN, drafts)


def _no_answer() -> CrmError:
    return CrmError(CrmErrorKind.UNKNOWN_OUTCOME, "HubSpot named neither a record nor an error")
