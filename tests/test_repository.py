"""Promises the repository makes about itself: what is declared, explained, mapped and absent."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
import socket
import subprocess
import tomllib
from collections.abc import Iterator
from importlib.metadata import version
from itertools import chain
from pathlib import Path

import pytest
from django.apps import apps
from pytest_socket import SocketConnectBlockedError

import acervo
from acervo import crms, providers, transcribers
from acervo.base.environment import Environment
from acervo.base.errors import AcervoError
from acervo.management.commands import settings as settings_command
from acervo.management.main import COMMANDS

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "acervo"
TABLES = {"providers": providers.PROVIDERS, "crms": crms.CRMS, "transcribers": transcribers.ENGINES}
ADAPTERS = [(family, kind) for family, table in TABLES.items() for kind in table]
NAMED_BY_KIND = {
    "utils",
    "util",
    "helpers",
    "services",
    "service",
    "common",
    "core",
    "manager",
    "managers",
    "misc",
}
PROSE = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]


def read(name: str) -> str:
    return (ROOT / name).read_text()


def ours(*endings: str) -> list[Path]:
    """Files of the repository, as git would list them: tracked, or new and not ignored."""
    listing = subprocess.run(
        ["git", "-c", f"safe.directory={ROOT}", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, check=False,
    )  # fmt: skip
    if listing.returncode:  # an unpacked archive instead of a clone
        found = [path for path in ROOT.rglob("*") if not _is_made(path.relative_to(ROOT))]
    else:
        found = [ROOT / name for name in listing.stdout.decode().split("\0") if name]
    return [path for path in found if path.is_file() and (not endings or path.suffix in endings)]


def _is_made(path: Path) -> bool:
    ignored = [line.strip().rstrip("/") for line in read(".gitignore").splitlines()]
    return ".git" in path.parts or any(
        Path(part).match(line) for part in path.parts for line in ignored if line
    )


def modules() -> Iterator[str]:
    for found in pkgutil.walk_packages(acervo.__path__, "acervo."):
        if ".migrations" not in found.name and ".test_" not in found.name:
            yield found.name


# ── adapters ──


@pytest.mark.parametrize("family", TABLES)
def test_every_adapter_folder_is_in_its_table(family: str) -> None:
    folders = {path.parent.name for path in (PACKAGE / family).glob("*/adapter.py")}
    assert folders == set(TABLES[family])


@pytest.mark.parametrize(("family", "kind"), ADAPTERS)
def test_every_entry_of_a_table_loads(family: str, kind: str) -> None:
    adapter = importlib.import_module(f"acervo.{family}").get(kind)
    assert adapter.kind == kind
    assert adapter.__module__ == f"acervo.{family}.{kind}.adapter"


@pytest.mark.parametrize(("family", "kind"), ADAPTERS)
def test_every_adapter_passes_the_suite_of_its_contract(family: str, kind: str) -> None:
    """That it passes is shown by running it; here: that it is there to be run, and is the shared one."""
    suites = vars(importlib.import_module(f"acervo.{family}.conformance"))
    shared = {
        value
        for value in suites.values()
        if isinstance(value, type) and any(name.startswith("test_") for name in vars(value))
    }
    module = importlib.import_module(f"acervo.{family}.{kind}.test_{kind}")
    used = [v for n, v in vars(module).items() if isinstance(v, type) and n.startswith("Test")]
    assert any(issubclass(test, suite) for test in used for suite in shared)


@pytest.mark.parametrize(("family", "kind"), ADAPTERS)
def test_every_adapter_says_the_ten_lines_about_itself(family: str, kind: str) -> None:
    page = (PACKAGE / family / kind / "README.md").read_text()
    lines = [line.lower() for line in page.splitlines() if re.match(r"- |\d+\. ", line)]
    assert len(lines) >= 10
    for topic in ("documentation:", "verified live:", " odd"):
        assert any(topic in line for line in lines), f"{topic} is missing"


# ── shape ──


def test_every_error_explains_itself() -> None:
    """The docstring is the message people read; an inherited one would say something else."""
    for name in modules():
        importlib.import_module(name)
    for error in _subclasses(AcervoError):
        words = (error.__dict__.get("__doc__") or "").strip()
        assert words.endswith((".", "?")), (
            f"{error.__module__}.{error.__name__} does not explain itself in a sentence"
        )


def _subclasses(kind: type) -> Iterator[type]:
    for child in kind.__subclasses__():
        if child.__module__.startswith("acervo"):
            yield child
        yield from _subclasses(child)


def test_every_module_says_what_it_is_for() -> None:
    for path in PACKAGE.rglob("*.py"):
        text = path.read_text()
        if text.strip() and "migrations" not in path.parts[-2:]:
            assert ast.get_docstring(ast.parse(text)), f"{path.relative_to(ROOT)} has no docstring"


def test_nothing_is_named_by_its_kind() -> None:
    names = {part for name in modules() for part in name.split(".")}
    assert not names & NAMED_BY_KIND


def test_the_environment_is_read_in_one_place() -> None:
    """`settings.py` reads it through `base.environment`. The two entry points only name the settings module."""
    allowed = {
        "acervo/base/environment.py",
        "acervo/asgi.py",
        "acervo/management/main.py",
    }
    readers = {
        str(path.relative_to(ROOT))
        for path in PACKAGE.rglob("*.py")
        if re.search(r"\bos\.(environ|getenv)\b|^from os import .*(environ|getenv)", path.read_text(), re.M)
    }
    assert readers <= allowed


def test_the_two_entry_points_take_nothing_from_the_environment() -> None:
    for name in ("acervo/asgi.py", "acervo/management/main.py"):
        uses = set(re.findall(r"\bos\.environ.*", read(name)))
        assert uses <= {
            'os.environ.setdefault("DJANGO_SETTINGS_MODULE", "acervo.settings")',
            "os.environ, arguments)",  # the demo writes its own settings there, before they are read
        }, name


def test_doors_ask_for_rows_through_visible_to() -> None:
    """`MediaFile.objects.get(pk=…)` in a door would show a stranger's file."""
    guarded = {model.__name__ for model in _models() if hasattr(model._default_manager.all(), "visible_to")}
    assert {"MediaFile", "Person", "Receipt", "Delivery", "Connection", "AuditEntry"} <= guarded
    straight = re.compile(
        rf"\b({'|'.join(sorted(guarded))})\.objects\.(get|all|in_bulk|first|last|values\w*)\b"
    )
    for door in ("web", "play", "api", "embed"):
        for path in (PACKAGE / door).rglob("*.py"):
            found = straight.search(path.read_text())
            assert not found, f"{path.relative_to(ROOT)}: {found and found[0]} does not go through visible_to"


