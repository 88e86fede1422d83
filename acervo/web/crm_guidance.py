"""What the pages say about each CRM: what to prepare there, under the names its own menus have, and how values look."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from django.utils.translation import gettext_lazy as _

from acervo.crms.contract import CrmErrorKind
from acervo.web import words
from acervo.web.guidance import Field
from acervo.web.words import Words


@dataclass(frozen=True, slots=True)
class Guide:
    """One CRM, in the words of somebody who has done it before."""

    name: str
    about: Words
    needs: Words
    minutes: int
    fields: Mapping[str, Field]
    steps: tuple[Words, ...]
    console: str = ""
    scopes: tuple[str, ...] = ()
    """To be ticked or pasted there, as the vendor spells them."""
    scopes_are_one_line: bool = False
    note: Words = ""
    makes: Words = ""
    """What appears in it, in a sentence."""
    title: Words = ""
    """Of the first page, where "Your account at …" would be wrong."""
    lead: Words = ""
    choices: Mapping[str, Words] = field(default_factory=dict)
    """How choices are shown, where not as they are."""
    refusals: Mapping[str, Words] = field(default_factory=dict)
    """What a refusal means here: by its own code, or by its kind."""


_SECRET_WRONG = _("This has no spaces or line breaks. Paste it once more.")
_ID_WRONG = _("This has letters, digits, dots and hyphens only. Copy it once more.")

DATA_CENTRES: Final[Mapping[str, str]] = {
    "us": "zoho.com", "eu": "zoho.eu", "in": "zoho.in", "au": "zoho.com.au", "jp": "zoho.jp",
    "cn": "zoho.com.cn", "ca": "zohocloud.ca", "sa": "zoho.sa",
}  # fmt: skip

GUIDES: Final[Mapping[str, Guide]] = {
    "hubspot": Guide(
        name="HubSpot",
        about=_("Contacts, deals and tickets. Files become records of their own in Enterprise, notes elsewhere."),
        needs=_("Super admin rights in the portal, to make a service key or a private project app."),
        minutes=5,
        fields={
            "token": Field(
                _("Access token"),
                _("A service key, or the static token of a private project app. It often begins with pat-."),
                _SECRET_WRONG,
            ),
        },
        steps=(
            _("In HubSpot, open Settings, Integrations, Service keys; or your private project app under Development."),
            _("Make a key for Acervo alone and give it the scopes below."),
            _("Copy its token, and paste it here."),
        ),
        console="https://app.hubspot.com/",
        scopes=(
            "crm.objects.contacts.read",
            "crm.objects.contacts.write",
            "crm.schemas.contacts.read",
            "crm.schemas.contacts.write",
            "crm.schemas.custom.read",
            "crm.schemas.custom.write",
            "crm.objects.custom.read",
            "crm.objects.custom.write",
            "crm.objects.deals.read",
            "tickets",
        ),
        note=_(
            "The scopes with “custom” exist in Enterprise only; leave them out elsewhere, and files become notes."
        ),
        makes=_("A group of fields on contacts and, in Enterprise, an object with a record for each file."),
    ),
    "salesforce": Guide(
        name="Salesforce",
        about=_("Contacts, opportunities, cases and campaigns. Files become records of an object of their own."),
        needs=_("An edition with the REST API, a user for Acervo alone, and the right to make an External Client App."),
        minutes=20,
        fields={
            "domain": Field(
                _("My Domain"),
                _("Under Setup, My Domain; such as aurora.my.salesforce.com. A sandbox has its own."),
                _("My Domain looks like aurora.my.salesforce.com."),
            ),
            "client_id": Field(_("Consumer key"), _("Of the External Client App."), _SECRET_WRONG),
            "client_secret": Field(
                _("Consumer secret"), _("For the client credentials flow: beside the consumer key."), _SECRET_WRONG
            ),
            "key": Field(
                _("Private key"),
                _("For the JWT bearer flow: the key whose certificate the app has, with its first and its last line."),
                _("This holds no private key in PEM. Paste all of it, with its first and its last line."),
            ),
            "username": Field(
                _("The integration user's name"),
                _("With a private key only; it looks like an e-mail address."),
                _SECRET_WRONG,
            ),
        },
        steps=(
            _("Under Setup, Users: make a user for Acervo alone; the licence Salesforce Integration is enough."),
            _("For the first connection give it Customize Application and Modify Metadata Through Metadata API Functions in a permission set of their own; take it away once the fields are there."),
            _("Under Setup, External Client App Manager: New External Client App; enable OAuth with the scopes below."),
            _("Enable the client credentials flow and, under Policies, let it Run As that user; then copy consumer key and consumer secret."),
        ),
        console="https://login.salesforce.com/",
        scopes=("Manage user data via APIs (api)", "Access the identity URL service (id)"),
        note=_("Who is not seen is not found: where contacts are private, give the user View All and Modify All on contacts."),
        makes=_("In one deployment: the object “WhatsApp media”, six fields on contacts, two permission sets and a trusted address."),
    ),
    "zendesk": Guide(
        name="Zendesk",
        about=_("Customers and tickets. Files become records of an object where the plan has them, internal notes elsewhere."),
        needs=_("An administrator, as whom Acervo acts, and an OAuth client that this user makes."),
        minutes=10,
        fields={
            "subdomain": Field(
                _("Subdomain"),
                _("The part before .zendesk.com; pasting the whole address will do."),
                _("The subdomain is the part before .zendesk.com, for example aurora."),
            ),
            "client_id": Field(_("Identifier of the OAuth client"), _("As you named it."), _ID_WRONG),
            "email": Field(
                _("E-mail address of an API token"),
                _("Only for an old API token; Zendesk ends all of them on 30 April 2027."),
                _("This is no e-mail address."),
            ),
            "secret": Field(_("Client secret or API token"), _("Shown there once, when it is made."), _SECRET_WRONG),
        },
        steps=(
            _("Sign in as the administrator that Acervo shall act as; what it writes bears this name."),
            _("Open Admin Center, Apps and integrations, APIs, OAuth clients, and add one of the kind Confidential."),
            _("Copy its identifier and its secret; the redirect address is not used."),
        ),
        console="https://www.zendesk.com/login/",
        makes=_("Six fields on customers and, where the plan has room, an object with a record for each file."),
    ),
    "zoho": Guide(
        name="Zoho CRM",
        about=_("Contacts, deals, cases and campaigns. Files become records of a module of their own, or notes."),
        needs=_("A user who may customise Zoho CRM, and a Self Client in the API console of your data centre."),
        minutes=10,
        fields={
            "data_centre": Field(
                _("Data centre"),
                _("The end of the address you sign in at: .com, .eu, .in and so on."),
                _("Choose one of these."),
            ),
            "client_id": Field(_("Client ID"), _("Of the Self Client; it begins with 1000."), _ID_WRONG),
            "client_secret": Field(_("Client secret"), _("Beside the client ID."), _SECRET_WRONG),
            "grant_code": Field(
                _("Code"),
                _("From the tab Generate Code, good for ten minutes at most, and once. Make it last."),
                _SECRET_WRONG,
            ),
            "refresh_token": Field(
                _("Refresh token"), _("If you have one already, instead of a code."), _SECRET_WRONG
            ),
        },
        steps=(
            _("Open the API console of your data centre, add a Self Client, and copy its client ID and secret here."),
            _("In the tab Generate Code, paste the scopes below in one line and choose ten minutes."),
            _("Copy the code, and check before the ten minutes are over."),
        ),
        console="https://api-console.zoho.com/",
        choices=DATA_CENTRES,
        scopes=(
            "ZohoCRM.org.READ",
            "ZohoCRM.modules.ALL",
            "ZohoCRM.settings.fields.ALL",
            "ZohoCRM.settings.modules.ALL",
            "ZohoCRM.settings.profiles.READ",
            "ZohoCRM.settings.recycle_bin.ALL",
            "ZohoCRM.coql.READ",
            "ZohoSearch.securesearch.READ",
        ),
        scopes_are_one_line=True,
        note=_("Making the module costs 500 of a day's API credits, once."),
        makes=_("Six fields on contacts and, where the edition has modules of one's own, one with a record for each file."),
    ),
    "webhook": Guide(
        name="Webhook",
        about=_("Any other CRM, or a system of your own: each file is a signed message to one address, with the customer in it."),
        needs=_("An address of your system that takes JSON by POST, and somebody who can write ten lines for it."),
        minutes=15,
        title=_("The address of your system"),
        lead=_("A signed ping goes there at once, and must be answered with 2xx. The secret is sealed, and never shown again; no file goes there yet."),
        fields={
            "url": Field(
                _("Address"),
                _("All of it, with https://, as your system wants it called; at most 200 characters. Without a name and password."),
                _("This is no address that can be called: write all of it, such as https://crm.example.com/acervo."),
            ),
            "secret": Field(
                _("Signing secret"),
                _("We made this one for you: give it to your system before you check. Or put one of your own here: whsec_ and 24 to 64 bytes in base64. It is shown on this page only."),
                _("A signing secret begins with whsec_ and holds 24 to 64 bytes in base64."),
            ),
            "per_call": Field(
                _("Files in a message"),
                _("One is the simplest to take. With several, your system answers for each of them; earlier files go faster so."),
                _("Choose one of these."),
            ),
        },
        choices={"1": _("One"), "20": _("Up to 20"), "100": _("Up to 100")},
        steps=(
            _("Let your system take JSON by POST at an address of its own, and give it the signing secret from this page."),
            _("It verifies the headers webhook-id, webhook-timestamp and webhook-signature over the raw body: the scheme Standard Webhooks, for which most languages have a library."),
            _("It keeps each file by its media_id: a file that comes again replaces what was kept. On media.erased it deletes what it has of that id."),
            _("It answers 2xx, also to a type that it does not know, such as ping. An id and a url in the answer become the link to its record."),
        ),
        note=_("For a system that only wants to hear that something happened, make a hook instead: Settings, Hooks."),
        makes=_("Your system needs no fields of ours: each message names the facts of the file and of its customer."),
        refusals={
            "redirected": _("This address leads on to another one. Give the one that it leads to: nothing of a customer is sent on."),
            "gone": _("Your system answered 410: it wants nothing more at this address."),
            "not_there": _("Nothing takes messages at this address: your system answered 404 or 405. Look whether it is written right, takes POST, and is switched on."),
            "no_signing_secret": _("A signing secret begins with whsec_ and holds 24 to 64 bytes in base64."),
            CrmErrorKind.AUTH_REVOKED: _("Your system answered 401. Look whether it has this very secret, and verifies the raw body as it came."),
            CrmErrorKind.FORBIDDEN: _("Your system answered 403: something in front of it may keep us out. Let our messages pass, then check again."),
            CrmErrorKind.VALIDATION: _("Your system refused the ping. A message whose type it does not know is answered with 2xx, too."),
            CrmErrorKind.UNAVAILABLE: _("Your system cannot be reached from here, or answered with an error of its own. Look at the address and at its certificate, then check again."),
        },
    ),
}  # fmt: skip

CONNECTING: Final[Mapping[str, Words]] = {
    CrmErrorKind.AUTH_REVOKED: _(
        "%(vendor)s does not accept this access. Look whether it was copied whole, and is not ended or revoked."
    ),
    CrmErrorKind.AUTH_EXPIRED: _(
        "%(vendor)s says that this access has ended. Make a new one there, and paste it here."
    ),
    CrmErrorKind.FORBIDDEN: _(
        "%(vendor)s knows this access, but it may not do what is needed. Compare its scopes and rights with those named beside."
    ),
    CrmErrorKind.NOT_FOUND: _("There is no such account at %(vendor)s. Look at the address once more."),
    CrmErrorKind.VALIDATION: _(
        "%(vendor)s did not accept a value. A code may have been used already, or the data centre be another one."
    ),
    CrmErrorKind.RATE_LIMITED: _("%(vendor)s asks us to slow down. Try again in a minute."),
    CrmErrorKind.QUOTA_EXHAUSTED: _("The day's allowance at %(vendor)s is used up. Try again tomorrow."),
    CrmErrorKind.UNSUPPORTED: _(
        "This plan of %(vendor)s has no API, or not the parts of it that are needed."
    ),
}
OTHER_TROUBLE: Final[Words] = _(
    "%(vendor)s cannot be reached just now, or did not answer as expected. Try again in a minute."
)
UNFIT: Final[Mapping[str, Words]] = {
    "not_an_administrator": _(
        "This access belongs to a user who is not an administrator: fields could not be made, nor notes erased."
    ),
}


def refused(kind: str, error: str | None, code: str | None = None) -> str:
    """Why looking or making stopped, and what to do; what the CRM itself says (`code`) counts first."""
    own = GUIDES[kind].refusals if kind in GUIDES else {}
    said = own.get(code or "") or own.get(error or "") or CONNECTING.get(error or "") or OTHER_TROUBLE
    return str(said) % {"vendor": vendor(kind)}


def unfit(kind: str, name: str, code: str) -> Words:
    return UNFIT.get(code) or GUIDES[kind].fields[name].wrong


def vendor(kind: str) -> str:
    guide = GUIDES.get(kind)
    return guide.name if guide else kind


def label(kind: str, name: str) -> Words:
    guide = GUIDES.get(kind)
    return guide.fields[name].label if guide and name in guide.fields else words.SECRETS.get(name, name)
