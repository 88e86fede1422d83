"""Bytes from a provider: within limits of size, time and place, proven before they count."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from email.message import Message
from urllib.parse import urljoin, urlsplit

import aiohttp
from django.conf import settings

from acervo.base import clock
from acervo.base.errors import Gone
from acervo.base.http import is_allowed_private
from acervo.fetch import limits
from acervo.fetch.claims import Claim, Corrupt
from acervo.keep import vault
from acervo.providers.contract import (
    DownloadRequest,
    Kind,
    Outcome,
    Provider,
    ProviderBusy,
    Resolved,
    Usage,
)

CHUNK_BYTES = 256 * 1024
SMALL_BYTES = 1024 * 1024
"""Up to this size a file is held in memory, checked, and only then written."""
HOPS = 3
MIME_LENGTH = 160
NAME_LENGTH = 512
NAMED = frozenset({Kind.DOCUMENT, Kind.AUDIO})
URL_MARGIN = timedelta(seconds=30)
REDIRECTS = frozenset({301, 302, 303, 307, 308})
PAGES = ("text/html", "application/json", "application/xhtml+xml")


class TooLarge(Gone):
    """The file is larger than what is fetched by itself."""

    code = Outcome.TOO_LARGE


class ForbiddenHost(Gone):
    """The provider's link leads to a host files may not come from."""

    code = Outcome.FORBIDDEN_HOST


@dataclass(slots=True)
class Line:
    """An open line to one provider account: its adapter, the shared session, and what its headers told us."""

    provider: Provider
    session: aiohttp.ClientSession
    usage: Usage | None = None


@dataclass(frozen=True, slots=True)
class Downloaded:
    """A stored file, and what two voices called it on the way."""

    stored: vault.Stored
    resolved_mime: str | None = None
    served_mime: str | None = None
    served_name: str | None = None
    """As the answer would have it saved: the file's name where its sender's is not told."""


async def download(line: Line, claim: Claim, place: vault.Place) -> Downloaded:
    """Fetch, prove and store one file. Raises TryLater, NeedsPerson or Gone families; then nothing is stored. A host
    of the provider that leads into our own network (ForbiddenAddress) is the network's trouble: the file waits."""
    try:
        return await _download(line, claim, place)
    except TimeoutError as error:
        raise ProviderBusy("The provider did not answer in time.", code=Outcome.TIMED_OUT) from error
    except aiohttp.ClientPayloadError as error:
        raise Corrupt("The provider broke off in the middle.", code=Outcome.WRONG_SIZE) from error
    except aiohttp.ClientError as error:
        raise ProviderBusy(f"The connection failed ({type(error).__name__}).") from error
    except vault.TooLarge as error:
        raise TooLarge(**error.facts) from error


async def _download(line: Line, claim: Claim, place: vault.Place) -> Downloaded:
    ready = claim.announced
    _Expected.of(claim).refuse_too_large()
    if ready.url and ready.url_expires_at and ready.url_expires_at > clock.now() + URL_MARGIN:
        try:
            return await _get(line, claim, Resolved(ready.url), place)
        except ProviderBusy as error:
            if error.code != Outcome.URL_DIED:
                raise
    resolved = await line.provider.resolve(line.session, ready)
    line.usage = resolved.usage or line.usage
    return await _get(line, claim, resolved, place)


async def _get(line: Line, claim: Claim, resolved: Resolved, place: vault.Place) -> Downloaded:
    expected = _Expected.of(claim, resolved)
    expected.refuse_too_large()
    request = line.provider.download_request(resolved)
    async with await _follow(line.session, request) as response:
        line.usage = line.provider.usage(response.headers) or line.usage
        if response.status != 200:
            head = await response.content.read(4096)
            raise line.provider.download_refusal(response.status, response.headers, head)
        _refuse_pages(response.headers, claim.announced.mime)
        expected = expected.having_heard(response.content_length)
        expected.refuse_too_large()
        stored = await vault.store(
            place, await _body(response), verify=expected.verify, limit_bytes=expected.permitted_bytes
        )
        return Downloaded(
            stored,
            _said(resolved.mime),
            _said(response.headers.get("Content-Type")),
            _name(claim.announced.kind, response.headers.get("Content-Disposition")),
        )


