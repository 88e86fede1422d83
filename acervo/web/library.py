"""All files: find, filter, read page by page, hear without leaving."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from itertools import groupby
from typing import Final
from uuid import UUID

from django.http import Http404, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from acervo.base import ids
from acervo.models import Connection, Kind, Person
from acervo.organise import search
from acervo.organise.address import PERIOD, RECENT, Asked, begin_of
from acervo.organise.search import Cursor
from acervo.web import words
from acervo.web.cards import Card, card, with_facts
from acervo.web.guards import MemberRequest, for_members
from acervo.web.tags import written_day

MAX_CHANNELS: Final = 20


@dataclass(frozen=True, slots=True)
class Day:
    date: date
    cards: list[Card]
    is_continued: bool
    """Its heading stands on the page before."""
    is_whole: bool
    """All its files are here, so that they can be counted."""

    @property
    def count(self) -> int:
        return len(self.cards)


@dataclass(frozen=True, slots=True)
class Option:
    """One line of a filter."""

    name: str
    value: str
    label: words.Words
    count: int | None
    is_chosen: bool
    icon: str = ""

    @property
    def html_id(self) -> str:
        return f"f-{self.name}-{self.value}"


@dataclass(frozen=True, slots=True)
class Chip:
    """A filter in force, and the address of the list without it."""

    key: words.Words
    value: words.Words
    without: str


@dataclass(frozen=True, slots=True)
class Filters:
    """The query string as the member may ask it, and how its parts are shown."""

    asked: QueryDict
    parts: Asked
    person: Person | None
    channels: tuple[Connection, ...]

    @classmethod
    def read(cls, asked: QueryDict, *, channels: Sequence[Connection], person: Person | None) -> Filters:
        parts = Asked.read(asked)
        chosen = tuple(channel for channel in channels if channel.pk in parts.channels)
        own = replace(
            parts,
            person_id=person.pk if person else None,
            channels=tuple(channel.pk for channel in chosen),
        )
        return cls(asked, own, person, chosen)

    @property
    def text(self) -> str:
        return self.parts.text

    @property
    def is_list(self) -> bool:
        return self.asked.get("view") == "list"

    @property
    def are_any(self) -> bool:
        return bool(self.chips or self.text)

    @property
    def chips(self) -> list[Chip]:
        parts = self.parts
        found = [
            Chip(_("Type"), words.KINDS[kind], self.address(without=("kind", kind))) for kind in parts.kinds
        ]
        if parts.recent in RECENT:
            found.append(
                Chip(_("Received"), _recent_words()[parts.recent], self.address(without=("received", None)))
            )
        if parts.first:
            found.append(Chip(_("From"), written_day(parts.first), self.address(without=("from", None))))
        if parts.last:
            found.append(Chip(_("To"), written_day(parts.last), self.address(without=("to", None))))
        found += [Chip(_("Tag"), name, self.address(without=("tag", name))) for name in parts.tags]
        if self.person:
            found.append(
                Chip(
                    _("Contact"),
                    self.person.name or _("Unnamed contact"),
                    self.address(without=("person", None)),
                )
            )
        for channel in self.channels:
            found.append(
                Chip(_("Channel"), channel.name, self.address(without=("channel", ids.text(channel.pk))))
            )
        found += [
            Chip(_("In the CRM"), words.CRM_STATES[s], self.address(without=("crm", s))) for s in parts.crm
        ]
        found += [
            Chip(_("Capture"), words.CAPTURE_STATES[s], self.address(without=("capture", s)))
            for s in parts.capture
        ]
        return found

    def address(self, *, without: tuple[str, str | None] | None = None, **changes: str) -> str:
        """The library's address with these filters, less one, or with some parts changed."""
        asked = self.asked.copy()
        for place in ("after", "down_to"):
            asked.pop(place, None)
        if without:
            name, value = without
            asked.setlist(name, [kept for kept in asked.getlist(name) if value is not None and kept != value])
        for name, value in changes.items():
            asked[name] = value
        for name in [name for name in asked if not any(asked.getlist(name))]:
            del asked[name]
        return f"/library?{asked.urlencode()}" if asked else "/library"


