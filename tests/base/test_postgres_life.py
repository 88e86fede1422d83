"""The embedded database starts once, is found by everyone, keeps to itself, and stops."""

import os
import signal
import stat
import threading
from pathlib import Path

import psycopg
import pytest

from acervo.base.postgres import EmbeddedPostgres
from acervo.base.postgres.cluster import DatabaseDied, PasswordRefused
from tests.base.conftest import passable_folder, pids_of, postmaster_of, python, said, wait_until

IDENTIFIER = "SELECT system_identifier FROM pg_control_system()"


def ask(postgres, question):
    with psycopg.connect(postgres.dsn) as connection:
        return connection.execute(question).fetchone()[0]


def setting(postgres, name):
    return ask(postgres, f"SHOW {name}")


def test_making_the_object_touches_nothing(open_folder):
    postgres = EmbeddedPostgres(open_folder / "data")
    assert not postgres.is_running()
    postgres.stop()
    assert list(open_folder.iterdir()) == []


def test_the_address_is_known_before_the_server_exists_and_stays(embedded):
    postgres = embedded(fresh=True)
    before = postgres.dsn
    assert not postgres.is_running()
    postgres.ensure_running()
    assert postgres.dsn == before
    assert ask(postgres, "SELECT current_user || current_database()") == "acervoacervo"
    with psycopg.connect(**postgres.connection_parameters()) as connection:
        assert connection.info.dbname == "acervo"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("server_version_num", "18"), ("fsync", "on"), ("synchronous_commit", "on"), ("full_page_writes", "on"),
        ("data_checksums", "on"), ("listen_addresses", ""), ("shared_buffers", "256MB"), ("max_wal_size", "2GB"),
        ("wal_compression", "pglz"), ("jit", "off"), ("TimeZone", "UTC"), ("max_connections", "100"),
        ("server_encoding", "UTF8"), ("logging_collector", "on"),
    ],
)  # fmt: skip
def test_a_setting_is_as_promised(shared, name, value):
    found = setting(shared, name)
    assert found.startswith(value) if name == "server_version_num" else found == value


def test_letters_do_not_depend_on_the_operating_system(shared):
    query = "SELECT datlocprovider::text || datlocale FROM pg_database WHERE datname = current_database()"
    assert ask(shared, query) == "bC.UTF-8"
    assert ask(shared, "SELECT lower('ÇÃO')") == "ção"


@pytest.fixture(scope="module")
def shared():
    """One server for the tests that only look at it."""
    with passable_folder() as folder:
        postgres = EmbeddedPostgres(folder / "data")
        postgres.ensure_running()
        yield postgres
        postgres.stop("immediate")


