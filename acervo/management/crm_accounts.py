"""`acervo connect`, the half of the CRMs: what each is asked for, and the account that answers to it."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from django.core.management.base import CommandError, CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from acervo import journey
from acervo.base.signing import new_secret
from acervo.crms.asked import Unfit
from acervo.crms.contract import AccountInfo, CrmError
from acervo.crms.webhook.asked import PER_CALL
from acervo.crms.zoho.centres import CENTRES, USUAL
from acervo.deliver.backfill import NothingToBackfill
from acervo.govern import connections, crm_access
from acervo.govern.crm_access import Known
from acervo.management.command import by_command, workspace_named
from acervo.models import Connection
from acervo.organise.address import since

FROM_STDIN: Final = "`-` reads it from standard input."

Warn = Callable[[str], object]


@dataclass(frozen=True, slots=True)
class Asked:
    """One CRM at the command line."""

    name: str
    what: str
    add_arguments: Callable[[CommandParser], None]
    values: Callable[[Mapping[str, Any], Warn], Mapping[str, str]]
    """What is asked for, from parsed options; what a person must see at once goes to `warn`. Raises CommandError."""
    warn: Callable[[AccountInfo, Warn], None] = lambda account, warn: None
    """Of what will not do for long."""
    has_api_base: bool = True
    """Whether its API may live elsewhere."""
    is_renewed: bool = False
    """Connecting an account that is connected gives it new secrets: it moves from one kind of access to another."""


def add(kinds: Any) -> None:
    """A sub-command for every CRM."""
    for kind, asked in ASKED.items():
        parser = kinds.add_parser(kind, help=asked.what)
        asked.add_arguments(parser)
        parser.add_argument("--name", default=asked.name)
        parser.add_argument("--workspace")
        if asked.has_api_base:
            parser.add_argument(
                "--api-base", help="Another address of the vendor's API: a gateway or the sandbox."
            )
        parser.add_argument("--json", action="store_true", help="Print data for machines.")
        parser.add_argument(
            "--backfill-days", type=int, default=30, help="Also write files of the last days."
        )


def connect(kind: str, options: Mapping[str, Any], warn: Warn) -> Connection:
    """Raises CommandError, and what `govern.connections.connect` raises."""
    asked = ASKED[kind]
    workspace = workspace_named(options["workspace"])
    known = _known(kind, asked.values(options, warn), options.get("api_base"))
    asked.warn(known.account, warn)
    there = Connection.objects.filter(
        workspace=workspace, kind=kind, account_id=known.account.account_id, removed_at=None
    ).first()
    if there and asked.is_renewed:
        connections.reconnect(there, known.access.secrets, by=by_command())
        return there
    made = crm_access.connect(workspace, known, name=options["name"], by=by_command())
    with contextlib.suppress(NothingToBackfill):
        journey.backfill(made, query=since(days=options["backfill_days"]), by=by_command())
    return made


def _known(kind: str, values: Mapping[str, str], api_base: str | None) -> Known:
    """The account behind an access: told to the person, so that nobody writes into the wrong one."""
    try:
        return crm_access.tried(kind, values, api_base)
    except Unfit as error:
        raise CommandError(str(UNFIT[error.code])) from error
    except CrmError as error:
        raise CommandError(_("The CRM refused: %s") % error) from error


UNFIT: Final = {
    "no_address": gettext_lazy(
        "This is no address that can be called: write all of it, such as https://crm.example.com/acervo."
    ),
    "no_signing_secret": gettext_lazy(
        "A signing secret begins with whsec_ and holds 24 to 64 bytes in base64."
    ),
    "no_my_domain": gettext_lazy(
        "My Domain looks like aurora.my.salesforce.com; Setup, My Domain, tells it."
    ),
    "no_private_key": gettext_lazy("The key file holds no private key in PEM."),
    "no_subdomain": gettext_lazy("The subdomain is the part before .zendesk.com, for example aurora."),
    "not_an_administrator": gettext_lazy(
        "This access belongs to a Zendesk user who is not an administrator: "
        "our fields could not be made, nor notes erased."
    ),
}


def secret(given: str) -> str:
    return sys.stdin.readline().strip() if given == "-" else given


# ── HubSpot ──


def _ask_hubspot(parser: CommandParser) -> None:
    parser.add_argument("--token", required=True, help=FROM_STDIN)


def _hubspot(options: Mapping[str, Any], warn: Warn) -> Mapping[str, str]:
    return {"token": secret(options["token"])}


# ── Salesforce ──


def _ask_salesforce(parser: CommandParser) -> None:
    parser.add_argument("--domain", help="My Domain, e.g. aurora.my.salesforce.com.")
    parser.add_argument("--client-id", required=True, help="The consumer key of the External Client App.")
    access = parser.add_mutually_exclusive_group(required=True)
    access.add_argument("--client-secret", help=f"For the client credentials flow. {FROM_STDIN}")
    access.add_argument(
        "--key-file", help="For the JWT bearer flow: the private key (PEM) whose certificate the app has."
    )
    parser.add_argument("--username", help="With --key-file: the integration user.")


def _salesforce(options: Mapping[str, Any], warn: Warn) -> Mapping[str, str]:
    common = {"domain": options["domain"] or "", "client_id": options["client_id"]}
    if not options["key_file"]:
        return {**common, "client_secret": secret(options["client_secret"])}
    if not options["username"]:
        raise CommandError(_("With a key file, say with --username whose session it asks for."))
    try:
        key = Path(options["key_file"]).read_text("ascii")
    except (OSError, ValueError) as error:
        raise CommandError(_("The key file cannot be read.")) from error
    return {**common, "key": key, "username": options["username"]}


# ── Zendesk ──


def _ask_zendesk(parser: CommandParser) -> None:
    parser.add_argument("--subdomain", required=True, help="The part before .zendesk.com, e.g. aurora.")
    parser.add_argument("--client-id", help="The OAuth client's identifier.")
    parser.add_argument("--email", help="Instead of a client: whose API token it is. They end in April 2027.")
    parser.add_argument("--secret", required=True, help=FROM_STDIN)


def _zendesk(options: Mapping[str, Any], warn: Warn) -> Mapping[str, str]:
    if bool(options["client_id"]) == bool(options["email"]):
        raise CommandError(
            _("Give the identifier of an OAuth client, or the e-mail address of an API token.")
        )
    given = {name: options[name] for name in ("client_id", "email") if options[name]}
    return {"subdomain": options["subdomain"], "secret": secret(options["secret"]), **given}


def _warn_zendesk(account: AccountInfo, warn: Warn) -> None:
    if ends_on := account.facts["access_ends_on"]:
        warn(
            _("Zendesk ends all API tokens on %(day)s. Connect with an OAuth client before that day.")
            % {"day": ends_on}
        )


# ── Zoho ──


def _ask_zoho(parser: CommandParser) -> None:
    parser.add_argument("--client-id", required=True, help="Of the Self Client in Zoho's API console.")
    parser.add_argument("--client-secret", required=True, help=FROM_STDIN)
    grant = parser.add_mutually_exclusive_group(required=True)
    grant.add_argument("--grant-code", help=f"From the API console: good for minutes, and once. {FROM_STDIN}")
    grant.add_argument("--refresh-token", help=f"Where you have one already. {FROM_STDIN}")
    parser.add_argument(
        "--data-centre",
        choices=sorted(CENTRES),
        default=USUAL,
        help="Where the organisation lives: the end of the address you sign in at.",
    )


def _zoho(options: Mapping[str, Any], warn: Warn) -> Mapping[str, str]:
    grant = "grant_code" if options["grant_code"] else "refresh_token"
    return {
        "data_centre": options["data_centre"],
        "client_id": options["client_id"],
        "client_secret": secret(options["client_secret"]),
        grant: secret(options[grant]),
    }


# ── a system of one's own ──


def _ask_webhook(parser: CommandParser) -> None:
    parser.add_argument("--url", required=True, help="Where your system takes JSON by POST.")
    parser.add_argument(
        "--secret-stdin",
        action="store_true",
        help="Read the signing secret (whsec_…) from standard input; without it one is made and printed once.",
    )
    parser.add_argument("--per-call", choices=PER_CALL, default=PER_CALL[0], help="Files in a message.")


def _webhook(options: Mapping[str, Any], warn: Warn) -> Mapping[str, str]:
    """A new secret is said before it is tried: the other side needs it to answer."""
    if options["secret_stdin"]:
        signs = secret("-")
    else:
        signs = new_secret()
        warn(
            _(
                "The signing secret, shown this once: %s\n"
                "If your system refuses the ping because it has another one, give it this, and connect again with --secret-stdin."
            )
            % signs
        )
    return {"url": options["url"], "secret": signs, "per_call": options["per_call"]}


ASKED: Final = {
    "hubspot": Asked("HubSpot", "A HubSpot account.", _ask_hubspot, _hubspot),
    "salesforce": Asked("Salesforce", "A Salesforce organisation.", _ask_salesforce, _salesforce),
    "zoho": Asked("Zoho CRM", "A Zoho CRM organisation.", _ask_zoho, _zoho),
    "zendesk": Asked("Zendesk", "A Zendesk account.", _ask_zendesk, _zendesk, _warn_zendesk, is_renewed=True),
    "webhook": Asked(
        "Webhook",
        "A system of your own, behind one address.",
        _ask_webhook,
        _webhook,
        has_api_base=False,
        is_renewed=True,
    ),
}
