"""`python -m sandbox.twilio --port 0`: run the simulated Twilio and print its URL."""

from __future__ import annotations

import argparse
import contextlib

import uvloop

from sandbox.twilio.account import Account
from sandbox.twilio.server import URL_LIFE_S, TwilioServer
from sandbox.whatsapp.server import run_until_stopped


def main() -> None:
    usual = Account()
    parser = argparse.ArgumentParser(prog="python -m sandbox.twilio", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free port")
    parser.add_argument("--account-sid", default=usual.account_sid)
    parser.add_argument("--auth-token", default=usual.auth_token)
    parser.add_argument("--number", default=usual.number)
    parser.add_argument("--url-life", type=float, default=URL_LIFE_S, metavar="SECONDS")
    parser.add_argument("--seed", type=int, default=0, help="of the faults that strike by chance")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of the URL")
    options = parser.parse_args()
    account = Account(options.account_sid, options.auth_token, options.number)
    sandbox = TwilioServer(
        [account], host=options.host, port=options.port, seed=options.seed, url_life_s=options.url_life
    )
    with contextlib.suppress(KeyboardInterrupt):
        uvloop.run(run_until_stopped(sandbox, as_json=options.json))


if __name__ == "__main__":
    main()
