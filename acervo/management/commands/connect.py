"""`acervo connect`: a WhatsApp account or a CRM, without a browser."""

from __future__ import annotations

import sys
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser
from django.utils.translation import gettext as _

from acervo.base import ids
from acervo.base.http import crm_client
from acervo.crms import get as get_crm
from acervo.crms.contract import AccountInfo, CrmCredentials, CrmError
from acervo.deliver import outbox
from acervo.govern import connections
from acervo.management.command import AcervoCommand, by_command, wait_for, workspace_named
from acervo.models import Connection

FROM_STDIN = "`-` reads it from standard input."
TIMEOUT_S = 30.0


class Command(AcervoCommand):
    help = "Connect a WhatsApp account (meta_cloud) or a CRM (hubspot)."

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
        hubspot = kinds.add_parser("hubspot", help="A HubSpot account.")
        for sub, default_name in ((meta, "WhatsApp"), (hubspot, "HubSpot")):
            sub.add_argument("--token", required=True, help=FROM_STDIN)
            sub.add_argument("--name", default=default_name)
            sub.add_argument("--workspace")
            sub.add_argument(
                "--api-base", help="Another address of the vendor's API: a gateway or the sandbox."
            )
            sub.add_argument("--json", action="store_true", help="Print data for machines.")
        hubspot.add_argument(
            "--backfill-days", type=int, default=30, help="Also write files of the last days."
        )

    def work(self, options: dict[str, Any]) -> None:
        made = {"meta_cloud": self._meta_cloud, "hubspot": self._hubspot}[options["kind"]](options)
        data = {"id": ids.text(made.pk), "kind": made.kind, "name": made.name, "account_id": made.account_id}
        text = _("Connected %(name)s (%(id)s).") % {"name": made.name, "id": ids.text(made.pk)}
        if made.kind in ("meta_cloud",):
            url = connections.webhook_url(made)
            data["webhook_url"] = url
            text += "\n" + _("Paste this webhook address at Meta, with your verify token: %s") % url
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


async def who(kind: str, token: str, api_base: str | None) -> AccountInfo:
    """The account behind a token: told to the person, so that nobody writes into the wrong one."""
    async with crm_client(settings.ACERVO_ALLOW_PRIVATE_HOSTS, timeout_s=TIMEOUT_S) as http:
        try:
            return await get_crm(kind)(
                CrmCredentials(secrets={"token": token}, api_base=api_base), http
            ).check()
        except CrmError as error:
            raise CommandError(_("The CRM refused: %s") % error) from error


def _secret(given: str) -> str:
    return sys.stdin.readline().strip() if given == "-" else given
