"""Day or month first? Worked out from the whole file, never from one line."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from acervo.providers.chat_export.headers import Order, Stamp


class Rule(StrEnum):
    """What decided."""

    YEAR = "year"
    """A year stands first."""
    OVER_TWELVE = "over_twelve"
    """A number above twelve is no month."""
    FALLS = "falls"
    """Within a year a month never falls."""
    FUTURE = "future"
    """The other reading leads into the future."""
    LANGUAGE = "language"
    """The app's own words are of a language that writes the day first."""
    GUESS = "guess"
    """Nothing did: somebody has to say."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What the dates of a file mean, if they mean that."""

    order: Order
    first: datetime
    last: datetime


@dataclass(frozen=True, slots=True)
class Decision:
    order: Order
    rule: Rule
    readings: tuple[Reading, ...]
    """Of which to choose where nothing decided; otherwise the one."""

    @property
    def is_sure(self) -> bool:
        return self.rule is not Rule.GUESS


@dataclass(slots=True)
class Evidence:
    """Fed with every moment of a file, in its order."""

    year_first: int = 0
    first_over: int = 0
    second_over: int = 0
    first_falls: int = 0
    second_falls: int = 0
    first_moves: int = 0
    second_moves: int = 0
    before: tuple[int, int, int] | None = None
    edges: list[Stamp] = field(default_factory=list)
    """The first and the last."""
    latest: dict[Order, datetime] = field(default_factory=dict)

    def note(self, stamp: Stamp) -> None:
        first, second, year = stamp.numbers
        self.edges[1:] = [stamp]
        if stamp.is_long[0] or first > 31:
            self.year_first += 1
            return
        self.first_over += first > 12
        self.second_over += second > 12
        if self.before is not None and self.before[2] == year:
            self.first_falls += first < self.before[0]
            self.second_falls += second < self.before[1]
            self.first_moves += abs(first - self.before[0])
            self.second_moves += abs(second - self.before[1])
        if self.before != stamp.numbers:
            self.before = stamp.numbers
            self._note_latest(stamp)

    def _note_latest(self, stamp: Stamp) -> None:
        for order in (Order.DAY_FIRST, Order.MONTH_FIRST):
            moment = stamp.moment(order)
            if moment is not None and (order not in self.latest or moment > self.latest[order]):
                self.latest[order] = moment

    def decide(self, *, now: datetime, is_day_first_language: bool) -> Decision:
        """`now` on the phone's clock, a day more where its zone is unknown."""
        order, rule = self._decide(now, is_day_first_language)
        orders = (Order.DAY_FIRST, Order.MONTH_FIRST) if rule is Rule.GUESS else (order,)
        readings = tuple(reading for one in orders if (reading := self._reading(one)))
        if rule is Rule.GUESS and len(readings) == 1:
            return Decision(readings[0].order, Rule.OVER_TWELVE, readings)
        return Decision(order, rule, readings)

    def _decide(self, now: datetime, is_day_first_language: bool) -> tuple[Order, Rule]:
        day, month = Order.DAY_FIRST, Order.MONTH_FIRST
        if self.year_first > self.first_over:
            return Order.YEAR_FIRST, Rule.YEAR
        if self.first_over != self.second_over:
            return (day if self.first_over > self.second_over else month), Rule.OVER_TWELVE
        if bool(self.first_falls) != bool(self.second_falls):
            return (day if self.first_falls else month), Rule.FALLS
        late = {order for order, moment in self.latest.items() if moment > now}
        if len(late) == 1:
            return (month if day in late else day), Rule.FUTURE
        if is_day_first_language:
            return day, Rule.LANGUAGE
        likely = month if self.second_moves > self.first_moves else day
        return likely, Rule.GUESS

    def _reading(self, order: Order) -> Reading | None:
        moments = [stamp.moment(order) for stamp in self.edges]
        if not moments or moments[0] is None or moments[-1] is None:
            return None
        return Reading(order, moments[0], moments[-1])
