"""What the builders of this folder share: the address and the connection, checked, and a template filled with them."""

from __future__ import annotations

import argparse
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

CONNECTION = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")
SAME_MOMENT = (1980, 1, 1, 0, 0, 0)


def arguments(about: str) -> argparse.Namespace:
    """`acervo`, without a slash at the end, its `host`, and `connection`."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument(
        "--address",
        dest="acervo",
        required=True,
        help="The address of Acervo, e.g. https://acervo.example.com.",
    )
    parser.add_argument("--connection", required=True, help="As the page of the connection shows it.")
    parser.add_argument(
        "--out", type=Path, help="Where to put the result; `build` beside this script otherwise."
    )
    given = parser.parse_args()
    address = urlsplit(given.acervo)
    if address.scheme != "https" or not address.netloc or address.path.strip("/"):
        parser.error("--address must be https:// and a host: no CRM frames a page without TLS.")
    if not CONNECTION.fullmatch(given.connection.upper()):
        parser.error("--connection is the 26 characters that Acervo shows on the page of the connection.")
    given.acervo, given.host = given.acervo.rstrip("/"), address.netloc
    given.connection = given.connection.upper()
    return given


def filled(folder: Path, values: Mapping[str, str]) -> dict[str, bytes]:
    """Every file of the folder by its path in it, with `__NAME__` replaced in texts."""
    found = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        content = path.read_bytes()
        if path.suffix not in (".png", ".svg"):
            text = content.decode()
            for name, value in values.items():
                text = text.replace(f"__{name}__", value)
            content = text.encode()
        found[path.relative_to(folder).as_posix()] = content
    return found


def write_folder(out: Path, files: Mapping[str, bytes]) -> None:
    for name, content in files.items():
        path = out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def write_zip(out: Path, files: Mapping[str, bytes]) -> None:
    """Byte for byte the same for the same content."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in sorted(files.items()):
            file.writestr(zipfile.ZipInfo(name, SAME_MOMENT), content, zipfile.ZIP_DEFLATED)
