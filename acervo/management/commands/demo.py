"""`acervo demo`: the whole product with a simulated WhatsApp number, a simulated HubSpot account and a believable day."""

from __future__ import annotations

import asyncio
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import CommandError, CommandParser
from django.utils.translation import gettext as _

from acervo.checks import OURS
from acervo.govern import connections, crm_access
from acervo.management.command import AcervoCommand, by_command
from acervo.management.commands.serve import is_ready, keep_house, listen
from acervo.models import Connection, Delivery, MediaFile, Member, Role, Workspace
from sandbox.day import play
from sandbox.whatsapp import Phone

EMAIL = "admin@example.com"
WORKSPACE = "Aurora Casa & Telecom"
HUBSPOT_TOKEN = "pat-na1-demo"  # noqa: S105  (of the simulated account)
WITHOUT_TERMINAL_S = 300
"""Nobody can press Ctrl-C there, so the demo ends by itself."""


class Command(AcervoCommand):
    requires_system_checks = (OURS,)  # Django's own would load every page, here where none is shown
    help = "See it work: a simulated WhatsApp number and HubSpot account, and a day in about eighty seconds."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--port", type=int, help="The first free one from 8000 on.")
        parser.add_argument("--pace", type=float, default=1.0, help="0.1 plays the day ten times faster.")
        parser.add_argument(
            "--seconds", type=float, help="End after so long. Default: never in a terminal, else 300."
        )

    def work(self, options: dict[str, Any]) -> None:
        call_command("migrate", verbosity=0, interactive=False)
        address = urlsplit(settings.ACERVO_BASE_URL)
        listener = listen(address.hostname or "127.0.0.1", address.port or 8000)
        password = secrets.token_urlsafe(9)
        workspace = _workspace(password)
        with (
            _sandbox("sandbox.whatsapp") as meta,
            _sandbox("sandbox.hubspot", "--token", HUBSPOT_TOKEN, "--demo") as hubspot,
        ):
            number = _connect(workspace, meta, hubspot)
            keep_house(
                listener, lambda stopping: self._tell(options, number, meta, hubspot, password, stopping)
            )

    def _tell(
        self,
        options: dict[str, Any],
        number: Connection,
        meta: str,
        hubspot: str,
        password: str,
        stopping: threading.Event,
    ) -> None:
        while not is_ready(f"{settings.ACERVO_BASE_URL}/readyz"):
            if stopping.wait(0.2):
                return
        data = {
            "ready": True,
            "url": settings.ACERVO_BASE_URL,
            "email": EMAIL,
            "password": password,
            "hubspot": hubspot,
        }
        self.say(options, data, _WELCOME % data)
        self.stdout.flush()
        seconds = options["seconds"] or (None if sys.stdin.isatty() else WITHOUT_TERMINAL_S)
        try:
            asyncio.run(asyncio.wait_for(self._play(options, number, meta), seconds))
        except TimeoutError:
            self._summarise(options)
        stopping.set()

    async def _play(self, options: dict[str, Any], number: Connection, meta: str) -> None:
        url = connections.webhook_url(number)
        async for happening in play(webhook_url=url, sandbox_url=meta, pace=options["pace"], forever=True):
            if not options["json"]:
                self.stdout.write(f"  {time.strftime('%H:%M:%S')}  {happening}")
                self.stdout.flush()

    def _summarise(self, options: dict[str, Any]) -> None:
        counts = {
            "kept": MediaFile.objects.kept().count(),
            "lost": MediaFile.objects.lost().count(),
            "awaited": MediaFile.objects.awaited().count(),
            "delivered": Delivery.objects.filter(
                delivered_at__isnull=False, connection__removed_at=None
            ).count(),
        }
        words = _(
            "%(kept)d files kept, %(lost)d lost, %(awaited)d awaited; %(delivered)d records in HubSpot."
        )
        self.say(options, counts, words % counts)
        self.stdout.flush()


_WELCOME = """
Acervo is ready.

  Open         %(url)s
  Sign in      %(email)s
  Password     %(password)s      (shown only now)
  HubSpot      %(hubspot)s       (simulated: what your colleagues would see there)

A day of messages begins. Ctrl-C ends everything; the files stay for the next demo.
"""


def _workspace(password: str) -> Workspace:
    """The demo's own, with an administrator whose password is new each time."""
    workspace, _new = Workspace.objects.get_or_create(name=WORKSPACE)
    member = Member.objects.filter(email=EMAIL).first()
    if member is None:
        Member.objects.create_member(workspace, EMAIL, password, Role.ADMINISTRATOR, name="Lia Campos")
    else:
        member.set_password(password)
        member.save(update_fields=["password"])
    return workspace


def _connect(workspace: Workspace, meta: str, hubspot: str) -> Connection:
    """The simulated accounts of this run. Those of an earlier one have forgotten everything and are removed."""
    by = by_command()
    for old in Connection.objects.filter(workspace=workspace, removed_at=None):
        connections.remove(old, by=by)
    phone = Phone()
    number = connections.connect(
        workspace, kind="meta_cloud", name="WhatsApp Suporte", account_id=phone.phone_number_id, by=by, api_base=meta,
        secrets={"token": phone.access_token, "app_secret": phone.app_secret, "verify_token": phone.verify_token},
        options={"waba_id": phone.waba_id},
    )  # fmt: skip
    known = crm_access.tried("hubspot", {"token": HUBSPOT_TOKEN}, hubspot)
    crm_access.connect(workspace, known, name="HubSpot", by=by)
    return number


@contextmanager
def _sandbox(module: str, *arguments: str) -> Iterator[str]:
    """The address of a simulated vendor, in a process of its own that ends with us."""
    process = subprocess.Popen(
        [sys.executable, "-m", module, "--port", "0", *arguments],
        stdout=subprocess.PIPE,
        text=True,
        process_group=0,
    )
    try:
        line = process.stdout.readline() if process.stdout else ""
        url = next((word for word in line.split() if word.startswith("http://")), None)
        if url is None:
            raise CommandError(_("The simulated account did not start: %s") % module)
        yield url.rstrip("/")
    finally:
        process.terminate()
        process.wait(10)