def _models() -> list[type]:
    return list(apps.get_app_config("acervo").get_models())


def test_the_network_is_closed_to_tests() -> None:
    with (
        socket.socket() as out,
        pytest.raises(SocketConnectBlockedError),
        pytest.warns(UserWarning, match="192.0.2.1"),
    ):
        out.connect(("192.0.2.1", 443))


# ── what is written down ──


def test_the_map_names_everything_and_nothing_that_is_gone() -> None:
    """The map in ARCHITECTURE.md is the tree: every folder of the package and every module in it."""
    there = {str(path.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.py") if _is_on_the_map(path)}
    assert _mapped() == there


def _is_on_the_map(path: Path) -> bool:
    is_adapter = path.parent.parent.name in TABLES
    is_named = not path.name.startswith(("__", "test_")) and "migrations" not in path.parts
    return is_named and (not is_adapter or path.name == "adapter.py")


def _mapped() -> set[str]:
    """Lines of the map are `folder/` or `folder/  name · name — what for`; names are modules without `.py`."""
    block = read("ARCHITECTURE.md").split("```map\n")[1].split("```")[0]
    found, folder = set(), ""
    for line in filter(str.strip, block.splitlines()):
        if line.startswith("  "):
            found |= {f"{folder}{name}.py" for name in re.findall(r"\w+", line.split(" — ")[0])}
        else:
            folder = line.split()[0].removeprefix("acervo/")
    return found


def test_every_stored_field_is_declared_personal_or_harmless() -> None:
    declared, model = set(), ""
    for line in read("docs/personal-data.md").splitlines():
        if line.startswith("## "):
            model = line[3:]
        elif found := re.match(r"\| `(\w+)` \| (personal|harmless) \|", line):
            declared.add(f"{model}.{found[1]}")
    stored = {
        f"{model.__name__}.{field.name}"
        for model in _models()
        for field in [*model._meta.fields, *model._meta.many_to_many]
    }
    assert declared == stored


def test_the_settings_page_is_what_the_code_says() -> None:
    written = read("docs/settings.md")
    assert written == settings_command.markdown(settings_command.reference()), "run `make settings`"


def test_prose_mentions_only_settings_that_exist() -> None:
    known = {f"ACERVO_{name.upper()}" for name in Environment.model_fields}
    for path in [*PROSE, *ROOT.glob("deploy/*")]:
        mentioned = set(re.findall(r"\bACERVO_[A-Z][A-Z_]*[A-Z]\b", path.read_text()))
        assert mentioned <= known, f"{path.relative_to(ROOT)}: {mentioned - known}"


def test_prose_mentions_only_commands_that_exist() -> None:
    goals = set(re.findall(r"^(\w+):", read("Makefile"), re.M))
    for path in PROSE:
        text = path.read_text()
        code = " ".join(re.findall(r"`[^`\n]+`|^    .*$|^```.*?^```", text, re.M | re.S))
        named = re.findall(r"\bacervo ([a-z][\w-]+)\b(?! =)", code)
        assert {name.replace("-", "_") for name in named} <= set(COMMANDS), path.name
        assert set(re.findall(r"\bmake ([a-z]\w+)\b", code)) <= goals, path.name


def test_every_command_has_its_file() -> None:
    from_django = {"migrate", "manage"}
    files = {path.stem for path in (PACKAGE / "management/commands").glob("[a-z]*.py")}
    assert files == set(COMMANDS) - from_django


def test_links_between_pages_lead_somewhere() -> None:
    for path in [*PROSE, *PACKAGE.rglob("README.md")]:
        for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", path.read_text()):
            assert (path.parent / target).exists(), f"{path.relative_to(ROOT)} leads to {target}"


def test_decisions_are_numbered_and_every_mention_is_of_one() -> None:
    pages = sorted((ROOT / "docs/adr").glob("*.md"))
    numbers = [int(page.name[:4]) for page in pages]
    assert numbers == list(range(1, len(pages) + 1))
    for page in pages:
        text = page.read_text()
        assert text.startswith(f"# {int(page.name[:4])}. "), page.name
        assert re.search(r"\bDeci(sion|ded)\b", text), page.name
    for path in ours(".py", ".md", ".toml"):
        mentioned = {int(number) for number in re.findall(r"\bADR (\d+)\b", path.read_text())}
        assert mentioned <= set(numbers), f"{path.relative_to(ROOT)}: ADR {mentioned - set(numbers)}"


def test_the_glossary_has_one_entry_a_word() -> None:
    words = re.findall(r"^\*\*([^*]+)\*\*", read("docs/glossary.md"), re.M)
    assert len(words) >= 20
    assert words == sorted(words, key=str.lower), "in alphabetical order"
    assert len(set(words)) == len(words)


def test_the_version_is_the_newest_of_the_changelog() -> None:
    newest = re.search(r"^## (\d\S*)", read("CHANGELOG.md"), re.M)
    assert newest
    assert newest[1] == version("acervo")


def test_every_dependency_says_why_it_is_here() -> None:
    project = tomllib.loads(read("pyproject.toml"))
    extras = project["project"]["optional-dependencies"].values()
    wanted = [*project["project"]["dependencies"], *project["dependency-groups"]["dev"], *chain(*extras)]
    lines = read("pyproject.toml").splitlines()
    for name in wanted:
        line = next(line for line in lines if f'"{name}"' in line)
        assert re.search(r"# \w.{3,}", line), f"{name} does not"


def test_the_lock_is_of_these_dependencies() -> None:
    """Else `make` stops on a fresh clone: `uv sync --locked` takes no lock that is out of date."""
    project = tomllib.loads(read("pyproject.toml"))
    package = next(p for p in tomllib.loads(read("uv.lock"))["package"] if p["name"] == "acervo")
    metadata = package["metadata"]
    locked = [*metadata["requires-dist"], *metadata["requires-dev"]["dev"]]
    extras = project["project"]["optional-dependencies"].values()
    wanted = [*project["project"]["dependencies"], *project["dependency-groups"]["dev"], *chain(*extras)]
    assert {row["name"] for row in locked} == {re.match(r"[\w.-]+", line)[0].lower() for line in wanted}


def test_the_image_holds_neither_sandbox_nor_tests() -> None:
    left_out = read(".dockerignore").splitlines()
    assert left_out[0] == "*", "everything is left out, besides what is named"
    assert "**/test_*.py" in left_out
    let_in = {line[1:] for line in left_out if line.startswith("!")}
    assert let_in == {"acervo", "pyproject.toml", "uv.lock", "README.md", "CHANGELOG.md", "LICENSE"}


# ── what must not be here ──

MACHINE_PATHS = re.compile(r"(?<![\w.])/(home|Users|work|root)/[\w.-]+|file:///opt/")
PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----")
WRITTEN_NUMBER = re.compile(r"(?<![\w.+])\+[1-9][\d ().-]{8,18}\d\b")
BARE_NUMBER = re.compile(r"""(?<=["'])(?:55\d{10,11}|52\d{10,11}|1[2-9]\d{9})(?=["'])""")
FICTIONAL = re.compile(r"555\d{4}$")


@pytest.fixture(scope="module")
def texts() -> dict[str, str]:
    """What people wrote in the repository: no lock file, no pictures or sounds."""
    endings = (
        ".py",
        ".md",
        ".toml",
        ".html",
        ".js",
        ".css",
        ".json",
        ".yaml",
        ".yml",
        ".sh",
        ".po",
        ".txt",
        "",
    )
    return {str(path.relative_to(ROOT)): path.read_text(errors="replace") for path in ours(*endings)}


def test_no_file_knows_the_machine_it_was_written_on(texts: dict[str, str]) -> None:
    found = {name: hit[0] for name, text in texts.items() if (hit := MACHINE_PATHS.search(text))}
    found.pop("tests/test_repository.py", None)
    assert not found


def test_no_file_holds_a_private_key(texts: dict[str, str]) -> None:
    found = [name for name, text in texts.items() if PRIVATE_KEY.search(text)]
    assert not found


def test_no_file_holds_the_number_of_a_real_person(texts: dict[str, str]) -> None:
    """Samples use the blocks that are given to nobody: 555 and four digits."""
    found = [
        (name, number)
        for name, text in texts.items()
        for number in WRITTEN_NUMBER.findall(text) + BARE_NUMBER.findall(text)
        if not FICTIONAL.search(re.sub(r"\D", "", number))
    ]
    assert not found


@pytest.mark.parametrize("number", ["+55 11 9" + "8765-4321", '"5511' + '987654321"', "+1 212 " + "867 5309"])
def test_the_number_of_a_real_person_would_be_found(number: str) -> None:
    (found,) = WRITTEN_NUMBER.findall(number) + BARE_NUMBER.findall(number)
    assert not FICTIONAL.search(re.sub(r"\D", "", found))


def test_only_the_lock_file_names_an_index(texts: dict[str, str]) -> None:
    hosts = re.compile(r"files\.pythonhosted|pypi\.org/simple|index-url|registry = \"")
    found = [
        name for name, text in texts.items() if hosts.search(text) and name != "tests/test_repository.py"
    ]
    assert not found
    assert set(re.findall(r'registry = "([^"]+)"', read("uv.lock"))) == {"https://pypi.org/simple"}
