"""Processes look the same through /proc and through ps."""

import os
import signal
import subprocess
from pathlib import Path

import psycopg
import pytest

from acervo.base.postgres import processes
from tests.base.conftest import is_zombie, pids_of, postmaster_of, wait_until


@pytest.fixture(params=["proc", "ps"])
def source(request, monkeypatch):
    if request.param == "ps":
        monkeypatch.setattr(processes, "PROC", Path("/no/such/folder"))
    elif not Path("/proc/self/stat").exists():
        pytest.skip("this machine has no /proc")


@pytest.fixture
def sleeper():
    process = subprocess.Popen(["sleep", "59"])
    yield process
    process.kill()
    process.wait()


def test_a_living_process_has_its_command_line(source, sleeper):
    assert processes.command_of(sleeper.pid) == "sleep 59"
    assert processes.commands()[sleeper.pid] == "sleep 59"


def test_a_zombie_has_none(source, sleeper):
    sleeper.kill()
    wait_until(lambda: is_zombie(sleeper.pid))
    assert processes.command_of(sleeper.pid) is None
    assert sleeper.pid not in processes.commands()


def test_a_process_that_never_was_has_none(source):
    assert processes.command_of(999_999_999) is None


def test_the_server_recovers_by_either_source(source, postgres):
    assert len(pids_of(postgres)) > 3
    os.kill(postmaster_of(postgres), signal.SIGKILL)
    postgres.ensure_running()
    psycopg.connect(postgres.dsn).close()
