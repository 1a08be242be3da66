"""What a policy file may say of a calendar, and the calendar that it gives."""

import re
from collections.abc import Iterable
from datetime import UTC, date, time, tzinfo
from typing import Annotated, Final
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, PlainValidator, WithJsonSchema

from sbc.document.schema import BadValue, OneOrMany, Section
from sbc.policy.calendars import DAYS, Hours, WorkingCalendar, YearDay

_CLOCK = re.compile(r"([01][0-9]|2[0-4]):([0-5][0-9])")
_YEAR_DAY = re.compile(r"([0-9]{2})-([0-9]{2})")
_DAYS_EXAMPLE: Final = "for example: [mon-fri, sun]"
_HOURS_EXAMPLE: Final = "for example: 08:00-18:00, or 22:00-06:00"
_DATE_EXAMPLE: Final = "for example: 2026-12-25, or 12-25 for every year"


def parse_days(value: object) -> frozenset[int]:
    """``mon`` or ``mon-fri``, as `date.weekday` counts them.

    Raises:
        BadValue: it is neither.
    """
    first, dash, last = str(value).lower().partition("-")
    if first not in DAYS or (dash and last not in DAYS):
        raise BadValue(f"{value!r} is no day and no range of days", _DAYS_EXAMPLE)
    start = DAYS.index(first)
    length = (DAYS.index(last) - start) % 7 if dash else 0
    return frozenset((start + number) % 7 for number in range(length + 1))


def parse_hours(value: object) -> Hours:
    """``08:00-18:00``; ``24:00`` is the end of the day.

    Raises:
        BadValue: it is no such range.
    """
    start, dash, end = str(value).partition("-")
    times = [_clock(text.strip()) for text in (start, end)]
    if not dash or times[0] is None or times[1] is None or start.strip() == "24:00":
        raise BadValue(f"{value!r} is no range of times", _HOURS_EXAMPLE)
    if times[0] == times[1]:
        raise BadValue(f"{value!r} is empty", "leave out `hours` for all day")
    return Hours(times[0], times[1])


def _clock(text: str) -> time | None:
    match = _CLOCK.fullmatch(text)
    if match is None or (match[1] == "24" and match[2] != "00"):
        return None
    return time(int(match[1]) % 24, int(match[2]))


def parse_date(value: object) -> date:
    """``2026-12-25``.

    Raises:
        BadValue: there is no such day.
    """
    try:
        return date.fromisoformat(str(value))
    except ValueError:
        raise BadValue(f"{value!r} is no date", "for example: 2026-12-25") from None


def parse_day(value: object) -> date | YearDay:
    """``2026-12-25``, or ``12-25`` for every year.

    Raises:
        BadValue: there is no such day.
    """
    match = _YEAR_DAY.fullmatch(str(value))
    if match is None:
        try:
            return date.fromisoformat(str(value))
        except ValueError:
            raise BadValue(f"{value!r} is no date", _DATE_EXAMPLE) from None
    try:
        # A leap year has all days that there are.
        date(2024, int(match[1]), int(match[2]))
    except ValueError:
        raise BadValue(f"{value!r} is no day of any year", _DATE_EXAMPLE) from None
    return YearDay(int(match[1]), int(match[2]))


def zone_of(name: str) -> tzinfo:
    """A time zone by its name.

    Raises:
        BadValue: this machine knows none of that name.
    """
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, OSError, ValueError):
        hint = "for example: Europe/Berlin; zones come with the package tzdata of the system"
        raise BadValue(f"there is no time zone {name!r} on this machine", hint) from None


def check_zone(name: str) -> str:
    """The name of a time zone.

    Raises:
        BadValue: this machine knows none of that name.
    """
    zone_of(name)
    return name


Days = Annotated[
    frozenset[int],
    PlainValidator(parse_days),
    WithJsonSchema({"type": "string", "examples": ["mon-fri"]}),
]
HoursText = Annotated[
    Hours,
    PlainValidator(parse_hours),
    WithJsonSchema({"type": "string", "examples": ["08:00-18:00"]}),
]
Date = Annotated[
    date,
    PlainValidator(parse_date),
    WithJsonSchema({"type": "string", "examples": ["2026-12-25"]}),
]
Day = Annotated[
    date | YearDay,
    PlainValidator(parse_day),
    WithJsonSchema({"type": "string", "examples": ["12-25"]}),
]


class CalendarSection(Section):
    """A named part of all time, which the condition `time` may name."""

    timezone: Annotated[str, AfterValidator(check_zone)] = Field(
        description="Whose clock counts, with its summer time.", examples=["Europe/Berlin"]
    )
    days: Annotated[tuple[Days, ...], Field(min_length=1), OneOrMany()] | None = Field(
        default=None, description="Days of the week; all by default.", examples=[["mon-fri"]]
    )
    hours: Annotated[tuple[HoursText, ...], OneOrMany()] = Field(
        default=(),
        description="Times of day; all day by default. The end is not included. Hours over "
        "midnight (`22:00-06:00`) belong to the day on which they begin.",
        examples=[["08:00-12:00", "13:00-17:00"]],
    )
    from_: Date | None = Field(
        default=None, alias="from", description="First day.", examples=["2026-01-01"]
    )
    until: Date | None = Field(
        default=None, description="Last day, included.", examples=["2026-12-31"]
    )
    dates: Annotated[tuple[Day, ...], Field(min_length=1), OneOrMany()] | None = Field(
        default=None,
        description="Only these days; `12-25` is one of every year.",
        examples=[["2026-12-25", "01-01"]],
    )
    holidays: Annotated[tuple[Day, ...], OneOrMany()] = Field(
        default=(),
        description="Days that do not belong to it, whatever else it says.",
        examples=[["2026-12-25", "01-01"]],
    )


def build_calendar(name: str, section: CalendarSection) -> WorkingCalendar:
    """The calendar that a section describes."""
    return WorkingCalendar(
        name,
        timezone=zone_of(section.timezone),
        zone=section.timezone,
        weekdays=frozenset(range(7)) if section.days is None else _union(section.days),
        hours=section.hours,
        first=section.from_ or date.min,
        last=section.until or date.max,
        dates=None if section.dates is None else frozenset(section.dates),
        holidays=frozenset(section.holidays),
    )


def _union(parts: Iterable[frozenset[int]]) -> frozenset[int]:
    return frozenset().union(*parts)
