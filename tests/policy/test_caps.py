"""Caps per peer, whose counters cannot drift."""

from hypothesis import given
from hypothesis import strategies as st

from sbc.policy.caps import CallLimits, PeerCaps
from sbc.policy.model import Evidence


def test_calls_above_the_cap_get_503_and_say_why() -> None:
    caps = PeerCaps({"trunk": CallLimits(max_calls=2, where="sbc.yaml:7")})
    assert caps.begin("trunk", "a", 0.0).allowed
    assert caps.begin("trunk", "b", 0.0).allowed
    refusal = caps.begin("trunk", "c", 0.0)
    assert (refusal.outcome, refusal.status) == ("reject", 503)
    assert (refusal.rule, refusal.where) == ("max_calls of peer trunk", "sbc.yaml:7")
    assert refusal.tested == (Evidence("calls", "2", "below 2"),)
    caps.end("trunk", "a")
    assert caps.begin("trunk", "c", 0.0).allowed
    assert caps.calls("trunk") == 2


def test_a_call_counts_once_however_often_it_begins_or_ends() -> None:
    caps = PeerCaps({"pbx": CallLimits(max_calls=1)})
    assert caps.begin("pbx", "a", 0.0).allowed
    assert caps.begin("pbx", "a", 0.0).allowed
    assert caps.calls("pbx") == 1
    caps.end("pbx", "a")
    caps.end("pbx", "a")
    assert caps.calls("pbx") == 0


def test_calls_per_second_let_a_burst_pass_and_then_the_rate() -> None:
    caps = PeerCaps({"trunk": CallLimits(calls_per_second=2.0, burst=3)})
    passed = [caps.begin("trunk", str(n), 10.0).allowed for n in range(5)]
    assert passed == [True, True, True, False, False]
    assert [caps.begin("trunk", f"x{n}", 11.0).allowed for n in range(3)] == [True, True, False]
    refusal = caps.begin("trunk", "y", 11.0)
    assert refusal.rule == "calls_per_second of peer trunk"
    assert refusal.tested == (Evidence("calls_per_second", "used up", "2"),)


def test_a_call_refused_for_the_one_cap_costs_nothing_of_the_other() -> None:
    caps = PeerCaps({"trunk": CallLimits(max_calls=1, calls_per_second=1.0, burst=2)})
    assert caps.begin("trunk", "a", 0.0).allowed
    assert not caps.begin("trunk", "b", 0.0).allowed
    caps.end("trunk", "a")
    assert caps.begin("trunk", "c", 0.0).allowed


def test_peers_without_caps_are_counted_and_never_refused() -> None:
    caps = PeerCaps({})
    assert all(caps.begin("pbx", str(n), 0.0).allowed for n in range(1000))
    assert caps.calls("pbx") == 1000
    assert caps.calls("other") == 0


def test_other_caps_leave_live_calls_alone() -> None:
    caps = PeerCaps({"pbx": CallLimits(max_calls=5)})
    for n in range(5):
        caps.begin("pbx", str(n), 0.0)
    caps.apply({"pbx": CallLimits(max_calls=2)})
    assert caps.calls("pbx") == 5
    assert not caps.begin("pbx", "x", 0.0).allowed
    for n in range(4):
        caps.end("pbx", str(n))
    assert caps.begin("pbx", "x", 0.0).allowed


OPERATIONS = st.lists(
    st.tuples(st.booleans(), st.sampled_from(["a", "b"]), st.integers(0, 9), st.floats(0.0, 1.0)),
    max_size=100,
)


@given(OPERATIONS, st.none() | st.integers(0, 4), st.none() | st.floats(0.1, 5.0))
def test_the_counter_equals_the_live_calls(
    operations: list[tuple[bool, str, int, float]], most: int | None, rate: float | None
) -> None:
    caps = PeerCaps({"a": CallLimits(most, rate, 2), "b": CallLimits()})
    live: set[tuple[str, str]] = set()
    now = 0.0
    for begins, peer, call, pause in operations:
        now += pause
        if not begins:
            caps.end(peer, str(call))
            live.discard((peer, str(call)))
        elif caps.begin(peer, str(call), now).allowed:
            live.add((peer, str(call)))
        for name in ("a", "b"):
            assert caps.calls(name) == sum(1 for owner, _ in live if owner == name)
        assert most is None or caps.calls("a") <= most


