"""The files of the simulated account: uploaded first, then hung on a comment, or forgotten after an hour."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from sandbox.zendesk.calls import Refusal, invalid, not_found

TOKEN_LIVES_S = 3600.0
REDACTED = "redacted.txt"
"""The empty file that stands where one was redacted."""


@dataclass(eq=False)
class File:
    """`key` is in the address of its content, which is no secret but cannot be guessed."""

    id: int
    name: str
    type: str
    content: bytes = field(repr=False)
    key: str = field(default_factory=lambda: secrets.token_urlsafe(24))

    def url(self, base: str) -> str:
        return f"{base}/attachments/token/{self.key}/?name={self.name}"

    def as_json(self, base: str) -> dict[str, Any]:
        return {
            "id": self.id,
            "url": f"{base}/api/v2/attachments/{self.id}.json",
            "file_name": self.name,
            "content_url": self.url(base),
            "content_type": self.type,
            "size": len(self.content),
            "inline": False,
            "deleted": False,
            "malware_scan_result": "not_scanned",
            "thumbnails": [],
        }


class Files:
    """`most_bytes` are taken of one file."""

    def __init__(self, clock: Callable[[], float], *, most_bytes: int = 50 * 1024 * 1024) -> None:
        self.most_bytes = most_bytes
        self.refused_endings: set[str] = set()
        """Types of files that the account's settings do not allow."""
        self.waiting: dict[str, tuple[float, File]] = {}
        """Uploads no comment has yet, by token, and when each ends."""
        self._clock = clock
        self._last_id = 50_000_000

    def upload(self, name: str, type_: str, content: bytes) -> tuple[str, File]:
        """The token it is taken with. Raises Refusal for what is too large or not allowed."""
        if len(content) > self.most_bytes:
            raise Refusal(413, {"error": "AttachmentTooLarge", "description": "The file is too large"})
        if name.rpartition(".")[2] in self.refused_endings:
            raise Refusal(422, {"error": "AttachmentUnprocessable", "description": "Cannot be processed"})
        token = secrets.token_urlsafe(18)
        file = self._file(name, type_, content)
        self.waiting[token] = (self._clock() + TOKEN_LIVES_S, file)
        return token, file

    def take(self, tokens: Iterable[str]) -> list[File]:
        """For a comment: no token is good twice. Raises Refusal 422."""
        wanted = list(tokens)
        self._forget()
        if any(token not in self.waiting for token in wanted):
            raise invalid("uploads", "InvalidValue", "Uploads: a token is invalid or has expired")
        return [self.waiting.pop(token)[1] for token in wanted]

    def drop(self, token: str) -> None:
        """Raises Refusal 404 for one that is used, over or unknown."""
        self._forget()
        if self.waiting.pop(token, None) is None:
            raise not_found()

    def emptied(self) -> File:
        """What stands where a file was redacted."""
        return self._file(REDACTED, "text/plain", b"")

    def _forget(self) -> None:
        now = self._clock()
        self.waiting = {token: one for token, one in self.waiting.items() if one[0] > now}

    def _file(self, name: str, type_: str, content: bytes) -> File:
        self._last_id += 1
        return File(self._last_id, name, type_, content)
