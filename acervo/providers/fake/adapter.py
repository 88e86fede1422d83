"""A provider in memory that keeps the same promises as a real one."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, ClassVar

import aiohttp

from acervo.base.errors import AcervoError
from acervo.providers import probing, signing
from acervo.providers.asked import Asked
from acervo.providers.contract import (
    AccessLost,
    AnnouncedFile,
    Announcement,
    Capabilities,
    Credentials,
    Direction,
    DownloadRequest,
    ForgedWebhook,
    Health,
    Identity,
    Kind,
    MediaGone,
    Outcome,
    ProviderBusy,
    Reading,
    Resolved,
    Unread,
    UnreadableWebhook,
    Usage,
    Webhook,
)
from acervo.providers.sending import Outgoing, Sent
from acervo.providers.untrusted import (
    as_count,
    as_id,
    as_mapping,
    as_moment,
    as_number,
    as_text,
    as_word,
    parse_object,
)

SIGNATURE_HEADER = "x-fake-signature"

_DIGEST = re.compile(r"[0-9a-f]{64}")

_PHONE = re.compile(r"\+[1-9][0-9]{5,14}")


@dataclass(slots=True)
class FakeAccount:
    """The provider's side of one account: what it holds, and what is wrong with it just now."""

    files: dict[str, Resolved] = field(default_factory=dict, repr=False)
    trouble: AcervoError | None = None
    """Raised at every question until cleared."""
    questions: int = 0
    sent: list[Outgoing] = field(default_factory=list, repr=False)
    """What it took from us, oldest first."""


class Fake:
    """One account at nobody's."""

    kind: ClassVar[str] = "fake"
    name: ClassVar[str] = "In-memory provider"
    secret_names: ClassVar[tuple[str, ...]] = ("signing_secret",)
    asks: ClassVar[tuple[Asked, ...]] = ()
    capabilities: ClassVar[Capabilities] = Capabilities(
        declares_sha256=True,
        declares_size=True,
        file_lifetime=timedelta(days=7),
        media_hosts=("127.0.0.1",),
    )
    accounts: ClassVar[dict[str, FakeAccount]] = {}
    """The world outside, shared by all instances. Tests arrange it and clear it."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials

    @classmethod
    def account(cls, account_id: str) -> FakeAccount:
        """The provider's side of an account, made on first mention."""
        return cls.accounts.setdefault(account_id, FakeAccount())

    def handshake(self, webhook: Webhook) -> str:
        raise ForgedWebhook("This provider has no handshake.")

    def verify(self, webhook: Webhook) -> None:
        digest = webhook.headers.get(SIGNATURE_HEADER, "")
        secrets = signing.accepted(self._credentials.secrets, "signing_secret")
        if not _DIGEST.fullmatch(digest) or not signing.is_signed(webhook.body, digest, secrets):
            raise ForgedWebhook

    def probe(self, probe_id: str, url: str) -> Webhook:
        body = probing.json_body(probe_id, provider="fake", messages=[])
        headers = {SIGNATURE_HEADER: sign(body, self._credentials.secrets.get("signing_secret", ""))}
        return Webhook("POST", headers, body, url=url)

    def probed(self, webhook: Webhook) -> str | None:
        return probing.id_in_json(webhook.body)

    def read(self, webhook: Webhook) -> Reading:
        payload = parse_object(webhook.body)
        messages = payload.get("messages")
        if payload.get("provider") != "fake" or not isinstance(messages, list):
            raise UnreadableWebhook("The body is not what the in-memory provider sends.")
        account_id = self._credentials.account_id
        parts = [
            part
            for i, message in enumerate(messages)
            for part in _read(message, account_id, f"/messages/{i}")
        ]
        return Reading(
            events=tuple(part for part in parts if isinstance(part, Announcement)),
            unread=tuple(part for part in parts if isinstance(part, Unread)),
        )

    async def resolve(self, session: aiohttp.ClientSession, file: AnnouncedFile) -> Resolved:
        if file.refusal:
            raise MediaGone("The provider holds no such file.", code=file.refusal)
        account = self._ask()
        try:
            return account.files[file.provider_id]
        except KeyError:
            raise MediaGone("The provider holds no such file.") from None

    def download_request(self, resolved: Resolved) -> DownloadRequest:
        return DownloadRequest(
            resolved.url, {}, allowed_hosts=self.capabilities.media_hosts, credential_hosts=()
        )

    def download_refusal(self, status: int, headers: Mapping[str, str], body: bytes) -> AcervoError:
        detail = f"The in-memory provider answered HTTP {status}."
        if status == 429:
            wait_s = as_number({name.lower(): value for name, value in headers.items()}.get("retry-after"))
            return ProviderBusy(detail, after_s=wait_s, code=Outcome.RATE_LIMITED)
        if status == 401:
            return AccessLost(detail)
        return ProviderBusy(detail, code=Outcome.UNAVAILABLE if status >= 500 else Outcome.URL_DIED)

    def usage(self, headers: Mapping[str, str]) -> Usage | None:
        return None

    async def check(self, session: aiohttp.ClientSession) -> Health:
        try:
            self._ask()
        except AcervoError as error:
            return Health(is_alive=False, code=error.code, detail=str(error))
        return Health(is_alive=True, code="ok")

    async def send(self, session: aiohttp.ClientSession, message: Outgoing) -> Sent:
        account = self._ask()
        account.sent.append(message)
        return Sent(f"out-{len(account.sent)}")

    def _ask(self) -> FakeAccount:
        account = self.account(self._credentials.account_id)
        account.questions += 1
        if account.trouble is not None:
            raise account.trouble
        return account


