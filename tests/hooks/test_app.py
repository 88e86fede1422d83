"""The door of webhooks: what is no knock leaves no trace, and what cannot be judged now is asked for again."""

from __future__ import annotations

import asyncio
import base64
import hmac
from typing import Any

import pytest
from asgiref.sync import sync_to_async

from acervo.base import ids
from acervo.hooks import doors
from acervo.hooks.app import HookApp
from acervo.hooks.doors import Doors
from acervo.models import AuditEntry, Connection, Workspace
from acervo.providers import get
from acervo.receive.journal import Entry
from tests.conftest import make_connection

pytestmark = pytest.mark.django_db(transaction=True)


async def knock(app: HookApp, path: str, *events: dict[str, Any]) -> list[Any]:
    """What the app sent back."""
    sent: list[Any] = []
    told = iter([*events, {"type": "http.disconnect"}])

    async def receive() -> dict[str, Any]:
        return next(told)

    async def send(event: Any) -> None:
        sent.append(event)

    await app(
        {"type": "http", "method": "POST", "path": path, "query_string": b"", "headers": []}, receive, send
    )
    return sent


def address(connection: Connection) -> str:
    return f"/hooks/meta_cloud/{ids.text(connection.pk)}"


async def test_a_sender_who_hangs_up_in_the_middle_forged_nothing(connection: Connection) -> None:
    app = HookApp(None)  # type: ignore[arg-type]
    half = {"type": "http.request", "body": b"{", "more_body": True}
    assert await knock(app, address(connection), half) == []
    await asyncio.gather(*app._audits)
    assert not await AuditEntry.objects.aexists()


async def test_a_handshake_is_written_down_once_and_a_wrong_one_never(connection: Connection) -> None:
    app = HookApp(None)  # type: ignore[arg-type]
    answers = []

    async def send(event: Any) -> None:
        answers.append(event.get("status", event.get("body")))

    for token in ("v3r1fy", "v3r1fy", "a guess"):
        query = f"hub.mode=subscribe&hub.challenge=1158&hub.verify_token={token}".encode()
        scope = {
            "type": "http",
            "method": "GET",
            "path": address(connection),
            "query_string": query,
            "headers": [],
        }
        await app(scope, None, send)  # type: ignore[arg-type]
    await asyncio.gather(*app._audits)
    assert answers == [200, b"1158", 200, b"1158", 403, b""]
    entry = await AuditEntry.objects.aget()
    assert (entry.action, entry.by) == ("webhook.confirmed", f"provider:{ids.text(connection.pk)}")


async def test_a_connection_whose_secrets_do_not_open_asks_the_provider_to_come_again(
    connection: Connection,
) -> None:
    await Connection.objects.filter(pk=connection.pk).aupdate(sealed_secrets=b"of another key")
    sent = await knock(HookApp(None), address(connection))  # type: ignore[arg-type]
    assert sent[0]["status"] == 503


