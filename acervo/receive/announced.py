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
from acervo.providers.contract import AnnouncedFile, Announcement, Capabilities, Outcome


@dataclass(frozen=True, slots=True)
class _Message:
    """A message's row, as far as its files need it."""

    id: UUID
    is_edited: bool
    text: str | None
    """Of an edited one."""


@dataclass(frozen=True, slots=True, eq=False)
class Announced:
    """One announcement with what is needed to write it down."""

    receipt_id: UUID | None
    account: Connection
    capabilities: Capabilities
    event: Announcement
    received_at: datetime


LEAST_PATIENCE = timedelta(hours=1)
"""A webhook may come days late, yet one failed try must not be the last."""
OFFER_PATIENCE = timedelta(days=3)
"""So long after its placeholder a file of the past may still be offered; no vendor bounds it. One that comes later
than that is taken all the same."""
ONBOARDING = timedelta(days=2)
"""How long before a placeholder arrives the number may have been connected at its vendor, and a little more."""
UNSEEN = "unseen"
"""The type of a message we only heard of: it was taken back or changed before it came."""
PLACEHOLDER = "media_placeholder"
RANK = {UNSEEN: 0, PLACEHOLDER: 1}
SEEN = 2
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
# A message we only heard of, and then a history placeholder, become the message they stood for; anything else stays as
# first announced. What happened to it meanwhile stays, too.
MESSAGES = """
INSERT INTO acervo_message (id, workspace_id, connection_id, chat_id, receipt_id, provider_id, direction, type, text,
    sent_at, reply_to, is_forwarded, extra)
SELECT * FROM unnest(%s::uuid[], %s::uuid[], %s::uuid[], %s::uuid[], %s::uuid[], %s::text[], %s::text[], %s::text[],
    %s::text[], %s::timestamptz[], %s::text[], %s::bool[], %s::text[]::jsonb[])
ON CONFLICT (connection_id, provider_id) DO UPDATE SET type = EXCLUDED.type, chat_id = EXCLUDED.chat_id,
    sent_at = EXCLUDED.sent_at, reply_to = EXCLUDED.reply_to, is_forwarded = EXCLUDED.is_forwarded,
    text = CASE WHEN acervo_message.extra ->> 'on_revoke' = 'delete' THEN NULL
        WHEN acervo_message.extra ? 'edits' THEN acervo_message.text ELSE EXCLUDED.text END,
    extra = EXCLUDED.extra || acervo_message.extra || CASE WHEN acervo_message.extra ? 'edits'
        THEN jsonb_build_object('first_text', EXCLUDED.text) ELSE '{}'::jsonb END
    WHERE acervo_message.type = 'unseen' AND EXCLUDED.type <> 'unseen'
       OR acervo_message.type = 'media_placeholder' AND EXCLUDED.type NOT IN ('unseen', 'media_placeholder')
"""
FIND_MESSAGES = """
SELECT m.connection_id, m.provider_id, m.id, m.extra ? 'edits', CASE WHEN m.extra ? 'edits' THEN m.text END
FROM unnest(%s::uuid[], %s::text[]) AS w(connection_id, provider_id)
JOIN acervo_message m USING (connection_id, provider_id)
"""
# A file without an id (announced by the history, or lost at the provider) gets it from whoever tells it first.
FILES = """
INSERT INTO acervo_mediafile (id, workspace_id, connection_id, chat_id, person_id, message_id, position, direction, kind,
    provider_id, announced_mime, announced_sha256, announced_bytes, file_name, caption, sent_at, received_at, url,
    url_expires_at, fetch_before, due_at, refusal, refused_at, gone_at, attempts, corrupt_attempts, is_damaged,
    is_mistyped, changed_at)
SELECT u.*, 0, 0, false, false, now() FROM unnest(%s::uuid[], %s::uuid[], %s::uuid[], %s::uuid[], %s::uuid[], %s::uuid[],
    %s::int[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::bigint[], %s::text[], %s::text[],
    %s::timestamptz[], %s::timestamptz[], %s::text[], %s::timestamptz[], %s::timestamptz[], %s::timestamptz[],
    %s::text[], %s::timestamptz[], %s::timestamptz[]) u
ON CONFLICT (message_id, position) DO UPDATE SET kind = EXCLUDED.kind, provider_id = EXCLUDED.provider_id,
    chat_id = EXCLUDED.chat_id, person_id = EXCLUDED.person_id, announced_mime = EXCLUDED.announced_mime,
    announced_sha256 = EXCLUDED.announced_sha256, announced_bytes = EXCLUDED.announced_bytes,
    file_name = EXCLUDED.file_name, caption = EXCLUDED.caption, sent_at = EXCLUDED.sent_at, url = EXCLUDED.url,
    url_expires_at = EXCLUDED.url_expires_at, fetch_before = EXCLUDED.fetch_before, due_at = EXCLUDED.due_at,
    refusal = EXCLUDED.refusal, refused_at = EXCLUDED.refused_at, gone_at = EXCLUDED.gone_at, changed_at = now()
    WHERE acervo_mediafile.provider_id = '' AND EXCLUDED.provider_id <> '' AND acervo_mediafile.stored_at IS NULL
RETURNING id, gone_at, provider_id
"""


