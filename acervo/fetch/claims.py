"""Which files to capture next, and what became of each: earliest deadline first, each in one pair of hands."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection as database

from acervo.base import clock, ids
from acervo.base.errors import Gone, TryLater
from acervo.keep.storage import StorageAway
from acervo.keep.vault import Stored
from acervo.models import AuditEntry, Connection, Deed
from acervo.models.media import MediaFile
from acervo.providers.contract import AccessLost, AnnouncedFile, Kind, Outcome, ProviderBusy

LEASE_S = 60.0
"""A claim is renewed while its download runs; a worker that died lets go after this."""
PATIENCE_S = (2, 5, 15, 30, 60, 300, 900, 3600, 6 * 3600)
"""Seconds before the next try, by the number of tries so far; the last one repeats until the deadline."""
CORRUPT_TRIES = 3
LAST_CALL = timedelta(minutes=5)
"""Before the deadline one more try is always made."""

CLAIM = """
WITH due AS MATERIALIZED (
    SELECT m.id FROM acervo_mediafile m
    WHERE m.stored_at IS NULL AND m.gone_at IS NULL AND m.due_at <= now() AND m.provider_id <> ''
      AND m.connection_id <> ALL(%s)
      AND (m.claimed_until IS NULL OR m.claimed_until <= now())
      AND m.connection_id IN (
          SELECT id FROM acervo_connection WHERE paused_at IS NULL AND removed_at IS NULL
          AND (breaker_open_until IS NULL OR breaker_open_until <= now()))
    ORDER BY m.fetch_before, m.id LIMIT %s FOR UPDATE SKIP LOCKED
)
UPDATE acervo_mediafile f SET claimed_until = now() + %s * interval '1 second'
FROM due WHERE f.id = due.id
RETURNING f.id, f.workspace_id, f.connection_id, f.person_id, f.kind, f.provider_id, f.announced_mime,
    f.announced_sha256, f.announced_bytes, f.url, f.url_expires_at, f.fetch_before, f.attempts, f.corrupt_attempts,
    (SELECT sealing FROM acervo_workspace w WHERE w.id = f.workspace_id), f.limit_lifted_at IS NOT NULL,
    (SELECT max_bytes FROM acervo_sizelimit s WHERE s.workspace_id = f.workspace_id AND s.kind = f.kind)
"""
"""Materialized, lest a plan look for what is due once for every row: each time it would take others."""
RENEW = """
UPDATE acervo_mediafile SET claimed_until = now() + %s * interval '1 second'
WHERE id = ANY(%s) AND stored_at IS NULL AND gone_at IS NULL
"""
KEEP = """
UPDATE acervo_mediafile f SET object_key = u.object_key, size_bytes = u.size_bytes, sealed_bytes = u.sealed_bytes,
    sha256 = u.sha256, sealing = u.sealing, seal_header = u.seal_header, data_key_id = u.data_key_id,
    stored_at = now(), changed_at = now(), claimed_until = NULL, attempts = attempts + 1, refusal = NULL,
    refused_at = NULL, url = NULL, url_expires_at = NULL, resolved_mime = u.resolved_mime, served_mime = u.served_mime,
    file_name = COALESCE(f.file_name, u.served_name), held_at = CASE WHEN %s THEN now() END
FROM unnest(%s::uuid[], %s::text[], %s::bigint[], %s::bigint[], %s::text[], %s::text[], %s::bytea[], %s::uuid[],
    %s::text[], %s::text[], %s::text[])
    AS u(id, object_key, size_bytes, sealed_bytes, sha256, sealing, seal_header, data_key_id, resolved_mime, served_mime,
        served_name)
WHERE f.id = u.id AND f.stored_at IS NULL AND f.gone_at IS NULL
RETURNING f.id
"""


class Corrupt(TryLater):
    """What arrived is not what was announced. It was discarded and is asked for again."""

    code = Outcome.WRONG_HASH


@dataclass(frozen=True, slots=True)
class Claim:
    """A file in our hands for a while."""

    id: UUID
    workspace_id: UUID
    connection_id: UUID
    person_id: UUID
    announced: AnnouncedFile = field(repr=False)
    fetch_before: datetime
    attempts: int
    corrupt_attempts: int
    sealing: str
    is_limit_lifted: bool = False
    max_bytes: int | None = None
    """The workspace's limit for files of this kind, if it has one."""


@dataclass(frozen=True, slots=True)
class Kept:
    claim: Claim
    stored: Stored
    resolved_mime: str | None = None
    served_mime: str | None = None
    served_name: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Failed:
    claim: Claim
    error: Exception


@dataclass(slots=True)
class Settled:
    """What one transaction of results brought."""

    kept: list[UUID] = field(default_factory=list)
    surplus: list[Stored] = field(default_factory=list)
    """Stored by us although somebody else had been faster: to be erased."""


def claim(limit: int, *, but_not_of: Sequence[UUID] = ()) -> list[Claim]:
    """Take up to `limit` due files, earliest deadline first, except those of some connections. A file without an id
    (a placeholder of a history whose media may still come) cannot be asked for."""
    with database.cursor() as cursor:
        cursor.execute(CLAIM, [list(but_not_of), limit, LEASE_S])
        return [_claim(row) for row in cursor.fetchall()]


def put_back(files: Sequence[UUID]) -> None:
    """Claims that will not be used after all."""
    if files:
        MediaFile.objects.awaited().filter(pk__in=files).update(claimed_until=None)


