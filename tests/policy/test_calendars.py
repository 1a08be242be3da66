"""Calendars by the clock of a place: days, hours, holidays, and both changes of summer time."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sbc.document.schema import validate
from sbc.document.text import read_document
from sbc.policy.calendar_schema import CalendarSection, build_calendar
from sbc.policy.calendars import WorkingCalendar

BERLIN = ZoneInfo("Europe/Berlin")


def calendar(text: str) -> WorkingCalendar:
    document = read_document(text, "c")
    section = validate(document, CalendarSection)
    assert section is not None, [str(problem) for problem in document.problems]
    return build_calendar("c", section)


def problem_of(text: str) -> str:
    document = read_document(text, "c")
    assert validate(document, CalendarSection) is None
    (problem,) = document.problems
    return str(problem)


def at(text: str, zone: ZoneInfo = BERLIN, fold: int = 0) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=zone, fold=fold).timestamp()


@pytest.mark.parametrize(
    ("moment", "holds"),
    [
        ("2026-11-27 07:59:59", False),
        ("2026-11-27 08:00:00", True),
        ("2026-11-27 11:59:59", True),
        ("2026-11-27 12:00:00", False),
        ("2026-11-27 13:00:00", True),
        ("2026-11-27 18:00:00", False),
        ("2026-11-28 09:00:00", False),
        ("2026-11-30 09:00:00", True),
        ("2026-12-25 09:00:00", False),
        ("2027-12-24 09:00:00", True),
        ("2026-12-24 09:00:00", False),
        ("2027-01-01 09:00:00", False),
        ("2029-01-01 09:00:00", False),
    ],
)
def test_office_hours_are_days_and_times_without_holidays(moment: str, holds: bool) -> None:
    office = calendar(
        "{timezone: Europe/Berlin, days: [mon-fri], hours: [08:00-12:00, 13:00-18:00], "
        "holidays: [12-25, 01-01, 2026-12-24]}"
    )
    assert office.holds(at(moment)) is holds


@pytest.mark.parametrize(
    ("moment", "holds"),
    [
        ("2026-11-27 21:59", False),
        ("2026-11-27 22:00", True),
        ("2026-11-28 05:59", True),
        ("2026-11-28 06:00", False),
        ("2026-11-28 22:00", False),
        ("2026-11-29 02:00", False),
        # Thursday's night belongs to no Friday.
        ("2026-11-27 02:00", False),
    ],
)
def test_hours_over_midnight_belong_to_the_day_on_which_they_begin(
    moment: str, holds: bool
) -> None:
    friday_night = calendar("{timezone: Europe/Berlin, days: fri, hours: 22:00-06:00}")
    assert friday_night.holds(at(moment)) is holds


def test_midnight_as_an_end_is_the_end_of_the_day() -> None:
    for text in ("20:00-24:00", "20:00-00:00"):
        evening = calendar(f"{{timezone: Europe/Berlin, days: fri, hours: {text}}}")
        assert evening.holds(at("2026-11-27 23:59:59"))
        assert not evening.holds(at("2026-11-28 00:00"))


def test_when_the_clock_springs_forward_the_hour_that_is_missing_is_missing() -> None:
    night = calendar("{timezone: Europe/Berlin, hours: 01:30-03:30}")
    # 2026-03-29: at 01:00 UTC it becomes 03:00 in Berlin.
    start = datetime(2026, 3, 29, 0, 30, tzinfo=UTC).timestamp()
    assert [night.holds(start + minutes * 60) for minutes in (-1, 0, 29, 30, 59, 60)] == [
        False,
        True,
        True,
        True,
        True,
        False,
    ]


def test_when_the_clock_falls_back_the_hour_that_comes_twice_counts_twice() -> None:
    night = calendar("{timezone: Europe/Berlin, hours: 02:00-03:00}")
    # 2026-10-25: at 01:00 UTC it becomes 02:00 again in Berlin.
    start = datetime(2026, 10, 25, 0, 0, tzinfo=UTC).timestamp()
    assert [night.holds(start + minutes * 60) for minutes in (-1, 0, 59, 60, 119, 120)] == [
        False,
        True,
        True,
        True,
        True,
        False,
    ]
    assert night.holds(at("2026-10-25 02:30", fold=1))


def test_the_same_moment_is_in_the_office_in_one_place_and_not_in_another() -> None:
    moment = at("2026-07-01 09:00")
    assert calendar("{timezone: Europe/Berlin, hours: 08:00-18:00}").holds(moment)
    assert not calendar("{timezone: America/New_York, hours: 08:00-18:00}").holds(moment)
    assert not calendar("{timezone: UTC, hours: 08:00-18:00, from: 2026-07-02}").holds(moment)


def test_a_range_of_days_may_go_over_the_end_of_the_week() -> None:
    ends = calendar("{timezone: UTC, days: [fri-mon]}")
    zone = ZoneInfo("UTC")
    days = [ends.holds(at(f"2026-11-{day}", zone)) for day in range(23, 30)]
    assert days == [True, False, False, False, True, True, True]


def test_dates_bounds_and_days_must_all_hold() -> None:
    zone = ZoneInfo("UTC")
    some = calendar("{timezone: UTC, dates: [12-24, 2026-12-31], until: 2027-12-24}")
    held = [
        day
        for day in ("2026-12-24", "2026-12-31", "2027-12-24", "2027-12-31", "2028-12-24")
        if some.holds(at(day, zone))
    ]
    assert held == ["2026-12-24", "2026-12-31", "2027-12-24"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{}", "the key 'timezone' is missing (for example: Europe/Berlin)"),
        ("{timezone: Berlin}", "there is no time zone 'Berlin' on this machine"),
        ("{timezone: ../../etc/passwd}", "there is no time zone '../../etc/passwd'"),
        ("{timezone: UTC, days: [mo]}", "'mo' is no day and no range of days"),
        ("{timezone: UTC, hours: [8-18]}", "'8-18' is no range of times"),
        ("{timezone: UTC, hours: [08:00-08:00]}", "'08:00-08:00' is empty"),
        ("{timezone: UTC, hours: [24:00-08:00]}", "'24:00-08:00' is no range of times"),
        ("{timezone: UTC, hours: [08:00-24:30]}", "'08:00-24:30' is no range of times"),
        ("{timezone: UTC, holidays: [02-30]}", "'02-30' is no day of any year"),
        ("{timezone: UTC, holidays: [2026-02-29]}", "'2026-02-29' is no date"),
        ("{timezone: UTC, from: 12-24}", "'12-24' is no date"),
    ],
)
def test_what_is_no_calendar_is_said_in_words(text: str, problem: str) -> None:
    assert problem in problem_of(text)


@given(st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2040, 1, 1)))
def test_a_day_is_whole_whatever_the_clock_does(moment: datetime) -> None:
    day = calendar(f"{{timezone: Europe/Berlin, dates: {moment.date()}}}")
    assert day.holds(moment.replace(tzinfo=BERLIN).timestamp())


def test_calendars_are_alike_if_they_say_the_same() -> None:
    one = WorkingCalendar("c", BERLIN, "Europe/Berlin", first=date(2026, 1, 1))
    assert one == WorkingCalendar("c", ZoneInfo("Europe/Berlin"), "Europe/Berlin", first=one.first)
