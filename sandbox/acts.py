"""What a customer, Meta or a stranger can do in a demo day: each act sends one webhook, or knocks once."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from sandbox import samples, voices
from sandbox.people import VOICES
from sandbox.whatsapp.faults import Fault, FaultKind, Side
from sandbox.whatsapp.messages import (
    Customer,
    Message,
    Status,
    lost_message,
    message,
    new_message_id,
    reaction,
    status,
    webhook,
)
from sandbox.whatsapp.phone import Phone
from sandbox.whatsapp.remote import RemoteSandbox
from sandbox.whatsapp.sender import Sender
from sandbox.whatsapp.shelf import Announced


@dataclass(frozen=True, slots=True)
class Happening:
    """Something the simulated number did; `str()` is one short line for the terminal."""

    what: str
    """A stable word: text, photo, video, voice, audio, document, sticker, three_at_once, duplicate, forged, …"""
    who: str
    note: str = ""
    files: int = 0
    """How many files the archive should end up with because of this."""
    as_expected: bool = True
    """False when the archive answered something else than it should have."""

    def __str__(self) -> str:
        told = f"{self.who}: {self.what.replace('_', ' ')}"
        if self.note:
            told += f" ({self.note})"
        return told if self.as_expected else told + "  <-- not what was expected"


class Stage:
    """What an act needs: the sandbox's shelf, the sender, and the number that is written to."""

    def __init__(self, webhook_url: str, sandbox_url: str, phone: Phone) -> None:
        self.sandbox = RemoteSandbox(sandbox_url)
        self.sender = Sender(webhook_url)
        self.phone = phone

    async def __aenter__(self) -> Self:
        await self.sandbox.__aenter__()
        await self.sender.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.sender.__aexit__(kind, error, trace)
        await self.sandbox.__aexit__(kind, error, trace)

    async def shelve(self, sample: str, *, life_s: float | None = None) -> Announced:
        data, mime = samples.read(sample)
        return await self.sandbox.add(data, mime, phone=self.phone, life_s=life_s)

    async def speak(self, who: Customer, text: str, *, fallback: str) -> Announced:
        """A voice note in `who`'s voice; made in a thread, because it takes a second."""
        note = await asyncio.to_thread(
            voices.speak_or_sample, text, VOICES.get(who, voices.Voice()), fallback=fallback
        )
        return await self.sandbox.add(note, samples.MIME_OF_ENDING[".ogg"], phone=self.phone)

    async def send(self, *items: Message | Status) -> int:
        return await self.sender.deliver(webhook(items, phone=self.phone))


Act = Callable[[Stage], Awaitable[Happening]]


def said(who: Customer, body: str) -> Act:
    async def act(stage: Stage) -> Happening:
        await stage.send(message(who, text=body))
        return Happening("text", who.name)

    return act


def picture(who: Customer, sample: str, caption: str | None) -> Act:
    return _sent("photo", who, sample, caption=caption)


def film(who: Customer, sample: str, caption: str | None) -> Act:
    return _sent("video", who, sample, caption=caption)


def contract(who: Customer, file_name: str, caption: str | None) -> Act:
    return _sent("document", who, "contrato-fibra.pdf", caption=caption, file_name=file_name)


def picture_as_document(who: Customer, sample: str, file_name: str) -> Act:
    """A photo sent as a file: WhatsApp calls it a document and keeps its MIME type."""
    return _sent("document", who, sample, file_name=file_name, kind="document")


def sticker(who: Customer) -> Act:
    return _sent("sticker", who, "figurinha-obrigado.webp")


def old_phone(who: Customer) -> Act:
    """An AMR file, which no browser plays: the archive must make it playable."""
    return _sent("audio", who, "audio-telefone-antigo.amr")


def forwarded(who: Customer, sample: str, caption: str) -> Act:
    return _sent("photo", who, sample, caption=caption, is_forwarded=True)


