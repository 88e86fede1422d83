"""`acervo serve`: ready with one line, restarts what dies, stops cleanly and leaves nothing behind."""

from __future__ import annotations

import signal
import urllib.request

import psutil
import pytest

from tests.house import house, wait_for

pytestmark = pytest.mark.slow


def test_serve_is_ready_restarts_what_dies_and_stops_cleanly() -> None:
    with house(is_new=True) as home:
        home.serve()
        assert home.log.read_text().count("Acervo is ready at") <= 1
        with urllib.request.urlopen(f"{home.url}/healthz") as answer:
            assert answer.status == 200
        (web,) = home.processes("web")
        home.kill("web")
        wait_for(lambda: [p.pid for p in home.processes("web")] not in ([], [web.pid]), "a new web process")
        home.wait_until_ready()
        wait_for(lambda: "Acervo is ready at" in home.log.read_text(), "the line")
        family = psutil.Process(home.serving.pid).children(recursive=True)
        home.serving.send_signal(signal.SIGTERM)
        assert home.serving.wait(60) == 0
        assert not [process for process in family if process.is_running() and process.status() != "zombie"]
        assert not home.processes("postgres")


def test_children_end_when_their_keeper_is_killed() -> None:
    with house() as home:
        home.serve()
        family = [process for name in ("web", "capture", "preparation") for process in home.processes(name)]
        assert len(family) == 3
        home.serving.kill()
        home.serving.wait()
        wait_for(
            lambda: not [p for p in family if p.is_running() and p.status() != "zombie"],
            "the end of the children",
        )
