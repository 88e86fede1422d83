"""`python -m sandbox.bird --port 0`: run the simulated Bird and print its URL."""

from __future__ import annotations

import argparse
import contextlib

import uvloop

from sandbox.bird.channel import Channel
from sandbox.bird.server import FILE_LIFE_S, URL_LIFE_S, BirdServer
from sandbox.whatsapp.server import run_until_stopped


def main() -> None:
    usual = Channel()
    parser = argparse.ArgumentParser(prog="python -m sandbox.bird", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free port")
    parser.add_argument("--channel-id", default=usual.channel_id)
    parser.add_argument("--workspace-id", default=usual.workspace_id)
    parser.add_argument("--access-key", default=usual.access_key)
    parser.add_argument("--file-life", type=float, default=FILE_LIFE_S, metavar="SECONDS")
    parser.add_argument("--url-life", type=float, default=URL_LIFE_S, metavar="SECONDS")
    parser.add_argument("--seed", type=int, default=0, help="of the faults that strike by chance")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of the URL")
    options = parser.parse_args()
    channel = Channel(options.channel_id, options.workspace_id, access_key=options.access_key)
    sandbox = BirdServer(
        [channel],
        host=options.host,
        port=options.port,
        seed=options.seed,
        id_life_s=options.file_life,
        url_life_s=options.url_life,
    )
    with contextlib.suppress(KeyboardInterrupt):
        uvloop.run(run_until_stopped(sandbox, as_json=options.json))


if __name__ == "__main__":
    main()
