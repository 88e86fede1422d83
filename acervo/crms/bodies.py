"""Bodies of requests that are sent piece by piece. httpx streams plain bodies, but the files of its forms must be open on
disk, where what is sealed with us shall not lie."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Body:
    """Bytes that are sent piece by piece, never held whole. `content` begins anew each time it is called."""

    content_type: str
    size_bytes: int
    content: Callable[[], AsyncIterator[bytes]]

    @classmethod
    def of(cls, content: bytes, content_type: str) -> Body:
        """Of something small that is held anyway."""

        async def whole() -> AsyncIterator[bytes]:
            yield content

        return cls(content_type, len(content), whole)

    @classmethod
    def multipart(cls, parts: Sequence[Part], last: FilePart) -> Body:
        """A form with a file at its end. Names and types are ours: nothing in them needs to be escaped."""
        boundary = secrets.token_hex(16)
        head = b"".join(part.head(boundary) + part.value.encode() + b"\r\n" for part in parts)
        head += last.head(boundary)
        tail = f"\r\n--{boundary}--\r\n".encode()

        async def content() -> AsyncIterator[bytes]:
            yield head
            async for piece in last.body.content():
                yield piece
            yield tail

        size_bytes = len(head) + last.body.size_bytes + len(tail)
        return cls(f"multipart/form-data; boundary={boundary}", size_bytes, content)


@dataclass(frozen=True, slots=True)
class Part:
    """A field of a form."""

    name: str
    value: str
    content_type: str | None = None

    def head(self, boundary: str) -> bytes:
        return _head(boundary, f'name="{self.name}"', self.content_type)


@dataclass(frozen=True, slots=True)
class FilePart:
    """The file of a form."""

    name: str
    file_name: str
    body: Body

    def head(self, boundary: str) -> bytes:
        return _head(boundary, f'name="{self.name}"; filename="{self.file_name}"', self.body.content_type)


def _head(boundary: str, named: str, content_type: str | None) -> bytes:
    typed = f"Content-Type: {content_type}\r\n" if content_type else ""
    return f"--{boundary}\r\nContent-Disposition: form-data; {named}\r\n{typed}\r\n".encode()
