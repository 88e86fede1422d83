"""What a CRM is told of a file."""

from dataclasses import fields as columns
from dataclasses import replace

import pytest

from acervo.crms.contract import ContactDraft, RecordRef
from acervo.crms.mapping import FieldMap, Rule, Target
from acervo.deliver import fields
from tests.conftest import make_file


@pytest.mark.parametrize(
    ("language", "title"),
    [("en", "Voice note 0:42"), ("pt-br", "Áudio de voz 0:42"), ("es", "Nota de voz 0:42")],
)
def test_the_title_says_what_and_how_long_in_the_language_of_the_workspace(prepared, language, title):
    file = prepared()
    file.workspace.language = language
    assert fields.title(file) == title


def test_a_document_is_called_by_its_name(prepared):
    assert fields.title(prepared(kind="document", file_name="contrato.pdf")) == "Document contrato.pdf"


@pytest.mark.parametrize(
    ("duration_s", "face"), [(0.4, "0:00"), (59.6, "1:00"), (725, "12:05"), (3723, "1:02:03")]
)
def test_durations_are_read_off_a_clock(duration_s, face):
    assert fields.clock_face(duration_s) == face


def test_the_link_is_short_stable_and_tells_nobody(prepared, person, settings):
    settings.ACERVO_BASE_URL = "https://acervo.example.com"
    file = prepared(person=person, caption="the contract")
    assert fields.short_link(file) == f"https://acervo.example.com/m/{file.slug}"
    assert fields.media_link(file).url == fields.short_link(file)


def test_a_file_that_is_not_kept_cannot_be_told_of(connection):
    with pytest.raises(ValueError, match="kept"):
        fields.media_link(make_file(connection))


def test_the_hash_follows_every_fact_but_not_where_it_is_written(prepared):
    link = fields.media_link(prepared(), contact=RecordRef("contact", "1"))
    same = fields.payload_hash(link)
    changed = {
        "title": "Other", "kind": "audio", "mime": "audio/mpeg", "size_bytes": 1, "sha256": "b" * 64, "duration_s": 1.0,
        "chat": "x", "tags": ("a",), "transcript": "t", "consent": "granted", "caption": "c", "url": "https://x/m/1",
        "contact": RecordRef("contact", "2"), "direction": "out", "media_id": "0" * 26,
        "received_at": link.received_at.replace(year=2001),
        "field_map": FieldMap(1, media={"kind": Rule(Target("what_it_is", "text"))}),
    }  # fmt: skip
    assert set(changed) == {column.name for column in columns(link)} - {"known_ref", "person"}
    hashes = {name: fields.payload_hash(_with(link, name, value)) for name, value in changed.items()}
    assert same not in hashes.values()
    assert fields.payload_hash(_with(link, "known_ref", RecordRef("media", "7"))) == same
    assert fields.payload_hash(link, [RecordRef("deal", "9")]) != same


def test_who_somebody_is_counts_only_where_no_contact_says_it(prepared):
    person = ContactDraft(phone="+15555550142", person_id="p", first_name="Ana", media_count=1)
    alone = fields.media_link(prepared(), person=person)
    renamed = replace(person, first_name="Bia")
    hash_of = fields.payload_hash
    assert hash_of(alone) != hash_of(_with(alone, "person", renamed))
    assert hash_of(alone) == hash_of(_with(alone, "person", replace(person, media_count=2)))
    tied = _with(alone, "contact", RecordRef("contact", "1"))
    assert hash_of(tied) == hash_of(_with(tied, "person", renamed)) == hash_of(_with(tied, "person", None))


def _with(link, name, value):
    return replace(link, **{name: value})
