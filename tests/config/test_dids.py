"""DID tables: what a CSV file may look like, and where its mistakes are told."""

from pathlib import Path

import pytest

from sbc.config.load import load_text
from sbc.config.reload import diff
from sbc.routing.did import Did
from tests.config.files import GOOD, FakeMachine, read_policy

WITH_FILE = GOOD.replace(
    "routes:\n", "dids: {main: {file: dids.csv}}\nroutes:\n  - {dids: main, to: pbx}\n"
)


def load(csv: str, text: str = WITH_FILE):
    def read(path: Path) -> str:
        return csv if path.name == "dids.csv" else read_policy(path)

    return load_text(text, "sbc.yaml", FakeMachine(), {}, read)


def problems(csv: str, text: str = WITH_FILE) -> list[str]:
    return [str(problem) for problem in load(csv, text).problems]


def rows(csv: str) -> list[Did]:
    configuration = load(csv).configuration
    assert configuration is not None, problems(csv)
    return configuration.settings.dids[0].rows


def test_a_file_has_the_columns_that_its_first_line_names():
    csv = 'User,Number,Peer\n600,+4930600,pbx\n\n# remark\n,"+4930700-+4930799",pbx trunk\n,+49*\n'
    assert rows(csv) == [
        Did("+4930600", ("pbx",), "600", "", "dids.csv:2"),
        Did("+4930700-+4930799", ("pbx", "trunk"), "", "", "dids.csv:5"),
        Did("+49*", (), "", "", "dids.csv:6"),
    ]


def test_a_file_of_a_spreadsheet_may_have_semicolons():
    assert rows("number;peer\r\n+4930600;pbx\r\n") == [
        Did("+4930600", ("pbx",), "", "", "dids.csv:2")
    ]


@pytest.mark.parametrize(
    ("csv", "problem"),
    [
        ("", "1:1: error: there is no column ''"),
        ("nummer,peer\n", "1:1: error: there is no column 'nummer'"),
        ("peer\npbx\n", "1:1: error: the columns are not named, each once"),
        ("number,number\n", "1:1: error: the columns are not named, each once"),
        (
            "number\n4.93E+11\n",
            (
                "2:1: error: number: 4.93E+11 is what a spreadsheet makes of a long number "
                "(give the column the format text, and write the numbers again)"
            ),
        ),
        (
            "number\n600\n600\n",
            (
                "3:1: error: number: 600 is in dids.csv:2 already "
                "(each number can be in a table only once)"
            ),
        ),
        (
            "number\n600-699\n650-750\n",
            (
                "3:1: error: number: 650-750 is in dids.csv:2 already "
                "(each number can be in a table only once)"
            ),
        ),
        (
            "number,peer\n600,pxb\n",
            "2:1: error: peer: there is no peer 'pxb' (did you mean 'pbx'?)",
        ),
        (
            "number,failover\n600,700\n",
            "2:1: error: failover: '700' is not in the table (add a row for it)",
        ),
        (
            "number,failover\n600,600\n",
            "2:1: error: failover: 600 is its own failover (name another number)",
        ),
        (
            "number\n6?0\n",
            (
                "2:1: error: number: '6?0' cannot be used: it is a number, a range like 600-699 "
                "or a prefix like +4930*"
            ),
        ),
        (
            "number,user\n600,a b\n",
            "2:1: error: user: 'a b' is no user (for example: 600)",
        ),
        (
            "number,peer\n,pbx\n",
            (
                "2:1: error: number: a number pattern has at least one character and no blanks "
                "(for example: 600, +49* or 600-699)"
            ),
        ),
        ("number\n600,pbx\n", "2:1: error: 2 cells stand under 1 columns (quote commas)"),
    ],
)
def test_a_mistake_is_told_with_file_line_and_column(csv, problem):
    found = problems(csv)
    assert [text.removeprefix("dids.csv:").partition(" (the first line")[0] for text in found] == [
        problem
    ]


def test_an_unclosed_quote_is_told_where_it_opens_and_the_file_ends_there():
    (found,) = problems('number\n"600\n601\n')
    assert found.startswith("dids.csv:2:1: error: this is no line of CSV: ")


def test_of_many_mistakes_the_first_are_told():
    found = problems("number,peer\n" + "".join(f"{n},nobody\n" for n in range(100, 400)))
    assert len(found) == 20
    assert found[-1].endswith("there is no peer 'nobody'; further complaints are left out")


def test_numbers_in_the_file_and_here_are_one_table():
    text = WITH_FILE.replace(
        "{file: dids.csv}", '{file: dids.csv, numbers: {"600": {peer: pbx, failover: "700"}}}'
    )
    assert problems("number\n700\n", text) == []
    assert problems("number\n700\n600\n", text) == [
        (
            "dids.csv:3:1: error: number: 600 is in sbc.yaml:20 already "
            "(each number can be in a table only once)"
        ),
    ]


def test_a_reload_takes_the_file_as_it_is_then():
    old, new = load("number\n600\n").configuration, load("number\n\n600\n601\n").configuration
    assert old is not None
    assert new is not None
    (change,) = diff(old, new).changes
    assert [str(one) for one in change.differences] == ["dids.main: 1 numbers -> 2 numbers"]
    assert diff(old, load("number\n\n600\n").configuration or old).changes == ()
