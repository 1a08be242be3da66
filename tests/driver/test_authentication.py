"""Who is challenged at the door, what that costs, and what goes on to the other side."""

import pytest

from sbc.config.load import Configuration
from sbc.sip.digest import Challenge, Login, ha1_of, parse_credentials_untrusted
from sbc.sip.message import Request, Response
from sbc.sip.parser import parse_message_untrusted
from tests.kit.switchboard import (
    ANSWER,
    OFFER,
    PBX_FLOW,
    PHONE_FLOW,
    Board,
    Sent,
    a_configuration,
    a_message,
    a_register,
    in_force,
    titles,
)

TEXT = """\
networks:
  outside: {bind: 203.0.113.10, listen: [udp/5060, tcp/5060]}
  inside: {trust: trusted, bind: 192.168.1.2, listen: udp/5062, media_ports: 20000-29999}
peers:
  pbx: {kind: pbx, network: inside, address: 192.168.1.5}
  phones:
    kind: endpoints
    network: outside
    domain: example.com
    authentication: {mode: challenge, users: {alice: s3cret, bob: b0b}}
  office:
    kind: pbx
    network: outside
    authentication:
      mode: challenge
      realm: trunks.example.com
      identify: credentials
      users: {acme: acm3}
  branch:
    kind: pbx
    network: outside
    sources: 192.0.2.9
    authentication:
      mode: challenge
      realm: trunks.example.com
      identify: credentials
      users: {corp: c0rp}
routes:
  - {from: outside, to: pbx}
  - {from: office, to: pbx}
  - {from: pbx, to: phones}
policies: ../policies/edge-default.yaml
"""
CONFIGURATION = a_configuration(TEXT)
STRANGER = PHONE_FLOW._replace(remote=("198.51.100.66", 5060))
BRANCH = PHONE_FLOW._replace(remote=("192.0.2.9", 5060))


def a_board() -> Board:
    return Board(CONFIGURATION)


def answered(
    request: bytes, challenge: Sent, user: str = "alice", password: str = "s3cret", *, cseq: int = 2
) -> bytes:
    """The next attempt at a request, with credentials."""
    again = parse_message_untrusted(request)
    refusal = challenge.message
    assert isinstance(again, Request)
    assert isinstance(refusal, Response)
    again.headers.set("CSeq", f"{cseq} {again.method}")
    again.headers.set("Via", f"{again.headers.first('via')}-{cseq}")
    assert Login(user, password).answer(again, refusal, "c", 0)
    return bytes_of(again)


