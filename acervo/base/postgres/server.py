"""Making the cluster, once and whole, and starting its server."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from acervo.base.errors import NeedsPerson, TryLater
from acervo.base.postgres import pidfile, processes
from acervo.base.postgres.binaries import usable_bin_folder
from acervo.base.postgres.locking import POLL_S, open_lock, try_lock
from acervo.base.postgres.place import PORT, Place, system_folder
from acervo.base.postgres.unprivileged import ENVIRONMENT, Operator

USER = "acervo"
DATABASE = "acervo"

# The only way in: the socket, as this user, with the password. The superuser has no password and never signs in.
HBA = f"local all {USER} scram-sha-256\n"

# Defaults, which `local.conf` in the cluster's folder may change.
SETTINGS = """
shared_buffers = 256MB
max_wal_size = 2GB
wal_compression = pglz
jit = off
max_connections = 100
timezone = 'UTC'
log_timezone = 'UTC'
lc_messages = 'C'
password_encryption = 'scram-sha-256'
# A week of logs, each day's file replacing the last week's.
logging_collector = on
log_directory = '../log'
log_filename = 'postgresql-%a.log'
log_rotation_age = 1d
log_rotation_size = 0
log_truncate_on_rotation = on
# Statements and the details of errors carry phone numbers and message text: they stay out of the log.
log_min_error_statement = panic
log_error_verbosity = terse
include_if_exists 'local.conf'
"""

# On the command line, where no file can change them: what keeps acknowledged facts, and the network out.
FIXED = {
    "listen_addresses": "",
    "port": str(PORT),
    "unix_socket_permissions": "0700",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
}

INITDB_OPTIONS = (
    "--username=postgres", "--encoding=UTF8", "--locale=C", "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8", "--data-checksums", "--auth-local=peer", "--auth-host=reject", "--no-instructions",
)  # fmt: skip

# How long processes that outlived their postmaster may take to notice, and then what they are sent.
NOTICE_S = 5.0
SIGNALS = ("QUIT", "KILL")


class CannotMakeDatabase(NeedsPerson):
    """The embedded database could not be made."""

    code = "database_not_made"


class LeftoversHold(TryLater):
    """Processes of a dead database server still hold its memory, perhaps in another container."""

    code = "database_held"


def make_cluster(place: Place) -> None:
    """Make the cluster with user and database under another name, then rename it: it exists whole or not at all."""
    if place.cluster.exists():
        return
    operator = place.operator()
    for abandoned in place.base.glob("cluster.new-*"):
        shutil.rmtree(abandoned, ignore_errors=True)
    # A fresh name each time: an initdb whose parent was killed may still be writing under the last one.
    half_made = Path(tempfile.mkdtemp(prefix="cluster.new-", dir=place.base))
    operator.own(half_made)
    programs = usable_bin_folder(operator, copies_folder(operator, place))
    _succeed(operator, programs / "initdb", "-D", half_made, *INITDB_OPTIONS)
    _configure(operator, half_made)
    _make_user_and_database(operator, programs, half_made, place.password())
    half_made.rename(place.cluster)
    _sync(place.base)


def start(place: Place) -> int:
    """Start the server of a cluster that has none, and give its process id. It is not ready yet.

    The server is our child, in a session of its own: it survives us. Raises LeftoversHold.
    """
    operator = place.operator()
    lock = open_lock(place.run_lock)
    try:
        _end_leftovers(place, lock)
        pidfile.remove_stale(place.cluster, place.socket_folder(), PORT)
        programs = usable_bin_folder(operator, copies_folder(operator, place))
        child = _spawn(operator, programs / "postgres", place, lock)
    finally:
        # The lock lives on in the server and all its processes, which inherit the descriptor.
        os.close(lock)
    processes.adopt(child)
    return child.pid


def copies_folder(operator: Operator, place: Place) -> Path:
    return place.base if operator.uid is None else system_folder(operator)


def _configure(operator: Operator, cluster: Path) -> None:
    """Written as the operator: root opens no file in a folder that is another's."""
    append = 'cat >> "$1"'
    _succeed(operator, "/bin/sh", "-c", append, "sh", cluster / "postgresql.conf", stdin=SETTINGS.encode())
    _succeed(operator, "/bin/sh", "-c", 'cat > "$1"', "sh", cluster / "pg_hba.conf", stdin=HBA.encode())


def _make_user_and_database(operator: Operator, programs: Path, cluster: Path, password: str) -> None:
    # The stand-alone server needs neither socket nor password, and reads the statements from its input.
    statements = (
        f"CREATE ROLE {USER} LOGIN CREATEDB PASSWORD '{password}'",
        f"GRANT pg_monitor, pg_checkpoint TO {USER}",
        f"CREATE DATABASE {DATABASE} OWNER {USER}",
    )
    _succeed(
        operator, programs / "postgres", "--single", "-D", cluster, "-c", "exit_on_error=on",
        "-c", "logging_collector=off", "postgres", stdin="".join(f"{line}\n" for line in statements).encode(),
    )  # fmt: skip


def _succeed(operator: Operator, *command: str | Path, stdin: bytes = b"") -> None:
    done = operator.run(*command, stdin=stdin)
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip()[-500:]
        name = Path(command[0]).name
        raise CannotMakeDatabase(f"The embedded database could not be made: {name} ended with {said!r}")


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _spawn(operator: Operator, program: Path, place: Place, lock: int) -> subprocess.Popen[bytes]:
    settings = FIXED | {
        "cluster_name": place.mark,
        "unix_socket_directories": _quoted(place.socket_folder()),
    }
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    # The shell opens the log as the operator, then becomes the server: same process, still our child.
    return subprocess.Popen(
        ["/bin/sh", "-c", 'exec "$@" > "$0" 2>&1', place.log_folder / "start.log",
         program, "-D", place.cluster, *options],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        cwd="/", env=ENVIRONMENT, umask=0o077, start_new_session=True, pass_fds=(lock,), **operator.identity,
    )  # fmt: skip


def _quoted(folder: Path) -> str:
    """One element of a PostgreSQL list, whatever commas and spaces the path holds."""
    return '"' + str(folder).replace('"', '""') + '"'


def _end_leftovers(place: Place, lock: int) -> None:
    """Wait for the last process of a dead server, and help it after a while. On return we hold the lock.

    The lock is certain even where processes cannot be seen (another container on the same folder); the list of
    processes covers a server that was started by hand, without the lock.
    """
    for signal_name in (None, *SIGNALS):
        if signal_name is not None:
            _signal(place, signal_name)
        deadline = time.monotonic() + NOTICE_S
        while time.monotonic() < deadline:
            processes.reap()
            if try_lock(lock) and not pidfile.leftovers(place.mark):
                return
            time.sleep(POLL_S)
    raise LeftoversHold(f"{LeftoversHold.__doc__} Folder: {place.cluster}")


def _signal(place: Place, signal_name: str) -> None:
    for pid in pidfile.leftovers(place.mark):
        # Through the operator's own rights: an id that was reused meanwhile by another user is out of reach.
        place.operator().run("/bin/sh", "-c", f'kill -{signal_name} "$1"', "sh", str(pid))
