"""A multipart form, taken apart to the byte: what simulated accounts see, and whoever holds us to the shapes."""

from __future__ import annotations

import email
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Part:
    """A field or a file of a form."""

    type: str
    file_name: str
    """Empty for what is no file."""
    content: bytes = field(repr=False)


def is_form(content_type: str) -> bool:
    return content_type.startswith("multipart/form-data")


def parts(content_type: str, body: bytes) -> dict[str, Part]:
    """By name. Raises ValueError for what is no form."""
    boundary = email.message_from_string(f"Content-Type: {content_type}\n\n").get_boundary()
    sections = (b"\r\n" + body).split(b"\r\n--" + (boundary or "").encode())
    if not boundary or not sections[-1].startswith(b"--"):
        raise ValueError("the form has no end")
    return dict(_part(section) for section in sections[1:-1])


def _part(section: bytes) -> tuple[str, Part]:
    head, _, content = section.removeprefix(b"\r\n").partition(b"\r\n\r\n")
    headers = email.message_from_bytes(head)
    name = str(headers.get_param("name", header="content-disposition"))
    return name, Part(headers.get_content_type(), headers.get_filename() or "", content)
