"""What holds for all engines at once, and for what they share."""

from __future__ import annotations

import inspect
import math

import pytest

from acervo import transcribers
from acervo.base.errors import AcervoError, NeedsPerson, Refused, TryLater
from acervo.transcribers import answers, contract
from acervo.transcribers.contract import LANGUAGES, Said, UnusableAnswer
from acervo.web import words


def errors() -> list[type[AcervoError]]:
    kinds = [
        kind for _, kind in inspect.getmembers(contract, inspect.isclass) if issubclass(kind, AcervoError)
    ]
    return [kind for kind in kinds if kind.__module__ == contract.__name__]


def test_every_error_of_an_engine_has_a_family_and_a_code_of_its_own():
    assert len(errors()) > 8
    assert all(issubclass(kind, TryLater | NeedsPerson | Refused) for kind in errors())
    assert len({kind.code for kind in errors()}) == len(errors())


@pytest.mark.parametrize("kind", errors(), ids=lambda kind: kind.__name__)
def test_every_error_of_an_engine_has_words(kind):
    assert kind.code in words.TRANSCRIPT_TROUBLES


def test_every_engine_has_a_name_for_people():
    assert set(transcribers.ENGINES) == set(words.ENGINES)
    assert set(transcribers.OFFERED) < set(transcribers.ENGINES)


def test_languages_are_codes_of_two_letters_and_stand_once():
    assert all(len(code) == 2 and code.islower() for code in LANGUAGES)
    assert len(set(LANGUAGES)) == len(LANGUAGES)


@pytest.mark.parametrize(
    ("told", "code"),
    [
        ("portuguese", "pt"), ("Portuguese", "pt"), ("pt", "pt"), ("pt-BR", "pt"), ("pt_br", "pt"),
        ("spanish", "es"), ("english", "en"), ("klingon", ""), ("", ""), (None, ""), (7, ""),
    ],
)  # fmt: skip
def test_a_language_is_understood_however_it_is_said(told, code):
    assert answers.language_code(told) == code


@pytest.mark.parametrize(
    ("told", "confidence"),
    [
        (0, 1.0),
        (-0.1, 0.9048),
        (0.4, 1.0),
        (-99, 0.0),
        (None, None),
        ("-0.1", None),
        (math.nan, None),
        (True, None),
    ],
)
def test_confidence_is_a_share_or_unknown(told, confidence):
    assert answers.confidence(told) == confidence


def test_pieces_are_put_together_in_the_time_of_the_whole():
    pieces = [(0.0, (Said(0.0, 2.0, "um", 0.5),)), (600.0, (Said(1.0, 3.0, "dois"),))]
    assert answers.in_order(pieces) == (Said(0.0, 2.0, "um", 0.5), Said(601.0, 603.0, "dois"))


@pytest.mark.parametrize("text", ["a\0b", "\ud800ok", "  um   dois\n"])
def test_a_text_can_be_stored(text):
    kept = answers.clean(text)
    assert "\0" not in kept
    kept.encode()
    assert kept == kept.strip()


def test_a_list_without_end_is_no_answer():
    with pytest.raises(UnusableAnswer):
        answers.segments([{}] * (answers.MOST_SEGMENTS + 1), 1.0)
