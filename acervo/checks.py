"""Django system checks: impossible or dangerous set-ups, each with its cure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register
from django.utils.translation import gettext as _

from acervo.prepare import isolation

OURS = "acervo"
"""The tag of our own checks."""


@register(OURS)
def deployment_is_sound(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """What can be judged from settings alone; `acervo doctor` tries the real parts."""
    found: list[CheckMessage] = []
    is_public = not any(name in settings.ACERVO_BASE_URL for name in ("127.0.0.1", "localhost", "[::1]"))
    if is_public and settings.DEBUG:
        found.append(
            Error(
                _("Debug pages would show secrets to anyone who reaches this address."),
                hint=_("Unset ACERVO_DEBUG."),
                id="acervo.E001",
            )
        )
    if is_public and not settings.ACERVO_BASE_URL.startswith("https://"):
        found.append(
            Warning(
                _("The base URL is not https: providers refuse to call it, and sessions travel in clear."),
                hint=_("Put a TLS proxy in front and set ACERVO_BASE_URL to its https:// address."),
                id="acervo.W001",
            )
        )
    if settings.ACERVO_ISOLATION == "required" and not isolation.active().is_complete:
        found.append(
            Error(
                _(
                    "ACERVO_ISOLATION is `required`, but this kernel cannot isolate the media tools completely."
                ),
                hint=_("Use a Linux kernel of 5.13 or newer with Landlock, or set ACERVO_ISOLATION=auto."),
                id="acervo.E002",
            )
        )
    if settings.EMBEDDED is None and settings.ACERVO_HAS_OWN_KEYS:
        found.append(
            Warning(
                _("The database is shared, but the keys lie in this machine's data folder only."),
                hint=_("Set ACERVO_MASTER_KEY and ACERVO_SECRET_KEY to the same values on every machine."),
                id="acervo.W002",
            )
        )
    return found