def _claim(row: Sequence[Any]) -> Claim:
    (
        pk,
        workspace,
        account,
        person,
        kind,
        provider_id,
        mime,
        sha256,
        size,
        url,
        url_ends,
        before,
        tries,
        corrupt,
        seal,
        is_lifted,
        max_bytes,
    ) = row
    announced = AnnouncedFile(
        provider_id, Kind(kind), mime, sha256=sha256, size_bytes=size, url=url, url_expires_at=url_ends
    )
    return Claim(
        pk, workspace, account, person, announced, before, tries, corrupt, seal, is_lifted, max_bytes
    )


def renew(claimed: Sequence[UUID]) -> None:
    """Keep files in our hands while their downloads go on."""
    with database.cursor() as cursor:
        cursor.execute(RENEW, [LEASE_S, list(claimed)])


def settle(results: Sequence[Kept | Failed]) -> Settled:
    """Write results down, whatever they are. A result counts only while the file is neither kept nor lost.
    Must run inside a transaction; the caller goes on with the journey of `kept` in the same one."""
    settled = Settled()
    deeds: dict[UUID, list[Deed]] = {}
    _keep([item for item in results if isinstance(item, Kept)], settled, deeds)
    for item in sorted(
        (item for item in results if isinstance(item, Failed)), key=lambda item: item.claim.id
    ):
        _refuse(item, deeds)
    for workspace_id, done in sorted(deeds.items()):
        AuditEntry.objects.record(workspace_id, by="system:capture", deeds=done)
    return settled


def _keep(kept: list[Kept], settled: Settled, deeds: dict[UUID, list[Deed]]) -> None:
    if not kept:
        return
    rows = [
        (k.claim.id, *_place(k.stored), k.resolved_mime, k.served_mime, k.served_name)
        for k in sorted(kept, key=lambda k: k.claim.id)
    ]
    is_held = settings.ACERVO_CLAMD is not None
    with database.cursor() as cursor:
        cursor.execute(KEEP, [is_held, *(list(column) for column in zip(*rows, strict=True))])
        written = {pk for (pk,) in cursor.fetchall()}
    for item in kept:
        if item.claim.id in written:
            settled.kept.append(item.claim.id)
            details = {"size_bytes": item.stored.size_bytes, "attempts": item.claim.attempts + 1}
            deeds.setdefault(item.claim.workspace_id, []).append(
                Deed("file.kept", "file", item.claim.id, "", details)
            )
        else:
            settled.surplus.append(item.stored)


def _place(stored: Stored) -> tuple[Any, ...]:
    return (
        stored.object_key, stored.size_bytes, stored.sealed_bytes, stored.sha256, stored.sealing,
        stored.seal_header, stored.data_key_id,
    )  # fmt: skip


def _refuse(failed: Failed, deeds: dict[UUID, list[Deed]]) -> None:
    """The file says why it is not here and when it is tried next, or that it is lost."""
    claim, error, at = failed.claim, failed.error, clock.now()
    code = str(getattr(error, "code", Outcome.UNKNOWN))[:32]
    changes: dict[str, Any] = {"refusal": code, "refused_at": at, "claimed_until": None, "changed_at": at}
    is_access = isinstance(error, AccessLost)
    # A revoked token or a store that is away says nothing about the file: no try is spent.
    if not is_access and not isinstance(error, StorageAway):
        changes["attempts"] = claim.attempts + 1
    corrupt = claim.corrupt_attempts + isinstance(error, Corrupt)
    changes["corrupt_attempts"] = corrupt
    is_final = isinstance(error, Gone) or corrupt >= CORRUPT_TRIES or _is_hopeless(claim, error, at)
    if is_final:
        changes["gone_at"] = at
    else:
        changes["due_at"] = at if is_access else next_try(claim, error, at)
    # A link without an end is the file's own address at some providers; nothing is won by forgetting it.
    if claim.announced.url_expires_at and (code == Outcome.URL_DIED or isinstance(error, Corrupt)):
        changes |= {"url": None, "url_expires_at": None}
    written = MediaFile.objects.awaited().filter(pk=claim.id).update(**changes)
    if written and is_final:
        details = {"attempts": claim.attempts + 1, **_sizes(error)}
        deeds.setdefault(claim.workspace_id, []).append(Deed("file.lost", "file", claim.id, code, details))
    if is_access:
        _pause(claim, code, deeds)


def _sizes(error: Exception) -> dict[str, int]:
    """What a file was refused for: the row has no place for a size that was only heard of."""
    facts: dict[str, Any] = getattr(error, "facts", {})
    return {name: facts[name] for name in ("size_bytes", "limit_bytes") if facts.get(name) is not None}


def _is_hopeless(claim: Claim, error: Exception, at: datetime) -> bool:
    """Past its deadline a file is only waited for where the trouble is ours (the store, the token)."""
    return isinstance(error, ProviderBusy) and at >= claim.fetch_before


def next_try(claim: Claim, error: Exception, at: datetime) -> datetime:
    """When to ask again: what the provider asked for, else our patience with some jitter; once more before the end."""
    wish = getattr(error, "after_s", None)
    seconds = wish if wish is not None else PATIENCE_S[min(claim.attempts, len(PATIENCE_S) - 1)]
    due = at + timedelta(seconds=float(seconds) * random.uniform(1.0, 1.25))  # noqa: S311  (jitter, not a secret)
    last_call = claim.fetch_before - LAST_CALL
    return last_call if at < last_call < due else due


def _pause(claim: Claim, code: str, deeds: dict[UUID, list[Deed]]) -> None:
    account = Connection.objects.select_for_update(no_key=True).get(pk=claim.connection_id)
    if account.paused_at:
        return
    account.pause(by="system:capture", reason=code, at=clock.now())
    deeds.setdefault(claim.workspace_id, []).append(Deed("connection.paused", "connection", account.pk, code))


def slug(claim: Claim) -> str:
    """For log lines."""
    return ids.text(claim.id)
