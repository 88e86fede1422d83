"""What the simulated organisation answers, call by call."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from sandbox.forms import Part
from sandbox.salesforce import content, deploys, soql
from sandbox.salesforce.fields import Refusal
from sandbox.salesforce.org import Org

VERSION = "67.0"
DATA = f"/services/data/v{VERSION}"
_PHONES = ("Phone", "MobilePhone", "HomePhone", "OtherPhone", "AssistantPhone")
_FREE_TO_CREATE = frozenset({"PermissionSetAssignment"})


@dataclass(frozen=True)
class Call:
    path: Mapping[str, str]
    query: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    file: Part | None = None
    fails_last_item: bool = False


Answer = tuple[int, Any]


def user_info(org: Org, call: Call) -> Answer:
    return 200, {"user_id": org.user_id, "organization_id": org.id, "preferred_username": org.username}


def describe(org: Org, call: Call) -> Answer:
    name = call.path["object"]
    if not org.sees_object(name):
        raise Refusal(404, "NOT_FOUND", "The requested resource does not exist")
    fields = [
        one.as_json()
        for one in org.objects[name].values()
        if org.sees(name, one.name) and "." not in one.name
    ]
    return 200, {"name": name, "fields": fields}


def query(org: Org, call: Call) -> Answer:
    return _found(soql.run(org, call.query["q"], with_deleted=False))


def query_all(org: Org, call: Call) -> Answer:
    return _found(soql.run(org, call.query["q"], with_deleted=True))


def tooling_query(org: Org, call: Call) -> Answer:
    """Field definitions, the hidden ones too."""
    wanted = re.findall(r"'(\w+)'", call.query["q"])
    if " FROM FieldDefinition WHERE EntityDefinition.QualifiedApiName IN " not in call.query["q"]:
        raise Refusal(400, "MALFORMED_QUERY", "not simulated")
    return _found(
        [
            {"EntityDefinition": {"QualifiedApiName": name}, "QualifiedApiName": one}
            for name in wanted
            for one in org.objects.get(name, ())
        ]
    )


def search(org: Org, call: Call) -> Answer:
    """An index of digits that knows only what was true some seconds ago, and looks at whole numbers."""
    terms = set(call.body["q"].split(" OR ")) if org.joins_search_terms else {call.body["q"]}
    indexed_at = org.clock() - org.search_lag_s
    found = []
    for wanted in call.body["sobjects"]:
        for record in org.live_of(wanted["name"]):
            values = record.as_of(indexed_at) or {}
            if any(re.sub(r"\D", "", values.get(name) or "") in terms for name in _PHONES):
                for name in wanted.get("fields", ()):
                    if name != "Id":
                        org.definition(wanted["name"], name)
                shown = {name: record.get(name) for name in wanted.get("fields", ("Id",))}
                found.append({"attributes": {"type": wanted["name"], "url": "/x"}, **shown})
    return 200, {"searchRecords": found[:2000]}


def create(org: Org, call: Call) -> Answer:
    name = call.path["object"]
    if not org.sees_object(name):
        raise Refusal(404, "NOT_FOUND", "The requested resource does not exist")
    record = org.write(name, None, call.body, is_system=name in _FREE_TO_CREATE)
    return 201, {"id": record.id, "success": True, "errors": []}


def publish(org: Org, call: Call) -> Answer:
    if call.file is None:
        raise Refusal(
            400, "REQUIRED_FIELD_MISSING", "Required fields are missing: [VersionData]", ["VersionData"]
        )
    return 201, {"id": content.publish(org, call.body, call.file).id, "success": True, "errors": []}


def update(org: Org, call: Call) -> Answer:
    record = org.live(call.path["id"])
    if record.object_name != call.path["object"]:
        raise Refusal(404, "NOT_FOUND", "The requested resource does not exist")
    org.write(record.object_name, record.id, call.body)
    return 204, None


def delete(org: Org, call: Call) -> Answer:
    org.delete(call.path["id"])
    return 204, None


def upsert_many(org: Org, call: Call) -> Answer:
    """200 with a result per record, whatever became of each."""
    name, key, records = call.path["object"], call.path["key"], call.body["records"]
    if not org.sees_object(name):
        raise Refusal(404, "NOT_FOUND", "The requested resource does not exist")
    if len(records) > 200:
        raise Refusal(400, "EXCEEDED_MAX_SIZE_REQUEST", "record limit reached")
    if len({str(one.get(key)).lower() for one in records}) < len(records):
        raise Refusal(400, "DUPLICATE_VALUE", "Duplicate external id specified")

    def write(values: Any) -> dict[str, Any]:
        known = org.by_key(name, key, values.get(key))
        record = org.write(name, known.id if known else None, values)
        return {"id": record.id, "success": True, "created": known is None, "errors": []}

    return 200, _each(call, records, write)


def update_many(org: Org, call: Call) -> Answer:
    """The same by the organisation's own ids."""
    records = call.body["records"]
    if len(records) > 200:
        raise Refusal(400, "EXCEEDED_MAX_SIZE_REQUEST", "record limit reached")
    if len({one["id"] for one in records}) < len(records):
        raise Refusal(400, "DUPLICATE_VALUE", "Duplicate id specified")

    def write(values: Any) -> dict[str, Any]:
        record = org.live(values["id"])
        org.write(record.object_name, record.id, {k: v for k, v in values.items() if k != "id"})
        return {"id": record.id, "success": True, "errors": []}

    return 200, _each(call, records, write)


