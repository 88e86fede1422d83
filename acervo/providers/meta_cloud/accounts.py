"""What Meta says about the account itself: bans, limits, quality, the address book, errors without a message."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from acervo.providers.contract import AccountEvent, Identity, IdentityChange
from acervo.providers.meta_cloud.frame import Frame
from acervo.providers.meta_cloud.identity import identity
from acervo.providers.parts import Part, Unreadable
from acervo.providers.untrusted import as_count, as_id, as_mapping, as_moment, as_word

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Field:
    """An account-level webhook field: where its word stands, which facts are kept, how serious each word is."""

    word: tuple[str, ...] = ("event",)
    """Path to the one word that says what happened."""
    facts: tuple[tuple[str, ...], ...] = ()
    """Paths worth keeping. None of them may hold a phone number, a name or a text."""
    severities: Mapping[str, str] | None = None
    severity: str = "info"


LOSING_ACCESS = "critical"
"""From here on every file not yet fetched runs against its seven days."""

FIELDS: Mapping[str, Field] = {
    "account_update": Field(
        facts=(
            ("ban_info", "waba_ban_state"),
            ("ban_info", "waba_ban_date"),
            ("violation_info", "violation_type"),
        ),
        severities={
            "ACCOUNT_DELETED": LOSING_ACCESS,
            "ACCOUNT_RECONNECTED": "info",  # spelling of the changelog of February 2026; never seen
            "ACCOUNT_OFFBOARDED": LOSING_ACCESS,
            "ACCOUNT_RESTRICTION": LOSING_ACCESS,
            "ACCOUNT_VIOLATION": LOSING_ACCESS,
            "DISABLED_UPDATE": LOSING_ACCESS,
            "PARTNER_APP_UNINSTALLED": LOSING_ACCESS,
            "PARTNER_REMOVED": LOSING_ACCESS,
            # The state of a ban outranks the event it comes with.
            "DISABLE": LOSING_ACCESS,
            "REINSTATE": "info",
            "SCHEDULE_FOR_DISABLE": LOSING_ACCESS,
        },
    ),
    "account_alerts": Field(
        word=("alert_info", "alert_type"),
        facts=(("alert_info", "alert_severity"), ("alert_info", "alert_status"), ("entity_type",)),
        severities={"INFORMATIONAL": "info", "INFO": "info", "WARNING": "warning", "CRITICAL": "critical"},
        severity="warning",
    ),
    "account_review_update": Field(word=("decision",), severities={"REJECTED": "warning"}),
    "phone_number_quality_update": Field(
        facts=(("current_limit",), ("old_limit",), ("max_daily_conversations_per_business",)),
        severities={"DOWNGRADE": "warning", "FLAGGED": "warning"},
    ),
    "business_capability_update": Field(
        facts=(
            ("max_daily_conversations_per_business",),
            ("max_daily_conversation_per_phone",),
            ("max_phone_numbers_per_business",),
            ("max_phone_numbers_per_waba",),
        )
    ),
    "phone_number_name_update": Field(word=("decision",), severities={"REJECTED": "warning"}),
    "security": Field(severity="warning"),
    "message_template_status_update": Field(
        facts=(("reason",), ("message_template_language",)),
        severities=dict.fromkeys(("REJECTED", "PAUSED", "DISABLED", "FLAGGED", "LOCKED"), "warning"),
    ),
    "message_template_quality_update": Field(word=("new_quality_score",), severities={"RED": "warning"}),
    "message_template_components_update": Field(),
    "template_category_update": Field(word=("new_category",)),
    "user_preferences": Field(),
    "account_settings_update": Field(),
    "business_username_update": Field(word=("status",)),
    "automatic_events": Field(),
    "payment_configuration_update": Field(),
    "partner_solutions": Field(),
}
GROUP_SEVERITIES = {"group_suspend": "warning"}
"""By the type of a group's event; the others are routine."""


