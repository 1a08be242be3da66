"""What registrars write, good or hostile, read without harm."""

from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from sbc.sip.errors import ParseError
from sbc.sip.headers import Headers
from sbc.sip.message import Response
from sbc.trunks.messages import (
    LONGEST_EXPIRES_S,
    MOST_ASSOCIATED,
    MOST_ROUTES,
    min_expires,
    read_grant_untrusted,
    realm_of,
    status_line,
)

NAMES = (
    "Contact", "Expires", "Service-Route", "P-Associated-URI", "Min-Expires", "Retry-After",
    "WWW-Authenticate", "Proxy-Authenticate",
)  # fmt: skip
PIECES = (
    "<sip:us@203.0.113.1>", ";expires=", "60", "-1", "99999999999999999999", ",", "<", ">", '"',
    "Digest ", 'realm="', "sip:", ";lr", "*", "(", ";", "\\", "\udcff", " ",
)  # fmt: skip
VALUES = st.lists(st.sampled_from(PIECES), max_size=12).map("".join) | st.text(max_size=40)
RESPONSES = st.lists(st.tuples(st.sampled_from(NAMES), VALUES), max_size=6).map(
    lambda items: Response(200, "OK", Headers(items))
)


@given(RESPONSES)
def test_any_answer_is_a_grant_or_none_or_a_clear_error(response: Response) -> None:
    with suppress(ParseError):
        grant = read_grant_untrusted(response, "us", 600)
        if grant is not None:
            assert 0 < grant.expires_s <= LONGEST_EXPIRES_S
            assert len(grant.service_route) <= MOST_ROUTES
            assert len(grant.associated) <= MOST_ASSOCIATED


@given(RESPONSES)
def test_what_else_is_read_of_it_is_bounded(response: Response) -> None:
    found = min_expires(response)
    assert found is None or 0 <= found <= LONGEST_EXPIRES_S
    assert len(realm_of(response)) <= 120


def test_a_reason_phrase_is_cut_before_it_fills_the_log() -> None:
    assert len(status_line(Response(403, "x" * 10_000))) == 120
