"""Every hostile file is survived: facts that say so, or one of our errors; nothing read, reached or left behind."""

import struct

import pytest

from acervo.prepare import isolation, limits
from acervo.prepare.inspection import inspect
from acervo.prepare.isolation import ToolTimedOut
from tests.prepare.conftest import CORPUS, facts_of, looked_at
from tests.prepare.test_inspection import faststart


async def test_fifty_years_of_sound_last_five_seconds(out_dir):
    facts = await facts_of(CORPUS / "hostile/huge_duration.ogg", "voice", out_dir)
    assert facts.duration_s == pytest.approx(5, abs=0.1)


async def test_a_film_claiming_fifty_days_lasts_ten_seconds(tmp_path, out_dir):
    film = bytearray((CORPUS / "video_h264.3gp").read_bytes())
    struct.pack_into(">I", film, film.index(b"mvhd") + 20, 0xFFFFFFFE)
    (tmp_path / "film.3gp").write_bytes(film)
    facts = await facts_of(tmp_path / "film.3gp", "video", out_dir)
    assert facts.duration_s == pytest.approx(10.134, abs=0.2)


async def test_a_cut_film_is_damaged_and_still_gets_a_poster(tmp_path, out_dir):
    whole = faststart(CORPUS / "video_noaudio_5s.mp4", tmp_path / "whole.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    outcome = await looked_at(tmp_path / "cut.mp4", "video", out_dir)
    assert outcome.facts.is_damaged
    assert 1 < outcome.facts.duration_s < 4
    assert {copy.kind for copy in outcome.made} == {"poster", "thumb_320", "thumb_96"}


async def test_a_film_whose_index_is_cut_off_is_unreadable(tmp_path, out_dir):
    late = (CORPUS / "video_noaudio_5s.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(late[: len(late) // 2])
    outcome = await looked_at(tmp_path / "cut.mp4", "video", out_dir)
    facts = outcome.facts
    assert (facts.is_readable, facts.is_damaged, facts.duration_s) == (False, True, None)
    assert outcome.made == []


async def test_flipped_bytes_in_a_film_are_damage(tmp_path, out_dir):
    film = bytearray((CORPUS / "video_h264.3gp").read_bytes())
    for place in range(60_000, 250_000, 2_000):
        film[place] ^= 0xFF
    (tmp_path / "film.3gp").write_bytes(film)
    assert (await facts_of(tmp_path / "film.3gp", "video", out_dir)).is_damaged


async def test_an_executable_named_as_a_picture_is_never_decoded(tmp_path, monkeypatch):
    """ffprobe itself would say "mjpeg" to it, by its name."""
    (tmp_path / "elf.jpg").write_bytes(
        b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x03\x00\x3e\x00\x01" + bytes(5000)
    )
    monkeypatch.delattr(isolation, "run")
    facts = await inspect(tmp_path / "elf.jpg", "image")
    assert (facts.mime, facts.kind, facts.is_mismatch) == ("application/octet-stream", "document", True)


@pytest.mark.parametrize("size", [(7000, 7000), (9000, 9000), (30000, 30000)])
async def test_a_picture_is_unpacked_up_to_the_cap_and_refused_above_it(tmp_path, out_dir, size):
    path = tmp_path / "bomb.png"
    path.write_bytes(png(*size))
    facts = await facts_of(path, "image", out_dir)
    assert facts.is_readable == (size == (7000, 7000))


async def test_a_film_with_huge_frames_is_refused(out_dir, monkeypatch):
    monkeypatch.setattr(limits, "MAX_FRAME_PIXELS", 1000)
    facts = await facts_of(CORPUS / "video_noaudio_5s.mp4", "video", out_dir)
    assert not facts.is_readable


async def test_a_file_that_takes_too_long_is_tried_later(out_dir, monkeypatch):
    monkeypatch.setattr(limits, "DECODING", isolation.Limits(wall_s=0.01))
    with pytest.raises(ToolTimedOut):
        await looked_at(CORPUS / "audio_5s.mp3", "audio", out_dir)


def png(width, height):
    """A black picture of one bit a pixel: small however large."""
    import zlib

    def chunk(name, body):
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    packer, row = zlib.compressobj(9), bytes(1 + (width + 7) // 8)
    rows = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
