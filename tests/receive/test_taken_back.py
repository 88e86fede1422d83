"""What a number does about files that were taken back: kept, hidden or erased, before they come or after."""

from __future__ import annotations

from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db import connection as database
from django.db import transaction

from acervo import journey
from acervo.base import clock
from acervo.deliver import outbox
from acervo.fetch import claims
from acervo.govern import connections, erasure
from acervo.keep import storage
from acervo.keep.storage import ObjectMissing
from acervo.models import (
    AuditEntry,
    Connection,
    Delivery,
    MediaFile,
    Message,
    OnRevoke,
    Receipt,
    Rendition,
    Role,
    Tag,
    Transcript,
)
from acervo.organise import search, tags
from acervo.organise.search import Wish
from acervo.play import playable
from tests.conftest import keep, make_connection, make_member
from tests.receive.test_history import receipt
from tests.receive.test_withdrawn import REVOKED, SENT, edit, photo, revoke

pytestmark = pytest.mark.django_db(transaction=True)


def drain() -> None:
    while Receipt.objects.waiting().exists():
        journey.read()


def wants(connection: Connection, policy: str) -> None:
    connections.change_on_revoke(connection, policy, "test")


def arrives(connection: Connection, *, kept: bool = True) -> MediaFile:
    receipt(connection, photo())
    drain()
    media = MediaFile.objects.get()
    return keep(media, b"\xff\xd8\xff a picture", mime="image/jpeg", duration_s=None) if kept else media


def is_taken_back(connection: Connection) -> MediaFile:
    receipt(connection, revoke())
    drain()
    return MediaFile.objects.get()


def jobs() -> list[str]:
    with database.cursor() as cursor:
        cursor.execute("SELECT task_name FROM procrastinate_jobs ORDER BY id")
        return [str(name).removeprefix("acervo:") for (name,) in cursor.fetchall()]


def shown(member: Any) -> tuple[bool, bool, bool]:
    """Whether a member sees it: in lists, on the player, by search."""
    media = MediaFile.objects.get()
    found = search.found(member, Wish(text="primeira"))
    return (
        MediaFile.objects.visible_to(member).exists(),
        playable.find(member, media.slug, "original") is not None,
        found.exists(),
    )


def test_by_default_it_stays_and_says_so(connection: Connection, bob: Any) -> None:
    before = arrives(connection).changed_at
    media = is_taken_back(connection)
    assert shown(bob) == (True, True, True)
    assert (media.state, media.changed_at > before) == ("ready", True)
    assert Message.objects.get().revoked_at is not None
    assert "withdraw" not in jobs()


def test_hidden_it_is_there_for_those_who_decide_and_for_nobody_else(
    connection: Connection, workspace: Any, alice: Any, bob: Any
) -> None:
    wants(connection, OnRevoke.HIDE)
    arrives(connection)
    media = is_taken_back(connection)
    assert media.state == "hidden"
    assert jobs().count("withdraw") == 1
    members = {
        role: alice if role == Role.ADMINISTRATOR else make_member(workspace, role, role) for role in Role
    }
    for role, member in members.items():
        decides = role in (Role.ADMINISTRATOR, Role.DPO)
        assert shown(member) == (decides, decides, decides), role
    assert shown(bob) == (False, False, False)
    assert MediaFile.objects.visible_to(alice).hidden().count() == 1


def test_hidden_and_erased_files_are_promised_to_no_crm_and_delivered_to_none(
    connection: Connection, workspace: Any
) -> None:
    wants(connection, OnRevoke.HIDE)
    crm = make_connection(workspace, "fake", purpose="crm", account_id="crm", secrets={"token": "x"})
    media = arrives(connection)
    outbox.promise([media.pk])
    assert Delivery.objects.count() == 1
    is_taken_back(connection)
    assert outbox.claim(crm.pk) == []
    assert outbox.due_connections() == []
    Delivery.objects.all().delete()
    assert outbox.promise([media.pk]) == 0