def _each(call: Call, records: Any, write: Callable[[Any], dict[str, Any]]) -> list[dict[str, Any]]:
    """A result per record, whatever became of the others."""
    results = []
    for place, values in enumerate(records):
        try:
            if call.fails_last_item and place == len(records) - 1:
                raise Refusal(400, "UNABLE_TO_LOCK_ROW", "unable to obtain exclusive access to this record")
            results.append(write(values))
        except Refusal as refusal:
            results.append({"success": False, "errors": [_told(values, refusal)]})
    return results


def _told(values: Any, refusal: Refusal) -> dict[str, Any]:
    error: dict[str, Any] = {
        "statusCode": refusal.code,
        "message": refusal.message,
        "fields": refusal.fields,
    }
    if refusal.matches:
        kind = values.get("attributes", {}).get("type")
        found = [{"record": {"attributes": {"type": kind}, "Id": one}} for one in refusal.matches]
        error["duplicateResut"] = {"matchResults": [{"matchRecords": found}]}
    return error


def composite(org: Org, call: Call) -> Answer:
    """Only what is asked here: queries. Each part has a status of its own."""
    answers = []
    for part in call.body["compositeRequest"]:
        address = urlsplit(part["url"])
        inner = Call(path={}, query={name: values[0] for name, values in parse_qs(address.query).items()})
        endpoint = {f"{DATA}/query": query, f"{DATA}/queryAll": query_all}[address.path.rstrip("/")]
        try:
            status, body = endpoint(org, inner)
        except Refusal as refusal:
            status, body = refusal.status, [refusal.as_json()]
        answers.append(
            {"body": body, "httpHeaders": {}, "httpStatusCode": status, "referenceId": part["referenceId"]}
        )
    return 200, {"compositeResponse": answers}


def deploy(org: Org, call: Call) -> Answer:
    archive = call.file.content if call.file else b""
    return 201, {"id": deploys.begin(org, archive), "deployOptions": {}}


def deploy_status(org: Org, call: Call) -> Answer:
    return 200, {"id": call.path["id"], "deployResult": deploys.status(org, call.path["id"])}


def _found(rows: list[dict[str, Any]]) -> Answer:
    return 200, {"totalSize": len(rows), "done": True, "records": rows}
