"""An archive somebody works in: everything real and running, filled by simulated customers with a file of every kind."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

import httpx

from acervo.crms.hubspot.api import HUBSPOT_API_VERSION
from sandbox import samples
from sandbox.acts import Stage
from sandbox.people import BIANCA, CAIO, JOSUE, LIA, MARINA, NILO, OTAVIO, ROSA, SIMONE
from sandbox.whatsapp import Customer, Phone, lost_message, message
from tests.accounts import ACCOUNTS
from tests.house import House, house, wait_for

T = TypeVar("T")

EMAIL: Final = "admin@example.com"
PASSWORD: Final = "correct horse battery"
SECOND_EMAIL: Final = "second@example.com"
"""Another administrator, for whatever a test leaves changed: language, theme."""
TOKEN: Final = "pat-na1-browser"
MP3: Final = Path(__file__).parents[1] / "corpus" / "audio_5s.mp3"
FILE_NAME: Final = "contrato fibra – assinado.pdf"


@dataclass(frozen=True, slots=True)
class Sent:
    """A file of the archive's stock: who sends what."""

    who: Customer
    sample: str
    facts: dict[str, Any] = field(default_factory=dict)


STOCK: Final[dict[str, Sent]] = {
    "voice": Sent(JOSUE, "voz-roteador.ogg"),
    "other voice": Sent(SIMONE, "voz-mesa.ogg"),
    "mp3": Sent(BIANCA, "mp3"),
    "amr": Sent(NILO, "audio-telefone-antigo.amr"),
    "video": Sent(MARINA, "video-lavadora.mp4", {"caption": "Olha só o barulho que ela faz"}),
    "image": Sent(CAIO, "foto-caixa-amassada.jpg", {"caption": "Chegou assim, com o canto todo amassado"}),
    "document": Sent(OTAVIO, "contrato-fibra.pdf", {"file_name": FILE_NAME, "caption": "Segue o contrato"}),
    "sticker": Sent(CAIO, "figurinha-obrigado.webp"),
    "ambiguous": Sent(LIA, "foto-celular-trincado.jpg", {"caption": "Caiu do rack e trincou"}),
}
GONE: Final = Sent(ROSA, "foto-cadeira.jpg", {"caption": "A cadeira que eu queria", "with_url": False})


@dataclass
class Archive:
    """Where the pages are, and a way to let customers send."""

    home: House
    webhook_url: str
    meta: str
    hubspot: str
    phone: Phone = field(default_factory=Phone)
    """The number that customers write to."""
    slugs: dict[str, str] = field(default_factory=dict)
    """Name in the stock, "lost" or "gone": the file's identifier in addresses."""

    @property
    def url(self) -> str:
        return self.home.url

    def page_of(self, name: str) -> str:
        return f"{self.url}/m/{self.slugs[name]}"

    def send(self, sent: Sent, *, life_s: float | None = None) -> str:
        """A customer sends a file; its media id at the provider."""
        return self.on_stage(lambda stage: _send(stage, sent, life_s=life_s))

    def on_stage(self, act: Callable[[Stage], Awaitable[T]]) -> T:
        async def play() -> T:
            async with Stage(self.webhook_url, self.meta, self.phone) as stage:
                return await act(stage)

        # Playwright's own loop runs in this thread; a second one needs another.
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(asyncio.run, play()).result()

    def rows(self) -> list[dict[str, Any]]:
        return self.home.files()


@contextmanager
def running(**settings: str) -> Iterator[Archive]:
    """Serving and connected, with no file yet."""
    with (
        house(**settings) as home,
        home.sandbox("sandbox.whatsapp") as meta,
        home.sandbox("sandbox.hubspot", "--token", TOKEN, "--search-lag-s", "0") as hubspot,
    ):
        home.serve()
        webhook_url = home.connect(meta, hubspot, token=TOKEN)
        second = ("createadmin", "--email", SECOND_EMAIL, "--password-stdin")
        home.acervo(*second, input=f"{PASSWORD}\n")
        yield Archive(home, webhook_url, meta, hubspot)


@contextmanager
def bare() -> Iterator[Archive]:
    """A number, one voice note and one film, and no CRM."""
    with house() as home, home.sandbox("sandbox.whatsapp") as meta:
        home.serve()
        home.move_in()
        archive = Archive(home, home.connect_account(ACCOUNTS[0], meta), meta, "")
        for name in ("voice", "video"):
            archive.send(STOCK[name])
        wait_for(lambda: [row["state"] for row in archive.rows()] == ["ready"] * 2, "ready", every_s=2)
        yield archive


@contextmanager
def stocked(**settings: str) -> Iterator[Archive]:
    """With a file of every kind, prepared and delivered; one is lost, one is gone, one waits for a choice."""
    with running(**settings) as archive:
        two_contacts_with_one_number(archive.hubspot, LIA)
        media_ids = archive.on_stage(_send_stock)
        wait_for(lambda: _is_settled(archive.rows()), "settled")
        for row in archive.rows():
            name = media_ids.get(row["provider_id"]) or (
                "lost" if row["refusal"] == "lost_at_provider" else None
            )
            if name:
                archive.slugs[name] = row["id"]
        assert set(archive.slugs) == {*STOCK, "lost", "gone"}, archive.rows()
        yield archive


async def _send_stock(stage: Stage) -> dict[str, str]:
    names = {await _send(stage, sent): name for name, sent in STOCK.items()}
    names[await _send(stage, GONE, life_s=0)] = "gone"
    await stage.send(lost_message(MARINA, kind="video"))
    return names


async def _send(stage: Stage, sent: Sent, *, life_s: float | None = None) -> str:
    data, mime = (MP3.read_bytes(), "audio/mpeg") if sent.sample == "mp3" else samples.read(sent.sample)
    file = await stage.sandbox.add(data, mime, phone=stage.phone, life_s=life_s)
    await stage.send(message(sent.who, file=file, **sent.facts))
    return file.media_id


def _is_settled(rows: list[dict[str, Any]]) -> bool:
    return len(rows) == len(STOCK) + 2 and all(row["state"] in ("ready", "lost") for row in rows)


def two_contacts_with_one_number(hubspot: str, customer: Customer) -> None:
    """Somebody typed the same customer in twice."""
    address = f"{hubspot}/crm/objects/{HUBSPOT_API_VERSION}/contacts"
    name = customer.name.partition(" ")[0]
    for first in (name, f"Loja da {name}"):
        made = httpx.post(
            address,
            headers={"Authorization": f"Bearer {TOKEN}"},
            json={"properties": {"firstname": first, "phone": f"+{customer.phone}"}},
        )
        made.raise_for_status()
