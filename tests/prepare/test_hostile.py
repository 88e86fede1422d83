"""Every hostile file is survived: facts that say so, or one of our errors; nothing read, reached or left behind."""

import struct

import pytest

from acervo.prepare import ffmpeg, isolation
from acervo.prepare.inspection import inspect
from acervo.prepare.isolation import ToolFailed, ToolTimedOut
from acervo.prepare.previews import make
from tests.prepare.conftest import CORPUS, HOSTILE
from tests.prepare.test_inspection import faststart

NOTHING_DECODES = {"bomb_12000x12000.png", "polyglot_js.gif", "truncated.jpg"}
DAMAGED = NOTHING_DECODES | {"bitflip_1_voice_30s_16k.ogg", "truncated.ogg"}
MISMATCHED = {"concat_file.mp4", "hls_file.mp4", "hls_http.mp4", "random.ogg", "svg_named.jpg", "zero.mp4"}
REAL_TYPE = {
    "bitflip_1_voice_30s_16k.ogg": "audio/ogg",
    "bomb_12000x12000.png": "image/png",
    "concat_file.mp4": "text/plain",
    "exif_gps.jpg": "image/jpeg",
    "hls_file.mp4": "text/plain",
    "hls_http.mp4": "text/plain",
    "html_doc.html": "application/octet-stream",
    "huge_duration.ogg": "audio/ogg",
    "mp3_named.ogg": "audio/mpeg",
    "pdf_js.pdf": "application/pdf",
    "polyglot_html.jpg": "image/jpeg",
    "polyglot_js.gif": "image/gif",
    "random.ogg": "application/octet-stream",
    "svg_named.jpg": "application/octet-stream",
    "svg_script.svg": "application/octet-stream",
    "truncated.jpg": "image/jpeg",
    "truncated.ogg": "audio/ogg",
    "zero.mp4": "application/octet-stream",
    "zip_traversal.docx": "application/zip",
    "zipbomb.docx": "application/zip",
}
DECLARED = {".ogg": "voice", ".mp4": "video", ".jpg": "image", ".png": "image", ".gif": "image"}


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_hostile_file_is_known_for_what_it_is_and_leaves_nothing(name, out_dir):
    path = CORPUS / name
    facts = await inspect(path, DECLARED.get(path.suffix, "document"))
    made = await make(path, facts, out_dir)
    assert facts.mime == REAL_TYPE[path.name]
    assert facts.is_readable == (path.name not in NOTHING_DECODES)
    assert facts.is_damaged == (path.name in DAMAGED)
    assert facts.is_mismatch == (path.name in MISMATCHED)
    assert {copy.path for copy in made} == set(out_dir.iterdir())
    assert (made == []) == (not facts.is_readable or facts.kind == "document" or facts.mime == "audio/mpeg")


def test_the_expectations_cover_the_whole_corpus():
    assert {name.partition("/")[2] for name in HOSTILE} == set(REAL_TYPE)


async def test_fifty_years_of_sound_last_five_seconds():
    facts = await inspect(CORPUS / "hostile/huge_duration.ogg", "voice")
    assert facts.duration_s == pytest.approx(5, abs=0.1)


async def test_a_film_claiming_fifty_days_lasts_ten_seconds(tmp_path):
    film = bytearray((CORPUS / "video_h264.3gp").read_bytes())
    struct.pack_into(">I", film, film.index(b"mvhd") + 20, 0xFFFFFFFE)
    (tmp_path / "film.3gp").write_bytes(film)
    facts = await inspect(tmp_path / "film.3gp", "video")
    assert facts.duration_s == pytest.approx(10.134, abs=0.2)