@dataclass(frozen=True, slots=True)
class _Expected:
    """What the provider said the bytes are, both of its words; and how many of them may come."""

    sizes: frozenset[int]
    hashes: frozenset[str]
    heard: frozenset[int]
    """Every size that was named, the length of the answer too."""
    kind_limit: int | None = None
    is_lifted: bool = False

    @classmethod
    def of(cls, claim: Claim, resolved: Resolved | None = None) -> _Expected:
        sizes = {claim.announced.size_bytes, resolved.size_bytes if resolved else None}
        hashes = {claim.announced.sha256, resolved.sha256 if resolved else None}
        told = frozenset(size for size in sizes if size)
        known = frozenset(text for text in hashes if text)
        return cls(told, known, told, claim.max_bytes, claim.is_limit_lifted)

    def having_heard(self, size_bytes: int | None) -> _Expected:
        return self if size_bytes is None else replace(self, heard=self.heard | {size_bytes})

    @property
    def permitted_bytes(self) -> int:
        return limits.permitted_bytes(self.kind_limit, is_lifted=self.is_lifted, told=self.heard)

    def refuse_too_large(self) -> None:
        """Before a byte was asked for, or the body was."""
        self._refuse_over(max(self.heard, default=0))

    def verify(self, size_bytes: int, sha256: str) -> None:
        """Afterwards: what came is measured, whatever was said before."""
        self._refuse_over(size_bytes)
        if any(size_bytes != size for size in self.sizes):
            raise Corrupt(f"{size_bytes} bytes arrived, others were announced.", code=Outcome.WRONG_SIZE)
        if any(sha256 != announced for announced in self.hashes):
            raise Corrupt(
                "The bytes that arrived have another hash than the announced.", code=Outcome.WRONG_HASH
            )

    def _refuse_over(self, size_bytes: int) -> None:
        limit = self.permitted_bytes
        if size_bytes > limit:
            raise TooLarge(
                f"{size_bytes} bytes are more than the {limit} that are fetched.",
                size_bytes=size_bytes,
                limit_bytes=limit,
            )


async def _follow(session: aiohttp.ClientSession, request: DownloadRequest) -> aiohttp.ClientResponse:
    """GET with redirects followed by hand: each hop is checked again, credentials stay with hosts that may see them."""
    url = request.url
    for _ in range(HOPS + 1):
        host = _permitted_host(url, request.allowed_hosts)
        headers = request.headers if host in request.credential_hosts else {}
        response = await session.get(url, headers=headers, allow_redirects=False)
        if response.status not in REDIRECTS:
            return response
        response.release()
        url = urljoin(url, response.headers.get("Location", ""))
    raise ForbiddenHost("The provider's link leads in circles.")


def _permitted_host(url: str, allowed_hosts: tuple[str, ...]) -> str:
    parts = urlsplit(url)
    host = parts.hostname or ""
    is_ours = is_allowed_private(host, parts.port, settings.ACERVO_ALLOW_PRIVATE_HOSTS)
    is_safe = parts.scheme == "https" and parts.port in (None, 443)
    if host not in allowed_hosts or not (is_safe or is_ours):
        raise ForbiddenHost()
    return host


def _refuse_pages(headers: Mapping[str, str], announced_mime: str | None) -> None:
    """An error page or a packed body is not the file, whatever its status says."""
    if headers.get("Content-Encoding", "identity").lower() != "identity":
        raise Corrupt("The provider packed the body although asked not to.", code=Outcome.NOT_MEDIA)
    served = headers.get("Content-Type", "").split(";")[0].strip().lower()
    if served in PAGES and served != (announced_mime or "").split(";")[0].strip().lower():
        raise Corrupt("A page arrived instead of the file.", code=Outcome.NOT_MEDIA)


def _said(mime: str | None) -> str | None:
    """Kept as it was said, as far as it can be a type: a word of the outside world goes on a row."""
    said = "".join(letter for letter in mime or "" if " " <= letter <= "~").strip()
    return said[:MIME_LENGTH] or None


def _name(kind: Kind, disposition: str | None) -> str | None:
    """The last part of what Content-Disposition says, without what no name is made of. Shown, never used as a path. Of a
    voice note or a picture it is only the store's own number."""
    if not disposition or kind not in NAMED:
        return None
    header = Message()
    header["Content-Disposition"] = disposition
    last = (header.get_filename() or "").replace("\\", "/").rpartition("/")[2]
    return "".join(letter for letter in last if letter.isprintable()).strip(" .")[:NAME_LENGTH] or None


async def _body(response: aiohttp.ClientResponse) -> bytes | AsyncIterator[bytes]:
    """Whole where it is small; its length is the promise of HTTP's own framing."""
    length = response.content_length
    return await response.read() if length is not None and length <= SMALL_BYTES else _chunks(response)


async def _chunks(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    async for chunk in response.content.iter_chunked(CHUNK_BYTES):
        yield chunk
        await asyncio.sleep(0)
