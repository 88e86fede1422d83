"""`acervo settings`: the reference of every setting, made from the code that reads them."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from acervo.base.environment import Environment
from acervo.management.command import AcervoCommand

HEADING = """# Settings

Made by `acervo settings --markdown`; do not edit. All are read once, at the start, from the environment. A wrong value
stops the start with a sentence.

| variable | kind | default | what it is for |
|---|---|---|---|
"""


class Command(AcervoCommand):
    help = "Print every setting."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--markdown", action="store_true", help="As the reference page.")

    def work(self, options: dict[str, Any]) -> None:
        rows = reference()
        if options["markdown"]:
            self.stdout.write(markdown(rows), ending="")
            return
        self.say(
            options,
            rows,
            "\n".join(f"{row['name']}\n    {row['help']} (default: {row['default']})" for row in rows),
        )


def reference() -> list[dict[str, str]]:
    """Every variable: its name, kind, default and what it is for."""
    rows = []
    for name, field in Environment.model_fields.items():
        schema = Environment.model_json_schema()["properties"]
        entry = schema.get("DATABASE_URL" if name == "database_url" else name, {})
        rows.append(
            {
                "name": "DATABASE_URL" if name == "database_url" else f"ACERVO_{name.upper()}",
                "kind": _kind(entry),
                "default": _default(field.default, has_factory=field.default_factory is not None),
                "help": field.description or "",
            }
        )
    return rows


def markdown(rows: list[dict[str, str]]) -> str:
    """The reference page."""
    return HEADING + "".join(
        f"| `{r['name']}` | {r['kind']} | {r['default']} | {r['help']} |\n" for r in rows
    )


def _kind(entry: dict[str, Any]) -> str:
    if "enum" in entry:
        return " or ".join(f"`{value}`" for value in entry["enum"])
    kinds = {"string": "text", "integer": "number", "boolean": "`true` or `false`", "array": "list"}
    options = [entry, *entry.get("anyOf", [])]
    return next((kinds[o["type"]] for o in options if o.get("type") in kinds), "text")


def _default(value: Any, *, has_factory: bool) -> str:
    if has_factory or value is None or value == ():
        return "unset"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"
