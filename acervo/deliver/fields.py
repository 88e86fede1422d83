"""A file of ours as a CRM shall know it: title, short link, facts, and the hash that tells a change."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace

from django.conf import settings

from acervo.base import ids
from acervo.crms.contract import ContactDraft, MediaLink, RecordRef
from acervo.crms.fields import choice_label, written
from acervo.crms.mapping import PLAIN, FieldMap
from acervo.models import Direction, Kind, MediaFile

NAMED = (Kind.DOCUMENT, Kind.AUDIO)
"""Kinds whose file name tells people more than their length does."""


def media_link(
    media: MediaFile,
    *,
    contact: RecordRef | None = None,
    known_ref: RecordRef | None = None,
    person: ContactDraft | None = None,
    field_map: FieldMap = PLAIN,
) -> MediaLink:
    """The file in the words of the connector contract. Raises ValueError for a file that is not kept."""
    if media.size_bytes is None or media.sha256 is None:
        raise ValueError("Only a kept file can be shown to a CRM.")
    return MediaLink(
        media_id=media.slug,
        title=title(media),
        url=short_link(media),
        kind=media.kind,
        mime=media.mime or media.announced_mime or "application/octet-stream",
        size_bytes=media.size_bytes,
        sha256=media.sha256,
        direction="out" if media.direction == Direction.OUTBOUND else "in",
        received_at=media.received_at,
        duration_s=media.duration_s,
        chat=f"{media.connection.name} {ids.text(media.chat_id)}",
        caption=media.caption or None,
        tags=tuple(sorted(put.tag.name for put in media.file_tags.all())),
        contact=contact,
        known_ref=known_ref,
        person=person,
        field_map=field_map,
    )


def short_link(media: MediaFile) -> str:
    """Stable, without name or number; who opens it is checked and logged. Never a presigned address."""
    return f"{settings.ACERVO_BASE_URL}/m/{media.slug}"


def title(media: MediaFile) -> str:
    """`Voice note 0:42`, in the language of the workspace."""
    # The CRM's own type column carries the same word, from the same table: two catalogues would drift apart.
    label = choice_label(media.kind, media.workspace.language)
    if media.kind in NAMED and media.file_name:
        return f"{label} {media.file_name}"
    return label if media.duration_s is None else f"{label} {clock_face(media.duration_s)}"


def clock_face(duration_s: float) -> str:
    """`0:42`, `12:05`, `1:02:03`."""
    minutes, seconds = divmod(round(duration_s), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def payload_hash(link: MediaLink, related: Sequence[RecordRef] = ()) -> str:
    """SHA-256 of all that a write would put into the CRM, whatever record it goes to."""
    content = {
        **_mapped(link.field_map),
        **_from_whom(link),
        "fields": written(replace(link, known_ref=None)),
        "caption": link.caption,
        "contact": link.contact and link.contact.record_id,
        "related": sorted((ref.object_type, ref.record_id) for ref in related),
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _from_whom(link: MediaLink) -> dict[str, object]:
    """Who somebody is, where it is told with each file. Not the roll-ups: the next file brings newer ones."""
    person = link.person
    if person is None or link.contact is not None:
        return {}
    return {"person": [person.person_id, person.phone, person.first_name, person.last_name]}


def _mapped(field_map: FieldMap) -> dict[str, object]:
    """Where values go; of the customer's record also their forms. Nothing chosen hashes as it always did."""
    moved = {name: rule.to.name for name, rule in field_map.media.items() if rule.to}
    rules = {
        name: [rule.to.name if rule.to else "", rule.is_off, rule.form, rule.detail]
        for name, rule in field_map.contact.items()
    }
    return {**({"moved": moved} if moved else {}), **({"roll_ups": rules} if rules else {})}
