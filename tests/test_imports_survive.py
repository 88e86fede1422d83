"""kill -9 of the worker that brings a chat in, or takes it out: at the end there is all of it once, or nothing of it."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil
import pytest

from sandbox.chat_exports import PHONES, believable, pack
from tests.house import House, house, wait_for

pytestmark = pytest.mark.slow

MESSAGES, FILES, FILE_BYTES = 4000, 320, 20_000
US, THEM = "Bia Loja", "Ana Teste"
START = datetime(2024, 3, 1, 8)  # noqa: DTZ001  (a phone's clock)
WORKER = ("worker", "--queues", "bulk,tick")
UPLOAD = """
from pathlib import Path
from asgiref.sync import async_to_sync
from acervo import journey
from acervo.models import Connection
from acervo.receive import imports
path = Path({path!r})
run = imports.ask(Connection.objects.get(), imports.look(path), name={them!r}, phone="", archive_name=path.name,
    time_zone="America/Sao_Paulo", by="test")
async_to_sync(imports.keep_archive)(run, path)
journey.begin_import(run, imports.Choice({us!r}, "America/Sao_Paulo"), by="test")
"""
TAKE_BACK = """
from acervo import journey
from acervo.models import ChatImport
journey.take_back_import(ChatImport.objects.get(), by="test")
"""


def test_an_import_and_its_undoing_survive_the_death_of_their_worker(tmp_path: Path) -> None:
    random.seed(19)
    said = list(believable(MESSAGES, FILES, us=US, them=THEM, start=START))
    bodies = ((one.file_name, os.urandom(FILE_BYTES)) for one in said if one.file_name)
    path = pack(tmp_path, said, bodies, PHONES["android pt"], THEM)
    with house() as home, home.sandbox("sandbox.whatsapp") as meta:
        home.acervo("migrate")
        home.connect(meta)
        tell(home, UPLOAD.format(path=str(path), us=US, them=THEM))
        for share in (0.0, 0.3, 0.7):
            die(home, "import_chat", lambda share=share: standing(home)["done"] > share * MESSAGES)
        with working(home, "import_chat"):
            wait_for(lambda: is_over(home, "finished_at"), "brought in")
        facts = standing(home)
        assert (facts["done"], facts["new_messages"], facts["new_files"]) == (MESSAGES, MESSAGES, FILES)
        assert (facts["known_messages"], facts["linked_files"], facts["missing_files"]) == (0, 0, 0)
        assert rows(home) == (MESSAGES, FILES)
        assert left_over(home) == FILES, "an object that no row owns, or one that is missing"
        verdict = home.json("verify")
        assert verdict["damaged"] == verdict["missing"] == 0

        tell(home, TAKE_BACK)
        for share in (0.9, 0.4):
            die(home, "undo_import", lambda share=share: rows(home)[0] < share * MESSAGES)
        with working(home, "undo_import"):
            wait_for(lambda: is_over(home, "undone_at"), "taken out")
        assert standing(home)["removed_files"] == FILES
        assert rows(home) == (0, 0)
        assert left_over(home) == 0
        assert home.acervo("audit")


def die(home: House, task: str, is_time: Callable[[], bool]) -> None:
    """A worker begins, and is killed at some moment after its time has come."""
    with working(home, task) as worker:
        wait_for(is_time, "far enough", every_s=0.02)
        time.sleep(random.uniform(0.0, 0.1))
        worker.kill()
    assert not is_over(home, "finished_at" if task == "import_chat" else "undone_at"), "killed too late"
    sweep(home)


@contextmanager
def working(home: House, task: str) -> Iterator[psutil.Process]:
    """A worker. What the clock does once it misses a dead one's heartbeat is done at once: its job is to do again."""
    again = "SELECT procrastinate_retry_job_v1(id, now(), NULL, NULL, NULL) FROM procrastinate_jobs WHERE status = 'doing' AND task_name = %s"
    home.ask(again, f"acervo:{task}")
    with home.part(*WORKER) as worker:
        yield worker


def tell(home: House, code: str) -> None:
    home.acervo("manage", "shell", "--no-imports", "-c", code)


def standing(home: House) -> dict[str, Any]:
    ((facts,),) = home.ask("SELECT row_to_json(i) FROM acervo_chatimport i")
    return dict(facts)


def is_over(home: House, moment: str) -> bool:
    """Ended, and its archive let go."""
    facts = standing(home)
    return facts[moment] is not None and facts["object_key"] is None


def rows(home: House) -> tuple[int, int]:
    """Messages and files."""
    (counted,) = home.ask(
        "SELECT (SELECT count(*) FROM acervo_message), (SELECT count(*) FROM acervo_mediafile)"
    )
    return counted[0], counted[1]


def sweep(home: House) -> None:
    """What the dead left half done is cleared away, as every night: without being told that so many are in order."""
    home.acervo("sweep", "--older-than-hours", "0")


def left_over(home: House) -> int:
    """Objects in the store, each of them with its row."""
    sweep(home)
    swept = home.json("sweep", "--older-than-hours", "0", "--dry-run")
    assert swept["orphans"] == swept["leftovers"] == 0
    return int(swept["seen"])
