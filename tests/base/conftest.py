"""A house of one's own for each test of the embedded database, left empty afterwards."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

import acervo
from acervo.base.postgres import EmbeddedPostgres, processes

REPOSITORY = Path(acervo.__file__).parents[1]


MEMORY = Path("/dev/shm")
ROOM_BYTES = 2 * 1024**3


@contextmanager
def passable_folder():
    """A folder that every user can pass through, unlike pytest's own; in memory where there is room."""
    in_memory = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ROOM_BYTES
    folder = Path(tempfile.mkdtemp(prefix="acervo-test-", dir=MEMORY if in_memory else None))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def open_folder():
    with passable_folder() as folder:
        yield folder


@pytest.fixture
def embedded(open_folder, template):
    """Makes EmbeddedPostgres objects, and ends their servers whatever the test did to them."""
    made = []

    def make(data_dir=None, *, fresh=False):
        made.append(EmbeddedPostgres(data_dir or open_folder / "data"))
        if not fresh:
            copy_cluster(template, made[-1]._place())
        return made[-1]

    yield make
    for postgres in made:
        end(postgres)


@pytest.fixture(scope="session")
def template():
    """A stopped database to copy, which is quicker than making one."""
    with passable_folder() as folder:
        postgres = EmbeddedPostgres(folder / "data")
        postgres.ensure_running()
        postgres.stop()
        yield postgres._place().base


@pytest.fixture
def postgres(embedded):
    running = embedded()
    running.ensure_running()
    return running


def copy_cluster(template, place):
    owner = place.log_folder.stat()
    subprocess.run(["cp", "-a", template / "cluster", place.base], check=True)
    subprocess.run(["chown", "-R", f"{owner.st_uid}:{owner.st_gid}", place.cluster], check=True)
    (place.base / "password").write_text((template / "password").read_text())  # keeps its owner and mode


def end(postgres):
    """Kill what is left of a test's server and remove what lies outside its folder."""
    if not postgres.data_dir.exists():
        return
    place = postgres._place()
    for pid in pids_of(postgres):
        with suppress(ProcessLookupError):  # it goes with its postmaster
            os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not pids_of(postgres))
    if not place.socket_folder().is_relative_to(place.base):
        shutil.rmtree(place.socket_folder())


def pids_of(postgres):
    """All living processes of a server, the postmaster first."""
    processes.reap()
    mark = postgres._place().mark
    found = {pid: command for pid, command in processes.commands().items() if mark in command}
    return sorted(found, key=lambda pid: f"cluster_name={mark}" not in found[pid])


def postmaster_of(postgres):
    return postgres._postmaster().pid


def crash(postgres):
    """Kill the whole server as a power cut would, and wait until nothing of it lives."""
    for pid in pids_of(postgres):
        with suppress(ProcessLookupError):  # it goes with its postmaster
            os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not pids_of(postgres))


def is_zombie(pid):
    return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def wait_until(condition, *, timeout_s=30):
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def python(script, *arguments, interpreter=sys.executable, path=(), **popen):
    """Another process running a few lines over `postgres`, the database of the folder given first."""
    opening = (
        "import sys; from pathlib import Path; from acervo.base.postgres import EmbeddedPostgres; "
        "postgres = EmbeddedPostgres(Path(sys.argv[1]))\n"
    )
    environment = {"PATH": os.defpath, "PYTHONPATH": os.pathsep.join(map(str, (REPOSITORY, *path)))}
    return subprocess.Popen(
        [interpreter, "-c", opening + script, *map(str, arguments)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, cwd="/", **popen,
    )  # fmt: skip


def said(process):
    """What another process printed, once it has ended well."""
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return out.strip()
