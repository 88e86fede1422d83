"""Zoho's calls as we use them: version, paths and limits in one place. Nothing here decides anything."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import httpx

from acervo.crms.batches import chunks
from acervo.crms.bodies import Body
from acervo.crms.contract import CrmCredentials, CrmError, CrmErrorKind
from acervo.crms.http import CrmHttp, Effect, connection_key
from acervo.crms.pace import Pace, shared_pace
from acervo.crms.zoho.access import authorize
from acervo.crms.zoho.centres import centre_of
from acervo.crms.zoho.errors import CREDITS_LEFT, QUOTA_WAIT_S, read_error, read_item_error

API_VERSION = "v8"
BATCH = 100
FIELDS_AT_ONCE = 5
PAGE = 200
ATTACHMENTS = "Attachments"

LANES = (("burst", 50, 1.0),)
"""Zoho counts calls under way, not calls a second; this keeps a storm of refusals from hammering it."""
AT_ONCE = 5
"""Ten are allowed on the smallest paid edition (2026-11); the rest is room for other apps."""
USAGE_HEADERS = {"credits_left": CREDITS_LEFT}
CREDITS_OF_A_DAY = {"free": 5_000}
USUAL_CREDITS = 50_000
KEPT_SHARE = 0.05
"""Of the day's credits, for other apps: we stop before they are gone."""

Json = Mapping[str, Any]
Outcome = Json | CrmError
"""What became of one record of a batch: its `details`, or why not."""


class Api:
    """One account. Answers are Zoho's own JSON; refusals are CrmError."""

    def __init__(self, credentials: CrmCredentials, http: httpx.AsyncClient, pace: Pace | None) -> None:
        base_url = f"{centre_of(credentials).api}/crm/{API_VERSION}"
        key = connection_key(base_url, credentials.secrets["refresh_token"])
        edition = str(credentials.options.get("edition") or "")
        self._credits_kept = KEPT_SHARE * CREDITS_OF_A_DAY.get(edition, USUAL_CREDITS)
        self.http = CrmHttp(
            http,
            base_url=base_url,
            token=authorize(credentials, http),
            scheme="Zoho-oauthtoken",
            pace=pace or shared_pace(key, LANES, at_once=AT_ONCE),
            read_error=read_error,
            usage_headers=USAGE_HEADERS,
        )

    # --- the account and its schema ---

    async def org(self) -> Json:
        rows = _rows(await self._call("GET", "/org"), "org")
        if not rows or not rows[0].get("zgid"):
            raise _odd()
        return rows[0]

    async def profiles(self) -> Sequence[Json]:
        return _rows(await self._call("GET", "/settings/profiles"), "profiles")

    async def modules(self) -> Sequence[Json]:
        return _rows(await self._call("GET", "/settings/modules"), "modules")

    async def create_module(self, definition: Json) -> Outcome:
        answer = await self._call("POST", "/settings/modules", json={"modules": [definition]})
        return _outcomes(answer, "modules", 1)[0]

    async def fields(self, module: str) -> Sequence[Json]:
        return _rows(await self._call("GET", "/settings/fields", params={"module": module}), "fields")

    async def create_fields(self, module: str, definitions: Sequence[Json]) -> list[Outcome]:
        """At most five at once. Not idempotent: one that is there is refused."""
        answer = await self._call(
            "POST", "/settings/fields", params={"module": module}, json={"fields": list(definitions)}
        )
        return _outcomes(answer, "fields", len(definitions))

    async def rename_field(self, module: str, field_id: str, label: str) -> None:
        """The label alone; the api name stays."""
        path, body = f"/settings/fields/{field_id}", {"fields": [{"field_label": label}]}
        done(_outcomes(await self._call("PATCH", path, params={"module": module}, json=body), "fields", 1))

    # --- records ---

    async def by_key(self, module: str, key: str, values: Sequence[str], names: Sequence[str]) -> list[Json]:
        """Records whose field `key` holds one of the values, exactly and at once, unlike search; and the values
        stay out of the address."""
        found: list[Json] = []
        for chunk in chunks(values, BATCH):
            found += await self.by_any_key(module, {key: chunk}, names)
        return found

    async def by_any_key(
        self, module: str, keys: Mapping[str, Sequence[str]], names: Sequence[str]
    ) -> list[Json]:
        """The same by several fields at once. Values are keys of ours, so nothing has to be escaped."""
        wanted = ", ".join(dict.fromkeys(("id", *keys, *names)))
        tests = [f"{key} in ({', '.join(map(_quoted, values))})" for key, values in keys.items()]
        where = f"({' or '.join(tests)})" if len(tests) > 1 else tests[0]
        query = f"select {wanted} from {module} where {where} limit {PAGE}"  # noqa: S608  (COQL, of checked values)
        return _rows(await self._call("POST", "/coql", json={"select_query": query}, effect="read"))

    async def search_phone(self, module: str, phone: str, names: Sequence[str]) -> list[Json]:
        """All phone fields at once; the index lags."""
        params = {"phone": phone, "fields": ",".join(("id", *names))}
        return _rows(await self._call("GET", f"/{module}/search", params=params))

    async def read(self, module: str, ids: Sequence[str], names: Sequence[str]) -> list[Json]:
        """Those that exist, in any order."""
        found: list[Json] = []
        for chunk in chunks(ids, BATCH):
            params = {"ids": ",".join(chunk), "fields": ",".join(names)}
            found += _rows(await self._call("GET", f"/{module}", params=params))
        return found

    async def related(self, module: str, record_id: str, list_: str, names: Sequence[str]) -> list[Json]:
        found: list[Json] = []
        page = 1
        while True:
            params: dict[str, str | int] = {"fields": ",".join(names), "page": page, "per_page": PAGE}
            answer = await self._call("GET", f"/{module}/{record_id}/{list_}", params=params)
            found += _rows(answer)
            if not _more(answer):
                return found
            page += 1

    async def upsert(self, module: str, key: str, rows: Sequence[Json]) -> list[Outcome]:
        """By a unique field of ours, so it is safe to repeat. `trigger` empty: no workflow of theirs wakes up."""
        body = {"data": list(rows), "duplicate_check_fields": [key], "trigger": []}
        answer = await self._call("POST", f"/{module}/upsert", json=body, effect="repeatable")
        return _outcomes(answer, "data", len(rows))

    async def create(self, module: str, rows: Sequence[Json]) -> list[Outcome]:
        """Not idempotent: for what has no key of ours."""
        answer = await self._call("POST", f"/{module}", json={"data": list(rows), "trigger": []})
        return _outcomes(answer, "data", len(rows))

    async def update(self, module: str, rows: Sequence[Json]) -> list[Outcome]:
        answer = await self._call("PUT", f"/{module}", json={"data": list(rows), "trigger": []})
        return _outcomes(answer, "data", len(rows))

    async def delete(self, module: str, record_id: str) -> None:
        answer = await self._call("DELETE", f"/{module}", params={"ids": record_id})
        done(_outcomes(answer, "data", 1))

    async def empty_from_bin(self, record_id: str) -> None:
        answer = await self._call("DELETE", f"/settings/recycle_bin/{record_id}")
        done(_outcomes(answer, "recycle_bin", 1))

    async def attach(self, module: str, record_id: str, form: Body) -> str:
        """The new file's id. Not idempotent: a name may stand there twice."""
        answer = await self._call("POST", f"/{module}/{record_id}/{ATTACHMENTS}", body=form)
        return str(done(_outcomes(answer, "data", 1))["id"])

    async def detach(self, module: str, record_id: str, file_id: str) -> None:
        answer = await self._call("DELETE", f"/{module}/{record_id}/{ATTACHMENTS}/{file_id}")
        done(_outcomes(answer, "data", 1))

    async def _call(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        body: Body | None = None,
        params: Mapping[str, str | int] | None = None,
        effect: Effect | None = None,
    ) -> Json:
        if self.http.usage.get("credits_left", USUAL_CREDITS) < self._credits_kept:
            raise CrmError(
                CrmErrorKind.QUOTA_EXHAUSTED,
                "what is left of Zoho's credits today is for other apps",
                retry_after_s=QUOTA_WAIT_S,
            )
        answer = await self.http.call(method, path, json=json, body=body, params=params, effect=effect)
        if not isinstance(answer, dict):
            raise _odd()
        return answer


