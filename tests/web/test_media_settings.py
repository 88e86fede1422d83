"""Settings of media: what may be typed, who may save, what happens when two people do, and what the audit says."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.test import override_settings

from acervo import journey
from acervo.base import clock
from acervo.govern import media_rules
from acervo.govern.media_rules import LimitTooHigh, Rules
from acervo.models import (
    AuditEntry,
    MediaFile,
    MediaPolicy,
    Remake,
    Role,
    SizeLimit,
    UnmadeRendition,
    by_member,
)
from acervo.prepare import remake as remaking
from acervo.web import storage
from acervo.web.media_settings import COPIES
from tests.conftest import make_file
from tests.organise.test_savings import copy_of

pytestmark = pytest.mark.django_db

WHERE = "/settings/media"


def form(workspace, **changes):
    """What the page sends when nothing was changed, besides these."""
    rules = Rules.of(workspace.pk)
    limits = {f"limit_{kind}": limit // 1_000_000 if limit else "" for kind, limit in rules.limits.items()}
    return {"seen": rules.version, **rules.policy, **limits, **changes}


def entries(action):
    return [entry.details for entry in AuditEntry.objects.filter(action=action).order_by("number")]


def test_the_defaults_are_shown_until_somebody_changes_them(page_of, alice):
    answer = page_of(alice).get(WHERE)
    shown = answer.content.decode()
    assert answer.status_code == 200
    assert 'value="2500"' in shown
    assert shown.count(" checked><span><b>") == len(COPIES)
    assert "Back to the defaults" not in shown
    assert not MediaPolicy.objects.exists()


def test_a_change_is_saved_with_its_old_and_new_values_in_the_audit(page_of, alice, workspace):
    client = page_of(alice)
    answer = client.post(
        WHERE, form(workspace, mp3="never", pages_at="first_play", video_cap_kbps="1200", limit_video="16")
    )
    assert answer.status_code == 302
    policy = MediaPolicy.objects.get()
    assert (policy.mp3, policy.pages_at, policy.video_cap_kbps) == ("never", "first_play", 1200)
    assert policy.changed_by == by_member(alice)
    assert SizeLimit.objects.get().max_bytes == 16_000_000
    assert entries("policy.changed") == [
        {"mp3": ["needed", "never"], "pages_at": ["arrival", "first_play"], "video_cap_kbps": [2500, 1200]}
    ]
    assert entries("limit.changed") == [{"video": [None, 16_000_000]}]
    shown = client.get(WHERE).content.decode()
    assert 'value="1200"' in shown
    assert 'name="limit_video" inputmode="numeric" autocomplete="off" value="16"' in shown


def test_saving_what_is_there_already_is_no_deed(page_of, alice, workspace):
    page_of(alice).post(WHERE, form(workspace))
    assert not AuditEntry.objects.exists()
    assert not MediaPolicy.objects.exists()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"video_cap_kbps": "2,5"}, "Write a whole number, without dots or commas."),
        ({"video_cap_kbps": "2.500"}, "Write a whole number, without dots or commas."),
        ({"video_cap_kbps": ""}, "Write a whole number from 200 to 20,000."),
        ({"video_cap_kbps": "199"}, "Write a whole number from 200 to 20,000."),
        ({"video_cap_side": "99999"}, "Write a whole number from 240 to 4,096."),
        ({"limit_voice": "0"}, "Write a whole number from 1 to 104."),
        ({"limit_video": "105"}, "At most 104 MB: that is the limit of this installation."),
        ({"mp3": "sometimes"}, "Choose one of these."),
        ({"mp4_at": "tomorrow"}, "Choose one of these."),
    ],
)
@override_settings(ACERVO_MAX_FILE_BYTES=100 * 1024 * 1024)
def test_what_cannot_be_is_said_beside_its_field_and_nothing_is_saved(
    page_of, alice, workspace, changes, said
):
    answer = page_of(alice).post(WHERE, form(workspace, **{"mp4": "always", **changes}))
    shown = answer.content.decode()
    assert answer.status_code == 422
    assert said in shown
    assert shown.count("Write a whole") + shown.count("At most 104") + shown.count("Choose one of these") == 1
    if next(iter(changes)).startswith(("video", "limit")):
        assert f'value="{next(iter(changes.values()))}"' in shown, "what was typed is still there"
        assert 'aria-invalid="true"' in shown
    assert not MediaPolicy.objects.exists()
    assert not AuditEntry.objects.exists()


def test_what_somebody_else_changed_meanwhile_is_said_and_kept(page_of, alice, workspace):
    mine = form(workspace, mp3="always", limit_audio="9")
    page_of(alice).post(WHERE, form(workspace, mp3="never", limit_audio="5"))
    answer = page_of(alice).post(WHERE, mine)
    shown = answer.content.decode()
    assert answer.status_code == 409
    assert "Somebody changed these settings while you had them open" in shown
    assert "MP3 of voice notes and audio, Largest file: Audio" in shown
    assert MediaPolicy.objects.get().mp3 == "never"
    assert SizeLimit.objects.get().max_bytes == 5_000_000
    again = page_of(alice).post(WHERE, {**mine, "seen": Rules.of(workspace.pk).version})
    assert again.status_code == 302
    assert MediaPolicy.objects.get().mp3 == "always"


def test_the_defaults_come_back_as_one_deed_with_what_was_lost(page_of, alice, workspace):
    client = page_of(alice)
    client.post(WHERE, form(workspace, mp4="never", limit_image="3"))
    assert client.post(f"{WHERE}/reset", {"seen": "an older version"}).status_code == 302
    assert MediaPolicy.objects.get().mp4 == "never"
    assert "nothing was reset" in client.get(WHERE).content.decode()
    client.post(f"{WHERE}/reset", {"seen": Rules.of(workspace.pk).version})
    assert Rules.of(workspace.pk) == Rules.default()
    assert not SizeLimit.objects.exists()
    assert entries("policy.changed")[-1] == {"mp4": ["never", "needed"]}
    assert entries("limit.changed")[-1] == {"image": [3_000_000, None]}


def test_those_who_operate_read_and_only_those_who_configure_write(page_of, everybody, workspace):
    for role in (Role.MANAGER, Role.DPO, Role.AUDITOR):
        client = page_of(everybody[role])
        shown = client.get(WHERE).content.decode()
        assert "Administrators can change this." in shown
        assert ">Save<" not in shown
        assert client.post(WHERE, form(workspace, mp3="never")).status_code == 403
        assert client.post("/settings/remakes", {}).status_code == 403
    assert page_of(everybody[Role.AGENT]).get(WHERE).status_code == 403
    assert not MediaPolicy.objects.exists()


def test_a_limit_above_the_installations_is_refused_below_the_page_too(workspace, alice):
    with override_settings(ACERVO_MAX_FILE_BYTES=10_000_000), pytest.raises(LimitTooHigh):
        media_rules.change(
            workspace.pk,
            Rules(Rules.default().policy, {"video": 10_000_001}),
            seen=Rules.of(workspace.pk).version,
            by="member:x",
        )
    assert not SizeLimit.objects.exists()


def test_a_raised_limit_lets_files_through_that_were_refused_for_their_size(
    page_of, alice, workspace, connection
):
    client = page_of(alice)
    client.post(WHERE, form(workspace, limit_video="5"))
    at = clock.now()
    refused = make_file(connection, kind="video", announced_bytes=8_000_000)
    larger = make_file(connection, kind="video", announced_bytes=40_000_000)
    late = make_file(
        connection, kind="video", announced_bytes=8_000_000, fetch_before=at - timedelta(hours=1)
    )
    MediaFile.objects.filter(pk__in=[refused.pk, larger.pk, late.pk]).update(
        gone_at=at, refusal="too_large", refused_at=at
    )
    client.post(WHERE, form(workspace, limit_video="4"))
    assert MediaFile.objects.lost().count() == 3
    client.post(WHERE, form(workspace, limit_video="16"))
    assert set(MediaFile.objects.lost()) == {larger, late}


def test_the_page_says_what_holds_the_tools(page_of, alice, monkeypatch):
    from acervo.prepare import tools
    from acervo.prepare.isolation import Isolation

    client = page_of(alice)
    monkeypatch.setattr(tools, "ffmpeg_version", lambda: "7.1.2")
    monkeypatch.setattr(tools, "isolation", lambda: Isolation(4, True, ("AS", "CPU", "FSIZE")))
    shown = client.get(WHERE).content.decode()
    assert "7.1.2" in shown
    assert "complete: no network, no other files (Landlock 4)" in shown
    monkeypatch.setattr(tools, "isolation", lambda: Isolation(0, True, ("AS", "CPU", "FSIZE")))
    assert "partial: no network, limits of time and memory" in client.get(WHERE).content.decode()
    monkeypatch.setattr(tools, "isolation", lambda: None)
    monkeypatch.setattr(tools, "ffmpeg_version", lambda: "")
    shown = client.get(WHERE).content.decode()
    assert "impossible here: nothing is prepared" in shown
    assert "not installed on this machine" in shown


def test_the_real_tools_of_this_machine_are_found():
    from acervo.prepare import tools

    assert tools.ffmpeg_version()[0].isdigit() or tools.ffmpeg_version().startswith(("N-", "n"))
    assert tools.isolation() is not None


def test_every_page_of_the_settings_leads_to_the_others(page_of, everybody):
    administrator = page_of(everybody[Role.ADMINISTRATOR])
    for where in ("/me", WHERE, "/settings/remakes", "/settings/storage"):
        shown = administrator.get(where).content.decode()
        for other in ("/me", WHERE, "/settings/transcripts", "/settings/remakes", "/settings/storage"):
            assert f'href="{other}"' in shown
    shown = page_of(everybody[Role.AGENT]).get("/me").content.decode()
    assert set(re.findall(r'href="(/settings/[^"]*)"', shown)) <= {"/settings/tokens"}


# ── remakes ──


@pytest.fixture
def films(kept_file):
    return [kept_file(body=b"%d" % number, kind="video", mime="video/mp4") for number in range(3)]


def test_a_run_is_asked_for_watched_paused_and_ended(page_of, alice, films):
    client = page_of(alice)
    asked = {"query": "kind=video", "copies": ["mp4", "previews"], "reason": "a newer ffmpeg"}
    assert client.post("/settings/remakes", asked).status_code == 302
    run = Remake.objects.get()
    assert (run.total, run.asked_by, run.reason) == (3, by_member(alice), "a newer ffmpeg")
    assert run.kinds == ["animated", "mp4", "poster", "thumb_320", "thumb_640", "thumb_96"]
    shown = client.get("/settings/remakes").content.decode()
    assert "0 of 3 files" in shown
    assert "kind=video" in shown
    assert "Alice" in shown
    assert 'data-every="3"' in shown
    client.post(f"/settings/remakes/{run}/pause")
    assert "Paused by Alice." in client.get("/settings/remakes").content.decode()
    client.post(f"/settings/remakes/{run}/resume")
    run.refresh_from_db()
    assert run.state == "running"
    client.post(f"/settings/remakes/{run}/cancel")
    shown = client.get("/settings/remakes").content.decode()
    assert "Earlier runs" in shown
    assert "Cancelled" in shown
    assert 'data-every="3"' not in shown
    client.post(f"/settings/remakes/{run}/resume")
    assert "This run is over" in client.get("/settings/remakes").content.decode()
    assert entries("remake.started")[0]["files"] == 3


def test_progress_rate_and_failures_are_shown(page_of, alice, films, monkeypatch):
    run = journey.remake_files(alice.workspace_id, query="", kinds=(), reason="", by=by_member(alice))
    Remake.objects.update(done=2, failed=1)
    start = clock.now()
    monkeypatch.setattr(clock, "now", lambda: start + timedelta(minutes=1))
    shown = page_of(alice).get("/settings/remakes").content.decode()
    assert "2 of 3 files" in shown
    assert "2 a minute" in shown
    assert "about 30 seconds to go" in shown
    assert "1 could not be made" in shown
    assert 'width="66"' in shown
    remaking.pause(run, remaking.BY, reason="tool_missing")
    shown = page_of(alice).get("/settings/remakes").content.decode()
    assert "It paused by itself: A media tool is not installed." in shown


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("kind=movie", "no word “kind=movie”"),
        ("<script>", "no word “&lt;script&gt;”"),
        ("kind=sticker", "No kept file fits"),
    ],
)
def test_a_wrong_query_is_said_with_its_word_and_nothing_begins(page_of, alice, films, query, said):
    answer = page_of(alice).post("/settings/remakes", {"query": query, "reason": "because"})
    shown = answer.content.decode()
    assert answer.status_code == 422
    assert said in shown
    assert 'value="because"' in shown
    assert not Remake.objects.exists()


def test_the_count_follows_what_is_typed(page_of, alice, films, kept_file):
    kept_file(kind="voice")
    client = page_of(alice)
    assert "4 files to look at" in client.get("/settings/remakes/count").content.decode()
    assert "3 files to look at" in client.get("/settings/remakes/count?query=kind%3Dvideo").content.decode()
    assert "No kept file fits" in client.get("/settings/remakes/count?query=kind%3Dsticker").content.decode()
    assert "has no word “x”" in client.get("/settings/remakes/count?query=x").content.decode()


def test_the_audit_of_a_run_does_not_tell_whom_was_searched_for(page_of, alice, films):
    page_of(alice).post("/settings/remakes", {"query": "q=Marina"})
    told = list(AuditEntry.objects.filter(subject_type="remake").values_list("reason", "details"))
    assert told
    assert "Marina" not in str(told)


# ── storage ──


def test_storage_says_what_is_kept_copied_spared_and_missing(page_of, alice, kept_file):
    note = kept_file(body=b"n" * 57_000)
    film = kept_file(body=b"f" * 6_000_000, kind="video", mime="video/mp4")
    copy_of(note, "mp3", 120_000)
    copy_of(film, "mp4", 2_000_000, serves=False)
    UnmadeRendition.objects.create(media=note, kind="mp4", reason="tool_failed", tried_at=clock.now())
    shown = page_of(alice).get("/settings/storage").content.decode()
    assert "8.2 MB in all, 2.1 MB of them copies" in shown
    assert "−4 MB" in shown
    assert "+63 KB" in shown
    assert "The media tools could not read the file" in shown
    assert f'href="/m/{note.slug}"' in shown
    assert "Nobody sent the same bytes twice." in shown


def test_storage_is_counted_seldom_and_again_when_asked(page_of, alice, kept_file, monkeypatch):
    counted = []
    real = storage.savings.figures
    monkeypatch.setattr(storage.savings, "figures", lambda member: counted.append(1) or real(member))
    client = page_of(alice)
    for where in ("", "", "?again=1", ""):
        assert client.get(f"/settings/storage{where}").status_code == 200
    assert len(counted) == 2


def test_sizes_are_written_as_the_reader_writes_them(page_of, alice, kept_file):
    alice.language = "pt-br"
    alice.save()
    kept_file(body=b"f" * 1_234_567, kind="video", mime="video/mp4")
    assert "1,2 MB" in page_of(alice).get("/settings/storage").content.decode()
