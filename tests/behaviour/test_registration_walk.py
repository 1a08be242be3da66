"""A phone behind a NAT registers with digest, is called by the PBX, calls 600; nothing stays."""

import pytest

from sbc.sip.message import Request
from tests.kit.registrar import assert_told
from tests.kit.switchboard import (
    ANSWER,
    OFFER,
    PBX_FLOW,
    PHONE_FLOW,
    Board,
    Sent,
    a_message,
    a_register,
    titles,
)

TCP_FLOW = PHONE_FLOW._replace(transport="tcp", connection=5)
CHALLENGE = 'WWW-Authenticate: Digest realm="pbx", nonce="n", qop="auth"'


def in_dialog(board: Board, method: str, of: Sent, cseq: int, to_tag: str) -> list[Sent]:
    """The far end of a request of ours speaks in the dialog that it began."""
    request = of.message
    assert isinstance(request, Request)
    lines = [
        f"{method} {request.contact.uri} SIP/2.0",
        f"Via: SIP/2.0/UDP 10.0.0.7;rport;branch=z9hG4bK-{method}-{cseq}",
        f"From: {request.headers.first('to')};tag={to_tag}",
        f"To: {request.headers.first('from')}",
        f"Call-ID: {request.call_id}",
        f"CSeq: {cseq} {method}",
        "Max-Forwards: 70",
        "Content-Length: 0",
    ]
    return board.give(of.flow, "\r\n".join([*lines, "", ""]))


@pytest.mark.parametrize("flow", [PHONE_FLOW, TCP_FLOW], ids=["udp", "tcp"])
def test_register_be_called_and_call(flow):
    board = Board()
    transport = flow.transport.upper()

    # It registers, and answers the challenge.
    (relayed,) = board.give(flow, a_register())
    assert relayed.flow == PBX_FLOW
    (challenge,) = board.reply(relayed, 401, headers=(CHALLENGE,))
    assert challenge.flow == flow
    assert f"WWW-Authenticate: {CHALLENGE.partition(': ')[2]}".encode() in challenge.data
    (again,) = board.give(flow, a_register(cseq=2, headers=('Authorization: Digest x="y"',)))
    contact = again.message.headers.first("contact")
    (done,) = board.reply(again, 200, headers=(f"Contact: {contact};expires=3600",))
    assert (done.title, done.flow) == ("200 REGISTER", flow)
    assert_told(done.message, "<sip:alice@10.0.0.7:5060>;expires=3600")

    # The PBX calls the contact it has; the phone hears it through its own flow, and answers.
    ours = again.message.contact.uri
    offer = OFFER.replace(b"10.0.0.7", b"192.168.1.5")
    trying, invite = board.give(
        PBX_FLOW,
        a_message("INVITE", uri=str(ours), branch="z9hG4bK-p", from_user="600", call_id="from-pbx",
                  sent_by="192.168.1.5", contact="<sip:600@192.168.1.5>", body=offer),
    )  # fmt: skip
    assert (trying.title, trying.flow) == ("100 INVITE", PBX_FLOW)
    assert (invite.title, invite.flow) == ("INVITE", flow)
    assert invite.message.uri_text == "sip:alice@10.0.0.7:5060"
    assert f"SIP/2.0/{transport} 203.0.113.10:5060" in invite.message.headers.first("via")
    assert b"192.168.1" not in invite.data
    assert titles(board.reply(invite, 180)) == ["180 INVITE"]
    answered = board.reply(
        invite,
        200,
        headers=("Contact: <sip:alice@10.0.0.7:5060>",),
        body=OFFER,
    )
    assert sorted(titles(answered)) == ["200 INVITE", "ACK"]
    ok = next(one for one in answered if one.title == "200 INVITE")
    assert (ok.flow, b"10.0.0.7" in ok.data) == (PBX_FLOW, False)
    board.give(
        PBX_FLOW,
        a_message("ACK", uri=str(ours), branch="z9hG4bK-a", from_user="600", call_id="from-pbx",
                  sent_by="192.168.1.5", to_tag=ok.message.to_tag),
    )  # fmt: skip
    assert board.relay.open

    # The phone hangs up by the flow it has.
    ended = in_dialog(board, "BYE", invite, 1, "theirs")
    assert sorted(titles(ended)) == ["200 BYE", "BYE"]
    bye = next(one for one in ended if one.title == "BYE")
    assert bye.flow == PBX_FLOW
    board.reply(bye, 200)
    assert len(board.switchboard.calls) == 0
    assert not board.relay.open

    # It calls 600.
    trying, invite = board.give(flow, a_message("INVITE", branch="z9hG4bK-i", body=OFFER))
    assert (trying.flow, invite.flow) == (flow, PBX_FLOW)
    assert invite.message.uri_text == "sip:600@192.168.1.5"
    for secret in (b"10.0.0.7", b"198.51.100.7", b"203.0.113.10", b"call-1"):
        assert secret not in invite.data
    answered = board.reply(invite, 200, headers=("Contact: <sip:600@192.168.1.5>",), body=ANSWER)
    ok = next(one for one in answered if one.title == "200 INVITE")
    board.give(flow, a_message("ACK", branch="z9hG4bK-b", to_tag=ok.message.to_tag))
    ended = board.give(flow, a_message("BYE", branch="z9hG4bK-c", cseq=2, to_tag=ok.message.to_tag))
    bye = next(one for one in ended if one.title == "BYE")
    board.reply(bye, 200)

    # It leaves; everything runs out, and every call was written down.
    (goodbye,) = board.give(flow, a_register(cseq=3, contact="*", expires=0))
    board.reply(goodbye, 200)
    board.wait(100)
    assert board.leftovers() == {}
    assert board.switchboard.registrar.pending == 0
    assert [call.callee for call in board.records.ended] == ["alice", "600"]
    assert board.log.events("error") == []


