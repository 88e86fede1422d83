"""What a workspace says by itself, and in which words: changed by whom, from what to what."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from django.db import transaction

from acervo.answer import wording
from acervo.answer.asking import LONGEST_TEXT, TextTooLong
from acervo.base import clock
from acervo.govern.media_rules import ChangedMeanwhile
from acervo.models import AnswerPolicy, AuditEntry, Deed, SendingPurpose, Workspace

WORDED: Final = (SendingPurpose.FILE_NOT_TAKEN, SendingPurpose.CONSENT_ASKED)


@dataclass(frozen=True, slots=True)
class Answers:
    """As people see and change them."""

    tells_not_taken: bool
    wordings: Mapping[str, Mapping[str, str]]
    """By purpose and language; empty for our own words."""

    @classmethod
    def of(cls, workspace_id: UUID) -> Answers:
        policy = AnswerPolicy.of(workspace_id)
        return cls(policy.tells_not_taken_since is not None, _whole(policy.wordings))

    @property
    def version(self) -> str:
        """Two are equal exactly when they say the same."""
        said = json.dumps([self.tells_not_taken, _whole(self.wordings)], sort_keys=True)
        return hashlib.sha256(said.encode()).hexdigest()[:16]


def change(workspace_id: UUID, wanted: Answers, *, seen: str, by: str) -> bool:
    """Whether that changed anything. `seen` is the version that was changed from. Raises ChangedMeanwhile and TextTooLong;
    then nothing is saved."""
    wordings = _chosen(wanted.wordings)
    if any(len(text) > LONGEST_TEXT for texts in wordings.values() for text in texts.values()):
        raise TextTooLong()
    with transaction.atomic():
        Workspace.objects.select_for_update(no_key=True).get(
            pk=workspace_id
        )  # there may be no row of ours yet
        now = Answers.of(workspace_id)
        if now.version != seen:
            raise ChangedMeanwhile()
        details = _difference(now, wanted.tells_not_taken, _whole(wordings))
        if not details:
            return False
        policy = AnswerPolicy.of(workspace_id)
        if now.tells_not_taken != wanted.tells_not_taken:
            policy.tells_not_taken_since = clock.now() if wanted.tells_not_taken else None
        policy.wordings, policy.changed_by = wordings, by
        policy.save()
        AuditEntry.objects.record(
            workspace_id, by, [Deed("answers.changed", "workspace", workspace_id, "", details)]
        )
    return True


def _whole(wordings: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, str]]:
    return {
        purpose: {code: wordings.get(purpose, {}).get(code, "") for code in wording.languages()}
        for purpose in WORDED
    }


def _chosen(wordings: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, str]]:
    """Only what differs from our own words."""
    chosen: dict[str, dict[str, str]] = {}
    for purpose, texts in _whole(wordings).items():
        for code, text in texts.items():
            if text.strip() and text.strip() != wording.default(purpose, code):
                chosen.setdefault(purpose, {})[code] = text.strip()
    return chosen


def _difference(now: Answers, tells: bool, wordings: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    """Which words changed, not the words themselves."""
    details: dict[str, Any] = {}
    if now.tells_not_taken != tells:
        details["tells_not_taken"] = [now.tells_not_taken, tells]
    reworded = [
        f"{purpose}/{code}"
        for purpose, texts in now.wordings.items()
        for code, text in texts.items()
        if text != wordings[purpose][code]
    ]
    return details | ({"reworded": reworded} if reworded else {})
