"""What a player is offered: by what was made, by what may be made, and by the browser that asks."""

from __future__ import annotations

import pytest

from acervo.base import clock
from acervo.models import MadeAt, MediaFile, MediaPolicy, Rendition, When
from acervo.web.cards import with_facts
from acervo.web.sources import for_browser, is_apple, pages, silences, sources

pytestmark = pytest.mark.django_db

WEBKIT = "AppleWebKit/605.1.15 (KHTML, like Gecko)"
CHROME = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0"
APPLE = {
    "Safari on a Mac, and on an iPad that says it is one": f"Macintosh; Intel Mac OS X 10_15_7) {WEBKIT} Version/18.3 Safari/605.1.15",
    "Safari on an iPhone": f"iPhone; CPU iPhone OS 18_3 like Mac OS X) {WEBKIT} Version/18.3 Mobile/15E148 Safari/604.1",
    "Safari on an iPad": f"iPad; CPU OS 15_7 like Mac OS X) {WEBKIT} Version/15.6 Mobile/15E148 Safari/604.1",
    "the window of an app on an iPhone": f"iPhone; CPU iPhone OS 17_5 like Mac OS X) {WEBKIT} Mobile/15E148",
    "the window of an app on a Mac": f"Macintosh; Intel Mac OS X 10_15_7) {WEBKIT}",
    "Chrome on an iPhone": f"iPhone; CPU iPhone OS 18_3 like Mac OS X) {WEBKIT} CriOS/140.0.0.0 Mobile/15E148 Safari/604.1",
    "Firefox on an iPhone": f"iPhone; CPU iPhone OS 18_3 like Mac OS X) {WEBKIT} FxiOS/140.0 Mobile/15E148 Safari/605.1.15",
}
OTHERS = {
    "Chrome on a Mac": f"Macintosh; Intel Mac OS X 10_15_7) {CHROME} Safari/537.36",
    "Edge on a Mac": f"Macintosh; Intel Mac OS X 10_15_7) {CHROME} Safari/537.36 Edg/140.0.0.0",
    "Firefox on a Mac": "Macintosh; Intel Mac OS X 10.15; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Chrome on Windows": f"Windows NT 10.0; Win64; x64) {CHROME} Safari/537.36",
    "Chrome on Android": f"Linux; Android 10; K) {CHROME} Mobile Safari/537.36",
    "nothing": "",
}


@pytest.mark.parametrize("name", APPLE)
def test_browsers_on_the_engine_of_apple_are_known(name):
    assert is_apple(f"Mozilla/5.0 ({APPLE[name]}")


@pytest.mark.parametrize("name", OTHERS)
def test_other_browsers_are_not_taken_for_one(name):
    assert not is_apple(f"Mozilla/5.0 ({OTHERS[name]}")


@pytest.fixture
def file_with(kept_file):
    """`file_with("mp3", mime=…)`: as the pages fetch it, with these copies."""

    def made(*kinds, **facts):
        columns = {
            name: facts.pop(name) for name in list(facts) if name not in ("mime", "kind", "duration_s")
        }
        media = kept_file(**facts)
        MediaFile.objects.filter(pk=media.pk).update(**columns)
        for kind in kinds:
            name, _, page = kind.partition("-")
            Rendition.objects.create(
                media=media, kind=name, page=int(page or 0), mime=MIMES[name], made_at=clock.now(), width=10, height=20,
                object_key=f"{media.slug}/{kind}", size_bytes=1, sealed_bytes=1, sha256="0" * 64, sealing="storage",
            )  # fmt: skip
        return with_facts(MediaFile.objects.filter(pk=media.pk)).get()

    return made


MIMES = {
    "mp3": "audio/mpeg",
    "mp4": "video/mp4",
    "animated": "image/webp",
    "page": "image/webp",
    "thumb_320": "image/webp",
}


def offered(media, *, apple=False):
    return [source.address.rpartition("/")[2] for source in for_browser(sources(media), is_apple=apple)]


def policy(workspace, **wishes):
    MediaPolicy.objects.create(workspace=workspace, changed_by="test", **wishes)


def test_apple_gets_the_copy_for_all_before_the_ogg(file_with):
    note = file_with("mp3", audio_codec="opus")
    assert offered(note) == ["original", "mp3"]
    assert offered(note, apple=True) == ["mp3", "original"]
    assert sources(note)[0].mime == "audio/ogg; codecs=opus"


