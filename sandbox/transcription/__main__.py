"""`python -m sandbox.transcription --port 0`: run the simulated transcription server and print its URL."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import sys

import uvloop

from sandbox.transcription.server import KEY, MODEL, TranscriptionServer


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m sandbox.transcription", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--key", default=KEY, help="empty: everybody may use it")
    parser.add_argument("--model", action="append", help=f"may be given several times; {MODEL} without one")
    with contextlib.suppress(KeyboardInterrupt):
        uvloop.run(_serve(parser.parse_args()))


async def _serve(options: argparse.Namespace) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    models = tuple(options.model or (MODEL,))
    async with TranscriptionServer(
        key=options.key or None, models=models, host=options.host, port=options.port
    ) as server:
        sys.stdout.write(f"{server.base_url}\n")
        sys.stdout.flush()
        await stopped.wait()


if __name__ == "__main__":
    main()
