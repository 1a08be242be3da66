"""A refusal tells nobody what is ours, or of the other side; the log tells the operator."""

import pytest

from tests.kit.switchboard import (
    OFFER,
    PHONE_FLOW,
    Board,
    Sent,
    a_configuration,
    a_message,
    a_register,
)

TEXT = """\
networks:
  wide-net: {bind: 203.0.113.10, listen: udp/5060, media_ports: 30000-39999}
  office-net: {trust: trusted, bind: 192.168.1.2, listen: udp/5062, media_ports: 20000-29999}
peers:
  secret-pbx:
    kind: pbx
    network: office-net
    address: pbx.office.example
    limits: {max_calls: 1}
  blind-pbx: {kind: pbx, network: office-net, address: six.office.example}
  carrier-one: {kind: trunk, network: wide-net, address: 192.0.2.10}
  carrier-two: {kind: trunk, network: wide-net, address: 192.0.2.20, limits: {max_calls: 1}}
  handsets: {kind: endpoints, network: wide-net}
routes:
  - {name: by-name, from: carrier-one, number: "1*", to: secret-pbx}
  - {name: by-six, from: carrier-one, number: "6*", to: blind-pbx}
  - {name: by-ring, from: carrier-one, number: "5*", to: handsets}
  - {name: by-two, from: carrier-two, number: "1*", to: carrier-one}
  - {name: by-book, from: wide-net, method: REGISTER, domain: here.example, to: secret-pbx}
  - {name: by-hand, from: office-net, to: carrier-two}
policies: ../policies/edge-default.yaml
"""
CONFIGURATION = a_configuration(TEXT)
OURS = (
    "wide-net", "office-net", "secret-pbx", "blind-pbx", "carrier-one", "carrier-two", "handsets",
    "by-name", "by-six", "by-ring", "by-two", "by-book", "by-hand", "pbx.office.example",
    "office.example", "192.168.1.2", "192.168.1.5", "192.0.2.10", "2001:db8::77", "yaml", "deploy",
    "policies", "max_calls", "rule", "route", "not registered", "known peers",
)  # fmt: skip
"""Names, places, numbers and files that a stranger or a carrier has no business to know."""

TRUNK = PHONE_FLOW._replace(remote=("192.0.2.10", 5060), network="wide-net")
OTHER_TRUNK = TRUNK._replace(remote=("192.0.2.20", 5060))
STRANGER = TRUNK._replace(remote=("198.51.100.66", 40000))
SIX = {"six.office.example": ("2001:db8::77",)}
PBX_ADDRESS = {**SIX, "pbx.office.example": ("192.168.1.5",)}


def invite(number: str, call: int = 1, method: str = "INVITE") -> bytes:
    return a_message(
        method,
        uri=f"sip:{number}@203.0.113.10",
        branch=f"z9hG4bK-{call}",
        call_id=f"c-{call}",
        sent_by="198.51.100.66",
        contact="<sip:x@198.51.100.66>",
        body=OFFER,
    )


def why(board: Board) -> str:
    """What the log tells of the last refusal."""
    refused = ("request refused", "stranger refused")
    *_, last = [fields for _, event, fields in board.log.lines if event in refused]
    return str(last["why"])


def told(sent: Sent, address: str) -> list[str]:
    """What of ours the answer names, besides what its receiver wrote or is itself."""
    text = sent.data.decode().lower().replace(address, "")
    return [word for word in OURS if word in text]


