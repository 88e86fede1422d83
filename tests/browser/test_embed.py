"""The panel in a frame of another site whose browser blocks third-party cookies: it plays, and refuses what it must."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest
from playwright.sync_api import Browser, BrowserContext, Frame, Page, Playwright, Request, expect

from acervo.base import ids
from sandbox.people import BIANCA, JOSUE, MARINA
from tests.browser import chromium
from tests.browser.conftest import PATIENCE_MS, REPORT_VIOLATIONS, Complaints
from tests.browser.crm_page import (
    STOCK,
    THEIR_STOCK,
    THEIRS,
    Desk,
    Panelled,
    desk,
    frame_of,
    next_door,
    panelled,
    set_up,
    stand_in_for_the_sdk,
)
from tests.embed.crm import jwt, rsa_key

pytestmark = pytest.mark.browser

NOBODY: Final = "99"
"""A record that no account has."""
NOWHERE: Final = ids.text(ids.new())
MEDIA_ERR_SRC_NOT_SUPPORTED: Final = 4
BLOCKED: Final = (*chromium.FLAGS, "--test-third-party-cookie-phaseout")


@pytest.fixture(scope="module")
def strict(playwright: Playwright, executable: str) -> Iterator[Browser]:
    """A browser that keeps no cookies of frames from elsewhere."""
    browser = playwright.chromium.launch(executable_path=executable, args=list(BLOCKED))
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def crm() -> Iterator[Desk]:
    with desk() as made:
        yield made


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[Desk]:
    """A page that nobody allowed to frame us."""
    with desk() as made:
        yield made


@pytest.fixture(scope="module")
def made(strict: Browser, crm: Desk) -> Iterator[Panelled]:
    with panelled() as found:
        context = strict.new_context()
        context.set_default_timeout(PATIENCE_MS)
        set_up(context.new_page(), found, crm.origin)
        context.close()
        yield found


@pytest.fixture(scope="module")
def neighbour(strict: Browser, crm: Desk, made: Panelled) -> Iterator[Panelled]:
    """Another tenant of the installation, whose panel is on too."""
    with next_door(made) as found:
        context = strict.new_context()
        context.set_default_timeout(PATIENCE_MS)
        set_up(context.new_page(), found, crm.origin)
        context.close()
        yield found


@pytest.fixture
def context(strict: Browser, made: Panelled, complaints: Complaints) -> Iterator[BrowserContext]:
    context = strict.new_context(viewport={"width": 700, "height": 760}, reduced_motion="reduce")
    context.set_default_timeout(PATIENCE_MS)
    context.add_init_script(REPORT_VIOLATIONS)
    context.on("page", complaints.listen)
    stand_in_for_the_sdk(context, ticket__requester__id=made.customers["ours"], ticket__id="48213")
    yield context
    context.close()


@pytest.fixture
def show(context: BrowserContext, made: Panelled, crm: Desk) -> Callable[..., tuple[Page, Frame]]:
    """The record's page with the panel, opened by what Zendesk would sign, or by something else."""

    def shown(token: str | None = None, on: Desk = crm) -> tuple[Page, Frame]:
        page = context.new_page()
        page.goto(on.lay(made.host_page(made.token() if token is None else token)))
        return page, frame_of(page)

    return shown


