"""Calls that are counted together."""

import pytest

from sbc.policy import live_calls
from sbc.policy.caps import CallLimits
from sbc.policy.live_calls import LiveCalls

ONE_A_SECOND = CallLimits(calls_per_second=1.0, burst=1)


def test_whose_rate_is_forgotten_began_a_call_longest_ago(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_calls, "MOST_RATES", 2)
    calls: LiveCalls[str] = LiveCalls()
    for key in ("first", "second", "first", "third"):
        calls.begin(key, ONE_A_SECOND, f"call of {key}", 0.0, 0)
    forgotten = [key for key in ("first", "second", "third")
                 if calls.objection(key, ONE_A_SECOND, 0.0, 0) is None]  # fmt: skip
    assert forgotten == ["second"]
    assert calls.counts() == {"first": 1, "second": 1, "third": 1}


def test_what_is_not_live_can_neither_end_nor_weigh_anything() -> None:
    calls: LiveCalls[str] = LiveCalls()
    calls.begin("a", CallLimits(), "one", 0.0, 80)
    calls.end("a", "two")
    calls.end("b", "one")
    calls.weigh("a", "two", 100)
    calls.weigh("b", "one", 100)
    assert (calls.of("a"), calls.of("b")) == ({"one": 80}, {})
    calls.end("a", "one")
    assert calls.counts() == {}
