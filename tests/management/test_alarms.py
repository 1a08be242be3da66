"""What was warned of, kept for whoever looks later."""

from sbc.management.alarms import KEPT_OF_ONE, MOST_KINDS, Alarms
from sbc.management.log import Level, Log


def test_alarms_are_listed_oldest_first_whatever_kind_they_are() -> None:
    alarms = Alarms()
    alarms.note(3.0, "error", "b", {"x": 1})
    alarms.note(2.0, "warning", "a", {})
    assert alarms.listing() == [
        {"at": 2.0, "level": "warning", "event": "a", "fields": {}},
        {"at": 3.0, "level": "error", "event": "b", "fields": {"x": 1}},
    ]


def test_a_flood_of_one_kind_hides_no_other_and_is_counted() -> None:
    alarms = Alarms()
    alarms.note(0.0, "warning", "rare", {})
    for at in range(1000):
        alarms.note(float(at), "warning", "flood", {"at": at})
    listed = alarms.listing()
    assert [one["event"] for one in listed].count("rare") == 1
    assert len(listed) == KEPT_OF_ONE + 1
    assert listed[-1]["fields"] == {"at": 999}
    assert alarms.counts == {"rare": 1, "flood": 1000}


def test_kinds_are_bounded() -> None:
    alarms = Alarms()
    for number in range(MOST_KINDS + 5):
        alarms.note(0.0, "warning", str(number), {})
    assert len(alarms.counts) == MOST_KINDS


def test_the_log_keeps_what_it_warns_of_even_where_it_does_not_write_it() -> None:
    lines: list[bytes] = []
    log = Log(lines.append, level=Level.ERROR, wall=lambda: 5.0)
    log.info("fine", a=1)
    log("warning", "odd", source=("192.0.2.1", 5060), nothing=None)
    log.note(Level.ERROR, "broken", {"traceback": "Traceback\n  File x"})
    assert [(one["event"], one["fields"]) for one in log.alarms.listing()] == [
        ("odd", {"source": "192.0.2.1:5060"}),
        ("broken", {}),
    ]
    assert not any(b"odd" in line for line in lines)
