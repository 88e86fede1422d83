"""The scanner's protocol: whatever clamd, or what pretends to be one, answers, only a plain OK is clean."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from acervo.prepare.clamd import Engine, ScanFailed, Scanner, ScannerAway, TooLargeToScan
from tests.clamd import EICAR, SIGNATURE, STREAM_MAX_BYTES, Clamd, clamd

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
MIB = 1024 * 1024


@asynccontextmanager
async def scripted(script: Script, **patience: float) -> AsyncIterator[Scanner]:
    """A server on a UNIX socket that does what the script says with each caller."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await script(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    with tempfile.TemporaryDirectory(prefix="acervo-") as folder:
        path = Path(folder) / "s"
        server = await asyncio.start_unix_server(serve, path)
        yield Scanner(f"unix:{path}", **patience)
        server.close()
        await server.wait_closed()


async def stream(reader: asyncio.StreamReader) -> bytes:
    """What a clamd hears: the command, then pieces with their length, then an empty one."""
    assert await reader.readuntil(b"\0") == b"zINSTREAM\0"
    heard = b""
    while length := int.from_bytes(await reader.readexactly(4), "big"):
        heard += await reader.readexactly(length)
    return heard


def answering(words: bytes, heard: list[bytes] | None = None) -> Script:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        body = await stream(reader)
        if heard is not None:
            heard.append(body)
        writer.write(words)
        await writer.drain()

    return script


async def pieces(*given: bytes) -> AsyncIterator[bytes]:
    for piece in given:
        yield piece


class Endless:
    """Two gibibytes of zeros that count how many of them were asked for."""

    asked = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for _ in range(2048):
            self.asked += 1
            yield bytes(MIB)


async def test_the_pieces_arrive_whole_and_in_order_and_an_empty_one_ends_nothing() -> None:
    heard: list[bytes] = []
    async with scripted(answering(b"stream: OK\0", heard)) as scanner:
        assert await scanner.infection(pieces(b"one", b"", b"two", bytes(MIB))) is None
        assert await scanner.infection(pieces()) is None
    assert heard == [b"onetwo" + bytes(MIB), b""]


async def test_what_is_found_is_named_and_nothing_in_the_name_can_hurt_a_page_or_a_row() -> None:
    async with scripted(answering(b"stream: Win.Test.EICAR_HDB-1 FOUND\0")) as scanner:
        assert await scanner.infection(pieces(b"x")) == "Win.Test.EICAR_HDB-1"
    async with scripted(answering(b"stream: A\x01\xff" + b"b" * 500 + b" FOUND\0")) as scanner:
        found = await scanner.infection(pieces(b"x"))
    assert found is not None
    assert found.isprintable()
    assert found.isascii()
    assert len(found) == 128


@pytest.mark.parametrize(
    "words",
    [
        b"stream: Can't allocate memory ERROR\0",
        b"COMMAND READ TIMED OUT\0",
        b"UNKNOWN COMMAND\0",
        b"stream: OK",  # broken off before its end
        b"stream: OK FOUND OK\0",
        b"OK\0",
        b"stream: ok\0",
        b"HTTP/1.1 400 Bad Request\r\n\r\n\0",
        b"\xff\xfe\0",
        b"\0",
        b"",
        b"x" * 200_000,
    ],
)
async def test_whatever_is_not_plainly_clean_is_no_verdict(words: bytes) -> None:
    async with scripted(answering(words)) as scanner:
        with pytest.raises(ScanFailed):
            await scanner.infection(pieces(b"x"))