def test_a_customers_files_are_heard_and_seen_without_any_cookie(
    show: Callable[..., tuple[Page, Frame]], context: BrowserContext, made: Panelled
) -> None:
    sent: list[Request] = []
    context.on("request", lambda request: sent.append(request))
    page, frame = show()
    expect(frame.get_by_role("heading", level=1)).to_contain_text("Josué Tavares")
    expect(frame.locator(".eitem")).to_have_count(4)
    voice = frame.locator(f"#f-{made.archive.slugs['voice']}")
    voice.locator(".play").click()
    frame.wait_for_function("() => document.querySelector('audio').currentTime > 0.2")
    length = frame.evaluate("() => document.querySelector('audio').duration")
    expect(voice.get_by_role("button", name="Pause")).to_be_visible()
    # Seek: to the middle of the waveform, and it goes on from there.
    box = voice.locator(".wave").bounding_box()
    assert box
    voice.locator(".wave input").click(position={"x": box["width"] / 2, "y": box["height"] / 2})
    frame.wait_for_function("(half) => document.querySelector('audio').currentTime > half", arg=length * 0.4)
    voice.get_by_role("button", name="Pause").click()
    frame.wait_for_function("() => document.querySelector('audio').paused")
    # The film, in the frame too.
    film = frame.locator(f"#f-{made.archive.slugs['video']}")
    film.locator("[data-watch]").click()
    frame.wait_for_function("() => document.querySelector('.eitem video')?.currentTime > 0.2")
    # No cookie went along, none was kept: this browser would not have any of a frame from elsewhere.
    ours = [request for request in sent if request.url.startswith(made.archive.url)]
    assert len(ours) > 10
    assert not [request.url for request in ours if "cookie" in request.all_headers()]
    assert (
        frame.evaluate(
            "() => { document.cookie = 'probe=1; SameSite=None; Secure'; return document.cookie; }"
        )
        == ""
    )
    assert not context.cookies()
    assert frame.evaluate("() => document.querySelector('meta[name=embed-token]')") is None
    page.close()
    heard = "SELECT by, details->>'agent' FROM acervo_auditentry WHERE action = 'file.played'"
    assert {(by.partition(":")[0], agent) for by, agent in made.archive.home.ask(heard)} == {("agent", "901")}


def test_kinds_are_chosen_and_a_document_is_taken(
    show: Callable[..., tuple[Page, Frame]], made: Panelled
) -> None:
    _page, frame = show()
    frame.get_by_role("button", name="Documents, 1").click()
    expect(frame.locator(".eitem")).to_have_count(1)
    expect(frame.get_by_role("button", name="Documents, 1")).to_be_focused()
    with _page.context.expect_page() as opened:
        frame.get_by_role("button", name="Download").click()
    opened.value.close()


def test_a_page_nobody_allowed_cannot_frame_it(
    show: Callable[..., tuple[Page, Frame]], elsewhere: Desk, complaints: Complaints
) -> None:
    page, frame = show(on=elsewhere)
    page.wait_for_timeout(500)
    deadline = time.monotonic() + PATIENCE_MS / 1000
    while not any("frame-ancestors" in said for said in complaints) and time.monotonic() < deadline:
        page.wait_for_timeout(100)
    assert any("frame-ancestors" in said for said in complaints)
    assert not frame.locator("embed-panel").count()
    complaints.forgive("frame-ancestors")
    complaints.forgive("chrome-error")


@pytest.mark.parametrize(
    ("what", "code"), [("alg=none", "embed_unproven"), ("forged", "embed_unproven"), ("stale", "embed_stale")]
)
def test_what_zendesk_did_not_sign_now_is_refused_in_words(
    show: Callable[..., tuple[Page, Frame]], made: Panelled, complaints: Complaints, what: str, code: str
) -> None:
    now = int(time.time())
    token = {
        "alg=none": jwt(made.claims(), alg="none"),
        "forged": jwt(made.claims(), key=rsa_key("theirs")),
        "stale": made.token(iat=now - 900, exp=now - 600),
    }[what]
    _page, frame = show(token)
    expect(frame.locator("code")).to_have_text(code)
    assert not frame.locator("embed-panel").count()
    complaints.forgive("403")


def test_a_second_use_of_what_was_signed_is_refused(
    show: Callable[..., tuple[Page, Frame]], made: Panelled, complaints: Complaints
) -> None:
    token = made.token()
    _page, frame = show(token)
    expect(frame.locator(".eitem")).to_have_count(4)
    _page, again = show(token)
    expect(again.locator("code")).to_have_text("embed_replayed")
    complaints.forgive("403")


