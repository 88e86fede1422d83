"""Whole journeys over real HTTP: a simulated WhatsApp number, the real door, database, vault and capture."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import transaction

from acervo import journey
from acervo.base import clock, ids
from acervo.base.database import conninfo, in_thread
from acervo.fetch import claims
from acervo.fetch.capture import capture_due
from acervo.govern import connections
from acervo.hooks.app import HookApp
from acervo.keep import storage, vault
from acervo.models import (
    AuditEntry,
    Connection,
    MediaFile,
    Message,
    Person,
    PersonIdentifier,
    Receipt,
    Workspace,
)
from acervo.receive.journal import Journal
from sandbox import samples
from sandbox.people import EVERYONE
from sandbox.whatsapp import Fault, Phone, RemoteSandbox, SandboxServer, message, sign, webhook
from tests.conftest import make_connection

pytestmark = pytest.mark.django_db(transaction=True)

PHONE = Phone()
VOICE = samples.read("voz-entrega.ogg")
Knock = Callable[..., Awaitable[int]]


@pytest.fixture
async def meta() -> AsyncIterator[SandboxServer]:
    async with SandboxServer(phones=[PHONE]) as server:
        yield server


@pytest.fixture
def number(workspace: Workspace, meta: SandboxServer) -> Connection:
    return make_connection(
        workspace,
        "meta_cloud",
        account_id=PHONE.phone_number_id,
        api_base=meta.base_url,
        secrets={
            "token": PHONE.access_token,
            "app_secret": PHONE.app_secret,
            "verify_token": PHONE.verify_token,
        },
    )


@pytest.fixture
async def knock(number: Connection) -> AsyncIterator[Knock]:
    """`await knock(body, headers)`: what the provider is answered."""
    journal = Journal(await sync_to_async(conninfo)())
    await journal.open()
    app = HookApp(journal)
    path = f"/hooks/meta_cloud/{ids.text(number.pk)}"

    async def post(body: bytes, headers: dict[str, str], *, method: str = "POST", path: str = path) -> int:
        scope = {
            "type": "http", "method": method, "path": path, "query_string": b"",
            "headers": [(k.lower().encode(), v.encode()) for k, v in headers.items()],
        }  # fmt: skip
        sent: list[Any] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(event: Any) -> None:
            sent.append(event)

        await app(scope, receive, send)
        return int(sent[0]["status"])

    yield post
    await journal.close()


async def read_everything() -> None:
    while await sync_to_async(journey.read, thread_sensitive=False)():
        pass


async def capture() -> int:
    return await capture_due(lambda files: None, concurrency=8)


async def arrive(meta: SandboxServer, knock: Knock, count: int = 1, **facts: Any) -> list[str]:
    """`count` voice notes from several people, each in a webhook of its own; returns their media ids."""
    made = []
    for number in range(count):
        body, mime = VOICE
        media_id = meta.shelf.add(body + number.to_bytes(4, "big"), mime, phone=PHONE)
        note = message(
            EVERYONE[number % len(EVERYONE)],
            file=meta.shelf.announce(media_id),
            kind="audio",
            voice=True,
            **facts,
        )
        assert await knock(*webhook([note], phone=PHONE)) == 200
        made.append(media_id)
    return made


async def test_a_voice_note_is_journalled_read_captured_and_proven(meta: SandboxServer, knock: Knock) -> None:
    body, mime = VOICE
    media_id = meta.shelf.add(body, mime, phone=PHONE)
    announced = meta.shelf.announce(media_id)
    status = await knock(
        *webhook([message(EVERYONE[0], file=announced, kind="audio", voice=True)], phone=PHONE)
    )
    assert status == 200
    await read_everything()
    assert await capture() == 1
    media = await MediaFile.objects.select_related("person").aget()
    assert (media.kind, media.state, media.size_bytes) == ("voice", "preparing", len(body))
    assert await vault.read_all(media) == body
    assert await AuditEntry.objects.filter(action="file.kept", subject_id=media.pk).acount() == 1


async def test_the_same_announcements_any_number_of_times_in_any_order_are_the_same_rows(
    meta: SandboxServer, knock: Knock
) -> None:
    webhooks = []
    for number in range(12):
        media_id = meta.shelf.add(VOICE[0] + bytes([number]), VOICE[1], phone=PHONE)
        customer = EVERYONE[number % 5]
        webhooks.append(
            webhook([message(customer, file=meta.shelf.announce(media_id), kind="audio")], phone=PHONE)
        )
    shuffled = webhooks * 3
    random.Random(7).shuffle(shuffled)

    async def sender(share: list[Any]) -> None:
        for body, headers in share:
            assert await knock(body, headers) == 200

    readers = [asyncio.create_task(read_everything()) for _ in range(3)]
    await asyncio.gather(*(sender(shuffled[lane::4]) for lane in range(4)), *readers)
    await asyncio.gather(*(read_everything() for _ in range(3)))
    assert await Receipt.objects.acount() == 36
    assert await Message.objects.acount() == 12
    assert await Person.objects.acount() == 5
    assert sum(await asyncio.gather(capture(), capture(), capture())) == 12
    assert await MediaFile.objects.kept().acount() == 12
    objects = [item async for item in storage.configured().list("ws")]
    owned = {key async for key in MediaFile.objects.values_list("object_key", flat=True)}
    assert owned <= {item.key for item in objects}


async def test_a_forged_webhook_is_refused_audited_and_leaves_nothing(
    meta: SandboxServer, knock: Knock
) -> None:
    body, headers = webhook([message(EVERYONE[0], text="hello")], phone=PHONE)
    assert await knock(body.replace(b"hello", b"hallo"), headers) == 401
    assert await knock(body, {}) == 401
    for _ in range(50):
        if await AuditEntry.objects.filter(action="webhook.refused").aexists():
            break
        await asyncio.sleep(0.05)
    assert await AuditEntry.objects.filter(action="webhook.refused").acount() == 1
    assert not await Receipt.objects.aexists()


async def test_a_body_over_three_megabytes_is_refused(knock: Knock) -> None:
    assert await knock(b"x" * (3 * 1024 * 1024 + 1), {}) == 413
    assert await knock(b"x", {"Content-Length": str(4 * 1024 * 1024)}) == 413


async def test_a_door_that_does_not_exist_is_not_found(knock: Knock) -> None:
    for path in ("/hooks/meta_cloud/nonsense", "/hooks/meta_cloud", "/hooks/fake/01ARZ3NDEKTSV4RRFFQ69G5FAV"):
        assert await knock(b"{}", {}, path=path) == 404


async def test_a_signed_body_we_cannot_read_is_kept_and_listed_as_unread(knock: Knock) -> None:
    body = b"this is not json"
    assert await knock(body, {"X-Hub-Signature-256": sign(body, PHONE.app_secret)}) == 200
    await read_everything()
    receipt = await Receipt.objects.aget()
    assert bytes(receipt.body) == body
    assert receipt.unread
    assert receipt.read_at is not None


async def test_a_number_that_is_not_connected_is_kept_and_read_once_it_is(
    meta: SandboxServer, knock: Knock, number: Connection
) -> None:
    stranger = replace(PHONE, phone_number_id="106500000000777")
    async with RemoteSandbox(meta.base_url) as remote:
        await remote.add_phone(stranger)
    media_id = meta.shelf.add(*VOICE, phone=stranger)
    body, headers = webhook(
        [message(EVERYONE[0], file=meta.shelf.announce(media_id), kind="audio")], phone=stranger
    )
    assert await knock(body, headers) == 200
    await read_everything()
    receipt = await Receipt.objects.aget()
    assert receipt.unread[0]["reason"] == "unknown_account"
    secrets = {"token": stranger.access_token, "app_secret": stranger.app_secret, "verify_token": "v"}
    await sync_to_async(make_connection)(
        number.workspace,
        "meta_cloud",
        account_id=stranger.phone_number_id,
        api_base=meta.base_url,
        secrets=secrets,
    )
    assert await sync_to_async(journey.replay_receipts)([receipt.pk], by="test") == 1
    await read_everything()
    assert await capture() == 1
    await receipt.arefresh_from_db()
    assert receipt.unread == []


async def test_wrong_bytes_are_discarded_and_asked_for_again_three_times(
    meta: SandboxServer, knock: Knock
) -> None:
    (media_id,) = await arrive(meta, knock)
    meta.plan.add(Fault("altered", media_id=media_id, count=2))
    await read_everything()
    assert await tries_until_settled() == 3
    media = await MediaFile.objects.aget()
    assert media.stored_at
    assert media.corrupt_attempts == 2


@pytest.mark.parametrize(
    ("fault", "code"), [("altered", "wrong_hash"), ("cut", "wrong_size"), ("html", "not_media")]
)
async def test_a_file_that_stays_wrong_is_given_up_and_says_why(
    meta: SandboxServer, knock: Knock, fault: str, code: str
) -> None:
    (media_id,) = await arrive(meta, knock)
    meta.plan.add(Fault(fault, media_id=media_id))
    await read_everything()
    await tries_until_settled()
    media = await MediaFile.objects.aget()
    assert (media.state, media.refusal, media.corrupt_attempts) == ("lost", code, 3)
    assert [item async for item in storage.configured().list(f"ws/{ids.text(media.workspace_id)}")] == []


async def test_an_expired_id_is_gone_and_can_be_tried_again_by_hand(
    meta: SandboxServer, knock: Knock
) -> None:
    (media_id,) = await arrive(meta, knock, with_url=False)
    meta.plan.add(Fault("gone", media_id=media_id))
    await read_everything()
    await capture()
    media = await MediaFile.objects.aget()
    assert (media.state, media.refusal) == ("lost", "expired")
    meta.plan.clear()
    await sync_to_async(journey.retry_capture)(media, by="test")
    assert await capture() == 1


async def test_a_revoked_token_pauses_the_number_and_reconnecting_fetches_what_waited(
    meta: SandboxServer, knock: Knock, number: Connection
) -> None:
    await arrive(meta, knock, 3)
    meta.state.revoke(PHONE.access_token)
    await read_everything()
    assert await capture() == 0
    await number.arefresh_from_db()
    assert number.pause_reason == "token_revoked"
    assert {media.attempts async for media in MediaFile.objects.all()} == {0}
    assert await arrive(meta, knock, 1)  # the door stays open
    await read_everything()
    meta.state.restore(PHONE.access_token)
    await sync_to_async(connections.reconnect)(number, {"token": PHONE.access_token}, by="test")
    assert await capture() == 4


async def test_senders_without_a_phone_number_have_a_person_of_their_own(
    meta: SandboxServer, knock: Knock
) -> None:
    await arrive(meta, knock, len(EVERYONE))
    await read_everything()
    nobody = await PersonIdentifier.objects.filter(kind="phone").acount()
    assert await Person.objects.acount() == len(EVERYONE)
    assert nobody == sum(1 for customer in EVERYONE if customer.phone)


async def test_a_stored_token_is_sent_to_nobody_but_the_provider(meta: SandboxServer, knock: Knock) -> None:
    (media_id,) = await arrive(meta, knock)
    meta.plan.add(Fault("redirect", media_id=media_id, location="http://169.254.169.254/latest/meta-data"))
    await read_everything()
    await capture()
    media = await MediaFile.objects.aget()
    assert (media.state, media.refusal) == ("lost", "forbidden_host")


async def test_a_lost_claim_comes_back_after_its_lease(meta: SandboxServer, knock: Knock) -> None:
    await arrive(meta, knock)
    await read_everything()
    taken = await in_thread(claims.claim, 10)  # a worker takes it and dies
    assert len(taken) == 1
    assert await capture() == 0
    await MediaFile.objects.aupdate(claimed_until=clock.now())
    assert await capture() == 1


async def test_what_a_slower_worker_stored_too_is_discarded(meta: SandboxServer, knock: Knock) -> None:
    await arrive(meta, knock)
    await read_everything()
    (claim,) = await in_thread(claims.claim, 10)
    await MediaFile.objects.aupdate(claimed_until=None)
    assert await capture() == 1
    stored = vault.Stored("ws/x/late", 1, 1, "0" * 64, "storage", None, None)
    settled = await in_thread(_settle, [claims.Kept(claim, stored)])
    assert settled.kept == []
    assert settled.surplus == [stored]


def _settle(results: list[Any]) -> claims.Settled:
    with transaction.atomic():
        return claims.settle(results)


async def tries_until_settled() -> int:
    """Capture again and again, as the clock would, until nothing is awaited; returns how often."""
    for number in range(1, 20):
        await capture()
        if not await MediaFile.objects.awaited().aexists():
            return number
        await MediaFile.objects.awaited().aupdate(due_at=clock.now())
    raise AssertionError("never settled")
