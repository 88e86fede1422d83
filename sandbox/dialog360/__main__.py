"""`python -m sandbox.dialog360 --port 0`: run the simulated 360dialog and print its URL."""

from __future__ import annotations

import argparse
import contextlib

import uvloop

from sandbox.dialog360.number import Number
from sandbox.dialog360.server import Dialog360Sandbox
from sandbox.whatsapp.server import run_until_stopped
from sandbox.whatsapp.shelf import ID_LIFE_S, URL_LIFE_S


def main() -> None:
    usual = Number()
    parser = argparse.ArgumentParser(prog="python -m sandbox.dialog360", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free port")
    parser.add_argument("--phone-number-id", default=usual.phone_number_id)
    parser.add_argument("--api-key", default=usual.access_token)
    parser.add_argument("--id-life", type=float, default=ID_LIFE_S, metavar="SECONDS")
    parser.add_argument("--url-life", type=float, default=URL_LIFE_S, metavar="SECONDS")
    parser.add_argument("--seed", type=int, default=0, help="of the faults that strike by chance")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of the URL")
    options = parser.parse_args()
    sandbox = Dialog360Sandbox(
        [Number(phone_number_id=options.phone_number_id, access_token=options.api_key)],
        host=options.host,
        port=options.port,
        seed=options.seed,
        id_life_s=options.id_life,
        url_life_s=options.url_life,
    )
    with contextlib.suppress(KeyboardInterrupt):
        uvloop.run(run_until_stopped(sandbox, as_json=options.json))


if __name__ == "__main__":
    main()
