"""Bird's Channels API: signature, where the bytes are, what no webhook told, sending, and whether a channel is well."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar

import aiohttp

from acervo.base import clock
from acervo.base.errors import AcervoError
from acervo.providers import links, probing, signing, stores
from acervo.providers.asked import Asked, secret
from acervo.providers.asking import Reply, ask, host_of, is_safe_at
from acervo.providers.bird import errors, reading, sending, signature
from acervo.providers.contract import (
    AccessLost,
    AnnouncedFile,
    Capabilities,
    Credentials,
    DownloadRequest,
    ForgedWebhook,
    Health,
    MediaGone,
    Outcome,
    ProviderBusy,
    Reading,
    Resolved,
    Usage,
    Webhook,
)
from acervo.providers.recovery import ours_first
from acervo.providers.sending import Outgoing, Sent
from acervo.providers.untrusted import (
    as_id,
    as_mapping,
    as_sequence,
    as_text,
    as_word,
    as_written_moment,
    parse_object,
)

API = "https://api.bird.com"
HOSTS = ("media.api.bird.com", "media.nest.messagebird.com", "api.bird.com")
"""Exact names; `media.nest` is where older messages have their files."""
FILE_LIFETIME = timedelta(days=30)
"""Said once, in a note; Bird's own pages are silent."""
PAGE_SIZE = "100"
LIST_IS_NEWEST_FIRST = True
"""Seen, not documented. If not, the whole list would have to be read each time."""
PAGES = ("text/html", "application/json")

_SAFE_ID = re.compile(r"[A-Za-z0-9_\-]{1,64}")


