"""The files of a simulated account, and what HubSpot sees to: places, names, duplicates, sizes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from sandbox.hubspot.records import Refusal

MOST_BYTES = 20 * 1024 * 1024
"""Of the smallest plan."""
ACCESS = frozenset(
    {
        "PUBLIC_INDEXABLE",
        "PUBLIC_NOT_INDEXABLE",
        "HIDDEN_INDEXABLE",
        "HIDDEN_NOT_INDEXABLE",
        "HIDDEN_PRIVATE",
        "PRIVATE",
    }
)
STRATEGIES = frozenset({"NONE", "REJECT", "RETURN_EXISTING"})
SCOPES = frozenset({"ENTIRE_PORTAL", "EXACT_FOLDER"})


@dataclass(frozen=True)
class StoredFile:
    """`folder` and `name` are where people find it; the name carries its ending."""

    id: str
    folder: str
    name: str
    content_type: str
    content: bytes
    access: str
    created_at: float

    @property
    def place(self) -> str:
        return f"{self.folder.rstrip('/')}/{self.name}"


class Files:
    """Everything in the account's files tool."""

    def __init__(self) -> None:
        self.by_id: dict[str, StoredFile] = {}
        self.most_bytes = MOST_BYTES
        self._last_id = 180_000_000_000

    def at(self, place: str) -> StoredFile | None:
        return next((one for one in self.by_id.values() if one.place == place), None)

    def put(
        self,
        folder: str,
        name: str,
        content_type: str,
        content: bytes,
        options: Mapping[str, Any],
        *,
        at: float,
    ) -> StoredFile:
        """Raises Refusal 400 and 413."""
        if not folder.startswith("/") or not name:
            raise Refusal(400, "VALIDATION_ERROR", "A folder path and a file name are required")
        _check(options)
        if len(content) > self.most_bytes:
            raise Refusal(413, "VALIDATION_ERROR", "The file is too large")
        if there := self._duplicate(folder, content, options):
            if options["duplicateValidationStrategy"] == "REJECT":
                raise Refusal(400, "VALIDATION_ERROR", "A duplicate of this file exists")
            return there
        name = self._free_name(folder, name, overwrite=bool(options.get("overwrite")))
        self._last_id += 1
        file = StoredFile(str(self._last_id), folder, name, content_type, content, options["access"], at)
        self.by_id[file.id] = file
        return file

    def _duplicate(self, folder: str, content: bytes, options: Mapping[str, Any]) -> StoredFile | None:
        """By the bytes, whatever the names are."""
        if options.get("duplicateValidationStrategy", "NONE") == "NONE":
            return None
        is_near = options.get("duplicateValidationScope") == "EXACT_FOLDER"
        for one in self.by_id.values():
            if one.content == content and (one.folder == folder or not is_near):
                return one
        return None

    def _free_name(self, folder: str, name: str, *, overwrite: bool) -> str:
        """Two files of one folder have two names: the later one gets a number, or the earlier one goes."""
        whole, count = PurePosixPath(name), 0
        while there := self.at(f"{folder.rstrip('/')}/{name}"):
            if overwrite:
                del self.by_id[there.id]
            else:
                count += 1
                name = f"{whole.stem}-{count}{whole.suffix}"
        return name


def as_json(file: StoredFile, moment: str) -> dict[str, Any]:
    """As HubSpot tells it: name and ending apart."""
    name = PurePosixPath(file.name)
    return {
        "id": file.id,
        "name": name.stem,
        "extension": name.suffix.lstrip("."),
        "path": file.place,
        "parentFolderId": str(9_000 + sum(file.folder.encode())),
        "access": file.access,
        "size": len(file.content),
        "fileMd5": hashlib.md5(file.content, usedforsecurity=False).hexdigest(),
        "type": {"image": "IMG", "video": "MOVIE", "audio": "AUDIO"}.get(
            file.content_type.partition("/")[0], "DOCUMENT"
        ),
        "isUsableInContent": True,
        "createdAt": moment,
        "updatedAt": moment,
        "archived": False,
    }


def _check(options: Mapping[str, Any]) -> None:
    is_known = (
        options.get("access") in ACCESS
        and options.get("duplicateValidationStrategy", "NONE") in STRATEGIES
        and options.get("duplicateValidationScope", "ENTIRE_PORTAL") in SCOPES
    )
    if not is_known:
        raise Refusal(400, "VALIDATION_ERROR", "Invalid options")
