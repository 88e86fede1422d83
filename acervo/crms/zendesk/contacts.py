"""The person in Zendesk, an end user: found loosely, verified strictly, stamped with our key, only ever completed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import Any

from acervo.crms.contract import ContactCard, ContactDraft, ContactMatch, CrmError, CrmErrorKind, RecordRef
from acervo.crms.fields import CONTACT_FIELDS, moment_of, placed_roll_ups
from acervo.crms.phones import forms, is_same_line, local_forms
from acervo.crms.zendesk.api import Api, Json
from acervo.crms.zendesk.records import Records

PHONE_PREFIX, PERSON_PREFIX = "wa:", "wa-person:"
"""What our `external_id` begins with. A user has only one: somebody else's is left alone, and then our field
`wa_phone_e164` is the stamp."""
PHONE_FIELD = "wa_phone_e164"
_OWN = {one.name: f"wa_{one.name}" for one in CONTACT_FIELDS if not one.is_unique}
"""Our roll-ups under their keys in Zendesk."""
_NAMELESS = "WhatsApp"


async def find(api: Api, records: Records, phone: str) -> Sequence[ContactMatch]:
    """Whoever carries our stamp, exactly and at once; otherwise whoever a loose search finds and libphonenumber
    confirms. The index lags by minutes: what it says is read again from the users themselves."""
    keys = [PHONE_PREFIX + form for form in forms(phone)]
    if stamped := [row for row in await api.users_by_external_id(keys) if is_live(row)]:
        return [match(records, row, "external_id") for row in stamped]
    return [match(records, row, where) for row, where in await verified(api, phone)]


async def describe(api: Api, records: Records, ids: Sequence[str]) -> Sequence[ContactCard]:
    """End users have no owner, and their organisation is another call each: left out."""
    rows, identities = await api.users(ids) if ids else ([], [])
    numbers = _numbers(identities)
    return [_card(records, row, numbers.get(str(row["id"]), ())) for row in rows if is_live(row)]


async def upsert(api: Api, records: Records, draft: ContactDraft, known: RecordRef | None) -> RecordRef:
    """Completes the known user, or the one already stamped with our key, or creates one. A known user that is
    deleted raises NOT_FOUND: whether to make a new one is for a person to say."""
    if known:
        row = await _living(api, known.record_id, draft.phone)
    else:
        row = await _stamped(api, draft) or await create(api, draft)
    await complete(api, row, draft)
    return records.ref("contact", str(row["id"]))


async def survivor(api: Api, user_id: str) -> str:
    """The id under which a user lives on after merges. Raises NOT_FOUND for a deleted one."""
    return str((await _living(api, user_id, None))["id"])


async def _living(api: Api, user_id: str, phone: str | None) -> Json:
    try:
        row = await api.user(user_id)
    except CrmError as error:
        if error.kind is not CrmErrorKind.NOT_FOUND:
            raise
        gone, _ = await api.users([user_id], with_deleted=True)
        row = gone[0] if gone else {}
    if is_live(row):
        return row
    if phone := phone or _phone_of(row):
        heir = await _heir(api, phone)
        if heir and str(heir["id"]) != user_id:
            return heir
    raise CrmError(CrmErrorKind.NOT_FOUND, "the user was deleted in Zendesk", status=404)


async def _heir(api: Api, phone: str) -> Json | None:
    """Nothing in Zendesk says into whom a user was merged; but the number goes along, as a second one (Zendesk's
    table of merge results, 2026-11). Where several have it, nobody is guessed."""
    keys = [PHONE_PREFIX + form for form in forms(phone)]
    rows = [row for row in await api.users_by_external_id(keys) if is_live(row)]
    rows = rows or [row for row, _ in await verified(api, phone)]
    return rows[0] if len(rows) == 1 else None


async def verified(api: Api, phone: str) -> list[tuple[Json, str]]:
    """Users that really have this number, and where it stands."""
    hits = await api.search_users(loose_search(phone))
    return (await verified_among(api, hits, [phone])).get(phone, [])


async def verified_among(
    api: Api, hits: Sequence[Json], phones: Sequence[str]
) -> dict[str, list[tuple[Json, str]]]:
    """The same for several numbers at once, of what their searches found."""
    ids = list(dict.fromkeys(str(row["id"]) for row in hits))
    if not ids:
        return {}
    rows, identities = await api.users(ids)
    numbers = _numbers(identities)
    customers = [row for row in rows if is_live(row) and row.get("role") == "end-user"]
    return {
        phone: [
            (row, where)
            for row in customers
            if (where := _where(row, numbers.get(str(row["id"]), ()), phone))
        ]
        for phone in phones
    }


def loose_search(phone: str) -> str:
    """One query for all ways to write a number: a star before digits finds it in any format (Zendesk's guide for
    callers, 2026-11). The digits are those that all forms of the line end with, so Brazil's ninth and Mexico's old 1
    do not matter; who else has that ending is found too, and refused by libphonenumber."""
    from_the_end = zip(*(reversed(form) for form in local_forms(phone)), strict=False)
    shared = [digits[0] for digits in takewhile(lambda digits: len(set(digits)) == 1, from_the_end)]
    return f"role:end-user phone:*{''.join(reversed(shared))}"


def _numbers(identities: Sequence[Json]) -> dict[str, list[str]]:
    """By user."""
    numbers: dict[str, list[str]] = {}
    for identity in identities:
        if identity.get("type") == "phone_number":
            numbers.setdefault(str(identity.get("user_id")), []).append(str(identity.get("value")))
    return numbers


def _where(row: Json, numbers: Sequence[str], phone: str) -> str | None:
    if is_same_line(_fields(row).get(PHONE_FIELD), phone):
        return PHONE_FIELD
    if is_same_line(row.get("phone"), phone):
        return "phone"
    return "phone_number" if any(is_same_line(number, phone) for number in numbers) else None


def _card(records: Records, row: Json, numbers: Sequence[str]) -> ContactCard:
    return ContactCard(
        records.ref("contact", str(row["id"])),
        name=str(row.get("name") or ""),
        phones=tuple(dict.fromkeys(str(one) for one in (row.get("phone"), *numbers) if one)),
        email=str(row.get("email") or ""),
        created_at=moment_of(row.get("created_at")),
        active_at=moment_of(row.get("last_login_at") or row.get("updated_at")),
    )


def match(records: Records, row: Json, matched_on: str) -> ContactMatch:
    return ContactMatch(
        ref=records.ref("contact", str(row["id"])),
        name=row.get("name") or None,
        matched_on=matched_on,
        is_stamped=bool(_fields(row).get(PHONE_FIELD)) or key_of(row).startswith(PHONE_PREFIX),
    )


async def _stamped(api: Api, draft: ContactDraft) -> Json | None:
    keys = [PHONE_PREFIX + form for form in forms(draft.phone)] if draft.phone else []
    rows = await api.users_by_external_id([*keys, PERSON_PREFIX + draft.person_id])
    live = [row for row in rows if is_live(row)]
    return next((row for row in live if key_of(row) in keys), live[0] if live else None)


async def create(api: Api, draft: ContactDraft) -> Json:
    """By our key, so that a lost answer makes no second user."""
    return await api.create_or_update_user(new_user(draft))


def new_user(draft: ContactDraft) -> Json:
    """No e-mail address: Zendesk has nothing to verify."""
    return {
        "role": "end-user",
        "skip_verify_email": True,
        "name": _name(draft) or nameless(draft),
        "external_id": own_key(draft),
        **({"phone": draft.phone} if draft.phone else {}),
        "user_fields": {**_stamps({}, draft), **_roll_ups({}, draft)},
    }


def changes_of(row: Json, draft: ContactDraft) -> dict[str, Any]:
    """What is missing or newer."""
    fields = {**_stamps(_fields(row), draft), **_roll_ups(_fields(row), draft)}
    return {**_gaps(row, draft), **({"user_fields": fields} if fields else {})}


async def complete(api: Api, row: Json, draft: ContactDraft) -> None:
    """Writes what is missing or newer, in one call, or none when nothing is: Zendesk takes about five changes of
    a user a minute."""
    changes = changes_of(row, draft)
    if not changes:
        return
    user_id = str(row["id"])
    try:
        await api.update_user(user_id, changes)
    except CrmError as error:
        if error.kind is not CrmErrorKind.CONFLICT or changes.pop("external_id", None) is None:
            raise
        if changes:  # our key is another user's: somebody chose this one all the same, and we remember it
            await api.update_user(user_id, changes)


def _gaps(row: Json, draft: ContactDraft) -> dict[str, Any]:
    gaps: dict[str, Any] = {}
    name = _name(draft)
    if name and row.get("name") in {None, "", nameless(draft)}:
        gaps["name"] = name
    if draft.phone and not row.get("phone"):
        gaps["phone"] = draft.phone
    key = key_of(row)
    if not key or (key.startswith(PERSON_PREFIX) and draft.phone):
        gaps["external_id"] = own_key(draft)
    return gaps


def _stamps(fields: Mapping[str, Any], draft: ContactDraft) -> dict[str, Any]:
    stamps = {PHONE_FIELD: draft.phone, "wa_person_id": None if draft.phone else draft.person_id}
    return {name: value for name, value in stamps.items() if value and not fields.get(name)}


def _roll_ups(fields: Mapping[str, Any], draft: ContactDraft) -> dict[str, Any]:
    """A choice is text here: see the fields we make for people."""
    now = {one.name: one.as_json for one in placed_roll_ups(draft, _OWN)}
    return {name: value for name, value in now.items() if value != _held(fields, name)}


def _held(fields: Mapping[str, Any], name: str) -> Any:
    return None if fields.get(name) == "" else fields.get(name)


def own_key(draft: ContactDraft) -> str:
    return PHONE_PREFIX + draft.phone if draft.phone else PERSON_PREFIX + draft.person_id


def _name(draft: ContactDraft) -> str:
    return " ".join(part for part in (draft.first_name, draft.last_name) if part)


def nameless(draft: ContactDraft) -> str:
    """A user must have a name. This one is ours to change once we know better."""
    return draft.phone or f"{_NAMELESS} {draft.person_id[-6:]}"


def _phone_of(row: Json) -> str | None:
    """The number we stamped on somebody."""
    stamped = str(_fields(row).get(PHONE_FIELD) or "") or key_of(row).removeprefix(PHONE_PREFIX)
    return stamped if stamped.startswith("+") and stamped[1:].isdigit() else None


def is_live(row: Json) -> bool:
    return bool(row.get("id")) and row.get("active", True) is not False


def key_of(row: Json) -> str:
    return str(row.get("external_id") or "")


def _fields(row: Json) -> Mapping[str, Any]:
    fields = row.get("user_fields")
    return fields if isinstance(fields, dict) else {}
