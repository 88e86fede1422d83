"""HubSpot's calls as we use them: version, paths and limits in one place. Nothing here decides anything."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import httpx

from acervo.crms.batches import chunks
from acervo.crms.bodies import Body, FilePart, Part
from acervo.crms.contract import CrmCredentials, CrmError, CrmErrorKind
from acervo.crms.http import CrmHttp, connection_key
from acervo.crms.hubspot.errors import read_error
from acervo.crms.pace import Pace, shared_pace

HUBSPOT_API_VERSION = "2026-03"
"""Dated versions live 18 months: move on before September 2027 (HubSpot's migration guide, 2026-11)."""

API_BASE = "https://api.hubapi.com"
LANES = (("burst", 90, 10.0), ("search", 4, 1.0))
"""HubSpot allows 100 per 10 s on its smallest plan and 5 searches a second; the rest is room for other apps."""
BATCH = 100
FILES = f"/files/{HUBSPOT_API_VERSION}/files"

USAGE_HEADERS = {
    "burst_max": "X-HubSpot-RateLimit-Max",
    "burst_left": "X-HubSpot-RateLimit-Remaining",
    "burst_interval_ms": "X-HubSpot-RateLimit-Interval-Milliseconds",
    "daily_max": "X-HubSpot-RateLimit-Daily",
    "daily_left": "X-HubSpot-RateLimit-Daily-Remaining",
}

Json = Mapping[str, Any]


class Api:
    """One account. Answers are HubSpot's own JSON; refusals are CrmError."""

    def __init__(self, credentials: CrmCredentials, http: httpx.AsyncClient, pace: Pace | None) -> None:
        base_url = credentials.api_base or API_BASE
        token = credentials.secrets["token"]
        self.http = CrmHttp(
            http,
            base_url=base_url,
            token=token,
            pace=pace or shared_pace(connection_key(base_url, token), LANES),
            read_error=read_error,
            usage_headers=USAGE_HEADERS,
        )

    async def account(self) -> Json:
        account = await self._get(f"/account-info/{HUBSPOT_API_VERSION}/details")
        return _having("portalId", account)

    async def properties(self, object_type: str) -> Sequence[Json]:
        return _rows(await self._get(f"/crm/properties/{HUBSPOT_API_VERSION}/{object_type}"))

    async def property(self, object_type: str, name: str) -> Json:
        return _having("name", await self._get(f"/crm/properties/{HUBSPOT_API_VERSION}/{object_type}/{name}"))

    async def create_property(self, object_type: str, definition: Json) -> Json:
        return await self._post(f"/crm/properties/{HUBSPOT_API_VERSION}/{object_type}", definition)

    async def create_group(self, object_type: str, definition: Json) -> Json:
        return await self._post(f"/crm/properties/{HUBSPOT_API_VERSION}/{object_type}/groups", definition)

    async def object_schemas(self) -> Sequence[Json]:
        return _rows(await self._get(f"/crm-object-schemas/{HUBSPOT_API_VERSION}/schemas"))

    async def create_object_schema(self, definition: Json) -> Json:
        return await self._post(f"/crm-object-schemas/{HUBSPOT_API_VERSION}/schemas", definition)

    async def search(self, object_type: str, body: Json) -> Sequence[Json]:
        path = f"/crm/objects/{HUBSPOT_API_VERSION}/{object_type}/search"
        lanes = ("search", "burst")
        return _rows(_mapping(await self.http.call("POST", path, json=body, effect="read", lanes=lanes)))

    async def read(self, object_type: str, record_id: str, properties: Sequence[str]) -> Json:
        """By HubSpot's own id. Of two merged records either id answers the survivor."""
        path = f"/crm/objects/{HUBSPOT_API_VERSION}/{object_type}/{record_id}"
        answer = await self.http.call("GET", path, params={"properties": ",".join(properties)})
        return _having("id", _mapping(answer))

    async def read_many(
        self,
        object_type: str,
        ids: Sequence[str],
        properties: Sequence[str],
        *,
        id_property: str | None = None,
    ) -> Sequence[Json]:
        """Those of the records that exist, in any order. By a unique property of ours this is exact and
        immediate, unlike search; and keys stay out of the URL."""
        found: list[Json] = []
        for chunk in chunks(ids, BATCH):
            body: dict[str, Any] = {
                "properties": list(properties),
                "propertiesWithHistory": [],
                "inputs": [{"id": id_} for id_ in chunk],
            }
            if id_property:
                body["idProperty"] = id_property
            path = f"/crm/objects/{HUBSPOT_API_VERSION}/{object_type}/batch/read"
            found += _rows(_mapping(await self.http.call("POST", path, json=body, effect="read")))
        return found

    async def upsert(self, object_type: str, inputs: Sequence[Json]) -> Json:
        """By a unique property: HubSpot decides between creating and updating, so it is safe to repeat."""
        path = f"/crm/objects/{HUBSPOT_API_VERSION}/{object_type}/batch/upsert"
        return _mapping(
            await self.http.call("POST", path, json={"inputs": list(inputs)}, effect="repeatable")
        )

    async def create(self, object_type: str, body: Json) -> Json:
        return _having("id", await self._post(f"/crm/objects/{HUBSPOT_API_VERSION}/{object_type}", body))

    async def update(self, object_type: str, record_id: str, properties: Mapping[str, str]) -> Json:
        path = f"/crm/objects/{HUBSPOT_API_VERSION}/{object_type}/{record_id}"
        return _mapping(await self.http.call("PATCH", path, json={"properties": dict(properties)}))

    async def update_many(self, object_type: str, inputs: Sequence[Json]) -> Json:
        """By HubSpot's own ids, each once."""
        path = f"/crm/objects/{HUBSPOT_API_VERSION}/{object_type}/batch/update"
        return _mapping(
            await self.http.call("POST", path, json={"inputs": list(inputs)}, effect="repeatable")
        )

    async def archive(self, object_type: str, record_id: str) -> None:
        await self.http.call("DELETE", f"/crm/objects/{HUBSPOT_API_VERSION}/{object_type}/{record_id}")

    async def associated_ids(self, object_type: str, record_id: str, to_type: str) -> Sequence[str]:
        path = f"/crm/objects/{HUBSPOT_API_VERSION}/{object_type}/{record_id}/associations/{to_type}"
        params: dict[str, str | int] = {"limit": 500}
        ids: list[str] = []
        while True:
            page = _mapping(await self.http.call("GET", path, params=params))
            ids += [str(row["toObjectId"]) for row in _rows(page)]
            after = page.get("paging", {}).get("next", {}).get("after")
            if not after:
                return ids
            params["after"] = str(after)

    async def associate(self, from_type: str, from_id: str, to_type: str, to_id: str) -> None:
        path = (
            f"/crm/objects/{HUBSPOT_API_VERSION}/{from_type}/{from_id}/associations/default/{to_type}/{to_id}"
        )
        await self.http.call("PUT", path)

    async def dissociate(self, from_type: str, from_id: str, to_type: str, to_id: str) -> None:
        """All ties between two records. Of records that are not tied, or gone, nothing is to be undone."""
        path = f"/crm/objects/{HUBSPOT_API_VERSION}/{from_type}/{from_id}/associations/{to_type}/{to_id}"
        await self.http.call("DELETE", path)

    async def associate_many(self, from_type: str, to_type: str, pairs: Sequence[tuple[str, str]]) -> Json:
        path = f"/crm/associations/{HUBSPOT_API_VERSION}/{from_type}/{to_type}/batch/associate/default"
        inputs = [{"from": {"id": from_id}, "to": {"id": to_id}} for from_id, to_id in pairs]
        return _mapping(await self.http.call("POST", path, json={"inputs": inputs}, effect="repeatable"))

    async def send_file(self, folder: str, name: str, body: Body, options: Json) -> Json:
        """Never safe to repeat: HubSpot would keep it twice, under two names."""
        parts = [Part("folderPath", folder), Part("options", json.dumps(options))]
        form = Body.multipart(parts, FilePart("file", name, body))
        return _having("id", _mapping(await self.http.call("POST", FILES, body=form)))

    async def file_at(self, place: str) -> Json:
        """Under `file` or `folder`, what lies at this place: a path from the root. The slashes stay slashes."""
        return await self._get(f"{FILES}/stat{place}")

    async def erase_file(self, file_id: str) -> None:
        """For good: no bin keeps it."""
        await self.http.call("DELETE", f"{FILES}/{file_id}/gdpr-delete")

    async def _get(self, path: str) -> Json:
        return _mapping(await self.http.call("GET", path))

    async def _post(self, path: str, body: Json) -> Json:
        return _mapping(await self.http.call("POST", path, json=body))


def _mapping(answer: Any) -> Json:
    if not isinstance(answer, dict):
        raise _odd()
    return answer


def _having(name: str, answer: Json) -> Json:
    if not answer.get(name):
        raise _odd()
    return answer


def _rows(answer: Json) -> list[Json]:
    rows = answer.get("results")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise _odd()
    return rows


def _odd() -> CrmError:
    return CrmError(CrmErrorKind.UNAVAILABLE, "HubSpot's answer has an unknown shape")
