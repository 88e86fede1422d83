"""Archives that mean harm, or are broken, are refused whole: by what they say, and by what is really in them."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from acervo.base.errors import Refused
from acervo.models import ChatImport
from acervo.providers.chat_export import archive
from acervo.providers.chat_export.archive import Limits
from acervo.receive import imports

TEXT = b"16/05/2026 14:20 - Ana: oi\n"


def packed(
    path: Path, members: dict[str, bytes], mode: int = 0, compression: int = zipfile.ZIP_STORED
) -> Path:
    target = path / "WhatsApp Chat with Ana.zip"
    with zipfile.ZipFile(target, "w", compression) as file:
        file.writestr("_chat.txt", TEXT)
        for name, body in members.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = compression
            info.external_attr = mode << 16
            file.writestr(info, body)
    return target


def looked(path: Path, limits: Limits = Limits()) -> dict[str, archive.Member]:  # noqa: B008
    with archive.opened(path, limits) as opened:
        archive.text_of(opened, limits)
        return archive.look_through(opened, limits)


def code_of(path: Path, limits: Limits = Limits()) -> str:  # noqa: B008
    with pytest.raises(Refused) as refused:
        looked(path, limits)
    assert str(refused.value)
    return refused.value.code


@pytest.mark.parametrize(
    "name",
    ["../escape.txt", "/etc/passwd", "a/../../b", "C:evil.txt", "..\\evil.txt", "folder/file.jpg", ".."],
)
def test_a_name_that_leads_outside_is_refused(tmp_path: Path, name: str) -> None:
    assert code_of(packed(tmp_path, {name: b"x"})) == "archive_unsafe_name"


@pytest.mark.parametrize("mode", [0o120777, 0o020666, 0o010644])
def test_a_link_or_a_device_is_refused(tmp_path: Path, mode: int) -> None:
    assert code_of(packed(tmp_path, {"a.jpg": b"/etc/passwd"}, mode)) == "archive_link"


def test_a_bomb_is_refused_by_its_own_words(tmp_path: Path) -> None:
    path = packed(tmp_path, {"a.jpg": bytes(20 * 1024**2)}, compression=zipfile.ZIP_DEFLATED)
    assert code_of(path) == "archive_bomb"


def test_more_than_may_be_is_refused_by_counting(tmp_path: Path) -> None:
    path = packed(tmp_path, {"a.jpg": bytes(3000), "b.jpg": bytes(3000)})
    assert code_of(path, Limits(total_bytes=5000)) == "archive_bomb"
    assert code_of(path, Limits(member_bytes=2000)) == "archive_bomb"


def test_an_archive_that_lies_about_a_size_is_refused_by_reading_it(tmp_path: Path) -> None:
    path = packed(tmp_path, {"a.jpg": bytes(50_000)}, compression=zipfile.ZIP_DEFLATED)
    body = path.read_bytes()
    path.write_bytes(body.replace(struct.pack("<I", 50_000), struct.pack("<I", 100)))
    assert code_of(path) == "archive_damaged"


def test_members_that_overlap_are_refused(tmp_path: Path) -> None:
    path = packed(tmp_path, {f"{n}.jpg": bytes([n]) * 40_000 for n in range(2)})
    body = bytearray(path.read_bytes())
    at = body.rfind(b"PK\x01\x02")
    body[at + 20 : at + 28] = struct.pack("<II", 90_000, 90_000)
    path.write_bytes(body)
    assert code_of(path) == "archive_bomb"


def test_absurd_numbers_of_files_are_refused(tmp_path: Path) -> None:
    path = packed(tmp_path, {f"{n}.jpg": b"" for n in range(30)})
    assert code_of(path, Limits(members=20)) == "archive_too_many"
    body = bytearray(path.read_bytes())
    at = body.rfind(b"PK\x05\x06")
    body[at + 12 : at + 16] = struct.pack("<I", 900_000_000)
    path.write_bytes(body)
    assert code_of(path) == "archive_too_many"


def test_an_encrypted_archive_is_refused(tmp_path: Path) -> None:
    path = packed(tmp_path, {"a.jpg": b"x"})
    body = bytearray(path.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = body.rfind(mark)
        body[at + offset] |= 1
    path.write_bytes(body)
    assert code_of(path) == "archive_encrypted"


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    path = packed(tmp_path, {"a.jpg": b"1"})
    with zipfile.ZipFile(path, "a") as file, pytest.warns(UserWarning, match="Duplicate"):
        file.writestr("a.jpg", b"2")
    assert code_of(path) == "archive_doubled_name"


@pytest.mark.parametrize(
    "spoil", [lambda body: body[:-200], lambda body: body[: len(body) // 2], lambda body: b""]
)
def test_an_archive_that_breaks_off_is_refused(tmp_path: Path, spoil: Callable[[bytes], bytes]) -> None:
    path = packed(tmp_path, {"a.jpg": bytes(5000)})
    path.write_bytes(spoil(path.read_bytes()))
    assert code_of(path) == "archive_damaged"


def test_changed_bytes_are_noticed(tmp_path: Path) -> None:
    path = packed(tmp_path, {"a.jpg": b"A" * 5000})
    path.write_bytes(path.read_bytes().replace(b"AAAA", b"ABAA", 1))
    assert code_of(path) == "archive_damaged"


def test_an_archive_in_an_archive_is_a_file_like_others(tmp_path: Path) -> None:
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as file:
        file.writestr("../escape.txt", b"x")
    found = looked(packed(tmp_path, {"inner.zip": inner.getvalue()}))
    assert set(found) == {"_chat.txt", "inner.zip"}
    assert found["inner.zip"].size_bytes == len(inner.getvalue())


def test_a_long_text_is_refused(tmp_path: Path) -> None:
    with archive.opened(packed(tmp_path, {})) as opened, pytest.raises(archive.TooLong):
        list(opened.lines("_chat.txt", Limits(text_bytes=10)))


@pytest.mark.parametrize("members", [{}, {"letter.txt": b"Dear all,\n"}, {"a.txt": TEXT, "b.txt": TEXT}])
def test_an_archive_without_one_chat_is_refused(tmp_path: Path, members: dict[str, bytes]) -> None:
    path = tmp_path / "Chat.zip"
    with zipfile.ZipFile(path, "w") as file:
        for name, body in members.items():
            file.writestr(name, body)
    assert code_of(path) == "archive_without_chat"


def test_a_text_that_a_customer_sent_is_not_taken_for_the_chat(tmp_path: Path) -> None:
    path = tmp_path / "WhatsApp Chat with Ana.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("notes.txt", b"Dear all,\n")
        file.writestr("WhatsApp Chat with Ana.txt", TEXT)
    with archive.opened(path) as opened:
        assert archive.text_of(opened) == "WhatsApp Chat with Ana.txt"


def test_a_folder_is_read_like_its_zip_and_follows_no_link(tmp_path: Path) -> None:
    folder = tmp_path / "WhatsApp Chat with Ana"
    folder.mkdir()
    (folder / "_chat.txt").write_bytes(TEXT)
    (folder / "a.jpg").write_bytes(b"x")
    assert set(looked(folder)) == {"_chat.txt", "a.jpg"}
    (folder / "b.jpg").symlink_to("/etc/passwd")
    assert code_of(folder) == "archive_link"


def test_names_are_found_however_their_accents_are_composed() -> None:
    names = archive.Names({"Cafe\u0301.pdf": 1, "IMG-1.JPG": 2})
    assert names.find("Caf\u00e9.pdf") == "Cafe\u0301.pdf"
    assert names.find("img-1.jpg") == "IMG-1.JPG"
    assert names.find("other.pdf") is None


def test_a_name_in_utf_8_that_does_not_say_so_is_read_as_such(tmp_path: Path) -> None:
    path = packed(tmp_path, {"Recibo a.pdf": b"x"})
    path.write_bytes(path.read_bytes().replace(b"Recibo a.pdf", "Recibo ã".encode() + b".pd"))
    assert "Recibo ã.pd" in looked(path)


@pytest.mark.parametrize(
    ("label", "contact"),
    [
        ("WhatsApp Chat with Ana Test", "Ana Test"),
        ("Conversa do WhatsApp com Ana Teste (1)", "Ana Teste"),
        ("WhatsApp Chat mit Änne", "Änne"),
        ("Chat de WhatsApp con Ana", "Ana"),
        ("WhatsApp Chat - Ana - Vendas", "Ana - Vendas"),
        ("export", ""),
    ],
)
def test_the_archives_name_tells_whose_chat_it_is(label: str, contact: str) -> None:
    assert archive.contact_of(label) == contact


@pytest.mark.django_db
def test_a_hostile_archive_leaves_no_trace(tmp_path: Path) -> None:
    with pytest.raises(archive.UnsafeName):
        imports.look(packed(tmp_path, {"../escape.txt": b"x"}))
    assert ChatImport.objects.count() == 0
