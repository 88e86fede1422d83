"""`acervo connect`: a WhatsApp account or a CRM, without a browser."""

from __future__ import annotations

from argparse import BooleanOptionalAction
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from acervo.base import ids
from acervo.fetch import forgotten
from acervo.govern import connections, registration
from acervo.management import crm_accounts
from acervo.management.command import AcervoCommand, by_command, wait_for, workspace_named
from acervo.management.crm_accounts import FROM_STDIN, secret
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


class Command(AcervoCommand):
    help = "Connect a WhatsApp account, or a CRM."

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
        for sub in (meta, twilio, dialog360, messagebird, bird):
            tokens = {twilio: "--auth-token", dialog360: "--api-key"}
            token = (tokens | dict.fromkeys((messagebird, bird), "--access-key")).get(sub, "--token")
            sub.add_argument(token, required=True, help=FROM_STDIN)
            sub.add_argument("--name", default="WhatsApp")
            sub.add_argument("--workspace")
            sub.add_argument(
                "--api-base", help="Another address of the vendor's API: a gateway or the sandbox."
            )
            sub.add_argument("--json", action="store_true", help="Print data for machines.")
        crm_accounts.add(kinds)

    def work(self, options: dict[str, Any]) -> None:
        if options["kind"] in crm_accounts.ASKED:
            made = crm_accounts.connect(options["kind"], options, self.stderr.write)
        else:
            made = {
                "meta_cloud": self._meta_cloud,
                "twilio": self._twilio,
                "dialog360": self._dialog360,
                "messagebird": self._messagebird,
                "bird": self._bird,
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
            secrets={name: secret(options[name]) for name in ("token", "app_secret", "verify_token")},
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
        secrets = {name: secret(options[name]) for name in names if options[name]}
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
            secrets={"api_key": secret(options["api_key"])},
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
            secrets={name: secret(options[name]) for name in ("access_key", "signing_key")},
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
            secrets={name: secret(options[name]) for name in names if options[name]},
            options={name: options[name] for name in ("workspace_id", "organization_id")},
            api_base=options["api_base"],
            by=by_command(),
        )
