"""Salesforce's calls as we use them: version, paths and limits in one place. Nothing here decides anything."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar
from urllib.parse import urlencode

import httpx

from acervo.crms.batches import chunks
from acervo.crms.bodies import Body, FilePart, Part
from acervo.crms.contract import CrmCredentials, CrmError, CrmErrorKind
from acervo.crms.http import CrmHttp, Effect, connection_key
from acervo.crms.pace import Pace, shared_pace
from acervo.crms.salesforce.auth import Access
from acervo.crms.salesforce.errors import QUOTA_WAIT_S, read_error, read_item_errors, read_part

API_VERSION = "67.0"
"""Summer '26. A version lives three years at least: move on before 2029."""
DATA = f"/services/data/v{API_VERSION}"

LANES = (("burst", 20, 1.0),)
AT_ONCE = 5
"""Salesforce counts long calls under way (25, on small accounts 5) and the calls of 24 hours, not a rate."""
SHARE = 0.8
"""Of the calls of 24 hours, which all apps of the customer share: above it we rest."""
BATCH = 100
"""Salesforce takes 200 records in a call; with transcripts a hundred stay well below its size limit."""
QUERIES = 5
"""The most reading parts of a composite call."""
FOUND = 100

_USAGE = re.compile(r"\bapi-usage=(\d+)/(\d+)")

Json = Mapping[str, Any]
Item = TypeVar("Item")


@dataclass
class Allowance:
    """What Salesforce last said of the calls of 24 hours."""

    used: int = 0
    most: int = 0
    seen_at: float = 0.0

    def is_spent(self, now: float) -> bool:
        """An hour after the last news one call may look again."""
        return self.used >= SHARE * self.most > 0 and now - self.seen_at < QUOTA_WAIT_S


@lru_cache(maxsize=1024)
def shared_allowance(connection: str) -> Allowance:
    """The one of a connection in this process, whoever asks."""
    return Allowance()


class _Http(CrmHttp):
    """Reads the allowance from a header of two numbers."""

    allowance: Allowance
    now: Callable[[], float]

    def _remember_usage(self, response: httpx.Response) -> None:
        if found := _USAGE.search(response.headers.get("Sforce-Limit-Info", "")):
            used, most = map(int, found.groups())
            self.allowance.used, self.allowance.most, self.allowance.seen_at = used, most, self.now()
            self.usage |= {"daily_used": used, "daily_max": most}


