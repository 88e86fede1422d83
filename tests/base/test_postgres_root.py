"""Root lends the database to an ordinary user without touching a folder it did not make."""

import os
import pwd
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import psutil
import psycopg
import pytest

from acervo.base.postgres import EmbeddedPostgres, binaries, place, unprivileged
from acervo.base.postgres.place import DatabaseMissing, NoPlace
from acervo.base.postgres.unprivileged import NoOrdinaryUser
from tests.base.conftest import postmaster_of, python, said

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can lend")

ALICE = pwd.getpwnam("nobody")  # any ordinary user that every machine has
AS_ALICE = {"user": ALICE.pw_uid, "group": ALICE.pw_gid, "extra_groups": []}


def facts(folder):
    """Mode and owner of a folder and all its parents."""
    return {
        path: (path.stat().st_mode, path.stat().st_uid, path.stat().st_gid)
        for path in (folder, *folder.parents)
    }


@pytest.fixture
def alices(open_folder):
    folder = open_folder / "alice"
    folder.mkdir(mode=0o700)
    os.chown(folder, ALICE.pw_uid, ALICE.pw_gid)
    return folder


@pytest.fixture
def closed(open_folder):
    """A folder like /root: of mode 0700, which only root may enter."""
    folder = open_folder / "closed"
    folder.mkdir(mode=0o700)
    return folder


@pytest.fixture
def system_folder(open_folder, monkeypatch):
    folder = open_folder / "system"
    monkeypatch.setattr(place, "SYSTEM_FOLDERS", (folder,))
    return folder


@pytest.fixture(scope="module")
def alices_python():
    """An interpreter and a path that Alice can read: root's own may lie under /root."""
    packages = Path(psycopg.__file__).parents[1]
    version = f"python3.{sys.version_info.minor}"
    for interpreter in filter(None, (sys.executable, shutil.which(version, path="/usr/bin:/usr/local/bin"))):
        try:
            tried = python("import psycopg", "/", interpreter=interpreter, path=(packages,), **AS_ALICE)
        except PermissionError:
            continue
        tried.communicate()
        if tried.returncode == 0:
            return {"interpreter": interpreter, "path": (packages,), **AS_ALICE}
    pytest.skip("no interpreter that an ordinary user can run")


def test_the_server_runs_as_an_ordinary_user_and_root_can_connect(postgres):
    assert psutil.Process(postmaster_of(postgres)).uids().effective != 0
    psycopg.connect(postgres.dsn).close()


def test_the_system_user_is_preferred(postgres):
    if shutil.which("useradd", path=unprivileged.ENVIRONMENT["PATH"]) is None:
        pytest.skip("this machine cannot make users")
    assert psutil.Process(postmaster_of(postgres)).username() == "acervo"


def test_the_environment_with_its_keys_does_not_reach_the_server(embedded, monkeypatch):
    monkeypatch.setenv("ACERVO_MASTER_KEY", "a secret")
    postgres = embedded()
    postgres.ensure_running()
    assert "ACERVO_MASTER_KEY" not in psutil.Process(postmaster_of(postgres)).environ()


def test_folders_that_existed_keep_mode_and_owner(embedded, open_folder):
    data_dir = open_folder / "a" / "b"
    data_dir.mkdir(parents=True)
    before = facts(data_dir)
    embedded(data_dir).ensure_running()
    assert facts(data_dir) == before


def test_a_folder_the_user_cannot_enter_stays_closed_and_the_cluster_goes_elsewhere(
    embedded, closed, system_folder
):
    before = facts(closed)
    postgres = embedded(closed, fresh=True)
    postgres.ensure_running()
    assert facts(closed) == before
    assert postgres._place().base.parent == system_folder
    psycopg.connect(postgres.dsn).close()
    other = python("postgres.ensure_running(); print(postgres._postmaster().pid)", closed)
    assert said(other) == str(postmaster_of(postgres))