def test_keepalives_reach_the_phone_and_their_answers_leave_nothing():
    board = Board()
    (relayed,) = board.give(PHONE_FLOW, a_register())
    board.reply(relayed, 200)
    pings = board.wait(25)
    assert set(titles(pings)) == {"OPTIONS"}
    assert {ping.flow for ping in pings} == {PHONE_FLOW}
    board.reply(pings[0], 200)
    assert board.switchboard.outbox.owned == 0


def test_a_phone_that_never_answers_keepalives_becomes_unreachable_and_leaves_nothing():
    board = Board()
    (relayed,) = board.give(PHONE_FLOW, a_register())
    board.reply(relayed, 200)
    board.wait(3600)
    assert board.switchboard.registrar.bindings == []
    board.wait(40)
    assert board.leftovers() == {}
    events = [event for _, event, _ in board.log.lines]
    assert events == ["phone registered", "phone unreachable", "phone expired"]


def test_a_phone_without_rport_is_answered_through_its_pinhole():
    board = Board()
    (relayed,) = board.give(PHONE_FLOW, a_register(via_params=""))
    (answer,) = board.reply(relayed, 401)
    assert answer.flow == PHONE_FLOW


def test_retransmissions_are_absorbed():
    board = Board()
    data = a_register()
    (relayed,) = board.give(PHONE_FLOW, data)
    assert board.give(PHONE_FLOW, data) == []
    (answer,) = board.reply(relayed, 200)
    assert board.give(PHONE_FLOW, data) == [answer]
    assert board.reply(relayed, 200) == []


def test_a_silent_registrar_costs_nothing_for_long():
    board = Board()
    board.give(PHONE_FLOW, a_register())
    board.wait(40)
    assert board.leftovers() == {}
    assert board.switchboard.registrar.pending == 0


def test_an_unreachable_registrar_is_said_at_once():
    board = Board()
    (relayed,) = board.give(PHONE_FLOW, a_register())
    board.switchboard.flow_failed(relayed.flow, "port unreachable", board.now)
    (answer,) = board.wire.take()
    assert (answer.title, answer.flow) == ("503 REGISTER", PHONE_FLOW)
    assert 15 <= int(answer.message.headers.first("retry-after")) <= 30


def test_a_register_that_comes_back_to_us_is_a_loop():
    board = Board()
    (relayed,) = board.give(PHONE_FLOW, a_register())
    request = relayed.data.replace(b"CSeq: 1 ", b"CSeq: 2 ").replace(
        b"Via: ", b"Via: SIP/2.0/UDP x;branch=z9hG4bKx, ", 1
    )
    (answer,) = board.give(PBX_FLOW, request)
    assert answer.title == "482 REGISTER"


def test_exhausted_hops_are_told():
    board = Board()
    (answer,) = board.give(PHONE_FLOW, a_register(max_forwards="0"))
    assert answer.title == "483 REGISTER"
    assert board.switchboard.registrar.pending == 0


def test_bindings_survive_in_another_process():
    board = Board()
    (relayed,) = board.give(PHONE_FLOW, a_register())
    board.reply(relayed, 200)
    heir = Board()
    heir.switchboard.restore(board.switchboard.registrar.export(board.now), heir.now)
    sent = heir.give(PHONE_FLOW, a_message("INVITE", body=OFFER))
    assert titles(sent) == ["100 INVITE", "INVITE"]
