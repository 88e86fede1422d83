"""Our fields and our module in a Zoho account: made once, compared ever after, never changed under a person."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from acervo.crms.contract import CrmError, CrmErrorKind, CrmField, SchemaReport, Told, untold
from acervo.crms.fields import CHOICE_LABELS, CONTACT_FIELDS, MEDIA_FIELDS, Field, choice_label
from acervo.crms.mapping import TargetType
from acervo.crms.zoho.api import FIELDS_AT_ONCE, Api, Json
from acervo.crms.zoho.names import CONTACTS, LABELS, LOOKUPS, MODULE, MODULES, expected

EDITIONS_WITHOUT_MODULES = frozenset({"free", "standard", "starter", "bigin"})
"""Not asked for a module of our own; for any other, Zoho's refusal has the last word."""
RELATED_LIST = "WhatsApp media"
"""The heading on a contact's, deal's, case's and campaign's page, beneath which its files stand."""
_TITLE = "title"
_DISPLAY_FIELD = "Name"
_LENGTHS = {"media_id": 64, "person_id": 64, "phone_e164": 20, "sha256": 64}
_WEB = frozenset({"url", "last_media_url"})
_WEB_LIMIT = 450
_TYPES = {"long_text": "textarea", "moment": "datetime", "choice": "picklist"}
_READ_AS: Mapping[str, TargetType] = {
    "text": "text",
    "website": "text",
    "textarea": "long_text",
    "integer": "number",
    "bigint": "number",
    "double": "number",
    "datetime": "moment",
    "date": "day",
    "picklist": "choice",
    "boolean": "yes_no",
}
_TEXTS = frozenset({"text", "website", "textarea"})

_NO_MODULES = frozenset({CrmErrorKind.FORBIDDEN, CrmErrorKind.UNSUPPORTED})


@dataclass
class _Findings:
    """What a run met, collected as it goes."""

    told: Told
    created: list[str] = field(default_factory=list)
    existing: list[str] = field(default_factory=list)
    conflicts: list[str] = field(default_factory=list)
    names: dict[str, dict[str, str]] = field(default_factory=lambda: {"contact": {}, "media": {}})
    choices: dict[str, dict[str, str]] = field(default_factory=dict)


async def ensure(api: Api, *, language: str, dry_run: bool, told: Told = untold) -> SchemaReport:
    """Contact fields first, then our module, or the news that this edition has none."""
    org = await api.org()
    edition = edition_of(org)
    findings = _Findings(told)
    contact = {one.name: definition("contact", one, language) for one in CONTACT_FIELDS}
    await _ensure_fields(api, "contact", CONTACTS, contact, language, findings, dry_run=dry_run)
    module = await _ensure_module(api, edition, language, findings, dry_run=dry_run)
    is_object = module is not None
    return SchemaReport(
        created=tuple(findings.created),
        existing=tuple(findings.existing),
        conflicts=tuple(findings.conflicts),
        options={
            "model": "object" if is_object else "activity",
            "module": module.get("api_name") if module else None,
            "media_tab": module.get("module_name") if module else None,
            "org_id": str(org["zgid"]),
            "edition": edition,
            "fields": findings.names,
            "choices": findings.choices,
        },
    )


async def fields(api: Api, module: str, ours: Mapping[str, str]) -> list[CrmField]:
    """Every field of a module, whoever made it. Contacts are read by a query, which takes no long texts."""
    known = set(ours.values())
    return [
        CrmField(
            name=str(row["api_name"]),
            label=str(row.get("field_label") or row["api_name"]),
            type="other"
            if module == CONTACTS and row.get("data_type") == "textarea"
            else _READ_AS.get(str(row.get("data_type")), "other"),
            is_writable=row.get("read_only") is not True and row.get("field_read_only") is not True,
            is_ours=str(row["api_name"]) in known,
            limit=int(row.get("length") or 0) or None,
            choices=tuple(str(one.get("actual_value")) for one in row.get("pick_list_values") or ()),
        )
        for row in await api.fields(module)
        if row.get("api_name")
    ]


async def find_module(api: Api) -> Json | None:
    """By the api name we asked for, or else by the label, should Zoho have chosen another."""
    rows = await api.modules()
    by_name = (row for row in rows if row.get("api_name") == MODULE)
    by_label = (row for row in rows if row.get("singular_label") == MODULE)
    return next(by_name, None) or next(by_label, None)


