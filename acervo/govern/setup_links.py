"""One step of a setup for somebody without an account: a link that is shown once, ends by itself, and opens nothing else."""

from __future__ import annotations

from datetime import timedelta
from secrets import token_urlsafe
from typing import Final

from django.db import transaction
from django.db.models import F

from acervo.base import clock, ids
from acervo.base.errors import Refused
from acervo.base.tokens import digest
from acervo.models import AuditEntry, Deed, Setup, SetupLink, Step
from acervo.models.setup import SENDABLE

LASTS: Final = timedelta(days=7)
TOKEN_BYTES: Final = 24


class StepCannotBeSent(Refused):
    """Only giving the access and setting the webhook can be sent to somebody else."""

    code = "step_cannot_be_sent"


class LinkClosed(Refused):
    """This link was used, taken back, tried too often, or its time is over."""

    code = "link_closed"


def make(setup: Setup, step: Step, by: str) -> str:
    """The token, which nobody can tell again. Raises StepCannotBeSent unless it is this step's turn."""
    if step not in SENDABLE or setup.is_over or setup.step != step:
        raise StepCannotBeSent()
    token = token_urlsafe(TOKEN_BYTES)
    with transaction.atomic():
        link = SetupLink.objects.create(
            setup=setup, step=step, token_sha256=digest(token), made_by=by, expires_at=clock.now() + LASTS
        )
        _record(link, "setup.step_sent", by)
    return token


def find(token: str) -> SetupLink | None:
    """The link as long as it lets somebody in; nothing tells a wrong token from an old one."""
    found = SetupLink.objects.of_token(token).open(clock.now())
    return found.select_related("setup__workspace", "setup__connection").first()


def note_try(link: SetupLink) -> None:
    """Something is sent with it. Raises LinkClosed once that happened too often."""
    if not SetupLink.objects.open(clock.now()).filter(pk=link.pk).update(tries=F("tries") + 1):
        raise LinkClosed()


def use(link: SetupLink) -> None:
    """Its step is done; it opens no more."""
    with transaction.atomic():
        if SetupLink.objects.filter(pk=link.pk, used_at=None).update(used_at=clock.now()):
            _record(link, "setup.link_used", by_link(link))


def revoke(link: SetupLink, by: str) -> None:
    with transaction.atomic():
        found = SetupLink.objects.filter(pk=link.pk, used_at=None, revoked_at=None)
        if found.update(revoked_at=clock.now(), revoked_by=by):
            _record(link, "setup.link_revoked", by)


def by_link(link: SetupLink) -> str:
    """The author of what is done with it."""
    return f"link:{ids.text(link.pk)}"


def _record(link: SetupLink, action: str, by: str) -> None:
    details = {"link": ids.text(link.pk), "step": link.step}
    AuditEntry.objects.record(
        link.setup.workspace_id, by, [Deed(action, "setup", link.setup_id, "", details)]
    )
