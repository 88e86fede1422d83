"""Multipart forms, as the simulated organisation and whoever holds us to the shapes read them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import EmailMessage, MIMEPart
from email.parser import BytesParser
from email.policy import HTTP

MULTIPART = "multipart/form-data"


@dataclass(frozen=True)
class Sent:
    """A field of a form; one with a file name is a file."""

    file_name: str | None
    content_type: str
    content: bytes = field(repr=False)


def is_form(content_type: str) -> bool:
    return content_type.startswith(MULTIPART)


def parse(content_type: str, raw: bytes) -> Mapping[str, Sent]:
    """Raises ValueError for what is no form."""
    message = BytesParser(EmailMessage, policy=HTTP).parsebytes(
        b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + raw
    )
    if not message.is_multipart() or message.defects:
        raise ValueError("not a form")
    return {
        str(part.get_param("name", header="content-disposition")): _sent(part)
        for part in message.iter_parts()
    }


def _sent(part: MIMEPart) -> Sent:
    content = part.get_payload(decode=True)
    if not isinstance(content, bytes):
        raise ValueError("a form within a form")
    return Sent(part.get_filename(), part.get_content_type(), content)