def test_files_of_another_record_and_of_another_crm_are_out_of_reach(
    show: Callable[..., tuple[Page, Frame]], made: Panelled, complaints: Complaints
) -> None:
    _page, frame = show()
    expect(frame.locator(".eitem")).to_have_count(4)
    other = made.archive.slugs["other"]
    ours, theirs = made.customers["ours"], made.customers["other"]
    assert ask(frame, f"/embed/files/{other}/playback", record=ours)[0] == 404
    foreign = made.archive.home.ask(
        """SELECT l.record_id FROM acervo_recordlink l JOIN acervo_connection c ON c.id = l.connection_id
        WHERE c.kind = 'hubspot' AND l.person_id IS NOT NULL AND l.record_id <> ALL (%s) LIMIT 1""",
        [ours, theirs],
    )[0][0]
    status, shown = ask(frame, "/embed/files", "GET", record=foreign)
    assert status == 200
    assert "eitem" not in shown
    assert "Not tied to anybody" in shown
    assert ask(frame, f"/embed/files/{NOWHERE}/playback", record=ours)[0] == 404
    complaints.forgive("404")


# ── another tenant: its own people, number, Zendesk and app, in the same installation ──


def test_the_customer_of_another_tenant_is_as_unknown_here_as_one_of_nobody(
    context: BrowserContext, show: Callable[..., tuple[Page, Frame]], neighbour: Panelled
) -> None:
    """Ours is signed as it should be; the page names their customer. Answer and screen are those of a number that
    nobody has."""
    looks = []
    for record in (neighbour.customers["own"], NOBODY):
        stand_in_for_the_sdk(context, user__id=record)
        page, frame = show()
        expect(frame.get_by_role("heading", level=2)).to_have_text("Not tied to anybody on WhatsApp yet")
        expect(frame.get_by_text("look whether this record has the same number")).to_be_visible()
        refuse_words_of(neighbour, frame)
        looks.append((frame.locator("#panel").inner_html(), ask(frame, "/embed/files", "GET", record=record)))
        page.close()
    assert looks[0] == looks[1]


def test_a_number_that_two_tenants_have_shows_each_its_own(
    context: BrowserContext, show: Callable[..., tuple[Page, Frame]], made: Panelled, neighbour: Panelled
) -> None:
    """The very same customer, who writes to both, under the same number in both accounts."""
    record = neighbour.customers["shared"]
    assert record in made.customers.values()
    stand_in_for_the_sdk(context, user__id=record)
    _page, frame = show()
    expect(frame.locator(".eitem").first).to_be_visible()
    shown = set(frame.locator(".eitem").evaluate_all("(items) => items.map((item) => item.dataset.file)"))
    assert shown
    assert shown <= set(made.archive.slugs.values())
    refuse_words_of(neighbour, frame)


def test_what_another_tenants_zendesk_signed_opens_their_panel_and_not_ours(
    context: BrowserContext,
    show: Callable[..., tuple[Page, Frame]],
    made: Panelled,
    neighbour: Panelled,
    crm: Desk,
    complaints: Complaints,
) -> None:
    theirs, borrowed = neighbour.token(), jwt(neighbour.claims(), key=rsa_key("ours"))
    for token, code, title in (
        (theirs, "embed_unproven", "This panel opens inside your CRM"),
        (borrowed, "embed_of_another_account", "This app belongs to another account"),
    ):
        _page, frame = show(token)
        expect(frame.get_by_role("heading", level=1)).to_have_text(title)
        expect(frame.locator("code")).to_have_text(code)
        assert not frame.locator("embed-panel").count()
        refuse_words_of(neighbour, frame)
    complaints.forgive("403")
    # It was theirs indeed: at their own address it opens, once, with what is theirs alone.
    stand_in_for_the_sdk(context, user__id=neighbour.customers["own"])
    page = context.new_page()
    page.goto(crm.lay(neighbour.host_page(theirs)))
    frame = frame_of(page)
    expect(frame.get_by_role("heading", level=1)).to_contain_text(BIANCA.name)
    expect(frame.locator(".eitem")).to_have_attribute("data-file", neighbour.archive.slugs["voice"])
    refuse_words_of(made, frame)


