"""Which copies are made, as a table: what a file is, what the workspace wants, what follows."""

import pytest

from acervo.models import MediaPolicy
from acervo.prepare.facts import Facts
from acervo.prepare.wanted import Wish, wanted

H264 = {
    "video_codec": "h264",
    "video_profile": "High",
    "pixel_format": "yuv420p",
    "width": 848,
    "height": 480,
}
FILM = Facts("video/mp4", "video", audio_codec="aac", claimed_bit_rate=1_500_000, **H264)
NOTE = Facts("audio/ogg", "audio", audio_codec="opus")
SONG = Facts("audio/mpeg", "audio", audio_codec="mp3")


def like(facts, **changes):
    return Facts(
        **{**{name: getattr(facts, name) for name in facts.__slots__ if name != "waveform"}, **changes}
    )


LATE = like(FILM, is_faststart=False)
LARGE = like(FILM, claimed_bit_rate=2_500_001)
WIDE = like(FILM, width=1920, height=1080)
HEVC = like(FILM, video_codec="hevc", video_profile="Main")
TEN_BITS = like(FILM, pixel_format="yuv420p10le")
MOV_WITH_PCM = like(FILM, mime="video/quicktime", audio_codec="pcm_s16le")

TRANSCODED = ("mp4", True, False, False)
SMALLER = ("mp4", False, False, False)
REPACKED = ("mp4", True, True, True)
REPACKED_WITH_NEW_SOUND = ("mp4", True, True, False)
COMPATIBLE, SAVING = ("mp3", True), ("mp3", False)

CASES = [
    # file, policy, what follows
    (NOTE, {}, COMPATIBLE),
    (NOTE, {"mp3": "never"}, None),
    (NOTE, {"mp3": "always"}, COMPATIBLE),
    (SONG, {}, None),
    (SONG, {"mp3": "always"}, SAVING),
    (SONG, {"mp3": "never"}, None),
    (Facts("audio/mp4", "audio", audio_codec="aac"), {}, None),
    (Facts("audio/mp4", "audio", audio_codec="opus"), {}, COMPATIBLE),
    (Facts("audio/amr", "audio", audio_codec="amr_nb"), {}, COMPATIBLE),
    (FILM, {}, None),
    (FILM, {"mp4": "always"}, SMALLER),
    (FILM, {"mp4": "never"}, None),
    (FILM, {"video_cap_kbps": 1000}, SMALLER),
    (FILM, {"video_cap_side": 640}, SMALLER),
    (LARGE, {}, SMALLER),
    (LARGE, {"video_cap_kbps": 3000}, None),
    (LARGE, {"mp4": "never"}, None),
    (WIDE, {}, SMALLER),
    (like(WIDE, width=1080, height=1920), {}, SMALLER),
    (LATE, {}, REPACKED),
    (LATE, {"mp4": "always"}, REPACKED),
    (like(LARGE, is_faststart=False), {}, TRANSCODED),
    (like(FILM, mime="video/3gpp"), {}, REPACKED),
    (MOV_WITH_PCM, {}, REPACKED_WITH_NEW_SOUND),
    (like(FILM, audio_codec="amr_nb"), {}, REPACKED_WITH_NEW_SOUND),
    (like(FILM, audio_codec=None), {}, None),
    (HEVC, {}, TRANSCODED),
    (HEVC, {"mp4": "never"}, None),
    (TEN_BITS, {}, TRANSCODED),
    (like(FILM, video_profile="High 4:2:2"), {}, TRANSCODED),
    (like(FILM, mime="video/webm", video_codec="vp9"), {}, TRANSCODED),
]


@pytest.mark.parametrize(("facts", "policy", "expected"), CASES)
def test_what_follows_from_a_file_and_a_policy(facts, policy, expected):
    (*_, wish) = [None, *(w for w in wanted(facts, MediaPolicy(**policy)) if w.kind in ("mp3", "mp4"))]
    if wish is None:
        found = None
    elif wish.kind == "mp3":
        found = (wish.kind, wish.serves)
    else:
        found = (wish.kind, wish.serves, wish.keeps_picture, wish.keeps_sound)
    assert found == expected


def test_a_copy_waits_for_its_first_play_where_the_workspace_says_so():
    policy = MediaPolicy(mp3_at="first_play", mp4_at="first_play", pages_at="first_play")
    for facts, lazy in [
        (NOTE, {"mp3"}),
        (HEVC, {"mp4"}),
        (Facts("application/pdf", "document"), {"page"}),
        (Facts("image/gif", "image"), set()),
    ]:
        assert {wish.kind for wish in wanted(facts, policy) if wish.at == "first_play"} == lazy


def test_pictures_for_lists_are_made_whatever_the_policy():
    none = MediaPolicy(mp3="never", mp4="never", pages="never")
    assert {wish.kind for wish in wanted(FILM, none)} == {"poster", "thumb_320", "thumb_96"}
    assert {wish.kind for wish in wanted(Facts("image/jpeg", "image"), none)} == {
        "thumb_640",
        "thumb_320",
        "thumb_96",
    }
    assert wanted(Facts("application/pdf", "document"), none) == []


@pytest.mark.parametrize("mime", ["application/zip", "text/plain", "application/octet-stream"])
def test_of_an_unknown_document_nothing_is_made(mime):
    assert wanted(Facts(mime, "document"), MediaPolicy(pages="always")) == []


def test_of_what_cannot_be_read_nothing_is_wanted():
    assert wanted(like(HEVC, is_readable=False), MediaPolicy()) == []


@pytest.mark.parametrize(
    ("serves", "size", "is_kept"), [(True, 300, True), (False, 79, True), (False, 80, False)]
)
def test_what_only_saves_must_save_a_fifth(serves, size, is_kept):
    assert Wish("mp4", serves=serves).is_worth_keeping(size, 100) == is_kept