def test_a_recorded_place_that_vanished_is_said_and_never_replaced_by_an_empty_database(
    closed, system_folder
):
    postgres = EmbeddedPostgres(closed)
    shutil.rmtree(Path(postgres.connection_parameters()["host"]).parent)
    with pytest.raises(DatabaseMissing):
        postgres.ensure_running()


def test_without_any_reachable_folder_the_error_names_the_cure(closed, monkeypatch):
    monkeypatch.setattr(place, "SYSTEM_FOLDERS", (closed / "system",))
    with pytest.raises(NoPlace, match="ACERVO_DATA_DIR"):
        EmbeddedPostgres(closed / "data").ensure_running()


def test_programs_the_user_cannot_reach_are_copied(embedded, closed, system_folder, monkeypatch):
    """As with an environment under /root."""
    package = binaries._package()
    hidden = closed / binaries.PACKAGE
    shutil.copytree(package / binaries.INSTALL, hidden / binaries.INSTALL, symlinks=True)
    for name in binaries.LIBRARIES:
        if (package / name).is_dir():
            shutil.copytree(package / name, hidden / name)
    monkeypatch.setattr(binaries, "_package", lambda: hidden)
    before = facts(hidden)
    postgres = embedded(fresh=True)
    postgres.ensure_running()
    assert Path(psutil.Process(postmaster_of(postgres)).exe()).is_relative_to(system_folder)
    psycopg.connect(postgres.dsn).close()
    assert facts(hidden) == before
    assert not list(system_folder.glob(".copying-*"))


def test_nobody_is_the_last_resort_and_without_one_the_error_says_what_to_do(
    monkeypatch, open_folder, caplog
):
    monkeypatch.setattr(unprivileged, "USER", "no-such-user-here")
    monkeypatch.setattr(unprivileged, "_make_user", lambda: None)
    assert unprivileged.operator_for(open_folder).uid == ALICE.pw_uid
    assert "postgres.runs_as_nobody" in caplog.text
    monkeypatch.setattr(unprivileged, "LAST_RESORT", "no-such-user-either")
    with pytest.raises(NoOrdinaryUser, match="user named acervo"):
        unprivileged.operator_for(open_folder)


def test_an_ordinary_user_runs_the_database_in_person(embedded, alices, alices_python):
    said(python("postgres.ensure_running()", alices / "data", **alices_python))
    postgres = embedded(alices / "data", fresh=True)
    assert psutil.Process(postmaster_of(postgres)).uids().effective == ALICE.pw_uid
    assert stat.S_IMODE((alices / "data" / "postgres").stat().st_mode) == 0o700
    said(python("postgres.stop(); assert not postgres.is_running()", alices / "data", **alices_python))


def test_root_in_the_folder_of_an_ordinary_user_acts_as_that_user_who_keeps_the_use_of_it(
    embedded, alices, alices_python
):
    postgres = embedded(alices, fresh=True)
    postgres.ensure_running()
    assert psutil.Process(postmaster_of(postgres)).uids().effective == ALICE.pw_uid
    script = (
        "import psycopg; postgres.ensure_running(); psycopg.connect(postgres.dsn).close(); postgres.stop()"
    )
    said(python(script, alices, **alices_python))
    said(python("postgres.ensure_running()", alices, **alices_python))


def test_another_ordinary_user_is_told_whose_it_is(postgres, alices_python):
    for deed in ("postgres.ensure_running()", "postgres.dsn"):
        stranger = python(deed, postgres.data_dir, **alices_python)
        _, err = stranger.communicate()
        assert "NotYourDatabase" in err
        assert stranger.returncode == 1


def test_the_shell_that_opens_the_log_does_so_as_the_user(postgres):
    """Root follows no link that the database's user could lay in its own folders."""
    postgres.stop()
    precious = postgres.data_dir / "precious"
    precious.write_text("untouched")
    precious.chmod(0o600)
    log = postgres.log_folder / "start.log"
    log.unlink()
    owner = postgres._place().operator().identity
    subprocess.run(["ln", "-s", precious, log], check=True, **owner)
    with pytest.raises(Exception, match="stopped while it was starting"):
        postgres.ensure_running()
    assert precious.read_text() == "untouched"
