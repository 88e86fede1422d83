"""Where one data folder keeps its database: cluster, socket, password and log, and who owns which of them."""

from __future__ import annotations

import hashlib
import logging
import os
import secrets
import tempfile
from dataclasses import dataclass
from pathlib import Path

from acervo.base.errors import NeedsPerson
from acervo.base.postgres.locking import locked
from acervo.base.postgres.unprivileged import Operator, operator_for

log = logging.getLogger(__name__)

PORT = 5432  # part of the socket's name only: nothing listens on a network
SYSTEM_FOLDERS = (Path("/var/lib/acervo"), Path("/var/lib/acervo-postgres"), Path("/var/db/acervo"))
SHORT_FOLDERS = (Path("/run"), Path("/tmp"))  # noqa: S108 - only for mkdtemp, which makes a private folder
LONGEST_SOCKET_PATH = 103  # bytes: macOS; Linux takes 107
LOCK_TIMEOUT_S = 60.0


class DatabaseMissing(NeedsPerson):
    """The database of this data folder is recorded at a place that no longer exists. Restore it from a backup."""

    code = "database_missing"


class NotYourDatabase(NeedsPerson):
    """The database of this data folder belongs to another user of this machine. Run the command as that user."""

    code = "database_not_yours"


class NoPlace(NeedsPerson):
    """No folder was found that the user who runs the database can reach. Set ACERVO_DATA_DIR to one, such as /srv/acervo."""

    code = "database_no_place"


@dataclass(frozen=True, slots=True)
class Place:
    """One database's files. `base` belongs to whoever started Acervo first; cluster, log and socket to the operator."""

    base: Path

    @property
    def cluster(self) -> Path:
        return self.base / "cluster"

    @property
    def log_folder(self) -> Path:
        return self.base / "log"

    @property
    def run_lock(self) -> Path:
        """Locked by every process of the server, from start to the last one's end."""
        return self.base / "running.lock"

    @property
    def mark(self) -> str:
        """Tells this cluster's processes from all others on their command lines."""
        return f"acervo-{_digest(self.base)[:12]}"

    def operator(self) -> Operator:
        return operator_for(self.cluster if self.cluster.exists() else self.base)

    def password(self) -> str:
        return _read(self.base / "password")

    def socket_folder(self) -> Path:
        """A folder of mode 0700, elsewhere if the path here cannot be a socket's address."""
        if not _is_no_address(self.base / "socket"):
            return self.base / "socket"
        return Path(_read(self.base / "socket.location"))


def place_of(data_dir: Path) -> Place:
    """The place of the database of `data_dir`, prepared on first use: folders and password, but no cluster.

    Safe in any number of processes. Raises NotYourDatabase, DatabaseMissing, NoPlace, DatabaseBusy.
    """
    try:
        place = Place(_base(data_dir))
        if not _is_complete(place):
            _make_folder(data_dir)
            with locked(data_dir / "postgres.lock", timeout_s=LOCK_TIMEOUT_S):
                place = _prepare(data_dir)
        place.password()
    except PermissionError as error:
        raise NotYourDatabase(f"{NotYourDatabase.__doc__} Folder: {data_dir}") from error
    return place


def has_place(data_dir: Path) -> bool:
    """Whether `place_of` was ever called for this folder. Raises NotYourDatabase."""
    try:
        return (data_dir / "postgres").exists() or (data_dir / "postgres.location").exists()
    except PermissionError as error:
        raise NotYourDatabase(f"{NotYourDatabase.__doc__} Folder: {data_dir}") from error


def _base(data_dir: Path) -> Path:
    location = data_dir / "postgres.location"
    if not location.exists():
        return data_dir / "postgres"
    base = Path(_read(location))
    if not base.is_dir():
        # A new, empty database here would look like the loss of everything.
        raise DatabaseMissing(f"{DatabaseMissing.__doc__} Place: {base}, recorded in {location}")
    return base


def _is_complete(place: Place) -> bool:
    if not (place.base / "password").exists() or not place.log_folder.exists():
        return False
    try:
        return place.socket_folder().exists()
    except FileNotFoundError:
        return False


