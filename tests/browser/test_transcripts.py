"""What was said, along the player: a transcription server that is slow, fails and asks for patience, and a correction."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Locator, Page, expect

from sandbox.people import NILO
from sandbox.transcription import KEY, MODEL
from tests.browser.archive import Archive, Sent
from tests.browser.conftest import Complaints
from tests.house import wait_for

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def server(archive: Archive) -> Iterator[str]:
    """The simulated server, chosen on the settings page by the tests below."""
    with archive.home.sandbox("sandbox.transcription") as url:
        yield url


@pytest.fixture
def engine(page: Page, archive: Archive, server: str) -> Iterator[str]:
    """Chosen, on demand; switched off afterwards."""
    page.goto(f"{archive.url}/settings/transcripts")
    page.get_by_label("Address of the server").fill(server)
    page.get_by_label("Key", exact=True).fill(KEY)
    page.get_by_label("Model", exact=True).fill(MODEL)
    page.get_by_label("When somebody asks").check()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status").filter(has_text="Try the engine")).to_be_visible()
    yield server
    httpx.delete(f"{_root(server)}/_sandbox/faults")
    page.goto(f"{archive.url}/settings/transcripts")
    page.get_by_role("button", name="Switch off").click()
    expect(page.get_by_text("No engine is chosen")).to_be_visible()


def _root(server: str) -> str:
    return server.removesuffix("/v1")


def fail(server: str, **fault: object) -> None:
    httpx.post(f"{_root(server)}/_sandbox/faults", json=fault).raise_for_status()


def transcript(page: Page) -> Locator:
    return page.get_by_role("region", name="Transcript", exact=True)


def send_voice(archive: Archive) -> str:
    """A fresh voice note; the address of its page."""
    media_id = archive.send(Sent(NILO, "voz-roteador.ogg"))
    row = wait_for(
        lambda: next(
            (row for row in archive.rows() if row["provider_id"] == media_id and row["state"] == "ready"),
            None,
        ),
        "ready",
    )
    return f"{archive.url}/m/{row['id']}"


def test_a_slow_and_failing_server_is_told_and_its_segments_appear_along_the_player(
    page: Page, archive: Archive, engine: str
) -> None:
    fail(engine, kind="status", status=500)
    fail(engine, kind="status", status=429, retry_after="2")
    fail(engine, kind="slow", after_s=2.5)
    page.goto(send_voice(archive))
    panel = transcript(page)
    expect(panel).to_contain_text("Nobody asked for one yet.")
    panel.get_by_role("button", name="Transcribe", exact=True).click()
    expect(panel).to_contain_text("The engine does not answer. We try again by ourselves.")
    expect(panel).to_contain_text("The engine asked us to slow down. We try again by ourselves.")
    expect(panel).to_contain_text("The engine is listening")
    lines = panel.locator(".tr__line")
    expect(lines).to_have_count(4)
    expect(lines.nth(1)).to_contain_text("A luz vermelha do roteador continua piscando.")
    expect(lines.nth(2)).to_contain_text("doubtful: 41%")
    expect(panel.locator(".tr")).to_have_attribute("lang", "pt")

    # a click leads there, and what plays is marked
    lines.nth(1).get_by_role("button", name=re.compile("Play from")).click()
    expect(lines.nth(1)).to_have_attribute("aria-current", "true")
    page.wait_for_function("document.querySelector('now-playing audio').currentTime > 2")
    lines.nth(3).get_by_role("button", name=re.compile("Play from")).click()
    expect(lines.nth(3)).to_have_attribute("aria-current", "true")
    expect(panel.locator("[aria-current]")).to_have_count(1)


def test_a_corrected_word_is_found_by_the_search(page: Page, archive: Archive, engine: str) -> None:
    address = send_voice(archive)
    page.goto(address)
    panel = transcript(page)
    panel.get_by_role("button", name="Transcribe", exact=True).click()
    line = panel.locator(".tr__line").nth(2)
    expect(line).to_contain_text("rua das Acácias")

    line.hover()
    line.get_by_role("link", name=re.compile("Correct what is said")).click()
    field = line.get_by_role("textbox")
    expect(field).to_be_focused()
    field.press("Escape")
    expect(line.get_by_role("textbox")).to_have_count(0)
    expect(line.get_by_role("link", name=re.compile("Correct what is said"))).to_be_focused()
    page.keyboard.press("Enter")
    field.fill("Já tirei da tomada e liguei de novo na rua das Jabuticabeiras.")
    field.press("Control+Enter")
    expect(line).to_contain_text("rua das Jabuticabeiras")
    expect(line).to_contain_text("corrected")
    expect(line).not_to_contain_text("doubtful")
    panel.get_by_text("1 correction", exact=True).click()
    expect(panel.locator("del")).to_contain_text("rua das Acácias")

    page.goto(f"{archive.url}/library?q=jabuticabeira")
    found = page.locator(".card__link")
    expect(found).to_have_count(1)
    assert str(found.get_attribute("href")) in address


def test_the_transcript_is_searched_copied_and_taken_away(page: Page, archive: Archive, engine: str) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(send_voice(archive))
    panel = transcript(page)
    panel.get_by_role("button", name="Transcribe", exact=True).click()
    expect(panel.locator(".tr__line")).to_have_count(4)
    search = panel.get_by_role("searchbox", name="Search in the transcript")
    search.fill("ACACIAS")
    expect(panel.locator("output")).to_have_text("1 of 1")
    search.fill("de")
    expect(panel.locator("output")).to_have_text("1 of 1")
    search.fill("o")
    first = panel.locator("output").text_content() or ""
    search.press("Enter")
    expect(panel.locator("output")).not_to_have_text(first)
    search.fill("girafa")
    expect(panel.locator("output")).to_have_text("not found")
    panel.get_by_role("button", name="Copy the transcript").click()
    expect(page.get_by_text("Transcript copied")).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("Bom dia, aqui é o Josué.\nA luz vermelha")
    with page.expect_download() as started:
        panel.get_by_role("link", name="Captions").click()
    assert started.value.path().read_text().startswith("WEBVTT\n\n00:00:00.000 --> ")


def test_a_refused_key_pauses_the_engine_and_a_new_one_lets_it_go_on(
    page: Page, archive: Archive, engine: str, complaints: Complaints
) -> None:
    fail(engine, kind="status", status=401, code="invalid_api_key", times=0)
    address = send_voice(archive)
    page.goto(address)
    transcript(page).get_by_role("button", name="Transcribe", exact=True).click()
    expect(transcript(page)).to_contain_text("The engine is paused, so this file waits")
    expect(transcript(page)).to_contain_text("The engine does not accept the key.")
    transcript(page).get_by_role("link", name="Settings of transcripts").click()
    page.get_by_role("button", name="Try it").click()
    expect(page.get_by_role("alert")).to_contain_text("The engine does not accept the key.")
    httpx.delete(f"{_root(engine)}/_sandbox/faults")
    page.get_by_role("button", name="Try it").click()
    expect(page.get_by_role("status").filter(has_text="The engine answered.")).to_be_visible()
    page.get_by_role("button", name="Resume").click()
    page.goto(address)
    expect(transcript(page).locator(".tr__line")).to_have_count(4)


def test_files_that_are_here_already_are_transcribed_by_one_press(
    page: Page, archive: Archive, engine: str
) -> None:
    page.goto(f"{archive.url}/settings/transcripts")
    page.get_by_role("button", name=re.compile("Transcribe the .* none")).click()
    expect(page.get_by_role("status").filter(has_text="on their way to the engine")).to_be_visible()
    expect(page.get_by_text("Every file that can have a transcript has one, or is about to.")).to_be_visible()
    page.goto(archive.page_of("video"))
    expect(transcript(page)).to_be_visible()
    expect(transcript(page).locator(".tr__line")).to_have_count(4, timeout=60_000)
