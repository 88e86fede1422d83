"""Forks media tools and takes their freedom away: each is a fork of this small process that becomes the tool.

`forkserver.py` starts it as `python -I -S launcher.py` with a socket as its standard input; with a plan as its argument
it only tells how far that plan can be obeyed here. Runs where none of our code is importable, so it stands alone on the
standard library. It lives as long as the process that asks, holds no secret, and reads nothing but requests.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import select
import signal
import socket
import struct
import sys
from contextlib import suppress
from typing import Any, NoReturn

CANNOT_CONFINE = 125
CANNOT_START = 127
COMPLAINT = "launcher: "

PR_SET_PDEATHSIG, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP = 1, 24, 38, 22
CAP_DAC_READ_SEARCH = 2

# linux/landlock.h. The numbers of the three calls are the same on every architecture.
CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
ASK_FOR_VERSION = 1
RULE_PATH_BENEATH = 1
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR, REMOVE_DIR, REMOVE_FILE = (1 << bit for bit in range(6))
MAKE_DIR, MAKE_REG, TRUNCATE = 1 << 7, 1 << 8, 1 << 14
FILE_RIGHTS_OF_ABI = {1: 13, 2: 14, 3: 15, 4: 15}  # how many bits the kernel knows; 16 since ABI 5
BIND_AND_CONNECT_TCP = 0b11  # ABI 4
NO_ABSTRACT_SOCKETS_NO_SIGNALS = 0b11  # ABI 6: neither reaches anyone outside
READING = EXECUTE | READ_FILE | READ_DIR
WRITING = READ_FILE | READ_DIR | WRITE_FILE | REMOVE_DIR | REMOVE_FILE | MAKE_DIR | MAKE_REG | TRUNCATE
OF_A_SINGLE_FILE = EXECUTE | READ_FILE | WRITE_FILE | TRUNCATE

# Landlock leaves UDP, and old kernels leave TCP; so no socket can be made at all. io_uring could make one unseen.
# The rest reads another process's memory, where the keys are.
SYSCALLS = {
    # socket, io_uring_setup, ptrace, process_vm_readv, process_vm_writev
    "x86_64": (0xC000003E, (41, 425, 101, 310, 311)),
    "aarch64": (0xC00000B7, (198, 425, 117, 270, 271)),
}


class Plan:
    """What may remain to a tool; written by `isolation.py` as JSON."""

    def __init__(self, told: dict[str, Any]) -> None:
        self.reads: list[str] = told["reads"]
        self.writes: str | None = told["writes"]
        self.rlimits: dict[str, int] = told["rlimits"]
        self.is_required: bool = told["is_required"]


def main() -> None:
    if len(sys.argv) > 1:
        os.write(1, "\n".join(confine(Plan(json.loads(sys.argv[1])), os.getppid())).encode())
    else:
        Server(socket.socket(fileno=0)).serve()


class Server:
    """Starts a tool for every request, and ends it when its leash is let go.

    A request is four bytes of length and so many of JSON. With it come three descriptors: where the tool's output and
    complaints go, and its leash, a socket whose other end the asker holds. That end is told how the tool ended.
    """

    def __init__(self, requests: socket.socket) -> None:
        self.requests = requests
        self.leashes: dict[int, tuple[socket.socket, int]] = {}
        """By descriptor: the leash and the tool's process id, which is its group's too."""
        self.waiting = select.poll()
        self.bell, bell = os.pipe()
        os.set_blocking(bell, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # or the bell would not ring
        signal.set_wakeup_fd(bell)

    def serve(self) -> None:
        """Until nobody can ask any more: then the asker is gone, and its tools go too."""
        self.waiting.register(self.requests, select.POLLIN)
        self.waiting.register(self.bell, select.POLLIN)
        while True:
            for (
                fd,
                _,
            ) in self.waiting.poll():  # in the order of registering: no number is reused within a round
                if fd == self.bell:
                    os.read(self.bell, 4096)
                    self._tell_ends()
                elif fd != self.requests.fileno():
                    self._let_go(fd)
                elif not self._start():
                    return self._end_all()

    def _start(self) -> bool:
        """False: the asker has closed its end."""
        length, fds, _, _ = socket.recv_fds(self.requests, 4, 3, socket.MSG_WAITALL)
        if len(length) < 4:
            return False
        request = json.loads(self.requests.recv(int.from_bytes(length, "big"), socket.MSG_WAITALL))
        for fd in fds:
            os.set_inheritable(fd, False)
        parent, output, complaints, leash = os.getpid(), *fds
        pid = os.fork()
        if not pid:
            become(request["argv"], Plan(request["plan"]), parent, output, complaints)
        os.close(output)
        os.close(complaints)
        self.leashes[leash] = (socket.socket(fileno=leash), pid)
        self.waiting.register(leash, select.POLLIN)
        return True

    def _let_go(self, fd: int) -> None:
        if fd in self.leashes:  # else it ended in this very moment
            self.waiting.unregister(fd)  # once is enough; its end is told when it has ended
            kill_group(self.leashes[fd][1])

    def _tell_ends(self) -> None:
        for fd, (leash, pid) in list(self.leashes.items()):
            if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
                continue
            kill_group(pid)  # what it left running; its number is not given to another before it is reaped
            _, status = os.waitpid(pid, 0)
            del self.leashes[fd]
            with suppress(KeyError):  # it was let go
                self.waiting.unregister(fd)
            with suppress(OSError):  # nobody may be left to be told
                leash.send(str(os.waitstatus_to_exitcode(status)).encode())
            leash.close()

    def _end_all(self) -> None:
        for _, pid in self.leashes.values():
            kill_group(pid)


def kill_group(pid: int) -> None:
    """The tool, and all it started that did not leave its group. It is a child of ours that was not reaped yet."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        os.kill(pid, signal.SIGKILL)  # forked in this moment: it leads no group yet


