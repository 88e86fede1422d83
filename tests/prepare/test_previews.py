"""Copies are right, small and tell nothing of their origin; what plays everywhere is not copied."""

import json
import subprocess

import pytest
from PIL import Image

from acervo.prepare.inspection import inspect
from acervo.prepare.previews import make
from tests.prepare.conftest import CORPUS
from tests.prepare.test_inspection import faststart, ffmpeg


async def copies(path, kind, out_dir):
    made = await make(path, await inspect(path, kind), out_dir)
    assert {copy.path for copy in made} == set(out_dir.iterdir())
    assert all(copy.size_bytes > 0 for copy in made)
    return {copy.kind: copy for copy in made}


def probed(copy):
    argv = ["ffprobe", "-v", "error", "-show_streams", "-show_format", "-of", "json", copy.path]
    return json.loads(subprocess.run(argv, check=True, capture_output=True).stdout)


def codecs(copy):
    return [stream["codec_name"] for stream in probed(copy)["streams"]]


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("img720.jpg", {"thumb_640": (640, 360), "thumb_320": (320, 180)}),
        ("sticker.webp", {"thumb_640": (512, 512), "thumb_320": (320, 320)}),
    ],
)
async def test_a_picture_gets_two_thumbnails_and_is_never_enlarged(name, sizes, out_dir):
    made = await copies(CORPUS / name, "image", out_dir)
    for kind, size in sizes.items():
        assert (made[kind].width, made[kind].height, made[kind].mime) == (*size, "image/webp")
        with Image.open(made[kind].path) as thumbnail:
            assert (thumbnail.size, thumbnail.format) == (size, "WEBP")
    assert set(made) == set(sizes)


async def test_a_thumbnail_stands_upright_and_does_not_say_where_it_was_taken(out_dir):
    with Image.open(CORPUS / "hostile/exif_gps.jpg") as original:
        assert original.getexif()[0x0112] == 6
    made = await copies(CORPUS / "hostile/exif_gps.jpg", "image", out_dir)
    with Image.open(made["thumb_320"].path) as thumbnail:
        assert thumbnail.size == (180, 320)
        assert dict(thumbnail.getexif()) == {}
        assert not {"exif", "xmp", "icc_profile"} & set(thumbnail.info)
    assert b"EXIF" not in made["thumb_640"].path.read_bytes()


async def test_xmp_and_colour_profile_do_not_travel(tmp_path, out_dir):
    source = tmp_path / "talkative.webp"
    Image.new("RGB", (50, 40), "red").save(
        source, xmp=b"<x>canary</x>", icc_profile=b"canary" * 30, exif=b"Exif\0\0canary"
    )
    assert b"canary" in source.read_bytes()
    for copy in (await copies(source, "image", out_dir)).values():
        assert b"canary" not in copy.path.read_bytes()


async def test_a_see_through_sticker_stays_see_through(tmp_path, out_dir):
    source = tmp_path / "sticker.png"
    Image.new("RGBA", (400, 400), (255, 0, 0, 0)).save(source)
    made = await copies(source, "sticker", out_dir)
    with Image.open(made["thumb_320"].path) as thumbnail:
        assert thumbnail.getchannel("A").getextrema() == (0, 0)


@pytest.mark.parametrize("mode", ["CMYK", "P", "I;16", "LA"])
async def test_every_kind_of_pixel_can_be_shrunk(tmp_path, out_dir, mode):
    source = tmp_path / ("source.jpg" if mode == "CMYK" else "source.png")
    Image.new(mode, (700, 100)).save(source)
    made = await copies(source, "image", out_dir)
    assert (made["thumb_320"].width, made["thumb_320"].height) == (320, 46)


async def test_a_moving_sticker_gives_its_first_frame(tmp_path, out_dir):
    source = tmp_path / "moving.webp"
    first, second = Image.new("RGB", (64, 64), "red"), Image.new("RGB", (64, 64), "blue")
    first.save(source, save_all=True, append_images=[second], duration=100, lossless=True)
    made = await copies(source, "sticker", out_dir)
    with Image.open(made["thumb_320"].path) as thumbnail:
        assert not getattr(thumbnail, "is_animated", False)
        red, _, blue = thumbnail.convert("RGB").getpixel((32, 32))
        assert red > 200 > 50 > blue


@pytest.mark.parametrize(("name", "kind"), [("voice_5s_16k.ogg", "voice"), ("audio_5s.amr", "audio")])
async def test_sound_that_some_browsers_cannot_play_gets_an_mp3(name, kind, out_dir):
    made = await copies(CORPUS / name, kind, out_dir)
    mp3 = made["mp3"]
    assert set(made) == {"mp3"}
    assert mp3.mime == "audio/mpeg"
    assert mp3.duration_s == pytest.approx(5, abs=0.2)
    assert codecs(mp3) == ["mp3"]
    (stream,) = probed(mp3)["streams"]
    assert (stream["sample_rate"], stream["channels"]) == ("16000", 1)
    assert mp3.size_bytes < 25_000


