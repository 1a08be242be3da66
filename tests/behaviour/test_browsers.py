"""Browsers register through a WebSocket and are called through it; they have no address.

Spec: RFC 7118 §5, RFC 5626 §5.3.
"""

import pytest

from tests.kit.switchboard import (
    ANSWER,
    OFFER,
    OUTSIDE,
    PBX_FLOW,
    PHONE_FLOW,
    ROOT,
    Board,
    Sent,
    a_configuration,
    a_message,
    titles,
)

BROWSER = PHONE_FLOW._replace(transport="ws", local=("0.0.0.0", 80), connection=7)
CONTACT = "<sip:k2f9@f3a1.invalid;transport=ws>"
ENDPOINT = {"sent_by": "f3a1.invalid", "via_params": "", "transport": "WS", "contact": CONTACT}
LISTEN = "    listen: [udp/5060, tcp/5060]\n"


@pytest.fixture
def board() -> Board:
    text = (ROOT / "deploy/sbc.yaml").read_text()
    assert LISTEN in text
    browsers = "    listen: [ws/80]\n    websocket: {origins: https://phones.example.com}\n"
    return Board(a_configuration(text.replace(LISTEN, browsers)))


def register(board: Board, expires: int = 3600) -> Sent:
    """The browser registers; what it got."""
    extra = (f"Expires: {expires}",)
    to, uri = f"sip:alice@{OUTSIDE}", f"sip:{OUTSIDE}"
    data = a_message("REGISTER", uri=uri, to=to, headers=extra, branch="z9hG4bK-r", **ENDPOINT)
    (relayed,) = board.give(BROWSER, data)
    contact = relayed.message.headers.first("contact") or ""
    accepted = (f"Contact: {contact};expires={expires}",)
    (answer,) = board.reply(relayed, 200, headers=accepted)
    return answer


def call(board: Board) -> list[Sent]:
    """The PBX calls the browser's number."""
    invite = a_message(
        "INVITE", uri=f"sip:alice@{PBX_FLOW.local[0]}", sent_by="192.168.1.5:5060", body=OFFER
    )
    return board.give(PBX_FLOW, invite)


class TestABrowser:
    def test_registers_and_hears_its_own_contact(self, board):
        answer = register(board)
        assert (answer.title, answer.flow) == ("200 REGISTER", BROWSER)
        assert (answer.message.headers.first("contact") or "").startswith(CONTACT)

    def test_is_called_by_its_websocket_and_by_nothing_else(self, board):
        register(board)
        sent = call(board)
        assert {one.flow for one in sent} == {PBX_FLOW, BROWSER}
        invite = next(one for one in sent if one.title == "INVITE")
        assert invite.flow == BROWSER
        assert invite.message.uri_text == CONTACT.strip("<>")
        assert invite.message.via.transport.upper() == "WS"
        assert (invite.message.headers.first("contact") or "").endswith(":80;transport=ws>")

    def test_is_answered_and_hung_up_by_its_websocket(self, board):
        register(board)
        invite = next(one for one in call(board) if one.title == "INVITE")
        answered = board.reply(invite, 200, headers=(f"Contact: {CONTACT}",), body=ANSWER)
        assert "200 INVITE" in titles(answered)
        (live,) = board.switchboard.calls
        bye = next(one for one in self.hang_up(board, answered) if one.title == "BYE")
        assert (bye.flow, bye.message.uri_text) == (BROWSER, CONTACT.strip("<>"))
        assert live.ending is not None

    def hang_up(self, board: Board, answered: list[Sent]) -> list[Sent]:
        ok = next(one for one in answered if one.title == "200 INVITE").message
        about = {"to_tag": ok.to_tag, "sent_by": "192.168.1.5:5060"}
        board.give(PBX_FLOW, a_message("ACK", branch="z9hG4bK-2", **about))
        return board.give(PBX_FLOW, a_message("BYE", branch="z9hG4bK-3", cseq=2, **about))

    def test_that_closed_its_page_is_not_called(self, board):
        register(board)
        board.switchboard.flow_closed(BROWSER, "closed by the peer", board.now)
        board.wire.take()
        sent = call(board)
        assert {one.flow for one in sent} == {PBX_FLOW}
        assert "480 INVITE" in titles(sent)

    def test_that_reloads_its_page_is_called_by_the_new_websocket(self, board):
        register(board)
        board.switchboard.flow_closed(BROWSER, "closed by the peer", board.now)
        board.wire.take()
        again = BROWSER._replace(connection=8, remote=("198.51.100.7", 40001))
        to, uri = f"sip:alice@{OUTSIDE}", f"sip:{OUTSIDE}"
        data = a_message("REGISTER", uri=uri, to=to, cseq=2, branch="z9hG4bK-s", **ENDPOINT)
        relayed = board.give(again, data)[-1]
        contact = relayed.message.headers.first("contact") or ""
        board.reply(relayed, 200, headers=(f"Contact: {contact};expires=3600",))
        invite = next(one for one in call(board) if one.title == "INVITE")
        assert invite.flow == again
