"""Limits on calls per user, peer, network, source and all: what is counted is what is live."""

from hypothesis import given
from hypothesis import strategies as st

from sbc.policy.call_limits import MOST_EMERGENCIES, CallLimit, CallRoom, Per
from sbc.policy.conditions import Conditions, Evidence, asks
from sbc.policy.facts import Facts


def limit(per: Per = "user", *, when: Conditions | None = None, **said: float) -> CallLimit:
    return CallLimit("few", when or Conditions(), per, "p.yaml:3", **said)  # type: ignore[arg-type]  # as given


def of(user: str = "alice", *, peer: str | None = None, emergency: bool = False) -> Facts:
    facts = Facts("outside", False, "203.0.113.7", "INVITE", peer, user=user)
    facts.found["emergency"] = emergency
    return facts


def room(*limits: CallLimit) -> CallRoom:
    made = CallRoom()
    made.apply(limits)
    return made


def test_a_user_has_so_many_calls_and_another_user_its_own() -> None:
    few = limit(max_calls=2)
    here = room(few)
    assert [here.begin(of(), f"c{number}", 0.0) for number in range(2)] == [None, None]
    objection = here.begin(of(), "c3", 0.0)
    assert objection == (few, Evidence("calls", "2 of user alice", "below 2"))
    assert here.begin(of("bob"), "c4", 0.0) is None
    here.end("c0")
    assert here.begin(of(), "c5", 0.0) is None


def test_a_call_that_one_limit_forbids_is_counted_by_no_other() -> None:
    here = room(limit("all", max_calls=9), limit("network", max_calls=1))
    assert here.begin(of(), "a", 0.0) is None
    assert here.begin(of(), "b", 0.0) is not None
    assert sum(here.calls().values()) == 2


def test_new_calls_come_at_a_rate_after_a_burst() -> None:
    here = room(limit("source", calls_per_second=0.5, burst=2))
    begun = [here.begin(of(f"user{n}"), f"c{n}", float(n)) is None for n in range(5)]
    assert begun == [True, True, True, False, True]


def test_what_calls_bring_is_bounded_and_follows_what_they_say_later() -> None:
    here = room(limit("all", max_kbps=200))
    assert here.begin(of(), "a", 0.0, 80) is None
    assert here.begin(of(), "b", 0.0, 80) is None
    objection = here.begin(of(), "c", 0.0, 80)
    assert objection is not None
    assert objection.tested == Evidence("kbps", "240 with this call", "at most 200")
    here.weigh("a", 30)
    assert here.begin(of(), "d", 0.0, 80) is None


def test_a_limit_is_only_for_those_that_it_asks_for() -> None:
    here = room(limit("peer", when=asks(peer="trunk"), max_calls=0))
    assert here.begin(of(), "a", 0.0) is None
    assert here.begin(of(peer="trunk"), "b", 0.0) is not None


def test_an_emergency_call_is_counted_and_forbidden_by_nothing() -> None:
    here = room(limit("all", max_calls=1))
    assert here.begin(of(), "a", 0.0) is None
    assert here.begin(of(emergency=True), "b", 0.0) is None
    assert here.begin(of(), "c", 0.0) is not None
    assert here.calls() == {("few", ""): 2}


def test_a_phone_that_cries_for_help_too_often_meets_the_limits() -> None:
    here = room(limit("all", max_calls=1))
    for number in range(MOST_EMERGENCIES):
        assert here.begin(of(emergency=True), f"a{number}", 0.0) is None
    assert not here.exempts(of(emergency=True))
    assert here.begin(of(emergency=True), "more", 0.0) is not None
    assert here.begin(of("bob", emergency=True), "b", 0.0) is None
    assert here.begin(of(peer="pbx", emergency=True), "c", 0.0) is None
    here.end("a0")
    assert here.begin(of(emergency=True), "again", 0.0) is None


def test_calls_for_help_are_counted_where_there_are_no_limits_yet() -> None:
    here = room()
    for number in range(MOST_EMERGENCIES):
        assert here.begin(of(emergency=True), f"a{number}", 0.0) is None
    assert not here.exempts(of(emergency=True))
    assert here.begin(of(emergency=True), "more", 0.0) is None
    assert not here.exempts(of())
    for name in ("more", *(f"a{number}" for number in range(MOST_EMERGENCIES))):
        here.end(name)
    assert here.exempts(of(emergency=True))
    assert here.calls() == {}


CHANGES = st.lists(st.tuples(st.booleans(), st.integers(0, 5), st.sampled_from("xyz")), max_size=60)


@given(CHANGES, st.integers(0, 4))
def test_counters_are_the_live_calls_whatever_begins_and_ends(
    changes: list[tuple[bool, int, str]], most: int
) -> None:
    here = room(limit("user", max_calls=most), limit("all", max_calls=most + 2))
    live: dict[str, str] = {}
    for begins, number, user in changes:
        call = f"{user}{number}"
        if not begins:
            here.end(call)
            live.pop(call, None)
        elif call not in live and here.begin(of(user), call, 0.0) is None:
            live[call] = user
        users = {user: list(live.values()).count(user) for user in live.values()}
        expected = {("few", f"user {user}"): count for user, count in users.items()}
        if live:
            expected[("few", "")] = len(live)
        assert here.calls() == expected
        assert all(count <= most for count in users.values())
        assert len(live) <= most + 2
