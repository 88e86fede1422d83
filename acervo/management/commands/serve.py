"""`acervo serve`: everything on one machine, one port."""

from __future__ import annotations

import signal
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import CommandError, CommandParser
from django.utils.translation import gettext as _

from acervo.checks import OURS
from acervo.management.command import AcervoCommand
from acervo.management.processes import die_with_parent, household

WORKERS = (
    ("capture", "capture,tick"),
    ("preparation", "prepare,deliver"),
    ("background", "transcribe,bulk"),
)
"""Capture has workers of its own: no amount of preparation or delivery may delay a deadline. Nor may an hour-long
transcript or a remake of the whole archive delay what arrives."""


class Command(AcervoCommand):
    requires_system_checks = (OURS,)  # Django's own would load every page, here where none is shown
    help = "Run database, web and workers; restart what dies; stop cleanly."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=int, default=8000)
        parser.add_argument("--lifeline", type=int, help="A pipe: stop when its other side is gone.")

    def work(self, options: dict[str, Any]) -> None:
        die_with_parent(options["lifeline"])
        call_command("migrate", verbosity=0, interactive=False)
        listener = listen(options["host"], options["port"])
        host, port = listener.getsockname()[:2]
        keep_house(listener, lambda stopping: self._announce(options, host, port, stopping))

    def _announce(self, options: dict[str, Any], host: str, port: int, stopping: threading.Event) -> None:
        """One line, once everything answers."""
        address = f"http://{'127.0.0.1' if host in ('0.0.0.0', '::') else host}:{port}"  # noqa: S104
        while not stopping.is_set():
            if is_ready(f"{address}/readyz"):
                self.say(options, {"ready": True, "url": address}, _("Acervo is ready at %s") % address)
                self.stdout.flush()
                return
            time.sleep(0.2)


def keep_house(listener: socket.socket, tell: Callable[[threading.Event], None]) -> None:
    """Run database, web and workers behind an open socket until a signal comes. `tell` runs beside them, in a thread,
    and is handed the event that ends everything: it may watch it, or set it."""
    home = household(listener.fileno(), workers=WORKERS)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: home.stopping.set())
    threading.Thread(target=tell, args=(home.stopping,), daemon=True).start()
    over = threading.Event()
    keeper = _keep_database(over)
    try:
        home.run()
    finally:
        over.set()
        keeper.join()
        if settings.EMBEDDED is not None:
            settings.EMBEDDED.stop()


def listen(host: str, port: int) -> socket.socket:
    """The socket stays open while the web process is restarted: callers wait a moment instead of being refused."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        raise CommandError(
            f"Cannot listen on {host}:{port}: {error.strerror}. Choose another with --port."
        ) from error
    listener.listen(2048)
    listener.set_inheritable(True)
    return listener


def _keep_database(over: threading.Event) -> threading.Thread:
    def keep() -> None:
        if settings.EMBEDDED is not None:
            settings.EMBEDDED.supervise(over)

    keeper = threading.Thread(target=keep, name="database", daemon=True)
    keeper.start()
    return keeper


def is_ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310  (our own address)
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
