"""What our commands share: `--json`, an author for the audit trail, errors as one sentence and exit code 1."""

from __future__ import annotations

import asyncio
import getpass
import json
from collections.abc import Coroutine
from typing import Any, Literal, TypeVar

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.translation import gettext as _

from acervo.base.errors import AcervoError
from acervo.keep import storage
from acervo.models import Workspace

T = TypeVar("T")


class AcervoCommand(BaseCommand):
    """Works without a terminal. Subclasses implement `work`."""

    requires_system_checks: list[str] | tuple[str, ...] | Literal["__all__"] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="Print data for machines.")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            self.work(options)
        except AcervoError as error:
            raise CommandError(str(error)) from error

    def work(self, options: dict[str, Any]) -> None:
        raise NotImplementedError

    def say(self, options: dict[str, Any], data: Any, text: str) -> None:
        """The same answer for a machine or for a person."""
        self.stdout.write(json.dumps(data, ensure_ascii=False, default=str) if options.get("json") else text)


def by_command() -> str:
    """The author of what a command does."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):
        user = "unknown"
    return f"command:{user}"[:64]


def workspace_named(name: str | None) -> Workspace:
    """The workspace of that name, or the only one. Raises CommandError."""
    found = list(Workspace.objects.filter(name=name) if name else Workspace.objects.all()[:2])
    if len(found) == 1:
        return found[0]
    if not found:
        raise CommandError(_("There is no such workspace. `acervo createadmin` makes one."))
    raise CommandError(_("There are several workspaces: name one with --workspace."))


def wait_for(work: Coroutine[Any, Any, T]) -> T:
    """Run async work to its end, and let the object store settle."""

    async def settled() -> T:
        try:
            return await work
        finally:
            await storage.configured().settle()

    return asyncio.run(settled())
