"""Copies are right, small and tell nothing of their origin; what plays everywhere is not copied."""

import json
import subprocess
import zipfile

import pytest
from PIL import Image

from acervo.prepare import isolation, limits
from acervo.prepare.isolation import ToolTimedOut
from tests.prepare.conftest import CORPUS, looked_at
from tests.prepare.test_inspection import faststart, ffmpeg

THUMBNAILS = {"thumb_96", "thumb_320", "thumb_640"}
POSTERS = {"poster", "thumb_320", "thumb_96"}


async def copies(path, kind, out_dir, **policy):
    outcome = await looked_at(path, kind, out_dir, **policy)
    assert {copy.path for copy in outcome.made} == set(out_dir.iterdir())
    assert all(copy.size_bytes > 0 for copy in outcome.made)
    return {f"page_{copy.page}" if copy.page else copy.kind: copy for copy in outcome.made}


async def unmade(path, kind, out_dir, **policy):
    outcome = await looked_at(path, kind, out_dir, **policy)
    assert {copy.path for copy in outcome.made} == set(out_dir.iterdir())
    return {copy.kind: copy.reason for copy in outcome.unmade}


def probed(copy):
    argv = ["ffprobe", "-v", "error", "-show_streams", "-show_format", "-of", "json", copy.path]
    return json.loads(subprocess.run(argv, check=True, capture_output=True).stdout)


def codecs(copy):
    return [stream["codec_name"] for stream in probed(copy)["streams"]]


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("img720.jpg", {"thumb_640": (640, 360), "thumb_320": (320, 180), "thumb_96": (96, 54)}),
        ("sticker.webp", {"thumb_640": (512, 512), "thumb_320": (320, 320), "thumb_96": (96, 96)}),
    ],
)
async def test_a_picture_gets_thumbnails_and_is_never_enlarged(name, sizes, out_dir):
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


@pytest.fixture
def moving(tmp_path):
    """Red, then blue, as a sticker or a GIF."""

    def make(name, size=(512, 256), frames=2, **options):
        path = tmp_path / name
        pictures = [Image.new("RGB", size, ("red", "blue")[index % 2]) for index in range(frames)]
        pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=120, loop=0, **options)
        return path

    return make


async def test_a_moving_sticker_gives_its_first_frame_to_the_list(moving, out_dir):
    made = await copies(moving("moving.webp", lossless=True), "sticker", out_dir)
    with Image.open(made["thumb_320"].path) as thumbnail:
        assert not getattr(thumbnail, "is_animated", False)
        red, _, blue = thumbnail.convert("RGB").getpixel((32, 32))
        assert red > 200 > 50 > blue


@pytest.mark.parametrize("name", ["moving.webp", "moving.gif", "moving.png"])
async def test_what_moves_goes_on_moving_in_the_page(name, moving, out_dir):
    made = await copies(moving(name), "sticker", out_dir)
    assert (made["animated"].width, made["animated"].height) == (320, 160)
    with Image.open(made["animated"].path) as copy:
        assert (copy.format, copy.is_animated, copy.n_frames) == ("WEBP", True, 2)
        assert not {"exif", "xmp", "icc_profile"} & set(copy.info)
        copy.seek(1)
        copy.load()
        assert copy.info["duration"] == 120
        red, _, blue = copy.convert("RGB").getpixel((32, 32))
        assert blue > 200 > 50 > red


async def test_a_picture_that_stands_still_has_no_moving_copy_and_nobody_misses_it(out_dir):
    outcome = await looked_at(CORPUS / "sticker.webp", "sticker", out_dir)
    assert {copy.kind for copy in outcome.made} == THUMBNAILS
    assert outcome.unmade == []


@pytest.mark.parametrize(("size", "frames"), [((8, 8), 500), ((4000, 4000), 7)])
async def test_an_animation_bomb_keeps_its_thumbnails_and_stands_still(size, frames, moving, out_dir):
    bomb = moving("bomb.gif", size=size, frames=frames)
    assert await unmade(bomb, "sticker", out_dir) == {"animated": "too_much"}
    assert {path.name for path in out_dir.iterdir()} == THUMBNAILS


