"""Takes a media tool's freedom away and becomes it: `python -I -S launcher.py OPTION… -- TOOL ARGUMENT…`.

Options are `read=PATH`, `write=PATH`, `limit=NAME=VALUE`, `parent=PID` and `required`; `isolation.py` writes them.
Runs before any of our code is importable, so it stands alone on the standard library, and on little of that: each
import is paid for by every file. What is taken is gone for the process and for all that it starts.
"""

from __future__ import annotations

import ctypes
import os
import resource
import struct
import sys

CANNOT_CONFINE = 125
CANNOT_START = 127
COMPLAINT = "launcher: "

PR_SET_PDEATHSIG, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP = 1, 24, 38, 22
CAP_DAC_READ_SEARCH = 2
SIGKILL, SIGPIPE, SIGXFSZ = 9, 13, 25  # importing `signal` costs more than the rest of this file

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
    """What may remain."""

    def __init__(self, options: list[str]) -> None:
        pairs = [option.partition("=")[::2] for option in options]
        self.reads = [value for key, value in pairs if key == "read"]
        self.writes = dict(pairs).get("write")
        self.rlimits = [value.partition("=")[::2] for key, value in pairs if key == "limit"]
        self.parent = int(dict(pairs)["parent"])
        self.is_required = "required" in options


def main() -> None:
    divider = sys.argv.index("--")
    plan, command = Plan(sys.argv[1:divider]), sys.argv[divider + 1 :]
    try:
        report = confine(plan)
    except OSError as error:
        _complain(CANNOT_CONFINE, error)
    if not command:
        os.write(1, "\n".join(report).encode())  # the answer to `isolation.active`
        return
    try:
        os.execve(command[0], command, {})  # noqa: S606
    except OSError as error:
        _complain(CANNOT_START, error)


def _complain(code: int, error: OSError) -> None:
    os.write(2, f"{COMPLAINT}{error.strerror or type(error).__name__}\n".encode())
    os._exit(code)


def confine(plan: Plan) -> list[str]:
    """Obeys the plan as far as the kernel can, and says how far that was. Raises OSError if less than required."""
    os.umask(0o077)
    os.nice(10)  # preparing may never slow down a capture
    report = [f"rlimit {name}" for name, value in plan.rlimits if _limit(name, int(value))]
    os.chdir(plan.writes or "/")
    libc = ctypes.CDLL(None, use_errno=True)
    for number in (SIGPIPE, SIGXFSZ):
        libc.signal(number, 0)  # Python ignores them, and so would the tool: a limit has to end it
    abi = 0
    if sys.platform == "linux":
        _die_with(libc, plan.parent)
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
    """A worker that is killed takes its tools along."""
    libc.prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0)
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
