"""The panel in a frame of another site whose browser blocks third-party cookies: it plays, and refuses what it must."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Frame, Page, Playwright, Request, expect

from acervo.base import ids
from tests.browser import chromium
from tests.browser.conftest import PATIENCE_MS, REPORT_VIOLATIONS, Complaints
from tests.browser.crm_page import Desk, Panelled, desk, frame_of, panelled, set_up, stand_in_for_the_sdk
from tests.embed.crm import jwt, rsa_key

pytestmark = pytest.mark.browser

BLOCKED = (*chromium.FLAGS, "--test-third-party-cookie-phaseout")


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


def test_files_of_another_record_and_of_another_tenant_are_out_of_reach(
    show: Callable[..., tuple[Page, Frame]], made: Panelled, complaints: Complaints
) -> None:
    """The page's own script is asked to fetch what it should not have: the server is what says no."""
    _page, frame = show()
    expect(frame.locator(".eitem")).to_have_count(4)
    ask = """async ([path, record]) => {
      const panel = document.querySelector("embed-panel");
      const answer = await fetch(`/embed/${path}?record=contact:${record}`, {
        method: path === "files" ? "GET" : "POST", headers: { Authorization: `Bearer ${panel.token}` } });
      return [answer.status, await answer.text()];
    }"""
    other = made.archive.slugs["other"]
    ours, theirs = made.customers["ours"], made.customers["other"]
    assert frame.evaluate(ask, [f"files/{other}/playback", ours])[0] == 404
    foreign = made.archive.home.ask(
        """SELECT l.record_id FROM acervo_recordlink l JOIN acervo_connection c ON c.id = l.connection_id
        WHERE c.kind = 'hubspot' AND l.person_id IS NOT NULL AND l.record_id <> ALL (%s) LIMIT 1""",
        [ours, theirs],
    )[0][0]
    status, shown = frame.evaluate(ask, ["files", foreign])
    assert status == 200
    assert "eitem" not in shown
    assert "Not tied to anybody" in shown
    assert frame.evaluate(ask, [f"files/{ids.text(ids.new())}/playback", ours])[0] == 404
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