def _sent(
    what: str,
    who: Customer,
    sample: str,
    *,
    caption: str | None = None,
    file_name: str | None = None,
    kind: str | None = None,
    is_forwarded: bool = False,
) -> Act:
    async def act(stage: Stage) -> Happening:
        file = await stage.shelve(sample)
        await stage.send(
            message(who, file=file, kind=kind, caption=caption, file_name=file_name, forwarded=is_forwarded)
        )
        return Happening(what, who.name, sample, files=1)

    return act


def spoken(who: Customer, text: str, fallback: str) -> Act:
    async def act(stage: Stage) -> Happening:
        file = await stage.speak(who, text, fallback=fallback)
        await stage.send(message(who, file=file))
        return Happening("voice", who.name, f"{file.size_bytes // 1024} KiB", files=1)

    return act


def three_at_once(who: Customer, pictures: tuple[str, str], caption: str) -> Act:
    """Two pictures and a text in one webhook; a reader that looks at the first message only loses two."""

    async def act(stage: Stage) -> Happening:
        first, second = [await stage.shelve(sample) for sample in pictures]
        shown = message(who, file=first, caption=caption)
        await stage.send(
            shown,
            message(who, file=second, with_url=False),
            message(who, text="E essa é a luz que não apaga", reply_to=shown.id),
        )
        return Happening("three_at_once", who.name, "one webhook", files=2)

    return act


def twice(who: Customer, sample: str, caption: str) -> Act:
    """The same webhook a second time, as Meta does when an answer got lost."""

    async def act(stage: Stage) -> Happening:
        file = await stage.shelve(sample)
        announced = webhook([message(who, file=file, caption=caption)], phone=stage.phone)
        await stage.sender.deliver(announced)
        await stage.sender.deliver(announced)
        return Happening("duplicate", who.name, "the same webhook twice, one file", files=1)

    return act


def forged(who: Customer) -> Act:
    """Somebody who does not know the app secret pretends to be Meta."""

    async def act(stage: Stage) -> Happening:
        pretended = dataclasses.replace(stage.phone, app_secret="a guess")
        knock = webhook([message(who, text="Troquem meu cadastro")], phone=pretended)
        answered = await stage.sender.knock(knock)
        return Happening("forged", "a stranger", f"answered {answered}", as_expected=answered == 401)

    return act


def stumbles(who: Customer, sample: str, caption: str) -> Act:
    """The media host fails once and the next link is dead: the file arrives at the third attempt."""

    async def act(stage: Stage) -> Happening:
        file = await stage.shelve(sample)
        for kind, answered in ((FaultKind.SERVER_ERROR, 503), (FaultKind.URL_DIED, 404)):
            await stage.sandbox.fault(
                Fault(kind, count=1, media_id=file.media_id, side=Side.MEDIA, status=answered)
            )
        await stage.send(message(who, file=file, caption=caption))
        return Happening("stumbles", who.name, "503, then 404, then it arrives", files=1)

    return act


def lost(who: Customer) -> Act:
    """Meta itself could not get the file: there is nothing to ask for, only to tell."""

    async def act(stage: Stage) -> Happening:
        await stage.send(lost_message(who, kind="video"))
        return Happening("lost", who.name, "131052: the provider could not get it")

    return act


def gone(who: Customer) -> Act:
    """Announced by its id alone, and the id is already dead."""

    async def act(stage: Stage) -> Happening:
        file = await stage.shelve("foto-cadeira.jpg", life_s=0)
        await stage.send(message(who, file=file, caption="A cadeira que eu queria", with_url=False))
        return Happening("gone", who.name, "100/33: its id is gone")

    return act


def read_receipts(*readers: Customer) -> Act:
    """What became of messages of ours, and a thumb on one of them."""

    async def act(stage: Stage) -> Happening:
        ours = new_message_id(readers[0], outbound=True)
        told = [status(who, new_message_id(who, outbound=True), "read") for who in readers]
        await stage.send(*told, reaction(readers[0], ours, "👍"))
        return Happening("read", " and ".join(who.name for who in readers))

    return act
