"""What the connect wizard says about each provider: what it needs, where values are found, where ours are pasted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from django.utils.translation import gettext_lazy as _

from acervo.models import LegalBasis, Step
from acervo.providers.contract import Outcome
from acervo.web.words import Words


@dataclass(frozen=True, slots=True)
class Field:
    """How a value is asked for."""

    label: Words
    hint: Words = ""
    wrong: Words = ""
    """What is said when it does not have the shape it must have."""


@dataclass(frozen=True, slots=True)
class Guide:
    """One provider, in the words of somebody who has done it before."""

    name: str
    vendor: str
    """In a sentence."""
    about: Words
    needs: Words
    minutes: int
    fields: Mapping[str, Field]
    finding: tuple[Words, ...]
    """Where the values of the second step are."""
    pasting: tuple[Words, ...]
    """What is left to do at the provider for the third."""
    console: str
    can_paste: bool = False
    """Whether our address may also be set by hand, on the provider's pages."""
    subscribe: tuple[str, ...] = ()
    """Fields to subscribe to, as the provider spells them."""
    subscribe_too: tuple[str, ...] = ()
    note: Words = ""


_ID_WRONG = _("This has digits only. Copy it once more.")
_SECRET_WRONG = _("This has no spaces or line breaks. Paste it once more.")
_SAFE_WRONG = _("This has letters, digits and hyphens only. Copy it once more.")
_NO_STORAGE = Field(
    _("This number keeps nothing at Meta (No Storage)"),
    _("Then files can be fetched for one hour instead of seven days, and deadlines are counted so."),
)
_META_WHY = _(
    "Meta keeps a received file for seven days, and each link to it lives for five minutes. We fetch it at once, and try again if that fails."
)

