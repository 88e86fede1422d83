"""What is sent: one envelope for everything, and a file with its customer in it, as the mapping of the connection says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from acervo.base import clock, ids
from acervo.crms.contract import ContactDraft, MediaLink
from acervo.crms.fields import CONTACT_FIELDS, MEDIA_FIELDS, Placed, moment, placed, placed_roll_ups

MOST: Final = 100
"""Files in one message."""
OWN: Final[Mapping[str, str]] = {one.name: one.name for one in MEDIA_FIELDS}
ROLL_UPS: Final[Mapping[str, str]] = {one.name: one.name for one in CONTACT_FIELDS}

Letter = Mapping[str, Any]


def ping() -> Letter:
    return _letter("ping", {"from": "Acervo"})


def upserted(item: MediaLink) -> Letter:
    return _letter("media.upserted", _file(item))


def upserted_many(items: Sequence[MediaLink]) -> Letter:
    return _letter("media.upserted_many", {"items": [_file(item) for item in items]})


def check(items: Sequence[MediaLink]) -> Letter:
    """What do you hold of these? Only some receivers say."""
    return _letter("media.check", {"media_ids": [item.media_id for item in items]})


def erased(media_id: str) -> Letter:
    """The id alone: nothing of what is to go is said once more."""
    return _letter("media.erased", {"media_id": media_id})


def _letter(kind: str, data: Mapping[str, Any]) -> Letter:
    return {"id": ids.text(ids.new()), "type": kind, "timestamp": moment(clock.now()), "data": data}


def _file(item: MediaLink) -> dict[str, Any]:
    """Every field of ours; what is not known, or switched off, is null, so that it is emptied over there."""
    contact = _customer(item.person) if item.person else None
    return {**{one.name: _value(one) for one in placed(item, OWN)}, "contact": contact}


def _customer(person: ContactDraft) -> dict[str, Any]:
    return {
        "person_id": person.person_id,
        "phone_e164": person.phone,
        "first_name": person.first_name,
        "last_name": person.last_name,
        **{one.name: _value(one) for one in placed_roll_ups(person, ROLL_UPS)},
    }


def _value(one: Placed) -> Any:
    if not one.text:
        return None
    if one.type == "number":
        return int(one.text)
    return one.text == "1" if one.type == "yes_no" else one.text
