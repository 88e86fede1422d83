"""What a batch of promises carries: each file, the person it is from, and the records we know of both."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

from django.db.models import Count

from acervo.base import clock, ids
from acervo.crms.contract import ContactDraft, MediaLink, RecordRef
from acervo.crms.mapping import PLAIN, FieldMap
from acervo.crms.phones import is_number
from acervo.deliver import fields, mapping, records
from acervo.deliver.refusals import Refusal
from acervo.models import Delivery, MediaFile, PersonIdentifier

SOON = timedelta(minutes=1)


@dataclass(slots=True)
class Party:
    """A person, as one CRM knows them."""

    person_id: UUID
    phones: tuple[str, ...] = field(repr=False)
    draft: ContactDraft
    contact: RecordRef | None
    """The contact we know of; None: to be found or made, or the CRM has no contacts."""
    link_reason: str | None = None
    """Set when the contact was found, made or moved just now: to be remembered."""
    is_busy: bool = False
    """More of their files follow within a minute: the roll-up can wait for the last of them."""


@dataclass(slots=True)
class Written:
    """The CRM holds the file; `ref` is where, None for one that does not say."""

    ref: RecordRef | None
    payload_hash: str
    is_unchanged: bool = False
    """It held the same before: no call was made."""


@dataclass(slots=True)
class Parcel:
    """One file on its way to one CRM, and what came of it; without a verdict it was not tried."""

    delivery: Delivery
    media: MediaFile
    party: Party
    known_ref: RecordRef | None
    related: tuple[RecordRef, ...] = ()
    verdict: Written | Refusal | None = None
    written_ref: RecordRef | None = None
    """The record that holds it now, even if the whole of the write did not succeed."""
    must_wait: bool = False
    """Its person had no turn: the next batch tries again."""
    field_map: FieldMap = PLAIN
    """As it goes now."""
    old_field_map: FieldMap = PLAIN
    """As it went when it was last written."""

    @property
    def link(self) -> MediaLink:
        return self._link(self.field_map)

    @property
    def link_as_written(self) -> MediaLink:
        """What the CRM is expected to hold: a new mapping is nobody's drift."""
        return self._link(self.old_field_map)

    def _link(self, field_map: FieldMap) -> MediaLink:
        return fields.media_link(
            self.media,
            contact=self.party.contact,
            known_ref=self.known_ref,
            person=self.party.draft,
            field_map=field_map,
        )

    @property
    def payload_hash(self) -> str:
        return fields.payload_hash(self.link, self.related)

    @property
    def is_news(self) -> bool:
        """The CRM does not hold this yet, as far as we know."""
        return self.delivery.payload_hash != self.payload_hash


def load(deliveries: Collection[Delivery]) -> list[Parcel]:
    """In the order of `deliveries`, which may be of several connections."""
    by_connection: dict[UUID, list[Delivery]] = {}
    for delivery in deliveries:
        by_connection.setdefault(delivery.connection_id, []).append(delivery)
    found = {parcel.delivery.pk: parcel for group in by_connection.items() for parcel in _load(*group)}
    return [found[delivery.pk] for delivery in deliveries if delivery.pk in found]


def _load(connection_id: UUID, deliveries: list[Delivery]) -> Iterable[Parcel]:
    wanted = [delivery.media_id for delivery in deliveries]
    files = (
        MediaFile.objects.kept()
        .select_related("person", "connection", "workspace")
        .prefetch_related("file_tags__tag")
        .defer("waveform")
        .in_bulk(wanted)
    )
    people = {file.person_id for file in files.values()}
    known = records.known(connection_id, people, wanted)
    maps = mapping.maps(connection_id)
    parties = _parties(files.values(), known, _busy(connection_id, people, deliveries), maps.current)
    for delivery in deliveries:
        if file := files.get(delivery.media_id):
            yield Parcel(
                delivery,
                file,
                parties[file.person_id],
                known.files.get(file.pk),
                tuple(known.related.get(file.pk, ())),
                field_map=maps.current,
                old_field_map=maps.of(delivery.mapping_version),
            )


def _parties(
    files: Iterable[MediaFile], known: records.Known, busy: set[UUID], field_map: FieldMap
) -> dict[UUID, Party]:
    people = {file.person_id: file.person for file in files}
    phones: dict[UUID, list[str]] = {}
    identifiers = PersonIdentifier.objects.filter(person__in=people, kind=PersonIdentifier.Kind.PHONE)
    for person_id, value in identifiers.order_by("-id").values_list("person_id", "value"):
        if is_number(value):  # of another the CRM could find nobody: the person is known by our id
            phones.setdefault(person_id, []).append(value)
    kept = MediaFile.objects.kept().filter(person__in=people)
    counts = dict(kept.values_list("person_id").annotate(Count("pk")))
    newest = (
        kept.order_by("person_id", "-received_at", "-id")
        .distinct("person_id")
        .only("person_id", "received_at")
    )
    return {
        last.person_id: Party(
            person_id=last.person_id,
            phones=tuple(phones.get(last.person_id, ())),
            draft=_draft(
                people[last.person_id].name,
                phones.get(last.person_id, []),
                last,
                counts[last.person_id],
                field_map,
            ),
            contact=known.contacts.get(last.person_id),
            is_busy=last.person_id in busy,
        )
        for last in newest
    }


def _draft(name: str, phones: list[str], last: MediaFile, count: int, field_map: FieldMap) -> ContactDraft:
    first_name, _, last_name = name.partition(" ")
    return ContactDraft(
        phone=phones[0] if phones else None,
        person_id=ids.text(last.person_id),
        first_name=first_name or None,
        last_name=last_name or None,
        last_media_url=fields.short_link(last),
        last_media_at=last.received_at,
        media_count=count,
        field_map=field_map,
    )


def _busy(connection_id: UUID, people: Collection[UUID], deliveries: Collection[Delivery]) -> set[UUID]:
    """Whose further files are promised to the same CRM for the next minute."""
    soon = Delivery.objects.filter(
        connection=connection_id,
        delivered_at=None,
        stopped_at=None,
        due_at__lte=clock.now() + SOON,
        media__person__in=people,
    ).exclude(pk__in=[delivery.pk for delivery in deliveries])
    return set(soon.values_list("media__person_id", flat=True))
