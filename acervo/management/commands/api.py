"""`acervo api`: the description of the REST API, for machines and for people, made from the code that answers."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from django.core.management.base import CommandParser

from acervo.api.main import api
from acervo.api.reference import Field, Operation, Reference, Shape, reference
from acervo.management.command import AcervoCommand

HEADING = """# The API

Made by `acervo api --markdown`; do not edit. How to begin, with examples: [the guide](guides/api.md). For machines, every
installation serves this as OpenAPI 3.1 at `/api/v1/openapi.json`.

"""


class Command(AcervoCommand):
    help = "Print the description of the REST API as OpenAPI 3.1."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--markdown", action="store_true", help="As the reference page.")

    def work(self, options: dict[str, Any]) -> None:
        if options["markdown"]:
            self.stdout.write(markdown(reference()), ending="")
        else:
            self.stdout.write(json.dumps(api.get_openapi_schema(), indent=2, ensure_ascii=False))


def markdown(found: Reference) -> str:
    """The reference page."""
    parts = [f"{HEADING}{found.about}\n"]
    for name, operations in found.chapters:
        parts.append(f"\n## {name.capitalize()}\n")
        parts += map(_operation, operations)
    parts.append("\n## What is sent and received\n\nMoments are written as in RFC 3339, in UTC.\n")
    parts += map(_shape, found.shapes)
    return "".join(parts)


def _operation(operation: Operation) -> str:
    said = [
        operation.about,
        f"Scope: `{operation.scope}`." if operation.scope else "",
        "Answers " + "; ".join(f"{status}: {what}" for status, what in operation.gives) + ".",
    ]
    head = f"\n### {operation.summary}\n\n`{operation.method} {operation.path}`\n\n"
    return head + " ".join(filter(None, said)) + "\n" + _table(operation.takes)


def _shape(shape: Shape) -> str:
    about = f"{shape.about}\n" if shape.about else ""
    return f"\n### {shape.name}\n\n{about}{_table(shape.fields)}".replace("\n\n\n", "\n\n")


def _table(fields: Iterable[Field]) -> str:
    rows = [
        "| "
        + " | ".join(
            part.replace("|", "\\|")
            for part in (f"`{its.name}`", its.kind, "yes" if its.is_required else "", its.about)
        )
        + " |\n"
        for its in fields
    ]
    if not rows:
        return ""
    return "\n| field | kind | required | |\n|---|---|---|---|\n" + "".join(rows).replace(
        "|  |", "| |"
    ).replace("|  |", "| |")
