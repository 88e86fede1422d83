"""Files: found as in the library, one of them with all that is known, and links that open one for a few minutes."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal, Self

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.http import Http404
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from ninja import Query, Router
from ninja.responses import Status
from pydantic import Field

from acervo.api.access import ApiRequest, needs
from acervo.api.problems import Problem
from acervo.api.shapes import USUAL, WRITABLE, Limit, Moment, Page, PlaceUnknown, Sent, Shape, Ulid
from acervo.base import clock
from acervo.models import AuditEntry, Deed, Direction, Kind, MediaFile, Scope
from acervo.models.tag import LONGEST_TAG
from acervo.organise import search
from acervo.organise.address import MAX_TAGS, MAX_TEXT
from acervo.organise.search import Cursor, Wish
from acervo.play import links
from acervo.play.playable import Held as IsHeld
from acervo.play.playable import find
from acervo.web import words

router = Router(tags=["media"])
READ = needs(Scope.MEDIA_READ)
WHAT_PATTERN = r"^[a-z0-9_.-]{1,24}$"
BYTES_NOBODY_READS = ("url", "seal_header", "object_key", "waveform")


class Sender(Shape):
    id: Ulid
    name: str
    """As WhatsApp shows it; empty when unknown. Phone numbers: `/people/{person}`."""


class Channel(Shape):
    id: Ulid
    name: str


class Media(Shape):
    """A file that was sent on WhatsApp."""

    id: Ulid
    url: str
    """The page of the file: stable, and the link that CRMs get. Whoever opens it signs in."""
    kind: Kind
    direction: Direction
    """`in`: from the customer; `out`: from us."""
    state: str
    """ready, preparing, waiting, retrying, paused, scanning, quarantined, hidden, lost or taken_back."""
    why: str
    """Why it is not here, in words; empty for what is kept or simply on its way."""
    person: Sender
    connection: Channel
    chat: Ulid
    caption: str | None
    file_name: str | None
    """As its sender named it: never to be used as a path."""
    mime: str | None
    """What the bytes are, whatever was announced; null until somebody looked."""
    size_bytes: int | None
    sha256: str | None
    duration_s: float | None
    width: int | None
    height: int | None
    pages: int | None
    is_damaged: bool
    """It was damaged when it was sent, and is kept as it came."""
    tags: list[str]
    sent_at: Moment
    received_at: Moment
    stored_at: Moment | None
    ready_at: Moment | None
    """When it was looked into and its copies were made."""
    taken_back_at: Moment | None
    """When its sender took the message back."""
    changed_at: Moment

    @classmethod
    def of(cls, row: MediaFile, **more: Any) -> Self:
        return cls(
            id=row.pk,
            url=f"{settings.ACERVO_BASE_URL}/m/{row.slug}",
            kind=Kind(row.kind),
            direction=Direction(row.direction),
            state=row.state,
            why="" if row.stored_at else str(words.refusal(row.refusal)),
            person=Sender(id=row.person_id, name=row.person.name),
            connection=Channel(id=row.connection_id, name=row.connection.name),
            chat=row.chat_id,
            caption=row.caption,
            file_name=row.file_name,
            mime=row.mime,
            size_bytes=row.size_bytes or row.announced_bytes,
            sha256=row.sha256,
            duration_s=row.duration_s,
            width=row.width,
            height=row.height,
            pages=row.page_count,
            is_damaged=row.is_damaged,
            tags=names(row),
            sent_at=row.sent_at,
            received_at=row.received_at,
            stored_at=row.stored_at,
            ready_at=row.prepared_at,
            taken_back_at=row.message.revoked_at,
            changed_at=row.changed_at,
            **more,
        )


class Copy(Shape):
    what: str
    """As asked for at `/media/{media}/link`."""
    mime: str
    size_bytes: int | None
    width: int | None
    height: int | None


class Transcript(Shape):
    text: str
    language: str
    engine: str
    made_at: Moment
    corrected_at: Moment | None


class MediaInFull(Media):
    """A file, with its copies and what is said in it."""

    copies: list[Copy]
    """What can be opened: the original, and what was made from it."""
    transcript: Transcript | None

    @classmethod
    def whole(cls, row: MediaFile) -> Self:
        return cls.of(row, copies=_copies(row), transcript=_transcript(row))


class MediaLink(Shape):
    url: str
    """For a player or a download, without signing in. It stands for the token: it ends with it."""
    expires_at: Moment


class LinkWish(Sent):
    what: Annotated[str, Field(pattern=WHAT_PATTERN)] = "original"
    """`original`, `captions.vtt`, or a copy as the file lists them: `mp3`, `mp4`, `poster`, `thumb_320`, `page-1`."""
    lives_s: Annotated[int, Field(ge=60, le=links.MOST_LIVES_S)] = links.LIVES_S
    """How long it opens."""
    download: bool = False
    """A browser saves it instead of showing it."""


class Sought(Shape):
    """The library's filters. Several values of one mean any of them; several filters mean all of them."""

    q: Annotated[str, Field(max_length=MAX_TEXT), WRITABLE] = ""
    """In captions, file names, transcripts and people's names: every word of it, upper and lower case and accents
    alike."""
    kind: list[Kind] = []
    since: Moment | None = None
    """Received then or later."""
    before: Moment | None = None
    person: Ulid | None = None
    connection: Annotated[list[Ulid], Field(max_length=50)] = []
    tag: Annotated[
        list[Annotated[str, Field(max_length=LONGEST_TAG), WRITABLE]], Field(max_length=MAX_TAGS)
    ] = []
    crm: list[Literal["delivered", "waiting", "stopped", "none"]] = []
    capture: list[Literal["kept", "waiting", "lost"]] = []
    limit: Limit = USUAL
    after: Annotated[str, Field(max_length=80)] = ""

    @property
    def wish(self) -> Wish:
        return Wish(
            text=self.q,
            kinds=tuple(self.kind),
            since=self.since,
            before=self.before,
            person_id=self.person,
            channels=tuple(self.connection),
            crm=tuple(self.crm),
            capture=tuple(self.capture),
            tags=tuple(self.tag),
        )


