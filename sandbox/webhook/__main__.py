"""`python -m sandbox.webhook --port 0 --secret whsec_…`: a simulated receiver on this machine; prints its URL."""

from __future__ import annotations

import argparse
import socket

import uvicorn

from sandbox.webhook.app import PATH, app
from sandbox.webhook.receiver import create_receiver


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m sandbox.webhook", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--secret", required=True, help="as Acervo shows it: whsec_…")
    parser.add_argument("--silent", action="store_true", help="answer 2xx and nothing else, as most do")
    parser.add_argument("--per-10-s", type=int, default=150)
    options = parser.parse_args()
    is_open = not options.silent
    receiver = create_receiver(options.secret, per_10_s=options.per_10_s, tells=is_open, talks=is_open)
    listener = socket.create_server((options.host, options.port))
    print(f"http://{options.host}:{listener.getsockname()[1]}{PATH}", flush=True)  # noqa: T201
    config = uvicorn.Config(app(receiver), log_level="warning", access_log=False)
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
