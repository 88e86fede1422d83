"""`python -m sandbox.whatsapp --port 0`: run the simulated Cloud API and print its URL."""

from __future__ import annotations

import argparse
import contextlib

import uvloop

from sandbox.whatsapp.phone import Phone
from sandbox.whatsapp.server import SandboxServer, run_until_stopped
from sandbox.whatsapp.shelf import ID_LIFE_S, URL_LIFE_S


def main() -> None:
    options = _parser().parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        uvloop.run(_serve(options))


def _parser() -> argparse.ArgumentParser:
    usual = Phone()
    parser = argparse.ArgumentParser(prog="python -m sandbox.whatsapp", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free port")
    parser.add_argument("--phone-number-id", default=usual.phone_number_id)
    parser.add_argument("--waba-id", default=usual.waba_id)
    parser.add_argument("--token", default=usual.access_token)
    parser.add_argument("--no-storage", action="store_true", help="play Meta's No Storage")
    parser.add_argument("--id-life", type=float, default=ID_LIFE_S, metavar="SECONDS")
    parser.add_argument("--url-life", type=float, default=URL_LIFE_S, metavar="SECONDS")
    parser.add_argument("--seed", type=int, default=0, help="of the faults that strike by chance")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of the URL")
    return parser


async def _serve(options: argparse.Namespace) -> None:
    phone = Phone(
        phone_number_id=options.phone_number_id,
        waba_id=options.waba_id,
        access_token=options.token,
        keeps_files=not options.no_storage,
    )
    sandbox = SandboxServer(
        [phone],
        host=options.host,
        port=options.port,
        seed=options.seed,
        id_life_s=options.id_life,
        url_life_s=options.url_life,
    )
    await run_until_stopped(sandbox, as_json=options.json)


if __name__ == "__main__":
    main()