def knock(secret: str, *messages: Mapping[str, Any]) -> Webhook:
    """A signed webhook announcing `messages`: `id`, `from` (+E.164 or a user id), `at` (Unix seconds) and, as wanted,
    `name`, `text`, `type`, `is_outbound`, `file` with `id`, `kind`, `mime`, `sha256`, `size_bytes`, `name`, `url`."""
    body = json.dumps({"provider": "fake", "messages": list(messages)}).encode()
    return Webhook("POST", {SIGNATURE_HEADER: sign(body, secret)}, body)


def sign(body: bytes, secret: str) -> str:
    """The signature of a body."""
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def _read(message: object, account_id: str, pointer: str) -> Iterator[Announcement | Unread]:
    told = as_mapping(message)
    message_id, sent_at, sender = as_id(told.get("id")), as_moment(told.get("at")), _sender(told)
    if message_id is None or sent_at is None or sender is None:
        yield Unread(pointer, as_word(told.get("type")), "a message needs an id, a moment and a sender")
        return
    file = _file(told.get("file"))
    type_ = file.kind.value if file else as_word(told.get("type") or "text")
    yield Announcement(
        account_id=account_id,
        message_id=message_id,
        direction=Direction.OUTBOUND if told.get("is_outbound") is True else Direction.INBOUND,
        sender=sender,
        sent_at=sent_at,
        type=type_,
        text=as_text(told.get("text")),
        files=(file,) if file else (),
    )
    if told.get("file") is not None and file is None:
        yield Unread(f"{pointer}/file", type_, "a file needs an id and a kind")


def _sender(message: Mapping[str, Any]) -> Identity | None:
    who = as_id(message.get("from"))
    if who is None:
        return None
    name = as_text(message.get("name"))
    return Identity(phone=who, name=name) if _PHONE.fullmatch(who) else Identity(user_id=who, name=name)


def _file(value: object) -> AnnouncedFile | None:
    told = as_mapping(value)
    is_lost = told.get("is_lost") is True
    provider_id, kind, sha256 = as_id(told.get("id")), as_text(told.get("kind")), as_text(told.get("sha256"))
    if kind not in set(Kind) or (provider_id is None and not is_lost):
        return None
    return AnnouncedFile(
        provider_id=provider_id or "",
        kind=Kind(kind),
        mime=as_text(told.get("mime")),
        sha256=sha256 if sha256 and _DIGEST.fullmatch(sha256) else None,
        size_bytes=as_count(told.get("size_bytes")),
        file_name=as_text(told.get("name")),
        url=as_text(told.get("url")),
        refusal=Outcome.LOST_AT_PROVIDER if is_lost else None,
    )
