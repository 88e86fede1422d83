"""Is the number somebody typed into a CRM the number of our customer? Decided with libphonenumber, not by text."""

from __future__ import annotations

import re

import phonenumbers

_BRAZIL_MOBILE = re.compile(r"^(\d{2})9([6-9]\d{7})$")
_BRAZIL_OLD_MOBILE = re.compile(r"^(\d{2})([6-9]\d{7})$")


def is_number(phone: str) -> bool:
    """Whether it can be a number at all: nothing below takes one that cannot."""
    try:
        _parsed(phone, None)
    except phonenumbers.NumberParseException:
        return False
    return True


def region_of(phone: str) -> str | None:
    """The country (ISO 3166, two letters) whose plan an E.164 number belongs to."""
    return phonenumbers.region_code_for_country_code(_parsed(phone, None).country_code or 0)


def forms(phone: str) -> tuple[str, ...]:
    """The E.164 forms under which one line is known, the given one first.

    WhatsApp keeps the form a line had when it signed up: Brazil without its ninth digit (added 2012-2016),
    Mexico with the 1 and Argentina with the 9 of the old mobile prefixes, which people do not dial any more.
    """
    number = _parsed(phone, None)
    code, national = number.country_code, phonenumbers.national_significant_number(number)
    others = (_other_form(code, national), national)
    return tuple(dict.fromkeys(f"+{code}{form}" for form in reversed(others) if form))


def local_forms(phone: str) -> tuple[str, ...]:
    """`forms` as dialled inside the country, without its code: what HubSpot's searchable fields hold."""
    prefix = len(str(_parsed(phone, None).country_code)) + 1
    return tuple(form[prefix:] for form in forms(phone))


def is_same_line(typed: str | None, phone: str, *, region: str | None = None) -> bool:
    """Whether `typed`, as a person wrote it, is the line of `phone` (E.164).

    A number typed without its country code is read as one of `region`; where that is unknown, as a number of
    the country `phone` is from.
    """
    if not typed:
        return False
    try:
        theirs = _parsed(typed, region or region_of(phone))
    except phonenumbers.NumberParseException:
        return False
    return _one_form(theirs) == _one_form(_parsed(phone, None))


def _parsed(phone: str, region: str | None) -> phonenumbers.PhoneNumber:
    return phonenumbers.parse(phone, region)


def _one_form(number: phonenumbers.PhoneNumber) -> tuple[int | None, str]:
    code, national = number.country_code, phonenumbers.national_significant_number(number)
    return code, min(national, _other_form(code, national) or national, key=len)


def _other_form(code: int | None, national: str) -> str | None:
    if code == 55:
        if match := _BRAZIL_MOBILE.match(national):
            return match[1] + match[2]
        if match := _BRAZIL_OLD_MOBILE.match(national):
            return f"{match[1]}9{match[2]}"
    if code in {52, 54}:
        mark = "1" if code == 52 else "9"
        if len(national) == 11 and national[0] == mark:
            return national[1:]
        if len(national) == 10:
            return mark + national
    return None
