"""The embedded database comes back from every way of dying, and never takes a stranger for itself."""

import os
import signal
import subprocess
import threading

import psycopg
import pytest

from acervo.base.postgres import cluster, pidfile, processes, server
from acervo.base.postgres.cluster import DatabaseSlow
from acervo.base.postgres.server import LeftoversHold
from tests.base.conftest import crash, is_zombie, pids_of, postmaster_of, python, wait_until


def keep_a_row(postgres):
    with psycopg.connect(postgres.dsn) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS value")


def kept_row(postgres):
    with psycopg.connect(postgres.dsn) as connection:
        return connection.execute("SELECT value FROM kept").fetchone()[0]


def test_after_a_kill_of_the_postmaster_the_acknowledged_row_is_there(postgres):
    keep_a_row(postgres)
    os.kill(postmaster_of(postgres), signal.SIGKILL)
    postgres.ensure_running()
    assert kept_row(postgres) == 7


def test_after_a_kill_of_every_process_the_acknowledged_row_is_there(postgres):
    keep_a_row(postgres)
    crash(postgres)
    assert not postgres.is_running()
    postgres.ensure_running()
    assert kept_row(postgres) == 7


def test_a_zombie_that_nobody_reaps_is_not_taken_for_a_server(embedded):
    postgres = embedded()
    parent = python(
        "import time; postgres.ensure_running(); print(postgres._postmaster().pid, flush=True); time.sleep(60)",
        postgres.data_dir,
    )
    pid = int(parent.stdout.readline())
    keep_a_row(postgres)
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: is_zombie(pid))
    assert not postgres.is_running()
    postgres.ensure_running()
    assert is_zombie(pid)
    assert kept_row(postgres) == 7
    parent.kill()
    parent.communicate()


def test_backends_that_outlive_the_postmaster_are_ended_before_a_new_start(postgres, monkeypatch):
    keep_a_row(postgres)
    monkeypatch.setattr(server, "NOTICE_S", 0.3)
    client = psycopg.connect(postgres.dsn)
    orphan = client.info.backend_pid
    os.kill(orphan, signal.SIGSTOP)  # it will not notice by itself
    os.kill(postmaster_of(postgres), signal.SIGKILL)
    wait_until(lambda: not postgres.is_running())
    assert processes.command_of(orphan) is not None
    postgres.ensure_running()
    assert processes.command_of(orphan) is None
    assert kept_row(postgres) == 7
    client.close()


def test_while_an_unseen_process_holds_the_cluster_no_second_server_starts(postgres, monkeypatch):
    """As on a folder shared by two containers, where neither sees the other's processes."""
    pid = postmaster_of(postgres)
    monkeypatch.setattr(server, "NOTICE_S", 0.1)
    with monkeypatch.context() as blind:
        blind.setattr(processes, "command_of", lambda pid: None)
        blind.setattr(processes, "commands", dict)
        with pytest.raises(LeftoversHold):
            postgres.ensure_running()
    assert postmaster_of(postgres) == pid
    postgres.ensure_running()


@pytest.fixture(params=["the same user", "another user"])
def stranger(request, postgres):
    """A living process, of the server's user or not, that got the dead server's process id."""
    identity = postgres._place().operator().identity if request.param == "the same user" else {}
    if request.param == "another user" and os.geteuid() != 0:
        pid = 1
        yield pid
        return
    process = subprocess.Popen(["sleep", "60"], **identity)
    yield process.pid
    assert process.poll() is None, "the stranger was harmed"
    process.kill()
    process.wait()


def test_a_stale_pid_that_belongs_to_a_stranger_is_put_aside(postgres, stranger):
    keep_a_row(postgres)
    crash(postgres)
    place = postgres._place()
    for path in (place.cluster / pidfile.NAME, place.socket_folder() / ".s.PGSQL.5432.lock"):
        lines = path.read_text().splitlines(keepends=True)
        path.write_text("".join([f"{stranger}\n", *lines[1:]]))
    assert not postgres.is_running()
    postgres.stop()
    postgres.ensure_running()
    assert kept_row(postgres) == 7
    assert postmaster_of(postgres) != stranger


