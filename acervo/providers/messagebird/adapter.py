"""MessageBird's Conversations API: signature, where the bytes are, sending, and whether a channel is well."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar

import aiohttp

from acervo.base import clock
from acervo.base.errors import AcervoError
from acervo.providers import links, probing, signing, stores
from acervo.providers.asked import SAFE_ID, Asked, secret
from acervo.providers.asking import Reply, ask, host_of, is_safe_at
from acervo.providers.contract import (
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
from acervo.providers.messagebird import errors, reading, sending, signature
from acervo.providers.recovery import ours_first
from acervo.providers.sending import Outgoing, Sent
from acervo.providers.untrusted import as_id, as_mapping, as_sequence, as_text, parse_object

API = "https://conversations.messagebird.com"
MEDIA_HOST = "media.messagebird.com"
HOSTS = (MEDIA_HOST, "conversations.messagebird.com")
FILE_LIFETIME = timedelta(days=30)
"""Not documented; files are fetched at once, and this is only how long we keep trying."""
PAGES = ("text/html", "application/json")
MOST_WEBHOOKS = "100"


class MessageBird:
    """One WhatsApp channel at MessageBird, on version 1 of its Conversations API."""

    kind: ClassVar[str] = "messagebird"
    name: ClassVar[str] = "MessageBird Conversations"
    secret_names: ClassVar[tuple[str, ...]] = ("access_key", "signing_key")
    asks: ClassVar[tuple[Asked, ...]] = (Asked("account_id"), secret("access_key"), secret("signing_key"))
    capabilities: ClassVar[Capabilities] = Capabilities(
        template_options=("namespace",),
        declares_sha256=False,
        declares_size=False,
        file_lifetime=FILE_LIFETIME,
        media_hosts=HOSTS,
        credential_hosts=HOSTS,
        signature_life=timedelta(seconds=signature.LIFETIME_S),
    )

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials
        self._base = (credentials.api_base or API).rstrip("/")
        own_host = host_of(credentials.api_base) if credentials.api_base else None
        extra = [host for host in (*credentials.allowed_hosts, own_host) if host]
        self._trusted_besides = frozenset(extra)
        self._hosts = tuple(dict.fromkeys((*HOSTS, *extra)))
        self._media_asks_for_key = False

    def handshake(self, webhook: Webhook) -> str:
        raise ForgedWebhook("MessageBird does not shake hands.")

    def verify(self, webhook: Webhook) -> None:
        keys = signing.accepted(self._credentials.secrets, "signing_key")
        if not signature.is_genuine(webhook, keys, clock.now()):
            raise ForgedWebhook

    def probe(self, probe_id: str, url: str) -> Webhook:
        body = probing.json_body(probe_id, type="acervo.probe")
        key = self._credentials.secrets.get("signing_key", "")
        token = signature.token_for(body, url, key, clock.now())
        return Webhook(
            "POST", {"content-type": "application/json", signature.JWT_HEADER: token}, body, url=url
        )

    def probed(self, webhook: Webhook) -> str | None:
        return probing.id_in_json(webhook.body)

    def read(self, webhook: Webhook) -> Reading:
        received_at = webhook.received_at or clock.now()
        frame = reading.Frame(self._credentials.account_id, self._hosts, received_at)
        return reading.read(webhook.body, frame)

    async def resolve(self, session: aiohttp.ClientSession, file: AnnouncedFile) -> Resolved:
        """The link is in the webhook. Whether it opens by itself or by our key is not documented, so the first byte
        is asked for without the key, until MessageBird asks for one."""
        url = file.url or links.address(file.provider_id)
        if file.refusal or not url:
            raise MediaGone("MessageBird holds no such file.", code=file.refusal or Outcome.EXPIRED)
        if not self._may_see_credentials(url):
            raise MediaGone("The link leads to a host files may not come from.", code=Outcome.FORBIDDEN_HOST)
        is_open = not self._media_asks_for_key
        reply = await self._first_byte(session, url, {} if is_open else self._authorization())
        if is_open and reply.status in (401, 403):
            is_open, self._media_asks_for_key = False, True
            reply = await self._first_byte(session, url, self._authorization())
        if reply.status in stores.REDIRECTS:
            return stores.redirected(errors.VENDOR, url, reply, trusted=self._trusted_besides)
        if reply.status not in (200, 206):
            raise errors.refusal(reply, by_status=errors.MEDIA_BY_STATUS)
        mime = reply.mime
        if mime in PAGES and mime != file.mime:
            raise ProviderBusy("MessageBird sent something that is not the file.", code=Outcome.NOT_MEDIA)
        return Resolved(url=url, mime=mime, is_open=is_open)

    def download_request(self, resolved: Resolved) -> DownloadRequest:
        may_see = not resolved.is_open and self._may_see_credentials(resolved.url)
        authorization = self._authorization() if may_see else {}
        return stores.download_request(resolved, usual_hosts=self._hosts, authorization=authorization)

    def download_refusal(self, status: int, headers: Mapping[str, str], body: bytes) -> AcervoError:
        if status < 300:
            return ProviderBusy("MessageBird sent something that is not the file.", code=Outcome.NOT_MEDIA)
        return errors.refusal(Reply(status, headers, body), by_status=errors.DOWNLOAD_BY_STATUS)

    def usage(self, headers: Mapping[str, str]) -> Usage | None:
        return None

    async def check(self, session: aiohttp.ClientSession) -> Health:
        try:
            webhooks = await self._webhooks(session)
        except AcervoError as error:
            return Health(is_alive=False, code=error.code, detail=str(error))
        unwell = {} if webhooks else {"unwell": ["webhooks"]}
        return Health(is_alive=True, code="ok", facts={"webhooks": len(webhooks), **unwell})

    async def send(self, session: aiohttp.ClientSession, message: Outgoing) -> Sent:
        body = sending.request(message, channel_id=self._credentials.account_id)
        return sending.sent(await self._call(session, "POST", "/v1/send", json=body))

    async def register(self, session: aiohttp.ClientSession, url: str) -> None:
        if url in [webhook.get("url") for webhook in await self._webhooks(session)]:
            return
        body = {"events": list(reading.EVENTS), "channelId": self._credentials.account_id, "url": url}
        reply = await self._call(session, "POST", "/v1/webhooks", json=body)
        if not 200 <= reply.status < 300:
            raise errors.refusal(reply)

    async def registered(self, session: aiohttp.ClientSession) -> str | None:
        urls = [as_text(webhook.get("url")) for webhook in await self._webhooks(session)]
        return ours_first(self.kind, urls)

    async def unregister(self, session: aiohttp.ClientSession, url: str) -> None:
        for webhook in await self._webhooks(session):
            identifier = as_id(webhook.get("id"))
            if webhook.get("url") == url and identifier and re.fullmatch(SAFE_ID, identifier):
                reply = await self._call(session, "DELETE", f"/v1/webhooks/{identifier}")
                if not 200 <= reply.status < 300 and reply.status != 404:
                    raise errors.refusal(reply)

    async def _webhooks(self, session: aiohttp.ClientSession) -> list[Mapping[str, Any]]:
        """The webhooks of our channel, and those of all channels, that tell of messages."""
        reply = await self._call(session, "GET", "/v1/webhooks", params={"limit": MOST_WEBHOOKS})
        if reply.status != 200:
            raise errors.refusal(reply)
        try:
            items = parse_object(reply.body).get("items")
        except AcervoError:
            items = None
        if not isinstance(items, list):
            raise ProviderBusy("MessageBird answered something else than asked.", code=Outcome.UNKNOWN)
        found = [as_mapping(item) for item in items]
        return [webhook for webhook in found if self._is_ours(webhook)]

    def _is_ours(self, webhook: Mapping[str, Any]) -> bool:
        channel = as_id(webhook.get("channelId"))
        tells_all = set(reading.EVENTS) <= {as_text(event) for event in as_sequence(webhook.get("events"))}
        is_on = webhook.get("status", "enabled") == "enabled"
        return channel in (None, self._credentials.account_id) and tells_all and is_on

    async def _first_byte(
        self, session: aiohttp.ClientSession, url: str, headers: Mapping[str, str]
    ) -> Reply:
        headers = {"Range": "bytes=0-0", **headers}
        return await ask(session, "GET", url, vendor=errors.VENDOR, headers=headers, limit_bytes=4096)

    async def _call(self, session: aiohttp.ClientSession, method: str, path: str, **options: Any) -> Reply:
        url = f"{self._base}{path}"
        return await ask(session, method, url, vendor=errors.VENDOR, headers=self._authorization(), **options)

    def _authorization(self) -> dict[str, str]:
        return {"Authorization": f"AccessKey {self._credentials.secrets.get('access_key', '')}"}

    def _may_see_credentials(self, url: str) -> bool:
        return is_safe_at(url, HOSTS) or host_of(url) in self._trusted_besides
