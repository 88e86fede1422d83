"""The allow-list and what follows from it for names and headers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acervo.base.filetypes import (
    FILE_TYPES,
    MAX_NAME_BYTES,
    RUNS_WHEN_OPENED,
    SERVING_HEADERS,
    UNKNOWN,
    by_mime,
    content_disposition,
    safe_file_name,
    sniff,
)

PDF, JPEG, ZIP = by_mime("application/pdf"), by_mime("image/jpeg"), by_mime("application/zip")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html><script>alert(1)</script></html>",
        b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"><script/></svg>',
        b"<svg xmlns='http://www.w3.org/2000/svg'></svg>",
        b"MZ" + bytes(200),
        b"\x7fELF\x02\x01\x01" + bytes(57),
        b"#!/bin/sh\nrm -rf /\n",
        bytes(range(256)),
    ],
)
def test_what_is_not_on_the_list_is_an_attachment_of_no_known_type(content):
    assert sniff(content) is UNKNOWN
    assert (UNKNOWN.mime, UNKNOWN.inline, UNKNOWN.demuxer, UNKNOWN.still) == (
        "application/octet-stream",
        False,
        None,
        None,
    )


def test_the_name_libmagic_gives_becomes_the_name_we_give():
    m4a = b"\x00\x00\x00\x1cftypM4A \x00\x00\x02\x00M4A isomiso2"
    assert sniff(m4a).mime == "audio/mp4"
    assert sniff(b"#!AMR\n" + bytes(40)).mime == "audio/amr"


def test_only_pictures_sound_and_mp4_are_ever_shown_in_place():
    inline = {known.mime for known in FILE_TYPES if known.inline}
    assert {mime for mime in inline if not mime.startswith("audio/")} == {
        "image/jpeg",
        "image/png",
        "image/webp",
        "video/mp4",
    }


def test_only_sound_and_films_reach_ffmpeg_and_only_pictures_reach_pillow():
    for known in FILE_TYPES:
        assert known.demuxer is None or known.kind in ("audio", "video")
        assert known.still is None or known.kind == "image"


def test_no_type_stands_on_the_list_twice():
    names = [name for known in FILE_TYPES for name in (known.mime, *known.sniffed)]
    assert len(names) == len(set(names))


def test_every_file_is_served_with_headers_that_keep_it_what_we_say_it_is():
    assert SERVING_HEADERS["X-Content-Type-Options"] == "nosniff"
    assert SERVING_HEADERS["Content-Security-Policy"] == "default-src 'none'; sandbox"


@pytest.mark.parametrize(
    ("announced", "filetype", "safe"),
    [
        ("Contrato João.pdf", PDF, "Contrato João.pdf"),
        ("NOTA.PDF", PDF, "NOTA.PDF"),
        ("../../etc/passwd", PDF, "passwd.pdf"),
        ("C:\\Users\\x\\nota.pdf", PDF, "nota.pdf"),
        ("foto.jpeg", JPEG, "foto.jpeg"),
        ("foto.png", JPEG, "foto.png.jpg"),
        ("a\u202egpj.exe", JPEG, "agpj.exe.jpg"),
        ("relatório.docx", ZIP, "relatório.docx"),
        ("planta.dwg", UNKNOWN, "planta.dwg"),
        ("foto.jpg", UNKNOWN, "foto.jpg.bin"),
        ("setup.exe", UNKNOWN, "setup.exe.bin"),
        ("página.HTML", UNKNOWN, "página.HTML.bin"),
        ("desenho.svg", UNKNOWN, "desenho.svg.bin"),
        ('a"b\r\nSet-Cookie: x.pdf', PDF, "a_bSet-Cookie_ x.pdf"),
        (".htaccess", UNKNOWN, "htaccess.bin"),
        ("", PDF, "file.pdf"),
        (None, JPEG, "file.jpg"),
        ("..", UNKNOWN, "file.bin"),
    ],
)
def test_a_name_is_safe_and_tells_the_truth(announced, filetype, safe):
    assert safe_file_name(announced, filetype) == safe


@given(st.text(max_size=300), st.sampled_from([*FILE_TYPES, UNKNOWN]))
def test_whatever_is_announced_the_name_is_short_whole_and_harmless(announced, filetype):
    name = safe_file_name(announced, filetype)
    assert 0 < len(name.encode()) <= MAX_NAME_BYTES
    assert not set(name) & set('/\\:*?"<>|\0\r\n')
    assert not name.startswith(".")
    assert "." + name.rpartition(".")[2].lower() not in RUNS_WHEN_OPENED
    assert safe_file_name(name, filetype) == name


@given(st.text(max_size=100))
def test_a_disposition_is_one_line_of_ascii(announced):
    header = content_disposition(safe_file_name(announced, PDF), inline=False)
    assert header.startswith("attachment; filename")
    assert header.isascii()
    assert "\n" not in header


def test_a_disposition_says_whether_to_show_and_how_it_is_called():
    assert content_disposition("a.jpg", inline=True) == 'inline; filename="a.jpg"'
    assert content_disposition("olá.pdf", inline=False) == "attachment; filename*=utf-8''ol%C3%A1.pdf"