def test_only_the_password_opens_and_only_for_one_user(shared):
    to = shared.connection_parameters()
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(**to | {"password": "guess"})
    with pytest.raises(psycopg.OperationalError, match=r"no pg_hba\.conf entry"):
        psycopg.connect(**to | {"user": "postgres"})
    assert ask(shared, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user") is False
    assert (
        ask(shared, "SELECT rolpassword IS NULL FROM pg_roles WHERE rolname = 'postgres'") is False
    )  # masked


def test_password_and_socket_are_private(shared):
    place = shared._place()
    assert stat.S_IMODE((place.base / "password").stat().st_mode) == 0o600
    assert stat.S_IMODE(place.socket_folder().stat().st_mode) == 0o700
    assert stat.S_IMODE(place.cluster.stat().st_mode) == 0o700
    assert shared.connection_parameters()["password"] not in repr(shared)


def test_a_user_may_make_databases_as_test_runners_do(shared):
    with psycopg.connect(shared.dsn, autocommit=True) as connection:
        connection.execute("CREATE DATABASE test_acervo")
        connection.execute("DROP DATABASE test_acervo")


def test_personal_data_of_a_failed_statement_stays_out_of_the_log(shared):
    with psycopg.connect(shared.dsn) as connection:
        connection.execute("CREATE TEMP TABLE people (phone text UNIQUE)")
        connection.execute("INSERT INTO people VALUES ('+15555550123')")
        with pytest.raises(psycopg.errors.UniqueViolation):
            connection.execute("INSERT INTO people VALUES ('+15555550123')")

    def logged():
        return "".join(path.read_text() for path in shared.log_folder.iterdir())

    wait_until(lambda: "duplicate key" in logged())
    assert "5550123" not in logged()


def test_no_file_can_open_the_network_or_loosen_durability(embedded):
    postgres = embedded()
    postgres.ensure_running()
    postgres.stop()
    (postgres._place().cluster / "local.conf").write_text(
        "listen_addresses = '*'\nfsync = off\nwork_mem = 9MB\n"
    )
    (postgres._place().cluster / "local.conf").chmod(0o644)
    postgres.ensure_running()
    assert (setting(postgres, "listen_addresses"), setting(postgres, "fsync")) == ("", "on")
    assert setting(postgres, "work_mem") == "9MB"


def test_a_second_process_finds_the_server_and_can_stop_it(postgres):
    pid = postmaster_of(postgres)
    other = python("postgres.ensure_running(); print(postgres._postmaster().pid)", postgres.data_dir)
    assert said(other) == str(pid)
    said(python("postgres.stop(); assert not postgres.is_running()", postgres.data_dir))
    assert not postgres.is_running()


def test_the_server_outlives_the_kill_of_its_parent_and_is_found_again_and_stops_cleanly(embedded):
    postgres = embedded()
    parent = python(
        "import time; postgres.ensure_running(); print(postgres._postmaster().pid, flush=True); time.sleep(60)",
        postgres.data_dir,
    )
    pid = int(parent.stdout.readline())
    parent.kill()
    parent.communicate()
    postgres.ensure_running()
    assert postmaster_of(postgres) == pid
    postgres.stop()
    assert pids_of(postgres) == []
    assert not (postgres._place().cluster / "postmaster.pid").exists()


def test_an_interrupt_at_the_terminal_does_not_reach_the_server(embedded):
    postgres = embedded()
    parent = python(
        "import time; postgres.ensure_running(); print('up', flush=True); time.sleep(60)",
        postgres.data_dir, start_new_session=True,
    )  # fmt: skip
    parent.stdout.readline()
    os.killpg(parent.pid, signal.SIGINT)
    parent.communicate()
    assert ask(postgres, "SELECT 1") == 1


def test_processes_starting_at_once_on_a_fresh_folder_make_one_cluster_and_one_server(embedded):
    postgres = embedded(fresh=True)
    script = (
        "import psycopg; postgres.ensure_running()\n"
        f"print(psycopg.connect(postgres.dsn).execute({IDENTIFIER!r}).fetchone()[0], postgres._postmaster().pid)"
    )
    racers = [
        python(f"import warnings; warnings.simplefilter('ignore')\n{script}", postgres.data_dir)
        for _ in range(3)
    ]
    assert len({said(racer) for racer in racers}) == 1


def test_threads_starting_at_once_make_one_server(embedded):
    postgres = embedded()
    threads = [threading.Thread(target=postgres.ensure_running) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ask(postgres, "SELECT 1") == 1


def test_a_start_killed_while_making_the_cluster_is_begun_again(embedded):
    postgres = embedded(fresh=True)
    maker = python("postgres.ensure_running()", postgres.data_dir)
    base = postgres.data_dir / "postgres"
    wait_until(lambda: list(base.glob("cluster.new-*/base")))
    maker.kill()
    maker.communicate()
    assert not (base / "cluster").exists()
    postgres.ensure_running()
    assert ask(postgres, "SELECT 1") == 1


@pytest.mark.parametrize("name", ["with spaces, a 'quote', a \"double\" and ação", "long-" * 40])
def test_any_name_of_the_data_folder_will_do(embedded, open_folder, name):
    postgres = embedded(open_folder / name)
    postgres.ensure_running()
    assert ask(postgres, "SELECT 1") == 1
    to = postgres.connection_parameters()
    assert len(os.fsencode(f"{to['host']}/.s.PGSQL.{to['port']}")) <= 103
    assert stat.S_IMODE(Path(to["host"]).stat().st_mode) == 0o700
    postgres.stop()


def test_a_short_socket_folder_that_was_cleaned_away_is_made_again(embedded, open_folder):
    postgres = embedded(open_folder / ("long-" * 40), fresh=True)
    Path(postgres.connection_parameters()["host"]).rmdir()
    postgres.ensure_running()
    assert ask(postgres, "SELECT 1") == 1


def test_a_stopped_server_starts_again_with_what_it_held(postgres):
    with psycopg.connect(postgres.dsn) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS value")
    identifier = ask(postgres, IDENTIFIER)
    postgres.stop()
    with pytest.raises(psycopg.OperationalError):
        ask(postgres, "SELECT 1")
    postgres.ensure_running()
    assert (ask(postgres, "SELECT value FROM kept"), ask(postgres, IDENTIFIER)) == (7, identifier)


def test_a_server_that_cannot_start_says_where_to_read_why(postgres):
    postgres.stop()
    (postgres._place().cluster / "local.conf").write_text("shared_buffers = nonsense\n")
    (postgres._place().cluster / "local.conf").chmod(0o644)
    with pytest.raises(DatabaseDied, match=str(postgres.log_folder)):
        postgres.ensure_running()
    assert "nonsense" in (postgres.log_folder / "start.log").read_text()


def test_a_lost_password_is_said_and_not_waited_for(postgres):
    (postgres._place().base / "password").unlink()
    with pytest.raises(PasswordRefused):
        postgres.ensure_running()
