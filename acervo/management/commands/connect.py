"""`acervo connect`: a WhatsApp account or a CRM, without a browser."""

from __future__ import annotations

import sys
from argparse import BooleanOptionalAction
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from acervo.base import ids
from acervo.base.http import crm_client
from acervo.crms import get as get_crm
from acervo.crms.contract import AccountInfo, CrmCredentials, CrmError
from acervo.crms.salesforce.auth import is_private_key, my_domain
from acervo.crms.zendesk.access import is_subdomain
from acervo.crms.zoho.access import redeem
from acervo.crms.zoho.centres import CENTRES, USUAL
from acervo.deliver import outbox
from acervo.fetch import forgotten
from acervo.govern import connections, registration
from acervo.management.command import AcervoCommand, by_command, wait_for, workspace_named
from acervo.models import Connection
from acervo.providers.twilio.api import ACCOUNT_SID
from acervo.providers.twilio.identity import phone

PASTE = {
    "meta_cloud": gettext_lazy("Paste this webhook address at Meta, with your verify token: %s"),
    "twilio": gettext_lazy(
        "Paste this webhook address at Twilio, as POST, for messages, for statuses and in the debugger: %s"
    ),
    "dialog360": gettext_lazy(
        "Its webhook address, which is a secret and goes to 360dialog by its API alone: %s"
    ),
    "messagebird": gettext_lazy("Its webhook address: %s"),
    "bird": gettext_lazy("Its webhook address: %s"),
}
FROM_STDIN = "`-` reads it from standard input."
TIMEOUT_S = 30.0