def edition_of(org: Json) -> str:
    licence = org.get("license_details")
    return str(licence.get("paid_type") or "").lower() if isinstance(licence, dict) else ""


async def _ensure_module(
    api: Api, edition: str, language: str, findings: _Findings, *, dry_run: bool
) -> Json | None:
    module = await find_module(api)
    if module is None and edition in EDITIONS_WITHOUT_MODULES:
        return None
    wanted = media_definitions(language)
    if module is None and dry_run:
        made_with_it = {_TITLE}
        names = (api_name for name, api_name in expected("media").items() if name not in made_with_it)
        findings.created += (MODULE, *(f"media.{name}" for name in names))
        return {}
    if module is not None:
        findings.existing.append(MODULE)
    elif (module := await _create_module(api, findings)) is None:
        return None
    await _ensure_fields(api, "media", str(module["api_name"]), wanted, language, findings, dry_run=dry_run)
    return module


async def _create_module(api: Api, findings: _Findings) -> Json | None:
    """None where edition or profile forbid it. It costs 500 credits and is not idempotent, so it is looked for
    before, and again after a refusal or an answer that never came."""
    profiles = [{"id": str(row["id"])} for row in await api.profiles() if row.get("id")]
    try:
        outcome = await api.create_module(module_definition(profiles))
    except CrmError as error:
        outcome = error
    found = await find_module(api)
    if isinstance(outcome, CrmError):
        if found is None and outcome.kind in _NO_MODULES:
            return None
        if found is None:
            raise outcome
        findings.existing.append(MODULE)
        return found
    if found is None:
        raise CrmError(CrmErrorKind.LOCKED, "Zoho is still making the module", retry_after_s=30)
    findings.created.append(MODULE)
    await findings.told(MODULE)
    return found


async def _ensure_fields(
    api: Api,
    place: str,
    module: str,
    wanted: Mapping[str, Json],
    language: str,
    findings: _Findings,
    *,
    dry_run: bool,
) -> None:
    there = _ours(place, await api.fields(module))
    missing = [name for name in wanted if name not in there]
    made = (
        set(missing) if dry_run else await _create_fields(api, place, module, wanted, missing, findings.told)
    )
    if missing and not dry_run:
        there = _ours(place, await api.fields(module))
        if any(name not in there for name in wanted if name not in LOOKUPS[1:]):
            raise CrmError(CrmErrorKind.LOCKED, "Zoho is still making the fields", retry_after_s=30)
        await _relabel(api, place, module, {name: there[name] for name in made if name in there}, language)
    for name, definition_ in wanted.items():
        title = f"{place}.{expected(place)[name]}"
        if name in made:
            findings.created.append(title)
        elif name in there:
            findings.existing.append(title)
            findings.conflicts += (
                f"{title}: {one}" for one in _differences(place, name, definition_, there[name])
            )
        if row := there.get(name):
            findings.names[place][name] = str(row["api_name"])
            if row.get("data_type") == "picklist":
                findings.choices[f"{place}.{name}"] = _offered(place, name, row)


async def _create_fields(
    api: Api, place: str, module: str, wanted: Mapping[str, Json], missing: Sequence[str], told: Told
) -> set[str]:
    """Which were made now. One that somebody else made meanwhile is just as good; a tie that this edition has no
    module for is left out."""
    made: set[str] = set()
    for start in range(0, len(missing), FIELDS_AT_ONCE):
        names = missing[start : start + FIELDS_AT_ONCE]
        try:
            outcomes = await api.create_fields(module, [wanted[name] for name in names])
        except CrmError as error:
            outcomes = [error] * len(names)
        for name, outcome in zip(names, outcomes, strict=True):
            if not isinstance(outcome, CrmError):
                made.add(name)
                await told(f"{place}.{expected(place)[name]}")
            elif outcome.kind is not CrmErrorKind.CONFLICT and name not in LOOKUPS[1:]:
                raise outcome
    return made