def test_calls_that_would_bring_too_much_get_503_and_those_that_are_live_stay() -> None:
    caps = PeerCaps({"trunk": CallLimits(max_kbps=200)})
    assert caps.weighs
    assert caps.begin("trunk", "a", 0.0, 80).allowed
    assert caps.begin("trunk", "b", 0.0, 80).allowed
    refusal = caps.begin("trunk", "c", 0.0, 80)
    assert (refusal.rule, refusal.status) == ("max_kbps of peer trunk", 503)
    assert refusal.tested == (Evidence("kbps", "240 with this call", "at most 200"),)
    assert caps.begin("trunk", "d", 0.0, 24).allowed
    caps.weigh("trunk", "a", 1000)
    assert caps.kbps("trunk") == 1104
    caps.end("trunk", "a")
    assert caps.begin("trunk", "c", 0.0, 80).allowed


def test_a_call_that_is_over_is_weighed_no_more() -> None:
    caps = PeerCaps({"trunk": CallLimits(max_kbps=200)})
    caps.weigh("trunk", "a", 80)
    assert caps.kbps("trunk") == 0


def test_what_calls_bring_matters_to_nobody_without_such_a_cap() -> None:
    assert not PeerCaps({"trunk": CallLimits(max_calls=3)}).weighs


def test_how_many_began_in_the_last_second() -> None:
    caps = PeerCaps({})
    assert caps.begun("pbx", 0.0) == 0
    for number in range(5):
        caps.begin("pbx", f"a{number}", 10.0 + number / 10)
    assert caps.begun("pbx", 10.9) == 0
    assert caps.begun("pbx", 11.0) == 5
    caps.begin("pbx", "b", 11.5)
    assert (caps.begun("pbx", 11.9), caps.begun("pbx", 12.1), caps.begun("pbx", 13.0)) == (5, 1, 0)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["begin", "end", "weigh"]),
            st.sampled_from("ab"),
            st.integers(0, 5),
            st.integers(0, 200),
        )
    )
)
def test_the_sum_is_that_of_the_live_calls(deeds: list[tuple[str, str, int, int]]) -> None:
    caps, live = PeerCaps({"a": CallLimits(max_kbps=300)}), dict[tuple[str, int], int]()
    for deed, peer, call, kbps in deeds:
        if deed == "end":
            caps.end(peer, str(call))
            live.pop((peer, call), None)
        elif deed == "weigh":
            caps.weigh(peer, str(call), kbps)
            if (peer, call) in live:
                live[peer, call] = kbps
        elif caps.begin(peer, str(call), 0.0, kbps).allowed:
            live.setdefault((peer, call), kbps)
        for one in "ab":
            assert caps.kbps(one) == sum(v for (p, _), v in live.items() if p == one)


def test_emergency_calls_are_counted_and_forbidden_by_no_cap() -> None:
    caps = PeerCaps({"trunk": CallLimits(max_calls=1, calls_per_second=1.0, burst=1, max_kbps=100)})
    assert caps.begin("trunk", "a", 0.0, 90).allowed
    assert not caps.begin("trunk", "b", 0.0, 90).allowed
    assert caps.begin("trunk", "b", 0.0, 90, emergency=True).allowed
    assert (caps.calls("trunk"), caps.kbps("trunk")) == (2, 180)
    # It used up what was there: what is no emergency waits for its second as before.
    caps.end("trunk", "a")
    caps.end("trunk", "b")
    assert not caps.begin("trunk", "c", 0.5).allowed
    assert caps.begin("trunk", "c", 1.0).allowed
