"""`acervo audit`: proves that nobody changed the story."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError
from django.utils.translation import gettext as _

from acervo.govern.audit import verify
from acervo.management.command import AcervoCommand
from acervo.models import Workspace


class Command(AcervoCommand):
    help = "Verify the hash chain of every workspace's audit trail; exit code 1 when it is broken."

    def work(self, options: dict[str, Any]) -> None:
        found = {workspace.name: verify(workspace.pk) for workspace in Workspace.objects.all()}
        data = [
            {"workspace": name, "entries": v.entries, "broken_at": v.broken_at} for name, v in found.items()
        ]
        lines = [
            _("%(workspace)s: %(entries)d entries, %(state)s")
            % {
                "workspace": row["workspace"],
                "entries": row["entries"],
                "state": _("unbroken")
                if row["broken_at"] is None
                else _("broken at number %s") % row["broken_at"],
            }
            for row in data
        ]
        self.say(options, data, "\n".join(lines))
        if any(row["broken_at"] is not None for row in data):
            raise CommandError(_("The audit trail was changed outside Acervo."))
