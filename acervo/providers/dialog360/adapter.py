"""360dialog: Meta's Cloud API behind another host and key, without a signature, and with a block for those who insist."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar
from urllib.parse import urlsplit

import aiohttp

from acervo.base.errors import AcervoError, Gone
from acervo.providers import probing, signing
from acervo.providers.asked import DIGITS, Asked, secret
from acervo.providers.asking import USER_AGENT, Meaning, Reply, host_of, is_safe_at
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
from acervo.providers.dialog360 import reading
from acervo.providers.meta_cloud import errors, files, outgoing
from acervo.providers.meta_cloud.adapter import FILE_LIFETIME, HISTORY_FILES, NO_STORAGE_LIFETIME
from acervo.providers.meta_cloud.graph import Graph
from acervo.providers.meta_cloud.reading import OBJECT
from acervo.providers.sending import Outgoing, Sent
from acervo.providers.untrusted import as_count, as_mapping, as_sequence, as_text, as_word, parse_object

VENDOR = "360dialog"
API = "https://waba-v2.360dialog.io"
HOST = "waba-v2.360dialog.io"
METAS_HOST = "lookaside.fbsbx.com"
MEDIA_PATH = "/whatsapp_business/attachments/"
"""Links of a look-up lead here; the same path and query are asked for at 360dialog's host (media page, 2026)."""
FAILURES_PER_HOUR = 4
"""Two versions of the media page: 20 failures in an hour block for 30 minutes, or 5 block for an hour. Below both."""
BLOCKED_FOR = timedelta(hours=1)
DEAD_LINK_REST_S = 600.0
"""Before a link that answered 404 is looked up again: each try counts towards the block."""
HOOK_HEADER = "x-hook-secret"
HOOK_USER = "webhook"
"""The secret is registered in both spellings, as a header of our own and as Basic; either may be what arrives."""
CONFIGURATION = "v1/configs/webhook"


