"""Hearing and seeing: ranges over the wire, a position that moves, a dock that goes on while pages change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, Response, expect

from tests.browser.archive import FILE_NAME, Archive

pytestmark = pytest.mark.browser

NO_OGG = """
const canPlay = HTMLMediaElement.prototype.canPlayType;
HTMLMediaElement.prototype.canPlayType = function (type) {
  return /ogg|opus/.test(type) ? "" : canPlay.call(this, type);
};
"""


def heard(page: Page) -> list[Response]:
    """Every answer of the player's door, as it comes; pictures apart."""
    found: list[Response] = []

    def note(response: Response) -> None:
        if "/play/" in response.url and response.request.resource_type == "media":
            found.append(response)

    page.on("response", note)
    return found


def expect_to_play(page: Page, player: str = "now-playing audio", beyond_s: float = 0.0) -> None:
    """It is not paused, has data to play, and its position moves by itself."""
    page.wait_for_function(
        """([player, beyond]) => {
          const media = document.querySelector(player);
          return !media.paused && media.readyState >= 3 && media.currentTime > beyond && !media.error;
        }""",
        arg=[player, beyond_s],
    )
    at = position(page, player)
    page.wait_for_function(
        "([player, at]) => document.querySelector(player).currentTime > at", arg=[player, at]
    )


def position(page: Page, player: str = "now-playing audio") -> float:
    return float(page.evaluate("(player) => document.querySelector(player).currentTime", player))


def seek_to_the_middle(of: Locator) -> None:
    """A click in the middle of the waveform."""
    box = of.bounding_box()
    of.click(position={"x": box["width"] / 2, "y": box["height"] / 2})


def test_a_voice_note_plays_from_its_card_in_ranges_and_seeks_to_its_middle(
    page: Page, archive: Archive
) -> None:
    answers = heard(page)
    page.goto(f"{archive.url}/library")
    card = page.locator(f"#c-{archive.slugs['voice']}")
    card.get_by_role("button", name="Play: Voice note from Josué Tavares").click()
    expect_to_play(page)
    length = page.evaluate("document.querySelector('now-playing audio').duration")
    assert 3 < length < 30
    seek_to_the_middle(card.locator("input[type=range]"))
    expect_to_play(page, beyond_s=length * 0.45)
    assert length * 0.45 < position(page) < length
    assert {answer.status for answer in answers} == {206}
    assert all(answer.header_value("content-range").startswith("bytes ") for answer in answers)
    card.get_by_role("button", name="Pause").click()
    assert page.evaluate("document.querySelector('now-playing audio').paused")


def test_what_plays_goes_on_while_pages_change(page: Page, archive: Archive) -> None:
    page.goto(archive.page_of("voice"))
    page.evaluate("window.neverReloaded = true")
    page.locator("media-player").get_by_role("button", name="Play", exact=True).click()
    expect_to_play(page)
    dock = page.get_by_role("region", name="Now playing")
    for place in ("Contacts", "Health", "Library"):
        page.get_by_role("navigation", name="Main").get_by_role("link", name=place, exact=True).click()
        page.wait_for_url(f"**/{place.lower()}")
        expect(page.get_by_role("heading", level=1)).to_be_attached()
        expect(dock).to_be_visible()
        assert not page.evaluate("document.querySelector('now-playing audio').paused"), place
    assert page.evaluate("window.neverReloaded")
    expect_to_play(page)
    expect(page.locator(f"#c-{archive.slugs['voice']}.is-playing")).to_be_visible()
    dock.get_by_role("link").click()
    page.wait_for_url(f"**/m/{archive.slugs['voice']}")
    dock.get_by_role("button", name="Close the player").click()
    expect(dock).to_be_hidden()


def test_a_browser_that_cannot_play_ogg_asks_for_the_mp3(
    new_context: Callable[..., BrowserContext], signed_in: Any, archive: Archive
) -> None:
    context = new_context(storage_state=signed_in)
    context.add_init_script(NO_OGG)
    page = context.new_page()
    answers = heard(page)
    page.goto(archive.page_of("voice"))
    page.locator("media-player").get_by_role("button", name="Play", exact=True).click()
    expect_to_play(page)
    assert {answer.url.rpartition("/")[2] for answer in answers} == {"mp3"}
    assert {answer.status for answer in answers} == {206}


@pytest.mark.parametrize("name", ["mp3", "amr"])
def test_every_other_audio_plays_too(page: Page, archive: Archive, name: str) -> None:
    page.goto(archive.page_of(name))
    page.locator("media-player").get_by_role("button", name="Play", exact=True).click()
    expect_to_play(page)


def test_the_speed_is_heard_and_remembered(page: Page, archive: Archive) -> None:
    page.goto(archive.page_of("voice"))
    page.locator("media-player").get_by_role("button", name="1.5×").click()
    page.locator("media-player").get_by_role("button", name="Play", exact=True).click()
    expect_to_play(page)
    assert page.evaluate("document.querySelector('now-playing audio').playbackRate") == 1.5
    page.reload()
    expect(page.locator("media-player").get_by_role("button", name="1.5×")).to_have_attribute(
        "aria-pressed", "true"
    )


def test_a_video_plays_and_seeks_in_ranges(page: Page, archive: Archive) -> None:
    answers = heard(page)
    page.goto(archive.page_of("video"))
    length = page.evaluate(
        """async () => {
          const video = document.querySelector("video");
          await video.play();
          video.currentTime = video.duration / 2;
          return video.duration;
        }"""
    )
    expect_to_play(page, "video", beyond_s=length * 0.45)
    assert page.evaluate("document.querySelector('video').videoWidth") > 0
    assert {answer.status for answer in answers} == {206}


@pytest.mark.parametrize("name", ["image", "sticker"])
def test_a_picture_shows_on_its_page_and_on_its_card(page: Page, archive: Archive, name: str) -> None:
    for address, picture in (
        (archive.page_of(name), ".viewer img"),
        (f"{archive.url}/library", f"#c-{archive.slugs[name]} img"),
    ):
        page.goto(address)
        page.locator(picture).scroll_into_view_if_needed()
        page.wait_for_function("(it) => document.querySelector(it).naturalWidth > 0", arg=picture)


def test_a_document_is_downloaded_under_the_name_it_came_with(page: Page, archive: Archive) -> None:
    page.goto(archive.page_of("document"))
    with page.expect_download() as download:
        page.locator(".filecard").get_by_role("link", name="Download").click()
    assert download.value.suggested_filename == FILE_NAME
    assert download.value.path().read_bytes().startswith(b"%PDF-")
