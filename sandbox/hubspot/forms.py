"""A multipart body taken apart, as a server sees it."""

from __future__ import annotations

import email
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class SentFile:
    """The part of a form that is a file."""

    name: str
    content_type: str
    content: bytes


@dataclass(frozen=True)
class Form:
    fields: dict[str, str]
    files: dict[str, SentFile]

    def as_json(self) -> dict[str, Any]:
        """For a schema: of a file's bytes only how many there are."""
        files = {
            name: {"name": one.name, "contentType": one.content_type, "size": len(one.content)}
            for name, one in self.files.items()
        }
        return {**self.fields, **files}


def is_form(content_type: str) -> bool:
    return content_type.startswith("multipart/form-data")


def parse(content_type: str, content: bytes) -> Form:
    """Raises ValueError for what is no form, or not a whole one."""
    message = email.message_from_bytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + content)
    if not message.is_multipart() or message.defects:
        raise ValueError("not a multipart form")
    form = Form({}, {})
    for part in message.get_payload():
        name = str(part.get_param("name", header="content-disposition"))  # type: ignore[union-attr]
        payload = part.get_payload(decode=True)  # type: ignore[union-attr]
        if not isinstance(payload, bytes):
            raise ValueError("a part within a part")
        if file_name := part.get_filename():  # type: ignore[union-attr]
            form.files[name] = SentFile(file_name, part.get_content_type(), payload)  # type: ignore[union-attr]
        else:
            form.fields[name] = payload.decode()
    return form
