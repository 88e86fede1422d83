"""Announced messages and files as rows: one statement a table, whatever the number, safe to repeat."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection as database

from acervo.base import clock, ids
from acervo.models import Connection
from acervo.providers.contract import AnnouncedFile, Announcement, Capabilities


@dataclass(frozen=True, slots=True, eq=False)
class Announced:
    """One announcement with what is needed to write it down."""

    receipt_id: UUID
    account: Connection
    capabilities: Capabilities
    event: Announcement
    received_at: datetime


LEAST_PATIENCE = timedelta(hours=1)
"""A webhook may come days late, yet one failed try must not be the last."""
Owned = Sequence[tuple[Announced, UUID]]
"""Announcements with the person each belongs to."""

CHATS = """
INSERT INTO acervo_chat (id, workspace_id, connection_id, person_id, created_at)
SELECT * FROM unnest(%s::uuid[], %s::uuid[], %s::uuid[], %s::uuid[], %s::timestamptz[])
ON CONFLICT (connection_id, person_id) DO NOTHING
"""
FIND_CHATS = """
SELECT c.connection_id, c.person_id, c.id FROM unnest(%s::uuid[], %s::uuid[]) AS w(connection_id, person_id)
JOIN acervo_chat c USING (connection_id, person_id)
"""
# A history placeholder becomes the message it stood for; anything else stays as first announced.
MESSAGES = """
INSERT INTO acervo_message (id, workspace_id, connection_id, chat_id, receipt_id, provider_id, direction, type, text,
    sent_at, reply_to, is_forwarded, extra)
SELECT * FROM unnest(%s::uuid[], %s::uuid[], %s::uuid[], %s::uuid[], %s::uuid[], %s::text[], %s::text[], %s::text[],
    %s::text[], %s::timestamptz[], %s::text[], %s::bool[], %s::text[]::jsonb[])
ON CONFLICT (connection_id, provider_id) DO UPDATE SET type = EXCLUDED.type, text = EXCLUDED.text
    WHERE acervo_message.type = 'media_placeholder' AND EXCLUDED.type <> 'media_placeholder'
"""
FIND_MESSAGES = """
SELECT m.connection_id, m.provider_id, m.id FROM unnest(%s::uuid[], %s::text[]) AS w(connection_id, provider_id)
JOIN acervo_message m USING (connection_id, provider_id)
"""
FILES = """
INSERT INTO acervo_mediafile (id, workspace_id, connection_id, chat_id, person_id, message_id, position, direction, kind,
    provider_id, announced_mime, announced_sha256, announced_bytes, file_name, caption, sent_at, received_at, url,
    url_expires_at, fetch_before, due_at, refusal, refused_at, gone_at, attempts, corrupt_attempts, is_damaged,
    is_mistyped, changed_at)
SELECT u.*, 0, 0, false, false, now() FROM unnest(%s::uuid[], %s::uuid[], %s::uuid[], %s::uuid[], %s::uuid[], %s::uuid[],
    %s::int[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::bigint[], %s::text[], %s::text[],
    %s::timestamptz[], %s::timestamptz[], %s::text[], %s::timestamptz[], %s::timestamptz[], %s::timestamptz[],
    %s::text[], %s::timestamptz[], %s::timestamptz[]) u
ON CONFLICT (message_id, position) DO NOTHING
RETURNING id, gone_at
"""


def write(workspace_id: UUID, owned: Owned) -> list[UUID]:
    """Chats, messages and files of these announcements. Returns the files that are new and can still be had.
    Rows go in the order of their keys, so that two writers wait for each other instead of locking crosswise."""
    if not owned:
        return []
    with database.cursor() as cursor:
        chats = _write_chats(cursor, workspace_id, owned)
        messages = _write_messages(cursor, workspace_id, owned, chats)
        return _write_files(cursor, workspace_id, owned, chats, messages)


def _write_chats(cursor: Any, workspace_id: UUID, owned: Owned) -> dict[tuple[UUID, UUID], UUID]:
    pairs = sorted({(item.account.pk, person) for item, person in owned})
    at = clock.now()
    cursor.execute(CHATS, _columns([(ids.new(), workspace_id, *pair, at) for pair in pairs]))
    cursor.execute(FIND_CHATS, _columns(pairs))
    return {(connection, person): chat for connection, person, chat in cursor.fetchall()}


def _write_messages(
    cursor: Any, workspace_id: UUID, owned: Owned, chats: dict[tuple[UUID, UUID], UUID]
) -> dict[tuple[UUID, str], UUID]:
    rows: dict[tuple[UUID, str], tuple[Any, ...]] = {}
    for item, person in owned:
        event, account = item.event, item.account
        key = (account.pk, event.message_id[:256])
        known = rows.get(key)
        if known is not None and known[7] != "media_placeholder":
            continue
        rows[key] = (
            ids.new(), workspace_id, account.pk, chats[(account.pk, person)], item.receipt_id, key[1],
            event.direction.value, event.type[:32], event.text, event.sent_at,
            event.reply_to[:256] if event.reply_to else None, event.is_forwarded, json.dumps(dict(event.extra)),
        )  # fmt: skip
    ordered = sorted(rows.items())
    cursor.execute(MESSAGES, _columns([row for _, row in ordered]))
    cursor.execute(FIND_MESSAGES, _columns([key for key, _ in ordered]))
    return {(connection, provider_id): message for connection, provider_id, message in cursor.fetchall()}


def _write_files(
    cursor: Any,
    workspace_id: UUID,
    owned: Owned,
    chats: dict[tuple[UUID, UUID], UUID],
    messages: dict[tuple[UUID, str], UUID],
) -> list[UUID]:
    rows: dict[tuple[UUID, int], tuple[Any, ...]] = {}
    for item, person in owned:
        message = messages[(item.account.pk, item.event.message_id[:256])]
        place = (workspace_id, item.account.pk, chats[(item.account.pk, person)], person, message)
        for position, file in enumerate(item.event.files):
            rows.setdefault((message, position), (ids.new(), *place, position, *_facts(item, file)))
    if not rows:
        return []
    cursor.execute(FILES, _columns([row for _, row in sorted(rows.items())]))
    return [pk for pk, gone_at in cursor.fetchall() if gone_at is None]


def _facts(item: Announced, file: AnnouncedFile) -> tuple[Any, ...]:
    event, lost_at = item.event, item.received_at if file.refusal else None
    return (
        event.direction.value, file.kind.value, file.provider_id[:256], _clip(file.mime, 160), file.sha256,
        file.size_bytes, _clip(file.file_name, 512), event.text, event.sent_at, item.received_at, file.url,
        file.url_expires_at, fetch_before(item), item.received_at, file.refusal, lost_at, lost_at,
    )  # fmt: skip


def fetch_before(item: Announced) -> datetime:
    """When the provider forgets the file. Counted from sending, unless the sender's clock is ahead of ours. Files of
    the past are offered anew: their time begins with the offer."""
    lifetime: timedelta = item.capabilities.file_lifetime
    if item.account.options.get("no_storage") and item.capabilities.short_file_lifetime:
        lifetime = item.capabilities.short_file_lifetime
    begun = item.received_at if item.event.is_history else min(item.event.sent_at, item.received_at)
    return max(begun + lifetime, item.received_at + LEAST_PATIENCE)


def _clip(value: str | None, length: int) -> str | None:
    return value[:length] if value else None


def _columns(rows: Sequence[tuple[Any, ...]]) -> list[list[Any]]:
    """Rows to columns, for unnest."""
    return [list(column) for column in zip(*rows, strict=True)]
