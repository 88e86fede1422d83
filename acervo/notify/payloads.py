"""What subscribers are told of an event, as it is true in the moment of telling: what was erased since is not in it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from django.conf import settings

from acervo.base import ids
from acervo.models import (
    Connection,
    Detail,
    Event,
    EventKind,
    FileTag,
    MediaFile,
    Person,
    PersonIdentifier,
    Transcript,
)

Payload = dict[str, Any]

ABOUT_PEOPLE: Final = (EventKind.CONSENT,)
CONSENT: Final = {"consent.given": "granted", "consent.refused": "refused"}
STEPS: Final = {"file.lost": "capture", "delivery.stopped": "delivery"}
EXAMPLE_ID: Final = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
EXAMPLE_AT: Final = datetime(2026, 11, 17, 14, 32, tzinfo=UTC)


def bodies(events: Sequence[Event], detail: str) -> list[bytes]:
    """As they are sent and signed, in the order asked for."""
    return [json.dumps(payload, ensure_ascii=False).encode() for payload in told(events, detail)]


def told(events: Sequence[Event], detail: str) -> list[Payload]:
    """One payload an event, in the order asked for; a few queries, however many there are."""
    world = _look_up(events, is_full=detail == Detail.FULL)
    return [_envelope(event, _data(event, world)) for event in events]


def _envelope(event: Event, data: Payload) -> Payload:
    return {
        "id": str(event),
        "type": str(event.kind),
        "timestamp": _moment(event.at),
        "is_sample": event.is_sample,
        "data": data,
    }


# ── what there is to tell ──


@dataclass(frozen=True, slots=True)
class _World:
    """The rows that a few events are about."""

    is_full: bool
    files: Mapping[UUID, MediaFile]
    tellable: frozenset[UUID]
    """Files whose content may be told: openable, not taken back, not kept out of other systems by an import."""
    people: Mapping[UUID, Person]
    phones: Mapping[UUID, str]
    crms: Mapping[str, Connection]
    transcripts: Mapping[UUID, Transcript]
    tags: Mapping[UUID, list[str]]


def _look_up(events: Sequence[Event], *, is_full: bool) -> _World:
    subjects = {event.subject_id for event in events if event.subject_id}
    files = MediaFile.objects.filter(pk__in=subjects).select_related("connection", "person").in_bulk()
    in_question = {event.subject_id for event in events if event.kind in ABOUT_PEOPLE}
    people = {file.person_id: file.person for file in files.values()}
    people |= Person.objects.filter(pk__in=in_question - {None}).in_bulk()
    named = {str(event.facts["connection"]) for event in events if event.facts.get("connection")}
    return _World(
        is_full=is_full,
        files=files,
        tellable=frozenset(MediaFile.objects.for_crms().filter(pk__in=files).values_list("pk", flat=True)),
        people=people,
        phones=_phones(people) if is_full else {},
        crms={
            ids.text(row.pk): row
            for row in Connection.objects.filter(pk__in=[ids.parse(name) for name in named])
        },
        transcripts=_transcripts(files) if is_full else {},
        tags=_tags(files) if is_full else {},
    )


def _phones(people: Mapping[UUID, Person]) -> dict[UUID, str]:
    """The newest of each."""
    known = PersonIdentifier.objects.filter(person__in=people, kind=PersonIdentifier.Kind.PHONE)
    return dict(known.order_by("id").values_list("person_id", "value"))


def _transcripts(files: Mapping[UUID, MediaFile]) -> dict[UUID, Transcript]:
    return {row.media_id: row for row in Transcript.objects.made().filter(media__in=files)}


def _tags(files: Mapping[UUID, MediaFile]) -> dict[UUID, list[str]]:
    put_on = FileTag.objects.filter(media__in=files).order_by("tag__name")
    found: dict[UUID, list[str]] = {}
    for media_id, name in put_on.values_list("media", "tag__name"):
        found.setdefault(media_id, []).append(name)
    return found


# ── how it is told ──


def _data(event: Event, world: _World) -> Payload:
    if event.is_sample:
        return example(EventKind(event.kind), is_full=world.is_full)
    if event.kind in ABOUT_PEOPLE:
        return {
            "person": _person(event.subject_id, world),
            "consent": CONSENT.get(str(event.facts.get("deed")), "unknown"),
        }
    if event.kind == EventKind.ERASED:
        return {"media": {"id": _slug(event.subject_id)}}
    media = world.files.get(event.subject_id) if event.subject_id else None
    data: Payload = {"media": _media(event.subject_id, media, world)}
    if media is not None and media.pk in world.tellable | _awaited(media):
        data |= {"person": _person(media.person_id, world), "connection": _account(media.connection)}
    return data | _what_happened(event, world)


def _what_happened(event: Event, world: _World) -> Payload:
    facts = event.facts
    said: Payload = {}
    if event.kind == EventKind.FAILED:
        said |= {"step": STEPS.get(str(facts.get("deed")), "capture"), "reason": facts.get("reason") or ""}
    if crm := world.crms.get(str(facts.get("connection"))):
        said["crm"] = _account(crm)
    if facts.get("record"):
        said["record"] = {"type": facts.get("object_type") or "", "id": facts["record"]}
    return said


def _media(pk: UUID | None, media: MediaFile | None, world: _World) -> Payload:
    if media is None:
        return {"id": _slug(pk), "state": "removed"}
    bare: Payload = {"id": media.slug, "state": media.state}
    if media.pk not in world.tellable | _awaited(media):
        return bare
    found = {
        **bare,
        "url": f"{settings.ACERVO_BASE_URL}/m/{media.slug}",
        "kind": media.kind,
        "mime": media.mime,
        "size_bytes": media.size_bytes,
        "sha256": media.sha256,
        "duration_s": media.duration_s,
        "width": media.width,
        "height": media.height,
        "pages": media.page_count,
        "direction": media.direction,
        "sent_at": _moment(media.sent_at),
        "received_at": _moment(media.received_at),
    }
    return found | (_words(media, world) if world.is_full and media.pk in world.tellable else {})


def _awaited(media: MediaFile) -> frozenset[UUID]:
    """A file that is not here has no content to be told; its facts explain why it is missing."""
    is_withdrawn = media.hidden_at is not None or media.erase_asked_at is not None
    return frozenset() if media.stored_at or is_withdrawn else frozenset({media.pk})


def _words(media: MediaFile, world: _World) -> Payload:
    spoken = world.transcripts.get(media.pk)
    return {
        "file_name": media.file_name,
        "caption": media.caption,
        "transcript": {"language": spoken.language, "text": spoken.text} if spoken else None,
        "tags": world.tags.get(media.pk, []),
    }


def _person(pk: UUID | None, world: _World) -> Payload:
    person = world.people.get(pk) if pk else None
    if not world.is_full or person is None:
        return {"id": _slug(pk)}
    return {"id": _slug(pk), "name": person.name, "phone": world.phones.get(person.pk)}


def _account(row: Connection) -> Payload:
    return {"id": ids.text(row.pk), "kind": row.kind, "name": row.name}


def _slug(pk: UUID | None) -> str:
    return ids.text(pk) if pk else ""


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


# ── samples ──


def example(kind: EventKind, *, is_full: bool) -> Payload:
    """An invented file, in the very shape of a real one: for trying out an address, and for tools that ask for a sample
    before anything happened."""
    person: Payload = {"id": EXAMPLE_ID}
    if is_full:
        person |= {"name": "Marina Duarte", "phone": "+15555550142"}
    if kind in ABOUT_PEOPLE:
        return {"person": person, "consent": "granted"}
    if kind == EventKind.ERASED:
        return {"media": {"id": EXAMPLE_ID}}
    data: Payload = {
        "media": _example_media(is_full=is_full),
        "person": person,
        "connection": {"id": EXAMPLE_ID, "kind": "meta_cloud", "name": "Suporte"},
    }
    crm = {"id": EXAMPLE_ID, "kind": "hubspot", "name": "HubSpot"}
    if kind == EventKind.DELIVERED:
        data |= {"crm": crm, "record": {"type": "media", "id": "1234567890"}}
    if kind == EventKind.FAILED:
        data |= {"step": "delivery", "reason": "ambiguous", "crm": crm}
    return data


def invented(kind: EventKind) -> Event:
    """An event that never happened, unsaved: of the example above."""
    return Event(kind=kind, at=EXAMPLE_AT, is_sample=True)


def _example_media(*, is_full: bool) -> Payload:
    facts: Payload = {
        "id": EXAMPLE_ID,
        "state": "ready",
        "url": f"{settings.ACERVO_BASE_URL}/m/{EXAMPLE_ID}",
        "kind": "voice",
        "mime": "audio/ogg",
        "size_bytes": 21874,
        "sha256": "0" * 64,
        "duration_s": 5.2,
        "width": None,
        "height": None,
        "pages": None,
        "direction": "in",
        "sent_at": _moment(EXAMPLE_AT),
        "received_at": _moment(EXAMPLE_AT),
    }
    words: Payload = {
        "file_name": None,
        "caption": None,
        "transcript": {"language": "pt", "text": "A luz vermelha do roteador continua piscando."},
        "tags": ["defeito"],
    }
    return facts | (words if is_full else {})
