"""Calls to and from registered phones: by their paths, their flows, and their service routes."""

from sbc.sip.message import Request
from tests.kit.switchboard import (
    OFFER,
    PBX_FLOW,
    PHONE_FLOW,
    Board,
    Sent,
    a_message,
    a_register,
    titles,
)

TCP = PHONE_FLOW._replace(transport="tcp", connection=5)
SECOND = PHONE_FLOW._replace(transport="tcp", connection=6, remote=("198.51.100.7", 42000))
PATH = "<sip:p2.example;lr>, <sip:flow7@p1.example;lr>"


def registered(board: Board, flow, *headers: str, far: tuple[str, ...] = (), **rest) -> str:
    """Register a phone; the Request-URI by which the PBX calls it."""
    (relayed,) = board.give(flow, a_register(headers=headers, **rest))
    request = relayed.message
    assert isinstance(request, Request)
    board.reply(relayed, 200, headers=(f"Contact: {request.headers.first('contact')}", *far))
    return str(request.contact.uri)


def a_call(uri: str, call_id: str = "from-pbx") -> bytes:
    return a_message(
        "INVITE", uri=uri, branch=f"z9hG4bK-{call_id}", from_user="600", call_id=call_id,
        sent_by="192.168.1.5", contact="<sip:600@192.168.1.5>", body=OFFER,
    )  # fmt: skip


def invites(sent: list[Sent]) -> list[Sent]:
    return [one for one in sent if one.title == "INVITE"]


def test_a_phone_behind_proxies_is_called_by_its_path():
    board = Board()
    uri = registered(board, PHONE_FLOW, f"Path: {PATH}")
    (invite,) = invites(board.give(PBX_FLOW, a_call(uri)))
    assert ", ".join(invite.message.headers.all("route")) == PATH
    assert invite.message.uri_text == "sip:alice@10.0.0.7:5060"
    assert b"z9hG4bK-from-pbx" not in invite.data
    # What ends the attempt goes the same way (RFC 3261 §9.1).
    board.reply(invite, 180)
    cancel = a_call(uri).replace(b"INVITE", b"CANCEL").partition(b"Content-Type")[0]
    sent = board.give(PBX_FLOW, cancel + b"Content-Length: 0\r\n\r\n")
    (ours,) = [one for one in sent if one.title == "CANCEL"]
    assert ", ".join(ours.message.headers.all("route")) == PATH


def test_a_call_by_our_own_path_is_a_call_to_its_phone():
    board = Board()
    uri = registered(board, PHONE_FLOW)
    ours = f"Route: <{uri};lr>\r\nMax-Forwards".encode()
    (invite,) = invites(board.give(PBX_FLOW, a_call(uri).replace(b"Max-Forwards", ours)))
    assert (invite.flow, invite.message.headers.all("route")) == (PHONE_FLOW, [])


def test_a_phone_s_calls_go_by_the_service_route_of_its_registrar():
    board = Board()
    way = "<sip:orig@scscf.inside.example;lr>"
    registered(board, PHONE_FLOW, far=(f"Service-Route: {way}",))
    (invite,) = invites(board.give(PHONE_FLOW, a_message("INVITE", body=OFFER)))
    assert invite.message.headers.all("route") == [way]
    other = PHONE_FLOW._replace(remote=("198.51.100.8", 40000))
    registered(board, other, user="bob")
    (invite,) = invites(
        board.give(other, a_message("INVITE", call_id="c2", branch="z9hG4bK-2", body=OFFER))
    )
    assert invite.message.headers.all("route") == []


def flows(board: Board) -> str:
    """A phone with two flows, the second registered last; the one URI that the PBX has for it."""
    uris = {
        registered(
            board,
            flow,
            "Supported: outbound",
            contact=f'<sip:alice@10.0.0.7>;reg-id={number};+sip.instance="<urn:uuid:1>"',
            call_id=f"flow-{number}",
            branch=f"z9hG4bK-flow-{number}",
        )
        for number, flow in ((1, TCP), (2, SECOND))
    }
    (uri,) = uris
    return uri


def test_a_phone_with_two_flows_rings_once():
    board = Board()
    sent = invites(board.give(PBX_FLOW, a_call(flows(board))))
    assert [one.flow for one in sent] == [SECOND]


def test_the_second_flow_is_tried_when_the_first_one_fails():
    for fails in ("430", "transport", "silence"):
        board = Board()
        (invite,) = invites(board.give(PBX_FLOW, a_call(flows(board))))
        if fails == "430":
            sent = board.reply(invite, 430)
        elif fails == "transport":
            board.switchboard.flow_failed(invite.flow, "broken", board.now)
            sent = board.wire.take()
        else:
            sent = board.wait(33)
        assert [one.flow for one in invites(sent)] == [TCP], fails


def test_a_busy_phone_is_busy_on_all_its_flows():
    board = Board()
    (invite,) = invites(board.give(PBX_FLOW, a_call(flows(board))))
    assert "486 INVITE" in titles(board.reply(invite, 486))


def test_a_flow_that_broke_is_not_tried_at_all():
    board = Board()
    uri = flows(board)
    board.switchboard.flow_closed(SECOND, "reset", board.now)
    assert [one.flow for one in invites(board.give(PBX_FLOW, a_call(uri)))] == [TCP]


def test_a_gruu_keeps_what_makes_it_one_toward_the_pbx():
    board = Board()
    registered(board, PHONE_FLOW)
    uri = "sip:bob@203.0.113.10;gr=urn:uuid:2"
    (invite,) = invites(board.give(PHONE_FLOW, a_message("INVITE", uri=uri, body=OFFER)))
    assert invite.message.uri_text == "sip:bob@192.168.1.5;gr=urn:uuid:2"
