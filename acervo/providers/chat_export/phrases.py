"""The app's own words in an export, language by language. Wording changes between versions: every form seen is kept."""

from __future__ import annotations

import re
from typing import Final

from acervo.providers.chat_export.headers import MARKS, plain

# Unsure (marked so in the README): the newest forms on iOS, and French and Italian altogether.
ATTACHED_AFTER: Final = (
    "file attached",
    "arquivo anexado",
    "ficheiro anexado",
    "archivo adjunto",
    "Datei angehängt",
    "fichier joint",
    "file allegato",
)
"""Android: `NAME (…)`."""
ATTACHED_BEFORE: Final = ("attached", "anexado", "adjunto", "Anhang", "angehängt", "pièce jointe", "allegato")
"""iOS: `<…: NAME>`; long ago `NAME <…>`."""
OMITTED_ANDROID: Final = (
    "Media omitted",
    "Mídia oculta",
    "Mídia omitida",
    "Arquivo de mídia oculto",
    "Ficheiro multimédia oculto",
    "Multimedia omitido",
    "Archivo omitido",
    "Medien ausgeschlossen",
    "Medien weggelassen",
    "Médias omis",
    "Media omessi",
)
OMITTED_IOS: Final = {
    "image omitted": "image",
    "video omitted": "video",
    "audio omitted": "audio",
    "sticker omitted": "sticker",
    "GIF omitted": "video",
    "document omitted": "document",
    "Contact card omitted": "document",
    "imagem ocultada": "image",
    "imagem omitida": "image",
    "vídeo omitido": "video",
    "vídeo ocultado": "video",
    "áudio ocultado": "audio",
    "áudio omitido": "audio",
    "figurinha omitida": "sticker",
    "figurinha ocultada": "sticker",
    "GIF omitido": "video",
    "GIF ocultado": "video",
    "documento omitido": "document",
    "documento ocultado": "document",
    "Cartão do contato omitido": "document",
    "imagen omitida": "image",
    "Video omitido": "video",
    "sticker omitido": "sticker",
    "Tarjeta de contacto omitida": "document",
    "Bild weggelassen": "image",
    "Video weggelassen": "video",
    "Audio weggelassen": "audio",
    "Sticker weggelassen": "sticker",
    "GIF weggelassen": "video",
    "Dokument weggelassen": "document",
    "Kontaktkarte ausgelassen": "document",
}
DELETED: Final = (
    "This message was deleted",
    "You deleted this message",
    "Mensagem apagada",
    "Esta mensagem foi apagada",
    "Você apagou esta mensagem",
    "Se eliminó este mensaje",
    "Eliminaste este mensaje",
    "Este mensaje fue eliminado",
    "Diese Nachricht wurde gelöscht",
    "Du hast diese Nachricht gelöscht",
)
EDITED: Final = (
    "This message was edited",
    "Mensagem editada",
    "Esta mensagem foi editada",
    "Se editó este mensaje",
    "Diese Nachricht wurde bearbeitet",
)
UNSEEN: Final = ("null",)
"""View once, or a kind the app could not write down."""
ENCRYPTION: Final = (
    "Messages and calls are end-to-end encrypted",
    "Messages to this chat and calls are now secured",
    "As mensagens e ligações são protegidas",
    "As mensagens e as chamadas são protegidas",
    "As mensagens e chamadas são protegidas",
    "Los mensajes y las llamadas están cifrados",
    "Nachrichten und Anrufe sind Ende-zu-Ende-verschlüsselt",
)
"""How the first line begins: on iOS it has an author, although nobody wrote it."""
_DAY_FIRST: Final = (
    "anexado", "oculta", "ocultad", "apagada", "ligações", "Mídia", "figurinha", "angehängt", "Anhang",
    "ausgeschlossen", "weggelassen", "gelöscht", "verschlüsselt",
)  # fmt: skip
"""Portuguese and German phones always write the day first; Spanish ones in the United States do not."""


def _any(words: tuple[str, ...]) -> str:
    return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))


NAMED_FIRST: Final = re.compile(
    rf"(?P<name>\S.{{0,254}}?) (?:\((?:{_any(ATTACHED_AFTER)})\)|<(?:{_any(ATTACHED_BEFORE)})>)",
    re.IGNORECASE,
)
"""On a whole first line; its text follows on the next ones."""
NAMED_INSIDE: Final = re.compile(
    rf"<\s?(?:{_any(ATTACHED_BEFORE)})\s?:\s?(?P<name>[^<>\n]{{1,255}}?)\s?>", re.IGNORECASE
)
_OMITTED: Final = re.compile(rf"<(?:{_any(OMITTED_ANDROID)})>", re.IGNORECASE)
_OMITTED_KIND: Final = {phrase.casefold(): kind for phrase, kind in OMITTED_IOS.items()}
_DELETED: Final = frozenset(phrase.casefold() for phrase in DELETED)
_EDITED: Final = re.compile(rf"<(?:{_any(EDITED)})\.?>\s*\Z", re.IGNORECASE)
_TAIL: Final = 80
_CLUES: Final = re.compile("|".join(_DAY_FIRST))


def omitted_kind(text: str) -> str | None:
    """For the whole of a message: the kind of the file that was left out, empty where the app does not say."""
    if _OMITTED.fullmatch(text):
        return ""
    return _OMITTED_KIND.get(text.casefold())


def says_deleted(text: str) -> bool:
    return text.rstrip(".").casefold() in _DELETED


def without_edited(text: str) -> tuple[str, bool]:
    """The text, and whether the app says that it was changed."""
    tail = text[-_TAIL:]
    found = _EDITED.search(plain(tail)) if "<" in tail else None
    if found is None:
        return text, False
    return text[: text.rindex("<")].rstrip(MARKS + " \n"), True


def is_from_day_first_language(text: str) -> bool:
    """Whether a line of the app, not of a person, is Portuguese or German."""
    return bool(_CLUES.search(text))
