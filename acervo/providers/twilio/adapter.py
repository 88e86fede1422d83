"""Twilio: signature, where the bytes are, whether a sender is well; the rest is in the modules beside it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from datetime import datetime, timedelta
from typing import ClassVar
from urllib.parse import urlencode, urljoin

import aiohttp
import yarl

from acervo.base import clock
from acervo.base.errors import AcervoError, Gone
from acervo.providers import probing, signing
from acervo.providers.asked import Asked, secret
from acervo.providers.asking import USER_AGENT, Reply, host_of, is_safe_at
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
from acervo.providers.sending import Outgoing, Sent
from acervo.providers.twilio import condition, errors, files, forms, reading, recovery, senders, sending
from acervo.providers.twilio.api import ACCOUNT_SID, Api
from acervo.providers.twilio.messages import Frame
from acervo.providers.untrusted import as_count, as_id, as_moment

API_HOST = "api.twilio.com"
CDN_HOSTS = ("mms.twiliocdn.com", "media.twiliocdn.com")
"""Where the first hop leads; seen by those who use it (2026). They get no credentials: the link itself is the key."""
HOSTS = (API_HOST, *CDN_HOSTS)
OUR_PATIENCE = timedelta(days=365)
"""Twilio keeps files until somebody deletes them; a deadline is only needed to give up some day."""
REDIRECTS = frozenset({301, 302, 303, 307, 308})
APPEARS_WITHIN = timedelta(minutes=10)
"""Unsure: a file may answer 404 for a moment after its webhook. Until its message is this old, that is not believed."""
FIRST_HOP_BYTES = 4096
PAGES = ("text/html", "application/xhtml+xml")

SIGNATURE_HEADER = "x-twilio-signature"

_SIGNATURE = re.compile(r"[A-Za-z0-9+/]{27}=")


class Twilio:
    """One WhatsApp sender at Twilio: `account_id` is its number, E.164 with plus sign."""

    kind: ClassVar[str] = "twilio"
    name: ClassVar[str] = "Twilio"
    secret_names: ClassVar[tuple[str, ...]] = ("auth_token",)
    asks: ClassVar[tuple[Asked, ...]] = (
        Asked("account_id", r"\+[1-9][0-9]{6,14}", leaves_out=" ().-"),
        Asked("account_sid", ACCOUNT_SID.pattern),
        secret("auth_token"),
        Asked("messaging_service_sid", r"MG[0-9a-f]{32}", is_required=False),
        Asked(
            "api_key_sid", r"SK[0-9a-f]{32}", is_secret=True, is_required=False, goes_with="api_key_secret"
        ),
        secret("api_key_secret", is_required=False, goes_with="api_key_sid"),
        Asked("forgets", is_switch=True),
    )
    capabilities: ClassVar[Capabilities] = Capabilities(
        declares_sha256=False,
        declares_size=False,
        file_lifetime=OUR_PATIENCE,
        media_hosts=HOSTS,
        credential_hosts=(API_HOST,),
        acknowledgement=("text/xml", "<Response/>"),
        knocks_at_one_address=True,
    )

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials
        self._api = Api(credentials)
        own_host = host_of(credentials.api_base) if credentials.api_base else None
        self._api_host = own_host or API_HOST
        self._named = tuple(host for host in (own_host, *credentials.allowed_hosts) if host)
        self._hosts = tuple(dict.fromkeys((*HOSTS, *self._named)))

    def handshake(self, webhook: Webhook) -> str:
        raise ForgedWebhook("Twilio shakes no hands: set its webhooks to POST.")

    def verify(self, webhook: Webhook) -> None:
        signature = webhook.headers.get(SIGNATURE_HEADER, "")
        tokens = signing.accepted(self._credentials.secrets, "auth_token")
        if not _SIGNATURE.fullmatch(signature) or not forms.is_signed(webhook, signature, tokens):
            raise ForgedWebhook

    def probe(self, probe_id: str, url: str) -> Webhook:
        said = [(probing.NAME, probe_id)]
        signature = forms.signature(url, said, self._credentials.secrets.get("auth_token", ""))
        headers = {"content-type": forms.FORM, SIGNATURE_HEADER: signature}
        return Webhook("POST", headers, urlencode(said).encode(), url=url)

    def probed(self, webhook: Webhook) -> str | None:
        if probing.MARK not in webhook.body:
            return None
        try:
            return as_id(forms.parameters(webhook).get(probing.NAME))
        except AcervoError:
            return None

    def read(self, webhook: Webhook) -> Reading:
        return reading.read(forms.parameters(webhook), self._frame(webhook.received_at or clock.now()))

    async def resolve(self, session: aiohttp.ClientSession, file: AnnouncedFile) -> Resolved:
        """The first of Twilio's two hops. Its address is built here from ids alone, so that no link of a webhook is ever
        asked with our credentials; the second hop is a link that needs none."""
        place = files.Place.of_id(file.provider_id)
        if file.refusal or place is None:
            raise MediaGone("Twilio holds no such file.", code=file.refusal or Outcome.EXPIRED)
        path = self._api.account_path + place.path
        reply = await self._api.ask(session, "GET", path, limit_bytes=FIRST_HOP_BYTES)
        if reply.status in REDIRECTS:
            return self._second_hop(urljoin(self._api.url(path), reply.headers.get("Location", "")))
        if reply.status == 200:
            return _served_at_once(self._api.url(path), reply)
        refusal = errors.refusal(reply)
        if isinstance(refusal, Gone) and await self._is_young(session, place):
            raise ProviderBusy("Twilio does not have the file yet.", code=Outcome.UNAVAILABLE)
        raise refusal

    def download_request(self, resolved: Resolved) -> DownloadRequest:
        headers = {"User-Agent": USER_AGENT}
        if self._api.is_own(resolved.url):
            headers |= self._api.authorization()
        return DownloadRequest(
            url=resolved.url,
            headers=headers,
            allowed_hosts=self._hosts,
            credential_hosts=(self._api_host,),
        )

    def download_refusal(self, status: int, headers: Mapping[str, str], body: bytes) -> AcervoError:
        if status < 300:
            return ProviderBusy("Twilio sent something that is not the file.", code=Outcome.NOT_MEDIA)
        return errors.download_refusal(status, headers, body)

    def usage(self, headers: Mapping[str, str]) -> Usage | None:
        """Twilio tells how many requests run side by side, but not how many may."""
        return None

    async def check(self, session: aiohttp.ClientSession) -> Health:
        """Asks for one message of this sender: what capture and reconciliation need, and what every sort of key may do,
        while the account itself is closed to keys."""
        params = {"To": f"whatsapp:{self._credentials.account_id}", "PageSize": "1"}
        try:
            page = await self._api.ask_well(
                session, "GET", f"{self._api.account_path}/Messages.json", params=params
            )
            if not isinstance(page.get("messages"), list):
                raise ProviderBusy("Twilio answered without a list.", code=Outcome.UNKNOWN)
        except Gone as error:
            return Health(is_alive=False, code=Outcome.FORBIDDEN, detail=str(error))
        except AcervoError as error:
            code = error.code if error.code in set(Outcome) else Outcome.UNAVAILABLE
            return Health(is_alive=False, code=code, detail=str(error))
        return Health(
            is_alive=True,
            code="ok",
            facts=await condition.facts(self._api, session, self._credentials.account_id),
        )

    async def send(self, session: aiohttp.ClientSession, message: Outgoing) -> Sent:
        return await sending.send(self._api, session, message, self._credentials)

    def missed(self, session: aiohttp.ClientSession, since: datetime) -> AsyncIterator[Reading]:
        return recovery.missed(self._api, session, since, self._frame(clock.now()), APPEARS_WITHIN)

    async def forget(self, session: aiohttp.ClientSession, file: AnnouncedFile) -> None:
        place = files.Place.of_id(file.provider_id)
        if place is None:  # lost before it had an id: there is no copy
            return
        reply = await self._api.ask(session, "DELETE", f"{self._api.account_path}{place.path}.json")
        if not 200 <= reply.status < 300 and errors.code_of(reply.body) != errors.NOT_FOUND:
            raise errors.refusal(reply)

    async def register(self, session: aiohttp.ClientSession, url: str) -> None:
        await senders.register(self._api, session, self._credentials.account_id, url)

    async def registered(self, session: aiohttp.ClientSession) -> str | None:
        return await senders.registered(self._api, session, self._credentials.account_id)

    async def unregister(self, session: aiohttp.ClientSession, url: str) -> None:
        await senders.unregister(self._api, session, self._credentials.account_id, url)

    def _frame(self, at: datetime) -> Frame:
        return Frame(self._api.account_sid, self._credentials.account_id, self._api.origins, at)

    def _second_hop(self, url: str) -> Resolved:
        """Where Twilio's own link leads on."""
        if self._api.is_own(url):
            raise ProviderBusy("Twilio's link leads in circles.", code=Outcome.UNKNOWN)
        if not is_safe_at(url, HOSTS) and host_of(url) not in self._named:
            raise MediaGone("Twilio's link leads to a host we do not know.", code=Outcome.FORBIDDEN_HOST)
        return Resolved(url=url, expires_at=_expiry(url))

    async def _is_young(self, session: aiohttp.ClientSession, place: files.Place) -> bool:
        """Whether the file's message came just now, as Twilio tells it. No answer is no proof that it did not."""
        path = f"{self._api.account_path}/Messages/{place.message_sid}.json"
        try:
            came_at = recovery.moment(await self._api.ask_well(session, "GET", path))
        except Gone:
            return False
        return came_at is not None and clock.now() - came_at < APPEARS_WITHIN


def _served_at_once(url: str, reply: Reply) -> Resolved:
    """Some day there may be one hop only."""
    headers = {name.lower(): value for name, value in reply.headers.items()}
    mime = files.mime_type(headers.get("content-type"))
    if mime and mime.partition(";")[0] in PAGES:
        raise ProviderBusy("Twilio sent a page instead of the file.", code=Outcome.NOT_MEDIA)
    return Resolved(url=url, mime=mime, size_bytes=as_count(headers.get("content-length")))


def _expiry(url: str) -> datetime | None:
    """The link's signature names its end (CloudFront), usually four hours from now."""
    try:
        return as_moment(yarl.URL(url).query.get("Expires"))
    except ValueError:
        return None
