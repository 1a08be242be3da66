"""What numbers cost, by tables that each may say half of it."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sbc.policy.library import Library
from sbc.policy.load import LoadedPolicy, combine, load_policy
from sbc.policy.tariffs import CutOff, Price, Row, Tariffs, digits_of

TABLE = Tariffs(
    [
        Row("49", Price(0.02)),
        Row("4915", Price(0.15), name="mobile"),
        Row("88", risk="satellite"),
        Row("8835", risk="irsf"),
        Row("88351", risk="", name="a company of ours"),
        Row("1", Price(0.03, 0.1)),
    ],
    unknown_price=2.0,
    currency="EUR",
)


@pytest.mark.parametrize(
    ("number", "price", "risk", "name"),
    [
        ("+4930123", 0.02, "", ""),
        ("+49151234", 0.15, "", "mobile"),
        ("+88161", 2.0, "satellite", ""),
        ("+88355", 2.0, "irsf", ""),
        ("+8835100", 2.0, "", "a company of ours"),
        ("004930123", 0.02, "", ""),
        ("4930123", 0.02, "", ""),
        ("49301", 0.0, "", ""),
        ("alice", 0.0, "", ""),
        ("+alice", 0.0, "", ""),
        ("", 0.0, "", ""),
        # What is dialled with something behind it costs what it costs without.
        ("+88355#", 2.0, "irsf", ""),
        ("+88355\u06f1", 2.0, "irsf", ""),
        ("0088355123*1", 2.0, "irsf", ""),
        ("123456#", 0.0, "", ""),
        ("#31#0088355123", 2.0, "irsf", ""),
        ("*31#+88355123", 2.0, "irsf", ""),
        ("**21*600#", 0.0, "", ""),
        ("*31#", 0.0, "", ""),
        ("+99", 2.0, "", ""),
    ],
)
def test_the_longest_prefix_that_says_something_counts(
    number: str, price: float, risk: str, name: str
) -> None:
    found = TABLE.price(number).per_minute, TABLE.risk(number), TABLE.name(number)
    assert found == (price, risk, name)


def test_a_call_costs_what_connecting_costs_and_its_minutes() -> None:
    assert TABLE.price("+1212555").of(10) == pytest.approx(0.4)
    assert TABLE.amount(0.4) == "0.40 EUR"
    assert Tariffs().amount(1) == "1.00"


@given(st.text(max_size=20))
def test_any_text_has_a_price(text: str) -> None:
    assert TABLE.price(text).per_minute in (0.0, 0.02, 0.03, 0.15, 2.0)
    assert digits_of(text) == "" or digits_of(text).isdigit()


def load(text: str, **files: str) -> LoadedPolicy:
    def read(path: Path) -> str:
        if path.name not in files:
            raise FileNotFoundError(2, "No such file")
        return files[path.name]

    return load_policy(text, "dir/p.yaml", library=Library(read=read))


def test_files_and_written_rows_make_one_table() -> None:
    policy = load(
        "tariffs:\n  currency: EUR\n  unknown_price: 1\n  files: [mine, theirs]\n"
        "  prices: [{prefix: +4930, price_per_minute: 0.01}]\n",
        mine="# ours\nprefix,price_per_minute\n49,0.02\n",
        theirs="Prefix;Risk;Name;Connect;Price_per_minute\n+49;none;Germany;9;9\n\n883;irsf\n",
    )
    assert policy.problems == ()
    tariffs = combine([policy, load("tariffs: {unknown_price: 7}")]).tariffs
    assert tariffs.price("+4930123") == Price(0.01)
    assert tariffs.price("+4940123") == Price(0.02)
    assert (tariffs.risk("+88312345"), tariffs.price("+88312345")) == ("irsf", Price(1.0))
    assert tariffs.currency == "EUR"


def test_of_several_policies_the_first_that_has_a_prefix_counts() -> None:
    mine = load("tariffs: {prices: [{prefix: 49, price_per_minute: 5}]}")
    theirs = load("tariffs: {prices: [{prefix: 49, price_per_minute: 6, risk: irsf}]}")
    tariffs = combine([mine, theirs]).tariffs
    assert (tariffs.price("+49301234").per_minute, tariffs.risk("+49301234")) == (5, "irsf")
    assert combine([load("rules: []")]).tariffs == Tariffs()


@pytest.mark.parametrize(
    ("text", "files", "said"),
    [
        ("tariffs: {files: gone}", {}, "dir/p.yaml:1:18: error: tariffs.files: gone: cannot be"),
        ("tariffs: {unknown_price: -1}", {}, "'-1' is no price (a number from 0 to 100000"),
        ("tariffs: {unknown_price: nan}", {}, "'nan' is no price"),
        ("tariffs: {prices: [{prefix: 0049}]}", {}, "'0049' is no prefix of a number (digits"),
        ("tariffs: {prices: [{prefix: 49, risk: X Y}]}", {}, "'X Y' is no class of risk (a word"),
        ("tariffs: {files: a}", {"a": ""}, "dir/a:1:1: error: the columns are not named so"),
        ("tariffs: {files: a}", {"a": "prefix,cost\n"}, "the columns are not named so"),
        ("tariffs: {files: a}", {"a": "# x\nprefix\n49,1\n"}, "dir/a:3:1: error: 2 cells stand"),
        ("tariffs: {files: a}", {"a": "prefix,risk\n49,\n4x,\n"}, "dir/a:3:1: error: '4x' is no"),
        ("tariffs: {files: a}", {"a": 'prefix\n"49\n'}, "dir/a:2:1: error: unexpected end of data"),
        (
            "tariffs: {files: a}",
            {"a": "prefix,price_per_minute\n" + "49,x\n" * 30},
            "dir/a:21:1: error: 'x' is no price; further complaints are left out",
        ),
    ],
)
def test_what_is_wrong_is_named_with_its_place(text: str, files: dict[str, str], said: str) -> None:
    policy = load(text, **files)
    assert policy.broken
    assert any(said in str(problem) for problem in policy.problems), policy.problems
    assert len(policy.problems) <= 20


@given(st.text(max_size=60))
def test_whatever_a_file_holds_it_is_a_table_or_a_problem(text: str) -> None:
    policy = load("tariffs: {files: a}", a=f"prefix,price_per_minute,risk\n{text}")
    assert policy.broken or isinstance(combine([policy]).tariffs, Tariffs)


def test_what_an_account_may_spend_is_what_the_first_policy_says_that_says_it() -> None:
    files = [load("tariffs: {unknown_price: 1}"), load("tariffs: {cut_off: {day: 5}}")]
    assert combine(files).tariffs.cut_off == CutOff(None, 5.0)
    assert combine(files[:1]).tariffs.cut_off is None
    broken = load("tariffs: {cut_off: {hour: -1, week: 3}}")
    assert broken.broken
    assert len(broken.problems) == 2
