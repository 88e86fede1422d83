"""The past of a number that comes from the app: whatever order it is told in, every file ends as one file or a stated loss."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import transaction

from acervo.base import clock
from acervo.models import AuditEntry, Chat, Connection, MediaFile, Message, Person, Receipt
from acervo.providers.contract import Outcome
from acervo.receive import announced, overdue, reader

pytestmark = pytest.mark.django_db

DAYS = 180
OFFERED_DAYS = 14
A_DAY = timedelta(days=1)
PEOPLE = ("15555550142", "15555550143", "15555550144")
OWN = "15555550100"


class Past:
    """Half a year of three chats, as Meta would tell it today."""

    def __init__(self, connection: Connection, *, per_day: int = 6, seed: int = 7) -> None:
        self.connection = connection
        self.chance = random.Random(seed)
        self.now = clock.now()
        self.texts: dict[str, datetime] = {}
        self.placeholders: dict[str, datetime] = {}
        self.threads: dict[str, list[dict[str, Any]]] = {number: [] for number in PEOPLE}
        moment = self.now - DAYS * A_DAY
        while moment < self.now - timedelta(minutes=1):
            self._add(moment)
            moment += A_DAY / per_day

    def _add(self, moment: datetime) -> None:
        number, has_file = self.chance.choice(PEOPLE), self.chance.random() < 0.4
        name = f"wamid.{int(moment.timestamp())}"
        message: dict[str, Any] = {
            "id": name, "from": number, "timestamp": str(int(moment.timestamp())), "type": "text",
            "text": {"body": f"mensagem {name}"}, "history_context": {"status": "READ"},
        }  # fmt: skip
        if has_file:
            del message["text"]
            message["type"] = "media_placeholder"
        if self.chance.random() < 0.3:
            message |= {"from": OWN, "to": number}
        (self.placeholders if has_file else self.texts)[name] = moment.replace(microsecond=0)
        self.threads[number].append(message)

    def chunks(self, size: int = 40) -> list[dict[str, Any]]:
        """The messages in `history` webhooks of at most `size`, each thread's chunks numbered."""
        found = []
        for number, messages in self.threads.items():
            for order, start in enumerate(range(0, len(messages), size), 1):
                told = {"id": number, "messages": messages[start : start + size]}
                metadata = {"phase": order % 3, "chunk_order": order, "progress": min(99, order)}
                found.append({"history": [{"metadata": metadata, "threads": [told]}]})
        found[-1]["history"][0]["metadata"]["progress"] = 100
        return found

    def offered(self) -> dict[str, datetime]:
        """Placeholders young enough for their file to follow."""
        since = self.now - OFFERED_DAYS * A_DAY
        return {name: at for name, at in self.placeholders.items() if at > since}

    def late_media(self, names: Sequence[str]) -> list[dict[str, Any]]:
        return [{"messages": [self._media(name)]} for name in names]

    def _media(self, name: str) -> dict[str, Any]:
        """As the placeholder, with the file in its place."""
        every = {message["id"]: message for messages in self.threads.values() for message in messages}
        shown = {key: value for key, value in every[name].items() if key != "history_context"}
        number = str(900_000 + sorted(self.placeholders).index(name))
        content = {"id": number, "mime_type": "image/jpeg", "sha256": "ab" * 32, "caption": f"foto {number}"}
        return {**shown, "type": "image", "image": content}

    def receive(self, value: dict[str, Any]) -> Receipt:
        return receipt(self.connection, value, "history")


def receipt(connection: Connection, value: dict[str, Any], field: str = "messages") -> Receipt:
    metadata = {"phone_number_id": connection.account_id, "display_phone_number": OWN}
    whole = {"messaging_product": "whatsapp", "metadata": metadata, **value}
    body = {
        "object": "whatsapp_business_account",
        "entry": [{"id": "1", "changes": [{"field": field, "value": whole}]}],
    }
    return Receipt.objects.create(
        workspace=connection.workspace, connection=connection, received_at=clock.now(),
        body=json.dumps(body).encode(),
    )  # fmt: skip


