"""A file that arrived damaged, and that nothing but its own sound and picture could prove, is fetched a second time."""

from __future__ import annotations

import logging
from collections.abc import Collection
from uuid import UUID

from django.conf import settings

from acervo import providers
from acervo.base import clock, ids
from acervo.base.database import in_thread
from acervo.base.errors import Gone, TryLater
from acervo.base.http import media_session
from acervo.fetch.claims import Claim
from acervo.fetch.download import Line, download
from acervo.keep import credentials, keys, vault
from acervo.keep.vault import Stored
from acervo.models import MediaFile, Sealing
from acervo.providers.contract import AnnouncedFile, Kind, Provider

log = logging.getLogger(__name__)


def worth_another_look(files: Collection[UUID]) -> list[UUID]:
    """Those of these prepared files that are damaged, declared no hash and are still at the provider. Not where a failed
    download counts against the number."""
    careful = [
        kind for kind in providers.kinds() if providers.get(kind).capabilities.download_failures_per_hour
    ]
    damaged = MediaFile.objects.openable().filter(
        pk__in=files,
        is_damaged=True,
        announced_sha256=None,
        prepared_at__isnull=False,
        fetched_again_at=None,
        forgotten_at=None,
        fetch_before__gt=clock.now(),
        message__chat_import=None,
        connection__paused_at=None,
        connection__removed_at=None,
    )
    found = damaged.exclude(provider_id="").exclude(connection__kind__in=careful)
    return list(found.values_list("pk", flat=True))


async def fetch_again(media_id: UUID) -> Stored | None:
    """A second copy in the vault, owned by nobody yet; None where there is no other one, and then the row says that it was
    looked for. Raises TryLater, and AccessLost; then it may be tried again."""
    found = await in_thread(_open, media_id)
    if found is None:
        return None
    claim, place, provider, known_sha256 = found
    try:
        async with media_session(settings.ACERVO_ALLOW_PRIVATE_HOSTS, limit=1) as session:
            stored = (await download(Line(provider, session), claim, place)).stored
    except Gone as error:
        log.info("file.not_fetched_again", extra={"media": ids.text(media_id), "reason": str(error.code)})
        await in_thread(note, media_id)
        return None
    if stored.sha256 != known_sha256:
        return stored
    await in_thread(note, media_id)  # the very same: that is how it was sent
    try:
        await vault.discard([stored.object_key])
    except TryLater:
        log.warning("capture.surplus_left", extra={"objects": 1})
    return None


def note(media_id: UUID) -> None:
    """It was looked for, and is not looked for again."""
    MediaFile.objects.filter(pk=media_id, fetched_again_at=None).update(fetched_again_at=clock.now())


def _open(media_id: UUID) -> tuple[Claim, vault.Place, Provider, str | None] | None:
    if not worth_another_look([media_id]):
        return None
    media = MediaFile.objects.select_related("connection").get(pk=media_id)
    announced = AnnouncedFile(
        media.provider_id, Kind(media.kind), media.announced_mime, size_bytes=media.announced_bytes
    )
    claim = Claim(
        media.pk, media.workspace_id, media.connection_id, media.person_id, announced, media.fetch_before,
        media.attempts, media.corrupt_attempts, media.sealing or "", is_limit_lifted=True,
    )  # fmt: skip
    key = None
    if media.sealing == Sealing.ACERVO:
        key = keys.for_people(media.workspace_id, [media.person_id])[media.person_id]
    place = vault.Place(media.workspace_id, media.pk, vault.ORIGINAL, media.sealing or "", key)
    return claim, place, credentials.provider(media.connection), media.sha256
