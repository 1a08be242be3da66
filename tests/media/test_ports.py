"""The port pool: every port once, and never again too soon."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.errors import PortsExhausted
from media.ports import PortPool


def taken(pool: PortPool, count: int, now: float = 0.0) -> list[int]:
    return [pool.take(now) for _ in range(count)]


def test_ports_are_even_and_leave_room_for_rtcp() -> None:
    pool = PortPool(20001, 20010, 1.0, 7)
    assert sorted(taken(pool, 4)) == [20002, 20004, 20006, 20008]
    assert pool.capacity == pool.in_use == 4


def test_the_order_depends_on_the_entropy() -> None:
    one, two = (taken(PortPool(20000, 20999, 1.0, seed), 500) for seed in (1, 2))
    assert sorted(one) == sorted(two) == list(range(20000, 21000, 2))
    assert one != two
    assert one != sorted(one)
    assert taken(PortPool(20000, 20999, 1.0, 1), 500) == one


def test_an_empty_pool_says_what_to_do() -> None:
    pool = PortPool(20000, 20003, 5.0, 1)
    first, _ = taken(pool, 2)
    pool.give_back(first, 1.0)
    with pytest.raises(PortsExhausted, match="between 20000 and 20003: 1 in use, 1 resting"):
        pool.take(5.9)
    assert pool.take(6.0) == first


def test_a_port_rests_before_it_is_used_again() -> None:
    pool = PortPool(20000, 20001, 30.0, 1)
    port = pool.take(0.0)
    pool.give_back(port, 10.0)
    assert (pool.free(39.9), pool.in_use) == (0, 0)
    assert pool.free(40.0) == 1


def test_giving_back_twice_is_a_bug() -> None:
    pool = PortPool(20000, 20001, 0.0, 1)
    port = pool.take(0.0)
    pool.give_back(port, 0.0)
    with pytest.raises(KeyError):
        pool.give_back(port, 0.0)


def test_a_smaller_range_lets_calls_finish() -> None:
    pool = PortPool(20000, 20007, 0.0, 1)
    ports = taken(pool, 4)
    pool.resize(20000, 20003, 0.0)
    for port in ports:
        pool.give_back(port, 1.0)
    assert sorted(taken(pool, 2, 2.0)) == [20000, 20002]
    with pytest.raises(PortsExhausted):
        pool.take(2.0)


def test_a_larger_range_is_used_at_once_and_no_port_twice() -> None:
    pool = PortPool(20000, 20003, 10.0, 1)
    used, resting = taken(pool, 2)
    pool.give_back(resting, 0.0)
    pool.resize(20000, 20007, 1.0)
    assert sorted(taken(pool, 2, 1.0)) == [20004, 20006]
    assert pool.take(10.0) == resting
    assert pool.in_use == 4
    assert used != resting


@pytest.mark.parametrize(("low", "high"), [(0, 100), (20000, 20000), (20001, 20002), (9, 70000)])
def test_a_range_without_a_pair_is_refused(low: int, high: int) -> None:
    with pytest.raises(ValueError, match=f"between {low} and {high}"):
        PortPool(low, high, 1.0, 1)


@given(
    st.lists(st.tuples(st.sampled_from(["take", "give", "resize", "wait"]), st.integers(0, 40))),
    st.integers(),
)
def test_no_port_is_ever_two_calls_port(steps: list[tuple[str, int]], entropy: int) -> None:
    pool, now = PortPool(100, 119, 3.0, entropy), 0.0
    held: list[int] = []
    rested: dict[int, float] = {}
    for step, number in steps:
        if step == "wait":
            now += number / 10
        elif step == "resize":
            pool.resize(100, 103 + number, now)
        elif step == "give" and held:
            port = held.pop(number % len(held))
            pool.give_back(port, now)
            rested[port] = now + 3.0
        elif step == "take" and pool.free(now):
            port = pool.take(now)
            assert port not in held
            assert rested.get(port, now) <= now
            held.append(port)
        assert pool.in_use == len(held)


def test_a_port_that_heard_nothing_needs_no_rest() -> None:
    pool = PortPool(10000, 10001, 10.0, 1)
    port = pool.take(0.0)
    pool.give_back(port, 0.0, unused=True)
    assert pool.take(0.0) == port
