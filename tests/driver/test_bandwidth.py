"""What calls may bring, from their offer and then from what the callee said."""

import pytest

from sbc.driver.bandwidth import offered_kbps
from sbc.sip.message import Request
from sbc.sip.parser import parse_message_untrusted
from tests.kit.switchboard import (
    ANSWER,
    OFFER,
    PBX_FLOW,
    Board,
    Sent,
    a_configuration,
    a_message,
    titles,
)

TEXT = """\
networks:
  outside: {bind: 203.0.113.10, listen: udp/5060, media_ports: 30000-39999}
  inside: {trust: trusted, bind: 192.168.1.2, listen: udp/5062, media_ports: 20000-29999}
peers:
  pbx: {kind: pbx, network: inside, address: 192.168.1.5}
  one: {kind: trunk, network: outside, address: 192.0.2.10, limits: {max_kbps: 100}}
  two: {kind: trunk, network: outside, address: 192.0.2.20}
routes: [{from: pbx, to: [one, two]}]
policies: ../policies/edge-default.yaml
"""
FROM_PBX = PBX_FLOW._replace(local=("192.168.1.2", 5062))
FROM_ONE = b"v=0\r\no=- 5 5 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\n"


def call(board: Board, number: int) -> Sent:
    sent = board.give(
        FROM_PBX,
        a_message(
            "INVITE",
            uri="sip:0800@192.168.1.2",
            branch=f"z9hG4bK-{number}",
            call_id=f"c-{number}",
            sent_by="192.168.1.5",
            body=OFFER.replace(b"0 101", b"0 18 101"),
        ),
    )
    assert sent[-1].title == "INVITE", titles(sent)
    return sent[-1]


def test_an_offer_counts_by_its_widest_codec_until_the_answer_chose_another() -> None:
    board = Board(a_configuration(TEXT))
    caps = board.switchboard.reception._caps
    invite = call(board, 1)
    assert (invite.flow.remote[0], caps.kbps("one")) == ("192.0.2.10", 80)
    assert call(board, 2).flow.remote[0] == "192.0.2.20"
    body = FROM_ONE + b"m=audio 12000 RTP/AVP 18\r\n"
    board.reply(invite, 200, headers=("Contact: <sip:t@192.0.2.10>",), body=body)
    assert caps.kbps("one") == 24
    assert caps.kbps("pbx") == 24 + 80
    again = board.reply(call(board, 3), 486)
    assert again[-1].title == "486 INVITE"
    assert caps.kbps("one") == 24


@pytest.mark.parametrize(
    ("body", "kbps"), [(b"", 80), (ANSWER, 80), (b"v=nonsense", 0), (b"\xff\x00", 0)]
)
def test_what_an_invite_may_bring_before_anything_else_is_known(body: bytes, kbps: int) -> None:
    request = parse_message_untrusted(a_message("INVITE", body=body))
    assert isinstance(request, Request)
    assert offered_kbps(request) == kbps
