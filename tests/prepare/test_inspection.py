"""What the bytes really are, of good files."""

import subprocess

import pytest

from acervo.prepare import limits
from acervo.prepare.waveform import POINTS
from tests.prepare.conftest import CORPUS, GOOD, facts_of, looked_at


def about(entry):
    """The length the manifest names. That of AMR is ffprobe's guess by the bit rate: no container holds it."""
    if entry["duration"] is None:
        return None
    return pytest.approx(entry["duration"], abs=1 if entry["codec"] == "amr_nb" else 0.2)


@pytest.mark.parametrize("entry", GOOD, ids=lambda entry: entry["name"])
async def test_a_good_file_is_what_it_was_declared(entry, out_dir):
    facts = await facts_of(CORPUS / entry["name"], entry["kind"], out_dir)
    assert facts.mime == entry["declared_mime"].split(";")[0]
    assert (facts.is_readable, facts.is_damaged, facts.is_mismatch) == (True, False, False)
    assert facts.duration_s == about(entry)
    codecs = "+".join(filter(None, [facts.video_codec, facts.audio_codec]))
    assert codecs == (entry["codec"] or "")
    assert (facts.waveform is not None) == (facts.kind == "audio")
    assert facts.page_count == (1 if facts.mime == "application/pdf" else None)


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("img720.jpg", (1280, 720)),
        ("img12mp.jpg", (4032, 3024)),
        ("sticker.webp", (512, 512)),
        ("video_h264.3gp", (424, 240)),
        ("doc.pdf", (None, None)),
    ],
)
async def test_the_size_is_known_where_there_is_one(name, size, out_dir):
    facts = await facts_of(CORPUS / name, None, out_dir)
    assert (facts.width, facts.height) == size


async def test_a_voice_has_a_shape(out_dir):
    facts = await facts_of(CORPUS / "voice_5s_16k.ogg", "voice", out_dir)
    assert len(facts.waveform) == POINTS
    assert len(set(facts.waveform)) > 20
    assert repr(facts.waveform) not in repr(facts)


@pytest.mark.parametrize("gain", [-20, -35])
async def test_loudness_is_that_of_the_standard(gain, tmp_path, out_dir):
    """R128's own calibration: a stereo tone of 1 kHz at so many dBFS is as many LUFS."""
    tone = tmp_path / "tone.wav"
    source = f"sine=f=1000:r=48000:d=5,volume={gain + 18.06}dB,pan=stereo|c0=c0|c1=c0"
    ffmpeg("-f", "lavfi", "-i", source, tone)
    facts = await facts_of(tone, "audio", out_dir)
    assert facts.loudness_lufs == pytest.approx(gain, abs=0.5)


async def test_a_length_is_counted_to_the_last_sample(out_dir):
    """1,501 frames of 20 ms; ffprobe guesses 30.99 s."""
    facts = await facts_of(CORPUS / "audio_30s.amr", "audio", out_dir)
    assert facts.duration_s == 30.02


async def test_silence_has_no_loudness(tmp_path, out_dir):
    silence = tmp_path / "silence.wav"
    ffmpeg("-f", "lavfi", "-i", "anullsrc=r=16000:cl=mono", "-t", "2", silence)
    facts = await facts_of(silence, "audio", out_dir)
    assert (facts.loudness_lufs, facts.duration_s) == (None, 2.0)


async def test_the_bit_rate_goes_by_the_counted_length(out_dir):
    path = CORPUS / "hostile/huge_duration.ogg"
    facts = await facts_of(path, "voice", out_dir)
    size = path.stat().st_size
    assert facts.columns(size)["bit_rate"] == pytest.approx(8 * size / 5, rel=0.01)


async def test_an_index_at_the_end_is_noticed(tmp_path, out_dir):
    late = CORPUS / "video_noaudio_5s.mp4"
    early = faststart(late, tmp_path / "early.mp4")
    assert not (await facts_of(late, "video", out_dir)).is_faststart
    assert (await facts_of(early, "video", out_dir)).is_faststart


async def test_a_film_on_its_side_is_measured_upright(tmp_path, out_dir):
    turned = tmp_path / "turned.mp4"
    ffmpeg("-i", CORPUS / "video_noaudio_5s.mp4", "-c", "copy", "-metadata:s:v", "rotate=90", turned)
    facts = await facts_of(turned, "video", out_dir)
    assert (facts.width, facts.height, facts.rotation) == (360, 640, 270)  # ffmpeg's 90 is counter-clockwise


async def test_a_picture_on_its_side_is_measured_upright(out_dir):
    facts = await facts_of(CORPUS / "hostile/exif_gps.jpg", "image", out_dir)
    assert (facts.width, facts.height, facts.rotation) == (720, 1280, 90)


async def test_sound_in_a_film_container_is_sound(tmp_path, out_dir):
    sound = tmp_path / "sound.mp4"
    ffmpeg("-i", CORPUS / "audio_5s.m4a", "-c", "copy", "-f", "mp4", sound)
    facts = await facts_of(sound, "audio", out_dir)
    assert (facts.mime, facts.kind, facts.is_mismatch) == ("audio/mp4", "audio", False)
    assert facts.waveform is not None


async def test_a_moving_sticker_is_animated(tmp_path, out_dir):
    sticker = tmp_path / "moving.webp"
    ffmpeg("-f", "lavfi", "-i", "testsrc=s=64x64:d=1:r=5", "-c:v", "libwebp_anim", sticker)
    assert (await facts_of(sticker, "sticker", out_dir)).is_animated
    assert not (await facts_of(CORPUS / "sticker.webp", "sticker", out_dir)).is_animated


async def test_a_large_film_is_read_without_decoding_every_frame(monkeypatch, out_dir):
    monkeypatch.setattr(limits, "FULLY_DECODED_BYTES", 1000)
    outcome = await looked_at(CORPUS / "video_h264.3gp", "document", out_dir)
    assert outcome.facts.duration_s == pytest.approx(10.134, abs=0.2)
    assert not outcome.facts.is_damaged
    assert {made.kind for made in outcome.made} == {"poster", "thumb_320", "thumb_96", "mp4"}


async def test_a_photograph_sent_as_a_document_is_no_mismatch(out_dir):
    assert not (await facts_of(CORPUS / "img720.jpg", "document", out_dir)).is_mismatch


async def test_a_photograph_sent_as_a_film_is_a_mismatch(out_dir):
    assert (await facts_of(CORPUS / "img720.jpg", "video", out_dir)).is_mismatch


def ffmpeg(*arguments):
    subprocess.run(["ffmpeg", "-nostdin", "-v", "error", "-y", *arguments], check=True)


def faststart(source, target):
    ffmpeg("-i", source, "-c", "copy", "-movflags", "+faststart", target)
    return target
