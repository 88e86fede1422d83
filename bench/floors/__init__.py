"""What each measurement is compared with: the same work with nothing around it, in a process of its own."""

from __future__ import annotations

import socket
from typing import Any

import uvicorn


def serve(app: Any, **options: Any) -> None:
    """Under the same server and options as `acervo web`; prints the port first."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    config = uvicorn.Config(
        app, log_level="error", access_log=False, server_header=False, backlog=2048, **options
    )
    uvicorn.Server(config).run(sockets=[listener])
