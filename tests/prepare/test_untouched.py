"""While hostile files are prepared nobody is called, nothing outside is read, and a tool that dies leaves nothing."""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from acervo.prepare.isolation import ToolTimedOut, tool
from acervo.prepare.workroom import PREFIX, sweep, workroom
from tests.prepare.conftest import CORPUS, HOSTILE, Canary, looked_at, needs_closed_network, needs_landlock
from tests.prepare.test_isolation import until

NAMED_ADDRESS = b"127.0.0.1:18080"
"""Where the playlists of the corpus point to: perhaps taken by somebody else, so ours are copies that point to a trap."""
SIGNATURES = [
    b"",
    b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom\n",
    b"OggS\x00\x02" + bytes(22) + b"OpusHead\n",
    b"#!AMR\n",
    b"GIF89a\n",
    b"%PDF-1.4\n",
    b"RIFF\x24\x00\x00\x00WAVEfmt \n",
]
"""What the sniffer believes; without one, the playlists are what they are."""


@dataclass(frozen=True)
class Trap:
    port: int
    visits: list[bytes]


@pytest.fixture
async def trap():
    """A server on this machine that nobody may visit."""
    visits = []

    async def answer(reader, writer):
        visits.append(await reader.readline())
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    yield Trap(server.sockets[0].getsockname()[1], visits)
    server.close()
    await server.wait_closed()


def pointed_at(trap, name, folder):
    """A file of the corpus; one that names a server names the trap."""
    body = (CORPUS / name).read_bytes()
    copy = folder / Path(name).name
    copy.write_bytes(body.replace(NAMED_ADDRESS, f"127.0.0.1:{trap.port}".encode()))
    return copy


def luring(canary, trap):
    """Every playlist and script we know, pointing at the trap and at the canary."""
    address = f"http://127.0.0.1:{trap.port}/x.ts"
    return [
        f"#EXTM3U\n#EXTINF:10,\n{address}\nfile://{canary}\n#EXT-X-ENDLIST\n",
        f"ffconcat version 1.0\nfile '{canary}'\nfile '{address}'\n",
        f"<svg xmlns:xlink='http://www.w3.org/1999/xlink'><image xlink:href='file://{canary}'/></svg>",
        f"v=0\nc=IN IP4 127.0.0.1\nm=audio {trap.port} RTP/AVP 0\n",
        f"<MPD><Period><BaseURL>{address}</BaseURL></Period></MPD>",
        f"%!PS\n({canary}) run\n",
    ]


async def play_unprotected(kind, path):
    """The same ffmpeg, told to follow."""
    process = await asyncio.create_subprocess_exec(
        *(tool("ACERVO_FFMPEG"), "-nostdin", "-v", "quiet", "-protocol_whitelist", "file,http,tcp,crypto"),
        *("-f", kind, *(("-safe", "0") if kind == "concat" else ("-allowed_extensions", "ALL"))),
        *("-i", path, "-c", "copy", "-f", "null", "-"),
    )
    await process.wait()


@needs_landlock
@needs_closed_network
async def test_the_trap_stays_silent_and_the_canary_alive(trap, canary, tmp_path, out_dir):
    for name in HOSTILE:
        await looked_at(pointed_at(trap, name, tmp_path), None, out_dir)
    for text in luring(canary.path, trap):
        for signature in SIGNATURES:
            path = tmp_path / "disguised"
            path.write_bytes(signature + text.encode() * 8)
            outcome = await looked_at(path, "video", out_dir, mp3="always", mp4="always")
            assert outcome.facts.is_damaged or not outcome.made
    assert trap.visits == []
    assert not canary.was_opened()
    for path in out_dir.iterdir():
        assert Canary.TEXT not in path.read_bytes()


async def test_the_trap_and_the_canary_would_have_told(trap, canary, tmp_path):
    """The control: the same tool without our arguments and isolation falls for both."""
    await play_unprotected("hls", pointed_at(trap, "hostile/hls_http.mp4", tmp_path))
    assert trap.visits != []
    script = tmp_path / "script"
    script.write_text(f"ffconcat version 1.0\nfile '{canary.path}'\n")
    await play_unprotected("concat", script)
    assert canary.was_opened()


# ── tools that die ──


def rooms():
    return set(Path(tempfile.gettempdir()).glob(f"{PREFIX}*"))


def encoders_of(process):
    """Those that became ffmpeg already, writing a film."""
    found = []
    for child in process.children(recursive=True):
        try:
            if child.name() == "ffmpeg" and "libx264" in child.cmdline():
                found.append(child)
        except psutil.Error:
            continue
    return found


async def test_ffmpeg_killed_in_mid_work_leaves_neither_process_nor_file(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    async def work():
        with workroom() as folder:
            await looked_at(CORPUS / "video_720p_hevc_3s.mp4", "video", folder, is_last_try=False)

    async def kill():
        await until(lambda: encoders_of(psutil.Process()))
        encoders_of(psutil.Process())[0].kill()

    killing = asyncio.create_task(kill())
    with pytest.raises(ToolTimedOut):
        await work()
    await killing
    assert encoders_of(psutil.Process()) == []
    assert rooms() == set()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's death")
async def test_a_worker_killed_in_mid_work_leaves_no_process_and_its_files_to_the_next(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    code = f"""
import asyncio, tempfile
from pathlib import Path
tempfile.tempdir = {str(tmp_path)!r}
import django
django.setup()
from acervo.models import MediaPolicy
from acervo.prepare.previews import examine
from acervo.prepare.workroom import workroom
async def work():
    with workroom() as folder:
        await examine(Path({str(CORPUS / "video_720p_hevc_3s.mp4")!r}), "video", MediaPolicy(), folder)
asyncio.run(work())
"""
    worker = subprocess.Popen(
        [sys.executable, "-c", code], cwd=Path(__file__).parents[2], env=dict(os.environ)
    )
    try:
        await until(lambda: encoders_of(psutil.Process(worker.pid)), patience_s=30)
        (encoder,) = encoders_of(psutil.Process(worker.pid))
    finally:
        worker.send_signal(signal.SIGKILL)
        worker.wait()
    await until(lambda: not encoder.is_running() or encoder.status() == psutil.STATUS_ZOMBIE)
    assert len(rooms()) == 1
    assert sweep() == 1
    assert rooms() == set()
