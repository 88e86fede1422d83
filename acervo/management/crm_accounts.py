"""`acervo connect`, the half of the CRMs: what each is asked for, and the account that answers to it."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.core.management.base import CommandError, CommandParser
from django.utils.translation import gettext as _

from acervo import journey
from acervo.base.http import crm_client
from acervo.crms import get as get_crm
from acervo.crms.contract import AccountInfo, CrmCredentials, CrmError
from acervo.crms.salesforce.auth import is_private_key, my_domain
from acervo.crms.zendesk.access import is_subdomain
from acervo.crms.zoho.access import redeem
from acervo.crms.zoho.centres import CENTRES, USUAL
from acervo.deliver.backfill import NothingToBackfill
from acervo.govern import connections
from acervo.management.command import by_command, wait_for, workspace_named
from acervo.models import Connection
from acervo.organise.address import since

FROM_STDIN: Final = "`-` reads it from standard input."
TIMEOUT_S: Final = 30.0

Warn = Callable[[str], object]


@dataclass(frozen=True, slots=True)
class Access:
    """What a person gave, in the words of the adapter."""

    secrets: dict[str, str] = field(repr=False)
    options: dict[str, Any] = field(default_factory=dict)
    api_base: str | None = None

    def credentials(self) -> CrmCredentials:
        return CrmCredentials(secrets=self.secrets, options=self.options, api_base=self.api_base)


@dataclass(frozen=True, slots=True)
class Asked:
    """One CRM at the command line."""

    name: str
    what: str
    add_arguments: Callable[[CommandParser], None]
    access: Callable[[Mapping[str, Any]], Access]
    """From parsed options. Raises CommandError."""
    accept: Callable[[AccountInfo, Warn], None] = lambda account, warn: None
    """Raises CommandError for an account that would not do; warns of what will not do for long."""
    is_renewed: bool = False
    """Connecting an account that is connected gives it new secrets: it moves from one kind of access to another."""


def add(kinds: Any) -> None:
    """A sub-command for every CRM."""
    for kind, asked in ASKED.items():
        parser = kinds.add_parser(kind, help=asked.what)
        asked.add_arguments(parser)
        parser.add_argument("--name", default=asked.name)
        parser.add_argument("--workspace")
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
    if options["api_base"]:
        connections.refuse_private(options["api_base"])
    access = asked.access(options)
    account = wait_for(account_of(kind, access.credentials()))
    asked.accept(account, warn)
    there = Connection.objects.filter(
        workspace=workspace, kind=kind, account_id=account.account_id, removed_at=None
    ).first()
    if there and asked.is_renewed:
        connections.reconnect(there, access.secrets, by=by_command())
        return there
    made = connections.connect(
        workspace,
        kind=kind,
        name=options["name"],
        account_id=account.account_id,
        secrets=access.secrets,
        options=access.options,
        api_base=access.api_base,
        by=by_command(),
    )
    with contextlib.suppress(NothingToBackfill):
        journey.backfill(made, query=since(days=options["backfill_days"]), by=by_command())
    return made


async def account_of(kind: str, credentials: CrmCredentials) -> AccountInfo:
    """The account behind an access: told to the person, so that nobody writes into the wrong one."""
    async with crm_client(settings.ACERVO_ALLOW_PRIVATE_HOSTS, timeout_s=TIMEOUT_S) as http:
        try:
            return await get_crm(kind)(credentials, http).check()
        except CrmError as error:
            raise CommandError(_("The CRM refused: %s") % error) from error


def secret(given: str) -> str:
    return sys.stdin.readline().strip() if given == "-" else given


# ── HubSpot ──


def _ask_hubspot(parser: CommandParser) -> None:
    parser.add_argument("--token", required=True, help=FROM_STDIN)


def _hubspot(options: Mapping[str, Any]) -> Access:
    return Access({"token": secret(options["token"])}, api_base=options["api_base"])


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


def _salesforce(options: Mapping[str, Any]) -> Access:
    secrets, own = _salesforce_secrets(options)
    address = options["api_base"] or my_domain(options["domain"] or "")
    if not address:
        raise CommandError(_("My Domain looks like aurora.my.salesforce.com; Setup, My Domain, tells it."))
    connections.refuse_private(address)
    if settings.ACERVO_BASE_URL.startswith("https://"):
        own["trusted_url"] = settings.ACERVO_BASE_URL
    return Access(secrets, own, address)


def _salesforce_secrets(options: Mapping[str, Any]) -> tuple[dict[str, str], dict[str, Any]]:
    """Secrets, and what is no secret: whose session a key asks for."""
    if not options["key_file"]:
        return {"client_id": options["client_id"], "client_secret": secret(options["client_secret"])}, {}
    if not options["username"]:
        raise CommandError(_("With a key file, say with --username whose session it asks for."))
    try:
        key = Path(options["key_file"]).read_text("ascii")
    except (OSError, ValueError) as error:
        raise CommandError(_("The key file cannot be read.")) from error
    if not is_private_key(key):
        raise CommandError(_("The key file holds no private key in PEM."))
    return {"client_id": options["client_id"], "client_secret": key}, {"username": options["username"]}


# ── Zendesk ──


def _ask_zendesk(parser: CommandParser) -> None:
    parser.add_argument("--subdomain", required=True, help="The part before .zendesk.com, e.g. aurora.")
    parser.add_argument("--client-id", help="The OAuth client's identifier.")
    parser.add_argument("--email", help="Instead of a client: whose API token it is. They end in April 2027.")
    parser.add_argument("--secret", required=True, help=FROM_STDIN)


def _zendesk(options: Mapping[str, Any]) -> Access:
    if not is_subdomain(options["subdomain"]):
        raise CommandError(_("The subdomain is the part before .zendesk.com, for example aurora."))
    if bool(options["client_id"]) == bool(options["email"]):
        raise CommandError(
            _("Give the identifier of an OAuth client, or the e-mail address of an API token.")
        )
    given = {name: options[name] for name in ("client_id", "email") if options[name]}
    secrets = {"secret": secret(options["secret"]), **given}
    return Access(secrets, {"subdomain": options["subdomain"]}, options["api_base"])


def _accept_zendesk(account: AccountInfo, warn: Warn) -> None:
    if account.facts["role"] != "admin":
        raise CommandError(
            _(
                "This access belongs to a Zendesk user who is not an administrator: "
                "our fields could not be made, nor notes erased."
            )
        )
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


def _zoho(options: Mapping[str, Any]) -> Access:
    secrets = {"client_id": options["client_id"], "client_secret": secret(options["client_secret"])}
    own, address = {"data_centre": options["data_centre"]}, options["api_base"]
    if options["grant_code"]:
        code = secret(options["grant_code"])
        secrets["refresh_token"] = wait_for(_redeemed(Access(secrets, own, address).credentials(), code))
    else:
        secrets["refresh_token"] = secret(options["refresh_token"])
    return Access(secrets, own, address)


async def _redeemed(credentials: CrmCredentials, code: str) -> str:
    async with crm_client(settings.ACERVO_ALLOW_PRIVATE_HOSTS, timeout_s=TIMEOUT_S) as http:
        try:
            return await redeem(credentials, http, code)
        except CrmError as error:
            raise CommandError(_("The CRM refused: %s") % error) from error


ASKED: Final = {
    "hubspot": Asked("HubSpot", "A HubSpot account.", _ask_hubspot, _hubspot),
    "salesforce": Asked("Salesforce", "A Salesforce organisation.", _ask_salesforce, _salesforce),
    "zoho": Asked("Zoho CRM", "A Zoho CRM organisation.", _ask_zoho, _zoho),
    "zendesk": Asked(
        "Zendesk", "A Zendesk account.", _ask_zendesk, _zendesk, _accept_zendesk, is_renewed=True
    ),
}
