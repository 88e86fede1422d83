"""`python -m sandbox.zendesk --port 0 --secret …`: a simulated account on this machine; prints its URL."""

from __future__ import annotations

import argparse
import socket

import uvicorn

from sandbox.zendesk.account import CLIENT_ID, create_account
from sandbox.zendesk.app import app


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m sandbox.zendesk", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--secret", required=True, help=f"of the OAuth client {CLIENT_ID}")
    parser.add_argument("--no-custom-objects", action="store_true", help="a plan below Suite Team")
    parser.add_argument("--search-lag-s", type=float, default=3.0)
    parser.add_argument("--token-lifetime-s", type=float, default=1800.0)
    parser.add_argument("--demo", action="store_true", help="start with a few customers")
    options = parser.parse_args()
    account = create_account(
        options.secret,
        custom_objects=0 if options.no_custom_objects else 30,
        search_lag_s=options.search_lag_s,
    )
    account.token_lifetime_s = options.token_lifetime_s
    if options.demo:
        account.people.add(name="Ana Souza", phone="(11) 5555-0101")
        bruno = account.people.add(name="Bruno Lima", phone="+55 11 5555-0102")
        account.desk.add(bruno.id, "Entrega atrasada")
    listener = socket.create_server((options.host, options.port))
    print(f"http://{options.host}:{listener.getsockname()[1]}", flush=True)  # noqa: T201
    config = uvicorn.Config(app(account), log_level="warning", access_log=False)
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