async def test_guessed_addresses_push_no_real_door_out_of_memory(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = Doors()
    assert await known.find("meta_cloud", ids.text(connection.pk))
    monkeypatch.setattr(doors, "FORGET_ABOVE", 4)
    for guess in ("x" * 10_000, "", *(ids.text(ids.new()) for _ in range(6))):
        assert await known.find("meta_cloud", guess) is None
        assert await known.find("no_such_kind", guess) is None
    assert len(known._known) <= 4
    assert ("meta_cloud", connection.pk) in known._known


class Kept:
    """A journal that commits at once."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    async def append(self, entry: Entry) -> None:
        self.entries.append(entry)


async def post(
    path: str, body: bytes, headers: dict[str, str], *, query: str = "", raw_path: bytes | None = None
) -> tuple[Any, list[Entry]]:
    """One knock with the database real and the journal kept in hand; what was answered and what was journalled."""
    journal, sent = Kept(), []
    app = HookApp(journal)  # type: ignore[arg-type]

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body}

    async def send(event: Any) -> None:
        sent.append(event)

    scope = {
        "type": "http", "method": "POST", "path": path, "query_string": query.encode(),
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }  # fmt: skip
    await app(scope if raw_path is None else {**scope, "raw_path": raw_path}, receive, send)
    for audit in list(app._audits):
        audit.cancel()
    return sent, journal.entries


def twilio(workspace: Workspace) -> Connection:
    return make_connection(
        workspace, "twilio", purpose="provider", account_id="+15555550123", secrets={"auth_token": "t0k3n"},
        options={"account_sid": "AC00000000000000000000000000000001"},
    )  # fmt: skip


def signed(url: str, body: bytes) -> dict[str, str]:
    """As Twilio signs a form of one parameter."""
    text = url + body.decode().replace("=", "", 1)
    digest = base64.b64encode(hmac.digest(b"t0k3n", text.encode(), "sha1")).decode()
    return {"x-twilio-signature": digest, "content-type": "application/x-www-form-urlencoded"}


async def test_a_signature_over_the_address_is_judged_by_the_name_we_gave_ourselves(
    workspace: Workspace, settings: Any
) -> None:
    settings.ACERVO_BASE_URL = "https://archive.example.test"
    row = await sync_to_async(twilio)(workspace)
    path, body = f"/hooks/twilio/{ids.text(row.pk)}", b"Body=oi"
    ours = signed(f"https://archive.example.test{path}?tenant=7&x=a%20b", body)
    sent, entries = await post(path, body, ours | {"host": "10.0.0.7"}, query="tenant=7&x=a%20b")
    assert (sent[0]["status"], len(entries)) == (200, 1)
    assert sent[1]["body"] == b"<Response/>"
    assert (b"content-type", b"text/xml") in sent[0]["headers"]
    assert "host" not in entries[0].headers

    theirs = signed(f"https://evil.example.test{path}", body)
    proxied = {
        "host": "evil.example.test",
        "x-forwarded-host": "evil.example.test",
        "x-forwarded-proto": "https",
    }
    sent, entries = await post(path, body, theirs | proxied)
    assert (sent[0]["status"], entries) == (401, [])
    for query in ("", "tenant=8&x=a%20b", "x=a%20b&tenant=7", "tenant=7&x=a+b"):
        assert (await post(path, body, ours, query=query))[1] == [], query


async def test_the_path_counts_as_it_came(workspace: Workspace, settings: Any) -> None:
    settings.ACERVO_BASE_URL = "https://archive.example.test"
    row = await sync_to_async(twilio)(workspace)
    path, body = f"/hooks/twilio/{ids.text(row.pk)}", b"Body=oi"
    headers = signed(f"https://archive.example.test{path}", body)
    assert len((await post(path, body, headers, raw_path=path.encode()))[1]) == 1
    assert (await post(path, body, headers, raw_path=path.replace("hooks", "%68ooks").encode()))[1] == []


async def test_one_segment_more_is_an_address_only_where_it_is_a_secret(workspace: Workspace) -> None:
    row = await sync_to_async(twilio)(workspace)
    path = f"/hooks/twilio/{ids.text(row.pk)}"
    for longer in (f"{path}/", f"{path}/secret", f"{path}/a/b"):
        assert (await post(longer, b"", {}))[0][0]["status"] == 404


async def test_a_provider_that_signs_nothing_needs_its_header_and_its_address(
    workspace: Workspace, settings: Any
) -> None:
    settings.ACERVO_BASE_URL = "https://archive.example.test"
    secrets = {name: f"{name}-0123456789abcdef0123456789" for name in get("dialog360").secret_names}
    row = await sync_to_async(make_connection)(workspace, "dialog360", purpose="provider", secrets=secrets)
    address_secret = secrets[get("dialog360").capabilities.address_secret or ""]
    header = secrets["hook_secret"]
    base, body = f"/hooks/dialog360/{ids.text(row.pk)}", b"{}"
    sent, (entry,) = await post(
        f"{base}/{address_secret}", body, {"x-hook-secret": header, "authorization": "x"}
    )
    assert sent[0]["status"] == 200
    kept = f"{entry.headers} {entry.body!r}"
    assert not [secret for secret in (header, address_secret, "authorization") if secret in kept]
    for path, given in (
        (f"{base}/{address_secret[:-1]}", header),
        (base, header),
        (f"{base}/{address_secret}", header[:-1]),
        (f"{base}/{address_secret}", ""),
    ):
        sent, entries = await post(path, body, {"x-hook-secret": given})
        assert (sent[0]["status"], entries) == (401, [])