class Bird:
    """One WhatsApp channel in a workspace at Bird. Options: `workspace_id`, and `organization_id` to register."""

    kind: ClassVar[str] = "bird"
    name: ClassVar[str] = "Bird"
    secret_names: ClassVar[tuple[str, ...]] = ("access_key", "signing_key")
    asks: ClassVar[tuple[Asked, ...]] = (
        Asked("account_id"),
        Asked("workspace_id"),
        Asked("organization_id"),
        secret("access_key"),
    )
    capabilities: ClassVar[Capabilities] = Capabilities(
        returns_button_ids=False,
        template_options=("version", "keys"),
        declares_sha256=False,
        declares_size=False,
        file_lifetime=FILE_LIFETIME,
        media_hosts=HOSTS,
        credential_hosts=HOSTS,
        own_secrets=("signing_key",),
    )

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials
        self._base = (credentials.api_base or API).rstrip("/")
        own_host = host_of(credentials.api_base) if credentials.api_base else None
        extra = [host for host in (*credentials.allowed_hosts, own_host) if host]
        self._trusted_besides = frozenset(extra)
        self._hosts = tuple(dict.fromkeys((*HOSTS, *extra)))

    def handshake(self, webhook: Webhook) -> str:
        raise ForgedWebhook("Bird does not shake hands.")

    def verify(self, webhook: Webhook) -> None:
        keys = signing.accepted(self._credentials.secrets, "signing_key")
        if not signature.is_genuine(webhook, keys, clock.now()):
            raise ForgedWebhook

    def probe(self, probe_id: str, url: str) -> Webhook:
        body = probing.json_body(probe_id, service=reading.SERVICE, event="acervo.probe")
        key, timestamp = self._credentials.secrets.get("signing_key", ""), str(int(clock.now().timestamp()))
        headers = {
            "content-type": "application/json",
            signature.TIMESTAMP_HEADER: timestamp,
            signature.SIGNATURE_HEADER: signature.signature(body, url, key, timestamp),
        }
        return Webhook("POST", headers, body, url=url)

    def probed(self, webhook: Webhook) -> str | None:
        return probing.id_in_json(webhook.body)

    def read(self, webhook: Webhook) -> Reading:
        return reading.read(webhook.body, self._frame(webhook.received_at))

    async def resolve(self, session: aiohttp.ClientSession, file: AnnouncedFile) -> Resolved:
        """Bird answers a file's address with a redirect into its store; that link opens by itself, for minutes."""
        url = file.url or links.address(file.provider_id)
        if file.refusal or not url:
            raise MediaGone("Bird holds no such file.", code=file.refusal or Outcome.EXPIRED)
        if stores.is_store(url):
            return Resolved(url, stores.expiry(url), is_open=True)
        if not self._is_ours(url):
            raise MediaGone("The link leads to a host files may not come from.", code=Outcome.FORBIDDEN_HOST)
        reply = await self._first_hop(session, url)
        if reply.status in stores.REDIRECTS:
            return stores.redirected(errors.VENDOR, url, reply, trusted=self._trusted_besides)
        if reply.status not in (200, 206):
            raise errors.refusal(reply, by_status=errors.MEDIA_BY_STATUS)
        mime = reply.mime
        if mime in PAGES and mime != (file.mime or "").partition(";")[0]:
            raise ProviderBusy("Bird sent something that is not the file.", code=Outcome.NOT_MEDIA)
        return Resolved(url, mime=mime, is_open=stores.is_presigned(url))

    def download_request(self, resolved: Resolved) -> DownloadRequest:
        may_see = not resolved.is_open and self._may_see_credentials(resolved.url)
        authorization = self._authorization() if may_see else {}
        return stores.download_request(resolved, usual_hosts=self._hosts, authorization=authorization)

    def download_refusal(self, status: int, headers: Mapping[str, str], body: bytes) -> AcervoError:
        if status < 300:
            return ProviderBusy("Bird sent something that is not the file.", code=Outcome.NOT_MEDIA)
        return errors.refusal(Reply(status, headers, body), by_status=errors.DOWNLOAD_BY_STATUS)

    def usage(self, headers: Mapping[str, str]) -> Usage | None:
        return None

    async def check(self, session: aiohttp.ClientSession) -> Health:
        try:
            await self._page(session, {"limit": "1"})
        except AcervoError as error:
            return Health(is_alive=False, code=error.code, detail=str(error))
        return Health(is_alive=True, code="ok", facts=await self._channel_facts(session))

    async def missed(self, session: aiohttp.ClientSession, since: datetime) -> AsyncIterator[Reading]:
        """The channel's own list, back to `since`. Bird names the next page by a token; one it repeats ends the list."""
        params, seen = {"limit": PAGE_SIZE}, {""}
        while params.get("pageToken", "first") not in seen:
            seen.add(params.get("pageToken", "first"))
            messages, token = await self._page(session, params)
            recent = [message for message in messages if _is_since(message, since)]
            if recent:
                yield reading.page(recent, self._frame())
            if not token or not messages or (LIST_IS_NEWEST_FIRST and not recent):
                return
            params = {"limit": PAGE_SIZE, "pageToken": token}

    async def send(self, session: aiohttp.ClientSession, message: Outgoing) -> Sent:
        body = sending.request(message)
        return sending.sent(await self._call(session, "POST", self._messages_path(), json=body))

    async def register(self, session: aiohttp.ClientSession, url: str) -> None:
        """One subscription an event. A key cannot be read back, so what is there gets ours once more."""
        key = self._credentials.secrets.get("signing_key", "")
        known = {
            as_text(one.get("event")): as_id(one.get("id"))
            for one in await self._subscriptions(session)
            if one.get("url") == url
        }
        path = self._subscriptions_path()
        for event in reading.EVENTS:
            if identifier := _safe(known.get(event)):
                change = {"signingKey": key, "status": "active"}
                await self._done(session, "PATCH", f"{path}/{identifier}", change)
            else:
                wanted = {"service": reading.SERVICE, "event": event, "url": url, "signingKey": key}
                only_ours = [{"key": "channelId", "value": self._credentials.account_id}]
                await self._done(session, "POST", path, {**wanted, "eventFilters": only_ours})

    async def registered(self, session: aiohttp.ClientSession) -> str | None:
        urls = [
            as_text(one.get("url"))
            for one in await self._subscriptions(session)
            if one.get("event") == reading.EVENTS[0] and one.get("status", "active") == "active"
        ]
        return ours_first(self.kind, urls)

    async def _channel_facts(self, session: aiohttp.ClientSession) -> dict[str, Any]:
        """The channel's own status, where the key may see it; else nothing."""
        path = self._messages_path().removesuffix("/messages")
        try:
            reply = await self._call(session, "GET", path)
            status = as_word(parse_object(reply.body).get("status")) if reply.status == 200 else "?"
        except AcervoError:
            return {}
        if status == "?":
            return {}
        return {"status": status} if status == "active" else {"status": status, "unwell": ["status"]}

    async def unregister(self, session: aiohttp.ClientSession, url: str) -> None:
        for one in await self._subscriptions(session):
            if one.get("url") == url and (identifier := _safe(as_id(one.get("id")))):
                path = f"{self._subscriptions_path()}/{identifier}"
                reply = await self._call(session, "DELETE", path)
                if not 200 <= reply.status < 300 and reply.status != 404:
                    raise errors.refusal(reply)

    async def _first_hop(self, session: aiohttp.ClientSession, url: str) -> Reply:
        headers = {"Range": "bytes=0-0"}
        if not stores.is_presigned(url):
            if not self._may_see_credentials(url):
                raise AccessLost("The file lies in another workspace of Bird.", code=Outcome.FORBIDDEN)
            headers |= self._authorization()
        return await ask(session, "GET", url, vendor=errors.VENDOR, headers=headers, limit_bytes=4096)

    async def _page(
        self, session: aiohttp.ClientSession, params: Mapping[str, str]
    ) -> tuple[Sequence[Any], str | None]:
        told = await self._asked(session, self._messages_path(), params)
        return as_sequence(told["results"]), as_text(told.get("nextPageToken"))

    async def _subscriptions(self, session: aiohttp.ClientSession) -> list[Mapping[str, Any]]:
        """Those of our channel, and those of all channels."""
        told = await self._asked(session, self._subscriptions_path(), {"limit": PAGE_SIZE})
        return [one for one in map(as_mapping, told["results"]) if self._concerns_us(one)]

    def _concerns_us(self, subscription: Mapping[str, Any]) -> bool:
        filters = [as_mapping(one) for one in as_sequence(subscription.get("eventFilters"))]
        channels = [one.get("value") for one in filters if one.get("key") == "channelId"]
        is_service = subscription.get("service", reading.SERVICE) == reading.SERVICE
        return is_service and (not channels or self._credentials.account_id in channels)

    async def _asked(
        self, session: aiohttp.ClientSession, path: str, params: Mapping[str, str]
    ) -> Mapping[str, Any]:
        """An answer that holds a list of `results`."""
        reply = await self._call(session, "GET", path, params=params)
        if reply.status != 200:
            raise errors.refusal(reply)
        try:
            told = parse_object(reply.body)
        except AcervoError:
            told = {}
        if not isinstance(told.get("results"), list):
            raise ProviderBusy("Bird answered something else than asked.", code=Outcome.UNKNOWN)
        return told

    async def _done(self, session: aiohttp.ClientSession, method: str, path: str, body: Any) -> None:
        reply = await self._call(session, method, path, json=body)
        if not 200 <= reply.status < 300:
            raise errors.refusal(reply)

    async def _call(self, session: aiohttp.ClientSession, method: str, path: str, **options: Any) -> Reply:
        url = f"{self._base}{path}"
        return await ask(session, method, url, vendor=errors.VENDOR, headers=self._authorization(), **options)

    def _messages_path(self) -> str:
        return f"/workspaces/{self._workspace}/channels/{_safe(self._credentials.account_id)}/messages"

    def _subscriptions_path(self) -> str:
        organization = _safe(self._credentials.options.get("organization_id"))
        start = f"/organizations/{organization}" if organization else ""
        return f"{start}/workspaces/{self._workspace}/webhook-subscriptions"

    @property
    def _workspace(self) -> str:
        return _safe(self._credentials.options.get("workspace_id"))

    def _frame(self, received_at: datetime | None = None) -> reading.Frame:
        return reading.Frame(self._credentials.account_id, self._hosts, received_at or clock.now())

    def _authorization(self) -> dict[str, str]:
        return {"Authorization": f"AccessKey {self._credentials.secrets.get('access_key', '')}"}

    def _is_ours(self, url: str) -> bool:
        return is_safe_at(url, HOSTS) or host_of(url) in self._trusted_besides

    def _may_see_credentials(self, url: str) -> bool:
        """A host of Bird's, and our own workspace in the path: the key opens nobody else's files."""
        path = url.partition("?")[0].partition("#")[0]
        return self._is_ours(url) and f"/workspaces/{self._workspace or '?'}/" in path


def _safe(value: object) -> str:
    """An id that may stand in a URL path as it is, or nothing."""
    return value if isinstance(value, str) and _SAFE_ID.fullmatch(value) else ""


def _is_since(message: object, since: datetime) -> bool:
    """What carries no date is taken: it costs nothing twice."""
    told = as_mapping(message)
    moments = [as_written_moment(told.get(name)) for name in ("createdAt", "lastStatusAt")]
    known = [moment for moment in moments if moment]
    return not known or max(known) >= since