def test_a_panel_of_ours_plays_nothing_of_another_tenant(
    show: Callable[..., tuple[Page, Frame]], made: Panelled, neighbour: Panelled, complaints: Complaints
) -> None:
    """Every question a page could ask about their file is answered as one about a file that never was; a link to a
    file of ours, turned into one to theirs, plays as little."""
    _page, frame = show()
    expect(frame.locator(".eitem")).to_have_count(4)
    ours = ask(frame, f"/embed/files/{made.archive.slugs['voice']}/playback", record=made.customers["ours"])
    address = json.loads(ours[1])["sources"][0]["address"]
    assert media_error(frame, address) == 0
    for file in (neighbour.archive.slugs["voice"], neighbour.archive.slugs["image"]):
        for record in (*made.customers.values(), *neighbour.customers.values(), NOBODY):
            for what, method in (("playback", "POST"), ("transcript", "GET"), ("retry", "POST")):
                answer = ask(frame, f"/embed/files/{file}/{what}", method, record=record)
                assert answer == ask(frame, f"/embed/files/{NOWHERE}/{what}", method, record=NOBODY)
                assert answer[0] == 404
        for path in (address, address.partition("?")[0]):
            turned = path.replace(made.archive.slugs["voice"], file)
            assert turned != path
            missing = ask(frame, path.replace(made.archive.slugs["voice"], NOWHERE), "GET")
            assert ask(frame, turned, "GET") == missing
            assert missing[0] == 404
            assert media_error(frame, turned) == MEDIA_ERR_SRC_NOT_SUPPORTED
    told = "SELECT count(*) FROM acervo_auditentry WHERE subject_id = ANY (%s) AND action ~ '^file\\.(played|opened)'"
    assert made.archive.home.ask(told, [ids.parse(file) for file in neighbour.archive.slugs.values()]) == [
        (0,)
    ]
    complaints.forgive("404")


def ask(frame: Frame, path: str, method: str = "POST", *, record: str = "") -> list[Any]:
    """What the page's own script gets that asks for what it should not have: the server is what says no."""
    script = """async ([path, method]) => {
      const { token } = document.querySelector("embed-panel");
      const answer = await fetch(path, { method, headers: { Authorization: `Bearer ${token}` } });
      return [answer.status, await answer.text()];
    }"""
    query = f"?record=contact:{record}" if record else ""
    answer: list[Any] = frame.evaluate(script, [path + query, method])
    return answer


def media_error(frame: Frame, address: str) -> int:
    """The code of the player's error; 0 where it can play."""
    script = """(address) => new Promise((resolve) => {
      const audio = new Audio();
      audio.addEventListener("error", () => resolve(audio.error.code));
      audio.addEventListener("canplay", () => resolve(0));
      audio.src = address;
    })"""
    return int(frame.evaluate(script, address))


def refuse_words_of(other: Panelled, frame: Frame) -> None:
    """Nothing of theirs is in the frame: no name, no caption, no file, no account."""
    shown = frame.content()
    stock, names = (
        (THEIR_STOCK, (BIANCA.name, THEIRS)) if other.key == "theirs" else (STOCK, (JOSUE.name, MARINA.name))
    )
    captions = [sent.facts["caption"] for sent in stock.values() if "caption" in sent.facts]
    for word in (*names, *captions, *other.archive.slugs.values(), other.account, ids.text(other.connection)):
        assert word not in shown


def test_a_file_that_went_away_meanwhile_is_not_called_a_failure_of_the_network(
    show: Callable[..., tuple[Page, Frame]], made: Panelled, complaints: Complaints
) -> None:
    _page, frame = show()
    voice = frame.locator(f"#f-{made.archive.slugs['voice']} .play")
    expect(voice).to_be_visible()
    file = ids.parse(made.archive.slugs["voice"])
    made.archive.home.ask("UPDATE acervo_mediafile SET hidden_at = now() WHERE id = %s", file)
    voice.click()
    expect(frame.get_by_text("This file does not exist, or is not yours to see.")).to_be_visible()
    made.archive.home.ask("UPDATE acervo_mediafile SET hidden_at = NULL WHERE id = %s", file)
    complaints.forgive("404")


def test_a_panel_that_ended_says_so(
    show: Callable[..., tuple[Page, Frame]], made: Panelled, complaints: Complaints
) -> None:
    _page, frame = show()
    expect(frame.locator(".eitem")).to_have_count(4)
    made.archive.home.ask("UPDATE acervo_embedsession SET expires_at = now() - interval '1 minute'")
    frame.locator(f"#f-{made.archive.slugs['voice']} .play").click()
    expect(frame.get_by_role("heading", name="This panel has ended")).to_be_visible()
    complaints.forgive("401")
    complaints.forgive("404")  # pictures further down, whose links ended with the panel
