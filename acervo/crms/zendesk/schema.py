"""Our fields and our object in a Zendesk account: made once, compared ever after, never changed under a person."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from acervo.crms.contract import CrmError, CrmErrorKind, CrmField, SchemaReport, Told, untold
from acervo.crms.fields import CONTACT_FIELDS, MEDIA_FIELDS, Field, choice_label
from acervo.crms.mapping import Place, TargetType
from acervo.crms.zendesk.api import MEDIA_OBJECT, SMALLEST_PLAN_PER_MINUTE, Api, Json

OBJECT_LABEL = "WhatsApp media"
KEY, TITLE = "external_id", "name"
"""Zendesk has these two on every record: our id and the title go there, and need no fields."""
NAMES = {
    one.name: "media_url" if one.name == "url" else one.name
    for one in MEDIA_FIELDS
    if one.name not in {"media_id", "title"}
}
"""Our other media fields under their keys on the object."""
RECEIVED_ON, CONTACT, TICKET = "received_on", "contact", "ticket"

_TAKEN = frozenset({CrmErrorKind.CONFLICT, CrmErrorKind.VALIDATION})
"""How a key that is taken may be refused: the code word for it is not documented."""
_TYPES = {
    "text": "text",
    "long_text": "textarea",
    "number": "integer",
    "moment": "text",  # there is no type with a time of day; ISO 8601 in UTC sorts as text
    "choice": "dropdown",
}
_READ_AS: dict[str, TargetType] = {
    "text": "text",
    "textarea": "long_text",
    "integer": "number",
    "decimal": "number",
    "date": "day",
    "dropdown": "choice",
    "checkbox": "yes_no",
}
_THEIR_OWN = (
    (Field(RECEIVED_ON, "text", "Received on", "Recebido em", "Recibido el"), {"type": "date"}),
    (
        Field(CONTACT, "text", "Contact", "Contato", "Contacto"),
        {"type": "lookup", "relationship_target_type": "zen:user"},
    ),
    (
        Field(TICKET, "text", "Ticket", "Ticket", "Ticket"),
        {"type": "lookup", "relationship_target_type": "zen:ticket"},
    ),
)
"""What only Zendesk has: a day to filter by, and lookups, which cannot be pointed elsewhere later."""


@dataclass
class _Findings:
    """What a run met, collected as it goes."""

    told: Told
    created: list[str] = field(default_factory=list)
    existing: list[str] = field(default_factory=list)
    conflicts: list[str] = field(default_factory=list)


async def ensure(api: Api, *, language: str, dry_run: bool, told: Told = untold) -> SchemaReport:
    """Fields of people first, then the media object, or the news that this plan has no room for it."""
    await api.me()
    findings = _Findings(told)
    people = [(f"contact.{one['key']}", one) for one in map(_user_field(language), CONTACT_FIELDS)]
    await _ensure(people, api.user_fields, api.create_user_field, findings, dry_run=dry_run)
    has_object = await _ensure_object(api, findings, dry_run=dry_run)
    if has_object:
        wanted = [(f"media.{one['key']}", one) for one in media_definitions(language)]
        is_there = not (dry_run and MEDIA_OBJECT in findings.created)
        there = api.media_fields if is_there else _nothing
        await _ensure(wanted, there, api.create_media_field, findings, dry_run=dry_run)
    return SchemaReport(
        created=tuple(findings.created),
        existing=tuple(findings.existing),
        conflicts=tuple(findings.conflicts),
        options={
            "model": "object" if has_object else "activity",
            "per_minute": api.http.usage.get("minute_max", SMALLEST_PLAN_PER_MINUTE),
        },
    )


async def fields(api: Api, place: Place) -> list[CrmField]:
    """All fields but those every record has, whoever made them."""
    if place == "contact":
        ours = {f"wa_{one.name}" for one in CONTACT_FIELDS}
        rows: Sequence[Json] = await api.user_fields()
    else:
        ours = {*NAMES.values(), *(one.name for one, _ in _THEIR_OWN)}
        rows = await api.media_fields()
    return [
        CrmField(
            name=str(row["key"]),
            label=str(row.get("title") or row["key"]),
            type=_READ_AS.get(str(row.get("type")), "other"),
            is_writable=row.get("active") is not False,
            is_ours=str(row["key"]) in ours,
            choices=tuple(str(one.get("value")) for one in row.get("custom_field_options") or ()),
        )
        for row in rows
        if row.get("key")
    ]


async def has_room(api: Api) -> bool:
    """Whether our object is there, or could be made. False where the plan has no custom objects, or they are
    all used for something else."""
    try:
        if await api.media_object() is not None:
            return True
        limit = await api.object_limit()
    except CrmError as error:
        if error.kind in {CrmErrorKind.FORBIDDEN, CrmErrorKind.NOT_FOUND}:
            return False
        raise
    count, most = limit.get("count"), limit.get("limit")
    return not (isinstance(count, int) and isinstance(most, int) and count >= most)


async def _ensure_object(api: Api, findings: _Findings, *, dry_run: bool) -> bool:
    if not await has_room(api):
        return False
    if await api.media_object() is not None:
        findings.existing.append(MEDIA_OBJECT)
        return True
    if dry_run:
        findings.created.append(MEDIA_OBJECT)
        return True
    try:
        await api.create_media_object(object_definition())
    except CrmError as error:
        if error.kind not in _TAKEN or await api.media_object() is None:
            raise
        findings.existing.append(MEDIA_OBJECT)
    else:
        findings.created.append(MEDIA_OBJECT)
        await findings.told(MEDIA_OBJECT)
    return True


async def _ensure(
    wanted: Sequence[tuple[str, dict[str, Any]]],
    look: Callable[[], Awaitable[Sequence[Json]]],
    create: Callable[[Json], Awaitable[None]],
    findings: _Findings,
    *,
    dry_run: bool,
) -> None:
    by_key = {str(row.get("key")): row for row in await look()}
    for name, definition in wanted:
        row = by_key.get(definition["key"])
        if row is None:
            is_new = dry_run or await _create(definition, look, create)
            (findings.created if is_new else findings.existing).append(name)
            if is_new and not dry_run:
                await findings.told(name)
        else:
            findings.existing.append(name)
            findings.conflicts += (f"{name}: {difference}" for difference in _differences(definition, row))


async def _create(
    definition: Json, look: Callable[[], Awaitable[Sequence[Json]]], create: Callable[[Json], Awaitable[None]]
) -> bool:
    """Whether it was made now. Refused because somebody was faster is just as good."""
    try:
        await create(definition)
    except CrmError as error:
        if error.kind not in _TAKEN or all(row.get("key") != definition["key"] for row in await look()):
            raise
        return False
    return True


async def _nothing() -> Sequence[Json]:
    return []


def _differences(wanted: Json, row: Json) -> Iterable[str]:
    if row.get("type") != wanted["type"]:
        yield f"is {row.get('type')}, we write {wanted['type']}"
        return
    target = wanted.get("relationship_target_type")
    if target != row.get("relationship_target_type") and target:
        yield f"points to {row.get('relationship_target_type')}, we write {target}"
    if row.get("active") is False:
        yield "is switched off"
    offered = {option.get("value") for option in row.get("custom_field_options") or []}
    options = [option["value"] for option in wanted.get("custom_field_options", [])]
    if missing := [option for option in options if option not in offered]:
        yield f"lacks the options {', '.join(missing)}"


def option(name: str, choice: str) -> str:
    """A choice as Zendesk stores it. Options are tags, and a tag belongs to one field of the account."""
    return f"wa_{name}_{choice}"


def object_definition() -> dict[str, Any]:
    return {
        "key": MEDIA_OBJECT,
        "title": OBJECT_LABEL,
        "title_pluralized": OBJECT_LABEL,
        "include_in_list_view": True,
        "allows_attachments": False,
    }


def media_definitions(language: str) -> list[dict[str, Any]]:
    """The fields of our object, in the order agents see them."""
    ours = [_definition(one, NAMES[one.name], language) for one in MEDIA_FIELDS if one.name in NAMES]
    theirs = [{"key": one.name, "title": one.label(language), **definition} for one, definition in _THEIR_OWN]
    return ours + theirs


def _user_field(language: str) -> Any:
    def define(one: Field) -> dict[str, Any]:
        definition = _definition(one, f"wa_{one.name}", language)
        if one.type == "choice":
            # A drop-down would put its option among the tags of all tickets of that person.
            definition = {"key": definition["key"], "type": "text", "title": definition["title"]}
        return definition

    return define


def _definition(one: Field, key: str, language: str) -> dict[str, Any]:
    definition: dict[str, Any] = {"key": key, "type": _TYPES[one.type], "title": one.label(language)}
    if one.choices:
        definition["custom_field_options"] = [
            {"name": choice_label(choice, language), "value": option(one.name, choice)}
            for choice in one.choices
        ]
    return definition
