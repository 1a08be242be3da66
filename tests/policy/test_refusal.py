"""What a response of our own says, and to whom."""

import pytest

from sbc.policy.refusal import Refusal, answered, refused
from sbc.policy.topology import NIL_UUID
from sbc.sip.message import Request, Response
from sbc.sip.parser import parse_message_untrusted
from sbc.sip.transaction.layer import RETRY_AFTER_S
from tests.kit.switchboard import a_message

UUID, OTHER = "0123456789abcdef" * 2, "fedcba9876543210" * 2


def a_request(*headers: str, to_tag: str | None = None) -> Request:
    request = parse_message_untrusted(a_message("INVITE", headers=headers, to_tag=to_tag))
    assert isinstance(request, Request)
    return request


def a_refusal(refusal: Refusal, *headers: str) -> Response:
    return refused(a_request(*headers), refusal, "ours", "192.0.2.1:5060", "sbc")


def test_only_what_is_meant_for_the_sender_is_said() -> None:
    refusal = Refusal(480, "not reachable now", "pbx.example.com has no known address")
    response = a_refusal(refusal)
    assert response.headers.all("warning") == ['399 192.0.2.1:5060 "not reachable now"']
    assert "pbx" not in str(list(response.headers.items())) + response.reason
    assert refusal.explanation == "pbx.example.com has no known address"
    assert Refusal(481, "no such dialog").explanation == "no such dialog"


def test_a_reason_of_its_own_and_no_warning() -> None:
    response = a_refusal(Refusal(403, "", "reject by rule", reason="Register first"))
    assert (response.status, response.reason) == (403, "Register first")
    assert response.headers.first("warning") is None


def test_retry_after_goes_with_503_only() -> None:
    assert a_refusal(Refusal(503, "x")).headers.first("retry-after") == str(RETRY_AFTER_S)
    assert a_refusal(Refusal(503, "x", retry_after_s=3)).headers.first("retry-after") == "3"
    assert a_refusal(Refusal(500, "x")).headers.first("retry-after") is None


def test_headers_that_the_status_asks_for() -> None:
    response = a_refusal(Refusal(405, "", headers=(("Allow", "INVITE"),)))
    assert response.headers.first("allow") == "INVITE"
    assert response.headers.first("server") == "sbc"
    assert response.to_tag == "ours"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (UUID, f"{NIL_UUID};remote={UUID}"),
        (f"{UUID.upper()};remote={NIL_UUID}", f"{NIL_UUID};remote={UUID}"),
        (f"{UUID}; x=y; remote={OTHER.upper()}", f"{OTHER};remote={UUID}"),
        (f"{UUID};remote={OTHER}0", f"{NIL_UUID};remote={UUID}"),
        (f"{UUID};xremote={OTHER}", f"{NIL_UUID};remote={UUID}"),
        (NIL_UUID, None),
        ("short", None),
    ],
)
def test_the_sender_finds_its_session_again(given: str, told: str | None) -> None:
    assert a_refusal(Refusal(486, ""), f"Session-ID: {given}").headers.first("session-id") == told
    answer = answered(a_request(f"Session-ID: {given}"), 200, "ours", None)
    assert answer.headers.first("session-id") == told


def test_who_sent_none_gets_none() -> None:
    assert not a_refusal(Refusal(486, "")).headers.has("session-id")
