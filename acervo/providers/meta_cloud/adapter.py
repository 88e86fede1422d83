"""Meta's Cloud API: signature, handshake, where the bytes are, whether a number is well, what we say through it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar

import aiohttp

from acervo.base.errors import AcervoError, Gone, NeedsPerson
from acervo.providers import probing, signing
from acervo.providers.asked import DIGITS, Asked, secret
from acervo.providers.asking import USER_AGENT, Reply, host_of
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
from acervo.providers.meta_cloud import condition, errors, files, outgoing, reading
from acervo.providers.meta_cloud.graph import Graph
from acervo.providers.sending import Outgoing, Sent
from acervo.providers.untrusted import as_mapping, as_text, as_word, parse_object

GRAPH_API_VERSION = "v25.0"
"""The version in Meta's own samples of April 2026. The only place it is written."""
GRAPH_API = "https://graph.facebook.com"
HOSTS = ("lookaside.fbsbx.com", "graph.facebook.com")
"""Media page, April 2026. Exact names: a suffix match would trust anybody's page on fbsbx.com."""
FILE_LIFETIME = timedelta(days=7)
"""Of an id in a webhook (changelog of 24 September 2025: 30 days before)."""
NO_STORAGE_LIFETIME = timedelta(hours=1)
HISTORY_FILES = timedelta(days=14)
"""When a number comes from the app, files younger than this before that day are offered (history page, 2026-03)."""
MESSAGING_LIMIT = condition.MESSAGING_LIMIT
MORE = {"fields": "status,account_mode,code_verification_status,name_status"}
"""Asked apart: one unknown field spoils a whole answer."""
OVERRIDE = "webhook_configuration"
LONGEST_ADDRESS = 200
"""Characters of an override address (overrides page, June 2026)."""

SIGNATURE_HEADER = "x-hub-signature-256"

_SIGNATURE = re.compile(r"sha256=([0-9a-f]{64})")
_CHALLENGE = re.compile(r"[A-Za-z0-9_\-]{1,256}")


class AddressTooLong(NeedsPerson):
    """Meta takes webhook addresses of up to 200 characters. Give this installation a shorter base URL."""

    code = "address_too_long"


