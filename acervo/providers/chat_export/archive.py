"""The outer file of an export: a zip, a folder or the text alone; looked at whole before anything is taken from it."""

from __future__ import annotations

import codecs
import hashlib
import os
import re
import stat
import struct
import unicodedata
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from acervo.base.errors import Refused
from acervo.providers.chat_export.headers import header

CHUNK_BYTES: Final = 1024 * 1024
MOST_DIRECTORY_BYTES: Final = 16 * 1024**2
"""Of the list of files: Python reads it as a whole before anybody can count."""
LOOKED_AT: Final = 20
"""Lines of a text in which a message must begin."""
SMALL_RATIO_BYTES: Final = 16 * 1024**2
"""Below this a high ratio of compression is no danger, and a long row of zeros no attack."""


class Hostile(Refused):
    """This archive is not safe to open, so nothing was taken from it."""

    code = "hostile_archive"


class UnsafeName(Hostile):
    """A file of this archive wants to lie outside of it, or in a folder. WhatsApp writes no such archives."""

    code = "archive_unsafe_name"


class Linked(Hostile):
    """This archive holds a link instead of a file. WhatsApp writes no such archives."""

    code = "archive_link"


class Encrypted(Hostile):
    """This archive is encrypted. Export the chat again, without a password."""

    code = "archive_encrypted"


class Bomb(Hostile):
    """This archive unpacks to far more than a chat holds."""

    code = "archive_bomb"


class TooMany(Hostile):
    """This archive holds more files than any chat export."""

    code = "archive_too_many"


class Doubled(Hostile):
    """Two files of this archive have one name, so nobody can tell which is meant."""

    code = "archive_doubled_name"


class Damaged(Hostile):
    """This archive is damaged or not complete. Export the chat, or copy it here, once more."""

    code = "archive_damaged"


class TooLong(Hostile):
    """The text of this chat is longer than any export of WhatsApp."""

    code = "archive_text_too_long"


class NoText(Refused):
    """There is no chat in this archive: WhatsApp's export holds a text file with the messages."""

    code = "archive_without_chat"


@dataclass(frozen=True, slots=True)
class Limits:
    """Counted on what is really read, whatever the archive says about itself."""

    members: int = 20_000
    text_bytes: int = 50 * 1024**2
    member_bytes: int = 2 * 1024**3
    total_bytes: int = 20 * 1024**3
    ratio: int = 200


@dataclass(frozen=True, slots=True)
class Member:
    """One file, as it was really read."""

    name: str
    size_bytes: int
    sha256: str


class Archive(ABC):
    """The files of an export by name. Made by `opened`, which has refused what is hostile by its own words."""

    label: str
    """Its own name, without the ending."""

    @property
    @abstractmethod
    def sizes(self) -> Mapping[str, int]:
        """What each file says its size is."""

    @abstractmethod
    def open(self, name: str) -> AbstractContextManager[IO[bytes]]:
        """The plain bytes. Raises what reading a damaged archive raises; `read` translates it."""

    def read(self, name: str) -> Generator[bytes, None, None]:
        """In pieces. Raises Damaged."""
        try:
            with self.open(name) as file:
                while chunk := file.read(CHUNK_BYTES):
                    yield chunk
        except (
            zipfile.BadZipFile,
            zlib.error,
            EOFError,
            NotImplementedError,
            RuntimeError,
            OSError,
        ) as error:
            raise Damaged() from error

    def lines(self, name: str, limits: Limits) -> Iterator[str]:
        """A text line by line, whatever its length in all. Raises Damaged and TooLong."""
        rest, size = "", 0
        # What is not UTF-8 shows as such and stops nothing.
        decoder = codecs.getincrementaldecoder("utf-8-sig")(errors="replace")
        for chunk in self.read(name):
            size += len(chunk)
            if size > limits.text_bytes:
                raise TooLong()
            *whole, rest = (rest + decoder.decode(chunk)).split("\n")
            yield from whole
        if rest := rest + decoder.decode(b"", True):
            yield rest


