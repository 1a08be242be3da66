"""Variables of a document: texts and lists, and the places of what stands behind them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sbc.document.text import Document, Value, read_document
from sbc.document.variables import expand


def expanded(text: str, known: dict[str, Value] | None = None) -> Document:
    document = read_document(text, "p")
    expand(document, {} if known is None else known, {"SECRET": "s3", "EMPTY": ""})
    return document


def data(text: str, known: dict[str, Value] | None = None) -> dict[str, Value]:
    document = expanded(text, known)
    assert document.problems == []
    assert isinstance(document.data, dict)
    return {key: value for key, value in document.data.items() if key != "variables"}


def test_a_variable_stands_for_a_text_in_a_text_and_for_a_list_as_a_whole_value() -> None:
    text = """\
variables: {who: alice, home: [DE, AT], both: ["${home}", CH]}
a: x ${who} ${who} ${SECRET}
b: ${home}
c: [FR, "${both}", IT]
d: {e: "${who}"}
"""
    assert data(text) == {
        "a": "x alice alice s3",
        "b": ["DE", "AT"],
        "c": ["FR", "DE", "AT", "CH", "IT"],
        "d": {"e": "alice"},
    }


def test_variables_known_before_are_known_and_those_of_the_document_are_added() -> None:
    known: dict[str, Value] = {"a": "1"}
    assert data("variables: {b: '${a}2'}\nc: ${b}", known) == {"c": "12"}
    assert known == {"a": "1", "b": "12"}


def test_what_stands_behind_a_longer_list_keeps_its_place() -> None:
    text = "variables: {home: [DE, AT]}\nc:\n  - FR\n  - ${home}\n  - IT\nd: {e: x}\n"
    document = expanded(text)
    lines = [document.place(("c", number)).line for number in range(4)]
    assert lines == [3, 4, 4, 5]
    assert document.place(("d", "e")).line == 6
    assert document.place(("d", "e"), key=True).column == 5


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("variables: {home: DE}\na: ${hom}", ("p:2:4: error: a: there is no variable hom, and none "
         "in the environment (did you mean 'home'?)")),
        ("a: ${EMPTY}", ("p:1:4: error: a: there is no variable EMPTY, and none in the environment "
         "(there are no variables)")),
        ("a: ${", "p:1:4: error: a: '${' names no variable (write ${NAME})"),
        ("a: ${x-y}", "p:1:4: error: a: '${x-y}' names no variable (write ${NAME})"),
        ("variables: {h: [x]}\na: b ${h}", ("p:2:4: error: a: ${h} is a list, and can only be a "
         "whole value")),
        ("variables: {x-y: z}", ("p:1:18: error: variables.x-y: 'x-y' is no name of a variable "
         "(letters, digits and _)")),
        ("variables: {b: '${b}'}", ("p:1:16: error: variables.b: there is no variable b, and none "
         "in the environment (there are no variables)")),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_variable_is_said_once_and_at_its_place(
    text: str, problem: str
) -> None:
    assert [str(one) for one in expanded(text).problems] == [problem]


def test_a_variable_is_set_once() -> None:
    (problem,) = expanded("variables: {a: x}", {"a": "y"}).problems
    assert problem.message == "the variable a is there already"


def test_variables_of_variables_do_not_grow_without_a_bound() -> None:
    quoted = "'${a%d}'"
    lines = ["variables:", "  a0: [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"  a{n + 1}: [{', '.join([quoted % n] * 10)}]" for n in range(7)]
    document = expanded("\n".join(lines))
    assert any("more than 100000 entries" in one.message for one in document.problems)


@given(st.text(alphabet="${}ab: []\n-,", max_size=60))
def test_whatever_stands_there_is_a_document_or_a_problem(text: str) -> None:
    expanded("variables: {a: x, b: [y, z]}\n" + text)


def test_a_few_lines_of_variables_do_not_make_texts_without_end() -> None:
    lines = [f"  v{n}: '{f'${{v{n - 1}}}' * 100}'" for n in range(1, 7)]
    known: dict[str, Value] = {}
    document = expanded("\n".join(["variables:", f"  v0: {'x' * 100}", *lines]), known)
    assert {one.message for one in document.problems} == {
        "variables make more than 1000000 characters of texts"
    }
    assert sum(len(str(value)) for value in known.values()) <= 1_000_100
