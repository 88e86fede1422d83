"""`python -m sandbox.zoho --port 0 --refresh-token …`: a simulated organisation on this machine; prints its URL."""

from __future__ import annotations

import argparse
import socket

import uvicorn

from sandbox.zoho.account import create_account
from sandbox.zoho.app import app


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m sandbox.zoho", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--client-id", default="1000.SIMULATED")
    parser.add_argument("--client-secret", default="simulated-secret")
    parser.add_argument("--refresh-token", required=True)
    parser.add_argument("--grant-code", help="a one-time code that buys the refresh token")
    parser.add_argument(
        "--edition", default="enterprise", help="free and standard have no modules of one's own"
    )
    parser.add_argument("--search-lag-s", type=float, default=3.0)
    parser.add_argument("--demo", action="store_true", help="start with a few contacts")
    options = parser.parse_args()
    account = create_account(
        options.refresh_token,
        client=(options.client_id, options.client_secret),
        edition=options.edition,
        search_lag_s=options.search_lag_s,
    )
    if options.grant_code:
        account.grant_codes[options.grant_code] = options.refresh_token
    if options.demo:
        account.add_contact(First_Name="Ana", Last_Name="Souza", Phone="(11) 5555-0101")
        account.add_contact(First_Name="Bruno", Last_Name="Lima", Mobile="+55 11 5555-0102")
    listener = socket.create_server((options.host, options.port))
    print(f"http://{options.host}:{listener.getsockname()[1]}", flush=True)  # noqa: T201
    config = uvicorn.Config(app(account), log_level="warning", access_log=False)
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
