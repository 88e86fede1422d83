"""The words of the library's own address (`q=…&kind=video`): read kindly for a page, strictly for work without a reader."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Final, Self
from urllib.parse import urlencode, urlsplit
from uuid import UUID

from django.conf import settings
from django.core.exceptions import SuspiciousOperation
from django.http import QueryDict
from django.utils import timezone
from django.utils.dateparse import parse_date

from acervo.base import ids
from acervo.base.errors import Refused
from acervo.models import Kind, MediaFile
from acervo.models.media import MediaFiles
from acervo.models.tag import LONGEST_TAG
from acervo.organise import search
from acervo.organise.search import Wish

RECENT: Final = {"today": 0, "7d": 6, "30d": 29}
"""How many days before today a period of this name begins."""
PERIOD: Final = "period"
LOOKS: Final = ("view", "after", "down_to")
"""How the list is shown, and where in it: no matter which files."""
MAX_TEXT: Final = 200
MAX_TAGS: Final = 20
MAX_QUERY: Final = 2_000


class UnknownWord(Refused):
    """The library's address has no such word."""

    code = "unknown_word"

    def __init__(self, word: str) -> None:
        super().__init__(f"The library's address has no word “{word}”.", word=word)
        self.word = word


@dataclass(frozen=True, slots=True)
class Asked:
    """What an address asks for. Empty parts do not narrow."""

    text: str = ""
    kinds: tuple[str, ...] = ()
    recent: str = ""
    """A name of RECENT, PERIOD, or nothing."""
    first: date | None = None
    last: date | None = None
    person_id: UUID | None = None
    channels: tuple[UUID, ...] = ()
    crm: tuple[str, ...] = ()
    capture: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()

    @classmethod
    def read(cls, address: QueryDict) -> Self:
        """What it says wrongly does not narrow."""
        recent = address.get("received", "")
        is_period = recent == PERIOD or not recent
        return cls(
            text=address.get("q", "").strip()[:MAX_TEXT],
            kinds=_known(address, "kind"),
            recent=recent if recent in _RECEIVED else "",
            first=_day(address.get("from", "")) if is_period else None,
            last=_day(address.get("to", "")) if is_period else None,
            person_id=next(iter(_ids(address, "person")), None),
            channels=tuple(_ids(address, "channel")),
            crm=_known(address, "crm"),
            capture=_known(address, "capture"),
            tags=tuple(_tags(address)),
        )

    @classmethod
    def strictly(cls, query: str) -> Self:
        """Of a query string, or a whole address with one. Raises UnknownWord for whatever would not narrow."""
        asked = _parsed(query)
        for name in asked:
            if name not in _MEANINGS:
                raise UnknownWord(name)
            for value in filter(None, asked.getlist(name)):
                if not _is_understood(name, value):
                    raise UnknownWord(f"{name}={value}")
        return cls.read(asked)

    @property
    def wish(self) -> Wish:
        """Days are those of the time zone in force."""
        since = self.first
        if self.recent in RECENT:
            since = timezone.localdate() - timedelta(days=RECENT[self.recent])
        return Wish(
            text=self.text,
            kinds=self.kinds,
            since=begin_of(since) if since else None,
            before=begin_of(self.last + timedelta(days=1)) if self.last else None,
            person_id=self.person_id,
            channels=self.channels,
            crm=self.crm,
            capture=self.capture,
            tags=self.tags,
        )


def found_in(workspace_id: UUID, query: str) -> MediaFiles:
    """All files of a workspace that a query names, whoever may see them: for work that the archive does by itself.
    Days are those of the installation's time zone. Raises UnknownWord."""
    with timezone.override(settings.TIME_ZONE):
        wish = Asked.strictly(query).wish
    return search.narrowed(MediaFile.objects.filter(workspace=workspace_id), workspace_id, wish)


def settled(query: str) -> str:
    """As a query is kept for later: "today" becomes the day it is, what only concerns the list is left out.
    Raises UnknownWord."""
    recent = Asked.strictly(query).recent
    kept = _parsed(query)
    for name in LOOKS:
        kept.pop(name, None)
    if recent in RECENT:
        with timezone.override(settings.TIME_ZONE):
            begin = timezone.localdate() - timedelta(days=RECENT[recent])
        kept["received"], kept["from"], kept["to"] = PERIOD, begin.isoformat(), ""
    for name in [name for name in kept if not any(kept.getlist(name))]:
        del kept[name]
    return kept.urlencode()


def since(*, days: int) -> str:
    """The query of what came in the last so many days, in the installation's time zone."""
    with timezone.override(settings.TIME_ZONE):
        first = timezone.localdate() - timedelta(days=days)
    return urlencode({"received": PERIOD, "from": first.isoformat()})


def within(query: str, **narrower: str | Sequence[str]) -> str:
    """The same query, narrowed: what it said of these words is replaced. Raises UnknownWord."""
    kept = _parsed(query)
    for name, values in narrower.items():
        kept.setlist(name, [values] if isinstance(values, str) else list(values))
    return kept.urlencode()


def begin_of(day: date) -> datetime:
    """Midnight, in the time zone in force."""
    return timezone.make_aware(datetime.combine(day, time.min))


_RECEIVED: Final = (*RECENT, PERIOD)
_CHOICES: Final = {
    "kind": Kind.values,
    "crm": search.CRM_STATES,
    "capture": search.CAPTURE_STATES,
    "received": _RECEIVED,
}
_MEANINGS: Final = (*_CHOICES, "q", "from", "to", "person", "channel", "tag", *LOOKS)


def _parsed(query: str) -> QueryDict:
    if len(query) > MAX_QUERY:
        raise UnknownWord(f"{query[:40]}…")
    text = query.strip()
    if text.startswith(("/", "http://", "https://")):
        address = urlsplit(text)
        if address.path != "/library":
            raise UnknownWord(address.path)  # of a file or a person, say: it would mean every file
        text = address.query
    try:
        return QueryDict(text.removeprefix("?"), mutable=True)
    except (ValueError, SuspiciousOperation) as error:
        raise UnknownWord(f"{text[:40]}…") from error


def _is_understood(name: str, value: str) -> bool:
    if name in _CHOICES:
        return value in _CHOICES[name]
    if name in ("from", "to"):
        return _day(value) is not None
    if name in ("person", "channel"):
        return _id(value) is not None
    return True


def _known(address: QueryDict, name: str) -> tuple[str, ...]:
    return tuple(value for value in _CHOICES[name] if value in address.getlist(name))


def _ids(address: QueryDict, name: str) -> Iterable[UUID]:
    return [found for value in address.getlist(name) if (found := _id(value))]


def _tags(address: QueryDict) -> Iterable[str]:
    named = (" ".join(value.split())[:LONGEST_TAG] for value in address.getlist("tag"))
    return list(dict.fromkeys(filter(None, named)))[:MAX_TAGS]


def _id(value: str) -> UUID | None:
    try:
        return ids.parse(value)
    except ValueError:
        return None


def _day(value: str) -> date | None:
    try:
        return parse_date(value)
    except ValueError:
        return None
