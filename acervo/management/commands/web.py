"""`acervo web`: the web part alone, on an address or on a socket that somebody else opened."""

from __future__ import annotations

from types import FrameType
from typing import Any

import uvicorn
from django.core.management.base import CommandParser

from acervo.management.command import AcervoCommand
from acervo.management.processes import die_with_parent
from acervo.play.live import watch

CLOSE_AFTER_S = 5
"""Open pages listen for news for ever: after this they are cut off, and come back to the next process."""


class Command(AcervoCommand):
    requires_system_checks = "__all__"
    help = "Serve webhooks, playback and pages."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=int, default=8000)
        parser.add_argument("--fd", type=int, help="An open socket instead of host and port.")
        parser.add_argument("--lifeline", type=int, help="A pipe: stop when its other side is gone.")

    def work(self, options: dict[str, Any]) -> None:
        die_with_parent(options["lifeline"])
        config = uvicorn.Config(
            "acervo.asgi:application",
            host=options["host"],
            port=options["port"],
            fd=options["fd"],
            lifespan="on",
            log_config=None,  # its lines go the way of ours, without the values that tracebacks quote
            log_level="warning",
            ws="none",
            access_log=False,
            server_header=False,
            proxy_headers=True,
            timeout_graceful_shutdown=CLOSE_AFTER_S,
            backlog=2048,
        )
        _Server(config).run()


class _Server(uvicorn.Server):
    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        watch.stop()  # streams of open pages end now, instead of holding the process until they are cut off
        super().handle_exit(sig, frame)
