"""When a failed try leads to the next one."""

import pytest

from sbc.routing.failover import (
    DEFAULT_FAILOVER,
    HUNTING_CODES,
    Failover,
    FailoverRule,
    may_hunt,
    settled,
)


def test_what_is_not_said_is_the_default() -> None:
    assert settled() == settled(FailoverRule(), FailoverRule()) == DEFAULT_FAILOVER


def test_each_word_comes_from_the_first_that_says_it() -> None:
    route = FailoverRule(codes=frozenset({404}))
    peer = FailoverRule(codes=frozenset({500}), timeout_s=2.0, budget_s=8.0)
    assert settled(route, peer) == Failover(frozenset({404}), 2.0, 8.0)


def test_an_empty_list_of_codes_is_something_said() -> None:
    assert settled(FailoverRule(codes=frozenset())).codes == frozenset()


@pytest.mark.parametrize("code", [180, 200, 302, 401, 407, 486, 487, 600, 603, 604, 606])
def test_answers_that_never_hunt(code: int) -> None:
    assert not may_hunt(code)


def test_all_that_hunt_by_default_may() -> None:
    assert all(may_hunt(code) for code in (*HUNTING_CODES, 404, 480, 488))
