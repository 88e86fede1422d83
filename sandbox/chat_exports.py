"""Chat exports as a phone would write them, of any size: for tests, benchmarks and whoever tries an import."""

from __future__ import annotations

import random
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

MARK: Final = "\u200e"
NARROW: Final = "\u202f"


@dataclass(frozen=True, slots=True)
class Phone:
    """How one phone writes."""

    is_ios: bool
    moment: str
    """For strftime."""
    attached: str
    omitted: str
    edited: str
    deleted: str
    text_name: str
    archive_name: str


PHONES: Final = {
    "android pt": Phone(
        False, "%d/%m/%Y %H:%M", "arquivo anexado", "<Mídia oculta>", "<Mensagem editada>", "Mensagem apagada",
        "Conversa do WhatsApp com {contact}.txt", "Conversa do WhatsApp com {contact}.zip",
    ),
    "android en": Phone(
        False, f"%m/%d/%y, %I:%M{NARROW}%p", "file attached", "<Media omitted>", "<This message was edited>",
        "This message was deleted", "WhatsApp Chat with {contact}.txt", "WhatsApp Chat with {contact}.zip",
    ),
    "android es": Phone(
        False, "%d/%m/%Y, %H:%M", "archivo adjunto", "<Multimedia omitido>", "<Se editó este mensaje>",
        "Se eliminó este mensaje", "Chat de WhatsApp con {contact}.txt", "Chat de WhatsApp con {contact}.zip",
    ),
    "android de": Phone(
        False, "%d.%m.%y, %H:%M", "Datei angehängt", "<Medien ausgeschlossen>",
        "<Diese Nachricht wurde bearbeitet.>", "Diese Nachricht wurde gelöscht", "WhatsApp Chat mit {contact}.txt",
        "WhatsApp Chat mit {contact}.zip",
    ),
    "ios pt": Phone(
        True, "%d/%m/%Y, %H:%M:%S", "anexado", "imagem ocultada", "<Mensagem editada>", "Mensagem apagada", "_chat.txt",
        "WhatsApp Chat - {contact}.zip",
    ),
    "ios en": Phone(
        True, f"%m/%d/%y, %I:%M:%S{NARROW}%p", "attached", "image omitted", "<This message was edited>",
        "This message was deleted", "_chat.txt", "WhatsApp Chat - {contact}.zip",
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Said:
    """A message before a phone writes it down. `kind`: text, omitted, deleted, edited or file."""

    at: datetime
    author: str
    text: str = ""
    kind: str = "text"
    file_name: str = ""


def written(said: Said, phone: Phone) -> str:
    """With its line breaks, the last one too."""
    end = "\r\n" if phone.is_ios else "\n"
    moment = said.at.strftime(phone.moment)
    body = {
        "text": said.text,
        "edited": f"{said.text} {MARK if phone.is_ios else ''}{phone.edited}",
        "deleted": f"{MARK if phone.is_ios else ''}{phone.deleted}",
        "omitted": f"{MARK if phone.is_ios else ''}{phone.omitted}",
        "file": _named(said, phone),
    }[said.kind].replace("\n", end)
    if phone.is_ios:
        mark = MARK if said.kind in ("file", "omitted") else ""
        return f"{mark}[{moment}] {said.author}: {body}{end}"
    return f"{moment} - {said.author}: {body}{end}"


def _named(said: Said, phone: Phone) -> str:
    if phone.is_ios:
        title = f"{said.text} " if said.text else ""
        return f"{title}{MARK}<{phone.attached}: {said.file_name}>"
    caption = f"\n{said.text}" if said.text else ""
    return f"{MARK}{said.file_name} ({phone.attached}){caption}"


def pack(
    path: Path,
    said: Iterable[Said],
    files: dict[str, bytes] | Iterator[tuple[str, bytes]],
    phone: Phone,
    contact: str,
) -> Path:
    """A zip in `path`, named as the phone would; `files` may be an iterator, so that it can be large."""
    target = path / phone.archive_name.format(contact=contact)
    with zipfile.ZipFile(target, "w") as archive:
        with archive.open(phone.text_name.format(contact=contact), "w", force_zip64=True) as text:
            for one in said:
                text.write(written(one, phone).encode())
        for name, body in files.items() if isinstance(files, dict) else files:
            archive.writestr(name, body)
    return target


def believable(
    messages: int, files: int, *, us: str, them: str, start: datetime, seed: int = 1
) -> Iterator[Said]:
    """A long chat: texts of all lengths, now and then two in one minute, and files spread evenly through it."""
    chance, at, every = random.Random(seed), start, max(messages // files, 1) if files else 0
    words = [
        "bom",
        "dia",
        "segue",
        "o",
        "comprovante",
        "obrigado",
        "até",
        "amanhã",
        "pode",
        "ser",
        "sim",
        "não",
        "consegui",
        "ligar",
        "técnico",
        "horário",
        "fibra",
    ]
    for number in range(messages):
        at += timedelta(seconds=chance.choice((5, 20, 60, 300, 4000)))
        author = us if chance.random() < 0.4 else them
        text = " ".join(chance.choices(words, k=chance.randint(1, 24)))
        if files and number % every == 0 and number // every < files:
            yield Said(
                at, author, text if chance.random() < 0.3 else "", "file", file_name(number // every, at)
            )
        elif chance.random() < 0.02:
            yield Said(at, author, f"{text}\n\n{text}")
        else:
            yield Said(at, author, text)


def file_name(number: int, at: datetime) -> str:
    return f"DOC-{at:%Y%m%d}-WA{number:04}.txt"
