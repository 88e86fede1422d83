"""The panel: what the customer of a record sent, to hear and see in place, beside the record and nowhere else."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Concatenate, Final, ParamSpec, cast
from uuid import UUID

from django.db.models import Count, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_POST

from acervo import journey
from acervo.crms.embedding import RECORD_ID
from acervo.embed import sessions
from acervo.embed.frame import framed, reading
from acervo.models import (
    Ability,
    ConsentAnswer,
    Delivery,
    EmbedSession,
    Kind,
    MediaFile,
    Member,
    Person,
    RecordLink,
    Transcript,
    TranscriptSegment,
)
from acervo.organise import search
from acervo.organise.search import Cursor
from acervo.play import links
from acervo.play.playable import CAPTIONS, ORIGINAL
from acervo.web import words
from acervo.web.cards import Card, card, delivery_state, with_facts
from acervo.web.sources import for_browser, is_apple, sources

PAGE_SIZE: Final = 20
SUMMARY_SIZE: Final = 5
MOST_RECORDS: Final = 4
PLAYBACK_LIVES_S: Final = 300
"""Pictures of lists live as long as a link may, and end with their panel like all links of it."""
FAMILIES: Final[Mapping[str, tuple[str, ...]]] = {
    "audio": (Kind.VOICE, Kind.AUDIO),
    "video": (Kind.VIDEO,),
    "image": (Kind.IMAGE, Kind.STICKER),
    "document": (Kind.DOCUMENT,),
}
_ICONS: Final = {"audio": "mic", "video": "video", "image": "image", "document": "file-text"}

P = ParamSpec("P")
Record = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Asked:
    """What the page wants to see."""

    records: tuple[Record, ...] = ()
    """In our words; empty where the page does not know yet beside which record it stands."""
    family: str = ""
    after: Cursor | None = None

    @classmethod
    def of(cls, session: EmbedSession) -> Asked:
        return cls(((session.object_type, session.record_id),) if session.record_id else ())

    @classmethod
    def read(cls, session: EmbedSession, request: HttpRequest) -> Asked:
        """Raises Http404 for another record than the session's, where it has one."""
        told = tuple(_records(request.GET.getlist("record")))
        own = cls.of(session).records
        if own and not set(told) <= set(own):
            raise Http404
        family = request.GET.get("kind", "")
        return cls(own or told, family if family in FAMILIES else "", _place(request.GET.get("after", "")))

    @property
    def query(self) -> str:
        """For addresses of the same wish."""
        told = [("record", f"{kind}:{record}") for kind, record in self.records]
        return urlencode([*told, *([("kind", self.family)] if self.family else [])])


@dataclass(frozen=True, slots=True)
class Filter:
    """One of the buttons above the list."""

    family: str
    label: words.Words
    icon: str
    count: int
    is_chosen: bool


@dataclass(frozen=True, slots=True)
class Item:
    """A file as the panel shows it."""

    card: Card
    picture: str
    """The signed address of a small picture; empty where there is none."""
    related: Sequence[RecordLink]
    """Tickets and deals of this CRM it was tied to."""
    promise: Delivery | None
    """Of this CRM, as long as it is not kept."""
    status: words.Status | None
    is_spoken: bool

    @property
    def media(self) -> MediaFile:
        return self.card.media


View = Callable[Concatenate[HttpRequest, EmbedSession, P], HttpResponse]
Door = Callable[Concatenate[HttpRequest, P], HttpResponse]


