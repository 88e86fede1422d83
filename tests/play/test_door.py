"""Bytes to a player: exactly those asked for, only to whoever may see the file, and written down."""

import pytest
from asgiref.sync import async_to_sync
from django.db import connection as database
from django.test import Client
from django.test.utils import CaptureQueriesContext

from acervo.base import clock, ids
from acervo.base.database import in_thread as database_threads
from acervo.keep import keys, storage, vault
from acervo.models import AuditEntry, Rendition, RenditionKind
from acervo.play import door, noted, session
from tests.play.conftest import answered, cookies_of

pytestmark = pytest.mark.usefixtures("one_connection")

BODY = bytes(range(256)) * 1024  # four segments of the sealing format


@pytest.fixture
def media(kept_file):
    return kept_file(body=BODY, file_name="nota de voz.ogg")


def play(media, what="original"):
    return f"/play/{media.slug}/{what}"


def make_rendition(media, kind, body, mime):
    key = keys.for_people(media.workspace_id, [media.person_id])[media.person_id]
    stored = async_to_sync(vault.store)(vault.Place(media.workspace_id, media.pk, kind, "acervo", key), body)
    return Rendition.objects.create(
        media=media, kind=kind, mime=mime, made_at=clock.now(), **stored.columns()
    )


def test_the_whole_file_comes_with_headers_that_let_nothing_run(ask, alice, media):
    answer = ask(alice, play(media))
    assert answer.status_code == 200
    assert answer.content == BODY
    assert answer.headers["content-type"] == "audio/ogg"
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["content-length"] == str(len(BODY))
    assert answer.headers["etag"] == f'"{media.sha256}"'
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    assert answer.headers["cache-control"] == "private, no-store"
    assert answer.headers["content-disposition"].startswith("inline")


@pytest.mark.parametrize(
    ("header", "start", "stop"),
    [
        ("bytes=0-", 0, len(BODY)),
        ("bytes=65536-65600", 65536, 65601),
        ("bytes=-10", len(BODY) - 10, len(BODY)),
    ],
)
def test_a_range_is_answered_with_206_and_those_bytes(ask, alice, media, header, start, stop):
    answer = ask(alice, play(media), range=header)
    assert answer.status_code == 206
    assert answer.headers["content-range"] == f"bytes {start}-{stop - 1}/{len(BODY)}"
    assert answer.content == BODY[start:stop]


def test_several_ranges_are_answered_with_the_whole(ask, alice, media):
    answer = ask(alice, play(media), range="bytes=0-1,5-6")
    assert (answer.status_code, len(answer.content)) == (200, len(BODY))


def test_a_range_beyond_the_end_is_416_and_says_how_much_there_is(ask, alice, media):
    answer = ask(alice, play(media), range=f"bytes={len(BODY)}-")
    assert answer.status_code == 416
    assert answer.headers["content-range"] == f"bytes */{len(BODY)}"


def test_if_range_of_other_bytes_gets_the_whole(ask, alice, media):
    assert ask(alice, play(media), range="bytes=0-9", if_range='"other"').status_code == 200
    assert ask(alice, play(media), range="bytes=0-9", if_range=f'"{media.sha256}"').status_code == 206
    for never in (f'W/"{media.sha256}"', "Wed, 25 Nov 2026 10:00:00 GMT", media.sha256):
        assert ask(alice, play(media), range="bytes=0-9", if_range=never).status_code == 200
    # The condition is looked at before the range: there is nothing to be unsatisfied about.
    beyond = f"bytes={len(BODY)}-"
    assert ask(alice, play(media), range=beyond, if_range='"other"').status_code == 200


def test_what_the_player_has_is_not_sent_again_and_is_not_noted(ask, alice, media):
    answer = ask(alice, play(media), if_none_match=f'"x", W/"{media.sha256}"', range="bytes=0-9")
    assert (answer.status_code, answer.content) == (304, b"")
    assert ask(alice, play(media), if_match='"x"').status_code == 412
    assert not AuditEntry.objects.of("file", media.pk).exists()


def test_an_empty_file_has_no_ranges(ask, alice, kept_file):
    media = kept_file(body=b"", kind="document", mime="application/pdf")
    assert ask(alice, play(media)).status_code == 200
    assert ask(alice, play(media), range="bytes=0-1").status_code == 416
    assert ask(alice, play(media), range="bytes=-5").status_code == 200


def test_head_tells_the_same_without_bytes(ask, alice, media):
    whole = ask(alice, play(media), "HEAD")
    assert whole.status_code == 200
    assert whole.headers["content-length"] == str(len(BODY))
    assert whole.headers["accept-ranges"] == "bytes"
    assert whole.content == b""
    # RFC 9110, 14.2: a range of anything but GET is ignored.
    assert ask(alice, play(media), "HEAD", range="bytes=0-99").headers == whole.headers
    assert not AuditEntry.objects.filter(action="file.played").exists()


def test_a_download_is_an_attachment_under_a_safe_name(ask, alice, kept_file):
    media = kept_file(body=b"%PDF-1.7", kind="document", mime="application/pdf", file_name="../../conta.exe")
    for path in (play(media), play(media) + "?download=1"):
        answer = ask(alice, path)
        assert answer.headers["content-disposition"] == 'attachment; filename="conta.exe.pdf"'
    assert set(AuditEntry.objects.of("file", media.pk).values_list("action", flat=True)) == {
        "file.opened",
        "file.downloaded",
    }


