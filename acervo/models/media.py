"""A file a customer sent: what was announced, what was kept, what it turned out to be."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, ClassVar, Self

from django.db import models
from django.db.models import Q

from acervo.base import clock, ids
from acervo.models.connection import Connection
from acervo.models.message import Chat, Direction, Message
from acervo.models.person import Person
from acervo.models.sealed import SealedObject, sealed_object_constraints
from acervo.models.workspace import Workspace

if TYPE_CHECKING:
    from acervo.models.member import Member

WAVEFORM_POINTS = 160
TAKEN_BACK = "taken_back"
"""The refusal of a file whose sender took it back, where that means that it goes."""


class Kind(models.TextChoices):
    """As the sender's app called it. What the bytes are says `mime`."""

    VOICE = "voice", "voice"
    AUDIO = "audio", "audio"
    VIDEO = "video", "video"
    IMAGE = "image", "image"
    STICKER = "sticker", "sticker"
    DOCUMENT = "document", "document"


def not_withdrawn(prefix: str = "") -> Q:
    """Neither hidden nor to be erased. `prefix` as below."""
    return Q(**{f"{prefix}hidden_at": None, f"{prefix}erase_asked_at": None})


def not_quarantined(prefix: str = "") -> Q:
    """`prefix` leads from another table to its file, such as `media__`."""
    return Q(**{f"{prefix}infection": None}) | Q(**{f"{prefix}released_at__isnull": False})


class MediaFiles(models.QuerySet["MediaFile"]):
    def visible_to(self, member: Member) -> Self:
        """Every read of a door goes through here: what this does not give does not exist for the member."""
        from acervo.models.member import Ability

        if not member.is_active:
            return self.none()
        being_erased = Q(erase_asked_at__isnull=False, gone_at=None)
        found = self.filter(~being_erased, workspace=member.workspace_id)
        if not member.can(Ability.DECIDE):
            found = found.filter(hidden_at=None)
        limits = member.limits()
        if limits is None:
            return found
        allowed = Q(pk__in=[])
        for limit in limits:
            channel = Q() if limit.channels is None else Q(connection__in=limit.channels)
            kind = Q() if limit.kinds is None else Q(kind__in=limit.kinds)
            allowed |= (channel & kind) if (channel or kind) else ~Q(pk__in=[])
        return found.filter(allowed)

    def kept(self) -> Self:
        return self.filter(stored_at__isnull=False)

    def openable(self) -> Self:
        """Kept, and neither waiting for the scanner nor in quarantine: what a door may serve and a CRM may be told."""
        checked = Q(held_at=None) | Q(scanned_at__isnull=False)
        return self.kept().filter(not_quarantined(), checked, erase_asked_at=None)

    def for_crms(self) -> Self:
        """Openable, not taken back, and not brought in by a chat export that stays out of the CRMs."""
        delivers = Q(message__chat_import=None) | Q(message__chat_import__delivers=True)
        return self.openable().filter(delivers, not_withdrawn())

    def awaiting_scan(self) -> Self:
        return self.kept().filter(held_at__isnull=False, scanned_at=None)

    def quarantined(self) -> Self:
        return self.filter(infection__isnull=False, released_at=None)

    def lost(self) -> Self:
        """Those that could not be had; one that its sender took back is no loss."""
        return self.filter(gone_at__isnull=False).exclude(refusal=TAKEN_BACK)

    def hidden(self) -> Self:
        """Taken back by their senders, and shown only to those who decide."""
        return self.filter(hidden_at__isnull=False)

    def awaited(self) -> Self:
        """Announced, neither kept nor lost."""
        return self.filter(stored_at=None, gone_at=None)

    def due(self, at: datetime) -> Self:
        """Files whose capture may be tried now, on numbers that are neither paused nor resting."""
        return (
            self.awaited()
            .filter(
                Q(claimed_until=None) | Q(claimed_until__lte=at),
                Q(connection__breaker_open_until=None) | Q(connection__breaker_open_until__lte=at),
                due_at__lte=at,
                connection__paused_at=None,
                connection__removed_at=None,
            )
            .exclude(provider_id="")
        )