@pytest.mark.parametrize(("name", "kind"), [("voice_5s_16k.ogg", "voice"), ("audio_5s.amr", "audio")])
async def test_sound_that_some_browsers_cannot_play_gets_an_mp3(name, kind, out_dir):
    made = await copies(CORPUS / name, kind, out_dir)
    mp3 = made["mp3"]
    assert set(made) == {"mp3"}
    assert mp3.mime == "audio/mpeg"
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
    assert set(made) == POSTERS
    assert (made["poster"].width, made["poster"].height) == (640, 360)
    assert (made["thumb_320"].width, made["thumb_320"].height) == (320, 180)


async def test_a_film_of_one_frame_has_a_poster(tmp_path, out_dir):
    film = tmp_path / "film.mp4"
    ffmpeg("-f", "lavfi", "-i", "testsrc=s=64x64:r=1:d=1", "-frames:v", "1", "-pix_fmt", "yuv420p", film)
    assert set(await copies(film, "video", out_dir)) >= POSTERS


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


async def test_a_black_beginning_is_not_the_poster(tmp_path, out_dir):
    film = tmp_path / "film.mp4"
    black, white = "color=black:s=64x64:r=10:d=0.5", "color=white:s=64x64:r=10:d=2.5"
    ffmpeg(
        *("-f", "lavfi", "-i", black, "-f", "lavfi", "-i", white, "-filter_complex", "concat=n=2"),
        *("-pix_fmt", "yuv420p", "-movflags", "+faststart", film),
    )
    made = await copies(film, "video", out_dir)
    with Image.open(made["poster"].path) as poster:
        assert min(poster.convert("RGB").getpixel((32, 32))) > 200


async def test_a_song_loses_its_tags_and_its_cover(tmp_path, out_dir):
    cover, song = tmp_path / "cover.jpg", tmp_path / "song.m4a"
    Image.new("RGB", (64, 64), "red").save(cover, comment=b"canary")
    ffmpeg(
        *("-i", CORPUS / "audio_5s.m4a", "-i", cover, "-map", "0", "-map", "1", "-c", "copy"),
        *("-disposition:v", "attached_pic", "-metadata", "title=canary", "-metadata", "comment=canary"),
        *("-f", "mp4", song),
    )
    assert song.read_bytes().count(b"canary") >= 3
    made = await copies(song, "audio", out_dir, mp3="always")
    assert set(made) == {"mp3"}
    assert b"canary" not in made["mp3"].path.read_bytes()
    assert codecs(made["mp3"]) == ["mp3"]


async def test_making_twice_in_the_same_folder_gives_the_same(out_dir):
    first, again = [
        {kind: copy.path.read_bytes() for kind, copy in made.items()}
        for made in [await copies(CORPUS / "voice_5s_16k.ogg", "voice", out_dir) for _ in range(2)]
    ]
    assert first == again


# ── the policy ──


async def test_a_film_above_the_cap_becomes_smaller(out_dir):
    film = CORPUS / "video_720p_3s.mp4"
    made = await copies(film, "video", out_dir, video_cap_kbps=400, video_cap_side=640)
    copy = made["mp4"]
    assert not copy.wish.serves
    assert (copy.width, copy.height) == (640, 360)
    assert copy.size_bytes < 0.8 * film.stat().st_size
    (stream, *_) = probed(copy)["streams"]
    assert (stream["width"], stream["height"]) == (640, 360)


async def test_a_copy_that_saves_too_little_is_thrown_away_and_remembered(out_dir):
    outcome = await looked_at(CORPUS / "audio_5s.m4a", "audio", out_dir, mp3="always")
    # A fifth of this one could be saved; of an MP3 that is small already, nothing.
    assert [copy.kind for copy in outcome.made] == ["mp3"]
    small = out_dir / "small.mp3"
    ffmpeg("-i", CORPUS / "audio_5s.mp3", "-ar", "16000", "-q:a", "9", small)
    outcome = await looked_at(small, "audio", out_dir, mp3="always")
    (thrown_away,) = outcome.unmade
    assert outcome.made == []
    assert (thrown_away.kind, thrown_away.reason) == ("mp3", "not_smaller")
    assert thrown_away.size_bytes >= 0.8 * small.stat().st_size
    assert not (out_dir / "mp3").exists()