def test_a_copy_that_waits_for_its_first_play_is_offered_where_it_is_needed(file_with, workspace):
    policy(workspace, mp3_at=MadeAt.FIRST_PLAY)
    assert offered(file_with(audio_codec="opus"), apple=True) == ["mp3", "original"]
    assert offered(file_with(mime="audio/amr", audio_codec="amr_nb")) == ["original", "mp3"]
    assert offered(file_with(mime="audio/mpeg", audio_codec="mp3"), apple=True) == ["original"]


def test_what_the_workspace_never_wants_is_not_offered(file_with, workspace):
    policy(workspace, mp3=When.NEVER, mp3_at=MadeAt.FIRST_PLAY, pages=When.NEVER)
    assert offered(file_with(audio_codec="opus"), apple=True) == ["original"]
    assert pages(file_with(mime="application/pdf", page_count=3)) == []


def test_a_film_that_browsers_show_black_is_asked_for_by_its_codec(file_with):
    film = file_with("mp4", mime="video/mp4", video_codec="hevc")
    assert [source.mime for source in sources(film)] == ['video/mp4; codecs="hvc1.1.6.L93.B0"', "video/mp4"]
    assert offered(file_with("mp4", mime="video/3gpp", video_codec="h263")) == ["mp4"]


def test_a_gif_moves_in_its_copy(file_with):
    assert offered(file_with("animated", kind="image", mime="image/gif")) == ["animated"]
    assert offered(file_with("animated", kind="sticker", mime="image/webp")) == ["original"]


@pytest.mark.parametrize(
    "held", [{"held_at": clock.now()}, {"scanned_at": clock.now(), "infection": "Test.Signature"}]
)
def test_of_a_held_file_nothing_is_offered(file_with, held):
    assert sources(file_with("mp3", **held)) == ()
    assert pages(file_with("page-1", mime="application/pdf", **held)) == []


def test_pages_are_those_that_were_made_or_will_be(file_with, workspace):
    drawn = pages(file_with("page-2", "page-1", mime="application/pdf", page_count=7))
    assert [(page.number, page.address[-6:], page.width) for page in drawn] == [
        (1, "page-1", 10),
        (2, "page-2", 10),
    ]
    waiting = pages(file_with(mime="application/pdf", page_count=41))
    assert [page.number for page in waiting] == list(range(1, 21))
    assert pages(file_with(mime="application/zip")) == []


def test_pauses_are_found_in_the_waveform_with_a_breath_left_at_both_ends(file_with):
    loud, hum = b"\xc0", b"\x08"
    spoken = file_with(waveform=loud * 40 + hum * 40 + loud * 40 + hum * 40, duration_s=16.0)
    assert silences(spoken) == [(4.06, 7.94), (12.06, 15.94)]


@pytest.mark.parametrize(
    ("waveform", "length_s"),
    [
        (b"\x00" * 160, 16.0),  # nothing is said at all
        (b"\xc0" * 160, 16.0),
        ((b"\xc0" * 6 + b"\x00" * 2) * 20, 16.0),  # breath
        (b"\xc0" * 80 + b"\x00" + b"\xc0" * 79, 160.0),  # one point may be less than it seems
        (None, 16.0),
        (b"\xc0\x00" * 80, None),
    ],
)
def test_what_is_no_pause_is_not_skipped(file_with, waveform, length_s):
    assert silences(file_with(waveform=waveform, duration_s=length_s)) == []


def test_the_page_orders_the_sources_for_who_asks(page_of, alice, file_with):
    note = file_with("mp3", audio_codec="opus")
    client = page_of(alice)
    for name, first in ((APPLE["Safari on an iPhone"], "mp3"), (OTHERS["Chrome on Android"], "original")):
        for where in (f"/m/{note.slug}", "/library"):
            shown = client.get(where, headers={"user-agent": f"Mozilla/5.0 ({name}"}).content.decode()
            assert f'data-src-1="/play/{note.slug}/{first}"' in shown


def test_a_list_costs_no_more_for_a_policy(
    page_of, alice, file_with, workspace, django_assert_max_num_queries
):
    policy(workspace, mp3_at=MadeAt.FIRST_PLAY)
    for _ in range(3):
        file_with()
    files = with_facts(MediaFile.objects.all())
    with django_assert_max_num_queries(3):
        assert [offered(media) for media in files] == [["original", "mp3"]] * 3


def test_a_document_is_shown_as_pictures_of_its_pages(page_of, alice, file_with):
    media = file_with("page-1", "page-2", kind="document", mime="application/pdf", page_count=9)
    shown = page_of(alice).get(f"/m/{media.slug}").content.decode()
    assert f'src="/play/{media.slug}/page-2"' in shown
    assert "The first 2 pages of 9 are shown here" in shown
    assert f'href="/play/{media.slug}/original?download=1"' in shown