GUIDES: Final[Mapping[str, Guide]] = {
    "meta_cloud": Guide(
        name="WhatsApp Cloud API (Meta)",
        vendor="Meta",
        about=_("Your own app at Meta, without anybody in between."),
        needs=_("An app in Live mode with the product WhatsApp, and administrator rights in the business."),
        minutes=15,
        fields={
            "account_id": Field(
                _("Phone number id"), _("Not the phone number: the id beside it, 15 digits or so."), _ID_WRONG
            ),
            "waba_id": Field(
                _("WhatsApp Business Account id"), _("On the same page as the phone number id."), _ID_WRONG
            ),
            "token": Field(
                _("Access token"),
                _(
                    "Of a system user, without an end, with whatsapp_business_messaging and whatsapp_business_management."
                ),
                _SECRET_WRONG,
            ),
            "app_secret": Field(
                _("App secret"),
                _("In the app: settings, basic. It proves that events are Meta's."),
                _SECRET_WRONG,
            ),
            "no_storage": _NO_STORAGE,
        },
        finding=(
            _("Open developers.facebook.com and choose your app."),
            _("Under WhatsApp, API set-up: the phone number id and the account id."),
            _("Under settings, basic: the app secret."),
            _(
                "In the business settings, system users: make one, give it the app and the account, and make its token."
            ),
        ),
        pasting=(
            _("In the app, open WhatsApp, configuration."),
            _("At the webhook, choose edit; paste the address and the verify token."),
            _("Under manage, subscribe to the field messages."),
        ),
        console="https://developers.facebook.com/apps/",
        can_paste=True,
        subscribe=("messages",),
        subscribe_too=("smb_message_echoes", "history"),
        note=_META_WHY,
    ),
    "twilio": Guide(
        name="Twilio",
        vendor="Twilio",
        about=_("A WhatsApp sender in your Twilio account."),
        needs=_("A sender that is online, the Account SID and its auth token."),
        minutes=5,
        fields={
            "account_id": Field(
                _("The sender's number"),
                _("With plus sign and country code."),
                _("Write it with plus sign and country code, such as +55 11 5555-0123."),
            ),
            "account_sid": Field(
                _("Account SID"),
                _("It begins with AC; of the account or subaccount that owns the sender."),
                _("An Account SID is AC and 32 digits or letters from a to f."),
            ),
            "auth_token": Field(
                _("Auth token"), _("It signs the events, so no API key can stand in for it."), _SECRET_WRONG
            ),
            "messaging_service_sid": Field(
                _("Messaging service SID"),
                _("Only if your answers go through one. It begins with MG."),
                _("A messaging service SID is MG and 32 digits or letters from a to f."),
            ),
            "api_key_sid": Field(
                _("API key SID"),
                _(
                    "Only if a restricted key shall ask for files instead of the auth token. It begins with SK."
                ),
                _("An API key SID is SK and 32 digits or letters from a to f."),
            ),
            "api_key_secret": Field(_("API key secret"), _("Goes with the API key SID."), _SECRET_WRONG),
            "forgets": Field(
                _("Delete Twilio's copy of a file once ours is safe"),
                _("Otherwise files stay at Twilio until somebody deletes them there."),
            ),
        },
        finding=(
            _("Open the Twilio console; Account SID and auth token are on its first page."),
            _("Under messaging, senders, WhatsApp senders: the number."),
            _("Under messaging, settings: switch on HTTP authentication for media."),
        ),
        pasting=(
            _("At the sender, as POST: when a message comes in, and as status callback."),
            _("In the debugger's webhook, the same address: only there Twilio tells of files it lost."),
        ),
        console="https://console.twilio.com/",
        can_paste=True,
        note=_(
            "Twilio counts this very address into every signature. If the address of this archive changes, it must be set again."
        ),
    ),
    "dialog360": Guide(
        name="360dialog",
        vendor="360dialog",
        about=_("A WhatsApp number in 360dialog's Hub."),
        needs=_("The number's API key and its phone number id."),
        minutes=3,
        fields={
            "account_id": Field(
                _("Phone number id"), _("Meta's id of the number, shown in the Hub."), _ID_WRONG
            ),
            "api_key": Field(
                _("API key"), _("It opens this one number. A new key ends the old one."), _SECRET_WRONG
            ),
            "no_storage": _NO_STORAGE,
        },
        finding=(
            _("Open 360dialog's Hub and choose the number."),
            _("Make an API key there; it is shown once."),
            _("The phone number id is among the number's details."),
        ),
        pasting=(
            _("Nothing has to be pasted: 360dialog takes our address and a secret through its API."),
            _("The address is itself a secret, so we do not show it here."),
        ),
        console="https://hub.360dialog.com/",
        note=_(
            "360dialog signs nothing. That is why we make up two secrets, register them there, and take only what shows both."
        ),
    ),
    "messagebird": Guide(
        name="MessageBird",
        vendor="MessageBird",
        about=_("A WhatsApp channel on the older Conversations API. Who starts today starts at Bird."),
        needs=_("The channel's id, an access key and the account's signing key."),
        minutes=5,
        fields={
            "account_id": Field(_("Channel id"), _("Of the WhatsApp channel."), _SAFE_WRONG),
            "access_key": Field(
                _("Access key"), _("A live one, with no more rights than this channel needs."), _SECRET_WRONG
            ),
            "signing_key": Field(
                _("Signing key"), _("Of the account: it proves that events are MessageBird's."), _SECRET_WRONG
            ),
        },
        finding=(
            _("Open MessageBird's dashboard, channels, WhatsApp: the channel's id."),
            _("Under developers, API access: the access key."),
            _("Under developers, API settings: the signing key."),
        ),
        pasting=(_("Nothing has to be pasted: MessageBird takes our address through its API."),),
        console="https://dashboard.messagebird.com/",
        note=_("Each signature counts for a minute, so the clock of this server must be right."),
    ),
    "bird": Guide(
        name="Bird",
        vendor="Bird",
        about=_("A WhatsApp channel in a workspace of Bird."),
        needs=_("An access key, and the ids of organization, workspace and channel."),
        minutes=5,
        fields={
            "account_id": Field(_("Channel id"), _("Of the WhatsApp channel."), _SAFE_WRONG),
            "workspace_id": Field(
                _("Workspace id"), _("It stands in the address of Bird's pages."), _SAFE_WRONG
            ),
            "organization_id": Field(
                _("Organization id"),
                _("In the organization's settings; needed to set the webhook."),
                _SAFE_WRONG,
            ),
            "access_key": Field(
                _("Access key"),
                _("Of a role that may view and send in this channel, and no more."),
                _SECRET_WRONG,
            ),
        },
        finding=(
            _("Open Bird, choose the workspace, and there the WhatsApp channel: its id."),
            _("In the settings, access keys: make one for a role of its own."),
            _("The ids of organization and workspace are in their settings."),
        ),
        pasting=(_("Nothing has to be pasted: Bird takes our address and a signing key that we make up."),),
        console="https://app.bird.com/",
        note=_(
            "Bird repeats what we did not take for about a day, and its list of messages is read besides."
        ),
    ),
}
"""In the order they are offered."""

NAME: Final = Field(
    _("Name in this archive"),
    _("As your people call the number, such as “Support”."),
    _("Give the number a name."),
)
API_BASE: Final = Field(
    _("Another address of the API"),
    _("Only for a gateway or a sandbox. Empty: the provider's own."),
    _("Write a whole address that begins with https://."),
)