def done(outcomes: Iterable[Outcome]) -> Json:
    """The details of the only record of a call. Raises what became of it otherwise."""
    outcome = next(iter(outcomes))
    if isinstance(outcome, CrmError):
        raise outcome
    return outcome


def _quoted(value: str) -> str:
    if not value.lstrip("+").isalnum():
        raise CrmError(CrmErrorKind.VALIDATION, "a key holds a character that keys of ours never have")
    return f"'{value}'"


def _rows(answer: Json, name: str = "data") -> list[Json]:
    """Nothing found is 204 with an empty body."""
    rows = answer.get(name, [] if not answer else None)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise _odd()
    return rows


def _outcomes(answer: Json, name: str, count: int) -> list[Outcome]:
    """One for each that was sent, in order: a success by its code, never by the status of the answer."""
    named = [_outcome(row) for row in _rows(answer, name)[:count]]
    return named + [_UNNAMED] * (count - len(named))


def _outcome(row: Json) -> Outcome:
    if row.get("code") != "SUCCESS":
        return read_item_error(row)
    details = row.get("details")
    return details if isinstance(details, dict) and details.get("id") else _UNNAMED


_UNNAMED = CrmError(CrmErrorKind.UNKNOWN_OUTCOME, "Zoho's answer does not name this record")


def _more(answer: Json) -> bool:
    info = answer.get("info")
    return isinstance(info, dict) and bool(info.get("more_records"))


def _odd() -> CrmError:
    return CrmError(CrmErrorKind.UNAVAILABLE, "Zoho's answer has an unknown shape")
