"""What the steps of the wizard do and show, whoever does them: a member, or somebody with a link for one."""

from __future__ import annotations

from typing import Any

from acervo import providers
from acervo.base.errors import AcervoError
from acervo.govern import connections, setups
from acervo.keep import credentials
from acervo.models import Connection, Setup
from acervo.providers.recovery import Registers
from acervo.web import guidance, setup_checks, words
from acervo.web.setup_forms import AccessForm
from acervo.web.words import Words


def submit(form: AccessForm, by: str) -> Words | None:
    """The second step: kept as typed, asked at the provider, connected. None when all went well, else what did not;
    empty where the fields say it themselves."""
    if not form.is_valid():
        return ""
    row, access = form.setup, form.access
    vendor = guidance.GUIDES[row.kind].vendor
    try:
        setups.note(row, access)
        form.kept = setups.kept_secrets(row) | {
            name for name, value in access.secrets.items() if value and row.connection is None
        }
        health = setups.tried(row, access.secrets)
        if not health.is_alive:
            return guidance.trouble(health.code, vendor)
        setups.connect(row, access.secrets, by)
    except connections.PrivateHost:
        form.errors["api_base"] = guidance.TROUBLES["forbidden_host"]
        return ""
    except AcervoError as error:
        return guidance.trouble(error.code, vendor)
    return None


def told(row: Setup, by: str, *, replaces: bool) -> dict[str, Any]:
    """The third step by API: nothing when it went well, else what the page must say."""
    try:
        setups.tell(row, by, replaces=replaces)
    except setups.AnotherAddress as error:
        return {"another_host": error.facts["host"]}
    except AcervoError as error:
        return {"trouble": guidance.trouble(error.code, guidance.GUIDES[row.kind].vendor)}
    return {}


def of_webhook(row: Setup, connection: Connection) -> dict[str, Any]:
    """What the third step shows, to a member or to whoever was sent the step."""
    guide = guidance.GUIDES[row.kind]
    adapter = providers.get(row.kind)
    known = credentials.open_secrets(connection)
    checks = setup_checks.of_webhook(row, connection)
    return {
        "can_tell": issubclass(adapter, Registers),
        "replaces": adapter.capabilities.knocks_at_one_address,
        "webhook_url": connections.webhook_url(connection) if guide.can_paste else "",
        "verify_token": known.get("verify_token", "") if adapter.capabilities.has_handshake else "",
        "checks": checks,
        "is_known": any(check.is_ok for check in checks if check.name in ("known", "event")),
    }


def privacy_choices(basis: str, on_revoke: str) -> dict[str, Any]:
    return {
        "bases": [(value, *said, value == basis) for value, said in guidance.LEGAL_BASES.items()],
        "revokes": [(value, *said, value == on_revoke) for value, said in words.ON_REVOKE.items()],
    }
