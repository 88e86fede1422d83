"""The small corpus, a private folder for renditions, and a server that must never be knocked at."""

import asyncio
import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from acervo.prepare import isolation, launcher

CORPUS = Path(__file__).parent.parent / "corpus"
MANIFEST = json.loads((CORPUS / "manifest.json").read_text())["files"]
HOSTILE = sorted(entry["name"] for entry in MANIFEST if entry["kind"] == "hostile")

needs_landlock = pytest.mark.skipif(
    not isolation.active().landlock_abi, reason="this kernel has no Landlock: tools can read what we can read"
)
needs_closed_network = pytest.mark.skipif(
    sys.platform != "linux" or os.uname().machine not in launcher.SYSCALLS,
    reason="the launcher knows no way to close the network here",
)


@pytest.fixture(autouse=True)
def nothing_is_left_running():
    before = set(psutil.Process().children())
    yield
    assert set(psutil.Process().children()) <= before


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