class MetaCloud:
    """One phone number at Meta."""

    kind: ClassVar[str] = "meta_cloud"
    name: ClassVar[str] = "WhatsApp Cloud API (Meta)"
    secret_names: ClassVar[tuple[str, ...]] = ("token", "app_secret", "verify_token")
    asks: ClassVar[tuple[Asked, ...]] = (
        Asked("account_id", DIGITS),
        Asked("waba_id", DIGITS),
        secret("token"),
        secret("app_secret"),
        Asked("no_storage", is_switch=True),
    )
    capabilities: ClassVar[Capabilities] = Capabilities(
        declares_sha256=True,
        declares_size=True,
        file_lifetime=FILE_LIFETIME,
        short_file_lifetime=NO_STORAGE_LIFETIME,
        history_files=HISTORY_FILES,
        has_handshake=True,
        media_hosts=HOSTS,
        credential_hosts=HOSTS,
        own_secrets=("verify_token",),
        knocks_at_one_address=True,
    )

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials
        base = (credentials.api_base or GRAPH_API).rstrip("/")
        self._graph = Graph(f"{base}/{GRAPH_API_VERSION}", "Meta", self._authorization())
        own_host = host_of(credentials.api_base) if credentials.api_base else None
        extra = [host for host in (*credentials.allowed_hosts, own_host) if host]
        self._trusted_besides = frozenset(extra)
        self._hosts = tuple(dict.fromkeys((*HOSTS, *extra)))

    def handshake(self, webhook: Webhook) -> str:
        query = webhook.query
        tokens = signing.accepted(self._credentials.secrets, "verify_token")
        challenge = query.get("hub.challenge", "")
        is_ours = signing.is_one_of(query.get("hub.verify_token", ""), tokens)
        if not is_ours or query.get("hub.mode") != "subscribe" or not _CHALLENGE.fullmatch(challenge):
            raise ForgedWebhook("The handshake does not carry our verify token.")
        return challenge

    def verify(self, webhook: Webhook) -> None:
        secrets = signing.accepted(self._credentials.secrets, "app_secret")
        match = _SIGNATURE.fullmatch(webhook.headers.get(SIGNATURE_HEADER, ""))
        if match is None or not signing.is_signed(webhook.body, match[1], secrets):
            raise ForgedWebhook

    def probe(self, probe_id: str, url: str) -> Webhook:
        body = probing.json_body(probe_id, object=reading.OBJECT, entry=[])
        signature = signing.hex_signature(body, self._credentials.secrets.get("app_secret", ""))
        headers = {"content-type": "application/json", SIGNATURE_HEADER: f"sha256={signature}"}
        return Webhook("POST", headers, body, url=url)

    def probed(self, webhook: Webhook) -> str | None:
        return probing.id_in_json(webhook.body)

    def read(self, webhook: Webhook) -> Reading:
        return reading.read(webhook.body)

    async def resolve(self, session: aiohttp.ClientSession, file: AnnouncedFile) -> Resolved:
        if file.refusal or not files.media_id(file.provider_id):
            raise MediaGone("Meta holds no such file.", code=file.refusal or Outcome.EXPIRED)
        answer = await self._ask_for_file(session, file.provider_id)
        if answer.status != 200:
            raise errors.refusal(answer.status, answer.headers, answer.body)
        return files.resolved(answer)

    def download_request(self, resolved: Resolved) -> DownloadRequest:
        headers = {"User-Agent": USER_AGENT}
        if self._may_see_credentials(resolved.url):
            headers |= self._authorization()
        return DownloadRequest(
            url=resolved.url, headers=headers, allowed_hosts=self._hosts, credential_hosts=self._hosts
        )

    def download_refusal(self, status: int, headers: Mapping[str, str], body: bytes) -> AcervoError:
        if status < 300:
            return ProviderBusy("Meta sent something that is not the file.", code=Outcome.NOT_MEDIA)
        return errors.refusal(status, headers, body, by_status=errors.DOWNLOAD_BY_STATUS)

    def usage(self, headers: Mapping[str, str]) -> Usage | None:
        return errors.usage(headers)

    async def check(self, session: aiohttp.ClientSession) -> Health:
        fields = {"fields": "id,quality_rating,throughput,platform_type,is_on_biz_app," + MESSAGING_LIMIT}
        try:
            answer = await self._graph.get(session, self._credentials.account_id, fields)
            if answer.status != 200:
                raise errors.refusal(answer.status, answer.headers, answer.body)
            number = parse_object(answer.body)
        except Gone as error:
            # The number itself is not visible to this token: someone has to assign it.
            return Health(is_alive=False, code=Outcome.FORBIDDEN, detail=str(error))
        except AcervoError as error:
            code = error.code if error.code in set(Outcome) else Outcome.UNAVAILABLE
            return Health(is_alive=False, code=code, detail=str(error))
        keeps_files = await self._keeps_files(session)
        facts = {
            **condition.of_number(number),
            **condition.of_number(await self._told(session, "GET", self._credentials.account_id, MORE)),
            **condition.of_token(await self._told(session, "POST", "debug_token", self._about_token())),
            **({} if keeps_files is None else {"keeps_files": keeps_files}),
        }
        return Health(is_alive=True, code="ok", facts={**facts, **condition.unwell(facts)})

    async def send(self, session: aiohttp.ClientSession, message: Outgoing) -> Sent:
        """Raises OutsideWindow, NotSent, AccessLost, ProviderBusy."""
        said = outgoing.as_graph(message)
        return outgoing.sent(
            await self._graph.post(session, f"{self._credentials.account_id}/messages", said)
        )

    async def register(self, session: aiohttp.ClientSession, url: str) -> None:
        """The app listens to the account, and this number alone knocks at `url`: an address of the account or of the
        app would move its other numbers, too. Meta shakes hands with `url` before it answers."""
        if len(url) > LONGEST_ADDRESS:
            raise AddressTooLong()
        waba_id = as_text(self._credentials.options.get("waba_id"))
        if waba_id:
            self._accepted(await self._graph.post(session, f"{waba_id}/subscribed_apps", {}))
        wanted = {
            "override_callback_uri": url,
            "verify_token": self._credentials.secrets.get("verify_token", ""),
        }
        self._accepted(await self._graph.post(session, self._credentials.account_id, {OVERRIDE: wanted}))

    async def registered(self, session: aiohttp.ClientSession) -> str | None:
        """The nearest of the number's, the account's and the app's address: that is the one Meta uses."""
        answer = await self._graph.get(session, self._credentials.account_id, {"fields": OVERRIDE})
        told = as_mapping(self._accepted(answer).get(OVERRIDE))
        names = ("phone_number", "whatsapp_business_account", "application")
        return next((url for name in names if (url := as_text(told.get(name)))), None)

    async def unregister(self, session: aiohttp.ClientSession, url: str) -> None:
        """The override of this number ends; account and app keep theirs."""
        if await self.registered(session) == url:
            nothing = {OVERRIDE: {"override_callback_uri": ""}}
            self._accepted(await self._graph.post(session, self._credentials.account_id, nothing))

    def _accepted(self, answer: Reply) -> Mapping[str, Any]:
        """What a good answer says. Code 100 is no lost file here: something of ours is not visible to the token."""
        if answer.status != 200:
            error = errors.refusal(answer.status, answer.headers, answer.body)
            if isinstance(error, Gone):
                raise AccessLost(str(error), code=Outcome.FORBIDDEN, **error.facts)
            raise error
        try:
            return parse_object(answer.body)
        except AcervoError:
            raise ProviderBusy("Meta answered something that is not Graph's.", code=Outcome.UNKNOWN) from None

    async def _keeps_files(self, session: aiohttp.ClientSession) -> bool | None:
        """Whether Meta keeps received files for days; None when it does not say. Never raises."""
        try:
            answer = await self._graph.get(session, f"{self._credentials.account_id}/settings")
            storage = as_mapping(self._accepted(answer).get("storage_configuration"))
        except AcervoError:
            return None
        word = as_word(storage.get("status"))
        return None if word == "?" else word != "NO_STORAGE_ENABLED"

    async def _told(
        self, session: aiohttp.ClientSession, method: str, path: str, what: Mapping[str, str]
    ) -> Mapping[str, Any]:
        """What Meta says besides: a field it does not know, or a token that may not ask, costs the answer and no more."""
        ask = self._graph.get if method == "GET" else self._graph.post
        try:
            return self._accepted(await ask(session, path, what))
        except AcervoError:
            return {}

    def _about_token(self) -> dict[str, str]:
        """Meta's page asks with the token in the address, where logs would find it. Graph takes a GET as a POST, too."""
        return {"input_token": self._credentials.secrets.get("token", ""), "method": "get"}

    async def _ask_for_file(self, session: aiohttp.ClientSession, media_id: str) -> Reply:
        """Naming our number makes Meta refuse another number's file. It also refuses some of our own with the
        error for expired ones, so that error is believed only when it comes without the number, too."""
        params = {"phone_number_id": self._credentials.account_id}
        answer = await self._graph.get(session, media_id, params)
        if errors.GraphError.of(answer.body).code == errors.UNAVAILABLE_OBJECT:
            answer = await self._graph.get(session, media_id)
        return answer

    def _authorization(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._credentials.secrets.get('token', '')}"}

    def _may_see_credentials(self, url: str) -> bool:
        host = host_of(url)
        return url.startswith("https://") if host in HOSTS else host in self._trusted_besides
