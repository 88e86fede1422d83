"""Users and their fields over the API."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sandbox.zendesk.account import Account
from sandbox.zendesk.calls import Answer, Call, Refusal, not_found, page_of
from sandbox.zendesk.people import User


def me(account: Account, call: Call) -> Answer:
    return 200, {"user": {"id": 360_000_000_001, "name": "Acervo", "role": account.role, "active": True}}


def anonymous() -> Answer:
    """What Zendesk tells whoever is not let in, with status 200."""
    return 200, {"user": {"id": None, "name": "Anonymous user", "role": "end-user", "active": True}}


def read(account: Account, call: Call) -> Answer:
    user = account.people.users.get(int(call.path["user_id"]))
    if user is None:
        raise not_found()
    return 200, {"user": account.people.as_json(user, call.base)}


def show_many(account: Account, call: Call) -> Answer:
    people = account.people
    asked = (call.query.get("ids") or call.query.get("external_ids") or "").split(",")
    if len(asked) > 100:
        raise Refusal(400, {"error": "TooManyIds", "description": "at most 100"})
    if "external_ids" in call.query:
        found = [user for key in asked if (user := people.by_external_id(key))]
    else:
        found = [user for key in asked if key.isdigit() and (user := people.users.get(int(key)))]
        if call.query.get("include_deleted") != "true":
            found = [user for user in found if user.is_active]
    answer = {"users": [people.as_json(user, call.base) for user in found], "count": len(found)}
    if call.query.get("include") == "identities":
        answer["identities"] = [
            {"user_id": user.id, "type": "phone_number", "value": number, "primary": False, "verified": True}
            for user in found
            for number in user.all_numbers
        ]
    return 200, answer


def search(account: Account, call: Call) -> Answer:
    hits = account.people.search(call.query["query"])[: int(call.query.get("per_page", 100))]
    users = [account.people.as_json(user, call.base) for user in hits]
    return 200, {"users": users, "count": len(users), "next_page": None}


def create_or_update(account: Account, call: Call) -> Answer:
    user, is_new = _create_or_update(account, call.part("user"))
    return (201 if is_new else 200), {"user": account.people.as_json(user, call.base)}


def create_or_update_many(account: Account, call: Call) -> Answer:
    def write(values: Mapping[str, Any]) -> dict[str, Any]:
        user, is_new = _create_or_update(account, values)
        return {"id": user.id, "status": "Created" if is_new else "Updated"}

    return _job(account, call, write)


def update_many(account: Account, call: Call) -> Answer:
    def write(values: Mapping[str, Any]) -> dict[str, Any]:
        changes = {name: value for name, value in values.items() if name != "id"}
        return {"id": _update(account, int(values["id"]), changes).id, "status": "Updated"}

    return _job(account, call, write)


def update(account: Account, call: Call) -> Answer:
    user = _update(account, int(call.path["user_id"]), call.part("user"))
    return 200, {"user": account.people.as_json(user, call.base)}


def _create_or_update(account: Account, values: Mapping[str, Any]) -> tuple[User, bool]:
    known = account.people.by_external_id(values.get("external_id") or "")
    if known:
        account.people.count_update(known)
    return account.people.write(known, values), known is None


def _update(account: Account, user_id: int, changes: Mapping[str, Any]) -> User:
    user = account.people.live(user_id)
    account.people.count_update(user)
    return account.people.write(user, changes)


def _job(account: Account, call: Call, write: Callable[[Mapping[str, Any]], dict[str, Any]]) -> Answer:
    users = call.body.get("users", [])
    if not 0 < len(users) <= 100:
        raise Refusal(400, {"error": "TooManyUsers", "description": "one to a hundred"})
    job = account.objects.run_job(users, write, fails_last=call.fails_last_item)
    return 200, {"job_status": account.objects.job_as_json(job, call.base)}


def list_fields(account: Account, call: Call) -> Answer:
    return page_of(list(account.people.fields.values()), "user_fields", call.query)


def create_field(account: Account, call: Call) -> Answer:
    return 201, {"user_field": account.people.define(call.part("user_field"))}