@require_GET
@for_members
def library(request: MemberRequest) -> HttpResponse:
    """The page; for htmx the part that changes with a filter, one more page, or the newest part again."""
    channels = list(
        Connection.objects.visible_to(request.user)
        .providers()
        .filter(removed_at=None)
        .order_by("name")[:MAX_CHANNELS]
    )
    filters = Filters.read(request.GET, channels=channels, person=_person(request))
    after, down_to = place_of(request.GET.get("after")), place_of(request.GET.get("down_to"))
    files = with_facts(search.found(request.user, filters.parts.wish))
    page = search.page(files, after=after, down_to=down_to)
    found = {
        "filters": filters,
        "days": days(
            [card(media) for media in page.files],
            continued=after.received_at if after else None,
            has_more=bool(page.next or down_to),
        ),
        "is_first": after is None,
        "is_empty": not page.files and after is None,
        "more": filters.address(after=str(page.next)) if page.next and not down_to else "",
        "newest": filters.address(down_to=str(page.next)) if page.next else filters.address(),
    }
    if after and request.htmx and not request.htmx.boosted:
        return render(request, "_library_page.html", found)
    if down_to and request.headers.get("X-Acervo-Live"):
        return render(request, "_library_newest.html", found | {"total": search.total(files)})
    since = {name: begin_of(timezone.localdate() - timedelta(days=back)) for name, back in RECENT.items()}
    counts = search.count(
        request.user, filters.parts.wish, since=since, channels=[channel.pk for channel in channels]
    )
    found |= {"counts": counts, "facets": _facets(filters, counts, channels)}
    is_swap = request.htmx and request.htmx.target == "results" and not request.htmx.history_restore_request
    return render(request, "_library_swap.html" if is_swap else "library.html", found)


def days(found: Iterable[Card], *, continued: datetime | None = None, has_more: bool = False) -> list[Day]:
    """Cards under their day, in the reader's time zone."""
    continued_day = timezone.localdate(continued) if continued else None
    by_day = [
        (day, list(its))
        for day, its in groupby(found, key=lambda one: timezone.localdate(one.media.received_at))
    ]
    open_day = by_day[-1][0] if by_day and has_more else None
    return [
        Day(day, its, is_continued=day == continued_day, is_whole=day not in (continued_day, open_day))
        for day, its in by_day
    ]


def _facets(
    filters: Filters, counts: search.Counts, channels: Sequence[Connection]
) -> dict[str, list[Option]]:
    chosen = {ids.text(channel.pk) for channel in filters.channels}
    recent = _recent_words()
    return {
        "kinds": [
            Option(
                "kind",
                kind,
                words.KINDS[kind],
                counts.kinds[kind],
                kind in filters.parts.kinds,
                words.KIND_ICONS[kind],
            )
            for kind in Kind.values
        ],
        "recent": [
            Option("received", "", _("Any time"), None, not filters.parts.recent),
            *(
                Option("received", name, recent[name], counts.since[name], filters.parts.recent == name)
                for name in RECENT
            ),
            Option("received", PERIOD, _("Period"), None, filters.parts.recent == PERIOD),
        ],
        "crm": [
            Option("crm", state, words.CRM_STATES[state], counts.crm[state], state in filters.parts.crm)
            for state in search.CRM_STATES
        ],
        "capture": [
            Option(
                "capture",
                state,
                words.CAPTURE_STATES[state],
                counts.capture[state],
                state in filters.parts.capture,
            )
            for state in search.CAPTURE_STATES
        ],
        "channels": [
            Option(
                "channel",
                key := ids.text(channel.pk),
                channel.name,
                counts.channels[channel.pk],
                key in chosen,
            )
            for channel in channels
        ],
    }


def _recent_words() -> dict[str, str]:
    return {"today": _("Today"), "7d": _("Last 7 days"), "30d": _("Last 30 days")}


def place_of(value: str | None) -> Cursor | None:
    """A place that cannot be read is the beginning."""
    try:
        return Cursor.parse(value) if value else None
    except ValueError:
        return None


def _person(request: MemberRequest) -> Person | None:
    """Somebody the member may not see does not exist: no list, rather than the list of everybody."""
    if not request.GET.get("person"):
        return None
    try:
        person_id: UUID = ids.parse(request.GET["person"])
    except ValueError:
        raise Http404 from None
    return get_object_or_404(Person.objects.visible_to(request.user), pk=person_id)
