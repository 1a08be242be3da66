"""How texts of strangers look."""

from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sbc.policy import appearance
from sbc.policy.appearance import plain_form


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("sipvicious", "sipvicious"),
        ("\uff53\uff49\uff50vicious", "sipvicious"),
        ("Jose\u0301", "Jos\u00e9"),
        ("\u2460\u2075", "15"),
        ("", ""),
    ],
)
def test_what_looks_the_same_is_the_same(text: str, plain: str) -> None:
    assert plain_form(text) == plain


@given(st.text(max_size=64))
def test_what_is_short_has_the_form_that_unicode_says(text: str) -> None:
    assert plain_form(text) == normalize("NFKC", text)


def test_no_pile_of_marks_is_put_in_order_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    longest = 0

    def measured(form: str, text: str) -> str:
        nonlocal longest
        longest = max(longest, len(text))
        return normalize(form, text)

    monkeypatch.setattr(appearance, "normalize", measured)
    pile = "x" + "\u0315\u0300" * 16_000
    assert sorted(plain_form(pile)) == sorted(pile)
    assert longest <= 64