def bytes_of(request: Request) -> bytes:
    lines = [f"{request.method} {request.uri_text} SIP/2.0"]
    lines += [f"{name}: {value}" for name, value in request.headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + request.body


def an_invite(call: int = 1, *, user: str = "alice", to_tag: str | None = None) -> bytes:
    return a_message(
        "INVITE", branch=f"z9hG4bK-i{call}", call_id=f"c-{call}", from_user=user, body=OFFER
    )


def log_in(board: Board, user: str = "alice", password: str = "s3cret") -> list[Sent]:
    request = a_register(user, domain="example.com")
    (challenge,) = board.give(PHONE_FLOW, request)
    return board.give(PHONE_FLOW, answered(request, challenge, user, password))


def registered(board: Board) -> None:
    (relayed,) = log_in(board)
    contact = relayed.message.headers.first("contact") or ""
    board.reply(relayed, 200, headers=(f"Contact: {contact};expires=3600",))


def test_a_phone_registers_once_it_has_logged_in() -> None:
    board = a_board()
    (challenge,) = board.give(PHONE_FLOW, a_register(domain="example.com"))
    assert challenge.title == "401 REGISTER"
    assert board.leftovers() == {}
    (relayed,) = log_in(board)
    assert (relayed.title, relayed.flow.remote) == ("REGISTER", PBX_FLOW.remote)
    assert not relayed.message.headers.has("authorization")


def test_a_wrong_password_goes_nowhere_and_leaves_nothing() -> None:
    board = a_board()
    assert titles(log_in(board, password="guess")) == ["401 REGISTER"]
    assert board.leftovers() == {}
    tally = board.switchboard.tally
    assert (tally.challenged, tally.unauthenticated) == (1, 1)
    ((_, _, told),) = [line for line in board.log.lines if "refused" in line[1]]
    assert "the password is wrong" in str(told["why"])
    assert "guess" not in str(board.log.lines)


def test_many_phones_behind_one_address_are_all_challenged_at_once() -> None:
    board = a_board()
    sent = [
        one
        for number in range(20)
        for one in board.give(PHONE_FLOW, a_register(f"u{number}", domain="example.com"))
    ]
    assert titles(sent) == ["401 REGISTER"] * 20


def test_guessing_strangers_hear_little() -> None:
    board = a_board()
    request = a_register(domain="example.com")
    (challenge,) = board.give(PHONE_FLOW, request)
    heard = [
        board.give(PHONE_FLOW, answered(request, challenge, password="guess", cseq=number))
        for number in range(2, 12)
    ]
    assert [titles(sent) for sent in heard] == [["401 REGISTER"], *[[]] * 9]


def test_a_retransmission_is_not_challenged_again() -> None:
    board = a_board()
    request = a_register(domain="example.com")
    (challenge,) = board.give(PHONE_FLOW, request)
    proved = answered(request, challenge)
    board.give(PHONE_FLOW, proved)
    assert board.give(PHONE_FLOW, proved) == []
    assert board.switchboard.tally.challenged == 1


def test_a_registered_phone_logs_in_for_each_call() -> None:
    board = a_board()
    registered(board)
    request, before = an_invite(), board.leftovers()
    (challenge,) = board.give(PHONE_FLOW, request)
    assert challenge.title == "401 INVITE"
    assert board.give(PHONE_FLOW, a_message("ACK", branch="z9hG4bK-i1", call_id="c-1")) == []
    assert board.leftovers() == before
    trying, invite = board.give(PHONE_FLOW, answered(request, challenge))
    assert (trying.title, invite.title) == ("100 INVITE", "INVITE")
    assert not invite.message.headers.has("authorization")
    (call,) = board.switchboard.calls
    assert any("logged in as 'alice'" in str(line) for line in call.journal.to_data().values())


def test_nobody_calls_under_anothers_name() -> None:
    board = a_board()
    registered(board)
    request = an_invite(user="bob")
    (challenge,) = board.give(PHONE_FLOW, request)
    (refused,) = board.give(PHONE_FLOW, answered(request, challenge))
    assert refused.title == "403 INVITE"
    assert b"alice" not in refused.data.partition(b"Warning")[2]


def test_inside_a_call_nobody_is_challenged_and_credentials_of_ours_go_no_further() -> None:
    board = a_board()
    registered(board)
    request = an_invite()
    (challenge,) = board.give(PHONE_FLOW, request)
    invite = board.give(PHONE_FLOW, answered(request, challenge))[1]
    ok = board.reply(invite, 200, headers=("Contact: <sip:pbx@192.168.1.5>",), body=ANSWER)[-1]
    tag = ok.message.to_tag
    board.give(PHONE_FLOW, a_message("ACK", call_id="c-1", branch="z9hG4bK-a", to_tag=tag, cseq=2))
    credentials = (
        'Authorization: Digest username="alice", realm="example.com", nonce="n", '
        'uri="sip:600@203.0.113.10", response="00"'
    )
    info = a_message(
        "INFO", call_id="c-1", branch="z9hG4bK-n", to_tag=tag, cseq=3, headers=(credentials,)
    )
    (relayed,) = board.give(PHONE_FLOW, info)
    assert relayed.title == "INFO"
    assert not relayed.message.headers.has("authorization")


def test_options_is_not_challenged() -> None:
    board = a_board()
    registered(board)
    assert titles(board.give(PHONE_FLOW, a_message("OPTIONS", call_id="o"))) == ["200 OPTIONS"]


def test_a_peer_without_a_realm_passes_credentials_through() -> None:
    board = Board()
    header = 'Authorization: Digest username="a", realm="pbx", nonce="n", uri="sip:h", response="0"'
    (relayed,) = board.give(PHONE_FLOW, a_register(headers=(header,)))
    assert relayed.message.headers.first("authorization") == header.partition(": ")[2]


# -- peers that are known by their credentials ----------------------------------------------------


def test_a_pbx_that_calls_from_anywhere_is_known_once_it_has_logged_in() -> None:
    board = a_board()
    request = an_invite(user="+4930123")
    (challenge,) = board.give(STRANGER, request)
    assert challenge.title == "401 INVITE"
    assert 'realm="trunks.example.com"' in challenge.data.decode()
    trying, _ = board.give(STRANGER, answered(request, challenge, "acme", "acm3"))
    assert trying.title == "100 INVITE"
    (call,) = board.switchboard.calls
    assert call.a.peer == "office"


@pytest.mark.parametrize(("user", "password"), [("acme", "x"), ("corp", "x"), ("nobody", "x")])
def test_strangers_learn_no_user_names(user: str, password: str) -> None:
    board = a_board()
    request = an_invite()
    (challenge,) = board.give(STRANGER, request)
    (refused,) = board.give(STRANGER, answered(request, challenge, user, password))
    assert refused.title == "401 INVITE"
    assert board.leftovers() == {}


def test_a_peer_known_by_its_address_logs_in_all_the_same() -> None:
    board = a_board()
    request = an_invite()
    (challenge,) = board.give(BRANCH, request)
    assert titles(board.give(BRANCH, answered(request, challenge, "corp", "c0rp")))[0] == (
        "100 INVITE"
    )


# -- reload ---------------------------------------------------------------------------------------


def test_a_new_password_holds_at_once_and_the_old_one_no_more() -> None:
    board = a_board()
    board.switchboard.configure(
        in_force(a_configuration(TEXT.replace("alice: s3cret", "alice: another"))), board.now
    )
    assert titles(log_in(board)) == ["401 REGISTER"]
    board.wait(2)
    assert titles(log_in(board, password="another")) == ["REGISTER"]


# -- our account at a trunk -----------------------------------------------------------------------

TRUNK = """\
networks:
  outside: {bind: 203.0.113.10, listen: udp/5060}
  inside: {trust: trusted, bind: 192.168.1.2, listen: udp/5062, media_ports: 20000-29999}
peers:
  pbx: {kind: pbx, network: inside, address: 192.168.1.5}
  carrier:
    kind: trunk
    network: outside
    address: 192.0.2.10
    authentication: {mode: answer, username: acme, password: "${PW}"}
routes:
  - {from: pbx, to: carrier}
policies: ../policies/edge-default.yaml
"""


def a_trunk_configuration(password: str) -> Configuration:
    return a_configuration(TRUNK, environment={"PW": password})


def call_out(board: Board, number: int) -> Sent:
    """The PBX calls; what the carrier gets."""
    call_id, branch = f"out-{number}", f"z9hG4bK-o{number}"
    uri = "sip:4930123@192.168.1.2:5062"
    invite = a_message("INVITE", uri=uri, call_id=call_id, branch=branch, body=OFFER)
    return board.give(PBX_FLOW, invite)[-1]


def logged_in(sent: Sent, password: str) -> bool:
    value = sent.message.headers.first("proxy-authorization")
    if value is None:
        return False
    ha1 = ha1_of("MD5", "acme", "carrier.example", password)
    return parse_credentials_untrusted(value).proves(ha1, "INVITE", sent.message.body)


CHALLENGE = f"Proxy-Authenticate: {Challenge('carrier.example', 'n1')}"


def test_a_carrier_is_answered_with_our_account() -> None:
    board = Board(a_trunk_configuration("0ne"))
    first = call_out(board, 1)
    assert not first.message.headers.has("proxy-authorization")
    ack, again = board.reply(first, 407, headers=(CHALLENGE,))
    assert (ack.title, again.title) == ("ACK", "INVITE")
    assert logged_in(again, "0ne")
    assert logged_in(call_out(board, 2), "0ne")
    assert "0ne" not in str(board.log.lines)


def test_a_new_password_of_ours_is_said_at_once() -> None:
    board = Board(a_trunk_configuration("0ne"))
    board.reply(call_out(board, 1), 407, headers=(CHALLENGE,))
    board.switchboard.configure(in_force(a_trunk_configuration("tw0")), board.now)
    first = call_out(board, 2)
    assert not first.message.headers.has("proxy-authorization")
    assert logged_in(board.reply(first, 407, headers=(CHALLENGE,))[-1], "tw0")


def test_nothing_is_left_of_a_call_that_was_challenged() -> None:
    board = Board(a_trunk_configuration("0ne"))
    again = board.reply(call_out(board, 1), 407, headers=(CHALLENGE,))[-1]
    (_, refused) = board.reply(again, 486)
    assert refused.title == "486 INVITE"
    assert refused.flow == PBX_FLOW
    board.wait(64)
    assert board.leftovers() == {}
