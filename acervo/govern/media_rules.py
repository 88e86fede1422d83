"""What a workspace wants made of its files and how large they may be: changed by whom, from what to what."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.db import transaction

from acervo.base.errors import Refused
from acervo.models import AuditEntry, Deed, Kind, MediaPolicy, SizeLimit, Workspace

POLICY_FIELDS: Final = (
    "mp3", "mp3_at", "mp4", "mp4_at", "pages", "pages_at", "video_cap_kbps", "video_cap_side",
)  # fmt: skip


class ChangedMeanwhile(Refused):
    """Somebody changed these settings since this page was opened, so nothing was saved."""

    code = "changed_meanwhile"


class LimitTooHigh(Refused):
    """A workspace cannot allow larger files than its installation does."""

    code = "limit_too_high"


@dataclass(frozen=True, slots=True)
class Rules:
    """A policy and the size limits, as one thing that people see and change."""

    policy: Mapping[str, Any]
    """By POLICY_FIELDS."""
    limits: Mapping[str, int | None] = field(default_factory=dict)
    """Bytes by kind of file; None: as large as the installation allows."""

    @classmethod
    def of(cls, workspace_id: UUID) -> Rules:
        own = MediaPolicy.of(workspace_id)
        limits = SizeLimit.of(workspace_id)
        return cls(_fields(own), {kind: limits.get(kind) for kind in Kind.values})

    @classmethod
    def default(cls) -> Rules:
        return cls(_fields(MediaPolicy()), dict.fromkeys(Kind.values))

    @property
    def version(self) -> str:
        """Two are equal exactly when their rules are."""
        said = json.dumps([dict(self.policy), dict(self.limits)], sort_keys=True)
        return hashlib.sha256(said.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Change:
    """What a change did."""

    policy: dict[str, list[Any]]
    """Of each field that changed: the old value and the new one."""
    limits: dict[str, list[int | None]]
    has_raised_a_limit: bool

    @property
    def is_any(self) -> bool:
        return bool(self.policy or self.limits)


def change(workspace_id: UUID, wanted: Rules, *, seen: str, by: str) -> Change:
    """`seen` is the version that was changed from. Raises ChangedMeanwhile and LimitTooHigh; then nothing is saved."""
    _refuse_too_high(wanted)
    with transaction.atomic():
        # There may be no row of either yet: whoever changes them holds the workspace's.
        Workspace.objects.select_for_update(no_key=True).get(pk=workspace_id)
        now = Rules.of(workspace_id)
        if now.version != seen:
            raise ChangedMeanwhile()
        made = _difference(now, wanted)
        if made.policy:
            changed = {name: wanted.policy[name] for name in POLICY_FIELDS}
            MediaPolicy.objects.update_or_create(
                workspace_id=workspace_id, defaults={**changed, "changed_by": by}
            )
        for kind, (_, limit) in made.limits.items():
            _set_limit(workspace_id, kind, limit, by)
        AuditEntry.objects.record(workspace_id, by, _deeds(workspace_id, made))
    return made


def _fields(policy: MediaPolicy) -> dict[str, Any]:
    return {name: _plain(getattr(policy, name)) for name in POLICY_FIELDS}


def _plain(value: Any) -> Any:
    return value if isinstance(value, int) else str(value)


def _refuse_too_high(wanted: Rules) -> None:
    for kind, limit in wanted.limits.items():
        if limit is not None and limit > settings.ACERVO_MAX_FILE_BYTES:
            raise LimitTooHigh(kind=kind)


def _difference(now: Rules, wanted: Rules) -> Change:
    policy = {
        name: [now.policy[name], wanted.policy[name]]
        for name in POLICY_FIELDS
        if now.policy[name] != wanted.policy[name]
    }
    limits = {
        kind: [now.limits.get(kind), limit]
        for kind, limit in wanted.limits.items()
        if now.limits.get(kind) != limit
    }
    has_raised = any(_effective(new) > _effective(old) for old, new in limits.values())
    return Change(policy, limits, has_raised)


def _effective(limit: int | None) -> int:
    return settings.ACERVO_MAX_FILE_BYTES if limit is None else limit


def _set_limit(workspace_id: UUID, kind: str, limit: int | None, by: str) -> None:
    if limit is None:
        SizeLimit.objects.filter(workspace=workspace_id, kind=kind).delete()
        return
    SizeLimit.objects.update_or_create(
        workspace_id=workspace_id, kind=kind, defaults={"max_bytes": limit, "changed_by": by}
    )


def _deeds(workspace_id: UUID, made: Change) -> list[Deed]:
    found = [Deed("policy.changed", "workspace", workspace_id, "", dict(made.policy))] if made.policy else []
    if made.limits:
        found.append(Deed("limit.changed", "workspace", workspace_id, "", dict(made.limits)))
    return found
