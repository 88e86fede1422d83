"""Which CRM records our people and files are known to belong to, and why."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from django.db.models import Q

from acervo.base import ids
from acervo.crms.contract import CrmErrorKind, RecordRef
from acervo.deliver.refusals import DETACHED, LEFT_OUT
from acervo.models import Connection, Delivery, MediaFile, RecordLink

CONTACT = "contact"
BY = "system:deliver"

# Why a link was made.
MATCHED, CREATED, CHOSEN, WRITTEN = "matched_phone", "created", "chosen", "written"
RULE = "rule"
"""The only open deal or ticket of the contact, where the connection wants that."""
MOVED = "moved"
"""The CRM answered with another record than we asked for: people merged two there."""


@dataclass(slots=True)
class Known:
    """What the links of one connection say about some people and files."""

    contacts: dict[UUID, RecordRef] = field(default_factory=dict)
    """By person."""
    files: dict[UUID, RecordRef] = field(default_factory=dict)
    """By file: the record we wrote ourselves."""
    related: dict[UUID, list[RecordRef]] = field(default_factory=dict)
    """By file: deals, tickets… that people tied it to."""


def known(connection_id: UUID, people: Collection[UUID], files: Collection[UUID]) -> Known:
    found = Known()
    links = RecordLink.objects.filter(connection=connection_id)
    for link in links.filter(person__in=people, object_type=CONTACT):
        found.contacts[link.person_id] = reference(link)  # type: ignore[index]  # filtered: has a person
    for link in links.filter(media__in=files, untie_asked_at=None).order_by("linked_at", "id"):
        if link.reason == WRITTEN:  # an account that outgrew notes has an older record too: the newest counts
            found.files[link.media_id] = reference(link)  # type: ignore[index]  # filtered: has a file
        else:
            found.related.setdefault(link.media_id, []).append(reference(link))  # type: ignore[arg-type]
    return found


def reference(link: RecordLink) -> RecordRef:
    ours = ids.text(link.media_id) if link.media_id else ""
    return RecordRef(link.object_type, link.record_id, link.url, ours=ours)


def owners(connection_id: UUID, contacts: Collection[RecordRef]) -> dict[str, UUID]:
    """Whose files hang on these contacts already, by record. A number may have been given to a new person."""
    links = RecordLink.objects.filter(
        connection=connection_id,
        object_type=CONTACT,
        record_id__in={contact.record_id for contact in contacts},
        person__isnull=False,
    )
    return {
        record_id: person_id
        for record_id, person_id in links.values_list("record_id", "person_id")
        if person_id
    }


def undecided() -> Q:
    """Promises that wait for somebody to say who a person is in the CRM."""
    return Q(refusal=CrmErrorKind.AMBIGUOUS) | Q(refusal=DETACHED, refusal_facts__object_type=CONTACT)


def hold_back(promises: Collection[Delivery]) -> None:
    """New promises about people who wait for an answer already, or are left out, wait from the start: another look into
    the CRM would find no more than the last."""
    people = dict(
        MediaFile.objects.filter(pk__in=[row.media_id for row in promises]).values_list("pk", "person_id")
    )
    held: dict[tuple[UUID, UUID], Delivery] = {}
    for row in Delivery.objects.filter(
        undecided() | Q(refusal=LEFT_OUT),
        stopped_at__isnull=False,
        connection__in={row.connection_id for row in promises},
        media__person__in=set(people.values()),
    ).select_related("media"):
        held[row.connection_id, row.media.person_id] = row
    for promise in promises if held else ():
        if alike := held.get((promise.connection_id, people.get(promise.media_id) or UUID(int=0))):
            promise.stopped_at = promise.refused_at = promise.promised_at
            promise.refusal, promise.refusal_facts = alike.refusal, alike.refusal_facts


def settle_contact(
    connection: Connection, person_id: UUID, contact: RecordRef, reason: str, *, by: str, at: datetime
) -> None:
    """Somebody said who this is: whatever was known before makes room."""
    RecordLink.objects.update_or_create(
        connection=connection,
        person_id=person_id,
        object_type=CONTACT,
        defaults={"workspace_id": connection.workspace_id, **_facts(contact, reason, by, at)},
    )


def remember_contacts(
    connection: Connection, found: Iterable[tuple[UUID, RecordRef, str]], *, by: str, at: datetime
) -> None:
    """Person, contact, reason. A contact somebody chose meanwhile stays; one the CRM moved is followed."""
    for person_id, ref, reason in found:
        row, is_new = RecordLink.objects.get_or_create(
            connection=connection,
            person_id=person_id,
            object_type=CONTACT,
            defaults={"workspace_id": connection.workspace_id, **_facts(ref, reason, by, at)},
        )
        if not is_new and reason in (MOVED, CHOSEN) and row.record_id != ref.record_id:
            RecordLink.objects.filter(pk=row.pk).update(**_facts(ref, reason, by, at))


def remember_files(
    connection: Connection, written: Iterable[tuple[UUID, RecordRef]], *, at: datetime
) -> None:
    """File, record. Written again to another record, the link follows."""
    wanted = dict(written)
    RecordLink.objects.bulk_create(
        (
            RecordLink(
                workspace_id=connection.workspace_id,
                connection=connection,
                media_id=media_id,
                object_type=ref.object_type,
                **_facts(ref, WRITTEN, BY, at),
            )
            for media_id, ref in sorted(wanted.items())
        ),
        ignore_conflicts=True,
    )
    for row in RecordLink.objects.filter(connection=connection, media__in=wanted, reason=WRITTEN):
        ref = wanted[row.media_id]  # type: ignore[index]  # filtered: has a file
        if row.object_type == ref.object_type and row.record_id != ref.record_id:
            RecordLink.objects.filter(pk=row.pk).update(**_facts(ref, WRITTEN, BY, at))


def _facts(ref: RecordRef, reason: str, by: str, at: datetime) -> dict[str, object]:
    return {"record_id": ref.record_id, "url": ref.url, "reason": reason, "linked_by": by, "linked_at": at}