class Dialog360:
    """One phone number at 360dialog: its key opens this number and no other."""

    kind: ClassVar[str] = "dialog360"
    name: ClassVar[str] = "360dialog"
    secret_names: ClassVar[tuple[str, ...]] = ("api_key", "hook_secret", "path_key")
    asks: ClassVar[tuple[Asked, ...]] = (
        Asked("account_id", DIGITS),
        secret("api_key"),
        Asked("no_storage", is_switch=True),
    )
    capabilities: ClassVar[Capabilities] = Capabilities(
        declares_sha256=True,
        declares_size=True,
        file_lifetime=FILE_LIFETIME,
        short_file_lifetime=NO_STORAGE_LIFETIME,
        history_files=HISTORY_FILES,
        media_hosts=(HOST,),
        credential_hosts=(HOST,),
        download_failures_per_hour=FAILURES_PER_HOUR,
        signs_body=False,
        address_secret="path_key",  # noqa: S106  (its name)
        own_secrets=("hook_secret", "path_key"),
        knocks_at_one_address=True,
    )

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials
        self._base = (credentials.api_base or API).rstrip("/")
        self._graph = Graph(self._base, VENDOR, self._authorization())
        own_host = host_of(credentials.api_base) if credentials.api_base else None
        self._trusted_besides = frozenset(host for host in (*credentials.allowed_hosts, own_host) if host)
        self._hosts = tuple(dict.fromkeys((HOST, *sorted(self._trusted_besides))))

    def handshake(self, webhook: Webhook) -> str:
        raise ForgedWebhook("360dialog shakes no hands.")

    def verify(self, webhook: Webhook) -> None:
        """Nothing is signed: the address must end with our key, and a header must show our secret. Both are compared
        before either is judged."""
        keys = signing.accepted(self._credentials.secrets, "path_key")
        is_our_address = signing.is_one_of(_last_segment(webhook.url), keys)
        secrets = signing.accepted(self._credentials.secrets, "hook_secret")
        shown = signing.is_one_of(webhook.headers.get(HOOK_HEADER, ""), secrets)
        shown |= signing.is_one_of(webhook.headers.get("authorization", ""), [_basic(one) for one in secrets])
        if not (is_our_address and shown):
            raise ForgedWebhook("The knock does not show our secrets.")

    def probe(self, probe_id: str, url: str) -> Webhook:
        """Nothing is signed here: the address, which ends with our key, and our header are what verifies."""
        body = probing.json_body(probe_id, object=OBJECT, entry=[])
        secret = self._credentials.secrets.get("hook_secret", "")
        return Webhook("POST", {"content-type": "application/json", HOOK_HEADER: secret}, body, url=url)

    def probed(self, webhook: Webhook) -> str | None:
        return probing.id_in_json(webhook.body)

    def read(self, webhook: Webhook) -> Reading:
        return reading.read(webhook.body, self._credentials.account_id)

    async def resolve(self, session: aiohttp.ClientSession, file: AnnouncedFile) -> Resolved:
        """Asked once: an id that is refused is never asked for again, since each refusal counts towards the block."""
        if file.refusal or not files.media_id(file.provider_id):
            raise MediaGone("360dialog holds no such file.", code=file.refusal or Outcome.EXPIRED)
        answer = await self._graph.get(session, file.provider_id)
        if answer.status != 200:
            raise _refusal(answer.status, answer.headers, answer.body)
        found = files.resolved(answer, vendor=VENDOR)
        url = self._moved(found.url)
        if url is None:
            raise MediaGone("360dialog named a link that is not Meta's.", code=Outcome.FORBIDDEN_HOST)
        return Resolved(url, found.expires_at, found.mime, found.sha256, found.size_bytes, found.usage)

    def download_request(self, resolved: Resolved) -> DownloadRequest:
        url = self._moved(resolved.url) or resolved.url
        headers = {"User-Agent": USER_AGENT}
        if self._may_see_credentials(url):
            headers |= self._authorization()
        return DownloadRequest(url, headers, allowed_hosts=self._hosts, credential_hosts=self._hosts)

    def download_refusal(self, status: int, headers: Mapping[str, str], body: bytes) -> AcervoError:
        if status < 300:
            return ProviderBusy("360dialog sent something that is not the file.", code=Outcome.NOT_MEDIA)
        return _refusal(status, headers, body, by_status=errors.DOWNLOAD_BY_STATUS)

    def usage(self, headers: Mapping[str, str]) -> Usage | None:
        return errors.usage(headers)

    async def check(self, session: aiohttp.ClientSession) -> Health:
        try:
            told = self._accepted(await self._graph.get(session, "health_status"))
        except AcervoError as error:
            code = error.code if error.code in set(Outcome) else Outcome.UNAVAILABLE
            return Health(is_alive=False, code=code, detail=str(error))
        status = as_mapping(told.get("health_status"))
        facts = {"can_send": as_word(status.get("can_send_message"))}
        for entity in map(as_mapping, as_sequence(status.get("entities"))):
            facts[f"can_send_{as_word(entity.get('entity_type')).lower()}"] = as_word(
                entity.get("can_send_message")
            )
        facts = {k: v for k, v in facts.items() if "?" not in k + v}
        blocked = sorted(name for name, word in facts.items() if word in ("BLOCKED", "LIMITED"))
        unwell = {"unwell": blocked} if blocked else {}
        return Health(is_alive=True, code="ok", facts={**facts, **_errors_of(status), **unwell})

    async def send(self, session: aiohttp.ClientSession, message: Outgoing) -> Sent:
        """Raises OutsideWindow, NotSent, AccessLost, ProviderBusy."""
        said = outgoing.as_graph(message)
        return outgoing.sent(await self._graph.post(session, "messages", said), vendor=VENDOR)

    async def register(self, session: aiohttp.ClientSession, url: str) -> None:
        """The number knocks at `url`, which ends with our path key, and shows our secret in two spellings."""
        secret = self._credentials.secrets.get("hook_secret", "")
        headers = {"X-Hook-Secret": secret, "Authorization": _basic(secret)}
        self._accepted(await self._graph.post(session, CONFIGURATION, {"url": url, "headers": headers}))

    async def registered(self, session: aiohttp.ClientSession) -> str | None:
        return as_text(self._accepted(await self._graph.get(session, CONFIGURATION)).get("url"))

    def _accepted(self, answer: Reply) -> Mapping[str, Any]:
        if answer.status != 200:
            error = _refusal(answer.status, answer.headers, answer.body)
            if isinstance(error, Gone):
                raise AccessLost(str(error), code=Outcome.FORBIDDEN, **error.facts)
            raise error
        try:
            return parse_object(answer.body)
        except AcervoError:
            raise ProviderBusy("360dialog answered something unknown.", code=Outcome.UNKNOWN) from None

    def _moved(self, url: str) -> str | None:
        """Meta's link at 360dialog's host, path and query untouched; None for what is not exactly such a link."""
        parts = urlsplit(url) if is_safe_at(url, (METAS_HOST,)) else None
        if parts is None or not parts.path.startswith(MEDIA_PATH) or ".." in parts.path:
            return url if self._is_moved_already(url) else None
        return f"{self._base}{parts.path}" + (f"?{parts.query}" if parts.query else "")

    def _is_moved_already(self, url: str) -> bool:
        return url.startswith(f"{self._base}{MEDIA_PATH}")

    def _authorization(self) -> dict[str, str]:
        return {"D360-API-KEY": self._credentials.secrets.get("api_key", "")}

    def _may_see_credentials(self, url: str) -> bool:
        return is_safe_at(url, (HOST,)) or host_of(url) in self._trusted_besides


def _refusal(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    by_status: Mapping[int, Meaning] = errors.RESOLVE_BY_STATUS,
) -> AcervoError:
    """Meta's table, and 360dialog's block: while it holds, nothing of this number can be had."""
    error = errors.refusal(status, headers, body, by_status=by_status, vendor=VENDOR)
    if isinstance(error, ProviderBusy) and error.after_s is None:
        if error.code == Outcome.RATE_LIMITED:
            error.after_s = BLOCKED_FOR.total_seconds()
        elif error.code == Outcome.URL_DIED:
            error.after_s = DEAD_LINK_REST_S
    return error


def _basic(secret: str) -> str:
    return "Basic " + base64.b64encode(f"{HOOK_USER}:{secret}".encode()).decode()


def _last_segment(url: str) -> str:
    try:
        return urlsplit(url).path.rpartition("/")[2]
    except ValueError:
        return ""


def _errors_of(status: Mapping[str, Any]) -> dict[str, Any]:
    """Why something cannot send, as Meta's codes: their sentences are for developers."""
    entities = map(as_mapping, as_sequence(status.get("entities")))
    errors_told = [as_mapping(error) for entity in entities for error in as_sequence(entity.get("errors"))]
    codes = sorted({code for error in errors_told if (code := as_count(error.get("error_code")))})
    return {"error_codes": codes} if codes else {}
