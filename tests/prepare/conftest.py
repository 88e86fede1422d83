"""The corpus, a private folder for copies, and what must stay untouched: a server, and a file that is watched."""

import asyncio
import ctypes
import json
import os
import struct
import sys
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from acervo.models import MediaPolicy
from acervo.prepare import isolation, launcher
from acervo.prepare.previews import examine

CORPUS = Path(__file__).parent.parent / "corpus"
MANIFEST = json.loads((CORPUS / "manifest.json").read_text())["files"]
GOOD = [entry for entry in MANIFEST if entry["kind"] != "hostile"]
HOSTILE = sorted(entry["name"] for entry in MANIFEST if entry["kind"] == "hostile")

needs_landlock = pytest.mark.skipif(
    not isolation.active().landlock_abi, reason="this kernel has no Landlock: tools can read what we can read"
)
needs_closed_network = pytest.mark.skipif(
    sys.platform != "linux" or os.uname().machine not in launcher.SYSCALLS,
    reason="the launcher knows no way to close the network here",
)


async def looked_at(path, declared_kind, out_dir, *, is_last_try=True, **policy):
    """What comes of a file under a policy that differs from the defaults in these points."""
    return await examine(path, declared_kind, MediaPolicy(**policy), out_dir, is_last_try=is_last_try)


async def facts_of(path, declared_kind, out_dir):
    return (await looked_at(path, declared_kind, out_dir)).facts


@pytest.fixture(autouse=True)
def nothing_is_left_running():
    before = tools_at_work()
    yield
    assert tools_at_work() <= before


def tools_at_work():
    """All that runs below this process; the server from which tools are forked only waits, the database has its own, and
    a browser's dead children wait for it."""
    return {one for one in psutil.Process().children(recursive=True) if is_tool(one)}


def is_tool(process):
    try:
        return launcher.__file__ not in process.cmdline() and process.name() != "postgres"
    except psutil.NoSuchProcess:  # or a zombie, which is one
        return False


@pytest.fixture
def out_dir(tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


@pytest.fixture
async def trap():
    """A loopback server counting who comes."""
    seen = SimpleNamespace(visits=0, port=0)

    async def answer(reader, writer):
        seen.visits += 1
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    seen.port = server.sockets[0].getsockname()[1]
    yield seen
    server.close()
    await server.wait_closed()


class Canary:
    """A readable file that notices who opens it."""

    IN_ACCESS_OR_OPEN = 0x01 | 0x20
    TEXT = b"canary of the acervo\n"

    def __init__(self, path):
        self.path = path
        path.write_bytes(self.TEXT)
        path.chmod(0o644)
        libc = ctypes.CDLL(None, use_errno=True)
        self._fd = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        assert libc.inotify_add_watch(self._fd, bytes(path), self.IN_ACCESS_OR_OPEN) > 0

    def was_opened(self):
        try:
            return len(os.read(self._fd, 4096)) >= struct.calcsize("iIII")
        except BlockingIOError:
            return False

    def close(self):
        os.close(self._fd)


@pytest.fixture
def canary(tmp_path):
    if sys.platform != "linux":
        pytest.skip("only Linux tells who opened a file")
    found = Canary(tmp_path / "canary.ts")
    yield found
    found.close()
