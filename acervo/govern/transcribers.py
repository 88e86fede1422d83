"""The engine a workspace lets listen: chosen, changed, paused, resumed, switched off. Each change says by whom."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from django.db import transaction

from acervo import transcribers
from acervo.base import clock
from acervo.base.errors import Refused
from acervo.govern.connections import refuse_private
from acervo.keep import credentials
from acervo.models import AuditEntry, Deed, Transcriber

BY_HAND = "by_hand"


class KeyForAnother(Refused):
    """A key is sent only to the address it was given for. Paste the key of the new one."""

    code = "key_for_another"


@dataclass(frozen=True, slots=True)
class Choice:
    """What somebody wants the engine to be."""

    engine: str
    model: str
    api_base: str = ""
    language: str = ""
    is_automatic: bool = True
    longest_s: int = 1800
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Only those that are new; the others stay."""
    is_without_key: bool = False


def of(workspace_id: UUID) -> Transcriber | None:
    return Transcriber.objects.filter(pk=workspace_id).first()


def configure(workspace_id: UUID, choice: Choice, by: str) -> Transcriber:
    """Made or changed; it goes on if it was paused. Raises PrivateHost and KeyForAnother; then nothing changes."""
    with transaction.atomic():
        known = Transcriber.objects.select_for_update().filter(pk=workspace_id).first()
        made = proposed(workspace_id, choice, known)
        made.changed_by = by
        made.save()
        changes = _changes(known, made)
        _record(workspace_id, "transcriber.configured", by, ",".join(changes), {"engine": made.engine})
    return made


def proposed(workspace_id: UUID, choice: Choice, known: Transcriber | None) -> Transcriber:
    """The row it would be, unsaved: for trying it out. Raises as `configure`."""
    is_remote = transcribers.get(choice.engine).capabilities.is_remote
    api_base = choice.api_base if is_remote else ""
    if api_base:
        refuse_private(api_base)
    return Transcriber(
        workspace_id=workspace_id, engine=choice.engine, model=choice.model, api_base=api_base,
        language=choice.language, is_automatic=choice.is_automatic, longest_s=choice.longest_s,
        sealed_secrets=_secrets(workspace_id, choice, known, api_base) if is_remote else None,
    )  # fmt: skip


def pause(workspace_id: UUID, by: str) -> None:
    """Nothing is sent to the engine; what arrives waits."""
    with transaction.atomic():
        running = Transcriber.objects.filter(pk=workspace_id, paused_at=None)
        if running.update(paused_at=clock.now(), pause_reason=BY_HAND):
            _record(workspace_id, "transcriber.paused", by, BY_HAND)


def resume(workspace_id: UUID, by: str) -> None:
    """What waited goes on: `journey.resume_transcripts` starts it."""
    with transaction.atomic():
        paused = Transcriber.objects.filter(pk=workspace_id, paused_at__isnull=False)
        if paused.update(paused_at=None, pause_reason=None):
            _record(workspace_id, "transcriber.resumed", by)


def remove(workspace_id: UUID, by: str) -> None:
    """Nothing is transcribed any more, and the key is gone. Transcripts already made stay."""
    with transaction.atomic():
        count, _ = Transcriber.objects.filter(pk=workspace_id).delete()
        if count:
            _record(workspace_id, "transcriber.removed", by)


def _secrets(
    workspace_id: UUID, choice: Choice, known: Transcriber | None, api_base: str
) -> bytes | memoryview | None:
    given = {name: value for name, value in choice.secrets.items() if value}
    if choice.is_without_key:
        return None
    if given:
        return credentials.seal_engine_secrets(workspace_id, given)
    if known is None or known.sealed_secrets is None:
        return None
    if _origin(known.api_base) != _origin(api_base):
        raise KeyForAnother()
    return known.sealed_secrets


def _origin(address: str) -> tuple[str, str, int | None]:
    parts = urlsplit(address)
    return parts.scheme, parts.hostname or "", parts.port


def _changes(known: Transcriber | None, made: Transcriber) -> list[str]:
    """Names of what is different, without the values: an address may tell more than an audit should."""
    if known is None:
        return []
    names = ("engine", "model", "api_base", "language", "is_automatic", "longest_s")
    changes = [name for name in names if getattr(known, name) != getattr(made, name)]
    return (
        [*changes, "key"]
        if bytes(known.sealed_secrets or b"") != bytes(made.sealed_secrets or b"")
        else changes
    )


def _record(
    workspace_id: UUID, action: str, by: str, reason: str = "", details: Mapping[str, Any] | None = None
) -> None:
    deed = Deed(action, "workspace", workspace_id, reason[:200], dict(details or {}))
    AuditEntry.objects.record(workspace_id, by, [deed])