class Held(Problem):
    """Nobody may open this file now: it waits for the malware scanner, or is in quarantine."""

    code, status = "held", 409

    def words(self) -> str:
        return _("Nobody may open this file now: it waits for the malware scanner, or is in quarantine.")


@router.get("", auth=READ, response=Page[Media], summary="Find files", operation_id="list_media")
def list_media(request: ApiRequest, sought: Query[Sought]) -> Any:
    """The newest first, by when they were received."""
    files = with_facts(search.found(request.auth.member, sought.wish))
    found = search.page(files, after=_place(sought.after), size=sought.limit)
    return {
        "items": [Media.of(row) for row in found.files],
        "next": str(found.next) if found.next else None,
    }


@router.get("/{media}", auth=READ, response=MediaInFull, summary="One file", operation_id="get_media")
def get_media(request: ApiRequest, media: Ulid) -> MediaInFull:
    """With its copies, and with what is said in it where that was written down."""
    return MediaInFull.whole(visible(request, media))


@router.post(
    "/{media}/link",
    auth=READ,
    response={201: MediaLink},
    summary="A link to the bytes",
    operation_id="link_media",
)
def link_media(request: ApiRequest, media: Ulid, wish: LinkWish) -> Status[MediaLink]:
    """An address that opens the file, or a copy of it, for a few minutes and without signing in; it takes Range
    requests. That it was given out stands in the history of the file. 404: there is no such copy. 409: the file is held
    for the malware scanner, or in quarantine."""
    row = visible(request, media)
    found = find(request.auth.member, row.slug, wish.what)
    if isinstance(found, IsHeld):
        raise Held()
    if found is None:
        raise Http404
    expires_at = (clock.now() + timedelta(seconds=wish.lives_s)).replace(microsecond=0)
    address = links.mint(request.auth.by, row, wish.what, lives_s=wish.lives_s)
    with transaction.atomic():
        deed = Deed("file.link_given", "file", row.pk, "", {"what": wish.what, "lives_s": wish.lives_s})
        AuditEntry.objects.record(row.workspace_id, request.auth.by, [deed])
    saving = "&download=1" if wish.download else ""
    return Status(201, MediaLink(url=f"{settings.ACERVO_BASE_URL}{address}{saving}", expires_at=expires_at))


def visible(request: ApiRequest, media: Ulid) -> MediaFile:
    """Http404 for every file the token may not see."""
    return get_object_or_404(with_facts(MediaFile.objects.visible_to(request.auth.member)), pk=media)


def with_facts(files: QuerySet[MediaFile]) -> QuerySet[MediaFile]:
    """The same files with what a list shows of them: one query more, however many files."""
    return (
        files.select_related("person", "connection", "message")
        .defer(*BYTES_NOBODY_READS)
        .prefetch_related("file_tags__tag")
    )


def names(row: MediaFile) -> list[str]:
    """Of its tags, in order."""
    return sorted(put.tag.name for put in row.file_tags.all())


def _copies(row: MediaFile) -> list[Copy]:
    if not row.is_openable:
        return []
    original = Copy(
        what="original",
        mime=row.mime or "application/octet-stream",
        size_bytes=row.size_bytes,
        width=row.width,
        height=row.height,
    )
    made = [
        Copy(
            what=f"page-{copy.page}" if copy.page else copy.kind,
            mime=copy.mime,
            size_bytes=copy.size_bytes,
            width=copy.width,
            height=copy.height,
        )
        for copy in row.renditions.order_by("kind", "page").defer("seal_header", "object_key")
    ]
    return [original, *made]


def _transcript(row: MediaFile) -> Transcript | None:
    said = getattr(row, "transcript", None)
    if said is None or said.made_at is None or not row.is_openable:
        return None
    return Transcript(
        text=said.text,
        language=said.language,
        engine=said.engine,
        made_at=said.made_at,
        corrected_at=said.edited_at,
    )


def _place(after: str) -> Cursor | None:
    try:
        return Cursor.parse(after) if after else None
    except (ValueError, OverflowError, OSError):
        raise PlaceUnknown() from None
