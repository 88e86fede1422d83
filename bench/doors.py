"""How many webhooks a second the door of each provider takes, beside Meta's: what their signatures and shapes cost."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from statistics import median
from urllib.parse import urlsplit

import psutil

from bench import client
from bench.acceptance import WEBHOOKS, Side, invented_files, measure
from bench.ground import Ground, ground
from bench.options import Options
from bench.results import Result, against, reported
from sandbox.people import EVERYONE
from sandbox.whatsapp import Announced
from tests.accounts import ACCOUNTS, Account, Line

AT_LEAST = {"dialog360": 0.8, "twilio": 0.4, "messagebird": 0.4, "bird": 0.8}
"""Of Meta's rate, with a third of room below what was measured: a form is sorted anew before it is signed, and a token
is three texts and two hashes; the others do no more than Meta's."""
RECEIPTS = """SELECT count(*) FROM acervo_receipt r JOIN acervo_connection c ON c.id = r.connection_id
    WHERE c.kind = %s"""


def run(options: Options) -> Iterator[Result]:
    files = invented_files(WEBHOOKS)
    with ground() as place, ExitStack() as vendors:
        others = [_connected(place, account, vendors) for account in ACCOUNTS[1:]]
        lines = [Line(ACCOUNTS[0], f"{place.house.url}{place.hook}", None), *others]
        with place.web() as web:
            sides = [_side(place, line, web) for line in lines]
            measure(sides, files, options)
    metas, *rest = sides
    for side in rest:
        rate = median(side.rates)
        name = f"acceptance, {side.name} beside {metas.name}"
        yield against(name, rate, "webhooks/s", median(metas.rates), at_least=AT_LEAST[side.name])
    for side in sides:
        yield reported(f"acceptance, {side.name}, CPU of the web", median(side.cpu_us), "µs/webhook")


def _connected(place: Ground, account: Account, vendors: ExitStack) -> Line:
    vendor = vendors.enter_context(place.house.sandbox(account.sandbox))
    line = Line(account, place.house.connect_account(account, vendor), None)

    async def look() -> None:
        async with account.handle(vendor) as line.remote:
            await line.look_up_registration()

    asyncio.run(look())
    return line


def _side(place: Ground, line: Line, web: psutil.Process) -> Side:
    def knocks(files: list[Announced]) -> list[bytes]:
        return [_request(line, number, file) for number, file in enumerate(files)]

    def rows() -> int:
        ((count,),) = place.house.ask(RECEIPTS, line.account.kind)
        return int(count)

    return Side(line.account.kind, place.port, knocks, rows, web)


def _request(line: Line, number: int, file: Announced) -> bytes:
    """One file in one webhook, as its vendor writes it; nobody will fetch it."""
    said = line.account.write(EVERYONE[number % len(EVERYONE)], file, "https://media.example")
    body, headers = line.account.sign(said, line)
    return client.post(urlsplit(line.url).path, body, headers)
