"""A whole installation with a scanner that is late: everything waits, nothing is served, then each goes its way."""

from __future__ import annotations

import asyncio

import pytest

from sandbox import samples
from sandbox.acts import Stage
from sandbox.people import JOSUE, MARINA
from sandbox.whatsapp import Phone, message
from tests.clamd import EICAR, SIGNATURE, clamd
from tests.house import House, house, wait_for


async def send(webhook_url: str, meta: str) -> None:
    """Marina sends what she should not, Josué a voice note."""
    async with Stage(webhook_url, meta, Phone()) as stage:
        bad = await stage.sandbox.add(EICAR, "text/plain", phone=stage.phone)
        await stage.send(message(MARINA, file=bad, file_name="fatura.txt"))
        note = await stage.sandbox.add(*samples.read("voz-roteador.ogg"), phone=stage.phone)
        await stage.send(message(JOSUE, file=note))


def states(home: House) -> dict[str, str]:
    return {row["kind"]: row["state"] for row in home.files()}


@pytest.mark.slow
def test_eicar_goes_into_quarantine_and_its_neighbour_plays_once_the_scanner_is_there() -> None:
    with (
        clamd() as scanner,
        house(ACERVO_CLAMD=scanner.address, ACERVO_MAX_FILE_MB="4") as home,
        home.sandbox("sandbox.whatsapp") as meta,
    ):
        home.serve()
        asyncio.run(send(home.connect(meta), meta))
        held = {"document": "scanning", "voice": "scanning"}
        wait_for(lambda: states(home) == held, "held while the scanner is away")
        scanner.start()
        decided = {"document": "quarantined", "voice": "ready"}
        wait_for(lambda: states(home) == decided, "decided once the scanner is there")
        said = home.json("doctor")
        assert {row["part"]: row["is_well"] for row in said}["scanner"]
        assert SIGNATURE not in home.log.read_text()  # what is found is on the row and in the audit
