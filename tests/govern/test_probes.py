"""The way in is tried for real: through a socket, past the signature, into the journal, for each provider."""

from __future__ import annotations

import asyncio
import datetime
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from aiohttp import web
from asgiref.sync import sync_to_async
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from django.db import transaction

from acervo import providers, timetable
from acervo.base import clock
from acervo.base.database import conninfo, in_thread
from acervo.govern import connections, probes
from acervo.hooks.app import HookApp
from acervo.models import AuditEntry, Chat, Connection, Message, Person, Probe, Receipt, Workspace
from acervo.receive import reader
from acervo.receive.journal import Journal
from tests.conftest import make_connection

pytestmark = pytest.mark.django_db(transaction=True)

KINDS = providers.kinds()
TWILIO = {"account_sid": "AC" + "0" * 32}


def number(workspace: Workspace, kind: str, **facts: Any) -> Connection:
    """As `connect` makes it: with each of its secrets, those of our own included."""
    names = providers.get(kind).secret_names
    secrets = {name: f"{name}-0123456789abcdef".replace("_", "-") for name in names}
    return make_connection(workspace, kind, purpose="provider", secrets=secrets, options=TWILIO, **facts)


@asynccontextmanager
async def door(**tls: Any) -> AsyncIterator[str]:
    """The real door with its real journal, on a port of its own; where it is."""
    journal = Journal(await sync_to_async(conninfo)())
    await journal.open()
    app = HookApp(journal)

    async def only_http(scope: Any, receive: Any, send: Any) -> None:
        await app(scope, receive, send)

    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
        config = uvicorn.Config(only_http, lifespan="off", log_level="critical", **tls)
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve([listening]))
        try:
            while not server.started:
                await asyncio.sleep(0.01)
            yield f"{'https' if tls else 'http'}://127.0.0.1:{port}"
        finally:
            server.should_exit = True
            await serving
            await journal.close()


@asynccontextmanager
async def stranger(answer: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]) -> AsyncIterator[str]:
    """Something else that answers in our place."""
    runner = web.ServerRunner(web.Server(answer, access_log=None))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def read_everything() -> None:
    with transaction.atomic():
        reader.drain()


@pytest.mark.parametrize("kind", KINDS)
async def test_a_probe_arrives_and_leaves_nothing_behind(
    kind: str, workspace: Workspace, settings: Any
) -> None:
    row = await in_thread(number, workspace, kind)
    async with door() as url:
        settings.ACERVO_BASE_URL = url
        tried = await probes.probe(row, by="command:test")
    assert tried is not None
    assert (tried.code, tried.facts["status"]) == ("ok", 200)
    assert await in_thread(Receipt.objects.count) == 1
    await in_thread(read_everything)

    def what_is_left() -> list[int]:
        return [model.objects.count() for model in (Receipt, Message, Chat, Person)]

    assert await in_thread(what_is_left) == [0, 0, 0, 0]
    await in_thread(row.refresh_from_db)
    assert row.last_event_at is None
    kept = await in_thread(Probe.objects.get)
    assert kept.journalled_at is not None
    deed = await in_thread(AuditEntry.objects.get)
    assert (deed.action, deed.by, deed.reason) == ("connection.probed", "command:test", "ok")


async def test_a_reader_that_is_faster_does_not_hide_the_probe(workspace: Workspace, settings: Any) -> None:
    row = await in_thread(number, workspace, "meta_cloud")

    async def read() -> None:
        while True:
            await in_thread(read_everything)
            await asyncio.sleep(0)

    reading = asyncio.create_task(read())
    async with door() as url:
        settings.ACERVO_BASE_URL = url
        tried = await probes.probe(row, by="system:clock")
    reading.cancel()
    assert tried is not None
    assert tried.code == "ok"
    assert not await in_thread(AuditEntry.objects.exists), "the clock is no person"


async def test_a_probe_with_an_id_of_nobody_is_no_probe(workspace: Workspace, settings: Any) -> None:
    row = await in_thread(number, workspace, "meta_cloud")
    async with door() as url:
        settings.ACERVO_BASE_URL = url
        await probes.probe(row, by="system:clock")
    await in_thread(Probe.objects.all().delete)
    await in_thread(read_everything)
    left = await in_thread(Receipt.objects.get)
    assert left.read_at is not None


async def test_a_probe_of_one_number_is_not_taken_for_anothers(workspace: Workspace, settings: Any) -> None:
    row = await in_thread(number, workspace, "meta_cloud")
    other = await in_thread(lambda: number(workspace, "meta_cloud", account_id="106500000000002"))
    async with door() as url:
        settings.ACERVO_BASE_URL = url
        tried = await probes.probe(row, by="system:clock")
    assert tried is not None
    await in_thread(
        lambda: Probe.objects.update(connection=other, journalled_at=None, code=None, finished_at=None)
    )
    await in_thread(read_everything)
    assert await in_thread(Receipt.objects.count) == 1
    assert (await in_thread(Probe.objects.get)).journalled_at is None


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (200, "not_journalled"), (301, "redirected"), (401, "signature_refused"), (404, "no_such_door"),
        (429, "turned_away"), (502, "proxy_alone"), (503, "not_taken"), (418, "wrong_answer"),
    ],
)  # fmt: skip
async def test_every_answer_of_somebody_else_is_told_apart(
    status: int, code: str, workspace: Workspace, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probes, "LOOK_AGAIN_S", 0)
    row = await in_thread(number, workspace, "meta_cloud")
    asked = []

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        asked.append(request.path)
        return web.Response(status=status, headers={"Location": "/elsewhere"})

    async with stranger(answer) as url:
        settings.ACERVO_BASE_URL = url
        tried = await probes.probe(row, by="system:clock")
    assert tried is not None
    assert (tried.code, tried.facts["status"]) == (code, status)
    assert len(asked) == 1
    assert "/elsewhere" not in asked


