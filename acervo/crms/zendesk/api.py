"""Zendesk's calls as we use them: paths, pages and limits in one place. Nothing here decides anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote
from weakref import WeakKeyDictionary

import httpx

from acervo.crms.batches import chunks
from acervo.crms.bodies import Body
from acervo.crms.contract import CrmCredentials, CrmError, CrmErrorKind
from acervo.crms.http import CrmHttp, connection_key
from acervo.crms.pace import Pace, RollingLimit, shared_pace
from acervo.crms.zendesk import access
from acervo.crms.zendesk.errors import read_error, read_error_of_fixed_token

ZENDESK_API_VERSION = "v2"
MEDIA_OBJECT = "whatsapp_media"
"""The key of our custom object; it cannot be changed once it is made."""

SMALLEST_PLAN_PER_MINUTE = 200
"""Team's limit: what we assume until the account says its own (X-Rate-Limit)."""
OUR_SHARE = 0.6
"""The rest is room for the account's agents and other apps."""
TICKET_UPDATES_PER_MINUTE = 60
"""Zendesk allows 100 a minute in the whole account."""
CHANGES_PER_TICKET, CHANGES_SPAN_S = 25, 600.0
"""Zendesk allows 30 changes of one ticket by one user in ten minutes."""
BATCH = 100
PAGES = 50
"""A list longer than five thousand is not ours."""

USAGE_HEADERS = {
    "minute_max": "X-Rate-Limit",
    "minute_left": "X-Rate-Limit-Remaining",
    "reset_s": "ratelimit-reset",
}

Json = Mapping[str, Any]
_V2 = f"/api/{ZENDESK_API_VERSION}"
_OBJECT = f"{_V2}/custom_objects/{MEDIA_OBJECT}"


def lanes(per_minute: int) -> tuple[tuple[str, int, float], ...]:
    """What we allow ourselves of an account's limit."""
    return (
        ("minute", max(10, int(per_minute * OUR_SHARE)), 60.0),
        ("tickets", TICKET_UPDATES_PER_MINUTE, 60.0),
    )


_CHANGES: WeakKeyDictionary[Pace, dict[str, RollingLimit]] = WeakKeyDictionary()
"""By connection and ticket, as the lanes are: shared in this process."""
_TICKETS_REMEMBERED = 2000


