"""`python -m sandbox.hubspot --port 0 --token …`: a simulated account on this machine; prints its URL."""

from __future__ import annotations

import argparse
import socket

import uvicorn

from sandbox.hubspot.account import create_account
from sandbox.hubspot.app import app


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m sandbox.hubspot", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--token", required=True)
    parser.add_argument("--no-custom-objects", action="store_true", help="a plan below Enterprise")
    parser.add_argument("--search-lag-s", type=float, default=3.0)
    parser.add_argument("--demo", action="store_true", help="start with a few contacts")
    options = parser.parse_args()
    account = create_account(
        options.token, custom_objects=not options.no_custom_objects, search_lag_s=options.search_lag_s
    )
    if options.demo:
        account.add_contact(firstname="Ana", lastname="Souza", phone="(11) 5555-0101")
        account.add_contact(firstname="Bruno", lastname="Lima", mobilephone="+55 11 5555-0102")
    listener = socket.create_server((options.host, options.port))
    print(f"http://{options.host}:{listener.getsockname()[1]}", flush=True)  # noqa: T201
    config = uvicorn.Config(app(account), log_level="warning", access_log=False)
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
