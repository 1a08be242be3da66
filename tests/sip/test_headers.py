"""Headers are an ordered multimap that keeps what it was given."""

import pytest

from sbc.sip.headers import COMPACT, Headers


def some_headers() -> Headers:
    return Headers([("v", "a"), ("X-Odd", "1"), ("Via", "b, c"), ("x-odd", "2"), ("To", "t")])


def test_compact_and_long_names_are_found_by_the_long_name() -> None:
    headers = some_headers()
    assert headers.first("via") == "a"
    assert headers.all("via") == ["a", "b, c"]
    assert headers.values("via") == ["a", "b", "c"]
    assert headers.has("via")
    assert not headers.has("v")


def test_unknown_names_are_found_in_lower_case() -> None:
    assert some_headers().all("x-odd") == ["1", "2"]


@pytest.mark.parametrize(("compact", "name"), COMPACT.items())
def test_every_compact_form_is_known_in_both_cases(compact: str, name: str) -> None:
    assert Headers([(compact, "x")]).first(name) == "x"
    assert Headers([(compact.upper(), "x")]).first(name) == "x"


def test_what_is_absent_is_none_or_empty() -> None:
    headers = some_headers()
    assert headers.first("from") is None
    assert headers.all("from") == headers.values("from") == []
    headers.remove("from")
    assert headers == some_headers()


@pytest.mark.parametrize(
    ("value", "elements"),
    [
        ("", []),
        (" \t", []),
        ("a", ["a"]),
        (" a , b,c ", ["a", "b", "c"]),
        ("a,,b", ["a", "", "b"]),
        ('"x, y" <sip:a,b@c>;p="q\\",r", <sip:d>', ['"x, y" <sip:a,b@c>;p="q\\",r"', "<sip:d>"]),
        ('a, "b, c', ["a", '"b, c']),
        ("a, <b, c", ["a", "<b, c"]),
        ('"a",', ['"a"', ""]),
    ],
)
def test_lists_are_taken_apart_outside_quotes_and_brackets(value: str, elements: list[str]) -> None:
    assert Headers([("Require", value)]).values("require") == elements


def test_setting_replaces_all_in_the_place_of_the_first() -> None:
    headers = some_headers()
    headers.set("Via", "z")
    headers.set("Subject", "s")
    assert list(headers.items()) == [
        ("Via", "z"),
        ("X-Odd", "1"),
        ("x-odd", "2"),
        ("To", "t"),
        ("Subject", "s"),
    ]


def test_adding_and_removing_keep_the_order_of_the_rest() -> None:
    headers = some_headers()
    headers.append("Route", "r")
    headers.remove("x-odd")
    assert list(headers.items()) == [
        ("v", "a"),
        ("Via", "b, c"),
        ("To", "t"),
        ("Route", "r"),
    ]
    assert len(headers) == 4


def test_replacing_the_first_leaves_the_others_and_the_name() -> None:
    headers = some_headers()
    headers.replace_first("via", "z")
    assert next(iter(headers.items())) == ("v", "z")
    assert headers.all("via") == ["z", "b, c"]
    with pytest.raises(KeyError):
        headers.replace_first("from", "x")


def test_a_copy_is_independent() -> None:
    headers = some_headers()
    copy = headers.copy()
    copy.append("Route", "r")
    assert copy != headers
    assert headers == some_headers()


def test_names_compare_without_case_and_values_with() -> None:
    assert Headers([("VIA", "a")]) == Headers([("v", "a")])
    assert Headers([("Via", "a")]) != Headers([("Via", "A")])
    assert Headers() != []


@pytest.mark.parametrize("name", ["", "Via:", "X Y", "X\r\nY", "é"])
def test_what_is_no_header_name_is_refused(name: str) -> None:
    for write in (Headers().append, Headers().set):
        with pytest.raises(ValueError, match="not a header name"):
            write(name, "x")


def test_changing_gives_every_field_of_a_name_a_value_of_its_own_or_takes_it_away() -> None:
    headers = Headers([("X-A", "1"), ("Y", "1"), ("x-a", "2"), ("X-A", "3")])
    headers.change("x-a", lambda value: None if value == "2" else value * 2)
    assert list(headers.items()) == [("X-A", "11"), ("Y", "1"), ("X-A", "33")]


def test_renaming_keeps_values_and_order() -> None:
    headers = Headers([("x-a", "1"), ("Y", "2"), ("X-A", "3")])
    headers.rename("x-a", "v")
    assert list(headers.items()) == [("v", "1"), ("Y", "2"), ("v", "3")]
    assert headers.all("via") == ["1", "3"]
