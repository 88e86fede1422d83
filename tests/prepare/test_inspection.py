"""What the bytes really are, of good files."""

import subprocess

import pytest

from acervo.prepare.inspection import inspect
from acervo.prepare.waveform import POINTS
from tests.prepare.conftest import CORPUS, MANIFEST

GOOD = [entry for entry in MANIFEST if entry["kind"] != "hostile"]


@pytest.mark.parametrize("entry", GOOD, ids=lambda entry: entry["name"])
async def test_a_good_file_is_what_it_was_declared(entry):
    facts = await inspect(CORPUS / entry["name"], entry["kind"])
    assert facts.mime == entry["declared_mime"].split(";")[0]
    assert (facts.is_readable, facts.is_damaged, facts.is_mismatch) == (True, False, False)
    assert facts.duration_s == pytest.approx(entry.get("duration"), abs=0.2)
    codecs = "+".join(filter(None, [facts.video_codec, facts.audio_codec]))
    assert codecs == entry.get("codec", "")
    assert (facts.waveform is not None) == (facts.kind == "audio")
    assert facts.page_count is None


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("img720.jpg", (1280, 720)),
        ("sticker.webp", (512, 512)),
        ("video_h264.3gp", (424, 240)),
        ("doc.pdf", (None, None)),
    ],
)
async def test_the_size_is_known_where_there_is_one(name, size):
    facts = await inspect(CORPUS / name, None)
    assert (facts.width, facts.height) == size


async def test_a_voice_has_a_shape():
    facts = await inspect(CORPUS / "voice_5s_16k.ogg", "voice")
    assert len(facts.waveform) == POINTS
    assert len(set(facts.waveform)) > 20
    assert repr(facts.waveform) not in repr(facts)


async def test_an_index_at_the_end_is_noticed(tmp_path):
    late = CORPUS / "video_noaudio_5s.mp4"
    early = faststart(late, tmp_path / "early.mp4")
    assert not (await inspect(late, "video")).is_faststart
    assert (await inspect(early, "video")).is_faststart


async def test_a_film_on_its_side_is_measured_upright(tmp_path):
    turned = tmp_path / "turned.mp4"
    ffmpeg("-i", CORPUS / "video_noaudio_5s.mp4", "-c", "copy", "-metadata:s:v", "rotate=90", turned)
    facts = await inspect(turned, "video")
    assert (facts.width, facts.height) == (360, 640)


async def test_sound_in_a_film_container_is_sound(tmp_path):
    sound = tmp_path / "sound.mp4"
    ffmpeg("-i", CORPUS / "audio_5s.m4a", "-c", "copy", "-f", "mp4", sound)
    facts = await inspect(sound, "audio")
    assert (facts.mime, facts.kind, facts.is_mismatch) == ("audio/mp4", "audio", False)
    assert facts.waveform is not None


async def test_a_moving_sticker_is_animated(tmp_path):
    sticker = tmp_path / "moving.webp"
    ffmpeg("-f", "lavfi", "-i", "testsrc=s=64x64:d=1:r=5", "-c:v", "libwebp_anim", sticker)
    assert (await inspect(sticker, "sticker")).is_animated
    assert not (await inspect(CORPUS / "sticker.webp", "sticker")).is_animated


async def test_a_large_film_is_read_without_decoding_every_frame(monkeypatch):
    monkeypatch.setattr("acervo.prepare.inspection.FULLY_DECODED_BYTES", 1000)
    facts = await inspect(CORPUS / "video_h264.3gp", "document")
    assert facts.duration_s == pytest.approx(10.134, abs=0.2)
    assert not facts.is_damaged


async def test_a_photograph_sent_as_a_document_is_no_mismatch():
    assert not (await inspect(CORPUS / "img720.jpg", "document")).is_mismatch


async def test_a_photograph_sent_as_a_film_is_a_mismatch():
    assert (await inspect(CORPUS / "img720.jpg", "video")).is_mismatch


def ffmpeg(*arguments):
    subprocess.run(["ffmpeg", "-nostdin", "-v", "error", "-y", *arguments], check=True)


def faststart(source, target):
    ffmpeg("-i", source, "-c", "copy", "-movflags", "+faststart", target)
    return target