async def test_a_cut_film_is_damaged_and_still_gets_a_poster(tmp_path, out_dir):
    whole = faststart(CORPUS / "video_noaudio_5s.mp4", tmp_path / "whole.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    facts = await inspect(tmp_path / "cut.mp4", "video")
    assert facts.is_damaged
    assert 1 < facts.duration_s < 4
    assert [copy.kind for copy in await make(tmp_path / "cut.mp4", facts, out_dir)] == ["poster", "thumb_320"]


async def test_a_film_whose_index_is_cut_off_is_unreadable(tmp_path, out_dir):
    late = (CORPUS / "video_noaudio_5s.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(late[: len(late) // 2])
    facts = await inspect(tmp_path / "cut.mp4", "video")
    assert (facts.is_readable, facts.is_damaged, facts.duration_s) == (False, True, None)
    assert await make(tmp_path / "cut.mp4", facts, out_dir) == []


async def test_flipped_bytes_in_a_film_are_damage(tmp_path):
    film = bytearray((CORPUS / "video_h264.3gp").read_bytes())
    for place in range(60_000, 250_000, 2_000):
        film[place] ^= 0xFF
    (tmp_path / "film.3gp").write_bytes(film)
    assert (await inspect(tmp_path / "film.3gp", "video")).is_damaged


async def test_an_executable_named_as_a_picture_is_never_decoded(tmp_path, monkeypatch):
    """ffprobe itself would say "mjpeg" to it, by its name."""
    (tmp_path / "elf.jpg").write_bytes(
        b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x03\x00\x3e\x00\x01" + bytes(5000)
    )
    monkeypatch.delattr(isolation, "run")
    facts = await inspect(tmp_path / "elf.jpg", "image")
    assert (facts.mime, facts.kind, facts.is_mismatch) == ("application/octet-stream", "document", True)


async def test_a_playlist_hidden_behind_a_media_signature_reaches_nothing(tmp_path, trap, out_dir):
    """The first bytes fool the sniffer; the forced demuxer is not fooled, and the canary stays unread."""
    (tmp_path / "canary").write_text("canary")
    playlist = f"\n#EXTM3U\n#EXTINF:10,\nhttp://127.0.0.1:{trap.port}/x.ts\nfile://{tmp_path}/canary\n"
    for signature in (
        b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom",
        b"OggS\x00\x02" + bytes(22) + b"OpusHead",
        b"#!AMR\n",
    ):
        path = tmp_path / "disguised"
        path.write_bytes(signature + playlist.encode() * 20)
        facts = await inspect(path, "video")
        assert facts.is_damaged
        for copy in await make(path, facts, out_dir):
            assert b"canary" not in copy.path.read_bytes()
    assert trap.visits == 0


@pytest.mark.parametrize("size", [(7000, 7000), (9000, 9000), (30000, 30000)])
async def test_a_picture_is_unpacked_up_to_the_cap_and_refused_above_it(tmp_path, size):
    path = tmp_path / "bomb.png"
    path.write_bytes(png(*size))
    facts = await inspect(path, "image")
    assert facts.is_readable == (size == (7000, 7000))


async def test_a_film_with_huge_frames_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(ffmpeg, "MAX_PIXELS", 1000)
    facts = await inspect(CORPUS / "video_noaudio_5s.mp4", "video")
    assert not facts.is_readable


async def test_a_file_that_takes_too_long_is_tried_later(monkeypatch):
    monkeypatch.setattr(ffmpeg, "DECODING", isolation.Limits(wall_s=0.01))
    with pytest.raises(ToolTimedOut):
        await inspect(CORPUS / "audio_5s.mp3", "audio")


async def test_a_failing_copy_does_not_take_the_others_along(out_dir, monkeypatch, caplog):
    facts = await inspect(CORPUS / "video_h264.3gp", "video")
    must = isolation.must

    async def failing_for_films(argv, **rest):
        if any("film.mp4" in str(argument) for argument in argv):
            raise ToolFailed("no", returncode=1, stderr=b"content of a file")
        return await must(argv, **rest)

    monkeypatch.setattr(isolation, "must", failing_for_films)
    made = await make(CORPUS / "video_h264.3gp", facts, out_dir)
    assert [copy.kind for copy in made] == ["poster", "thumb_320"]
    assert "content of a file" not in caplog.text
    assert [record.message for record in caplog.records] == ["prepare.copy_failed"]


def png(width, height):
    """A black picture of one bit a pixel: small however large."""
    import zlib

    def chunk(name, body):
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    packer, row = zlib.compressobj(9), bytes(1 + (width + 7) // 8)
    rows = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
