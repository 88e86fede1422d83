"""Reading `postmaster.pid`, and telling the living server from whatever inherited its process id."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from acervo.base.postgres import processes

NAME = "postmaster.pid"
STATUS_LINE = 7  # PostgreSQL's miscadmin.h, LOCK_FILE_LINE_PM_STATUS, counted from 0


@dataclass(frozen=True, slots=True)
class Postmaster:
    """A living postmaster of our cluster."""

    pid: int
    is_ready: bool
    """It accepts connections; false while it starts, recovers or stops."""


def living_postmaster(cluster: Path, mark: str) -> Postmaster | None:
    """The postmaster named by the cluster's pid file, if that process lives and is this cluster's server.

    After a crash or a container restart the id may belong to any other process, of any user, so the
    command line decides, by `mark` (our `cluster_name`) or, for a server someone started by hand, by the folder.
    """
    pid, status = _read(cluster)
    if pid is None or pid == os.getpid():
        return None
    command = processes.command_of(pid)
    if command is None or not _is_server(command, cluster, mark):
        return None
    return Postmaster(pid=pid, is_ready=status == "ready")


def leftovers(mark: str) -> list[int]:
    """Processes of this cluster that outlived their postmaster; they may still write to its shared memory."""
    title = f"postgres: {mark}: "
    return [
        pid
        for pid, command in processes.commands().items()
        if command.startswith(title) or _is_marked(command, mark)
    ]


def remove_stale(cluster: Path, socket_folder: Path, port: int) -> None:
    """Remove the lock files of a server known to be dead; PostgreSQL would refuse to start over a reused id."""
    for path in (cluster / NAME, socket_folder / f".s.PGSQL.{port}.lock"):
        path.unlink(missing_ok=True)


def _read(cluster: Path) -> tuple[int | None, str]:
    try:
        lines = (cluster / NAME).read_text(errors="replace").splitlines()
        # Negative for a stand-alone backend.
        pid = abs(int(lines[0]))
    except (FileNotFoundError, IndexError, ValueError):
        return None, ""
    return pid or None, lines[STATUS_LINE].strip() if len(lines) > STATUS_LINE else ""


def _is_server(command: str, cluster: Path, mark: str) -> bool:
    if _is_marked(command, mark):
        return True
    return "postgres" in command.split(" -D ")[0] and f"-D {cluster} " in f"{command} "


def _is_marked(command: str, mark: str) -> bool:
    return "postgres" in command and f" cluster_name={mark}" in command