class MediaFile(SealedObject):
    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.PROTECT, related_name="+")
    connection = models.ForeignKey(Connection, on_delete=models.PROTECT, related_name="files")
    chat = models.ForeignKey(Chat, on_delete=models.PROTECT, related_name="files")
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="files")
    message = models.ForeignKey(Message, on_delete=models.PROTECT, related_name="files")
    position = models.PositiveSmallIntegerField(default=0)
    """0 for the first file of a message; some providers send several."""
    direction = models.CharField(max_length=3, choices=Direction)

    # announced
    kind = models.CharField(max_length=12, choices=Kind)
    provider_id = models.CharField(max_length=256, blank=True)
    announced_mime = models.CharField(max_length=160, null=True, blank=True)
    announced_sha256 = models.CharField(max_length=64, null=True, blank=True)
    announced_bytes = models.BigIntegerField(null=True, blank=True)
    file_name = models.CharField(max_length=512, null=True, blank=True)
    """As the sender named it: shown, never used as a path."""
    caption = models.TextField(null=True, blank=True)
    sent_at = models.DateTimeField()
    received_at = models.DateTimeField()
    """When we first heard of it; of a file from a chat export, when it says that it was sent: its place in the library."""
    url = models.TextField(null=True, blank=True)
    """A ready link of the provider, while it lives."""
    url_expires_at = models.DateTimeField(null=True, blank=True)
    fetch_before = models.DateTimeField()
    """After this the provider no longer has it."""

    # capture
    due_at = models.DateTimeField()
    claimed_until = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveIntegerField(default=0)
    corrupt_attempts = models.PositiveIntegerField(default=0)
    refusal = models.CharField(max_length=32, null=True, blank=True)
    """Why the last try failed: an `Outcome`, worded by `web.words`."""
    refused_at = models.DateTimeField(null=True, blank=True)
    gone_at = models.DateTimeField(null=True, blank=True)
    """When it became certain that the file cannot be had; `refusal` says why."""
    stored_at = models.DateTimeField(null=True, blank=True)
    resolved_mime = models.CharField(max_length=160, null=True, blank=True)
    """As the provider's look-up called the bytes."""
    served_mime = models.CharField(max_length=160, null=True, blank=True)
    """As the download's Content-Type called them. Neither is believed; see `mime`."""
    limit_lifted_at = models.DateTimeField(null=True, blank=True)
    """When somebody decided to fetch it although it is over the workspace's limit."""

    # scanned for malware, where that is switched on
    held_at = models.DateTimeField(null=True, blank=True)
    """Kept while a scanner was required: nobody has it until `scanned_at`."""
    scanned_at = models.DateTimeField(null=True, blank=True)
    infection = models.CharField(max_length=128, null=True, blank=True)
    """What the scanner called the finding: the file is in quarantine."""
    released_at = models.DateTimeField(null=True, blank=True)
    """When the officer let it out of quarantine; the audit says who and why."""

    # taken back by its sender, and what the number does about it (`Connection.on_revoke`)
    hidden_at = models.DateTimeField(null=True, blank=True)
    erase_asked_at = models.DateTimeField(null=True, blank=True)
    """Nobody sees it from here on; once its bytes are gone, `gone_at` says so and the row is shown as an absence."""

    # the provider's own copy
    forget_asked_at = models.DateTimeField(null=True, blank=True)
    """When it was proven well enough to be deleted at the provider, where the number wants that."""
    forgotten_at = models.DateTimeField(null=True, blank=True)
    """When the provider deleted it, or no longer had it."""
    fetched_again_at = models.DateTimeField(null=True, blank=True)
    """When a damaged file was fetched a second time, because nothing but its own sound and picture could prove it."""

    # prepared
    mime = models.CharField(max_length=80, null=True, blank=True)
    """What the bytes are, from the allow-list of `base.filetypes`."""
    width = models.PositiveIntegerField(null=True, blank=True)
    height = models.PositiveIntegerField(null=True, blank=True)
    rotation = models.PositiveSmallIntegerField(null=True, blank=True)
    """Degrees clockwise that the bytes ask a viewer to turn them; `width` and `height` are after the turning."""
    duration_s = models.FloatField(null=True, blank=True)
    video_codec = models.CharField(max_length=32, null=True, blank=True)
    audio_codec = models.CharField(max_length=32, null=True, blank=True)
    bit_rate = models.PositiveBigIntegerField(null=True, blank=True)
    """Bits a second of the whole file, by its counted duration."""
    loudness_lufs = models.FloatField(null=True, blank=True)
    """Integrated, EBU R128; null for silence and for what has no sound."""
    page_count = models.PositiveIntegerField(null=True, blank=True)
    is_animated = models.BooleanField(default=False, db_default=False)
    waveform = models.BinaryField(max_length=WAVEFORM_POINTS, null=True, editable=False)
    is_damaged = models.BooleanField(default=False)
    """Byte-identical to what was announced, yet not decodable without errors."""
    is_mistyped = models.BooleanField(default=False)
    """The bytes are not what the sender's app called them."""
    prepared_at = models.DateTimeField(null=True, blank=True)
    changed_at = models.DateTimeField(default=clock.now)
    """Last change people would see; drives live pages and CRM updates."""

    objects = MediaFiles.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["message", "position"], name="message_holds_a_file_once"),
            *sealed_object_constraints("file"),
            models.CheckConstraint(
                name="file_is_stored_exactly_when_it_has_a_place",
                condition=Q(stored_at=None, object_key=None)
                | Q(stored_at__isnull=False, object_key__isnull=False),
            ),
            models.CheckConstraint(
                name="file_is_not_both_stored_and_lost", condition=Q(stored_at=None) | Q(gone_at=None)
            ),
            models.CheckConstraint(
                name="lost_file_says_why", condition=Q(gone_at=None) | Q(refusal__isnull=False)
            ),
            models.CheckConstraint(
                name="file_refusal_has_a_time_and_a_reason_or_neither",
                condition=Q(refusal=None, refused_at=None)
                | Q(refusal__isnull=False, refused_at__isnull=False),
            ),
            models.CheckConstraint(
                name="kept_file_is_byte_identical_to_the_announced",
                condition=Q(stored_at=None)
                | Q(announced_sha256=None)
                | Q(sha256=models.F("announced_sha256")),
            ),
            models.CheckConstraint(
                name="file_is_prepared_only_once_stored",
                condition=Q(prepared_at=None) | Q(stored_at__isnull=False, mime__isnull=False),
            ),
            models.CheckConstraint(name="file_kind_is_known", condition=Q(kind__in=Kind.values)),
            models.CheckConstraint(
                name="file_is_held_and_scanned_only_once_stored",
                condition=Q(stored_at__isnull=False) | Q(held_at=None, scanned_at=None),
            ),
            models.CheckConstraint(
                name="infection_is_found_by_a_scan",
                condition=Q(infection=None) | Q(scanned_at__isnull=False),
            ),
            models.CheckConstraint(
                name="file_is_released_from_quarantine_only",
                condition=Q(released_at=None) | Q(infection__isnull=False),
            ),
            models.CheckConstraint(
                name="file_is_hidden_or_erased_but_not_both",
                condition=Q(hidden_at=None) | Q(erase_asked_at=None),
            ),
            models.CheckConstraint(
                name="file_goes_as_taken_back_only_once_asked",
                condition=Q(gone_at=None) | ~Q(refusal=TAKEN_BACK) | Q(erase_asked_at__isnull=False),
            ),
            models.CheckConstraint(
                name="file_is_forgotten_only_once_asked",
                condition=Q(forgotten_at=None) | Q(forget_asked_at__isnull=False),
            ),
        ]
        indexes = [
            models.Index(
                fields=["fetch_before", "due_at"], name="file_due", condition=Q(stored_at=None, gone_at=None)
            ),
            models.Index(fields=["workspace", "-received_at", "-id"], name="file_newest"),
            models.Index(fields=["workspace", "kind", "-received_at", "-id"], name="file_newest_of_kind"),
            models.Index(fields=["person", "-received_at", "-id"], name="file_newest_of_person"),
            models.Index(fields=["connection", "-received_at"], name="file_newest_of_channel"),
            models.Index(fields=["workspace", "changed_at"], name="file_changed"),
            models.Index(fields=["person", "sha256"], name="file_same_bytes"),
            models.Index(
                fields=["stored_at"],
                name="file_unprepared",
                condition=Q(stored_at__isnull=False, prepared_at=None),
            ),
            models.Index(
                fields=["held_at"], name="file_unscanned", condition=Q(held_at__isnull=False, scanned_at=None)
            ),
            models.Index(
                fields=["workspace", "scanned_at"],
                name="file_quarantined",
                condition=Q(infection__isnull=False, released_at=None),
            ),
            models.Index(
                fields=["workspace", "hidden_at"], name="file_hidden", condition=Q(hidden_at__isnull=False)
            ),
            models.Index(
                fields=["erase_asked_at"],
                name="file_to_erase",
                condition=Q(erase_asked_at__isnull=False, gone_at=None),
            ),
            models.Index(
                fields=["forget_asked_at"],
                name="file_to_forget",
                condition=Q(forget_asked_at__isnull=False, forgotten_at=None),
            ),
            models.Index(
                fields=["workspace", "gone_at"], name="file_lost", condition=Q(gone_at__isnull=False)
            ),
        ]

    def __str__(self) -> str:
        return ids.text(self.id)

    @property
    def slug(self) -> str:
        """The 26 characters of its short link `/m/<slug>`."""
        return ids.text(self.id)

    @property
    def state(self) -> str:
        """taken_back, lost, hidden, quarantined, scanning, ready, preparing (stored), paused, retrying (refused before)
        or waiting."""
        if self.gone_at:
            return "taken_back" if self.refusal == TAKEN_BACK else "lost"
        if self.hidden_at:
            return "hidden"
        if self.is_quarantined:
            return "quarantined"
        if self.is_awaiting_scan:
            return "scanning"
        if self.stored_at:
            return "ready" if self.prepared_at else "preparing"
        if self.connection.paused_at:
            return "paused"
        return "retrying" if self.refusal else "waiting"

    @property
    def is_awaiting_scan(self) -> bool:
        return self.held_at is not None and self.scanned_at is None

    @property
    def is_quarantined(self) -> bool:
        return self.infection is not None and self.released_at is None

    @property
    def is_openable(self) -> bool:
        """See `MediaFiles.openable`."""
        is_let_through = not self.is_awaiting_scan and not self.is_quarantined
        return self.stored_at is not None and is_let_through and self.erase_asked_at is None

    @property
    def is_playable(self) -> bool:
        """There are bytes a player can show, today."""
        return self.is_openable and (self.mime or "").split("/")[0] in ("audio", "video", "image")
