"""What providers report, what checks tell and what stands in the way of webhooks, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from django.utils.translation import gettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from acervo.models import AccountEvent
from acervo.web import words
from acervo.web.words import Words

# ── what providers report ──

EVENTS: Final[Mapping[str, Words]] = {
    "account_update": _("WhatsApp changed something about the business account."),
    "account_update:DISABLE": _("WhatsApp disabled the business account: no message comes or goes."),
    "account_update:SCHEDULE_FOR_DISABLE": _("WhatsApp is going to disable the business account."),
    "account_update:REINSTATE": _("WhatsApp gave the business account back."),
    "account_update:ACCOUNT_DELETED": _("The business account was deleted at WhatsApp."),
    "account_update:ACCOUNT_OFFBOARDED": _("The number left the Cloud API: nothing of it arrives any more."),
    "account_update:ACCOUNT_RESTRICTION": _("WhatsApp restricted what the business account may do."),
    "account_update:ACCOUNT_VIOLATION": _("WhatsApp says that the business account broke its rules."),
    "account_update:DISABLED_UPDATE": _("WhatsApp changed whether the business account is disabled."),
    "account_update:PARTNER_ADDED": _("A partner was added to the business account."),
    "account_update:PARTNER_REMOVED": _("The partner was removed from the business account."),
    "account_update:PARTNER_APP_INSTALLED": _("The partner's app was installed for the business account."),
    "account_update:PARTNER_APP_UNINSTALLED": _(
        "The app was taken off the business account: no webhook comes any more."
    ),
    "account_update:ACCOUNT_RECONNECTED": _("The business account is connected again."),
    "account_alerts": _("WhatsApp warns about the account."),
    "account_review_update": _("WhatsApp reviewed the business account."),
    "account_review_update:APPROVED": _("WhatsApp reviewed the business account and approved it."),
    "account_review_update:REJECTED": _("WhatsApp reviewed the business account and rejected it."),
    "phone_number_quality_update": _("The quality or the limit of the number changed."),
    "phone_number_quality_update:FLAGGED": _(
        "Customers complain about messages of this number: WhatsApp flagged its quality as low."
    ),
    "phone_number_quality_update:UNFLAGGED": _("The quality of the number is good again."),
    "phone_number_quality_update:DOWNGRADE": _("WhatsApp lowered how many people this number may write to."),
    "phone_number_quality_update:UPGRADE": _("WhatsApp raised how many people this number may write to."),
    "phone_number_quality_update:ONBOARDING": _("The number was registered."),
    "business_capability_update": _("WhatsApp changed how many people the business may write to a day."),
    "phone_number_name_update": _("WhatsApp decided about the display name of the number."),
    "phone_number_name_update:APPROVED": _("The display name of the number was approved."),
    "phone_number_name_update:REJECTED": _("The display name of the number was rejected."),
    "security": _("Somebody changed the security settings of the number: its PIN for two-step verification."),
    "message_template_status_update": _("WhatsApp decided about a message template."),
    "message_template_status_update:APPROVED": _("A message template was approved."),
    "message_template_status_update:REJECTED": _("A message template was rejected."),
    "message_template_status_update:PAUSED": _(
        "A message template was paused: customers complained about it."
    ),
    "message_template_status_update:DISABLED": _("A message template was switched off."),
    "message_template_quality_update": _("The quality of a message template changed."),
    "message_template_quality_update:RED": _("The quality of a message template is low."),
    "message_template_components_update": _("A message template was changed."),
    "template_category_update": _("WhatsApp put a message template into another category."),
    "account_settings_update": _("Settings of the account were changed at WhatsApp."),
    "business_username_update": _("The user name of the business changed at WhatsApp."),
    "history": _("The chats of the past were told to their end."),
    "error": _("The provider reported an error that belongs to no message."),
    "file_lost": _("The provider lost a file on its way to us. Its message says so, where it came."),
    "webhook_unreached": _("The provider could not reach our webhook address."),
    "group_lifecycle_update": _("A group of yours was made or ended."),
    "group_participants_update": _("Somebody joined or left a group of yours."),
    "group_settings_update": _("Settings of a group of yours were changed."),
    "group_status_update": _("WhatsApp changed the status of a group of yours."),
}
"""By type, or by type and the word that says what happened."""
OUTRANKS: Final = frozenset({"waba_ban_state"})
"""A state says more than the event it comes with."""
SEVERITIES: Final[Mapping[str, words.Status]] = {
    "info": words.Status(pgettext_lazy("severity", "Note"), "info", "info"),
    "warning": words.Status(pgettext_lazy("severity", "Warning"), "warn", "triangle-alert"),
    "critical": words.Status(pgettext_lazy("severity", "Serious"), "bad", "circle-alert"),
}

# ── what a check tells ──

FACTS: Final[Mapping[str, Words]] = {
    "quality_rating": pgettext_lazy("check", "Quality"),
    "messaging_limit": _("People it may write to first, in 24 hours"),
    "current_limit": _("People it may write to first, in 24 hours"),
    "old_limit": pgettext_lazy("check", "Before"),
    "max_daily_conversations_per_business": _("People it may write to first, in 24 hours"),
    "throughput": _("Messages a second"),
    "status": _("Status at the provider"),
    "account_status": pgettext_lazy("check", "Status of the account"),
    "account_mode": pgettext_lazy("check", "Mode"),
    "name_status": pgettext_lazy("check", "Display name"),
    "code_verification_status": _("Verification of the number"),
    "platform_type": pgettext_lazy("check", "Platform"),
    "is_on_biz_app": _("Also in the WhatsApp Business app"),
    "keeps_files": _("The provider keeps files for days"),
    "can_send": _("May send"),
    "can_send_phone_number": _("The number may send"),
    "can_send_waba": _("The business account may send"),
    "can_send_business": _("The business may send"),
    "can_send_app": _("The app may send"),
    "can_send_solution_partner": _("The partner may send"),
    "error_codes": _("Error codes"),
    "code": pgettext_lazy("check", "Code"),
    "balance": pgettext_lazy("check", "Balance"),
    "account_type": _("Kind of account"),
    "webhooks": _("Webhooks that tell of messages"),
    "webhook": _("Webhook address at the provider"),
    "token_expires_at": _("The token ends"),
    "token_never_expires": _("The token never ends"),
    "permissions_missing": _("Permissions that are missing"),
    "api_version": _("Version of the API"),
    "data_hosting": _("Where the CRM keeps its data"),
    "time_zone": _("Time zone of the account"),
    "waba_ban_date": _("Day of the ban"),
    "violation_type": _("Rule that was broken"),
    "reason": pgettext_lazy("check", "Reason"),
    "message_template_language": _("Language of the template"),
}
"""Facts without a name here are not shown."""
GOOD, FAIR, POOR = (
    pgettext_lazy("check", "Good"),
    pgettext_lazy("check", "Fair"),
    pgettext_lazy("check", "Poor"),
)
YES, NO = pgettext_lazy("answer", "Yes"), pgettext_lazy("answer", "No")
NO_LIMIT: Final[Words] = pgettext_lazy("check", "No limit")
VALUES: Final[Mapping[str, Words]] = {
    "GREEN": GOOD,
    "HIGH": GOOD,
    "YELLOW": FAIR,
    "MEDIUM": FAIR,
    "RED": POOR,
    "LOW": POOR,
    "UNKNOWN": pgettext_lazy("check", "Not known yet"),
    "CONNECTED": pgettext_lazy("check", "Connected"),
    "ONLINE": pgettext_lazy("check", "Connected"),
    "active": pgettext_lazy("check", "Active"),
    "ACTIVE": pgettext_lazy("check", "Active"),
    "suspended": pgettext_lazy("check", "Suspended"),
    "closed": pgettext_lazy("check", "Closed"),
    "FLAGGED": pgettext_lazy("check", "Flagged"),
    "RESTRICTED": pgettext_lazy("check", "Restricted"),
    "BANNED": pgettext_lazy("check", "Banned"),
    "PENDING": pgettext_lazy("check", "Pending"),
    "LIVE": pgettext_lazy("check", "Live"),
    "SANDBOX": pgettext_lazy("check", "For tests only"),
    "VERIFIED": pgettext_lazy("check", "Verified"),
    "NOT_VERIFIED": pgettext_lazy("check", "Not verified"),
    "EXPIRED": pgettext_lazy("check", "Expired"),
    "APPROVED": pgettext_lazy("check", "Approved"),
    "DECLINED": pgettext_lazy("check", "Declined"),
    "AVAILABLE": YES,
    "LIMITED": pgettext_lazy("check", "With limits"),
    "BLOCKED": NO,
    "STANDARD": "80",
    "TIER_UNLIMITED": NO_LIMIT,
    "CLOUD_API": "Cloud API",
    "ours": pgettext_lazy("check", "Ours"),
    "elsewhere": pgettext_lazy("check", "Another one"),
}
THROUGHPUT_HIGH: Final = "1000"


# ── the way in ──

WAYS_IN: Final[Mapping[str, Words]] = {
    "ok": _("A test webhook went out to the public address and arrived in the journal."),
    "dns": _("The name of this archive's address is not known on the internet. Check its DNS record."),
    "refused": _(
        "Nobody listens at this archive's address. Start the server or its proxy, and open its port to the internet."
    ),
    "timed_out": _(
        "This archive's address did not answer in time. Check the proxy and the firewall in front of it."
    ),
    "broken_off": _(
        "The connection was cut before an answer came. Check the proxy in front of this archive."
    ),
    "tls_expired": _(
        "The certificate of this archive's address has expired, so providers refuse to call it. Renew it."
    ),
    "tls_other_name": _(
        "The certificate shown at this archive's address was made for another name. Install the one for this name."
    ),
    "tls_untrusted": _(
        "The certificate of this archive's address comes from nobody that providers trust. Install a public one, with its whole chain."
    ),
    "tls_failed": _(
        "No encrypted connection could be made with this archive's address. Check the proxy's TLS settings."
    ),
    "forbidden_host": _(
        "From this server, the archive's own name leads to a private address. If that is meant, name the host in ACERVO_ALLOW_PRIVATE_HOSTS."
    ),
    "redirected": _(
        "This archive's address answers with a redirect, which providers do not follow. Set ACERVO_BASE_URL to the address it leads to."
    ),
    "signature_refused": _(
        "The test webhook arrived and its signature did not fit: the proxy changes the path or the body, ACERVO_BASE_URL is not the address called, or a clock is wrong."
    ),
    "no_such_door": _(
        "Something answered that does not know the webhook address. Let the proxy pass everything under /hooks/ on, unchanged."
    ),
    "turned_away": _(
        "The proxy turned the test webhook away for coming too often. Let /hooks/ be without limits."
    ),
    "proxy_alone": _(
        "The proxy answers, but not the archive behind it. Start the archive, or correct the proxy's target."
    ),
    "not_taken": _("The archive answers, but its database does not take webhooks just now."),
    "wrong_answer": _(
        "Something else than this archive answered at its address. Check where the proxy leads."
    ),
    "not_journalled": _(
        "Somebody answered that all is well, but the test webhook is not in the journal: the address leads to another installation."
    ),
    "sealed_elsewhere": _("This was sealed with another key. Somebody must give back the old one."),
}
"""What came of trying the way in, by code."""


def way_in(code: str | None) -> Words:
    return WAYS_IN.get(code or "") or words.refusal(code)


def event(told: AccountEvent) -> Words:
    """The most exact sentence there is; for a type we have never heard of, its name."""
    ranked = sorted(told.facts.items(), key=lambda fact: fact[0] not in OUTRANKS)
    for _name, fact in ranked:
        if isinstance(fact, str) and (known := EVENTS.get(f"{told.type}:{fact}")):
            return known
    return EVENTS.get(told.type) or gettext("The provider reported “%(type)s”.") % {"type": told.type}


def facts(told: Mapping[str, Any]) -> Iterator[tuple[str, Words, Any]]:
    """Name, label and value of each fact worth showing, in the order of FACTS."""
    seen: set[str] = set()
    for name, label in FACTS.items():
        if name in told and str(label) not in seen and (shown := _value(name, told[name], told)) != "":
            seen.add(str(label))
            yield name, label, shown


def _value(name: str, value: Any, told: Mapping[str, Any]) -> Any:
    if isinstance(value, bool):
        return YES if value else NO
    if isinstance(value, list):
        return ", ".join(str(part) for part in value)
    if name == "throughput" and value == "HIGH":
        return THROUGHPUT_HIGH
    if name == "balance":
        return f"{value} {told.get('currency', '')}".strip()
    if name == "token_expires_at" and isinstance(value, str):
        return datetime.fromisoformat(value)
    if isinstance(value, str):
        return VALUES.get(value) or _limit(value) or value
    return value


def _limit(value: str) -> int | None:
    """Meta's TIER_10K, Twilio's 10K."""
    bare = value.removeprefix("TIER_")
    thousands = bare.removesuffix("K")
    if not thousands.isdigit() or (bare == value and not value.endswith("K")):
        return None
    return int(thousands) * (1000 if bare.endswith("K") else 1)
