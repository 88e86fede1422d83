"""A file as lists show it: one card, made of facts already fetched, so that no template starts a query."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from django.db.models import F, Prefetch, QuerySet
from django.db.models.functions import Left
from django.utils.translation import gettext as _

from acervo.base import filetypes
from acervo.models import Delivery, Direction, Kind, MediaFile, Rendition, RenditionKind
from acervo.web import words
from acervo.web.sources import Source, sources

AUDIO_KINDS: Final = (Kind.VOICE, Kind.AUDIO)
SPEECH_LETTERS: Final = 200
"""Of a transcript: what a card has room for."""
BYTES_A_CARD_DOES_NOT_NEED: Final = ("url", "seal_header", "object_key")


@dataclass(frozen=True, slots=True)
class Card:
    media: MediaFile
    name: str
    heading: str
    kind_word: words.Words
    icon: str
    text: str
    family: str
    """audio, video, image, sticker or doc: which box the card has."""
    thumb: Rendition | None
    sources: tuple[Source, ...]
    state: words.Status | None
    """Only when it is not simply kept."""
    crm: words.Status | None
    lost: words.Words = ""
    """Why it never came, in a few words; empty for every other file."""

    @property
    def extension(self) -> str:
        """PDF, DOCX: of what the bytes are, or of the announced name until there are bytes."""
        name = self.media.file_name or ""
        if self.media.mime:
            name = filetypes.safe_file_name(name, filetypes.by_mime(self.media.mime))
        return PurePosixPath(name).suffix[1:6].upper()

    @property
    def size_bytes(self) -> int | None:
        return self.media.size_bytes or self.media.announced_bytes

    @property
    def slug(self) -> str:
        return self.media.slug

    @property
    def address(self) -> str:
        return f"/m/{self.slug}"

    @property
    def download_address(self) -> str:
        return f"/play/{self.slug}/original?download=1"

    @property
    def poster_address(self) -> str:
        made = {rendition.kind for rendition in self.media.renditions.all()}
        return f"/play/{self.slug}/poster" if RenditionKind.POSTER in made else self.thumb_address

    @property
    def thumb_address(self) -> str:
        return f"/play/{self.slug}/{self.thumb.kind}" if self.thumb else ""

    @property
    def preview_address(self) -> str:
        """The largest picture there is of an original that no browser shows."""
        made = {rendition.kind for rendition in self.media.renditions.all()}
        return f"/play/{self.slug}/thumb_640" if RenditionKind.THUMB_640 in made else self.thumb_address


def with_facts(files: QuerySet[MediaFile]) -> QuerySet[MediaFile]:
    """The same files with everything a card shows: two queries more, however many files."""
    return (
        files.select_related("person", "connection", "workspace__media_policy")
        .defer(*BYTES_A_CARD_DOES_NOT_NEED)
        .annotate(speech=Left("transcript__text", SPEECH_LETTERS), taken_back_at=F("message__revoked_at"))
        .prefetch_related(
            Prefetch(
                "renditions",
                # Of a long document one page is enough to know that there are pages.
                Rendition.objects.filter(page__lte=1).only(
                    "media", "kind", "mime", "width", "height", "sha256"
                ),
            ),
            Prefetch("deliveries", Delivery.objects.order_by("promised_at")),
        )
    )


def card(media: MediaFile) -> Card:
    name = name_of(media)
    return Card(
        media=media,
        name=name,
        heading=words.heading(media.kind, name, is_outbound=media.direction == Direction.OUTBOUND),
        kind_word=words.KINDS[media.kind],
        icon=words.KIND_ICONS[media.kind],
        text=media.caption or getattr(media, "speech", None) or media.file_name or "",
        family=_family(media),
        thumb=_thumb(media),
        sources=sources(media),
        state=_state(media),
        crm=crm_status(media.deliveries.all()),
        lost=words.lost(media.refusal) if media.gone_at else "",
    )


def _state(media: MediaFile) -> words.Status | None:
    if media.state == "ready":
        return words.TAKEN_BACK_STATUS if getattr(media, "taken_back_at", None) else None
    return words.FILE_STATES[media.state]


def cards(files: Iterable[MediaFile]) -> list[Card]:
    return [card(media) for media in files]


def name_of(media: MediaFile) -> str:
    return media.person.name or _("Unnamed contact")


def crm_status(deliveries: Iterable[Delivery]) -> words.Status | None:
    """The most urgent of a file's promises: stopped before trying before queued before delivered."""
    states = {delivery_state(delivery) for delivery in deliveries}
    for state in ("choose", "stopped", "trying", "queued", "delivered", "left_out"):
        if state in states:
            return words.DELIVERY_STATES[state]
    return None


def delivery_state(delivery: Delivery) -> str:
    """The delivery's own state; of one that stopped, `choose` where somebody has to say who this is in the CRM, and
    `left_out` where somebody said that it is not to go there."""
    if delivery.state != "stopped":
        return delivery.state
    if delivery.refusal == "left_out":
        return "left_out"
    facts = delivery.refusal_facts
    return "choose" if "candidates" in facts or facts.get("object_type") == "contact" else "stopped"


def _thumb(media: MediaFile) -> Rendition | None:
    if not media.is_openable:
        return None
    made = {rendition.kind: rendition for rendition in media.renditions.all()}
    return (
        made.get(RenditionKind.THUMB_320)
        or made.get(RenditionKind.THUMB_640)
        or made.get(RenditionKind.POSTER)
    )


def _family(media: MediaFile) -> str:
    if media.kind == Kind.STICKER:
        return "sticker"
    found = filetypes.by_mime(media.mime).kind if media.mime else _ANNOUNCED[media.kind]
    return "doc" if found == "document" else found


_ANNOUNCED: Final[dict[str, str]] = {
    Kind.VOICE: "audio",
    Kind.AUDIO: "audio",
    Kind.VIDEO: "video",
    Kind.IMAGE: "image",
    Kind.DOCUMENT: "document",
}
