"""What every page keeps to: nothing inline, every code in words, every word in every language."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from django.test import Client
from django.utils import translation

import acervo
from acervo.base.errors import AcervoError
from acervo.crms.contract import CrmErrorKind
from acervo.govern.connections import NUMBER_REMOVED
from acervo.models import Kind, RenditionKind, Role
from acervo.organise import search
from acervo.providers.contract import Outcome
from acervo.web import catalogues, words
from acervo.web.middleware import POLICY

PACKAGE = Path(acervo.__file__).parent
TEMPLATES = sorted((PACKAGE / "web" / "templates").rglob("*.html"))
SCRIPTS = sorted((PACKAGE / "web" / "static" / "js").glob("*.js"))


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_no_template_carries_style_or_script(path):
    text = path.read_text()
    assert not re.search(r"\sstyle\s*=", text)
    assert not re.search(r"<style\b", text)
    assert not re.search(r"<script\b(?![^>]*\ssrc=)", text)
    assert not re.search(r"\son[a-z]+\s*=", text)
    assert "hx-on" not in text
    assert "|safe" not in text
    assert not re.search(r"(src|href)=\"(https?:)?//", text)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_no_script_needs_more_than_the_policy_gives(path):
    text = path.read_text()
    assert not re.search(
        r"\beval\(|new Function|setAttribute\(\"style\"|insertAdjacentHTML|document\.write", text
    )
    assert "://" not in text


@pytest.mark.django_db
def test_every_answer_has_the_strict_policy(page_of, alice):
    client = page_of(alice)
    for where in ("/library", "/nowhere", "/integrations", "/health"):
        assert client.get(where)["Content-Security-Policy"] == POLICY
    assert "unsafe" not in POLICY


@pytest.mark.django_db
def test_a_broken_page_says_so_without_the_database(alice, monkeypatch):
    from acervo.web import library

    def breaks(*args, **kwargs):
        raise RuntimeError("broken on purpose")

    monkeypatch.setattr(library.search, "found", breaks)
    client = Client(raise_request_exception=False)
    client.force_login(alice)
    answer = client.get("/library")
    assert answer.status_code == 500
    assert "Something broke on our side" in answer.content.decode()
    assert "broken on purpose" not in answer.content.decode()


@pytest.mark.django_db
def test_a_form_without_its_token_is_refused_in_words(alice):
    client = Client(enforce_csrf_checks=True)
    client.force_login(alice)
    answer = client.post("/me", {"theme": "dark"})
    assert answer.status_code == 403
    assert "This form has grown old" in answer.content.decode()


def test_every_code_has_words():
    assert set(words.OUTCOMES) == {*Outcome, NUMBER_REMOVED}
    assert set(words.CRM_REFUSALS) == set(CrmErrorKind)
    assert (
        set(words.KINDS)
        == set(words.KINDS_FROM)
        == set(words.KINDS_TO)
        == set(words.KIND_ICONS)
        == set(Kind.values)
    )
    assert set(words.RENDITIONS) == set(RenditionKind.values)
    assert set(words.ROLES) == set(Role.values)
    assert set(words.CRM_STATES) == set(search.CRM_STATES)
    assert set(words.CAPTURE_STATES) == set(search.CAPTURE_STATES)


@pytest.mark.parametrize(
    ("known", "module", "name"),
    [
        (words.FILE_STATES, "models/media.py", "state"),
        (words.DELIVERY_STATES, "models/delivery.py", "state"),
        (words.CONNECTION_STATES, "models/connection.py", "state"),
    ],
    ids=["file", "delivery", "connection"],
)
def test_every_state_a_row_computes_has_words(known, module, name):
    source = (PACKAGE / module).read_text()
    body = re.search(rf"def {name}\(self\).*?(?=\n    @|\n    def |\Z)", source, re.DOTALL).group()
    code = re.sub(r'""".*?"""', "", body, flags=re.DOTALL)
    said = set(re.findall(r'"([a-z]+)"', code))
    assert said <= set(known)


def test_every_deed_of_the_audit_has_words():
    calls = [
        node
        for path in PACKAGE.rglob("*.py")
        if not path.name.startswith("test_")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and getattr(node.func, "id", getattr(node.func, "attr", "")) in ("Deed", "_tell", "_record", "_note")
    ]
    said = {part.value for call in calls for part in ast.walk(call) if isinstance(part, ast.Constant)}
    deeds = {word for word in said if isinstance(word, str) and re.fullmatch(r"[a-z_]+\.[a-z_]+", word)}
    assert deeds >= {
        "file.kept",
        "connection.paused",
        "webhook.refused",
        "file.delivered",
        "delivery.doubled",
    }
    assert deeds <= set(words.ACTIONS)


def test_every_error_that_may_stand_on_a_row_has_words():
    def families(kind):
        return {kind, *(below for child in kind.__subclasses__() for below in families(child))}

    on_rows = [
        kind
        for kind in families(AcervoError)
        if kind.__module__.startswith(
            (
                "acervo.fetch",
                "acervo.keep.vault",
                "acervo.keep.storage",
                "acervo.providers",
                "acervo.base.errors",
            )
        )
    ]
    assert len(on_rows) > 8
    for kind in on_rows:
        assert str(words.refusal(kind.code)) != str(words.OUTCOMES[Outcome.UNKNOWN]), kind.code


def test_every_icon_is_in_the_sheet():
    drawn = set(
        re.findall(r'<symbol id="([a-z0-9-]+)"', (PACKAGE / "web/static/icons/icons.svg").read_text())
    )
    used = {
        status.icon
        for table in (words.FILE_STATES, words.DELIVERY_STATES, words.CONNECTION_STATES)
        for status in table.values()
    }
    used |= {happening.icon for happening in words.ACTIONS.values()} | set(words.KIND_ICONS.values())
    for path in TEMPLATES:
        used |= set(re.findall(r'{% icon "([a-z0-9-]+)"', path.read_text()))
    assert used <= drawn


@pytest.mark.parametrize("language", catalogues.LANGUAGES)
def test_every_message_of_the_pages_is_translated(language):
    catalog = catalogues.read(language)
    used = {(message.context, message.id) for message in catalogues.messages_in_use() if message.id}
    known = {(message.context, message.id) for message in catalog if message.id}
    assert not used - known, "run python -m acervo.web.catalogues extract, and translate"
    assert not catalogues.missing(catalog)


@pytest.mark.parametrize("language", ["pt-br", "es"])
def test_compiled_catalogues_are_found_by_django(language):
    with translation.override(language):
        assert str(words.KINDS[Kind.VIDEO]) == "Vídeo"
        assert str(words.ROLES[Role.AUDITOR]) == "Auditor"


def test_a_catalogue_is_compiled_only_when_it_is_older(tmp_path, monkeypatch):
    folder = tmp_path / "es" / "LC_MESSAGES"
    folder.mkdir(parents=True)
    (folder / "django.po").write_bytes(catalogues.po_path("es").read_bytes())
    monkeypatch.setattr(catalogues, "LOCALE", tmp_path)
    monkeypatch.setattr(catalogues, "LANGUAGES", ("es",))
    catalogues.ensure_compiled()
    first = (folder / "django.mo").stat().st_mtime_ns
    catalogues.ensure_compiled()
    assert (folder / "django.mo").stat().st_mtime_ns == first
    assert [path.name for path in folder.iterdir() if path.suffix == ".part"] == []