@pytest.mark.parametrize(
    ("flow", "data", "title", "logged"),
    [
        (TRUNK, invite("100"), "480 INVITE", "'secret-pbx': pbx.office.example has no known"),
        (TRUNK, invite("600"), "480 INVITE", "network 'office-net' has no udp listener for IPv6"),
        (TRUNK, invite("500"), "480 INVITE", "500 has no reachable registration on network"),
        (TRUNK, invite("900"), "404 INVITE", "from peer 'carrier-one' to '900'"),
        (STRANGER, invite("100"), "403 INVITE", "by rule 'not registered'"),
        (STRANGER, invite("1", method="MESSAGE"), "403 MESSAGE", "by rule 'not registered'"),
        (STRANGER, a_register(domain="x.example"), "404 REGISTER", "REGISTER from peer 'handsets'"),
        (
            STRANGER,
            a_register(domain="here.example"),
            "503 REGISTER",
            "'secret-pbx': pbx.office.example has no known address",
        ),
    ],
)
def test_the_log_knows_why_and_the_sender_does_not(flow, data, title, logged) -> None:
    board = Board(CONFIGURATION, SIX)
    (answer,) = board.give(flow, data)
    assert answer.title == title
    assert told(answer, flow.remote[0]) == []
    assert logged in why(board)


def test_a_cap_is_nobodys_business() -> None:
    board = Board(CONFIGURATION, PBX_ADDRESS)
    board.give(TRUNK, invite("100", 1))
    answer = board.give(TRUNK, invite("100", 2))[-1]
    assert answer.title == "503 INVITE"
    assert told(answer, TRUNK.remote[0]) == []
    assert "max_calls of peer secret-pbx" in why(board)

    board.give(OTHER_TRUNK, invite("100", 3))
    answer = board.give(OTHER_TRUNK, invite("100", 4))[-1]
    assert answer.title == "503 INVITE"
    assert told(answer, OTHER_TRUNK.remote[0]) == []
    assert "max_calls of peer carrier-two" in why(board)


@pytest.mark.parametrize("answer", ["unreadable", "failed"])
def test_a_registrar_that_fails_is_not_named(answer: str) -> None:
    board = Board(CONFIGURATION, PBX_ADDRESS)
    (relayed,) = board.give(STRANGER, a_register(domain="here.example"))
    if answer == "unreadable":
        sent = board.reply(relayed, 200, headers=("Contact: <sip:x@pbx.office.example:99999>",))
    else:
        board.switchboard.flow_failed(relayed.flow, "refused", board.now)
        sent = board.wire.take()
    assert sent[-1].title in ("502 REGISTER", "503 REGISTER")
    assert told(sent[-1], STRANGER.remote[0]) == []
    assert "the registrar" in why(board)


def test_a_phone_that_lost_its_connection_is_not_named_by_its_address_of_record() -> None:
    board = Board(CONFIGURATION, PBX_ADDRESS)
    (relayed,) = board.give(STRANGER, a_register(domain="here.example"))
    contact = relayed.message.headers.first("contact")
    board.reply(relayed, 200, headers=(f"Contact: {contact};expires=3600",))
    (binding,) = board.switchboard.registrar.bindings
    binding.reachable = False
    pbx = TRUNK._replace(
        network="office-net", local=("192.168.1.2", 5062), remote=("192.168.1.5", 5060)
    )
    for number, method in enumerate(("INVITE", "OPTIONS")):
        ask = f"sip:{binding.token}@192.168.1.2:5062"
        data = a_message(method, uri=ask, branch=f"z9hG4bK-{number}", sent_by="192.168.1.5")
        (answer,) = board.give(pbx, data)
        assert answer.title == f"480 {method}"
        assert b"here.example" not in answer.data
        assert "alice@here.example does not answer keep-alives" in why(board)


def test_a_refusal_is_told_as_the_rules_of_the_caller_s_peer_have_it():
    rules = "responses: {sent: [{status: 404, becomes: 503, reason: Try Later}]}"
    text = TEXT.replace("address: 192.0.2.10}", f"address: 192.0.2.10, {rules}}}")
    board = Board(a_configuration(text), PBX_ADDRESS)
    (refused,) = board.give(TRUNK, invite("9"))
    assert (refused.message.status, refused.message.reason) == (503, "Try Later")
    assert refused.message.headers.first("reason") == "Q.850;cause=41"
    (_, _, fields) = next(line for line in board.log.lines if line[1] == "request refused")
    assert "told as 503 by the rule in " in str(fields["why"])