def write(workspace_id: UUID, owned: Owned) -> list[UUID]:
    """Chats, messages and files of these announcements. Returns the files that can be fetched since now.
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
) -> dict[tuple[UUID, str], _Message]:
    rows: dict[tuple[UUID, str], tuple[Any, ...]] = {}
    for item, person in owned:
        event, account = item.event, item.account
        key = (account.pk, event.message_id[:256])
        known = rows.get(key)
        if known is not None and _rank(known[7]) >= _rank(event.type):
            continue
        extra = {**event.extra, "group_id": event.group_id} if event.group_id else dict(event.extra)
        rows[key] = (
            ids.new(), workspace_id, account.pk, chats[(account.pk, person)], item.receipt_id, key[1],
            event.direction.value, event.type[:32], event.text, event.sent_at,
            event.reply_to[:256] if event.reply_to else None, event.is_forwarded, json.dumps(extra),
        )  # fmt: skip
    ordered = sorted(rows.items())
    cursor.execute(MESSAGES, _columns([row for _, row in ordered]))
    cursor.execute(FIND_MESSAGES, _columns([key for key, _ in ordered]))
    return {(row[0], row[1]): _Message(*row[2:]) for row in cursor.fetchall()}


def _rank(type_: str) -> int:
    return RANK.get(type_, SEEN)


def _write_files(
    cursor: Any,
    workspace_id: UUID,
    owned: Owned,
    chats: dict[tuple[UUID, UUID], UUID],
    messages: dict[tuple[UUID, str], _Message],
) -> list[UUID]:
    rows: dict[tuple[UUID, int], tuple[Any, ...]] = {}
    for item, person in owned:
        message = messages[(item.account.pk, item.event.message_id[:256])]
        caption = message.text if message.is_edited else item.event.text
        place = (workspace_id, item.account.pk, chats[(item.account.pk, person)], person, message.id)
        for position, file in enumerate(item.event.files):
            key = (message.id, position)
            if key not in rows or (file.provider_id and not rows[key][9]):
                rows[key] = (ids.new(), *place, position, *_facts(item, file, caption))
    if not rows:
        return []
    cursor.execute(FILES, _columns([row for _, row in sorted(rows.items())]))
    return [pk for pk, gone_at, provider_id in cursor.fetchall() if gone_at is None and provider_id]


def _facts(item: Announced, file: AnnouncedFile, caption: str | None) -> tuple[Any, ...]:
    event, refusal, before, due_at = item.event, file.refusal, fetch_before(item), item.received_at
    if file.is_placeholder:
        before = due_at = item.received_at + OFFER_PATIENCE
        refusal = Outcome.EXPIRED if _is_never_offered(item) else None
    lost_at = item.received_at if refusal else None
    return (
        event.direction.value, file.kind.value, file.provider_id[:256], _clip(file.mime, 160), file.sha256,
        file.size_bytes, _clip(file.file_name, 512), caption, event.sent_at, item.received_at, file.url,
        file.url_expires_at, before, due_at, refusal, lost_at, lost_at,
    )  # fmt: skip


def _is_never_offered(item: Announced) -> bool:
    offered = item.capabilities.history_files
    return offered is not None and item.event.sent_at < item.received_at - offered - ONBOARDING


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
