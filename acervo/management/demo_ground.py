"""The ground of `acervo demo`: a data folder, a port and hosts of its own, set before the settings are read."""

from __future__ import annotations

import socket
from collections.abc import MutableMapping, Sequence

from acervo.base.environment import default_data_dir

PORTS = range(8000, 8050)


def lay(environment: MutableMapping[str, str], arguments: Sequence[str]) -> None:
    """Fill in what the operator did not set, so that a demo never touches a real installation."""
    port = _asked_port(arguments) or _free_port()
    environment.setdefault("ACERVO_DATA_DIR", f"{default_data_dir()}-demo")
    environment.setdefault("ACERVO_ALLOW_PRIVATE_HOSTS", "127.0.0.1")
    environment["ACERVO_BASE_URL"] = f"http://127.0.0.1:{port}"


def _asked_port(arguments: Sequence[str]) -> int | None:
    for position, argument in enumerate(arguments):
        value = argument.removeprefix("--port=")
        if argument == "--port" and position + 1 < len(arguments):
            value = arguments[position + 1]
        if argument.startswith("--port") and value.isdigit():
            return int(value) or None
    return None


def _free_port() -> int:
    """The first of PORTS that nobody listens on."""
    for port in PORTS:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    return PORTS.start