def drain() -> list[Any]:
    """Read everything that waits; the files that can be fetched since."""
    new_files: list[Any] = []
    while True:
        with transaction.atomic():
            drained = reader.drain()
        if not drained.receipts:
            return new_files
        new_files += drained.new_files


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("batch", [1, 200])
def test_half_a_year_in_shuffled_chunks_with_late_media_ends_whole(
    connection: Connection, monkeypatch: pytest.MonkeyPatch, seed: int, batch: int
) -> None:
    monkeypatch.setattr(reader.drain, "__defaults__", (batch,))
    past = Past(connection, seed=seed)
    names = sorted(past.offered())
    kept_back = set(names[::5])  # their media never comes
    offered = [name for name in names if name not in kept_back]
    told = past.chunks() + past.late_media(offered)
    told += random.Random(seed).sample(told, len(told) // 4)  # Meta tells some of it twice
    random.Random(seed).shuffle(told)
    for value in told:
        past.receive(value)
    new_files = drain()

    messages = list(Message.objects.order_by("sent_at", "pk"))
    assert Counter(message.provider_id for message in messages) == Counter([*past.texts, *past.placeholders])
    told_at = {**past.texts, **past.placeholders}
    assert [(m.provider_id, m.sent_at) for m in messages] == sorted(told_at.items(), key=lambda item: item[1])
    assert Chat.objects.count() == Person.objects.count() == len(PEOPLE)

    files = {media.message.provider_id: media for media in MediaFile.objects.select_related("message")}
    assert set(files) == set(past.placeholders)
    assert {media.pk for media in files.values() if media.provider_id} == set(new_files)
    assert len(new_files) == len(set(new_files)) == len(offered)
    for name in offered:
        assert (files[name].kind, files[name].message.type) == ("image", "image")
        assert files[name].caption == files[name].message.text == f"foto {files[name].provider_id}"
        assert files[name].gone_at is None
    too_old = {name for name, at in past.placeholders.items() if at < past.now - 17 * A_DAY}
    lost = {name for name, media in files.items() if media.gone_at}
    assert too_old <= lost
    assert not lost & set(names)

    # The days of those that were promised and never offered pass.
    monkeypatch.setattr(clock, "now", lambda: datetime.now(UTC) + announced.OFFER_PATIENCE + A_DAY)
    assert overdue.state_losses() == len(past.placeholders) - len(offered) - len(lost)
    assert overdue.state_losses() == 0
    for name in set(past.placeholders) - set(offered):
        files[name].refresh_from_db()
        assert (files[name].state, files[name].refusal) == ("lost", Outcome.EXPIRED)
    assert not MediaFile.objects.awaited().filter(provider_id="").exists()
    assert not Receipt.objects.unread().exists()


def test_media_that_comes_after_its_loss_was_stated_is_taken_all_the_same(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    past = Past(connection)
    name = max(past.offered())
    for chunk in past.chunks():
        past.receive(chunk)
    assert drain() == []
    later = clock.now() + announced.OFFER_PATIENCE + A_DAY
    monkeypatch.setattr(clock, "now", lambda: later)
    overdue.state_losses()
    media = MediaFile.objects.get(message__provider_id=name)
    assert media.state == "lost"
    assert AuditEntry.objects.filter(action="file.lost", subject_id=str(media.pk)).exists()
    (value,) = past.late_media([name])
    past.receive(value)
    assert drain() == [media.pk]
    media.refresh_from_db()
    assert (media.gone_at, media.refusal, media.kind) == (None, None, "image")
    assert media.due_at <= later < media.fetch_before
    assert MediaFile.objects.due(later).filter(pk=media.pk).exists()


def test_a_placeholder_is_never_asked_for(connection: Connection) -> None:
    past = Past(connection, per_day=1)
    for chunk in past.chunks():
        past.receive(chunk)
    drain()
    waiting = MediaFile.objects.awaited()
    assert waiting.exists()
    assert not MediaFile.objects.due(clock.now()).exists()


def test_a_history_told_again_after_its_files_were_kept_changes_nothing(connection: Connection) -> None:
    past = Past(connection)
    names = sorted(past.offered())
    for value in past.late_media(names):
        past.receive(value)
    drain()
    before = list(MediaFile.objects.order_by("pk").values())
    for value in past.chunks() + past.late_media(names):
        past.receive(value)
    assert drain() == []
    assert (
        list(MediaFile.objects.filter(pk__in=[row["id"] for row in before]).order_by("pk").values()) == before
    )


def test_the_end_of_the_history_is_written_down(connection: Connection) -> None:
    past = Past(connection, per_day=1)
    for chunk in past.chunks():
        past.receive(chunk)
    drain()
    told = AuditEntry.objects.filter(action="account.event", reason="history")
    assert [entry.details["summary"] for entry in told] == ["history: told to its end"]
