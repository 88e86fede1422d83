"""A store that was away and comes back empty is written to again by the same process."""

from __future__ import annotations

from pathlib import Path

import pytest

from acervo.keep.storage import Storage, StorageAway


async def test_a_folder_that_was_replaced_by_a_file_and_then_removed_is_made_again(tmp_path: Path) -> None:
    root = tmp_path / "files"
    store = Storage.from_url(root.as_uri())
    root.touch()
    with pytest.raises(StorageAway):
        await store.put("ws/a/b", b"1")
    root.unlink()
    await store.put("ws/a/b", b"2")
    assert await store.get_range("ws/a/b", 0, 1) == b"2"


async def test_a_folder_that_vanishes_between_two_writes_is_made_again(tmp_path: Path) -> None:
    root = tmp_path / "files"
    store = Storage.from_url(root.as_uri())
    await store.put("ws/a/b", b"1")
    root.rename(tmp_path / "elsewhere")
    await store.put("ws/a/c", b"2")
    assert await store.get_range("ws/a/c", 0, 1) == b"2"