class Command(AcervoCommand):
    help = "Connect a WhatsApp account (meta_cloud, twilio, dialog360, messagebird, bird) or a CRM (hubspot, salesforce, zendesk)."
    help = "Connect a WhatsApp account (meta_cloud, twilio, dialog360, messagebird, bird) or a CRM (hubspot, salesforce, zoho)."

    def add_arguments(self, parser: CommandParser) -> None:
        kinds = parser.add_subparsers(dest="kind", required=True, metavar="KIND", parser_class=type(parser))
        meta = kinds.add_parser("meta_cloud", help="A WhatsApp number at Meta's Cloud API.")
        meta.add_argument("--phone-number-id", required=True)
        meta.add_argument("--waba-id", required=True, help="The WhatsApp Business Account.")
        meta.add_argument("--app-secret", required=True, help=FROM_STDIN)
        meta.add_argument("--verify-token", required=True, help=FROM_STDIN)
        meta.add_argument(
            "--no-storage", action="store_true", help="The number keeps files for one hour only."
        )
        twilio = kinds.add_parser("twilio", help="A WhatsApp sender at Twilio.")
        twilio.add_argument("--account-sid", required=True, help="AC…: the account that owns the sender.")
        twilio.add_argument("--number", required=True, help="The sender, e.g. +15555550123.")
        twilio.add_argument("--messaging-service-sid", help="MG…: what we send goes through this service.")
        twilio.add_argument("--api-key-sid", help="SK…: a restricted key, for everything but signatures.")
        twilio.add_argument("--api-key-secret", help=FROM_STDIN)
        twilio.add_argument(
            "--forget",
            action="store_true",
            help="Delete Twilio's copy of a file once ours is proven and stored.",
        )
        twilio.add_argument(
            "--forget-all", action="store_true", help="As --forget, and also of files that arrived damaged."
        )
        dialog360 = kinds.add_parser("dialog360", help="A WhatsApp number at 360dialog.")
        dialog360.add_argument("--phone-number-id", required=True)
        dialog360.add_argument(
            "--no-storage", action="store_true", help="The number keeps files for one hour only."
        )
        messagebird = kinds.add_parser("messagebird", help="A WhatsApp channel at MessageBird.")
        messagebird.add_argument("--channel-id", required=True)
        messagebird.add_argument("--signing-key", required=True, help=f"The account's. {FROM_STDIN}")
        bird = kinds.add_parser("bird", help="A WhatsApp channel at Bird.")
        bird.add_argument("--channel-id", required=True)
        bird.add_argument("--workspace-id", required=True)
        bird.add_argument("--organization-id", required=True)
        bird.add_argument(
            "--signing-key", help=f"Of subscriptions made by hand; else one is made up. {FROM_STDIN}"
        )
        # What needs a secret nobody sees is registered unless told otherwise.
        for sub, is_usual in (
            (meta, False),
            (twilio, False),
            (dialog360, True),
            (messagebird, True),
            (bird, True),
        ):
            sub.add_argument(
                "--register",
                action=BooleanOptionalAction,
                default=is_usual,
                help="Tell the provider our address through its API.",
            )
        hubspot = kinds.add_parser("hubspot", help="A HubSpot account.")
        for sub, default_name in (
            (meta, "WhatsApp"),
            (twilio, "WhatsApp"),
            (dialog360, "WhatsApp"),
            (messagebird, "WhatsApp"),
            (bird, "WhatsApp"),
            (hubspot, "HubSpot"),
        ):
            tokens = {twilio: "--auth-token", dialog360: "--api-key"}
            token = (tokens | dict.fromkeys((messagebird, bird), "--access-key")).get(sub, "--token")
            sub.add_argument(token, required=True, help=FROM_STDIN)
            sub.add_argument("--name", default=default_name)
            sub.add_argument("--workspace")
            sub.add_argument(
                "--api-base", help="Another address of the vendor's API: a gateway or the sandbox."
            )
            sub.add_argument("--json", action="store_true", help="Print data for machines.")
        hubspot.add_argument(
            "--backfill-days", type=int, default=30, help="Also write files of the last days."
        )
        _add_salesforce(kinds.add_parser("salesforce", help="A Salesforce organisation."))
        _add_zendesk(kinds.add_parser("zendesk", help="A Zendesk account."))
        _add_zoho(kinds.add_parser("zoho", help="A Zoho CRM organisation."))

    def work(self, options: dict[str, Any]) -> None:
        made = {
            "meta_cloud": self._meta_cloud,
            "twilio": self._twilio,
            "dialog360": self._dialog360,
            "messagebird": self._messagebird,
            "bird": self._bird,
            "hubspot": self._hubspot,
            "salesforce": self._salesforce,
            "zendesk": self._zendesk,
            "zoho": self._zoho,
        }[options["kind"]](options)
        data = {"id": ids.text(made.pk), "kind": made.kind, "name": made.name, "account_id": made.account_id}
        text = _("Connected %(name)s (%(id)s).") % {"name": made.name, "id": ids.text(made.pk)}
        if made.kind in PASTE:
            url = connections.webhook_url(made)
            data["webhook_url"] = url
            text += "\n" + str(PASTE[made.kind]) % url
        if options.get("register"):
            wait_for(registration.register(made, by_command()))
            text += "\n" + _("Its webhooks come here from now on.")
        self.say(options, data, text)

    def _meta_cloud(self, options: dict[str, Any]) -> Connection:
        return connections.connect(
            workspace_named(options["workspace"]),
            kind="meta_cloud",
            name=options["name"],
            account_id=options["phone_number_id"],
            secrets={name: _secret(options[name]) for name in ("token", "app_secret", "verify_token")},
            options={"waba_id": options["waba_id"], "no_storage": options["no_storage"]},
            api_base=options["api_base"],
            by=by_command(),
        )

    def _twilio(self, options: dict[str, Any]) -> Connection:
        number = phone(options["number"])
        if number is None or not ACCOUNT_SID.fullmatch(options["account_sid"]):
            raise CommandError(
                _("A number looks like +15555550123, an Account SID like AC with 32 hexadecimal digits.")
            )
        names = ("auth_token", "api_key_sid", "api_key_secret")
        secrets = {name: _secret(options[name]) for name in names if options[name]}
        if ("api_key_sid" in secrets) != ("api_key_secret" in secrets):
            raise CommandError(_("An API key is its SID and its secret together."))
        service = options["messaging_service_sid"]
        return connections.connect(
            workspace_named(options["workspace"]),
            kind="twilio",
            name=options["name"],
            account_id=number,
            secrets=secrets,
            options={
                "account_sid": options["account_sid"],
                forgotten.OPTION: forgotten.ALL if options["forget_all"] else options["forget"],
                **({"messaging_service_sid": service} if service else {}),
            },
            api_base=options["api_base"],
            by=by_command(),
        )

    def _dialog360(self, options: dict[str, Any]) -> Connection:
        return connections.connect(
            workspace_named(options["workspace"]),
            kind="dialog360",
            name=options["name"],
            account_id=options["phone_number_id"],
            secrets={"api_key": _secret(options["api_key"])},
            options={"no_storage": options["no_storage"]},
            api_base=options["api_base"],
            by=by_command(),
        )

    def _messagebird(self, options: dict[str, Any]) -> Connection:
        return connections.connect(
            workspace_named(options["workspace"]),
            kind="messagebird",
            name=options["name"],
            account_id=options["channel_id"],
            secrets={name: _secret(options[name]) for name in ("access_key", "signing_key")},
            api_base=options["api_base"],
            by=by_command(),
        )

    def _bird(self, options: dict[str, Any]) -> Connection:
        if not options["register"] and not options["signing_key"]:
            raise CommandError(_("Without registering, give the signing key of your own subscriptions."))
        names = ("access_key", "signing_key")
        return connections.connect(
            workspace_named(options["workspace"]),
            kind="bird",
            name=options["name"],
            account_id=options["channel_id"],
            secrets={name: _secret(options[name]) for name in names if options[name]},
            options={name: options[name] for name in ("workspace_id", "organization_id")},
            api_base=options["api_base"],
            by=by_command(),
        )

    def _hubspot(self, options: dict[str, Any]) -> Connection:
        token = _secret(options["token"])
        workspace = workspace_named(options["workspace"])
        if options["api_base"]:
            connections.refuse_private(options["api_base"])
        account = wait_for(who(options["kind"], token, options["api_base"]))
        made = connections.connect(
            workspace,
            kind="hubspot",
            name=options["name"],
            account_id=account.account_id,
            secrets={"token": token},
            api_base=options["api_base"],
            by=by_command(),
        )
        outbox.backfill(made, by=by_command(), days=options["backfill_days"])
        return made

    def _salesforce(self, options: dict[str, Any]) -> Connection:
        secrets, own = _salesforce_access(options)
        workspace = workspace_named(options["workspace"])
        address = options["api_base"] or my_domain(options["domain"] or "")
        if not address:
            raise CommandError(
                _("My Domain looks like aurora.my.salesforce.com; Setup, My Domain, tells it.")
            )
        connections.refuse_private(address)
        found = CrmCredentials(secrets=secrets, options=own, api_base=address)
        account = wait_for(account_of("salesforce", found))
        if settings.ACERVO_BASE_URL.startswith("https://"):
            own["trusted_url"] = settings.ACERVO_BASE_URL
        made = connections.connect(
            workspace,
            kind="salesforce",
            name=options["name"],
            account_id=account.account_id,
            secrets=secrets,
            options=own,
            api_base=address,
            by=by_command(),
        )
        outbox.backfill(made, by=by_command(), days=options["backfill_days"])
        return made

    def _zendesk(self, options: dict[str, Any]) -> Connection:
        workspace, address = workspace_named(options["workspace"]), options["api_base"]
        secrets, own = _zendesk_access(options)
        if address:
            connections.refuse_private(address)
        account = wait_for(account_of("zendesk", CrmCredentials(secrets, own, address)))
        if account.facts["role"] != "admin":
            raise CommandError(
                _(
                    "This access belongs to a Zendesk user who is not an administrator: "
                    "our fields could not be made, nor notes erased."
                )
            )
        if ends_on := account.facts["access_ends_on"]:
            self.stderr.write(
                _("Zendesk ends all API tokens on %(day)s. Connect with an OAuth client before that day.")
                % {"day": ends_on}
            )
        there = Connection.objects.filter(
            workspace=workspace, kind="zendesk", account_id=account.account_id, removed_at=None
        ).first()
        if there:  # an account moves from its API token to a client
            connections.reconnect(there, secrets, by=by_command())
            return there
        made = connections.connect(
            workspace,
            kind="zendesk",
    def _zoho(self, options: dict[str, Any]) -> Connection:
        workspace = workspace_named(options["workspace"])
        if options["api_base"]:
            connections.refuse_private(options["api_base"])
        secrets = {"client_id": options["client_id"], "client_secret": _secret(options["client_secret"])}
        own = {"data_centre": options["data_centre"]}
        if options["grant_code"]:
            found = CrmCredentials(secrets=secrets, options=own, api_base=options["api_base"])
            secrets["refresh_token"] = wait_for(_redeemed(found, _secret(options["grant_code"])))
        else:
            secrets["refresh_token"] = _secret(options["refresh_token"])
        found = CrmCredentials(secrets=secrets, options=own, api_base=options["api_base"])
        account = wait_for(account_of("zoho", found))
        made = connections.connect(
            workspace,
            kind="zoho",
            name=options["name"],
            account_id=account.account_id,
            secrets=secrets,
            options=own,
            api_base=address,
            api_base=options["api_base"],
            by=by_command(),
        )
        outbox.backfill(made, by=by_command(), days=options["backfill_days"])
        return made


def _add_salesforce(salesforce: CommandParser) -> None:
    salesforce.add_argument("--domain", help="My Domain, e.g. aurora.my.salesforce.com.")
    salesforce.add_argument("--client-id", required=True, help="The consumer key of the External Client App.")
    access = salesforce.add_mutually_exclusive_group(required=True)
    access.add_argument("--client-secret", help=f"For the client credentials flow. {FROM_STDIN}")
    access.add_argument(
        "--key-file", help="For the JWT bearer flow: the private key (PEM) whose certificate the app has."
    )
    salesforce.add_argument("--username", help="With --key-file: the integration user.")
    salesforce.add_argument("--name", default="Salesforce")
    salesforce.add_argument("--workspace")
    salesforce.add_argument("--api-base", help="Another address of the API: a gateway or the sandbox.")
    salesforce.add_argument("--json", action="store_true", help="Print data for machines.")
    salesforce.add_argument(
        "--backfill-days", type=int, default=30, help="Also write files of the last days."
    )


def _salesforce_access(options: dict[str, Any]) -> tuple[dict[str, str], dict[str, Any]]:
    """Secrets, and what is no secret: whose session a key asks for."""
    if not options["key_file"]:
        return {"client_id": options["client_id"], "client_secret": _secret(options["client_secret"])}, {}
    if not options["username"]:
        raise CommandError(_("With a key file, say with --username whose session it asks for."))
    try:
        key = Path(options["key_file"]).read_text("ascii")
    except (OSError, ValueError) as error:
        raise CommandError(_("The key file cannot be read.")) from error
    if not is_private_key(key):
        raise CommandError(_("The key file holds no private key in PEM."))
    return {"client_id": options["client_id"], "client_secret": key}, {"username": options["username"]}


def _add_zendesk(zendesk: CommandParser) -> None:
    zendesk.add_argument("--subdomain", required=True, help="The part before .zendesk.com, e.g. aurora.")
    zendesk.add_argument("--client-id", help="The OAuth client's identifier.")
    zendesk.add_argument(
        "--email", help="Instead of a client: whose API token it is. They end in April 2027."
    )
    zendesk.add_argument("--secret", required=True, help=f"Of the client, or the API token. {FROM_STDIN}")
    zendesk.add_argument("--name", default="Zendesk")
    zendesk.add_argument("--workspace")
    zendesk.add_argument("--api-base", help="Another address of the API: a gateway or the sandbox.")
    zendesk.add_argument("--json", action="store_true", help="Print data for machines.")
    zendesk.add_argument("--backfill-days", type=int, default=30, help="Also write files of the last days.")


def _zendesk_access(options: dict[str, Any]) -> tuple[dict[str, str], dict[str, Any]]:
    """Secrets, and what is no secret: which account it is."""
    if not is_subdomain(options["subdomain"]):
        raise CommandError(_("The subdomain is the part before .zendesk.com, for example aurora."))
    if bool(options["client_id"]) == bool(options["email"]):
        raise CommandError(
            _("Give the identifier of an OAuth client, or the e-mail address of an API token.")
        )
    of = {name: options[name] for name in ("client_id", "email") if options[name]}
    return {"secret": _secret(options["secret"]), **of}, {"subdomain": options["subdomain"]}
def _add_zoho(zoho: CommandParser) -> None:
    zoho.add_argument("--client-id", required=True, help="Of the Self Client in Zoho's API console.")
    zoho.add_argument("--client-secret", required=True, help=FROM_STDIN)
    grant = zoho.add_mutually_exclusive_group(required=True)
    grant.add_argument("--grant-code", help=f"From the API console: good for minutes, and once. {FROM_STDIN}")
    grant.add_argument("--refresh-token", help=f"Where you have one already. {FROM_STDIN}")
    zoho.add_argument(
        "--data-centre",
        choices=sorted(CENTRES),
        default=USUAL,
        help="Where the organisation lives: the end of the address you sign in at.",
    )
    zoho.add_argument("--name", default="Zoho CRM")
    zoho.add_argument("--workspace")
    zoho.add_argument("--api-base", help="Another address of the vendor's API: a gateway or the sandbox.")
    zoho.add_argument("--json", action="store_true", help="Print data for machines.")
    zoho.add_argument("--backfill-days", type=int, default=30, help="Also write files of the last days.")


async def who(kind: str, token: str, api_base: str | None) -> AccountInfo:
    """The account behind a token: told to the person, so that nobody writes into the wrong one."""
    return await account_of(kind, CrmCredentials(secrets={"token": token}, api_base=api_base))


async def account_of(kind: str, credentials: CrmCredentials) -> AccountInfo:
    """The same for a CRM whose access is more than a token."""
    async with crm_client(settings.ACERVO_ALLOW_PRIVATE_HOSTS, timeout_s=TIMEOUT_S) as http:
        try:
            return await get_crm(kind)(credentials, http).check()
        except CrmError as error:
            raise CommandError(_("The CRM refused: %s") % error) from error


async def _redeemed(credentials: CrmCredentials, code: str) -> str:
    async with crm_client(settings.ACERVO_ALLOW_PRIVATE_HOSTS, timeout_s=TIMEOUT_S) as http:
        try:
            return await redeem(credentials, http, code)
        except CrmError as error:
            raise CommandError(_("The CRM refused: %s") % error) from error


def _secret(given: str) -> str:
    return sys.stdin.readline().strip() if given == "-" else given