@pytest.mark.parametrize(
    ("name", "kind", "policy"),
    [
        ("voice_5s_16k.ogg", "voice", {"mp3": "never"}),
        ("voice_5s_16k.ogg", "voice", {"mp3_at": "first_play"}),
        ("video_h264.3gp", "video", {"mp4_at": "first_play"}),
        ("doc.pdf", "document", {"pages_at": "first_play"}),
    ],
)
async def test_what_is_not_wanted_now_is_not_made_now(name, kind, policy, out_dir):
    assert not {"mp3", "mp4", "page_1"} & set(await copies(CORPUS / name, kind, out_dir, **policy))


# ── faults ──


async def test_one_run_is_enough_for_a_good_file(out_dir, monkeypatch):
    tools = []
    run = isolation.run

    async def counted(argv, **rest):
        tools.append(str(argv[0]).rpartition("/")[2])
        return await run(argv, **rest)

    monkeypatch.setattr(isolation, "run", counted)
    await copies(CORPUS / "voice_5s_16k.ogg", "voice", out_dir)
    assert tools == ["ffmpeg"]
    tools.clear()
    for path in out_dir.iterdir():
        path.unlink()
    await copies(CORPUS / "video_h264.3gp", "video", out_dir)
    assert tools == ["ffprobe", "ffmpeg"]


async def test_a_copy_that_fails_is_no_damage_and_does_not_take_the_others_along(out_dir, monkeypatch):
    run = isolation.run

    async def without_films(argv, **rest):
        if any(str(argument).endswith("/mp4") for argument in argv):
            return isolation.Result(1, b"", b"content of a file")
        return await run(argv, **rest)

    monkeypatch.setattr(isolation, "run", without_films)
    outcome = await looked_at(CORPUS / "video_h264.3gp", "video", out_dir)
    assert not outcome.facts.is_damaged
    assert outcome.facts.duration_s == pytest.approx(10.134, abs=0.2)
    assert {copy.kind for copy in outcome.made} == POSTERS
    assert [(copy.kind, copy.reason) for copy in outcome.unmade] == [("mp4", "tool_failed")]


async def test_a_film_too_long_to_encode_keeps_its_poster(out_dir, monkeypatch):
    monkeypatch.setattr(limits, "ENCODING", isolation.Limits(cpu_s=1))
    outcome = await looked_at(CORPUS / "video_720p_hevc_3s.mp4", "video", out_dir)
    assert not outcome.facts.is_damaged
    assert {copy.kind for copy in outcome.made} == POSTERS
    assert [(copy.kind, copy.reason) for copy in outcome.unmade] == [("mp4", "too_much")]


async def test_a_tool_killed_from_outside_is_not_the_fault_of_the_file(out_dir, monkeypatch):
    async def killed(argv, **rest):
        return isolation.Result(-9, b"", b"")

    monkeypatch.setattr(isolation, "run", killed)
    for name in ("voice_5s_16k.ogg", "img720.jpg", "doc.pdf"):
        with pytest.raises(ToolTimedOut):
            await looked_at(CORPUS / name, None, out_dir)


# ── documents ──


async def test_a_pdf_is_seen_page_by_page(out_dir):
    made = await copies(CORPUS / "doc.pdf", "document", out_dir)
    assert set(made) == {"page_1", *THUMBNAILS}
    page = made["page_1"]
    assert max(page.width, page.height) == 1280
    with Image.open(page.path) as picture:
        assert (picture.format, picture.size) == ("WEBP", (page.width, page.height))
        dark, light = picture.convert("L").getextrema()
        assert dark < 100 < 250 < light


