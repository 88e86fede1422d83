"""What runs on this machine under which command line, from /proc or, where there is none (macOS), from `ps`."""

from __future__ import annotations

import subprocess
from pathlib import Path

PROC = Path("/proc")
DEAD_STATES = frozenset("ZXx")

_children: dict[int, subprocess.Popen[bytes]] = {}


def adopt(child: subprocess.Popen[bytes]) -> None:
    """Remember a child that is meant to outlive the call that made it, so that its end can be reaped."""
    _children[child.pid] = child


def reap() -> None:
    """Collect our own dead children: a zombie keeps its process id, and PostgreSQL takes it for alive."""
    for pid, child in list(_children.items()):
        if child.poll() is not None:
            _children.pop(pid, None)


def command_of(pid: int) -> str | None:
    """The command line of a living process. None: there is none, or only its zombie is left."""
    if _has_proc():
        return _command_from_proc(pid)
    return _commands_from_ps("-p", str(pid)).get(pid)


def commands() -> dict[int, str]:
    """The command lines of all living processes this user may see, by process id."""
    if not _has_proc():
        return _commands_from_ps("-ax")
    pids = (int(entry.name) for entry in PROC.iterdir() if entry.name.isdigit())
    found = ((pid, _command_from_proc(pid)) for pid in pids)
    return {pid: command for pid, command in found if command}


def _has_proc() -> bool:
    return (PROC / "self" / "stat").exists()


def _command_from_proc(pid: int) -> str | None:
    try:
        stat = (PROC / str(pid) / "stat").read_bytes()
        raw = (PROC / str(pid) / "cmdline").read_bytes()
    except OSError:  # it ended meanwhile, or /proc hides the processes of others from us
        return None
    # The state follows the name, which stands in parentheses and may itself contain some.
    state = stat.rpartition(b")")[2].split()[0].decode()
    return None if state in DEAD_STATES else raw.replace(b"\0", b" ").decode(errors="replace").strip()


def _commands_from_ps(*which: str) -> dict[int, str]:
    listed = subprocess.run(
        ["ps", "-ww", *which, "-o", "pid=,stat=,command="],
        capture_output=True,
        check=False,  # it answers 1 when nothing matches
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
    )
    found = {}
    for line in listed.stdout.decode(errors="replace").splitlines():
        pid, state, command = [*line.split(maxsplit=2), ""][:3]
        if state[0] not in DEAD_STATES:
            found[int(pid)] = command.strip()
    return found
