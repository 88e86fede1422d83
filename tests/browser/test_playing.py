"""Hearing and seeing: ranges over the wire, a position that moves, a dock that goes on while pages change."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, Response, TimeoutError, expect

from tests.browser.archive import FILE_NAME, Archive

pytestmark = pytest.mark.browser

NO_OGG = """
const canPlay = HTMLMediaElement.prototype.canPlayType;
HTMLMediaElement.prototype.canPlayType = function (type) {
  return /ogg|opus/.test(type) ? "" : canPlay.call(this, type);
};
"""

STATE = """(player) => {
  const { paused, readyState, networkState, seeking, currentTime, duration, error, src } = document.querySelector(player);
  return { paused, readyState, networkState, seeking, currentTime, duration, error: error?.message, src };
}"""


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
    try:
        page.wait_for_function(
            """([player, beyond]) => {
              const media = document.querySelector(player);
              return !media.paused && media.readyState >= 3 && media.currentTime > beyond && !media.error;
            }""",
            arg=[player, beyond_s],
        )
    except TimeoutError as error:
        raise AssertionError(
            f"It does not play beyond {beyond_s} s: {page.evaluate(STATE, player)}"
        ) from error
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


def test_a_speed_between_the_buttons_is_in_the_menu_and_on_the_keys(page: Page, archive: Archive) -> None:
    page.goto(archive.page_of("voice"))
    player = page.locator("media-player.player")
    player.locator(".player__more summary").click()
    player.get_by_role("button", name="0.75×").click()
    player.get_by_role("button", name="Play", exact=True).click()
    expect_to_play(page)
    rate = "document.querySelector('now-playing audio').playbackRate"
    assert page.evaluate(rate) == 0.75
    for key, speed in ((">", 1), (">", 1.25), (">", 1.5), (">", 2), (">", 2), ("<", 1.5)):
        page.keyboard.press(key)
        assert page.evaluate(rate) == speed


def test_pauses_are_skipped_when_that_is_wished_and_the_wish_is_remembered(
    page: Page, archive: Archive
) -> None:
    page.goto(archive.page_of("other voice"))
    player = page.locator("media-player.player")
    pauses = player.evaluate("player => player.dataset.pauses").split()
    first, last = float(pauses[0].split("-")[0]), float(pauses[-1].split("-")[1])
    assert 0 < first < last
    # One long pause instead of the short ones of a machine's voice.
    player.evaluate("player => { player.dataset.pauses = '0.5-8' }")
    player.get_by_role("checkbox", name="Skip pauses").check()
    expect(player.get_by_role("status")).to_have_text("Pauses are skipped.")
    player.get_by_role("button", name="Play", exact=True).click()
    page.wait_for_function("() => document.querySelector('now-playing audio').currentTime >= 8")
    told = page.evaluate("document.querySelector('now-playing').playback.listening.heard")
    assert told < 4, "what was skipped was not heard"
    page.reload()
    expect(player.get_by_role("checkbox", name="Skip pauses")).to_be_checked()


def test_how_far_somebody_listened_stands_in_the_history(page: Page, archive: Archive) -> None:
    page.goto(archive.page_of("mp3"))
    page.locator("media-player.player").get_by_role("button", name="Play", exact=True).click()
    page.wait_for_function("() => document.querySelector('now-playing audio').currentTime > 1.5")
    with page.expect_request("**/heard"):
        page.get_by_role("button", name="Close the player").click()
    story = page.get_by_role("region", name="History", exact=True)
    for _ in range(20):
        page.reload()
        if story.get_by_text("Heard", exact=False).count():
            break
        page.wait_for_timeout(250)
    expect(story.get_by_text(re.compile(r"0:0[1-4] of 0:05"))).to_have_count(1)


def test_a_list_of_sounds_plays_on_by_itself_once_that_is_wished(page: Page, archive: Archive) -> None:
    page.goto(f"{archive.url}/library?kind=voice&kind=audio")
    files = page.locator("media-player.mini").evaluate_all(
        "players => players.map(player => player.dataset.file)"
    )
    assert len(files) > 1
    page.locator(f"#c-{files[0]}").get_by_role("button", name="Play").click()
    expect_to_play(page)
    page.get_by_role("button", name="Play the next of the list by itself").click()
    page.evaluate(
        "(({ audio }) => { audio.currentTime = audio.duration - 0.3 })({ audio: document.querySelector('now-playing audio') })"
    )
    expect(page.locator(f"#c-{files[1]}.is-playing")).to_be_visible()
    expect_to_play(page)
    assert page.evaluate("document.querySelector('now-playing').playback.file") == files[1]


def test_others_steer_and_follow_the_player_by_events(page: Page, archive: Archive) -> None:
    page.goto(archive.page_of("voice"))
    page.evaluate(
        """(file) => {
          window.told = [];
          document.addEventListener("acervo:playing", ({ detail: { file, second, isPlaying } }) => window.told.push({ file, second, isPlaying }));
          document.dispatchEvent(new CustomEvent("acervo:seek", { detail: { file, second: 2 } }));
        }""",
        archive.slugs["voice"],
    )
    page.wait_for_function("() => window.told.some(({ second, isPlaying }) => isPlaying && second > 2)")
    assert (
        page.evaluate(
            "new Set(window.told.filter(({ isPlaying }) => isPlaying).map(({ file }) => file)).size"
        )
        == 1
    )


def test_a_film_and_a_sound_do_not_play_at_once(page: Page, archive: Archive) -> None:
    page.goto(archive.page_of("voice"))
    page.locator("media-player.player").get_by_role("button", name="Play", exact=True).click()
    expect_to_play(page)
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Library", exact=True).click()
    page.wait_for_url("**/library")
    page.locator(f"#l-{archive.slugs['video']}").click()
    page.wait_for_url(f"**/m/{archive.slugs['video']}")
    page.locator("video-stage media-player").get_by_role("button", name="Play", exact=True).click()
    expect_to_play(page, "video")
    assert page.evaluate("document.querySelector('now-playing audio').paused")
    page.keyboard.press("ArrowRight")
    page.locator("video-stage media-player").get_by_role("button", name="Pause").click()
    assert page.evaluate("document.querySelector('video').paused")


def test_the_lock_screen_knows_where_it_plays_and_no_name(page: Page, archive: Archive) -> None:
    page.goto(archive.page_of("voice"))
    page.evaluate("navigator.mediaSession.setPositionState = (state) => { window.state = state }")
    page.locator("media-player.player").get_by_role("button", name="Play", exact=True).click()
    expect_to_play(page)
    page.wait_for_function(
        "() => window.state?.position > 0 && window.state.duration > window.state.position"
    )
    assert page.evaluate("[navigator.mediaSession.metadata.title, navigator.mediaSession.playbackState]") == [
        "Acervo",
        "playing",
    ]


def test_a_picture_is_enlarged_turned_and_left_by_keys_alone(page: Page, archive: Archive) -> None:
    page.goto(archive.page_of("image"))
    page.get_by_role("link", name="Open the image in full size").press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    sheet = dialog.locator(".zoom__sheet")
    page.wait_for_function("() => document.querySelector('.zoom__sheet').offsetWidth > 0")
    fits = sheet.bounding_box()
    page.keyboard.press("+")
    assert sheet.bounding_box()["width"] == pytest.approx(1.5 * fits["width"], abs=2)
    page.keyboard.press("0")
    page.keyboard.press("r")
    turned = sheet.bounding_box()
    assert (turned["width"] > turned["height"]) != (fits["width"] > fits["height"])
    for _ in range(12):
        page.keyboard.press("Tab")
        assert page.evaluate(
            "document.querySelector('dialog').contains(document.activeElement) || document.activeElement === document.body"
        )
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(page.get_by_role("link", name="Open the image in full size")).to_be_focused()
    assert page.locator("[style]").count() == 0


def test_a_picture_is_enlarged_at_the_pointer_and_dragged(page: Page, archive: Archive) -> None:
    page.goto(archive.page_of("image"))
    page.get_by_role("link", name="Open the image in full size").click()
    board = page.locator(".zoom__board")
    page.wait_for_function("() => document.querySelector('.zoom__sheet').offsetWidth > 0")
    box = board.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.keyboard.down("Control")
    page.mouse.wheel(0, -500)
    page.keyboard.up("Control")
    page.wait_for_function("() => document.querySelector('.zoom__board.is-enlarged')?.scrollLeft > 0")
    before = board.evaluate("board => board.scrollLeft")
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2 - 120, box["y"] + box["height"] / 2, steps=4)
    page.mouse.up()
    assert board.evaluate("board => board.scrollLeft") > before + 60


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
