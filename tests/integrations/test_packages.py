"""What is installed in the CRMs: built for one account, whole, and pointing at the doors that are there."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import pytest
from django.urls import resolve

from acervo.crms import embedding
from acervo.crms.salesforce.api import API_VERSION
from acervo.crms.salesforce.package import TRUSTED_SITE

ROOT = Path(__file__).parents[2] / "integrations"
KINDS = ("hubspot", "salesforce", "zendesk", "zoho")
ADDRESS, CONNECTION = "https://acervo.example.com", "01K0000000000000000000000A"
LEFT_OPEN = re.compile(r"__(ACERVO|HOST|CONNECTION|API_VERSION)__")


def build(
    kind: str, out: Path, address: str = ADDRESS, connection: str = CONNECTION
) -> subprocess.CompletedProcess:
    command = [
        sys.executable,
        str(ROOT / kind / "build.py"),
        "--address",
        address,
        "--connection",
        connection,
    ]
    return subprocess.run([*command, "--out", str(out)], capture_output=True, text=True, check=False)


def built(kind: str, tmp_path: Path) -> dict[str, bytes]:
    """Every file of the result by its name, those inside zips too."""
    out = tmp_path / ("app.zip" if kind == "zendesk" else "out")
    done = build(kind, out)
    assert done.returncode == 0, done.stderr
    paths = [out] if out.is_file() else sorted(path for path in out.rglob("*") if path.is_file())
    found: dict[str, bytes] = {}
    for path in paths:
        content = path.read_bytes()
        if path.suffix == ".zip":
            with zipfile.ZipFile(io.BytesIO(content)) as file:
                found |= {name: file.read(name) for name in file.namelist()}
        else:
            found[path.relative_to(out).as_posix()] = content
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_every_package_is_for_a_crm_with_a_panel_and_has_a_guide(kind):
    assert embedding.find(kind) is not None
    assert (ROOT.parent / "docs" / "guides" / f"panel-{kind}.md").exists()
    assert f"panel-{kind}.md" in (ROOT / kind / "README.md").read_text()


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_filled_in_and_leads_to_a_door_of_this_connection(kind, tmp_path):
    files = built(kind, tmp_path)
    texts = {name: text.decode() for name, text in files.items() if not name.endswith(".png")}
    assert not [name for name, text in texts.items() if LEFT_OPEN.search(text)]
    paths = {path for text in texts.values() for path in re.findall(rf"/embed/{CONNECTION}/\w+", text)}
    assert len(paths) == 1
    expected = {"page": "embed_page", "fetch": "embed_fetch", "key": "embed_link"}
    assert resolve(paths.pop()).url_name == expected[embedding.find(kind).opens]


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_input_makes_the_same_package(kind, tmp_path):
    first, second = tmp_path / "1", tmp_path / "2"
    first.mkdir()
    second.mkdir()
    assert built(kind, first) == built(kind, second)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("address", "connection"),
    [("http://acervo.example.com", CONNECTION), ("acervo.example.com", CONNECTION), (ADDRESS, "not-an-id"),
     (f"{ADDRESS}/somewhere", CONNECTION)],
)  # fmt: skip
def test_a_wrong_address_or_connection_is_told_before_anything_is_written(
    kind, address, connection, tmp_path
):
    done = build(kind, tmp_path / "out", address, connection)
    assert done.returncode == 2
    assert "--address must be" in done.stderr or "--connection is" in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", KINDS)
def test_no_secret_is_in_a_package(kind, tmp_path):
    """A key is entered in the CRM: Zoho's function has a place for it, the others a setting."""
    for name, content in built(kind, tmp_path).items():
        assert b"emb_" not in content, name


def test_the_zendesk_app_asks_for_signatures_and_speaks_three_languages(tmp_path):
    files = built("zendesk", tmp_path)
    manifest = json.loads(files["manifest.json"])
    assert manifest["signedUrls"] is True
    assert manifest["private"] is True
    assert manifest["frameworkVersion"] == "2.0"
    assert manifest["domainWhitelist"] == ["acervo.example.com"]
    assert set(manifest["location"]["support"]) == {"ticket_sidebar", "user_sidebar"}
    known = None
    for language in ("en", "pt-BR", "es"):
        words = json.loads(files[f"translations/{language}.json"])["app"]
        assert all(words.values())
        known = known or set(words)
        assert set(words) == known
    assert {"assets/logo.png", "assets/logo-small.png"} <= set(files)
    assert f"translations/{manifest['defaultLocale']}.json" in files


def test_the_hubspot_card_may_fetch_and_frame_from_acervo_alone(tmp_path):
    files = built("hubspot", tmp_path)
    app = json.loads(files["src/app/app-hsmeta.json"])["config"]
    assert app["permittedUrls"] == {"fetch": [ADDRESS], "iframe": [ADDRESS], "img": []}
    assert app["distribution"] == "private"
    card = json.loads(files["src/app/cards/media-hsmeta.json"])["config"]
    assert f"src{card['entrypoint']}" in files
    assert set(card["objectTypes"]) == {
        f"{ours}s" for ours in embedding.find("hubspot").object_types.values()
    }


def test_the_salesforce_source_is_whole(tmp_path):
    files = built("salesforce", tmp_path)
    for name, content in files.items():
        if name.endswith(".xml"):
            root = ElementTree.fromstring(content)
            assert root.tag.startswith("{http://soap.sforce.com/2006/04/metadata}"), name
    main = "force-app/main/default"
    component = files[f"{main}/lwc/acervoPanel/acervoPanel.js-meta.xml"].decode()
    placed = set(re.findall(r"<object>(\w+)</object>", component))
    assert placed <= set(embedding.find("salesforce").object_types)
    assert json.loads(files["sfdx-project.json"])["sourceApiVersion"] == API_VERSION
    # The same name as the one `connect` deploys: two trusted URLs with one address would be refused.
    assert f"{main}/cspTrustedSites/{TRUSTED_SITE}.cspTrustedSite-meta.xml" in files
    credential = files[f"{main}/namedCredentials/Acervo_Panel.namedCredential-meta.xml"].decode()
    assert f"<parameterValue>{ADDRESS}</parameterValue>" in credential
    assert "callout:Acervo_Panel" in files[f"{main}/classes/AcervoPanel.cls"].decode()
    for name in files:
        if name.endswith(".cls"):
            assert f"{name}-meta.xml" in files


def test_the_zoho_widget_has_its_page_and_calls_the_function_that_is_there(tmp_path):
    files = built("zoho", tmp_path)
    assert json.loads(files["plugin-manifest.json"])["service"] == "CRM"
    page = files["app/widget.html"].decode()
    for name in re.findall(r'(?:src|href)="([\w.]+)"', page):
        assert f"app/{name}" in files
    called = re.search(r'FUNCTION = "(\w+)"', files["app/widget.js"].decode())[1]
    assert f"standalone.{called}(" in files[f"{called}.dg"].decode()
