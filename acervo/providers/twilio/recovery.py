"""What no webhook told us: Twilio tries once or twice and gives up, but its list of messages stays."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp

from acervo.base import clock
from acervo.base.errors import Gone
from acervo.providers.contract import Reading
from acervo.providers.parts import Part, guarded, reading
from acervo.providers.twilio import identity
from acervo.providers.twilio.api import MAIN, Api
from acervo.providers.twilio.messages import Frame, Said, read_message
from acervo.providers.twilio.reading import LOST_ON_THE_WAY_IN, RECEIVED
from acervo.providers.untrusted import as_count, as_text, as_word

PAGE_SIZE = 100
SIDE_BY_SIDE = 8
"""Lists of files asked for at once."""
DAY = timedelta(days=1)

Row = Mapping[str, Any]


async def missed(
    api: Api, session: aiohttp.ClientSession, since: datetime, frame: Frame, appears_within: timedelta
) -> AsyncIterator[Reading]:
    """Every message that came in since then, a page at a time, newest first, in the words of a webhook."""
    # The filter knows days only, and whose midnight is not said: ask for one more, and look at the moments ourselves.
    asked = {
        "To": f"{identity.CHANNEL}{frame.own_number}",
        "DateSent>": (since.astimezone(UTC) - DAY).date().isoformat(),
        "PageSize": str(PAGE_SIZE),
    }
    async for rows in api.pages(session, f"{api.account_path}/Messages.json", name="messages", params=asked):
        wanted = [row for row in rows if _came_in(row) and (moment(row) or since) >= since]
        found: list[Part] = []
        for start in range(0, len(wanted), SIDE_BY_SIDE):
            few = wanted[start : start + SIDE_BY_SIDE]
            links = await asyncio.gather(*(_links(api, session, row) for row in few))
            for row, files in zip(few, links, strict=True):
                found += _message(row, files, frame, appears_within)
        yield reading(found)


def moment(row: Row) -> datetime | None:
    """When a message came, in RFC 2822; `date_sent` is of the message, `date_created` of its row."""
    for name in ("date_sent", "date_created"):
        try:
            at = parsedate_to_datetime(as_text(row.get(name)) or "")
        except (ValueError, TypeError, IndexError, OverflowError):
            continue
        if at.tzinfo is not None:
            return at
    return None


def _came_in(row: Row) -> bool:
    """The list is asked for messages to us; this is about its other rows, should there be any."""
    told = as_text(row.get("direction"))
    return told == "inbound" if told else as_text(row.get("status")) in RECEIVED


async def _links(api: Api, session: aiohttp.ClientSession, row: Row) -> list[Row]:
    """The files of one message. A list that is not there is an empty one."""
    sid = as_text(row.get("sid")) or ""
    if not as_count(row.get("num_media")) or as_word(sid) != sid:
        return []
    found: list[Row] = []
    try:
        async for rows in api.pages(
            session, f"{api.account_path}/Messages/{sid}/Media.json", name="media_list"
        ):
            found += rows
    except Gone:
        return []
    return found


def _message(row: Row, files: Sequence[Row], frame: Frame, appears_within: timedelta) -> Iterator[Part]:
    at = moment(row) or frame.at
    promised = as_count(row.get("num_media")) or 0
    if not files and clock.now() - at < appears_within:
        promised = 0  # they may be about to come; the message is told now, its files by the next round
    said = {
        "MessageSid": as_text(row.get("sid")) or "",
        "AccountSid": frame.account_sid,
        "From": as_text(row.get("from")) or "",
        "To": as_text(row.get("to")) or "",
        "Body": as_text(row.get("body")) or "",
        "NumMedia": str(max(promised, len(files))),
        **_files(files),
    }
    is_lost = as_word(str(row.get("error_code") or "")) in LOST_ON_THE_WAY_IN
    yield from guarded(read_message(said, replace(frame, at=at), has_lost_files=is_lost), "", "message")


def _files(found: Sequence[Row]) -> Said:
    """As a webhook names them. Oldest first, which is their order in the message as far as anybody knows."""
    ordered = sorted(
        found, key=lambda row: (moment(row) or datetime.max.replace(tzinfo=UTC), found.index(row))
    )
    said: dict[str, str] = {}
    for index, row in enumerate(ordered):
        said[f"MediaUrl{index}"] = MAIN + (as_text(row.get("uri")) or "").removesuffix(".json")
        said[f"MediaContentType{index}"] = as_text(row.get("content_type")) or ""
    return said
