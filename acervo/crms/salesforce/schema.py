"""Our fields and our object in a Salesforce account: made once by one deployment, never changed under a person."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from acervo.crms.contract import CrmError, CrmErrorKind, CrmField, SchemaReport, Told, untold
from acervo.crms.mapping import TargetType
from acervo.crms.salesforce import package
from acervo.crms.salesforce.api import Api, Json
from acervo.crms.salesforce.definitions import (
    CONTACT_NAMES,
    Definition,
    contact_definitions,
    media_definitions,
)
from acervo.crms.salesforce.places import CUSTOM_OBJECT, MEDIA, TASKS, Place
from acervo.crms.salesforce.records import listed, quoted, select

WITHOUT_CUSTOM_OBJECTS = frozenset({"Personal Edition", "Contact Manager Edition", "Team Edition"})
"""`Organization.OrganizationType` of the editions where files become tasks. By memory: settle with a live account."""
_READ_AS: dict[str, TargetType] = {
    "string": "text",
    "textarea": "long_text",
    "url": "text",
    "double": "number",
    "int": "number",
    "datetime": "moment",
    "date": "day",
    "picklist": "choice",
    "boolean": "yes_no",
}
_POLL_S = 2.0
_PATIENCE_S = 60.0


async def account(api: Api) -> Json:
    """The organisation. It is seen by every user of the API."""
    columns = ("Id", "Name", "OrganizationType", "IsSandbox", "InstanceName")
    (found,) = await api.query(select(columns, "Organization"))
    if not found:
        raise CrmError(CrmErrorKind.FORBIDDEN, "our Salesforce user does not see its own organisation")
    return found[0]


def has_custom_objects(organisation: Json) -> bool:
    return organisation.get("OrganizationType") not in WITHOUT_CUSTOM_OBJECTS


async def ensure(
    api: Api, *, language: str, trusted_url: str | None, dry_run: bool, told: Told = untold
) -> SchemaReport:
    """Compares what is there with what we need; what is missing, and the rights to it, is one deployment."""
    organisation = await account(api)
    has_objects = has_custom_objects(organisation)
    place = CUSTOM_OBJECT if has_objects else TASKS
    every = contact_definitions(language) + media_definitions(language, place)
    seen = await _seen(api, [one.seen_on for one in every])
    hidden = await _hidden(api, every, seen)
    new = [one for one in every if one.seen_as not in seen and one.seen_as not in hidden]
    makes_object = has_objects and MEDIA not in seen and MEDIA not in hidden
    created = (*([MEDIA] if makes_object else []), *(one.full_name for one in new))
    is_complete = not new and not hidden
    if not dry_run:
        if not is_complete or not await _rights_exist(api):
            archive = package.archive(
                new, every, makes_object=makes_object, language=language, trusted_url=trusted_url
            )
            await _deploy(api, archive)
        await _take_rights(api)
        for name in created:
            await told(name)
    return SchemaReport(
        created=created,
        existing=tuple([MEDIA] if has_objects and not makes_object else [])
        + tuple(one.full_name for one in every if one not in new),
        conflicts=tuple(
            f"{one.full_name}: {difference}"
            for one in every
            if one.seen_as in seen
            for difference in one.differences(seen[one.seen_as])
        ),
        options={"model": "object" if has_objects else "activity", "org_id": organisation["Id"]},
    )


async def fields(api: Api, where: Place | str) -> list[CrmField]:
    """Every field our user may see, whoever made it."""
    object_name = where if isinstance(where, str) else where.object_name
    ours = set(CONTACT_NAMES.values() if isinstance(where, str) else where.names.values())
    ours |= set() if isinstance(where, str) else {*where.lookups.values(), *where.always}
    described = await api.describe(object_name)
    if described is None:
        raise CrmError(CrmErrorKind.NOT_FOUND, "the WhatsApp fields are not set up in Salesforce yet")
    rows = described.get("fields")
    return [
        CrmField(
            name=str(row["name"]),
            label=str(row.get("label") or row["name"]),
            type=_READ_AS.get(str(row.get("type")), "other"),
            is_writable=bool(row.get("updateable")),
            is_ours=str(row["name"]) in ours,
            limit=int(row.get("length") or 0) or None,
            choices=tuple(str(one.get("value")) for one in row.get("picklistValues") or ()),
        )
        for row in (rows if isinstance(rows, list) else ())
    ]


async def _seen(api: Api, object_names: Sequence[str]) -> dict[str, Json]:
    """What our user sees: objects by their name, fields as `Object.Field`."""
    seen: dict[str, Json] = {}
    for name in dict.fromkeys(object_names):
        if described := await api.describe(name):
            seen[name] = described
            seen |= {f"{name}.{field.get('name')}": field for field in described.get("fields") or ()}
    return seen


async def _hidden(api: Api, every: Sequence[Definition], seen: dict[str, Any]) -> set[str]:
    """What is there and hidden from our user: not to be made again, which might change what a person made."""
    missing = [one for one in every if one.seen_as not in seen]
    if not missing:
        return set()
    names = listed(sorted({one.seen_on for one in missing}))
    columns = ("EntityDefinition.QualifiedApiName", "QualifiedApiName")
    soql = select(columns, "FieldDefinition", f"EntityDefinition.QualifiedApiName IN {names}")
    rows = await api.tooling_query(soql)
    there = {f"{_entity(row)}.{row.get('QualifiedApiName')}" for row in rows}
    hidden = {one.seen_as for one in missing} & there
    if MEDIA not in seen and any(_entity(row) == MEDIA for row in rows):
        hidden.add(MEDIA)
    return hidden


def _entity(row: Json) -> str:
    entity = row.get("EntityDefinition")
    return str(entity.get("QualifiedApiName")) if isinstance(entity, dict) else ""


async def _rights_exist(api: Api) -> bool:
    return bool(await _rights(api))


async def _take_rights(api: Api) -> None:
    """Gives our own user the permission set we made."""
    rights = await _rights(api)
    if not rights:
        raise CrmError(CrmErrorKind.FORBIDDEN, "our Salesforce user does not see the permission set it made")
    user = await api.user()
    assignment = {"AssigneeId": str(user["user_id"]), "PermissionSetId": str(rights[0]["Id"])}
    try:
        await api.create("PermissionSetAssignment", assignment, effect="repeatable")
    except CrmError as error:
        if error.kind is not CrmErrorKind.CONFLICT:  # DUPLICATE_VALUE: it has them
            raise


async def _rights(api: Api) -> Sequence[Json]:
    (found,) = await api.query(select(["Id"], "PermissionSet", f"Name = {quoted(package.WRITERS)}"))
    return found


async def _deploy(api: Api, archive: bytes) -> None:
    deployment_id = await api.deploy(archive)
    until = api.pace.now() + _PATIENCE_S
    while not (result := await api.deployed(deployment_id)).get("done"):
        if api.pace.now() + _POLL_S > until:
            # Whoever comes next finds the fields there, or deploys the same again, which changes nothing.
            raise CrmError(
                CrmErrorKind.UNAVAILABLE, "Salesforce is still setting up the fields", retry_after_s=60.0
            )
        await api.pace.sleep(_POLL_S)
    if not result.get("success"):
        raise _refused(result)


def _refused(result: Json) -> CrmError:
    details = result.get("details")
    failures = details.get("componentFailures") if isinstance(details, dict) else None
    names = [str(one.get("fullName")) for one in failures or () if isinstance(one, dict)]
    known = [name for name in names if name.replace(".", "").replace("_", "").isalnum()]
    return CrmError(
        CrmErrorKind.FORBIDDEN,
        f"Salesforce did not make the fields ({', '.join(known[:5])})"
        if known
        else "Salesforce did not make the fields",
        vendor_code="DEPLOY_FAILED",
    )
