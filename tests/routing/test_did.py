"""Which peer and user a number belongs to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sbc.routing.did import Did, DidTable, Found, Step
from sbc.routing.patterns import number_matches, parse_number_pattern

ROWS = (
    Did("+4930600", ("pbx",), "600", where="a:1"),
    Did("+4930600-+4930699", ("pbx", "spare"), where="a:2"),
    Did("+4930*", (), "reception", failover="+4930600", where="a:3"),
    Did("+49*", ("spare",), where="a:4"),
)


def a_table(*rows: Did) -> DidTable:
    table = DidTable("main")
    for row in rows:
        assert table.add(row) is None
    return table


TABLE = a_table(*ROWS)


@pytest.mark.parametrize(
    ("number", "row"),
    [
        ("+4930600", 0),
        ("+4930601", 1),
        ("+4930699", 1),
        ("+49306990", 2),
        ("+493060", 2),
        ("+4930", 2),
        ("+493", 3),
        ("+4930x99", 2),
    ],
)
def test_the_exact_number_comes_first_then_the_range_then_the_longest_prefix(number, row):
    assert TABLE.find(number) == ROWS[row]


@pytest.mark.parametrize("number", ["", "+4", "4930600", "0"])
def test_what_no_row_holds_is_not_found(number):
    assert TABLE.find(number) is None
    assert TABLE.places(number, ()) is None


def test_a_row_says_where_to_and_whom():
    assert TABLE.places("+4930600", ("x",)) == Found((Step("pbx", "600"),), "+4930600 (a:1)")
    assert TABLE.places("+4930601", ("x",)) == Found(
        (Step("pbx", "+4930601"), Step("spare", "+4930601")), "+4930600-+4930699 (a:2)"
    )


def test_a_row_without_peers_takes_the_routes_and_the_failover_comes_after():
    assert TABLE.places("+4930111", ("one", "two")) == Found(
        (Step("one", "reception"), Step("two", "reception"), Step("pbx", "600")),
        "+4930* (a:3), failover +4930600 (a:1)",
    )


@pytest.mark.parametrize(
    ("second", "first"),
    [
        ("600", "600"),
        ("60*", "60*"),
        ("600-699", "600-699"),
        ("650-750", "600-699"),
        ("550-600", "600-699"),
        ("610-620", "600-699"),
        ("500-800", "600-699"),
    ],
)
def test_a_number_is_in_a_table_only_once(first, second):
    table = a_table(Did("200-299"), Did(first, where="a:1"), Did("900-999"))
    assert table.add(Did(second)) == Did(first, where="a:1")
    assert len(table) == 3


@pytest.mark.parametrize("number", ["6?0", "*#9*", "", "6 0", "9-1"])
def test_what_is_no_number_range_or_prefix_is_refused(number):
    with pytest.raises(ValueError, match=r"."):
        a_table(Did(number))


def test_tables_are_equal_when_their_rows_say_the_same():
    assert a_table(Did("1", where="a:1")) == a_table(Did("1", where="b:9"))
    assert a_table(Did("1")) != a_table(Did("1", ("pbx",)))
    assert a_table(Did("1")) != DidTable("other")
    assert a_table(Did("1")) != 1
    assert str(TABLE) == "4 numbers"


PATTERN = st.one_of(
    st.from_regex(r"[0-9]{1,4}", fullmatch=True),
    st.from_regex(r"[0-9]{0,3}\*", fullmatch=True),
    st.tuples(st.integers(100, 999), st.integers(100, 999)).map(
        lambda two: f"{min(two)}-{max(two)}"
    ),
)


@given(st.lists(PATTERN, max_size=20), st.from_regex(r"[0-9]{0,4}", fullmatch=True))
def test_whatever_is_found_matches_and_nothing_that_matches_is_missed(patterns, number):
    table = DidTable("main")
    for pattern in patterns:
        table.add(Did(pattern))
    found = table.find(number)
    holding = [
        row for row in table.rows if number_matches(parse_number_pattern(row.number), number)
    ]
    assert (found in holding) if found is not None else not holding
