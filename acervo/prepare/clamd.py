"""The malware scanner: a clamd somewhere, asked in its own protocol, without ever holding a file whole."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from acervo.base.errors import NeedsPerson, TryLater

NAME_LENGTH: Final = 128
FOUND: Final = re.compile(r"stream: (.+) FOUND")
ENGINE: Final = re.compile(r"(ClamAV [^/]+)(?:/(\d+)/(.+))?")

LONGEST_ANSWER: Final = 64 * 1024


class ScannerAway(TryLater):
    """The malware scanner does not answer. Files wait for it, and nobody has them meanwhile."""

    code = "scanner_away"


class ScanFailed(TryLater):
    """The malware scanner could not finish with this file."""

    code = "scan_failed"


class TooLargeToScan(NeedsPerson):
    """The malware scanner takes no file of this size. Raise StreamMaxLength in its clamd.conf."""

    code = "scan_too_large"


@dataclass(frozen=True, slots=True)
class Engine:
    """Who scans. A database of one's own has neither number nor date."""

    name: str
    signatures: int | None = None
    signatures_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Scanner:
    """One clamd, by the address of the setting: `unix:/path` or `tcp:host:port`."""

    address: str
    connect_s: float = 5.0
    stall_s: float = 60.0
    """Longest pause while it takes a piece."""
    answer_s: float = 300.0
    """Longest wait for a verdict once it has everything; clamd's own MaxScanTime is two minutes."""

    async def ping(self) -> None:
        """Raises ScannerAway."""
        if await self._ask(b"zPING\0") != "PONG":
            raise ScannerAway("What answers there is no clamd.")

    async def engine(self) -> Engine:
        """Raises ScannerAway."""
        said = ENGINE.fullmatch(await self._ask(b"zVERSION\0"))
        if said is None:
            raise ScannerAway("What answers there is no clamd.")
        name, number, date = said.groups()
        return Engine(name.strip()[:64], int(number) if number else None, _moment(date))

    async def infection(self, pieces: AsyncIterable[bytes]) -> str | None:
        """What it finds in these bytes, in its own words; None when they are clean. Raises ScannerAway before the
        first byte, afterwards ScanFailed and TooLargeToScan: whatever is not plainly clean is no verdict."""
        async with self._line() as line:
            answering = asyncio.create_task(_answer(line))
            try:
                await self._send(line, pieces, answering)
                return _verdict(await asyncio.wait_for(answering, self.answer_s))
            except TimeoutError as error:
                raise ScanFailed("The malware scanner did not answer in time.") from error
            except OSError as error:
                raise ScanFailed("The malware scanner broke off.") from error
            finally:
                answering.cancel()
                await asyncio.gather(answering, return_exceptions=True)

    async def _send(
        self, line: socket.socket, pieces: AsyncIterable[bytes], answering: asyncio.Task[bytes]
    ) -> None:
        """Until everything is sent, or the scanner has heard enough: then its answer says why."""
        with contextlib.suppress(ConnectionError):
            await self._say(line, b"zINSTREAM\0")
            async for piece in pieces:
                if answering.done():
                    return
                if piece:  # an empty one would end the stream
                    await self._say(line, len(piece).to_bytes(4, "big") + piece)
            await self._say(line, bytes(4))

    async def _say(self, line: socket.socket, words: bytes) -> None:
        await asyncio.wait_for(asyncio.get_running_loop().sock_sendall(line, words), self.stall_s)

    async def _ask(self, command: bytes) -> str:
        async with self._line() as line:
            try:
                await self._say(line, command)
                return _text(await asyncio.wait_for(_answer(line), self.connect_s))
            except OSError as error:
                raise ScannerAway() from error

    @contextlib.asynccontextmanager
    async def _line(self) -> AsyncIterator[socket.socket]:
        """A bare socket, not streams: those stop reading once a write fails, and with that lose the answer of a scanner
        that has heard enough and hung up."""
        try:
            line = await asyncio.wait_for(self._open(), self.connect_s)
        except OSError as error:  # a time-out is one too
            raise ScannerAway() from error
        with line:
            yield line

    async def _open(self) -> socket.socket:
        kind, _, rest = self.address.partition(":")
        if kind == "unix":
            return await _connected(socket.AF_UNIX, rest)
        host, _, port = rest.rpartition(":")
        known = await asyncio.get_running_loop().getaddrinfo(
            host.strip("[]"), int(port), type=socket.SOCK_STREAM
        )
        for last, (family, *_, address) in enumerate(known, 1 - len(known)):
            try:
                return await _connected(family, address)
            except OSError:
                if last == 0:
                    raise
        raise OSError("This name has no address.")


async def _connected(family: int, address: Any) -> socket.socket:
    line = socket.socket(family, socket.SOCK_STREAM)
    try:
        line.setblocking(False)
        await asyncio.get_running_loop().sock_connect(line, address)
    except BaseException:
        line.close()
        raise
    return line


async def _answer(line: socket.socket) -> bytes:
    """Up to its end, a zero. Raises ConnectionError where it breaks off before, or does not end."""
    said = b""
    while not said.endswith(b"\0"):
        more = await asyncio.get_running_loop().sock_recv(line, LONGEST_ANSWER)
        said += more
        if not more or len(said) > LONGEST_ANSWER:
            raise ConnectionError
    return said


def _text(answer: bytes) -> str:
    return answer.rstrip(b"\0").decode("ascii", "replace").strip()


def _verdict(answer: bytes) -> str | None:
    said = _text(answer)
    if said == "stream: OK":
        return None
    if found := FOUND.fullmatch(said):
        return re.sub(r"[^ -~]", "?", found[1])[:NAME_LENGTH]
    if said.startswith("INSTREAM size limit exceeded"):
        raise TooLargeToScan()
    raise ScanFailed("The malware scanner answered with an error.")


def _moment(date: str | None) -> datetime | None:
    """As ctime writes it, in the scanner's time zone: good to the day."""
    try:
        return datetime.strptime(date or "", "%a %b %d %H:%M:%S %Y").replace(tzinfo=UTC)
    except ValueError:
        return None
