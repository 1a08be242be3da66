"""Calendars: named parts of all time, by the clock of a place."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta, tzinfo
from typing import Final, NamedTuple

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
"""In the order of `date.weekday`."""

_DAY: Final = timedelta(days=1)


class Hours(NamedTuple):
    """A part of each day, from one time up to another; over midnight if that is not later."""

    start: time
    end: time
    """Excluded; midnight is the end of the day."""


class YearDay(NamedTuple):
    """A day of every year."""

    month: int
    day: int


@dataclass(frozen=True, slots=True)
class WorkingCalendar:
    """Days and hours by the clock of a place, summer time and all.

    Hours over midnight belong to the day on which they begin: Friday from 22:00 to 06:00 ends on
    Saturday morning, whatever Saturday is.
    """

    name: str
    timezone: tzinfo = field(compare=False)
    zone: str = ""
    """The name of the time zone."""
    weekdays: frozenset[int] = frozenset(range(7))
    """As `date.weekday` counts them."""
    hours: tuple[Hours, ...] = ()
    """None for all day."""
    first: date = date.min
    last: date = date.max
    """Both included."""
    dates: frozenset[date | YearDay] | None = None
    """If given, only these days."""
    holidays: frozenset[date | YearDay] = frozenset()
    """Days that it does not hold on."""

    def holds(self, now: float) -> bool:
        """Whether a moment (seconds since 1970) lies in it."""
        moment = datetime.fromtimestamp(now, self.timezone)
        today, clock = moment.date(), moment.time()
        if not self.hours:
            return self._has(today)
        return any(self._within(hours, today, clock) for hours in self.hours)

    def _within(self, hours: Hours, today: date, clock: time) -> bool:
        start, end = hours
        if end > start or end == time.min:
            return start <= clock and (clock < end or end == time.min) and self._has(today)
        if clock >= start:
            return self._has(today)
        return clock < end and self._has(today - _DAY)

    def _has(self, day: date) -> bool:
        return (
            day.weekday() in self.weekdays
            and self.first <= day <= self.last
            and (self.dates is None or _among(day, self.dates))
            and not _among(day, self.holidays)
        )


def _among(day: date, days: Collection[date | YearDay]) -> bool:
    return day in days or YearDay(day.month, day.day) in days