def _prepare(data_dir: Path) -> Place:
    base = _base(data_dir)
    place = Place(base if base.exists() else _make_base(data_dir))
    operator = place.operator()
    for folder in (place.log_folder, place.base / "socket"):
        if not folder.exists():
            folder.mkdir(mode=0o700)
            operator.own(folder)
    if _is_no_address(place.base / "socket"):
        _ensure_short_socket_folder(place, operator)
    if not (place.base / "password").exists():
        _write(place.base / "password", secrets.token_urlsafe(32))
    return place


def _make_base(data_dir: Path) -> Path:
    """Inside the data folder if the operator can get there, else where it can, and the place is written down."""
    operator = operator_for(data_dir)
    if operator.can_use(data_dir):
        base = data_dir / "postgres"
        base.mkdir(mode=0o700)
    else:
        base = _make_base_elsewhere(data_dir, operator)
    owner = base.parent.stat()
    if os.geteuid() == 0 and owner.st_uid == 0:
        # Root's own folder: the operator passes through to its three folders, and changes no name beside them.
        base.chmod(0o711)
    elif os.geteuid() == 0:
        os.chown(base, owner.st_uid, owner.st_gid, follow_symlinks=False)
    return base


def _make_base_elsewhere(data_dir: Path, operator: Operator) -> Path:
    base = Path(tempfile.mkdtemp(prefix=f"{_digest(data_dir)[:12]}-", dir=system_folder(operator)))
    _write(data_dir / "postgres.location", str(base))
    log.warning("postgres.placed_elsewhere", extra={"data_folder": str(data_dir), "place": str(base)})
    return base


def system_folder(operator: Operator) -> Path:
    """Root's folder for what must be reachable by the operator. Raises NoPlace."""
    for folder in SYSTEM_FOLDERS:
        if not folder.exists() and folder.parent.is_dir():
            folder.mkdir()
            folder.chmod(0o755)  # whatever the umask
        if folder.is_dir() and operator.can_use(folder):
            return folder
    raise NoPlace()


def _make_folder(folder: Path) -> None:
    """The folder with its missing parents. What exists stays as it is, whatever its permissions."""
    if folder.exists():
        return
    _make_folder(folder.parent)
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:  # another process was quicker
        return
    if os.geteuid() == 0:
        folder.chmod(0o711)  # to be passed through, not listed


def _ensure_short_socket_folder(place: Place, operator: Operator) -> None:
    location = place.base / "socket.location"
    owner = os.geteuid() if operator.uid is None else operator.uid
    if location.exists():
        folder = Path(_read(location))
        if folder.is_dir() and not folder.is_symlink() and folder.stat().st_uid == owner:
            return
    folder = _make_short_folder()
    operator.own(folder)
    _write(location, str(folder))


def _make_short_folder() -> Path:
    for parent in SHORT_FOLDERS:
        if parent.is_dir() and os.access(parent, os.W_OK):
            return Path(tempfile.mkdtemp(prefix="acervo-", dir=parent))
    raise NoPlace("No short folder for the database's socket can be made in /run or /tmp.")


def _is_no_address(folder: Path) -> bool:
    """Too long for the kernel, or with a comma, which libpq takes for the end of one host and the start of another."""
    path = os.fsencode(folder / f".s.PGSQL.{PORT}")
    return len(path) > LONGEST_SOCKET_PATH or b"," in path


def _digest(path: Path) -> str:
    return hashlib.sha256(os.fsencode(os.path.realpath(path))).hexdigest()


def _read(path: Path) -> str:
    return path.read_text().strip()


def _write(path: Path, text: str) -> None:
    """All of it or nothing, on disk, of mode 0600 and the folder's owner."""
    descriptor, name = tempfile.mkstemp(prefix=".new-", dir=path.parent)
    with os.fdopen(descriptor, "w") as file:
        file.write(text + "\n")
        if os.geteuid() == 0:
            folder = path.parent.stat()
            os.fchown(descriptor, folder.st_uid, folder.st_gid)
        file.flush()
        os.fsync(descriptor)
    os.rename(name, path)