async def _relabel(api: Api, place: str, module: str, made: Mapping[str, Json], language: str) -> None:
    """In the language of the people who use the CRM, once the api name is the one we look for ever after. A label
    that Zoho does not take, or that stands there already, is no reason to stop: ours from before stays."""
    for one in CONTACT_FIELDS if place == "contact" else MEDIA_FIELDS:
        row = made.get(one.name)
        if row and row["api_name"] == expected(place)[one.name]:
            with suppress(CrmError):
                await api.rename_field(module, str(row["id"]), one.label(language))


def _ours(place: str, rows: Sequence[Json]) -> dict[str, Json]:
    """By api name, which people cannot change, or else by the label it was made with."""
    found: dict[str, Json] = {}
    for name, api_name in expected(place).items():
        by_name = [row for row in rows if row.get("api_name") == api_name]
        by_label = [row for row in rows if row.get("field_label") == LABELS[place][name]]
        if both := by_name or by_label:
            found[name] = both[0]
    # People may have renamed it: then by Zoho's own name for the field they see first.
    display = next((row for row in rows if row.get("api_name") == _DISPLAY_FIELD), None)
    if place == "media" and display and _TITLE not in found:
        found[_TITLE] = display
    return found


def _differences(place: str, name: str, wanted: Json, row: Json) -> Iterable[str]:
    ours, theirs = wanted["data_type"], row.get("data_type")
    if name == _TITLE and place == "media":
        return
    if theirs != ours and not (ours in _TEXTS and theirs in _TEXTS and ours != "textarea"):
        yield f"is {theirs}, we write {ours}"
    if "unique" in wanted and not row.get("unique"):
        yield "is not unique, so records of ours may be doubled"
    if theirs == ours == "picklist":
        offered = _offered(place, name, row)
        if missing := [choice for choice in _choices(place, name) if choice not in offered]:
            yield f"lacks the options {', '.join(missing)}"


def _choices(place: str, name: str) -> tuple[str, ...]:
    fields = CONTACT_FIELDS if place == "contact" else MEDIA_FIELDS
    return next((one.choices for one in fields if one.name == name), ())


def _offered(place: str, name: str, row: Json) -> dict[str, str]:
    """Our choices to the values of this picklist, whichever of our languages it was made in."""
    values = [
        str(one.get("actual_value")) for one in row.get("pick_list_values") or () if isinstance(one, dict)
    ]
    return {
        choice: value
        for choice in _choices(place, name)
        for value in values
        if value in (choice, *CHOICE_LABELS[choice])
    }


def definition(place: str, one: Field, language: str) -> dict[str, Any]:
    """A field of ours as Zoho wants it. `unique` can be said only now, as far as we know."""
    made: dict[str, Any] = {"field_label": LABELS[place][one.name], "data_type": _type(one)}
    if made["data_type"] == "textarea":
        made["textarea"] = {"type": "large"}
    elif made["data_type"] == "website":
        made["length"] = _WEB_LIMIT
    elif made["data_type"] == "text":
        made["length"] = _LENGTHS.get(one.name, 255)
    if one.is_unique:
        made["unique"] = {"case_sensitive": True}
    if one.choices:
        # Which of the two values the API takes is not documented for certain: with both alike it does not matter.
        labels = [choice_label(choice, language) for choice in one.choices]
        made["pick_list_values"] = [{"display_value": label, "actual_value": label} for label in labels]
    return made


def media_definitions(language: str) -> dict[str, Json]:
    """The fields of our module and what its records can point at. The title is made with the module."""
    made: dict[str, Json] = {one.name: definition("media", one, language) for one in MEDIA_FIELDS}
    for kind in LOOKUPS:
        made[kind] = {
            "field_label": LABELS["media"][kind],
            "data_type": "lookup",
            "lookup": {"module": {"api_name": MODULES[kind]}, "display_label": RELATED_LIST},
        }
    return made


def module_definition(profiles: Sequence[Json]) -> dict[str, Any]:
    """Labels of a module take letters and digits only: a space is refused."""
    return {
        "singular_label": MODULE,
        "plural_label": MODULE + "s",
        "api_name": MODULE,
        "profiles": list(profiles),
        "display_field": {"field_label": LABELS["media"][_TITLE], "data_type": "text"},
    }


def _type(one: Field) -> str:
    if one.name in _WEB:
        return "website"
    if one.type == "number":
        return "bigint" if one.name == "size_bytes" else "integer"
    return _TYPES.get(one.type, "text")
