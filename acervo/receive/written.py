"""A batch of an export as rows: one statement a table, safe to repeat by the keys of its messages."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection as database

from acervo.base import clock, ids
from acervo.keep.vault import Stored
from acervo.models import ChatImport, Kind, MediaFile
from acervo.receive.known import Item

MESSAGES = """
INSERT INTO acervo_message (id, workspace_id, connection_id, chat_id, chat_import_id, provider_id, direction, type, text,
    sent_at, is_forwarded, extra)
SELECT u.id, %s, %s, %s, %s, u.key, u.direction, u.type, u.text, u.sent_at, false, u.extra
FROM jsonb_to_recordset(%s::jsonb)
    AS u(id uuid, key text, direction text, type text, text text, sent_at timestamptz, extra jsonb)
ON CONFLICT (connection_id, provider_id) DO NOTHING
RETURNING id, provider_id
"""
# The message of an earlier export whose file this one has: it is this import's now, and knows what it was.
FILLED = """
UPDATE acervo_message m SET type = u.type, text = u.text, chat_import_id = %s,
    extra = u.extra || jsonb_build_object('was', jsonb_build_object('import', m.chat_import_id::text, 'text', m.text,
        'extra', m.extra))
FROM jsonb_to_recordset(%s::jsonb) AS u(id uuid, type text, text text, extra jsonb)
WHERE m.id = u.id AND m.type = 'absent_file'
RETURNING m.id, m.provider_id
"""


@dataclass(slots=True)
class NewFile:
    id: UUID
    item: Item
    stored: Stored
    is_owned: bool = False
    """A row names its object."""


@dataclass(slots=True)
class Written:
    messages: int = 0
    linked: int = 0
    missing: int = 0
    files: list[NewFile] = field(default_factory=list)

    @property
    def size_bytes(self) -> int:
        return sum(file.stored.size_bytes for file in self.files)


def write(
    run: ChatImport,
    chat_id: UUID,
    items: Sequence[Item],
    filled: Mapping[str, UUID],
    files: Sequence[NewFile],
) -> Written:
    """Must run inside a transaction. What somebody else wrote in this moment is left as it is, and counted as known."""
    rows = _write_messages(run, chat_id, items, filled)
    done = Written(messages=len(rows))
    for item in items:
        if item.key in rows:
            done.linked += "same_as" in item.extra
            done.missing += item.is_missing
    done.files = [file for file in files if file.item.key in rows]
    _write_files(run, chat_id, done.files, rows)
    for file in done.files:
        file.is_owned = True
    return done


def _write_messages(
    run: ChatImport, chat_id: UUID, items: Sequence[Item], filled: Mapping[str, UUID]
) -> dict[str, UUID]:
    """Key to row of those that are ours since now."""
    fresh = [item for item in items if item.key not in filled]
    found: dict[str, UUID] = {}
    with database.cursor() as cursor:
        if fresh:
            rows = [{"id": str(ids.new()), **_row(one), "sent_at": one.sent_at.isoformat()} for one in fresh]
            cursor.execute(MESSAGES, [run.workspace_id, run.connection_id, chat_id, run.pk, json.dumps(rows)])
            found |= {key: pk for pk, key in cursor.fetchall()}
        if refilled := [item for item in items if item.key in filled]:
            rows = [{"id": str(filled[one.key]), **_row(one)} for one in refilled]
            cursor.execute(FILLED, [run.pk, json.dumps(rows)])
            found |= {key: pk for pk, key in cursor.fetchall()}
    return found


def _write_files(run: ChatImport, chat_id: UUID, files: Sequence[NewFile], rows: Mapping[str, UUID]) -> None:
    at = clock.now()
    held_at = at if settings.ACERVO_CLAMD is not None else None
    MediaFile.objects.bulk_create(
        MediaFile(
            id=file.id,
            workspace_id=run.workspace_id,
            connection_id=run.connection_id,
            chat_id=chat_id,
            person=run.person,
            message_id=rows[file.item.key],
            direction=file.item.direction,
            kind=Kind(file.item.type),
            file_name=file.item.file_name[:512],
            caption=file.item.text,
            sent_at=file.item.sent_at,
            received_at=file.item.sent_at,
            fetch_before=at,
            due_at=at,
            stored_at=at,
            held_at=held_at,
            changed_at=at,
            **file.stored.columns(),
        )
        for file in files
    )


def _row(item: Item) -> dict[str, Any]:
    """All rows of a batch are one parameter: arrays, letter by letter made safe in Python, took longer than the rest."""
    return {
        "key": item.key,
        "direction": item.direction.value,
        "type": item.type,
        "text": item.text,
        "extra": item.extra,
    }