def become(argv: list[str], plan: Plan, parent: int, output: int, complaints: int) -> NoReturn:
    """What a fork does with its life."""
    failure = CANNOT_CONFINE
    try:
        os.setsid()
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(output, 1)
        os.dup2(complaints, 2)
        confine(plan, parent)
        failure = CANNOT_START
        os.execve(argv[0], argv, {})  # noqa: S606
    except OSError as error:
        os.write(2, f"{COMPLAINT}{error.strerror or type(error).__name__}\n".encode())
    finally:
        os._exit(failure)


def confine(plan: Plan, parent: int) -> list[str]:
    """Obeys the plan as far as the kernel can, and says how far that was. Raises OSError if less than required."""
    os.umask(0o077)
    os.nice(10)  # preparing may never slow down a capture
    report = [f"rlimit {name}" for name, value in plan.rlimits.items() if _limit(name, value)]
    os.chdir(plan.writes or "/")
    libc = ctypes.CDLL(None, use_errno=True)
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(
            number, signal.SIG_DFL
        )  # Python ignores them, and so would the tool: a limit has to end it
    abi = 0
    if sys.platform == "linux":
        _die_with(libc, parent)
        _drop_privileges(libc)
        abi = _landlock(libc, plan)
        _close_syscalls(libc)
        report += [f"landlock {abi}"] + ["no_sockets"] * (libc.socket(2, 2, 0) < 0)
    if plan.is_required and not abi:
        raise OSError(0, "this kernel has no Landlock")
    return report


def _limit(name: str, value: int) -> bool:
    which = getattr(resource, f"RLIMIT_{name}")
    hard = value + 1 if name == "CPU" else value  # SIGXCPU first: it tells a spent limit from a kill
    try:
        resource.setrlimit(which, (value, hard))
    except (ValueError, OSError):  # macOS knows RLIMIT_AS and refuses it
        return False
    return True


def _die_with(libc: ctypes.CDLL, parent: int) -> None:
    """Should this server be killed, its tools go along; where it only ends, it ends them."""
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(CANNOT_CONFINE)


def _drop_privileges(libc: ctypes.CDLL) -> None:
    """Root stays root in name only. Reading past file modes is kept: what may be read is Landlock's matter, and the
    interpreter may live in somebody's private home."""
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "no_new_privs")
    for capability in range(64):
        if capability != CAP_DAC_READ_SEARCH:
            libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)  # refused to normal users, who have none


def _landlock(libc: ctypes.CDLL, plan: Plan) -> int:
    """The ABI in force; 0 where the kernel has none."""
    abi: int = libc.syscall(CREATE_RULESET, None, ctypes.c_size_t(0), ASK_FOR_VERSION)
    if abi < 1:
        return 0
    handled = (1 << FILE_RIGHTS_OF_ABI.get(abi, 16)) - 1
    attributes = struct.pack("=QQQ", handled, BIND_AND_CONNECT_TCP, NO_ABSTRACT_SOCKETS_NO_SIGNALS)
    size = 24 if abi >= 6 else 16 if abi >= 4 else 8
    ruleset = libc.syscall(CREATE_RULESET, attributes, ctypes.c_size_t(size), 0)
    if ruleset < 0:
        raise OSError(ctypes.get_errno(), "landlock ruleset")
    for path in plan.reads:
        _allow(libc, ruleset, path, READING & handled)
    if plan.writes:
        _allow(libc, ruleset, plan.writes, WRITING & handled)
    if libc.syscall(RESTRICT_SELF, ruleset, 0):
        raise OSError(ctypes.get_errno(), "landlock restrict")
    os.close(ruleset)
    return abi


def _allow(libc: ctypes.CDLL, ruleset: int, path: str, rights: int) -> None:
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return  # system folders differ between distributions
    if not os.path.isdir(path):
        rights &= OF_A_SINGLE_FILE
    rule = struct.pack("=Qi", rights, fd)
    if libc.syscall(ADD_RULE, ruleset, RULE_PATH_BENEATH, rule, 0):
        raise OSError(ctypes.get_errno(), "landlock rule")
    os.close(fd)


def _close_syscalls(libc: ctypes.CDLL) -> None:
    """A seccomp filter in classic BPF: refuse the few calls of SYSCALLS, kill what speaks a foreign call table."""
    if os.uname().machine not in SYSCALLS:
        return
    architecture, refused = SYSCALLS[os.uname().machine]
    load, jump_if_equal, jump_if_at_least, answer = 0x20, 0x15, 0x35, 0x06
    allow, refuse, kill = 0x7FFF0000, 0x00050001, 0x80000000  # refuse: EPERM
    count = len(refused)
    program = [
        (load, 0, 0, 4),  # seccomp_data.arch
        (jump_if_equal, 0, count + 4, architecture),
        (load, 0, 0, 0),  # seccomp_data.nr
        (jump_if_at_least, count + 1, 0, 0x40000000),  # x32 reaches the same calls by other numbers
        *((jump_if_equal, count - index, 0, number) for index, number in enumerate(refused)),
        (answer, 0, 0, allow),
        (answer, 0, 0, refuse),
        (answer, 0, 0, kill),
    ]
    code = b"".join(struct.pack("=HBBI", *instruction) for instruction in program)
    buffer = ctypes.create_string_buffer(code, len(code))
    header = struct.pack("@HP", len(program), ctypes.addressof(buffer))
    libc.prctl(PR_SET_SECCOMP, 2, header, 0, 0)


if __name__ == "__main__":
    main()
