"""`python -m sandbox.salesforce --port 0 --client-id … --client-secret …`: a simulated organisation; prints its URL."""

from __future__ import annotations

import argparse
import socket

import uvicorn

from sandbox.salesforce.app import app
from sandbox.salesforce.org import create_org


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m sandbox.salesforce", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--client-id", required=True)
    parser.add_argument("--client-secret", required=True)
    parser.add_argument(
        "--no-custom-objects", action="store_true", help="an edition where files become tasks"
    )
    parser.add_argument("--session-s", type=float, default=7200.0, help="how long a token lives")
    parser.add_argument("--search-lag-s", type=float, default=3.0)
    parser.add_argument("--demo", action="store_true", help="start with a few contacts")
    options = parser.parse_args()
    org = create_org(
        options.client_id,
        options.client_secret,
        custom_objects=not options.no_custom_objects,
        search_lag_s=options.search_lag_s,
        session_s=options.session_s,
    )
    if options.demo:
        org.add("Contact", FirstName="Ana", LastName="Souza", Phone="(11) 5555-0101")
        org.add("Contact", FirstName="Bruno", LastName="Lima", MobilePhone="+55 11 5555-0102")
    listener = socket.create_server((options.host, options.port))
    print(f"http://{options.host}:{listener.getsockname()[1]}", flush=True)  # noqa: T201
    uvicorn.Server(uvicorn.Config(app(org), log_level="warning", access_log=False)).run(sockets=[listener])


if __name__ == "__main__":
    main()