@contextmanager
def opened(
    source: Path | IO[bytes],
    limits: Limits = Limits(),
    *,
    name: str = "",
) -> Iterator[Archive]:
    """A zip, a folder, or a text file alone; a zip also as an open file. `name` where it has another one than it is
    called by now. Raises Hostile, by its kind, and NoText for what is none of them."""
    if isinstance(source, Path) and source.is_dir():
        yield _Folder(source, limits)
        return
    label = name or (source.name if isinstance(source, Path) else "")
    with source.open("rb") if isinstance(source, Path) else source as file:
        if zipfile.is_zipfile(file):
            yield _unpacked(file, Path(label).stem, limits)
        elif label.lower().endswith(".zip"):
            raise Damaged()
        elif label.lower().endswith(".txt"):
            yield _Alone(file, label, limits)
        else:
            raise NoText()


def _unpacked(file: IO[bytes], label: str, limits: Limits) -> Archive:
    size_bytes = file.seek(0, os.SEEK_END)
    if _directory_bytes(file, size_bytes) > MOST_DIRECTORY_BYTES:
        raise TooMany()
    try:
        return _Zip(label, zipfile.ZipFile(file), size_bytes, limits)
    except (zipfile.BadZipFile, NotImplementedError, OSError, ValueError) as error:
        raise Damaged() from error


def text_of(archive: Archive, limits: Limits = Limits()) -> str:
    """Which file is the chat: by rule and not by name alone, since people send text files, too. Raises NoText."""
    if "_chat.txt" in archive.sizes:
        return "_chat.txt"
    texts = [name for name in archive.sizes if name.lower().endswith(".txt")]
    named = [name for name in texts if Path(name).stem == archive.label]
    found = [name for name in named or texts if _is_chat(archive, name, limits)]
    if len(found) != 1:
        raise NoText()
    return found[0]


def look_through(
    archive: Archive,
    limits: Limits = Limits(),
    *,
    progress: Callable[[int], None] = lambda size_bytes: None,
) -> dict[str, Member]:
    """Every file, read to its end: counted and hashed. Raises Hostile: an archive that lies about itself, or breaks off,
    is refused before anything of it was taken."""
    found: dict[str, Member] = {}
    total = 0
    for name in archive.sizes:
        sha256, size = hashlib.sha256(), 0
        for chunk in archive.read(name):
            size += len(chunk)
            total += len(chunk)
            if size > limits.member_bytes or total > limits.total_bytes:
                raise Bomb()
            sha256.update(chunk)
        found[name] = Member(name, size, sha256.hexdigest())
        progress(total)
    return found


def fingerprint(path: Path, members: Mapping[str, Member]) -> str:
    """What makes this archive this one: its bytes; of a folder, the names and bytes of its files."""
    sha256 = hashlib.sha256()
    if path.is_file():
        with path.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                sha256.update(chunk)
    else:
        for name, member in sorted(members.items()):
            sha256.update(f"{member.sha256} {name}\n".encode(errors="surrogateescape"))
    return sha256.hexdigest()


class Names:
    """Finds the file a message names: composed letters first, then without regard to case."""

    def __init__(self, names: Mapping[str, object]) -> None:
        self._exact = {_composed(name): name for name in names}
        self._folded = {_composed(name).casefold(): name for name in names}

    def find(self, name: str) -> str | None:
        wanted = _composed(name)
        return self._exact.get(wanted) or self._folded.get(wanted.casefold())


def contact_of(label: str) -> str:
    """Whose chat it is, as the archive's name has it; empty where the name does not tell."""
    found = _WITH.search(label)
    return re.sub(r" \(\d+\)$", "", found[1]).strip() if found else ""


_WITH: Final = re.compile(r"WhatsApp.*?(?: - | com (?:o |a )?| with | con | mit | avec )(.+)$")
_DRIVE: Final = re.compile(r"^[A-Za-z]:")


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _check(name: str) -> None:
    """Exports are flat. Raises UnsafeName."""
    is_outside = name.startswith(("/", "\\")) or ".." in re.split(r"[/\\]", name) or _DRIVE.match(name)
    if is_outside or "\\" in name or "/" in name or "\0" in name or not name:
        raise UnsafeName()


