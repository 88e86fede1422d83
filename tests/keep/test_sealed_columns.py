"""Small secrets in columns open only with their key, in their place."""

from __future__ import annotations

import os

import pytest

from acervo.base.sealed import NamedKey, SealedElsewhere, key_id, seal, unseal

KEY = NamedKey("first", os.urandom(32))


def test_what_was_sealed_opens_in_its_place():
    sealed = seal(KEY, b"token", b"connection/1")
    assert unseal(KEY, sealed, b"connection/1") == b"token"
    assert b"token" not in sealed
    assert key_id(sealed) == "first"


def test_the_same_secret_never_looks_the_same_twice():
    assert seal(KEY, b"token", b"") != seal(KEY, b"token", b"")


def test_a_value_moved_to_another_row_does_not_open():
    with pytest.raises(SealedElsewhere):
        unseal(KEY, seal(KEY, b"token", b"connection/1"), b"connection/2")


def test_another_key_of_the_same_name_does_not_open():
    with pytest.raises(SealedElsewhere):
        unseal(NamedKey("first", os.urandom(32)), seal(KEY, b"token", b""), b"")


def test_a_value_of_another_key_is_said_to_be_so():
    with pytest.raises(SealedElsewhere, match="second"):
        unseal(NamedKey("second", KEY.key), seal(KEY, b"token", b""), b"")


def test_every_changed_byte_is_refused():
    sealed = seal(KEY, b"token", b"place")
    for position in range(len(sealed)):
        altered = bytearray(sealed)
        altered[position] ^= 1
        with pytest.raises(SealedElsewhere):
            unseal(KEY, bytes(altered), b"place")


@pytest.mark.parametrize(
    "junk", [b"", b"\x01", b"\x01\x05first", b"\x02" * 60, b"\x01\x02\xff\xfe" + b"x" * 40]
)
def test_what_is_not_a_sealed_value_is_refused(junk):
    with pytest.raises(SealedElsewhere):
        key_id(junk)


def test_a_key_shows_its_name_and_never_itself():
    assert repr(KEY) == "NamedKey(id='first')"


@pytest.mark.parametrize(("name", "key"), [("short", b"x" * 31), ("", b"x" * 32), ("n" * 256, b"x" * 32)])
def test_a_key_of_the_wrong_shape_is_refused(name, key):
    with pytest.raises(ValueError):
        NamedKey(name, key)
