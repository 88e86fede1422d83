"""`acervo createadmin`: a workspace and the person who administers it."""

from __future__ import annotations

import secrets
import sys
from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import CommandError, CommandParser
from django.core.validators import validate_email
from django.db import transaction
from django.utils.translation import gettext as _

from acervo.management.command import AcervoCommand, by_command
from acervo.models import AuditEntry, Deed, Member, Role, Workspace


class Command(AcervoCommand):
    help = "Make an administrator, and the workspace if there is none of that name. Without a password one is made up and printed once."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--email", required=True)
        parser.add_argument("--name", default="")
        parser.add_argument("--workspace", default="Acervo")
        parser.add_argument(
            "--password-stdin", action="store_true", help="Read the password from standard input."
        )

    def work(self, options: dict[str, Any]) -> None:
        email = options["email"].strip()
        password = sys.stdin.readline().rstrip("\n") if options["password_stdin"] else None
        try:
            validate_email(email)
            if password is not None:
                validate_password(password)
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from error
        if Member.objects.filter(email__iexact=email).exists():
            raise CommandError(_("There is a member with this e-mail address already."))
        made_up = password is None
        password = password or secrets.token_urlsafe(12)
        with transaction.atomic():
            workspace, _new = Workspace.objects.get_or_create(name=options["workspace"])
            member = Member.objects.create_member(
                workspace, email, password, Role.ADMINISTRATOR, name=options["name"]
            )
            deed = Deed("member.made", "member", member.pk, Role.ADMINISTRATOR)
            AuditEntry.objects.record(workspace.pk, by_command(), [deed])
        data = {"email": email, "workspace": workspace.name} | ({"password": password} if made_up else {})
        lines = [
            _("Administrator %(email)s of %(workspace)s.") % {"email": email, "workspace": workspace.name}
        ]
        if made_up:
            lines.append(_("Password (shown only now): %s") % password)
        self.say(options, data, "\n".join(lines))