class _Zip(Archive):
    def __init__(self, label: str, file: zipfile.ZipFile, size_bytes: int, limits: Limits) -> None:
        self.label = label
        self._file = file
        infos = file.infolist()
        if len(infos) > limits.members:
            raise TooMany()
        self._infos: dict[str, zipfile.ZipInfo] = {}
        for info in infos:
            self._add(info)
        self._weigh(limits, size_bytes)

    def _add(self, info: zipfile.ZipInfo) -> None:
        name = _zip_name(info)
        if _is_of_the_computer(name):
            return
        _check(name.removesuffix("/"))
        if info.flag_bits & 0x1:
            raise Encrypted()
        if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise Linked()
        if info.is_dir():
            raise UnsafeName()
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise Damaged("This archive is packed in a way that WhatsApp does not use.")
        if name in self._infos:
            raise Doubled()
        self._infos[name] = info

    def _weigh(self, limits: Limits, archive_bytes: int) -> None:
        """By its own words; `look_through` counts."""
        packed = sum(info.compress_size for info in self._infos.values())
        total = sum(info.file_size for info in self._infos.values())
        is_overlapping = packed > archive_bytes
        if is_overlapping or total > limits.total_bytes:
            raise Bomb()
        for info in self._infos.values():
            is_dense = info.file_size > max(SMALL_RATIO_BYTES, limits.ratio * max(info.compress_size, 1))
            if is_dense or info.file_size > limits.member_bytes:
                raise Bomb()

    @property
    def sizes(self) -> Mapping[str, int]:
        return {name: info.file_size for name, info in self._infos.items()}

    def open(self, name: str) -> AbstractContextManager[IO[bytes]]:
        return self._file.open(self._infos[name])


def _directory_bytes(file: IO[bytes], size_bytes: int) -> int:
    """How long the list of files says it is; the larger, where the old and the new record disagree."""
    file.seek(max(0, size_bytes - _TAIL_BYTES))
    tail = file.read()
    told = [0]
    for mark, at, form in ((b"PK\x05\x06", 12, "<I"), (b"PK\x06\x06", 40, "<Q")):
        found = tail.rfind(mark)
        if found >= 0 and len(tail) >= found + at + struct.calcsize(form):
            told.append(struct.unpack_from(form, tail, found + at)[0])
    return max(size for size in told if size != _SEE_NEW_RECORD)


_TAIL_BYTES: Final = 66_000
_SEE_NEW_RECORD: Final = 0xFFFFFFFF


def _zip_name(info: zipfile.ZipInfo) -> str:
    """Many zips hold UTF-8 without saying so: the library then read them by an old code page."""
    if info.flag_bits & 0x800:
        return info.orig_filename
    try:
        return info.orig_filename.encode("cp437").decode()
    except UnicodeError:
        return info.orig_filename


def _is_of_the_computer(name: str) -> bool:
    """What desktops put beside the files of others when they pack a folder."""
    return name.startswith("__MACOSX/") or name.rsplit("/", 1)[-1] in (".DS_Store", "Thumbs.db")


class _Folder(Archive):
    """An unpacked export. Only plain files at its root; folders in it are not looked into."""

    def __init__(self, path: Path, limits: Limits) -> None:
        self.label = path.name
        self._path = path
        self._sizes: dict[str, int] = {}
        for entry in sorted(os.scandir(path), key=lambda one: one.name):
            if _is_of_the_computer(entry.name):
                continue
            if entry.is_symlink():
                raise Linked()
            if entry.is_file(follow_symlinks=False):
                self._sizes[entry.name] = entry.stat(follow_symlinks=False).st_size
            if len(self._sizes) > limits.members:
                raise TooMany()

    @property
    def sizes(self) -> Mapping[str, int]:
        return self._sizes

    def open(self, name: str) -> AbstractContextManager[IO[bytes]]:
        if name not in self._sizes:
            raise Damaged()
        descriptor = os.open(self._path / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        return os.fdopen(descriptor, "rb")


class _Alone(Archive):
    """A chat that was exported without its files."""

    def __init__(self, file: IO[bytes], name: str, limits: Limits) -> None:
        self.label, self._file, self._name = Path(name).stem, file, name
        self._size_bytes = file.seek(0, os.SEEK_END)
        if self._size_bytes > limits.text_bytes:
            raise TooLong()

    @property
    def sizes(self) -> Mapping[str, int]:
        return {self._name: self._size_bytes}

    def open(self, name: str) -> AbstractContextManager[IO[bytes]]:
        self._file.seek(0)
        return nullcontext(self._file)


def _is_chat(archive: Archive, name: str, limits: Limits) -> bool:
    for number, line in enumerate(archive.lines(name, limits)):
        if header(line) is not None:
            return True
        if number >= LOOKED_AT:
            break
    return False
