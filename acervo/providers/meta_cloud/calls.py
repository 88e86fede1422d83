"""Calls, and the recordings both sides agreed to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from acervo.providers.contract import Announcement, Direction, Kind
from acervo.providers.meta_cloud import files
from acervo.providers.meta_cloud.frame import Frame
from acervo.providers.meta_cloud.identity import identity
from acervo.providers.meta_cloud.messages import moment
from acervo.providers.parts import Part, Unreadable
from acervo.providers.untrusted import as_count, as_id, as_mapping, as_text, as_word

EVENTS = ("connect", "terminate", "call_recording_available")


def read_call(call: Mapping[str, Any], frame: Frame, pointer: str) -> Iterator[Part]:
    """One event of a call. All events of a call share its id, so they are one message; the recording is its file
    (Calling pages, May 2026: fetchable by id for seven days, like any other)."""
    call_id, event = as_id(call.get("id")), as_text(call.get("event"))
    if call_id is None:
        raise Unreadable("no call id")
    if event not in EVENTS:
        raise Unreadable("unknown call event")
    recording = as_mapping(as_mapping(call.get("call_recording")).get("audio"))
    file = files.announced(recording, Kind.AUDIO)
    if event == "call_recording_available" and file is None:
        raise Unreadable("a recording without a usable id")
    outbound = call.get("direction") == "BUSINESS_INITIATED"
    side = "to" if outbound else "from"
    customer = identity(
        call.get(side), call.get(f"{side}_user_id"), call.get(f"{side}_parent_user_id"), frame.contacts
    )
    if customer is None:
        raise Unreadable("nobody is named in the call")
    sent_at, is_guessed = moment(call, frame)
    facts = {
        "event": as_word(event),
        "status": as_text(call.get("status")),
        "duration_s": as_count(call.get("duration")),
    }
    extra: dict[str, Any] = {"call": {name: fact for name, fact in facts.items() if fact is not None}}
    if is_guessed:
        extra["sent_at_is_guessed"] = True
    yield Announcement(
        account_id=frame.account_id,
        message_id=call_id,
        direction=Direction.OUTBOUND if outbound else Direction.INBOUND,
        sender=customer,
        sent_at=sent_at,
        type="call",
        files=(replace(file, kind=Kind.AUDIO),) if file else (),
        extra=extra,
    )