@pytest.mark.parametrize("name", ["audio_5s.mp3", "audio_5s.m4a"])
async def test_sound_that_plays_everywhere_is_not_copied(name, out_dir):
    assert await copies(CORPUS / name, "audio", out_dir) == {}


async def test_a_film_that_plays_everywhere_gets_a_poster_only(tmp_path, out_dir):
    film = faststart(CORPUS / "video_noaudio_5s.mp4", tmp_path / "film.mp4")
    made = await copies(film, "video", out_dir)
    assert set(made) == {"poster", "thumb_320"}
    assert (made["poster"].width, made["poster"].height) == (640, 360)
    assert (made["thumb_320"].width, made["thumb_320"].height) == (320, 180)


async def test_a_film_of_one_frame_has_a_poster(tmp_path, out_dir):
    film = tmp_path / "film.mp4"
    ffmpeg("-f", "lavfi", "-i", "testsrc=s=64x64:r=1:d=1", "-frames:v", "1", "-pix_fmt", "yuv420p", film)
    assert {"poster", "thumb_320"} <= set(await copies(film, "video", out_dir))


async def test_an_index_at_the_end_is_moved_to_the_front_without_touching_the_picture(out_dir):
    made = await copies(CORPUS / "video_noaudio_5s.mp4", "video", out_dir)
    film = made["mp4"].path.read_bytes()
    assert film.index(b"moov") < film.index(b"mdat")
    assert made["mp4"].size_bytes == pytest.approx((CORPUS / "video_noaudio_5s.mp4").stat().st_size, rel=0.01)


async def test_a_3gp_is_repacked_as_mp4_without_encoding(out_dir):
    made = await copies(CORPUS / "video_h264.3gp", "video", out_dir)
    assert (made["mp4"].mime, made["mp4"].width, made["mp4"].height) == ("video/mp4", 424, 240)
    assert codecs(made["mp4"]) == ["h264", "aac"]
    assert made["mp4"].size_bytes == pytest.approx((CORPUS / "video_h264.3gp").stat().st_size, rel=0.01)


async def test_hevc_is_encoded_to_what_browsers_play(tmp_path, out_dir):
    short = tmp_path / "short.mp4"
    source = CORPUS / "video_720p_hevc_3s.mp4"
    ffmpeg("-i", source, "-t", "0.2", "-c", "copy", "-tag:v", "hvc1", "-movflags", "+faststart", short)
    made = await copies(short, "video", out_dir)
    film = made["mp4"]
    assert (film.width, film.height) == (1280, 720)
    assert codecs(film) == ["h264", "aac"]
    assert probed(film)["streams"][0]["pix_fmt"] == "yuv420p"


async def test_only_the_sound_is_encoded_when_the_picture_already_plays(tmp_path, out_dir):
    film = tmp_path / "film.mov"
    sound = ["-f", "lavfi", "-i", "sine=d=1"]
    ffmpeg(
        "-i", CORPUS / "video_noaudio_5s.mp4", *sound, "-t", "1", "-c:v", "copy", "-c:a", "pcm_s16le", film
    )
    made = await copies(film, "video", out_dir)
    assert codecs(made["mp4"]) == ["h264", "aac"]


async def test_what_a_sender_wrote_into_a_film_does_not_travel(tmp_path, out_dir):
    film = tmp_path / "film.mp4"
    tags = [
        "-metadata",
        "location=+00.0000-000.0000/canary",
        "-metadata",
        "title=canary",
        "-metadata",
        "comment=canary",
    ]
    ffmpeg("-i", CORPUS / "video_noaudio_5s.mp4", "-c", "copy", *tags, film)
    assert b"canary" in film.read_bytes()
    for copy in (await copies(film, "video", out_dir)).values():
        assert b"canary" not in copy.path.read_bytes()


async def test_a_turned_film_keeps_standing_upright(tmp_path, out_dir):
    film = tmp_path / "film.mp4"
    ffmpeg("-i", CORPUS / "video_noaudio_5s.mp4", "-t", "1", "-c", "copy", "-metadata:s:v", "rotate=90", film)
    made = await copies(film, "video", out_dir)
    assert (made["poster"].width, made["poster"].height) == (360, 640)
    assert (made["mp4"].width, made["mp4"].height) == (360, 640)


async def test_making_twice_in_the_same_folder_gives_the_same(out_dir):
    facts = await inspect(CORPUS / "voice_5s_16k.ogg", "voice")
    first = [copy.path.read_bytes() for copy in await make(CORPUS / "voice_5s_16k.ogg", facts, out_dir)]
    again = [copy.path.read_bytes() for copy in await make(CORPUS / "voice_5s_16k.ogg", facts, out_dir)]
    assert first == again


@pytest.mark.parametrize("name", ["doc.pdf", "doc.docx", "sheet.xlsx"])
async def test_a_document_is_left_alone(name, out_dir):
    assert await copies(CORPUS / name, "document", out_dir) == {}
