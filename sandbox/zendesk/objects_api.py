"""Custom objects, their fields, records and jobs over the API."""

from __future__ import annotations

from sandbox.zendesk.account import Account
from sandbox.zendesk.calls import Answer, Call, Refusal, forbidden, moment, not_found, page_of


def read_object(account: Account, call: Call) -> Answer:
    return 200, {"custom_object": account.objects.get(call.path["key"]).definition}


def object_limit(account: Account, call: Call) -> Answer:
    account.objects.need_plan()
    return 200, {"count": len(account.objects.objects), "limit": account.objects.limit}


def create_object(account: Account, call: Call) -> Answer:
    _needs_admin(account)
    made = account.objects.create(call.part("custom_object"))
    now = moment(account.clock())
    return 201, {"custom_object": {**made.definition, "created_at": now, "updated_at": now}}


def list_fields(account: Account, call: Call) -> Answer:
    fields = list(account.objects.get(call.path["key"]).fields.values())
    return page_of(fields, "custom_object_fields", call.query)


def create_field(account: Account, call: Call) -> Answer:
    _needs_admin(account)
    made = account.objects.define(call.path["key"], call.part("custom_object_field"))
    return 201, {"custom_object_field": made}


def list_records(account: Account, call: Call) -> Answer:
    key = call.path["key"]
    one = account.objects.get(key)
    if "filter[external_ids]" in call.query:
        asked = call.query["filter[external_ids]"].split(",")
        found = [one.held[external_id] for external_id in asked if external_id in one.held]
    else:
        found = [one.records[id_] for id_ in call.query["filter[ids]"].split(",") if id_ in one.records]
    if len(found) > 100:
        raise Refusal(400, {"error": "TooManyIds", "description": "at most 100"})
    shown = [account.objects.as_json(key, record, call.base) for record in found]
    return page_of(shown, "custom_object_records", call.query)


def upsert_record(account: Account, call: Call) -> Answer:
    key = call.path["key"]
    record, _ = account.objects.upsert(key, call.query["external_id"], call.part("custom_object_record"))
    return 200, {"custom_object_record": account.objects.as_json(key, record, call.base)}


def read_record(account: Account, call: Call) -> Answer:
    key = call.path["key"]
    record = account.objects.record(key, call.path["record_id"])
    return 200, {"custom_object_record": account.objects.as_json(key, record, call.base)}


def update_record(account: Account, call: Call) -> Answer:
    key = call.path["key"]
    record = account.objects.record(key, call.path["record_id"])
    account.objects.change(key, record, call.part("custom_object_record"))
    return 200, {"custom_object_record": account.objects.as_json(key, record, call.base)}


def delete_record(account: Account, call: Call) -> Answer:
    key = call.path["key"]
    account.objects.delete(key, account.objects.record(key, call.path["record_id"]))
    return 204, None


def start_job(account: Account, call: Call) -> Answer:
    body = call.part("job")
    items = body.get("items", [])
    if body.get("action") != "create_or_update_by_external_id" or not 0 < len(items) <= 100:
        raise Refusal(400, {"error": "InvalidJob", "description": "an unknown action, or too many items"})
    job = account.objects.start_job(call.path["key"], items, fails_last=call.fails_last_item)
    return 200, {"job_status": account.objects.job_as_json(job, call.base)}


def read_job(account: Account, call: Call) -> Answer:
    job = account.objects.jobs.get(call.path["job_id"])
    if job is None:
        raise not_found()
    return 200, {"job_status": account.objects.job_as_json(job, call.base)}


def _needs_admin(account: Account) -> None:
    if account.role != "admin":
        raise forbidden()
