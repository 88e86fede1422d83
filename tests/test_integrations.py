"""What is shipped for no-code tools fits the API it calls: every file reads, every address exists, every event is told."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from acervo.api.main import api
from acervo.models import Detail, EventKind

FOLDER = Path(__file__).parents[1] / "integrations"
MAKE = FOLDER / "make" / "app"
OURS = [FOLDER / name for name in ("zapier", "make", "n8n")]


def operations() -> set[str]:
    """`POST /subscriptions`, with `*` for what differs."""
    paths = api.get_openapi_schema()["paths"]
    return {
        f"{method.upper()} {re.sub(r'{[^}]+}', '*', path.removeprefix('/api/v1'))}"
        for path, known in paths.items()
        for method in known
    }


def texts(*endings: str) -> list[Path]:
    return [path for folder in OURS for path in folder.rglob("*") if path.suffix in endings]


def test_every_definition_reads_as_json() -> None:
    found = texts(".json")
    assert len(found) > 7
    for path in found:
        json.loads(path.read_text())


def test_every_call_of_the_make_app_is_one_of_the_api() -> None:
    calls = set()
    for path in MAKE.rglob("*.json"):
        definition = json.loads(path.read_text())
        for part in ("api", "attach", "detach"):
            if url := definition.get(part, {}).get("url"):
                method = definition[part].get("method", "GET")
                where = url.removeprefix("{{parameters.baseUrl}}/api/v1")
                calls.add(f"{method} {re.sub(r'{{[^}]+}}', '*', where)}")
    assert len(calls) == 5
    assert calls <= operations()


@pytest.mark.parametrize("tool", ["zapier", "make", "n8n"])
def test_every_event_and_every_detail_is_offered(tool: str) -> None:
    said = "".join(
        path.read_text()
        for path in (FOLDER / tool).rglob("*")
        if path.suffix in (".json", ".js") and not path.name.endswith(".test.js")
    )
    for word in [*EventKind.values, *Detail.values]:
        assert f'"{word}"' in said or f"{word}:" in said, word


def test_the_calls_of_zapier_and_n8n_are_of_the_api() -> None:
    calls = set()
    for path in texts(".js"):
        if not path.name.endswith(".test.js"):
            found = re.findall(
                r"`\$\{base\(bundle\)\}(/[^`]*)`|ask\(this, \"[A-Z]+\", [`\"](/[^`\"]*)[`\"]",
                path.read_text(),
            )
            calls |= {re.sub(r"\$\{[^}]+\}", "*", one or other) for one, other in found} - {"/"}
    assert {
        "/subscriptions",
        "/subscriptions/*",
        "/events/*/samples",
        "/media",
        "/media/*/tags",
        "/me",
    } <= calls
    assert calls <= {operation.split()[1] for operation in operations()}


@pytest.mark.skipif(shutil.which("node") is None, reason="needs Node")
def test_the_node_of_n8n_passes_its_own_tests() -> None:
    done = subprocess.run(
        ["node", "--test", "test/"], cwd=FOLDER / "n8n", capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    assert "# pass 4" in done.stdout
