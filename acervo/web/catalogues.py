"""Catalogues of translations, extracted and compiled by Babel: `python -m acervo.web.catalogues extract|compile|check`.

Needs no system gettext, and no Django but to read templates: compiling runs before `django.setup()`.
"""

from __future__ import annotations

import ast
import io
import logging
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from babel.messages.catalog import Catalog
from babel.messages.extract import extract as extract_messages
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

log = logging.getLogger(__name__)

PACKAGE: Final = Path(__file__).resolve().parent.parent
LOCALE: Final = PACKAGE / "locale"
LANGUAGES: Final = ("pt_BR", "es", "en")
SOURCE_LANGUAGE: Final = "en"
KEYWORDS: Final = {
    "_": None,
    "gettext": None,
    "gettext_lazy": None,
    "ngettext": (1, 2),
    "ngettext_lazy": (1, 2),
    "pgettext": ((1, "c"), 2),
    "pgettext_lazy": ((1, "c"), 2),
    "npgettext": ((1, "c"), 2, 3),
}
Message = str | tuple[str, ...]


def ensure_compiled() -> None:
    """Compile what is missing or older than its source. A folder that cannot be written to only costs translations."""
    for language in LANGUAGES:
        try:
            _compile_if_older(language)
        except OSError as error:
            log.warning("catalogue.not_compiled", extra={"language": language, "error": type(error).__name__})


def po_path(language: str) -> Path:
    return LOCALE / language / "LC_MESSAGES" / "django.po"


def read(language: str) -> Catalog:
    with po_path(language).open("rb") as file:
        return read_po(file, locale=language, domain="django")


def missing(catalog: Catalog) -> list[str]:
    """Messages without a translation, with an uncertain one, or whose placeholders do not fit."""
    found = []
    for message in catalog:
        strings = message.string if isinstance(message.string, tuple | list) else (message.string,)
        if message.id and (message.fuzzy or not all(strings) or any(message.check(catalog))):
            found.append(message.id if isinstance(message.id, str) else message.id[0])
    return found


def messages_in_use() -> Catalog:
    """Every message of code and templates."""
    catalog = Catalog(domain="django", charset="utf-8")
    for path, line, context, message in sorted(_messages(), key=lambda found: (found[0], found[1])):
        catalog.add(message, locations=[(path, line)], context=context)
    return catalog


def _compile_if_older(language: str) -> None:
    source = po_path(language)
    target = source.with_suffix(".mo")
    if target.exists() and target.stat().st_mtime >= source.stat().st_mtime:
        return
    compiled = io.BytesIO()
    write_mo(compiled, read(language))
    # Put in place whole: another process may be reading.
    with tempfile.NamedTemporaryFile(dir=target.parent, suffix=".part", delete=False) as file:
        file.write(compiled.getvalue())
    Path(file.name).chmod(0o644)
    os.replace(file.name, target)


def _messages() -> Iterator[tuple[str, int, str | None, Message]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        if "migrations" not in path.parts:
            with path.open("rb") as file:
                for line, found, _comments, context in extract_messages("python", file, KEYWORDS):
                    yield _place(path), line, context, found
    for path in sorted((PACKAGE / "web" / "templates").rglob("*.html")):
        yield from _messages_of_template(path)


def _messages_of_template(path: Path) -> Iterator[tuple[str, int, str | None, Message]]:
    from django.utils.translation.template import templatize

    code = templatize(path.read_text(encoding="utf-8"))
    for call in re.finditer(r"(?<![\w.])(_|n?p?gettext)\(", code):
        arguments = _arguments(code, call.end())
        line = code.count("\n", 0, call.start()) + 1
        has_context = call.group(1).endswith("pgettext")
        context = arguments.pop(0) if has_context else None
        message = (arguments[0], arguments[1]) if call.group(1).startswith("n") else arguments[0]
        yield _place(path), line, context, message


def _arguments(code: str, start: int) -> list[str]:
    """The string literals of a call whose opening parenthesis is just before `start`."""
    for end in (found.end() for found in re.finditer(r"\)", code[start:])):
        try:
            call = ast.parse(f"f({code[start : start + end]}", mode="eval").body
        except SyntaxError:
            continue
        if isinstance(call, ast.Call):
            return [str(part.value) for part in call.args if isinstance(part, ast.Constant)]
    return []


def _place(path: Path) -> str:
    return path.relative_to(PACKAGE.parent).as_posix()


def _extract() -> int:
    """Bring every catalogue up to what code and templates say; translations are kept."""
    used = messages_in_use()
    for language in LANGUAGES:
        path = po_path(language)
        catalog = (
            read(language) if path.exists() else Catalog(locale=language, domain="django", charset="utf-8")
        )
        catalog.update(used, no_fuzzy_matching=True)
        catalog.obsolete.clear()
        catalog.header_comment, catalog.fuzzy = f"# Acervo: {language}", False
        catalog.project, catalog.version = "Acervo", ""
        catalog.msgid_bugs_address = catalog.last_translator = catalog.language_team = ""
        if language == SOURCE_LANGUAGE:
            for message in catalog:
                message.string = message.id or message.string
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            write_po(file, catalog, width=110, sort_output=True, omit_header=False, include_lineno=False)
    return _check()


def _check() -> int:
    used = {(message.context, message.id) for message in messages_in_use() if message.id}
    problems = 0
    for language in LANGUAGES:
        catalog = read(language)
        known = {(message.context, message.id) for message in catalog if message.id}
        for words in [*missing(catalog), *(str(key[1]) for key in used - known)]:
            sys.stderr.write(f"{language}: no translation of {words!r}\n")
            problems += 1
    return 1 if problems else 0


def main(command: str) -> int:
    if command == "compile":
        ensure_compiled()
        return 0
    return {"extract": _extract, "check": _check}[command]()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "check"))
