"""What the storage page says: every byte in its place, nobody else's among them."""

from __future__ import annotations

import pytest
from django.db import connection as database
from django.test.utils import CaptureQueriesContext

from acervo.base import clock, ids
from acervo.models import MediaFile, Rendition, UnmadeRendition
from acervo.organise import savings
from acervo.organise.savings import Line
from tests.conftest import keep, make_connection, make_file, make_person

pytestmark = pytest.mark.django_db


def copy_of(media, kind, size_bytes, *, serves=True, page=0):
    return Rendition.objects.create(
        media=media, kind=kind, page=page, mime="x/y", serves=serves, made_at=clock.now(), object_key=ids.text(ids.new()),
        size_bytes=size_bytes, sealed_bytes=size_bytes, sha256="0" * 64, sealing="storage",
    )  # fmt: skip


def test_originals_copies_and_what_is_not_there(alice, kept_file):
    note = kept_file(body=b"n" * 1000)
    film, other = (kept_file(body=letter * 5000, kind="video", mime="video/mp4") for letter in (b"f", b"o"))
    copy_of(note, "mp3", 2100)
    copy_of(film, "mp4", 2000, serves=False)
    copy_of(film, "poster", 90)
    copy_of(film, "thumb_320", 10)
    UnmadeRendition.objects.create(
        media=other, kind="mp4", reason="not_smaller", size_bytes=4900, tried_at=clock.now()
    )
    UnmadeRendition.objects.create(media=note, kind="mp4", reason="tool_failed", tried_at=clock.now())
    found = savings.figures(alice)
    assert found.originals == [Line("video", 2, 10_000), Line("voice", 1, 1000)]
    assert found.compatible == [Line("mp3", 1, 2100, 1000)]
    assert found.smaller == [Line("mp4", 1, 2000, 5000)]
    assert found.previews == [Line("poster", 1, 90), Line("thumb_320", 1, 10)]
    assert found.thrown_away == [Line("mp4", 1, 4900, 5000, "not_smaller")]
    assert found.failed == [Line("mp4", 1, 0, 1000, "tool_failed")]
    assert (found.spared_bytes, found.grown_bytes, found.copy_bytes) == (3000, 1100, 4200)
    assert found.total_bytes == 15_200
    assert list(savings.without_a_copy(alice)) == [note]


def test_only_the_same_bytes_of_the_same_person_were_sent_twice(alice, workspace, connection, kept_file):
    for _ in range(3):
        kept_file(body=b"same" * 25)
    kept_file(body=b"something else")
    keep(make_file(connection, person=make_person(workspace, "Outra", None)), b"same" * 25)
    assert savings.figures(alice).duplicates == Line("", 2, 200)


def test_another_workspace_has_its_own_figures(charlie, alice, other_workspace, kept_file):
    copy_of(kept_file(body=b"ours"), "mp3", 7)
    theirs = make_connection(other_workspace, "meta_cloud", account_id="106500000000009")
    keep(make_file(theirs, person=make_person(other_workspace, "Outra", None)), b"theirs!")
    found = savings.figures(charlie)
    assert (found.original_bytes, found.copy_bytes, found.duplicates.count) == (7, 0, 0)


def test_an_empty_archive_has_figures_too(alice):
    found = savings.figures(alice)
    assert (found.total_bytes, found.originals, found.duplicates) == (0, [], Line("", 0, 0))


def test_the_number_of_queries_does_not_grow_with_the_archive(alice, kept_file):
    def queries():
        with CaptureQueriesContext(database, ) as asked:  # fmt: skip
            savings.figures(alice)
        return len(asked)

    copy_of(kept_file(), "mp3", 7)
    before = queries()
    for number in range(5):
        copy_of(kept_file(body=b"%d" % number, kind="video"), "mp4", 7)
    assert queries() == before == 4
    assert MediaFile.objects.count() == 6
