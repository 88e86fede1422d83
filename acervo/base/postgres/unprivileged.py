"""Root lends its work to an ordinary user here: PostgreSQL refuses to run as root, and rightly."""

from __future__ import annotations

import logging
import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from acervo.base.errors import NeedsPerson

log = logging.getLogger(__name__)

USER = "acervo"
LAST_RESORT = "nobody"
# Nothing of our own environment, which holds keys, reaches a process of another user.
ENVIRONMENT = {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "LC_ALL": "C", "TZ": "UTC"}


class NoOrdinaryUser(NeedsPerson):
    """Running as root, but no ordinary user was found to run the database. Create a user named acervo."""

    code = "database_no_ordinary_user"


class Identity(TypedDict, total=False):
    """The arguments of `subprocess.Popen` that make a child run as someone; empty for ourselves."""

    user: int
    group: int
    extra_groups: list[int]


@dataclass(frozen=True, slots=True)
class Operator:
    """Who runs PostgreSQL and owns its files. `uid` None: whoever we are, with nothing to give away."""

    uid: int | None = None
    gid: int | None = None

    @property
    def identity(self) -> Identity:
        if self.uid is None or self.gid is None:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def run(self, *command: str | Path, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        """Run to the end, in a bare environment. The answer's return code is the caller's to judge."""
        try:
            return subprocess.run(
                command, input=stdin, capture_output=True, check=False, cwd="/", env=ENVIRONMENT,
                umask=0o077, start_new_session=True, **self.identity,
            )  # fmt: skip
        except PermissionError as error:
            raise NoOrdinaryUser("This root may not act as another user. Start Acervo as one.") from error

    def can_use(self, path: Path) -> bool:
        """Whether the operator can enter this folder, or run this program: asked by trying, as access lists count."""
        return self.run("/bin/sh", "-c", 'test -x "$1"', "sh", path).returncode == 0

    def own(self, path: Path) -> None:
        """Give a folder that we have just made to the operator."""
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid)


def operator_for(owned: Path) -> Operator:
    """Who should run the database whose files lie at or under `owned`.

    An ordinary user does it in person. Root acts as the owner of the folder, and where that is root itself as the
    system user `acervo`, made if missing. `nobody` is the last resort, with a warning: it shares its
    files with every other service that ended up as nobody, though folders of mode 0700 keep it from other users.
    """
    if os.geteuid() != 0:
        return Operator()
    owner = _user(owned.stat().st_uid)
    if owner is None or owner.pw_uid == 0:
        owner = _user(USER) or _make_user() or _user(LAST_RESORT)
    if owner is None or owner.pw_uid == 0:
        raise NoOrdinaryUser()
    if owner.pw_name == LAST_RESORT:
        log.warning("postgres.runs_as_nobody")
    return Operator(uid=owner.pw_uid, gid=owner.pw_gid)


def _user(name_or_uid: str | int) -> pwd.struct_passwd | None:
    """None also for a uid without a name, as a container may have: initdb refuses to run as one."""
    try:
        return pwd.getpwnam(name_or_uid) if isinstance(name_or_uid, str) else pwd.getpwuid(name_or_uid)
    except KeyError:
        return None


def _make_user() -> pwd.struct_passwd | None:
    useradd = shutil.which("useradd", path=ENVIRONMENT["PATH"])
    if useradd is None:  # macOS, and images without accounts tools
        return None
    made = subprocess.run(
        [useradd, "--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent",
         "--shell", "/usr/sbin/nologin", USER],
        capture_output=True, check=False, env=ENVIRONMENT,
    )  # fmt: skip
    log.info("postgres.user_made", extra={"exit_code": made.returncode})
    return _user(USER)  # also when another process has made it meanwhile