TROUBLES: Final[Mapping[str, Words]] = {
    Outcome.TOKEN_REVOKED: _(
        "%(vendor)s does not accept this access. Look whether the secret is whole and still good, and paste it again."
    ),
    Outcome.FORBIDDEN: _(
        "The secret is good, but it does not open this number. Look at the ids, and at what the secret is allowed."
    ),
    Outcome.BLOCKED: _("%(vendor)s has blocked this account. See its page there."),
    Outcome.RATE_LIMITED: _(
        "%(vendor)s asks us to slow down. Wait a minute and try again; what you typed is kept."
    ),
    Outcome.TIMED_OUT: _("%(vendor)s took too long to answer. Try again; what you typed is kept."),
    Outcome.FORBIDDEN_HOST: _(
        "The address of the API lies in a private network. Whoever runs this archive must name it in ACERVO_ALLOW_PRIVATE_HOSTS."
    ),
    "must_be_pasted": _("%(vendor)s takes no address through its API: paste it on its pages."),
    "address_too_long": _(
        "%(vendor)s takes webhook addresses of up to 200 characters. This installation needs a shorter base URL."
    ),
    "already_connected": _(
        "This number is connected already. Remove that connection first, or renew its secrets."
    ),
    "secrets_for_another": _(
        "Secrets are sent only to the address they were given for. Paste them again for this address."
    ),
    "setup_over": _("This setup was finished or discarded meanwhile."),
    "not_that_far": _("An earlier step is not done yet."),
    "reason_missing": _("Say why in a few words: decisions are written down with their reason."),
    "link_closed": _("This link is no longer good. Ask for a new one."),
    "step_cannot_be_sent": _("This step can only be done by somebody of this archive."),
}
OTHER_TROUBLE: Final[Words] = _(
    "%(vendor)s did not answer as expected. Try again in a minute; what you typed is kept."
)

STEPS: Final[Mapping[str, Words]] = {
    Step.PROVIDER: _("Provider"),
    Step.ACCESS: _("Number and access"),
    Step.WEBHOOK: _("Webhook"),
    Step.TEST: _("Test"),
    Step.PRIVACY: _("Privacy"),
}
STEP_NOTES: Final[Mapping[str, Words]] = {
    Step.PROVIDER: _("Whose number it is"),
    Step.ACCESS: _("Ids and secrets"),
    Step.WEBHOOK: _("Receive messages"),
    Step.TEST: _("Send a voice note"),
    Step.PRIVACY: _("Why files may be kept"),
}

REACH: Final[Mapping[str, Words]] = {
    "private": _("It lies in a private network: a provider on the internet cannot reach it."),
    "certificate": _("Its certificate is not valid for this name, or has ended."),
    "silent": _("It does not answer. Look at the name, the firewall and the proxy."),
    "wrong_answer": _("Something else answers at it. Look at where the proxy leads."),
}
"""Why our own address does not answer as it should."""

LEGAL_BASES: Final[Mapping[str, tuple[Words, Words]]] = {
    LegalBasis.CONSENT: (
        _("Consent"),
        _(
            "The customer agreed, and may take it back (LGPD art. 7 I and 11 I; GDPR art. 6 (1) a and 9 (2) a)."
        ),
    ),
    LegalBasis.CONTRACT: (
        _("Contract"),
        _("The files are needed for what the customer asked of you (LGPD art. 7 V; GDPR art. 6 (1) b)."),
    ),
    LegalBasis.LEGITIMATE_INTEREST: (
        _("Legitimate interest"),
        _(
            "Weighed against the customer's rights and written down; not for health data (LGPD art. 7 IX; GDPR art. 6 (1) f)."
        ),
    ),
    LegalBasis.HEALTH_CARE: (
        _("Health care"),
        _(
            "By health professionals and services, for treatment (LGPD art. 7 VIII and 11 II f; GDPR art. 9 (2) h)."
        ),
    ),
    LegalBasis.LEGAL_DUTY: (
        _("Legal duty"),
        _("A law tells you to keep them (LGPD art. 7 II and 11 II a; GDPR art. 6 (1) c)."),
    ),
}


def trouble(code: str, vendor: str) -> str:
    """What went wrong, and what to do, in the reader's language."""
    words = TROUBLES.get(code) or OTHER_TROUBLE
    return str(words) % {"vendor": vendor} if "%(vendor)s" in str(words) else str(words)


def label(kind: str, name: str) -> Words:
    """What a secret of a provider is called; its own name where nobody is ever asked for it."""
    guide = GUIDES.get(kind)
    return guide.fields[name].label if guide and name in guide.fields else name
