"""Search by phone over an index that lags, and COQL, which does not."""

from __future__ import annotations

import re

from sandbox.zoho.account import Account
from sandbox.zoho.calls import Answer, Call, listed, record_json
from sandbox.zoho.records import Refusal

_PHONE = re.compile(r"[+]?[0-9\s\-().]{2,49}")
_TEST = r"(\w+) in \(((?:'[^']*'(?:, )?)+)\)"
_COQL = re.compile(
    rf"select (?P<names>[\w, ]+) from (?P<module>\w+) where (?P<where>{_TEST}|\({_TEST} or {_TEST}\)) limit (?P<limit>\d+)"  # noqa: S608
)


def search(account: Account, call: Call) -> Answer:
    phone = call.query.get("phone", "")
    if not _PHONE.fullmatch(phone):
        raise Refusal("INVALID_DATA", "invalid data", api_name="phone")
    module = account.module(call.path["module"])
    names = [one.api_name for one in module.fields.values() if one.data_type == "phone"]
    indexed_at = account.clock() - account.search_lag_s
    found = []
    for record in account.records[module.api_name].values():
        values = record.as_of(indexed_at)
        if record.is_live and values and any(_holds(account, values.get(name), phone) for name in names):
            found.append(record_json(account, record, call.query["fields"].split(",")))
    return listed(found)


def coql(account: Account, call: Call) -> Answer:
    query = _COQL.fullmatch(str(call.body.get("select_query")))
    if query is None:
        raise Refusal("SYNTAX_ERROR", "the query is not of the kind this simulation knows")
    module = account.module(query["module"])
    tests = {name: re.findall(r"'([^']*)'", values) for name, values in re.findall(_TEST, query["where"])}
    names = [one.strip() for one in query["names"].split(",")]
    if unknown := {*tests, *names} - {"id", *module.fields}:
        raise Refusal("INVALID_QUERY", "invalid query formed", api_name=unknown.pop())
    found = [
        record_json(account, one, names)
        for one in account.records[module.api_name].values()
        if one.is_live and any(one.values.get(name) in values for name, values in tests.items())
    ]
    return listed(found[: int(query["limit"])])


def _holds(account: Account, stored: str | None, wanted: str) -> bool:
    if not stored:
        return False
    if not account.finds_parts:
        return stored == wanted
    return _digits(wanted) in _digits(stored)


def _digits(text: str) -> str:
    return re.sub(r"\D", "", text)
