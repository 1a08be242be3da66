"""The Warning header's value, whatever somebody else wrote into its text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sbc.sip.fields.warning import MAX_TEXT_LENGTH, quotable, warning


def test_it_names_who_warns_and_why() -> None:
    assert warning("192.0.2.1:5060", "no such call") == '399 192.0.2.1:5060 "no such call"'


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ('say "x"', "say 'x'"),
        ("a\\", "a'"),
        ("a\r\nVia: b", "a''Via: b"),
        ("a\0\x1b\x7f", "a'''"),
        ("Zürich", "Zürich"),
        ("raw \udcff", "raw '"),
    ],
)
def test_what_cannot_stand_between_quotes_is_replaced(text: str, quoted: str) -> None:
    assert quotable(text) == quoted


@given(st.text(max_size=500))
def test_any_text_becomes_one_short_line_without_quotes(text: str) -> None:
    quoted = quotable(text)
    assert len(quoted) <= MAX_TEXT_LENGTH
    assert quoted.isprintable()
    assert not set('"\\') & set(quoted)