class Api:
    """One account. Answers are Zendesk's own JSON; refusals are CrmError."""

    def __init__(self, credentials: CrmCredentials, http: httpx.AsyncClient, pace: Pace | None) -> None:
        self.base_url = access.base_url(credentials)
        secrets = credentials.secrets
        is_fixed = access.is_api_token(secrets)
        limit = int(credentials.options.get("per_minute") or SMALLEST_PLAN_PER_MINUTE)
        self._pace = pace or shared_pace(connection_key(self.base_url, secrets["secret"]), lanes(limit))
        self.http = CrmHttp(
            http,
            base_url=self.base_url,
            token=access.basic(secrets) if is_fixed else access.client(credentials, http),
            scheme="Basic" if is_fixed else "Bearer",
            pace=self._pace,
            read_error=read_error_of_fixed_token if is_fixed else read_error,
            usage_headers=USAGE_HEADERS,
        )

    async def rest(self, seconds: float) -> None:
        """Wait, by the clock the limits are measured with."""
        await self._pace.sleep(seconds)

    def now(self) -> float:
        return self._pace.now()

    # --- the account ---

    async def me(self) -> Json:
        """Zendesk answers 200 with an anonymous user to whoever is not let in."""
        user = _part("user", await self._get("/users/me"))
        if not user.get("id"):
            raise CrmError(CrmErrorKind.AUTH_REVOKED, "Zendesk does not know our access", status=200)
        return user

    async def user_fields(self) -> list[Json]:
        return await self._all("/user_fields", "user_fields")

    async def create_user_field(self, definition: Json) -> None:
        await self._call("POST", "/user_fields", json={"user_field": definition})

    async def media_object(self) -> Json | None:
        """Our object, or None. Raises CrmError FORBIDDEN where the plan has no custom objects."""
        try:
            return _part("custom_object", await self.http.call("GET", _OBJECT, lanes=("minute",)))
        except CrmError as error:
            if error.kind is CrmErrorKind.NOT_FOUND:
                return None
            raise

    async def object_limit(self) -> Json:
        return await self._get("/custom_objects/limits/object_limit")

    async def create_media_object(self, definition: Json) -> None:
        await self._call("POST", "/custom_objects", json={"custom_object": definition})

    async def media_fields(self) -> list[Json]:
        return await self._all(f"/custom_objects/{MEDIA_OBJECT}/fields", "custom_object_fields")

    async def create_media_field(self, definition: Json) -> None:
        path = f"/custom_objects/{MEDIA_OBJECT}/fields"
        await self._call("POST", path, json={"custom_object_field": definition})

    # --- people ---

    async def user(self, user_id: str) -> Json:
        """One that was deleted or merged away is still shown for a while, as not active."""
        return _having("id", _part("user", await self._get(f"/users/{user_id}")))

    async def users(self, ids: Sequence[str], *, with_deleted: bool = False) -> tuple[list[Json], list[Json]]:
        """Those that exist, and all their identities. Exact and immediate, unlike search."""
        users: list[Json] = []
        identities: list[Json] = []
        for chunk in chunks(ids, BATCH):
            params: dict[str, str | int] = {"ids": ",".join(chunk), "include": "identities"}
            if with_deleted:
                params["include_deleted"] = "true"
            answer = await self._get("/users/show_many", params)
            users += _rows("users", answer)
            identities += _rows("identities", answer) if "identities" in answer else []
        return users, identities

    async def users_by_external_id(self, external_ids: Sequence[str]) -> list[Json]:
        """Exact and immediate, unlike search."""
        found: list[Json] = []
        for chunk in chunks(external_ids, BATCH):
            found += _rows("users", await self._get("/users/show_many", {"external_ids": ",".join(chunk)}))
        return found

    async def search_users(self, query: str) -> list[Json]:
        """The first hundred. The index lags by some minutes."""
        return _rows("users", await self._get("/users/search", {"query": query, "per_page": 100}))

    async def create_or_update_user(self, user: Json) -> Json:
        """By external id: Zendesk decides between creating and updating, so it is safe to repeat."""
        answer = await self._call("POST", "/users/create_or_update", json={"user": user}, effect="repeatable")
        return _having("id", _part("user", answer))

    async def update_user(self, user_id: str, changes: Json) -> None:
        await self._call("PUT", f"/users/{user_id}", json={"user": changes})

    async def start_creating_users(self, users: Sequence[Json]) -> Json:
        """A job for at most a hundred, by external id. Safe to repeat."""
        return await self._start("POST", "/users/create_or_update_many", users)

    async def start_updating_users(self, users: Sequence[Json]) -> Json:
        """A job for at most a hundred, by `id`."""
        return await self._start("PUT", "/users/update_many", users)

    async def _start(self, method: str, path: str, users: Sequence[Json]) -> Json:
        answer = await self._call(method, path, json={"users": list(users)}, effect="repeatable")
        return _having("id", _part("job_status", answer))

    # --- records of our object ---

    async def upsert_record(self, external_id: str, record: Json) -> Json:
        answer = await self.http.call(
            "PATCH",
            f"{_OBJECT}/records",
            params={"external_id": external_id},
            json={"custom_object_record": record},
            lanes=("minute",),
        )
        return _having("id", _part("custom_object_record", answer))

    async def start_upserts(self, records: Sequence[Json]) -> Json:
        """A job for at most a hundred records, each with its `external_id`. Safe to repeat."""
        job = {"action": "create_or_update_by_external_id", "items": list(records)}
        answer = await self.http.call(
            "POST", f"{_OBJECT}/jobs", json={"job": job}, effect="repeatable", lanes=("minute",)
        )
        return _having("id", _part("job_status", answer))

    async def job(self, job_id: str) -> Json:
        return _part("job_status", await self._get(f"/job_statuses/{job_id}"))

    async def records(self, key: str, ids: Sequence[str]) -> list[Json]:
        """`key`: `external_ids` or `ids`. Those of the records that exist, in any order; exact and immediate."""
        found: list[Json] = []
        for chunk in chunks(ids, BATCH):
            params: dict[str, str | int] = {f"filter[{key}]": ",".join(chunk), "page[size]": BATCH}
            answer = await self.http.call("GET", f"{_OBJECT}/records", params=params, lanes=("minute",))
            found += _rows("custom_object_records", _mapping(answer))
        return found

    async def record(self, record_id: str) -> Json:
        answer = await self.http.call("GET", f"{_OBJECT}/records/{record_id}", lanes=("minute",))
        return _having("id", _part("custom_object_record", answer))

    async def update_record(self, record_id: str, record: Json) -> None:
        await self.http.call(
            "PATCH",
            f"{_OBJECT}/records/{record_id}",
            json={"custom_object_record": record},
            lanes=("minute",),
        )

    async def delete_record(self, record_id: str) -> None:
        await self.http.call("DELETE", f"{_OBJECT}/records/{record_id}", lanes=("minute",))

    # --- tickets ---

    async def requested_tickets(self, user_id: str) -> list[Json]:
        """The hundred a person's last news are about, newest first. Immediate, unlike search."""
        params: dict[str, str | int] = {"per_page": 100, "sort_by": "updated_at", "sort_order": "desc"}
        return _rows("tickets", await self._get(f"/users/{user_id}/tickets/requested", params))

    async def ticket(self, ticket_id: str) -> Json:
        return _having("id", _part("ticket", await self._get(f"/tickets/{ticket_id}")))

    async def create_ticket(self, ticket: Json) -> Json:
        return _having("id", _part("ticket", await self._call("POST", "/tickets", json={"ticket": ticket})))

    async def update_ticket(self, ticket_id: str, ticket: Json) -> Json:
        """A comment in it is a new one each time: not safe to repeat. Raises CrmError LOCKED as `expect_share`
        does."""
        return _having("id", _part("ticket", await self._change(ticket_id, ticket)))

    async def add_comment(self, ticket_id: str, ticket: Json) -> list[Json]:
        """`update_ticket`, for the comment it makes, with its files: as the audit of the change tells it, if it does."""
        audit = (await self._change(ticket_id, ticket)).get("audit")
        events = audit.get("events") if isinstance(audit, dict) else None
        rows = events if isinstance(events, list) else []
        return [row for row in rows if isinstance(row, dict) and row.get("type") == "Comment"]

    def expect_share(self, ticket_id: str) -> None:
        """Raises CrmError LOCKED, with the wait, when this one ticket was changed as often as we may for now; that is
        no reason for others to wait."""
        if (wait_s := self._changes_of(ticket_id).wait_s(self.now())) > 0:
            raise CrmError(
                CrmErrorKind.LOCKED, "this ticket was changed often in a short time", retry_after_s=wait_s
            )

    async def comments(self, ticket_id: str) -> list[Json]:
        """Oldest first."""
        return await self._all(f"/tickets/{ticket_id}/comments", "comments")

    async def redact_comment(
        self, comment_id: str, ticket_id: str, html_body: str, urls: Sequence[str] = ()
    ) -> Json:
        """What stands in `<redact>` is removed for good, and the comment's files with these addresses, from closed
        tickets too. The comment as it is then, where Zendesk shows it."""
        body: dict[str, Any] = {"ticket_id": int(ticket_id), "html_body": html_body}
        if urls:
            body["external_attachment_urls"] = list(urls)
        comment = (await self._call("PUT", f"/comment_redactions/{comment_id}", json=body)).get("comment")
        return comment if isinstance(comment, dict) else {}

    # --- files ---

    async def upload(self, file_name: str, body: Body) -> str:
        """The token of a file that hangs on nothing yet; Zendesk forgets it after an hour."""
        answer = await self.http.call(
            "POST", f"{_V2}/uploads", params={"filename": file_name}, body=body, lanes=("minute",)
        )
        return str(_having("token", _part("upload", answer))["token"])

    async def delete_upload(self, token: str) -> None:
        """One that no comment took."""
        await self.http.call("DELETE", f"{_V2}/uploads/{quote(token, safe='')}", lanes=("minute",))

    async def redact_attachment(self, ticket_id: str, comment_id: str, attachment_id: str) -> None:
        """An empty file of another name stands in its place. Not on closed tickets."""
        path = f"{_V2}/tickets/{ticket_id}/comments/{comment_id}/attachments/{attachment_id}/redact"
        await self.http.call("PUT", path, lanes=("minute",))

    # --- how ---

    async def _change(self, ticket_id: str, ticket: Json) -> Json:
        self.expect_share(ticket_id)
        self._changes_of(ticket_id).start(self.now())
        return await self._call(
            "PUT",
            f"/tickets/{ticket_id}",
            json={"ticket": ticket},
            effect="once",
            lanes=("tickets", "minute"),
        )

    def _changes_of(self, ticket_id: str) -> RollingLimit:
        tickets = _CHANGES.setdefault(self._pace, {})
        if ticket_id not in tickets:
            if len(tickets) >= _TICKETS_REMEMBERED:
                tickets.pop(next(iter(tickets)))
            tickets[ticket_id] = RollingLimit(CHANGES_PER_TICKET, CHANGES_SPAN_S)
        return tickets[ticket_id]

    async def _get(self, path: str, params: Mapping[str, str | int] | None = None) -> Json:
        return _mapping(await self.http.call("GET", _V2 + path, params=params, lanes=("minute",)))

    async def _call(
        self, method: str, path: str, *, json: Json, effect: Any = None, lanes: Sequence[str] = ("minute",)
    ) -> Json:
        return _mapping(await self.http.call(method, _V2 + path, json=json, effect=effect, lanes=lanes))

    async def _all(self, path: str, name: str) -> list[Json]:
        """Every page of a list, by cursor."""
        params: dict[str, str | int] = {"page[size]": 100}
        found: list[Json] = []
        for _page in range(PAGES):
            answer = await self._get(path, params)
            found += _rows(name, answer)
            meta = answer.get("meta")
            after = meta.get("after_cursor") if isinstance(meta, dict) and meta.get("has_more") else None
            if not after:
                break
            params["page[after]"] = str(after)
        return found


def _mapping(answer: Any) -> Json:
    if not isinstance(answer, dict):
        raise _odd()
    return answer


def _part(name: str, answer: Any) -> Json:
    part = _mapping(answer).get(name)
    if not isinstance(part, dict):
        raise _odd()
    return part


def _having(name: str, answer: Json) -> Json:
    if not answer.get(name):
        raise _odd()
    return answer


def _rows(name: str, answer: Json) -> list[Json]:
    rows = answer.get(name)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise _odd()
    return rows


def _odd() -> CrmError:
    return CrmError(CrmErrorKind.UNAVAILABLE, "Zendesk's answer has an unknown shape")
