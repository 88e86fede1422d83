"""What is told, and what is not: as little as was chosen, never what was taken back, and always in one shape."""

from __future__ import annotations

import json

import pytest

from acervo.base import clock, ids
from acervo.models import (
    Detail,
    Event,
    EventKind,
    FileTag,
    MediaFile,
    Tag,
    Transcript,
)
from acervo.notify import payloads

pytestmark = pytest.mark.django_db
PERSONAL = ("Marina", "+15555550142", "Olá", "segredo.ogg", "disse", "defeito")


@pytest.fixture
def media(kept_file, workspace):
    found = kept_file(caption="Olá", file_name="segredo.ogg")
    Transcript.objects.create(
        workspace=workspace, media=found, asked_by="test", made_at=clock.now(), engine="fake", language="pt",
        text="Ela disse que volta",
    )  # fmt: skip
    tag = Tag.objects.create(workspace=workspace, name="defeito", made_by="test")
    FileTag.objects.create(media=found, tag=tag, by="test")
    return found


def told(event, detail="full"):
    (payload,) = payloads.told([event], detail)
    return payload


def test_facts_say_nothing_of_anybody(happen, media):
    event = happen(media)
    said = json.dumps(told(event, "facts"), ensure_ascii=False)
    assert not [word for word in PERSONAL if word in said]
    assert told(event, "facts")["data"]["media"]["url"].endswith(f"/m/{media.slug}")


def test_in_full_there_is_who_and_what(happen, media):
    data = told(happen(media))["data"]
    assert data["person"] == {
        "id": ids.text(media.person_id),
        "name": "Marina Duarte",
        "phone": "+15555550142",
    }
    assert data["media"]["transcript"] == {"language": "pt", "text": "Ela disse que volta"}
    assert (data["media"]["caption"], data["media"]["file_name"], data["media"]["tags"]) == (
        "Olá", "segredo.ogg", ["defeito"],
    )  # fmt: skip


@pytest.mark.parametrize("withdrawn", [{"hidden_at": clock.now()}, {"erase_asked_at": clock.now()}])
def test_what_was_taken_back_since_is_not_told(happen, media, withdrawn):
    event = happen(media)
    MediaFile.objects.filter(pk=media.pk).update(**withdrawn)
    payload = told(event)
    assert set(payload["data"]) == {"media"}
    assert set(payload["data"]["media"]) == {"id", "state"}


def test_what_waits_for_the_scanner_is_not_told(happen, media):
    event = happen(media, "media.stored")
    MediaFile.objects.filter(pk=media.pk).update(held_at=clock.now())
    assert set(told(event)["data"]["media"]) == {"id", "state"}


def test_of_an_erased_file_there_is_its_id(happen, media):
    assert told(happen(media, "media.erased"))["data"] == {"media": {"id": media.slug}}


def test_of_a_file_that_is_no_row_any_more_there_is_its_id(happen, media, workspace):
    event = happen(media)
    Event.objects.filter(pk=event.pk).update(subject_id=ids.new())
    event.refresh_from_db()
    assert told(event)["data"]["media"] == {"id": ids.text(event.subject_id), "state": "removed"}


def test_a_lost_file_says_where_and_why(happen, announced_file):
    lost = announced_file(gone_at=clock.now(), refusal="expired", refused_at=clock.now())
    data = told(happen(lost, "media.failed", deed="file.lost", reason="expired"))["data"]
    assert (data["step"], data["reason"], data["media"]["state"]) == ("capture", "expired", "lost")
    assert "caption" not in data["media"]


@pytest.mark.parametrize("kind", EventKind.values)
@pytest.mark.parametrize("detail", Detail.values)
def test_a_sample_has_the_shape_of_the_real_one(workspace, media, happen, kind, detail):
    if kind == "consent.changed":
        Event.objects.record(workspace.pk, [_consent(media)])
        event = Event.objects.get()
    else:
        deed = {"media.failed": "delivery.stopped"}.get(kind, "")
        event = happen(media, kind, deed=deed, reason="ambiguous", **_crm(media, kind))
    real = told(event, detail)
    sample = told(payloads.invented(EventKind(kind)), detail)
    assert _shape(sample) == _shape(real)
    assert sample["is_sample"]
    assert not real["is_sample"]


def _consent(media):
    from acervo.models import Happened

    return Happened(EventKind.CONSENT, media.person_id, {"deed": "consent.given"})


def _crm(media, kind):
    if kind not in ("media.delivered", "media.failed"):
        return {}
    from tests.conftest import make_connection

    crm = make_connection(media.workspace, "hubspot", account_id="4242", name="HubSpot")
    record = {"object_type": "media", "record": "77"} if kind == "media.delivered" else {}
    return {"connection": ids.text(crm.pk), **record}


def _shape(payload):
    return {name: _shape(value) if isinstance(value, dict) else None for name, value in payload.items()}