def for_panels(view: View[P]) -> Door[P]:
    """For whoever sends the token of a live session along; everybody else learns only that it is over. What is not of
    its record, not theirs to see or nowhere at all is one and the same answer."""

    @csrf_exempt  # no cookie is looked at: the token travels in a header that no other page can send
    @functools.wraps(view)
    def guarded(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        session = sessions.of_request(request)
        if session is None:
            return framed(JsonResponse({"error": "over"}, status=401), ())
        with reading(request, session.workspace):
            try:
                answer = view(request, session, *args, **kwargs)
            except Http404:
                answer = JsonResponse({"error": "not_here"}, status=404)
            return framed(answer, ())

    return cast(Door[P], guarded)


@require_GET
@for_panels
def files(request: HttpRequest, session: EmbedSession) -> HttpResponse:
    """The panel for these records and this kind, or the next part of its list."""
    asked = Asked.read(session, request)
    return render(request, "embed/_more.html" if asked.after else "embed/_files.html", page(session, asked))


@require_POST
@for_panels
def playback(request: HttpRequest, session: EmbedSession, file: UUID) -> HttpResponse:
    """Short links to one file, in the order this browser tries them."""
    media = _file(request, session, file)
    found = for_browser(sources(media), is_apple=is_apple(request.headers.get("User-Agent", "")))
    shown = card(media)
    preview = shown.preview_address if media.is_openable else ""
    spoken = Transcript.objects.visible_to(_viewer(session)).made().filter(media=media)
    has_captions = media.is_openable and spoken.exists()
    return JsonResponse(
        {
            "sources": [{"address": _signed(session, media, one.address), "type": one.mime} for one in found],
            "preview": _signed(session, media, preview) if preview else "",
            "captions": _signed(session, media, f"/{CAPTIONS}") if has_captions else "",
            "download": _signed(session, media, f"/{ORIGINAL}") + "&download=1" if media.is_openable else "",
        }
    )


@require_GET
@for_panels
def transcript(request: HttpRequest, session: EmbedSession, file: UUID) -> HttpResponse:
    media = _file(request, session, file)
    if not media.is_openable:
        raise Http404
    spoken = get_object_or_404(Transcript.objects.visible_to(_viewer(session)).made(), media=media)
    segments = TranscriptSegment.objects.filter(transcript=spoken).order_by("position")
    return render(
        request, "embed/_transcript.html", {"transcript": spoken, "segments": segments, "media": media}
    )


@require_POST
@for_panels
def retry(request: HttpRequest, session: EmbedSession, file: UUID) -> HttpResponse:
    """Write the file to this CRM now; the answer is its row as it is then."""
    media = _file(request, session, file)
    viewer = _viewer(session)
    if not viewer.can(Ability.RETRY):
        raise Http404
    promises = Delivery.objects.visible_to(viewer).filter(
        media=media, connection=session.connection_id, delivered_at=None
    )
    journey.retry_delivery(get_object_or_404(promises), by=session.agent.author)
    fresh = _file(request, session, file)
    (item,) = _items(session, [fresh])
    return render(request, "embed/_item.html", {"item": item, "can_retry": True})


@require_POST
@for_panels
def renew(request: HttpRequest, session: EmbedSession) -> HttpResponse:
    """The panel is still open."""
    return HttpResponse(status=204)


def page(session: EmbedSession, asked: Asked) -> dict[str, Any]:
    """What the templates show. `state` says why there is no list: waiting, not_linked, not_yours or nothing."""
    viewer = session.viewer()
    if not asked.records and viewer is not None:
        return {"state": "waiting"}
    tied = _tied(session, asked.records)
    if viewer is None:
        return {"state": "not_yours"}
    if not tied.exists():
        return {"state": "not_linked"}
    every = _files(viewer, tied)
    counts = _counts(every)
    if not counts["all"]:
        is_hidden = MediaFile.objects.filter(_of(tied), workspace=session.workspace_id).exists()
        return {"state": "not_yours" if is_hidden else "nothing", **_whose(session, viewer, tied)}
    chosen = every.filter(kind__in=FAMILIES[asked.family]) if asked.family else every
    found = search.page(with_facts(chosen), after=asked.after, size=PAGE_SIZE)
    query = asked.query
    return {
        "state": "files",
        "items": _items(session, found.files),
        "filters": _filters(counts, asked.family),
        "query": query,
        "next": f"{query}&after={found.next}" if found.next else "",
        "total": counts[asked.family or "all"],
        "can_retry": viewer.can(Ability.RETRY),
        **_whose(session, viewer, tied),
    }


def summary(session: EmbedSession) -> dict[str, Any]:
    """The newest files in words, for a CRM that draws its own list."""
    shown = page(session, Asked.of(session))
    newest = [
        {
            "id": item.card.slug,
            "kind": str(item.card.kind_word),
            "text": item.card.text[:160],
            "received_at": item.media.received_at.isoformat(),
            "seconds": item.media.duration_s,
        }
        for item in shown.get("items", ())[:SUMMARY_SIZE]
    ]
    return {
        "state": shown["state"],
        "message": str(_STATES[shown["state"]]()) if shown["state"] in _STATES else "",
        "total": shown.get("total", 0),
        "files": newest,
        "button": _("Listen and watch"),
    }


_STATES: Final[Mapping[str, Callable[[], str]]] = {
    "not_linked": lambda: _("This record is not tied to anybody on WhatsApp yet."),
    "not_yours": lambda: _("There may be files here that are not for you to see."),
    "nothing": lambda: _("Nothing has come from this customer yet."),
}


def _records(told: Iterable[str]) -> Iterable[Record]:
    for one in list(told)[:MOST_RECORDS]:
        kind, _colon, record = one.partition(":")
        if RECORD_ID.fullmatch(kind) and RECORD_ID.fullmatch(record):
            yield kind, record


def _place(told: str) -> Cursor | None:
    try:
        return Cursor.parse(told) if told else None
    except ValueError:
        return None


def _tied(session: EmbedSession, records: Iterable[Record]) -> QuerySet[RecordLink]:
    """What this very connection ties to the records: no id of another account means anything here."""
    of_records = Q(pk__in=())
    for kind, record in records:
        of_records |= Q(object_type=kind, record_id=record)
    return RecordLink.objects.filter(
        of_records, workspace=session.workspace_id, connection=session.connection_id
    )


def _of(tied: QuerySet[RecordLink]) -> Q:
    people = tied.filter(person__isnull=False).values("person")
    return Q(person__in=people) | Q(pk__in=tied.filter(media__isnull=False).values("media"))


def _files(viewer: Member, tied: QuerySet[RecordLink]) -> QuerySet[MediaFile]:
    return MediaFile.objects.visible_to(viewer).filter(_of(tied))


def _file(request: HttpRequest, session: EmbedSession, file: UUID) -> MediaFile:
    """Http404 for every file that is not tied to the record the panel stands beside."""
    tied = _tied(session, Asked.read(session, request).records)
    return get_object_or_404(with_facts(_files(_viewer(session), tied)), pk=file)


def _viewer(session: EmbedSession) -> Member:
    viewer = session.viewer()
    if viewer is None:
        raise Http404
    return viewer


def _counts(found: QuerySet[MediaFile]) -> dict[str, int]:
    by_family = {name: Count("pk", filter=Q(kind__in=kinds)) for name, kinds in FAMILIES.items()}
    counts: dict[str, int] = found.aggregate(all=Count("pk"), **by_family)
    return counts


def _filters(counts: Mapping[str, int], chosen: str) -> list[Filter]:
    labels = {"audio": _("Audios"), "video": _("Videos"), "image": _("Images"), "document": _("Documents")}
    every = Filter("", _("All"), "", counts["all"], is_chosen=not chosen)
    return [
        every,
        *(
            Filter(name, labels[name], _ICONS[name], counts[name], is_chosen=name == chosen)
            for name in FAMILIES
        ),
    ]


def _whose(session: EmbedSession, viewer: Member, tied: QuerySet[RecordLink]) -> dict[str, Any]:
    """The customer, where the record is tied to exactly one."""
    people = list(Person.objects.visible_to(viewer).filter(pk__in=tied.values("person"))[:2])
    person = people[0] if len(people) == 1 else None
    answers = ConsentAnswer.objects.visible_to(viewer).filter(person=person) if person else None
    return {
        "person": person,
        "consent": answers.newest_first().first() if answers is not None else None,
        "has_account": session.agent.member() is not None,
    }


def _items(session: EmbedSession, found: Sequence[MediaFile]) -> list[Item]:
    tied = RecordLink.objects.filter(
        connection=session.connection_id, media__in=[media.pk for media in found]
    ).exclude(object_type__in=("media", "note"))
    related: dict[UUID, list[RecordLink]] = {}
    for row in tied.order_by("linked_at"):
        if row.media_id:
            related.setdefault(row.media_id, []).append(row)
    spoken = set(
        Transcript.objects.made()
        .filter(media__in=[media.pk for media in found if media.is_openable])
        .exclude(text="")
        .values_list("media", flat=True)
    )
    return [_item(session, media, related.get(media.pk, []), is_spoken=media.pk in spoken) for media in found]


def _item(session: EmbedSession, media: MediaFile, related: Sequence[RecordLink], *, is_spoken: bool) -> Item:
    shown = card(media)
    here = [one for one in media.deliveries.all() if one.connection_id == session.connection_id]
    promise = next((one for one in here if one.delivered_at is None), None)
    picture = shown.thumb_address if shown.family != "audio" else ""
    return Item(
        card=shown,
        picture=_signed(session, media, picture, lives_s=links.MOST_LIVES_S) if picture else "",
        related=related,
        promise=promise,
        status=words.DELIVERY_STATES[delivery_state(promise)] if promise else None,
        is_spoken=is_spoken,
    )


def _signed(session: EmbedSession, media: MediaFile, address: str, *, lives_s: int = PLAYBACK_LIVES_S) -> str:
    """An address of the player, for whoever has this panel open."""
    return links.mint(links.of_session(session), media, address.rpartition("/")[2], lives_s=lives_s)