def test_erased_means_bytes_copies_transcript_and_words(connection: Connection, alice: Any) -> None:
    wants(connection, OnRevoke.DELETE)
    media = arrives(connection)
    copy = Rendition.objects.create(
        media=media, kind="thumb_320", mime="image/webp", made_at=clock.now(), object_key="ws/none/copy",
        size_bytes=1, sealed_bytes=1, sha256="0" * 64, sealing="storage",
    )  # fmt: skip
    Transcript.objects.create(
        workspace=media.workspace, media=media, asked_by="test", made_at=clock.now(), engine="fake", text="oi"
    )
    tags.put(media, ["só deste"], "test")
    media = is_taken_back(connection)
    assert shown(alice) == (False, False, False)  # nobody sees it from here on
    assert not media.is_openable
    async_to_sync(erasure.erase)(media.pk)
    async_to_sync(erasure.erase)(media.pk)
    old_key, media = media.object_key, MediaFile.objects.get()
    assert (media.state, media.refusal, media.stored_at, media.caption) == (
        "taken_back",
        "taken_back",
        None,
        None,
    )
    assert media.sha256 is None
    with pytest.raises(ObjectMissing):
        async_to_sync(storage.configured().get_range)(old_key or "", 0, 1)
    assert not Rendition.objects.filter(pk=copy.pk).exists()
    assert not Transcript.objects.exists()
    assert not Tag.objects.exists()
    message = Message.objects.get()
    assert (message.text, "edits" in message.extra, message.revoked_at is not None) == (None, False, True)
    assert shown(alice) == (True, False, False)  # as an absence that says why
    assert not MediaFile.objects.lost().exists()
    erased = AuditEntry.objects.filter(action="file.erased")
    assert [entry.details for entry in erased] == [{"objects": 2}]


@pytest.mark.parametrize("policy", OnRevoke.values)
def test_a_file_that_comes_after_its_revoke_is_treated_the_same(connection: Connection, policy: str) -> None:
    wants(connection, policy)
    receipt(connection, revoke())
    drain()
    media = arrives(connection, kept=False)
    claimed = [claim.id for claim in claims.claim(10)]
    assert {
        "keep": (media.state == "waiting" and claimed == [media.pk]),
        "hide": (media.hidden_at is not None and claimed == [media.pk]),
        "delete": (media.state == "taken_back" and claimed == [] and media.caption is None),
    }[policy]
    assert (Message.objects.get().text is None) == (policy == "delete")


def test_a_file_on_its_way_is_not_fetched_any_more(connection: Connection) -> None:
    wants(connection, OnRevoke.DELETE)
    arrives(connection, kept=False)
    media = is_taken_back(connection)
    assert (media.state, media.gone_at is not None) == ("taken_back", True)
    journey.retry_capture(media, "test")
    assert MediaFile.objects.get().gone_at is not None


def test_edits_made_before_and_after_leave_no_words_behind(connection: Connection) -> None:
    wants(connection, OnRevoke.DELETE)
    arrives(connection, kept=False)
    for value in (edit("segunda", SENT + 10), revoke(), edit("terceira", REVOKED + 10)):
        receipt(connection, value)
        drain()
    message = Message.objects.get()
    assert message.text is None
    assert "segunda" not in str(message.extra)
    assert "terceira" not in str(message.extra)


def test_the_choice_of_that_day_holds_whatever_is_read_again_later(connection: Connection) -> None:
    arrives(connection)
    is_taken_back(connection)
    wants(connection, OnRevoke.DELETE)
    journey.replay_receipts(list(Receipt.objects.values_list("pk", flat=True)), "test")
    drain()
    assert MediaFile.objects.get().state == "ready"


def test_what_our_own_people_take_back_stays(connection: Connection) -> None:
    wants(connection, OnRevoke.DELETE)
    own, customer = "15555550100", "15555550142"
    shown_first = {"from": own, "to": customer, "id": "wamid.8", "timestamp": str(SENT), "type": "image"}
    shown_first["image"] = {"id": "901", "mime_type": "image/jpeg", "caption": "proposta"}
    gone = {"from": own, "to": customer, "id": "wamid.9", "timestamp": str(REVOKED), "type": "revoke"}
    gone["revoke"] = {"original_message_id": "wamid.8"}
    for echo in (shown_first, gone):
        receipt(connection, {"message_echoes": [echo]}, "smb_message_echoes")
    drain()
    media = MediaFile.objects.get()
    assert (media.erase_asked_at, media.gone_at, media.caption) == (None, None, "proposta")


def test_an_erasure_whose_job_was_lost_is_found(connection: Connection) -> None:
    wants(connection, OnRevoke.DELETE)
    arrives(connection)
    media = is_taken_back(connection)
    assert erasure.waiting(10, clock.now()) == [media.pk]
    async_to_sync(erasure.erase)(media.pk)
    assert erasure.waiting(10, clock.now()) == []


def test_a_revoke_that_fails_to_commit_hides_nothing(connection: Connection) -> None:
    wants(connection, OnRevoke.HIDE)
    arrives(connection)
    receipt(connection, revoke())
    with transaction.atomic():
        journey.read()
        transaction.set_rollback(True)
    assert MediaFile.objects.get().hidden_at is None
    drain()
    assert MediaFile.objects.get().hidden_at is not None