async def test_a_scanner_that_has_heard_enough_is_heard_although_we_are_still_sending() -> None:
    async def refuses(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(100_000)
        writer.write(b"INSTREAM size limit exceeded. ERROR\0")
        await writer.drain()
        await asyncio.sleep(0.2)

    body = Endless()
    async with scripted(refuses) as scanner:
        with pytest.raises(TooLargeToScan):
            await scanner.infection(body)
    assert body.asked < 2048


async def test_a_scanner_that_dies_in_the_middle_gives_no_verdict() -> None:
    async def dies(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(1000)
        writer.transport.abort()

    async with scripted(dies) as scanner:
        with pytest.raises(ScanFailed):
            await scanner.infection(Endless())


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await stream(reader)
    await reader.read()


async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(1)


@pytest.mark.parametrize("script", [silent, deaf])
async def test_nobody_waits_for_ever(script: Script) -> None:
    async with scripted(script, stall_s=0.2, answer_s=0.2) as scanner:
        with pytest.raises(ScanFailed):
            await scanner.infection(pieces(*[bytes(MIB)] * 8))


async def test_an_error_of_the_source_comes_out_as_it_is() -> None:
    async def breaks() -> AsyncIterator[bytes]:
        yield b"x"
        raise LookupError("the store")

    async with scripted(answering(b"stream: OK\0")) as scanner:
        with pytest.raises(LookupError, match="the store"):
            await scanner.infection(breaks())


@pytest.mark.parametrize("address", ["unix:/nowhere/at/all", "tcp:127.0.0.1:9", "tcp:[::1]:9"])
async def test_where_nothing_answers_the_scanner_is_away(address: str) -> None:
    scanner = Scanner(address)
    for ask in (scanner.ping, scanner.engine, lambda: scanner.infection(pieces(b"x"))):
        with pytest.raises(ScannerAway):
            await ask()


@pytest.mark.parametrize(
    ("words", "engine"),
    [
        (
            b"ClamAV 1.4.3/27500/Tue Nov  3 08:25:24 2026\0",
            Engine("ClamAV 1.4.3", 27500, datetime(2026, 11, 3, 8, 25, 24, tzinfo=UTC)),
        ),
        (b"ClamAV 1.4.3\0", Engine("ClamAV 1.4.3")),
        (b"ClamAV 1.4.3/27500/some day\0", Engine("ClamAV 1.4.3", 27500)),
    ],
)
async def test_the_engine_says_its_version_and_the_day_of_its_signatures(
    words: bytes, engine: Engine
) -> None:
    async def versions(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.readuntil(b"\0") == b"zVERSION\0"
        writer.write(words)
        await writer.drain()

    async with scripted(versions) as scanner:
        assert await scanner.engine() == engine


async def test_what_is_no_clamd_is_not_taken_for_one() -> None:
    async def web(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example.com\r\n\0")
        await writer.drain()
        await reader.read()

    async with scripted(web) as scanner:
        for ask in (scanner.ping, scanner.engine):
            with pytest.raises(ScannerAway):
                await ask()


# ── a real one ──


@pytest.fixture(scope="module")
def real() -> Clamd:  # type: ignore[misc]
    with clamd() as made:
        made.start()
        yield made


async def test_a_real_clamd_finds_eicar_and_nothing_else(real: Clamd) -> None:
    scanner = Scanner(real.address)
    await scanner.ping()
    assert (await scanner.engine()).name.startswith("ClamAV ")
    assert await scanner.infection(pieces(EICAR)) == f"{SIGNATURE}.UNOFFICIAL"
    assert await scanner.infection(pieces(*[bytes([letter]) for letter in EICAR])) is not None
    assert await scanner.infection(pieces(b"a voice note")) is None
    assert await scanner.infection(pieces()) is None


@pytest.mark.parametrize("piece_bytes", [1000, MIB])
async def test_a_real_clamd_takes_its_largest_stream_and_refuses_one_byte_more(
    real: Clamd, piece_bytes: int
) -> None:
    def body(size: int) -> AsyncIterator[bytes]:
        return pieces(*(bytes(min(piece_bytes, size - at)) for at in range(0, size, piece_bytes)))

    scanner = Scanner(real.address)
    assert await scanner.infection(body(STREAM_MAX_BYTES)) is None
    for size in (STREAM_MAX_BYTES + 1, STREAM_MAX_BYTES * 8):
        with pytest.raises(TooLargeToScan):
            await scanner.infection(body(size))