@pytest.mark.parametrize("content", ["", "\n", "not a number\n", "0\n", "999999999\n"])
def test_a_broken_pid_file_does_not_stop_the_start(postgres, content):
    crash(postgres)
    (postgres._place().cluster / pidfile.NAME).write_text(content)
    assert not postgres.is_running()
    postgres.ensure_running()
    assert postgres.is_running()


@pytest.fixture
def recovering(postgres, open_folder):
    """A crashed database whose recovery lasts until the file `gate` appears."""
    keep_a_row(postgres)
    crash(postgres)
    open_folder.chmod(0o755)
    gate = open_folder / "gate"
    folder = postgres._place().cluster
    (folder / "local.conf").write_text(
        f"restore_command = 'until test -e {gate}; do sleep 0.1; done; false'\n"
    )
    (folder / "local.conf").chmod(0o644)
    (folder / "recovery.signal").touch(mode=0o644)
    os.chown(folder / "recovery.signal", folder.stat().st_uid, folder.stat().st_gid)
    yield gate
    gate.touch()


@pytest.mark.slow
def test_a_recovery_of_more_than_ten_seconds_is_waited_for(postgres, recovering):
    waits = []

    def open_after_eleven_seconds(waited_s):
        waits.append(waited_s)
        if waited_s > 11:
            recovering.touch()

    postgres.ensure_running(progress=open_after_eleven_seconds)
    assert waits[-1] > 11
    assert kept_row(postgres) == 7


def test_patience_that_ends_leaves_the_recovery_alone_and_the_next_call_joins_it(postgres, recovering):
    with pytest.raises(DatabaseSlow):
        postgres.ensure_running(timeout_s=0.5)
    pid = postmaster_of(postgres)
    assert postgres.is_running()
    recovering.touch()
    postgres.ensure_running()
    assert postmaster_of(postgres) == pid
    assert kept_row(postgres) == 7


def test_a_recovering_server_can_be_stopped(postgres, recovering):
    postgres.poll()
    assert postgres.is_running()
    postgres.stop()
    assert pids_of(postgres) == []


def test_poll_starts_what_died_and_leaves_what_lives(postgres):
    assert postgres.poll() is False
    os.kill(postmaster_of(postgres), signal.SIGKILL)
    wait_until(lambda: not postgres.is_running())
    assert postgres.poll() is True
    assert postgres.poll() is False
    postgres.ensure_running()


def test_a_supervised_server_comes_back_by_itself_until_told_otherwise(postgres):
    until = threading.Event()
    supervisor = threading.Thread(target=postgres.supervise, args=(until,), kwargs={"interval_s": 0.05})
    supervisor.start()
    try:
        for _ in range(2):
            died = postmaster_of(postgres)
            os.kill(died, signal.SIGKILL)
            wait_until(lambda died=died: postgres._answers() and postmaster_of(postgres) != died)
    finally:
        until.set()
        supervisor.join()
    assert postgres.is_running()
    postgres.stop()
    assert not postgres.is_running()


def test_supervision_outlives_a_failed_restart(postgres, monkeypatch):
    failures = iter([OSError("no space"), LeftoversHold()])
    start = server.start

    def failing_twice(place):
        for failure in failures:
            raise failure
        return start(place)

    monkeypatch.setattr(server, "start", failing_twice)
    monkeypatch.setattr(cluster, "LONGEST_BACKOFF_S", 0.1)
    until = threading.Event()
    supervisor = threading.Thread(target=postgres.supervise, args=(until,), kwargs={"interval_s": 0.05})
    supervisor.start()
    try:
        os.kill(postmaster_of(postgres), signal.SIGKILL)
        wait_until(lambda: next(failures, None) is None and postgres._answers())
    finally:
        until.set()
        supervisor.join()
