"""The example of a site without a PBX: phones log in here, and call each other through us."""

import pytest

from sbc.sip.digest import Login
from sbc.sip.message import Request, Response, serialize
from sbc.sip.parser import parse_message_untrusted
from tests.kit.switchboard import (
    OFFER,
    PHONE_FLOW,
    Board,
    Sent,
    a_configuration,
    a_message,
    a_register,
    titles,
)

EXAMPLE = "deploy/examples/small-site.yaml"
PASSWORDS = {"ALICE_PASSWORD": "wonder", "BOB_PASSWORD": "builder"}
BOBS = PHONE_FLOW._replace(remote=("198.51.100.8", 40001))


@pytest.fixture
def board() -> Board:
    return Board(a_configuration(file=EXAMPLE, environment=PASSWORDS))


def logged_in(board: Board, flow, data: bytes, user: str, password: str) -> list[Sent]:
    """Send a request, answer the challenge; what comes then."""
    (challenge,) = board.give(flow, data)
    assert challenge.title.startswith("401")
    response = challenge.message
    assert isinstance(response, Response)
    lines = data.replace(b"CSeq: 1 ", b"CSeq: 2 ").replace(b"branch=z9hG4bK", b"branch=z9hG4bKa")
    request = parse_message_untrusted(lines)
    assert isinstance(request, Request)
    assert Login(user, password).answer(request, response, "c", 0)
    return board.give(flow, serialize(request))


def test_a_phone_registers_and_is_called_by_another(board):
    (ok,) = logged_in(board, PHONE_FLOW, a_register(), "alice", "wonder")
    assert ok.title == "200 REGISTER"
    (ok,) = logged_in(board, BOBS, a_register("bob"), "bob", "builder")
    assert ok.title == "200 REGISTER"
    call = a_message("INVITE", uri="sip:alice@203.0.113.10", from_user="bob", body=OFFER)
    trying, invite = logged_in(board, BOBS, call, "bob", "builder")
    assert (trying.title, invite.title, invite.flow) == ("100 INVITE", "INVITE", PHONE_FLOW)
    assert b"Authorization" not in invite.data
    assert invite.message.uri_text == "sip:alice@10.0.0.7:5060"


@pytest.mark.parametrize(
    ("user", "password"), [("alice", "wrong"), ("bob", "builder"), ("nobody", "wonder")]
)
def test_nobody_registers_as_somebody_else(board, user, password):
    (refused,) = logged_in(board, PHONE_FLOW, a_register(), user, password)
    assert refused.title in ("401 REGISTER", "403 REGISTER")
    assert board.switchboard.registrar.bindings == []
    assert board.leftovers() == {}


def test_a_phone_leaves_and_cannot_be_called_any_more(board):
    logged_in(board, PHONE_FLOW, a_register(), "alice", "wonder")
    bye = a_register(contact="*", expires=0, call_id="bye", branch="z9hG4bK-bye")
    (ok,) = logged_in(board, PHONE_FLOW, bye, "alice", "wonder")
    assert ok.title == "200 REGISTER"
    logged_in(board, BOBS, a_register("bob"), "bob", "builder")
    call = a_message("INVITE", uri="sip:alice@203.0.113.10", from_user="bob", body=OFFER)
    assert "480 INVITE" in titles(logged_in(board, BOBS, call, "bob", "builder"))


def test_a_short_life_is_refused(board):
    (refused,) = logged_in(board, PHONE_FLOW, a_register(expires=5), "alice", "wonder")
    assert refused.title == "423 REGISTER"
    assert refused.message.headers.first("min-expires") == "60"