async def test_of_a_long_document_the_first_pages_are_drawn(tmp_path, out_dir):
    path = tmp_path / "long.pdf"
    path.write_bytes(pdf(pages=25))
    outcome = await looked_at(path, "document", out_dir)
    assert outcome.facts.page_count == 25
    assert sorted(copy.page for copy in outcome.made if copy.kind == "page") == list(range(1, 21))


async def test_a_page_of_absurd_size_is_drawn_small(tmp_path, out_dir):
    path = tmp_path / "wide.pdf"
    path.write_bytes(pdf(box="0 0 2000000 20"))
    made = await copies(path, "document", out_dir)
    assert max(made["page_1"].width, made["page_1"].height) <= 1280


async def test_a_locked_document_says_so_and_is_not_damaged(tmp_path, out_dir):
    path = tmp_path / "locked.pdf"
    path.write_bytes(pdf(encrypted=True))
    outcome = await looked_at(path, "document", out_dir)
    assert (outcome.facts.page_count, outcome.facts.is_damaged) == (None, False)
    assert outcome.made == []
    assert {copy.reason for copy in outcome.unmade} == {"locked"}


async def test_a_broken_document_is_damaged(tmp_path, out_dir):
    path = tmp_path / "broken.pdf"
    path.write_bytes(b"%PDF-1.7\n" + bytes(range(256)) * 8)
    outcome = await looked_at(path, "document", out_dir)
    assert (outcome.facts.page_count, outcome.facts.is_damaged) == (None, True)
    assert outcome.made == []
    assert {copy.reason for copy in outcome.unmade} == {"tool_failed"}


async def test_the_preview_inside_an_office_file_becomes_its_thumbnail(tmp_path, out_dir):
    made = await copies(office(tmp_path, (200, 256)), "document", out_dir)
    assert set(made) == THUMBNAILS
    assert (made["thumb_96"].width, made["thumb_96"].height) == (75, 96)


@pytest.mark.parametrize("name", ["doc.docx", "sheet.xlsx"])
async def test_an_office_file_without_a_preview_has_no_picture_and_nobody_misses_it(name, out_dir):
    outcome = await looked_at(CORPUS / name, "document", out_dir)
    assert (outcome.made, outcome.unmade, outcome.facts.is_damaged) == ([], [], False)


async def test_a_bomb_for_a_preview_ends_in_no_picture(tmp_path, out_dir):
    assert await copies(office(tmp_path, (12_000, 12_000)), "document", out_dir) == {}


def office(folder, size):
    path = folder / "letter.odt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as odt:
        odt.writestr("mimetype", "application/vnd.oasis.opendocument.text", zipfile.ZIP_STORED)
        with odt.open("Thumbnails/thumbnail.png", "w") as picture:
            Image.new("1", size).save(picture, "PNG")
    return path


def pdf(pages=1, box="0 0 200 300", encrypted=False):
    """Written by hand; the cross-reference table is right."""
    kids = " ".join(f"{3 + 2 * page} 0 R" for page in range(pages))
    objects = ["<</Type/Catalog/Pages 2 0 R>>", f"<</Type/Pages/Kids[{kids}]/Count {pages}>>"]
    for page in range(pages):
        objects.append(f"<</Type/Page/Parent 2 0 R/MediaBox[{box}]/Contents {4 + 2 * page} 0 R>>")
        objects.append("<</Length 21>>stream\n10 10 50 50 re f      \nendstream")
    trailer = f"/Size {len(objects) + 1}/Root 1 0 R"
    if encrypted:
        owner, user = "<" + "28" * 32 + ">", "<" + "41" * 32 + ">"
        objects.append(f"<</Filter/Standard/V 1/R 2/O {owner}/U {user}/P -4>>")
        trailer = f"/Size {len(objects) + 1}/Root 1 0 R/Encrypt {len(objects)} 0 R/ID[<41><41>]"
    body, places = b"%PDF-1.4\n", []
    for number, text in enumerate(objects, 1):
        places.append(len(body))
        body += f"{number} 0 obj{text}endobj\n".encode()
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    head = f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n"
    return body + f"{head}{table}trailer<<{trailer}>>\nstartxref\n{len(body)}\n%%EOF".encode()