class Api:
    """One account. Answers are Salesforce's own JSON; refusals are CrmError."""

    def __init__(self, credentials: CrmCredentials, http: httpx.AsyncClient, pace: Pace | None) -> None:
        """`pace`: for tests, which bring an allowance of their own with it."""
        base_url = credentials.api_base or ""
        key = connection_key(base_url, credentials.secrets["client_id"])
        self.pace = pace or shared_pace(key, LANES, at_once=AT_ONCE)
        now = time.time if pace is None else pace.now
        self.http = _Http(
            http,
            base_url=base_url,
            token=Access(credentials, http, base_url, now).token,
            pace=self.pace,
            read_error=read_error,
            usage_headers={},
        )
        self.http.now = now
        self.http.allowance = shared_allowance(key) if pace is None else Allowance()
        self._has_domain = bool(base_url)

    async def user(self) -> Json:
        """Who we are there."""
        return _having("user_id", _mapping(await self._call("GET", "/services/oauth2/userinfo")))

    async def describe(self, object_name: str) -> Json | None:
        """The fields our user sees; None where there is no such object, or none it sees."""
        try:
            answer = await self._call("GET", f"{DATA}/sobjects/{object_name}/describe")
        except CrmError as error:
            if error.kind is CrmErrorKind.NOT_FOUND:
                return None
            raise
        return _mapping(answer)

    async def query(self, *soql: str, is_optional: bool = False) -> list[list[Json]]:
        """The rows of each query, in one call; deleted ones too, for who asks `IsDeleted`. Keys and numbers stay out
        of the address, which proxies write down. `is_optional`: what our user may not see has no rows."""
        parts = [
            {"method": "GET", "url": f"{DATA}/queryAll?{urlencode({'q': one})}", "referenceId": f"q{place}"}
            for place, one in enumerate(soql)
        ]
        found: list[list[Json]] = []
        for chunk in chunks(parts, QUERIES):
            for status, body in await self._composite(chunk):
                if status < 300:
                    found.append(await self._all_rows(body))
                    continue
                error = read_part(status, body)
                if not (is_optional and error.kind is CrmErrorKind.FORBIDDEN):
                    raise error
                found.append([])
        return found

    async def tooling_query(self, soql: str) -> Sequence[Json]:
        return _rows(await self._call("GET", f"{DATA}/tooling/query", params={"q": soql}), "records")

    async def search_phones(self, terms: str, object_name: str, fields: Sequence[str]) -> Sequence[Json]:
        """The first hundred (`FOUND`)."""
        body = {
            "q": terms,
            "in": "PHONE",
            "sobjects": [{"name": object_name, "fields": list(fields), "limit": FOUND}],
        }
        answer = await self._call("POST", f"{DATA}/parameterizedSearch", json=body, effect="read")
        return _rows(answer, "searchRecords")

    async def upsert(self, object_name: str, key: str, records: Sequence[Json]) -> list[Json | CrmError]:
        """By a key of ours, one outcome per record: Salesforce decides between creating and changing."""
        typed = [{"attributes": {"type": object_name}, **record} for record in records]
        answer = await self._call(
            "PATCH",
            f"{DATA}/composite/sobjects/{object_name}/{key}",
            json={"allOrNone": False, "records": typed},
        )
        return _outcomes(answer, len(records))

    async def update_many(self, object_name: str, records: Sequence[Json]) -> list[Json | CrmError]:
        """By `id`, one outcome per record."""
        typed = [{"attributes": {"type": object_name}, **record} for record in records]
        body = {"allOrNone": False, "records": typed}
        return _outcomes(await self._call("PATCH", f"{DATA}/composite/sobjects", json=body), len(records))

    async def update(self, object_name: str, record_id: str, values: Json) -> None:
        await self._call("PATCH", f"{DATA}/sobjects/{object_name}/{record_id}", json=values)

    async def create(self, object_name: str, values: Json, *, effect: Effect = "once") -> str:
        answer = await self._call("POST", f"{DATA}/sobjects/{object_name}", json=values, effect=effect)
        return str(_having("id", _mapping(answer))["id"])

    async def create_file(self, values: Json, file_name: str, content: Body) -> str:
        """The id of the version it made; the document it is a version of has another."""
        about = Part("entity_content", json.dumps(values), "application/json")
        body = Body.multipart([about], FilePart("VersionData", file_name, content))
        answer = await self._call("POST", f"{DATA}/sobjects/ContentVersion", body=body, effect="once")
        return str(_having("id", _mapping(answer))["id"])

    async def delete(self, object_name: str, record_id: str) -> None:
        await self._call("DELETE", f"{DATA}/sobjects/{object_name}/{record_id}")

    async def deploy(self, archive: bytes) -> str:
        """Begins a deployment and answers its id. Deploying the same again changes nothing."""
        options = '{"deployOptions":{"rollbackOnError":true,"singlePackage":true,"checkOnly":false,"testLevel":"NoTestRun"}}'
        package = FilePart("file", "package.zip", Body.of(archive, "application/zip"))
        form = Body.multipart([Part("json", options, "application/json")], package)
        path = f"{DATA}/metadata/deployRequest"
        return str(
            _having("id", _mapping(await self._call("POST", path, body=form, effect="repeatable")))["id"]
        )

    async def deployed(self, deployment_id: str) -> Json:
        path = f"{DATA}/metadata/deployRequest/{deployment_id}"
        answer = _mapping(await self._call("GET", path, params={"includeDetails": "true"}))
        return _mapping(_having("deployResult", answer)["deployResult"])

    async def _composite(self, parts: Sequence[Json]) -> list[tuple[int, Any]]:
        body = {"allOrNone": False, "compositeRequest": list(parts)}
        answer = _mapping(await self._call("POST", f"{DATA}/composite", json=body, effect="read"))
        rows = _list_of(answer.get("compositeResponse"), len(parts))
        return [(int(row.get("httpStatusCode", 0)), row.get("body")) for row in rows]

    async def _all_rows(self, page: Any) -> list[Json]:
        rows = _rows(page, "records")
        while following := str(page.get("nextRecordsUrl") or ""):
            if not following.startswith(
                f"{DATA}/"
            ):  # an address of theirs goes behind our domain: nothing else may
                raise _odd()
            page = _mapping(await self._call("GET", following))
            rows += _rows(page, "records")
        return rows

    async def _call(self, method: str, path: str, **more: Any) -> Any:
        if not self._has_domain:
            raise CrmError(CrmErrorKind.VALIDATION, "the My Domain address of this Salesforce is not known")
        if self.http.allowance.is_spent(self.http.now()):
            raise CrmError(
                CrmErrorKind.QUOTA_EXHAUSTED,
                "four fifths of Salesforce's calls of 24 hours are used; the rest is left to other apps",
                retry_after_s=QUOTA_WAIT_S,
            )
        return await self.http.call(method, path, **more)


def _mapping(answer: Any) -> Json:
    if not isinstance(answer, dict):
        raise _odd()
    return answer


def _having(name: str, answer: Json) -> Json:
    if not answer.get(name):
        raise _odd()
    return answer


def _rows(answer: Any, name: str) -> list[Json]:
    rows = _mapping(answer).get(name)
    return _list_of(rows, len(rows) if isinstance(rows, list) else -1)


def _list_of(rows: Any, count: int) -> list[Json]:
    if not isinstance(rows, list) or len(rows) != count or not all(isinstance(row, dict) for row in rows):
        raise _odd()
    return rows


def _outcomes(answer: Any, count: int) -> list[Json | CrmError]:
    """Of a batch: what became of each record."""
    rows = _list_of(answer, count)
    return [row if row.get("success") else read_item_errors(row.get("errors")) for row in rows]


def _odd() -> CrmError:
    return CrmError(CrmErrorKind.UNAVAILABLE, "Salesforce's answer has an unknown shape")