async def test_our_own_door_refuses_what_another_secret_signed(workspace: Workspace, settings: Any) -> None:
    row = await in_thread(number, workspace, "meta_cloud")
    async with door() as url:
        settings.ACERVO_BASE_URL = url
        assert (await probes.probe(row, by="system:clock")).code == "ok"  # type: ignore[union-attr]
        # Another process changed the secret, and the door still goes by the old one for a moment.
        await in_thread(connections.reconnect, row, {"app_secret": "another-secret"}, "test")
        tried = await probes.probe(row, by="system:clock")
    assert tried is not None
    assert tried.code == "signature_refused"


@pytest.mark.parametrize(
    ("base_url", "code"),
    [
        ("https://archive.invalid", "dns"),
        ("http://127.0.0.1:1", "refused"),
        ("http://10.255.255.1:9", "forbidden_host"),
        ("http://[::1]:1", "forbidden_host"),
    ],
)
async def test_what_stands_in_the_way_has_a_name(
    base_url: str, code: str, workspace: Workspace, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    if code == "dns":

        async def nowhere(*_: Any, **__: Any) -> Any:
            raise socket.gaierror("no such name")

        monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", nowhere)
    settings.ACERVO_BASE_URL = base_url
    row = await in_thread(number, workspace, "meta_cloud")
    tried = await probes.probe(row, by="system:clock")
    assert tried is not None
    assert tried.code == code


# Certificates


def certificate(folder: Path, *, host: str, ends_in: datetime.timedelta) -> dict[str, Any]:
    """A server's certificate under an authority of our own; what uvicorn needs of it."""
    now, key = clock.now(), ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "probe test")])
    import ipaddress

    names = x509.SubjectAlternativeName(
        [x509.IPAddress(ipaddress.ip_address(host)) if host[0].isdigit() else x509.DNSName(host)]
    )
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=90))
        .not_valid_after(now + ends_in)
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    cert, private = folder / "cert.pem", folder / "key.pem"
    cert.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return {"ssl_certfile": str(cert), "ssl_keyfile": str(private)}


@pytest.mark.parametrize(
    ("host", "days", "is_known", "code"),
    [
        ("127.0.0.1", 40, True, "ok"),
        ("127.0.0.1", -1, True, "tls_expired"),
        ("archive.example.test", 40, True, "tls_other_name"),
        ("127.0.0.1", 40, False, "tls_untrusted"),
    ],
)
async def test_a_certificate_is_judged_and_its_end_is_known(
    host: str, days: int, is_known: bool, code: str, workspace: Workspace, settings: Any, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    tls = certificate(tmp_path, host=host, ends_in=datetime.timedelta(days=days))
    if is_known:
        context = ssl.create_default_context(cafile=tls["ssl_certfile"])
        monkeypatch.setattr(ssl, "create_default_context", lambda *_, **__: context)
    row = await in_thread(number, workspace, "bird")
    async with door(**tls) as url:
        settings.ACERVO_BASE_URL = url
        tried = await probes.probe(row, by="system:clock")
    assert tried is not None
    assert tried.code == code
    if code == "ok":
        ends_at = datetime.datetime.fromisoformat(tried.facts["certificate_ends_at"])
        assert (ends_at - clock.now()).days in (39, 40)


# By the clock


async def test_the_clock_tries_each_number_once_a_quarter_of_an_hour(
    workspace: Workspace, settings: Any
) -> None:
    rows = [await in_thread(number, workspace, kind) for kind in KINDS]
    await in_thread(rows[0].pause, by="test", reason="by_hand", at=clock.now())
    await in_thread(lambda: make_connection(workspace, "hubspot", account_id="1"))
    settings.ACERVO_PROBE = False
    await timetable.probe_connections.func(0)
    assert not await in_thread(Probe.objects.exists)
    settings.ACERVO_PROBE = True
    async with door() as url:
        settings.ACERVO_BASE_URL = url
        for _ in range(2):
            await timetable.probe_connections.func(0)
        assert await in_thread(Probe.objects.filter(code="ok").count) == len(KINDS) - 1
        long_ago = clock.now() - datetime.timedelta(minutes=17)
        await in_thread(lambda: Probe.objects.filter(connection=rows[1]).update(asked_at=long_ago))
        await timetable.probe_connections.func(0)
    assert await in_thread(Probe.objects.filter(connection=rows[1]).count) == 2
    assert await in_thread(Probe.objects.count) == len(KINDS)


async def test_only_one_tries_at_a_time_and_old_probes_go(workspace: Workspace, settings: Any) -> None:
    row = await in_thread(number, workspace, "meta_cloud")
    old = clock.now() - datetime.timedelta(days=8)
    await in_thread(
        lambda: Probe.objects.create(
            workspace=workspace, connection=row, asked_at=old, asked_by="system:clock"
        )
    )
    async with door() as url:
        settings.ACERVO_BASE_URL = url
        tried = await asyncio.gather(*(probes.probe(row, by="system:clock") for _ in range(4)))
    assert [one.code for one in tried if one] == ["ok"] * len([one for one in tried if one])
    assert any(one is None for one in tried)
    assert not await in_thread(Probe.objects.filter(asked_at=old).exists)
