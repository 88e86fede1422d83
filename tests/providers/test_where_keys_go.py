"""A vendor's key goes to that vendor alone, encrypted: every request that leaves is looked at, whatever it asks for.

The adapters work with the hosts they have in the wild. All names lead to two servers on this machine, one with TLS and
one without, which play a vendor gone bad: each answer leads somewhere else.
"""

from __future__ import annotations

import ipaddress
import json
import socket
import ssl
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from acervo.base import clock
from acervo.base.errors import AcervoError
from acervo.fetch import download
from acervo.providers.contract import AnnouncedFile, Credentials, Provider, Resolved
from acervo.providers.recovery import Forgets, Recovers, Registers
from acervo.providers.sending import Outgoing
from acervo.providers.sending_conformance import MARINA, TEXT
from tests.providers.test_deliberate_faults import KINDS, suite_of

EVIL = "elsewhere.example"
OURS = "https://hooks.example.test/hooks/x/01J"
HOSTS = {
    "meta_cloud": {"graph.facebook.com", "lookaside.fbsbx.com"},
    "dialog360": {"waba-v2.360dialog.io"},
    "twilio": {"api.twilio.com", "content.twilio.com", "messaging.twilio.com"},
    "messagebird": {"conversations.messagebird.com", "media.messagebird.com"},
    "bird": {"api.bird.com", "media.api.bird.com", "media.nest.messagebird.com"},
}
"""Written down a second time: who may see a key is not left to the adapters."""
OPTIONS = {"waba_id": "102900000000001", "organization_id": "99999999-9999-4999-8999-999999999999"}


@dataclass(frozen=True)
class Seen:
    """One request as it arrived."""

    is_encrypted: bool
    host: str
    """With its port, where that is not the usual one."""
    everything: str = field(repr=False)
    """Method, address, headers and body."""


@dataclass
class World:
    """All hosts there are."""

    session: aiohttp.ClientSession
    seen: list[Seen]
    answer: Callable[[web.BaseRequest], web.Response]


def leads_elsewhere(request: web.BaseRequest) -> web.Response:
    return web.Response(status=302, headers={"Location": f"https://{EVIL}{request.rel_url}"})


def leads_elsewhere_in_the_open(request: web.BaseRequest) -> web.Response:
    """The same host without encryption, which anybody on the way can read."""
    return web.Response(status=307, headers={"Location": f"http://{request.host}{request.rel_url}"})


def tells_other_addresses(request: web.BaseRequest) -> web.Response:
    """Good answers as far as anybody can tell, whose links all lead elsewhere."""
    evil = f"https://{EVIL}/x"
    row = {"sid": "XE1", "id": "1", "url": evil, "uri": evil, "direction": "inbound", "num_media": "1"}
    row |= {
        "sender_id": "whatsapp:+15555550123",
        "date_sent": "Thu, 01 Jan 2026 00:00:00 +0000",
        "status": "active",
    }
    told = {
        "url": evil, "link": evil, "mediaUrl": evil, "next_page_uri": evil, "nextPageToken": evil, "uri": evil,
        "paging": {"next": evil}, "links": {"next": evil}, "id": "1", "messaging_product": "whatsapp",
        "mime_type": "audio/ogg", "file_size": 3, "success": True, "sid": "HX1",
        **{name: [row] for name in ("messages", "results", "media_list", "senders", "items")},
    }  # fmt: skip
    headers = {"Location": evil, "Link": f'<{evil}>; rel="next"', "Content-Type": "application/json"}
    return web.Response(status=200, headers=headers, body=json.dumps(told).encode())


def refuses(request: web.BaseRequest) -> web.Response:
    """A second try with the key in other words would be seen."""
    return web.Response(status=401, headers={"WWW-Authenticate": f'Basic realm="https://{EVIL}"'})


ANSWERS = (leads_elsewhere, leads_elsewhere_in_the_open, tells_other_addresses, refuses)


def addresses(host: str) -> Iterator[str]:
    """Where somebody could be made to ask for a file who looks at addresses carelessly."""
    yield from (
        f"https://{EVIL}/x",
        f"https://{host}@{EVIL}/x",
        f"https://{host}:443@{EVIL}/x",
        f"https://{host}.{EVIL}/x",
        f"https://x{host}/x",
        f"https://{EVIL}/{host}",
        f"https://{EVIL}#{host}",
        f"https://{EVIL}\\@{host}/x",
        f"http://{host}/x",
        f"https://{host}:8443/x",
        f"//{EVIL}/x",
        f"https:{EVIL}/x",
    )


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: answer.__name__)
@pytest.mark.parametrize("kind", KINDS)
async def test_whatever_is_asked_for_the_key_goes_to_its_vendor_alone(
    kind: str, answer: Callable[[web.BaseRequest], web.Response], tmp_path: Path
) -> None:
    provider, secrets = connected(kind)
    async with world(answer, tmp_path) as here:
        await everything(provider, files_of(kind), here.session)
    assert any(shows(one, secrets) for one in here.seen), "nobody was asked with a key: this proves nothing"
    for one in here.seen:
        if shows(one, secrets):
            assert one.is_encrypted, "a key in the open"
            assert one.host in HOSTS[kind], f"a key for {one.host}"
    strangers = {one.host for one in here.seen} - HOSTS[kind]
    assert not strangers, f"asked although they are no hosts of the vendor: {strangers}"


