"""Errors, sorted by what can be done about them. `journey.py` knows only the three families."""

from __future__ import annotations

from typing import Any


class AcervoError(Exception):
    """Something went wrong."""

    code = "error"
    """A stable word kept on rows and shown through `acervo.web.words`; never translated."""

    def __init__(self, detail: str = "", *, code: str | None = None, **facts: Any) -> None:
        """`detail` says which thing, without secrets, phone numbers or content. `facts` are ids and numbers."""
        super().__init__(detail or (type(self).__doc__ or "").strip())
        if code is not None:
            self.code = code
        self.facts = facts


class TryLater(AcervoError):
    """The clock will help: the same step is tried again."""

    code = "try_later"

    def __init__(
        self, detail: str = "", *, after_s: float | None = None, code: str | None = None, **facts: Any
    ) -> None:
        """`after_s`: what the other side asked for, in seconds; None leaves it to our back-off."""
        super().__init__(detail, code=code, **facts)
        self.after_s = after_s


class NeedsPerson(AcervoError):
    """Someone has to act before this can continue."""

    code = "needs_person"


class Gone(AcervoError):
    """Nobody can bring this back."""

    code = "gone"


class Refused(AcervoError):
    """What was sent to us is not acceptable: a forged signature, an unreadable body, a wrong value."""

    code = "refused"