def account_event(
    name: str, value: Json, *, account_id: str | None, waba_id: str | None, at: datetime | None
) -> AccountEvent:
    """The event of one account-level change; `name` is a key of FIELDS."""
    known = FIELDS[name]
    facts = {path[-1]: fact for path in known.facts if (fact := _fact(value, path)) is not None}
    word = as_word(_at(value, known.word))
    if waba_id:
        facts["waba_id"] = waba_id
    if word != "?":
        facts[known.word[-1]] = word
    return AccountEvent(
        account_id=account_id,
        type=name,
        severity=_severity(known, word, facts),
        summary=name if word == "?" else f"{name}: {word}",
        at=at,
        facts=facts,
    )


def read_error(error: Json, frame: Frame, pointer: str) -> Iterator[Part]:
    """An error that belongs to no message: a limit reached, a history the business declined to share."""
    code = as_count(error.get("code"))
    if code is None:
        raise Unreadable("an error without a code")
    yield AccountEvent(
        account_id=frame.account_id,
        type="error",
        severity="warning",
        summary=f"error {code}",
        at=frame.at,
        facts={"code": code, "field": as_word(frame.field)},
    )


def read_address_book(entry: Json, frame: Frame, pointer: str) -> Iterator[Part]:
    """A contact staff added or removed in the app. Counted only: the names are the business's own notes."""
    if not as_mapping(entry.get("contact")):
        raise Unreadable("not a contact")
    action = as_word(entry.get("action"))
    yield AccountEvent(
        account_id=frame.account_id,
        type="address_book",
        severity="info",
        summary=f"address_book: {action}",
        at=as_moment(as_mapping(entry.get("metadata")).get("timestamp")) or frame.at,
        facts={"action": action},
    )


def read_group(told: Json, frame: Frame, pointer: str) -> Iterator[Part]:
    """Something about a group of ours: made, ended, joined, left, suspended. Who joined and what it is called are the
    members' business and stay on the receipt."""
    word = as_word(told.get("type"))
    if word == "?":
        raise Unreadable("a group event without a type")
    group_id = as_id(told.get("group_id"))
    yield AccountEvent(
        account_id=frame.account_id,
        type=as_word(frame.field),
        severity=GROUP_SEVERITIES.get(word, "info"),
        summary=f"{as_word(frame.field)}: {word}",
        at=as_moment(told.get("timestamp")) or frame.at,
        facts={"event": word, **({"group_id": group_id} if group_id else {})},
    )


def read_user_id_update(update: Json, frame: Frame, pointer: str) -> Iterator[Part]:
    """A person's business-scoped id was replaced."""
    ids, parents = as_mapping(update.get("user_id")), as_mapping(update.get("parent_user_id"))
    known = identity(update.get("wa_id"), ids.get("current"), parents.get("current"), frame.contacts)
    before = Identity(
        user_id=as_id(ids.get("previous")),
        parent_user_id=as_id(parents.get("previous")),
        phone=known.phone if known else None,
    )
    at = as_moment(update.get("timestamp")) or frame.at
    if known is None or known.user_id is None or not (before.user_id or before.phone) or at is None:
        raise Unreadable("the change is not told in full")
    yield IdentityChange(account_id=frame.account_id, before=before, after=known, at=at)


def _severity(known: Field, word: str, facts: Json) -> str:
    severities = known.severities or {}
    told = [severities[str(fact)] for fact in facts.values() if str(fact) in severities]
    return told[0] if told else severities.get(word, known.severity)


def _fact(value: Json, path: tuple[str, ...]) -> str | int | None:
    fact = _at(value, path)
    count = as_count(fact)
    if count is not None:
        return count
    word = as_word(fact)
    return None if word == "?" else word


def _at(value: Json, path: tuple[str, ...]) -> object:
    found: object = value
    for name in path:
        found = as_mapping(found).get(name)
    return found