@pytest.mark.parametrize("kind", KINDS)
async def test_a_careless_adapter_would_be_seen(kind: str, tmp_path: Path) -> None:
    """The same look at an adapter's requests finds the one that goes astray."""
    provider, secrets = connected(kind)

    class Wanders:
        def __init__(self, session: aiohttp.ClientSession) -> None:
            self._session = session

        def request(self, method: str, url: str, **options: Any) -> Any:
            headers = {**options.pop("headers", {}), "X-Kept": "|".join(secrets)}
            return self._session.request(
                method, url, **{**options, "headers": headers, "allow_redirects": True}
            )

    async with world(leads_elsewhere, tmp_path) as here:
        with suppress(AcervoError):
            await provider.check(Wanders(here.session))  # type: ignore[arg-type]
    assert any(one.host == EVIL and shows(one, secrets) for one in here.seen)


async def everything(provider: Any, files: list[AnnouncedFile], session: aiohttp.ClientSession) -> None:
    """All an adapter can be asked for that leaves this machine."""
    asked: list[Callable[[], Awaitable[Any]]] = [lambda: provider.check(session)]
    for file in files:
        asked.append(partial(provider.resolve, session, file))
        asked += [
            partial(_download, provider, session, Resolved(file.url or "", is_open=is_open))
            for is_open in (True, False)
        ]
        if isinstance(provider, Forgets):
            asked.append(partial(provider.forget, session, file))
    if isinstance(provider, Registers):
        asked += [lambda: provider.register(session, OURS), lambda: provider.registered(session)]
    if isinstance(provider, Recovers):
        asked.append(lambda: _read(provider.missed(session, clock.now() - timedelta(days=3650))))
    asked.append(lambda: provider.send(session, Outgoing(MARINA, text=TEXT)))
    for ask in asked:
        with suppress(AcervoError, aiohttp.InvalidURL):
            await ask()


async def _download(provider: Provider, session: aiohttp.ClientSession, resolved: Resolved) -> None:
    """As `fetch` does it, redirects included."""
    async with await download._follow(session, provider.download_request(resolved)) as response:
        await response.read()


async def _read(readings: AsyncIterator[Any]) -> None:
    async for _ in readings:
        pass


def connected(kind: str) -> tuple[Provider, list[str]]:
    """With secrets nobody else has, and how they look on the wire."""
    suite = suite_of(kind)
    secrets = {name: f"canary-{kind}-{name.replace('_', '-')}-0123456789" for name in suite.secrets}
    options = {**OPTIONS, **suite.options}
    account_sid = str(options.get("account_sid", ""))
    shown = list(secrets.values())
    shown += [b64encode(f"{account_sid}:{secret}".encode()).decode() for secret in secrets.values()]
    return suite.provider(Credentials(suite.account_id, secrets, options)), shown


def files_of(kind: str) -> list[AnnouncedFile]:
    """Those the vendor's payloads announce, as they are and with addresses that lie."""
    found = [file for said in suite_of(kind)().announcements() for file in said.files if not file.refusal]
    some = {(file.provider_id, file.url): file for file in found}
    plain = list(some.values())[:5]
    lying = [url for host in sorted(HOSTS[kind]) for url in addresses(host)]
    return plain + [
        replace(plain[0], url=url, provider_id=name) for url in lying for name in (plain[0].provider_id, url)
    ]


def shows(seen: Seen, secrets: list[str]) -> bool:
    return any(secret in seen.everything for secret in secrets)


@asynccontextmanager
async def world(answer: Callable[[web.BaseRequest], web.Response], folder: Path) -> AsyncIterator[World]:
    seen: list[Seen] = []

    def server(*, is_encrypted: bool) -> web.Server:
        async def respond(request: web.BaseRequest) -> web.StreamResponse:
            told = [
                request.method,
                str(request.rel_url),
                str(request.raw_headers),
                repr(await request.read()),
            ]
            seen.append(Seen(is_encrypted, request.host, "\n".join(told)))
            return answer(request)

        return web.Server(respond, access_log=None)

    runners = [web.ServerRunner(server(is_encrypted=one)) for one in (True, False)]
    try:
        for runner in runners:
            await runner.setup()
        await web.TCPSite(runners[0], "127.0.0.1", 0, ssl_context=_certificate(folder)).start()
        await web.TCPSite(runners[1], "127.0.0.1", 0).start()
        encrypted, plain = (int(runner.addresses[0][1]) for runner in runners)
        connector = aiohttp.TCPConnector(resolver=_Everywhere(encrypted, plain), ssl=False, force_close=True)
        async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as session:
            yield World(session, seen, answer)
    finally:
        for runner in runners:
            await runner.cleanup()


class _Everywhere(AbstractResolver):
    """Every name leads here; port 80 to the server without TLS, any other to the one with it."""

    def __init__(self, encrypted: int, plain: int) -> None:
        self._encrypted, self._plain = encrypted, plain

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        here = self._plain if port == 80 else self._encrypted
        return [
            ResolveResult(
                hostname=host, host="127.0.0.1", port=here, family=socket.AF_INET, proto=0, flags=socket.AI_NUMERICHOST
            )
        ]  # fmt: skip

    async def close(self) -> None:
        pass


def _certificate(folder: Path) -> ssl.SSLContext:
    """For the servers here; nobody checks it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "everywhere")])
    now = clock.now()
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    path = folder / "certificate.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context
