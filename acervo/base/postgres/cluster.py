"""The embedded PostgreSQL of one data folder: started once, shared by all processes, restarted when it dies."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Literal, TypedDict
from urllib.parse import quote

import psycopg

from acervo.base.errors import AcervoError, NeedsPerson, TryLater
from acervo.base.postgres import pidfile, processes, server
from acervo.base.postgres.locking import locked
from acervo.base.postgres.pidfile import Postmaster
from acervo.base.postgres.place import PORT, Place, has_place, place_of

log = logging.getLogger(__name__)

READY_TIMEOUT_S = 600.0
STOP_TIMEOUT_S = 120.0
POLL_S = 0.05
REPORT_EVERY_S = 10.0
LONGEST_BACKOFF_S = 30.0
STARTS = 2  # the first may have found a server that was just being stopped

StopMode = Literal["smart", "fast", "immediate"]
STOP_SIGNALS: dict[str, int] = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}

Progress = Callable[[float], None]
"""Called while waiting, with the seconds waited so far."""


class ConnectionParameters(TypedDict):
    """What psycopg and Django need; `host` is the folder of the socket."""

    host: str
    port: int
    user: str
    password: str
    dbname: str


class DatabaseDied(NeedsPerson):
    """The embedded database stopped while it was starting."""

    code = "database_died"


class DatabaseSlow(TryLater):
    """The embedded database has not become ready, or has not stopped, in time. It may still be recovering."""

    code = "database_slow"


class PasswordRefused(NeedsPerson):
    """The embedded database refuses the password kept beside it. Restore the file `password` from a backup."""

    code = "database_password_refused"


class EmbeddedPostgres:
    """The database of one data folder. Making this object touches nothing; any number of processes may.

    A process that only uses the database calls `ensure_running()` and goes its way: the server lives on after it.
    A process that keeps the house (`acervo serve`) then runs `supervise(until)` in a thread, or calls `poll()` about
    once a second, and at the end `stop()`.
    """

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = Path(os.path.abspath(data_dir))

    def __repr__(self) -> str:
        return f"EmbeddedPostgres({str(self.data_dir)!r})"

    def connection_parameters(self) -> ConnectionParameters:
        """Also when nothing runs. The first call ever makes the folders and the password, but no cluster."""
        place = self._place()
        return ConnectionParameters(
            host=str(place.socket_folder()),
            port=PORT,
            user=server.USER,
            password=place.password(),
            dbname=server.DATABASE,
        )

    @property
    def dsn(self) -> str:
        """The same as a URL. It holds the password: never log it."""
        to = self.connection_parameters()
        address = f"host={quote(to['host'], safe='')}&port={to['port']}"
        return f"postgresql://{to['user']}:{quote(to['password'], safe='')}@/{to['dbname']}?{address}"

    @property
    def log_folder(self) -> Path:
        return self._place().log_folder

    def ensure_running(self, *, timeout_s: float = READY_TIMEOUT_S, progress: Progress | None = None) -> None:
        """Return once the database answers: make it, start it, or find it running, recovery included.

        Raises DatabaseDied, DatabaseSlow and PasswordRefused, and what `place_of` and `server.start` raise.
        """
        waited, starts = _Wait(timeout_s, progress), 0
        while not self._answers():
            if self._postmaster() is None:
                if starts == STARTS:
                    raise DatabaseDied(f"{DatabaseDied.__doc__} Its own words are in {self.log_folder}.")
                self._start_unless_alive(timeout_s)
                starts += 1
            waited.a_moment()

    def is_running(self) -> bool:
        """Whether a server of this cluster lives; it may still be starting. Makes nothing."""
        return has_place(self.data_dir) and self._postmaster() is not None

    def stop(self, mode: StopMode = "fast", *, timeout_s: float = STOP_TIMEOUT_S) -> None:
        """Stop the server, whoever started it, and wait for its end; nothing to do if none runs.

        "fast" breaks connections off and ends in a clean state; "immediate" leaves a recovery to the next start.
        Raises DatabaseSlow.
        """
        if not self.is_running():
            return
        waited = _Wait(timeout_s, None)
        with locked(self._lock, timeout_s=timeout_s):
            postmaster = self._postmaster()
            if postmaster is None:
                return
            with suppress(ProcessLookupError):
                os.kill(postmaster.pid, STOP_SIGNALS[mode])
            while processes.command_of(postmaster.pid) is not None:
                waited.a_moment()
            processes.reap()
        log.info("postgres.stopped", extra={"pid": postmaster.pid, "mode": mode})

    def poll(self) -> bool:
        """Start the server again if it has died; true if that was needed. Does not wait until it is ready.

        Quick while it lives. After a crash it may take seconds: in async code, call it through a thread. Raises what
        `server.start` raises.
        """
        if self._postmaster() is not None:
            return False
        return self._start_unless_alive(READY_TIMEOUT_S) is not None

    def supervise(self, until: threading.Event, *, interval_s: float = 1.0) -> None:
        """Keep the server alive until the event is set, starting it more and more slowly if it keeps dying.

        Does not stop it at the end: the caller first stops those who use it, then calls `stop()`.
        """
        pause_s = interval_s
        while not until.wait(pause_s):
            try:
                restarted = self.poll()
            except (AcervoError, OSError) as error:
                restarted = True
                log.error("postgres.restart_failed", extra={"code": getattr(error, "code", "os_error")})
            pause_s = min(pause_s * 2, LONGEST_BACKOFF_S) if restarted else interval_s

    @property
    def _lock(self) -> Path:
        return self.data_dir / "postgres.lock"

    def _place(self) -> Place:
        return place_of(self.data_dir)

    def _postmaster(self) -> Postmaster | None:
        processes.reap()
        place = self._place()
        return pidfile.living_postmaster(place.cluster, place.mark)

    def _answers(self) -> bool:
        """Asked only once the server calls itself ready: its log would fill with refusals during a recovery."""
        postmaster = self._postmaster()
        if postmaster is None or not postmaster.is_ready:
            return False
        try:
            psycopg.connect(**self.connection_parameters(), connect_timeout=5).close()
        except psycopg.OperationalError as error:
            # A failed connection carries no SQLSTATE; the server's messages are in English by our settings.
            if "password authentication failed" in str(error):
                raise PasswordRefused() from None
            return "too many clients" in str(error) or "remaining connection slots" in str(error)
        return True

    def _start_unless_alive(self, timeout_s: float) -> int | None:
        """The process id of the server we started; None if one lived already."""
        place = self._place()
        with locked(self._lock, timeout_s=timeout_s):
            if self._postmaster() is not None:
                return None
            server.make_cluster(place)
            pid = server.start(place)
            # Others look into the pid file under this lock, so it must be there before we let go.
            while processes.command_of(pid) is not None and self._postmaster() is None:
                time.sleep(POLL_S)
        log.info("postgres.started", extra={"pid": pid})
        return pid


class _Wait:
    """Patience with an end, and with signs of life."""

    def __init__(self, timeout_s: float, progress: Progress | None) -> None:
        self._started, self._timeout_s, self._progress = time.monotonic(), timeout_s, progress
        self._report_at_s = REPORT_EVERY_S

    def a_moment(self) -> None:
        """Sleep briefly. Raises DatabaseSlow when the time is over."""
        waited_s = time.monotonic() - self._started
        if waited_s > self._timeout_s:
            raise DatabaseSlow(f"{DatabaseSlow.__doc__} Waited {waited_s:.0f} s.")
        if self._progress is not None:
            self._progress(waited_s)
        if waited_s > self._report_at_s:
            self._report_at_s += REPORT_EVERY_S
            log.info("postgres.waiting", extra={"waited_s": round(waited_s)})
        time.sleep(POLL_S)
