"""Sharing: by priority, and among equals so that nothing moves that need not."""

from collections import Counter
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from sbc.routing.balance import Option, Rank, Strategy, ordered

KEYS = [b"caller-%d" % number for number in range(4000)]

strategies = st.sampled_from(["order", "weight", "hash", "least-calls"])
options = st.lists(
    st.builds(
        Rank, st.integers(min_value=0, max_value=3), st.integers(min_value=0, max_value=65535)
    ),
    max_size=8,
).map(lambda ranks: [Option(n, f"t{n}", rank) for n, rank in enumerate(ranks)])


def pool(**weights: int) -> list[Option[str]]:
    return [Option(name, name, Rank(0, weight)) for name, weight in weights.items()]


def first(found: Sequence[Option[str]], key: bytes) -> str:
    return ordered(found, "hash", key)[0]


def test_order_keeps_what_was_written() -> None:
    assert ordered(pool(c=1, a=9, b=5), "order", b"") == ["c", "a", "b"]


@given(options, strategies, st.binary(max_size=40))
def test_each_is_there_once_and_a_lower_priority_never_comes_later(
    found: list[Option[int]], strategy: Strategy, key: bytes
) -> None:
    order = ordered(found, strategy, key)
    assert sorted(order) == list(range(len(found)))
    priorities = [found[item].rank.priority for item in order]
    assert priorities == sorted(priorities)


@given(options, strategies, st.binary(max_size=40), st.randoms(use_true_random=False))
def test_how_a_list_is_written_decides_nothing_where_it_is_shared(
    found: list[Option[int]], strategy: Strategy, key: bytes, chance: object
) -> None:
    if strategy == "order":
        return
    mixed = list(found)
    chance.shuffle(mixed)  # type: ignore[attr-defined]  # hypothesis gives a random.Random
    assert ordered(mixed, strategy, key) == ordered(found, strategy, key)


@given(options, st.integers(min_value=0, max_value=7), st.binary(max_size=40))
def test_without_one_of_them_the_others_stand_as_before(
    found: list[Option[int]], gone: int, key: bytes
) -> None:
    with_all = ordered(found, "hash", key)
    without = ordered([one for one in found if one.item != gone], "hash", key)
    assert without == [item for item in with_all if item != gone]


def test_shares_are_as_the_weights() -> None:
    counted = Counter(first(pool(a=1, b=3, c=6), key) for key in KEYS)
    assert 300 < counted["a"] < 500
    assert 1050 < counted["b"] < 1350
    assert 2200 < counted["c"] < 2600


def test_one_that_is_added_takes_its_share_from_all_and_moves_nothing_else() -> None:
    before, after = pool(a=1, b=1, c=1), pool(a=1, b=1, c=1, d=1)
    moved = [key for key in KEYS if first(before, key) != first(after, key)]
    assert {first(after, key) for key in moved} == {"d"}
    assert 900 < len(moved) < 1100
    assert all(count > 250 for count in Counter(first(before, key) for key in moved).values())


def test_a_weight_of_nothing_is_hardly_ever_first() -> None:
    counted = Counter(first(pool(a=0, b=1), key) for key in KEYS)
    assert 0 < counted["a"] < 100


def test_all_without_weight_share_alike() -> None:
    counted = Counter(first(pool(a=0, b=0), key) for key in KEYS)
    assert 1800 < counted["a"] < 2200


def test_least_calls_are_counted_for_the_weight_and_chance_decides_between_equals() -> None:
    def busy(**calls: int) -> list[Option[str]]:
        weights = {"a": 1, "b": 2}
        return [Option(n, n, Rank(0, weights[n]), count) for n, count in calls.items()]

    assert ordered(busy(a=2, b=3), "least-calls", b"x") == ["b", "a"]
    assert ordered(busy(a=1, b=3), "least-calls", b"x") == ["a", "b"]
    equal = {ordered(busy(a=1, b=2), "least-calls", key)[0] for key in KEYS[:100]}
    assert equal == {"a", "b"}