def test_what_is_not_on_the_allow_list_leaves_as_unknown_bytes(ask, alice, kept_file):
    media = kept_file(
        body=b"<script>alert(1)</script>", kind="document", mime="text/html", file_name="page.html"
    )
    answer = ask(alice, play(media))
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith("attachment")


def test_pictures_may_be_cached_by_the_browser_alone_and_are_not_listed_as_opened(ask, alice, media):
    thumb = make_rendition(media, RenditionKind.THUMB_320, b"RIFFxxxxWEBP", "image/webp")
    answer = ask(alice, play(media, "thumb_320"))
    assert answer.content == b"RIFFxxxxWEBP"
    assert answer.headers["cache-control"] == "private, max-age=3600"
    assert ask(alice, play(media, "thumb_320"), if_none_match=f'"{thumb.sha256}"').status_code == 304
    assert not AuditEntry.objects.of("file", media.pk).exists()


def test_a_rendition_plays_like_the_original(ask, alice, media):
    make_rendition(media, RenditionKind.MP3, b"ID3 mp3", "audio/mpeg")
    answer = ask(alice, play(media, "mp3"), range="bytes=4-")
    assert (answer.status_code, answer.content) == (206, b"mp3")
    assert answer.headers["content-type"] == "audio/mpeg"


@pytest.mark.parametrize(
    "what", ["mp4", "poster", "thumb_640", "page", "page-0", "page-1", "nothing", "original/x", "../original"]
)
def test_what_was_never_made_does_not_exist(ask, alice, media, what):
    assert ask(alice, play(media, what)).status_code == 404


@pytest.mark.parametrize("slug", ["", "x", "0" * 26, "8ZZZZZZZZZZZZZZZZZZZZZZZZZ", "%00"])
def test_what_is_no_file_does_not_exist(ask, alice, slug):
    assert ask(alice, f"/play/{slug}/original").status_code == 404


def test_a_file_on_its_way_has_no_bytes(ask, alice, announced_file):
    assert ask(alice, play(announced_file())).status_code == 404


def test_nobody_else_gets_a_byte_or_learns_that_there_are_any(ask, media, charlie, bob, team):
    strangers = [None, charlie]
    answers = [ask(somebody, play(media)) for somebody in strangers]
    never = ask(charlie, f"/play/{ids.text(ids.new())}/original")
    assert [(answer.status_code, answer.content) for answer in answers] == [(404, never.content)] * 2
    assert ask(bob, play(media)).status_code == 200


def test_a_team_narrows_what_an_agent_plays(ask, kept_file, bob, team):
    assert ask(bob, play(kept_file(kind="voice"))).status_code == 200
    assert ask(bob, play(kept_file(kind="document", mime="application/pdf"))).status_code == 404


def test_a_member_who_left_is_not_served_with_the_old_session(ask, alice, media):
    cookies = cookies_of(alice)
    alice.is_active = False
    alice.save()
    assert _status(cookies, media) == 404


def test_a_changed_password_ends_the_sessions_begun_with_the_old_one(ask, alice, media):
    cookies = cookies_of(alice)
    assert _status(cookies, media) == 200
    alice.set_password("another horse entirely")
    alice.save()
    session.forget_everybody()
    assert _status(cookies, media) == 404


def test_signing_out_ends_playing(ask, alice, media):
    client = Client()
    client.force_login(alice)
    cookies = {"acervo_session": client.cookies["acervo_session"].value}
    assert _status(cookies, media) == 200
    client.logout()
    session.forget_everybody()
    assert _status(cookies, media) == 404


def test_playing_is_written_down_once_an_hour_and_not_for_every_range(ask, alice, bob, media):
    for start in range(0, 1000, 100):
        ask(alice, play(media), range=f"bytes={start}-{start + 99}")
    ask(bob, play(media))
    entries = AuditEntry.objects.of("file", media.pk).filter(action="file.played")
    assert [entry.by for entry in entries.order_by("number")] == [
        f"member:{ids.text(one.pk)}" for one in (alice, bob)
    ]


@pytest.mark.django_db(transaction=True)
def test_the_real_threads_see_the_same(monkeypatch, ask, alice, media):
    for module in (door, noted, session):
        monkeypatch.setattr(module, "in_thread", database_threads)
    answer = ask(alice, play(media), range="bytes=70000-")
    assert answer.content == BODY[70000:]
    assert AuditEntry.objects.of("file", media.pk).filter(action="file.played").count() == 1


def test_a_range_costs_one_query_once_the_member_is_known(ask, alice, media, monkeypatch):
    cookies = cookies_of(alice)
    assert _status(cookies, media) == 200
    asked = []
    real = door.in_thread

    async def counted(do, *args):
        def watched(*inner):
            with CaptureQueriesContext(database) as queries:
                found = do(*inner)
            asked.extend(queries.captured_queries)
            return found

        return await real(watched, *args)

    monkeypatch.setattr(door, "in_thread", counted)
    assert _status(cookies, media) == 200
    assert len(asked) == 1


def test_a_damaged_object_is_refused_before_the_first_byte(ask, alice, media):
    store = storage.configured()
    sealed = bytearray(async_to_sync(store.get_range)(media.object_key, 0, media.sealed_bytes))
    sealed[50] ^= 1
    async_to_sync(store.delete)([media.object_key])
    async_to_sync(store.put)(media.object_key, bytes(sealed))
    assert ask(alice, play(media)).status_code == 500


def _status(cookies, media):
    return async_to_sync(answered)(cookies, play(media)).status_code
