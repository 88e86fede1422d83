"""Meta's Cloud API: signature, handshake, where the bytes are, and whether a number is well."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

import aiohttp
import yarl

from acervo.base.errors import AcervoError, Gone
from acervo.providers import signing
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
from acervo.providers.meta_cloud import errors, files, reading
from acervo.providers.untrusted import as_count, as_mapping, as_text, as_word, parse_object

log = logging.getLogger(__name__)

GRAPH_API_VERSION = "v25.0"
"""The version in Meta's own samples of April 2026. The only place it is written."""
GRAPH_API = "https://graph.facebook.com"
HOSTS = ("lookaside.fbsbx.com", "graph.facebook.com")
"""Media page, April 2026. Exact names: a suffix match would trust anybody's page on fbsbx.com."""
USER_AGENT = "acervo"
"""lookaside was reported to answer 404 to the defaults of some libraries; any fixed name of one's own works."""
ASKING_TIMEOUT = aiohttp.ClientTimeout(total=20)
LONGEST_ANSWER_BYTES = 65_536

_SIGNATURE = re.compile(r"sha256=([0-9a-f]{64})")
_CHALLENGE = re.compile(r"[A-Za-z0-9_\-]{1,256}")


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes


class MetaCloud:
    """One phone number at Meta."""

    kind: ClassVar[str] = "meta_cloud"
    name: ClassVar[str] = "WhatsApp Cloud API (Meta)"
    secret_names: ClassVar[tuple[str, ...]] = ("token", "app_secret", "verify_token")
    capabilities: ClassVar[Capabilities] = Capabilities(
        declares_sha256=True,
        declares_size=True,
        file_lifetime=timedelta(days=7),
        short_file_lifetime=timedelta(hours=1),
        has_handshake=True,
        media_hosts=HOSTS,
        credential_hosts=HOSTS,
    )

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials
        self._base = (credentials.api_base or GRAPH_API).rstrip("/")
        own_host = _host(credentials.api_base) if credentials.api_base else None
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
        match = _SIGNATURE.fullmatch(webhook.headers.get("x-hub-signature-256", ""))
        if match is None or not signing.is_signed(webhook.body, match[1], secrets):
            raise ForgedWebhook

    def read(self, webhook: Webhook) -> Reading:
        return reading.read(webhook.body)

    async def resolve(self, session: aiohttp.ClientSession, file: AnnouncedFile) -> Resolved:
        if file.refusal or not files.media_id(file.provider_id):
            raise MediaGone("Meta holds no such file.", code=file.refusal or Outcome.EXPIRED)
        answer = await self._ask_for_file(session, file.provider_id)
        if answer.status != 200:
            raise errors.refusal(answer.status, answer.headers, answer.body)
        return _resolved(answer)

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
        fields = {"fields": "id,quality_rating,throughput,platform_type"}
        try:
            answer = await self._get(session, self._credentials.account_id, fields)
            if answer.status != 200:
                raise errors.refusal(answer.status, answer.headers, answer.body)
            number = parse_object(answer.body)
        except Gone as error:
            # The number itself is not visible to this token: someone has to assign it.
            return Health(is_alive=False, code=Outcome.FORBIDDEN, detail=str(error))
        except AcervoError as error:
            code = error.code if error.code in set(Outcome) else Outcome.UNAVAILABLE
            return Health(is_alive=False, code=code, detail=str(error))
        facts = {
            "quality_rating": as_word(number.get("quality_rating")),
            "throughput": as_word(as_mapping(number.get("throughput")).get("level")),
            "platform_type": as_word(number.get("platform_type")),
        }
        return Health(is_alive=True, code="ok", facts={k: v for k, v in facts.items() if v != "?"})

    async def _ask_for_file(self, session: aiohttp.ClientSession, media_id: str) -> _Answer:
        """Naming our number makes Meta refuse another number's file. It also refuses some of our own with the
        error for expired ones, so that error is believed only when it comes without the number, too."""
        params = {"phone_number_id": self._credentials.account_id}
        answer = await self._get(session, media_id, params)
        if errors.GraphError.of(answer.body).code == errors.UNAVAILABLE_OBJECT:
            answer = await self._get(session, media_id, {})
        return answer

    async def _get(self, session: aiohttp.ClientSession, node: str, params: Mapping[str, str]) -> _Answer:
        url = f"{self._base}/{GRAPH_API_VERSION}/{node}"
        headers = {"User-Agent": USER_AGENT, **self._authorization()}
        try:
            async with session.get(
                url, params=params, headers=headers, timeout=ASKING_TIMEOUT, allow_redirects=False
            ) as response:
                body = await _read_up_to(response, LONGEST_ANSWER_BYTES)
                return _Answer(response.status, response.headers, body)
        except TimeoutError:
            failure = ProviderBusy("Meta did not answer in time.", code=Outcome.TIMED_OUT)
        except aiohttp.ClientError as error:
            failure = ProviderBusy("Meta cannot be reached.", error=type(error).__name__)
        # Raised out here so that it carries no cause: aiohttp's errors hold the request and its headers.
        raise failure

    def _authorization(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._credentials.secrets.get('token', '')}"}

    def _may_see_credentials(self, url: str) -> bool:
        host = _host(url)
        return url.startswith("https://") if host in HOSTS else host in self._trusted_besides


def _resolved(answer: _Answer) -> Resolved:
    try:
        told = parse_object(answer.body)
    except AcervoError:
        told = {}
    url = as_text(told.get("url"))
    if url is None:
        raise ProviderBusy("Meta answered without a link.", code=Outcome.UNKNOWN)
    return Resolved(
        url=url,
        expires_at=files.url_expiry(url),
        mime=files.mime_type(told.get("mime_type")),
        sha256=files.sha256_hex(told.get("sha256")),
        size_bytes=as_count(told.get("file_size")),
        usage=errors.usage(answer.headers),
    )


async def _read_up_to(response: aiohttp.ClientResponse, limit_bytes: int) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > limit_bytes:
            break
    return bytes(body[:limit_bytes])


def _host(url: str | None) -> str | None:
    try:
        return yarl.URL(url or "").host
    except ValueError:
        return None
