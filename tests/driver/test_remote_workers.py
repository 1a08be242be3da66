"""The shipped example for remote workers: a phone by TLS registers and calls, others do not."""

from pathlib import Path

import pytest

from sbc.config.load import load_file
from sbc.sip.flow import Flow
from tests.config.files import FakeMachine
from tests.kit.call import KEY, SUITE
from tests.kit.certificates import Authority
from tests.kit.switchboard import OFFER, ROOT, Board, a_message, a_register, titles

EXAMPLE = ROOT / "deploy/examples/remote-workers.yaml"
PHONE = Flow("outside", "tls", ("203.0.113.10", 5061), ("198.51.100.7", 40000), 7)
SRTP = OFFER.replace(b"RTP/AVP", b"RTP/SAVP") + f"a=crypto:1 {SUITE} {KEY}\r\n".encode()


@pytest.fixture
def board(tmp_path: Path) -> Board:
    files = Authority().issue("sbc.example.com").write(tmp_path)
    environment = {"CERTIFICATE": str(files.certificate), "KEY": str(files.key)}
    machine = FakeMachine(eth0=("203.0.113.10",), eth1=("192.168.10.2",))
    result = load_file(EXAMPLE, machine, environment)
    assert result.configuration is not None, result.errors
    return Board(result.configuration)


def register(board: Board) -> None:
    (relayed,) = board.give(PHONE, a_register("alice"))
    contact = relayed.message.headers.first("contact") or ""
    board.reply(relayed, 200, headers=(f"Contact: {contact};expires=3600",))


def test_a_phone_by_tls_registers_and_calls_with_srtp(board: Board) -> None:
    register(board)
    sent = board.give(PHONE, a_message("INVITE", body=SRTP))
    assert titles(sent) == ["100 INVITE", "INVITE"]
    assert sent[-1].flow.remote == ("192.168.10.5", 5060)
    assert b"RTP/AVP 0 101" in sent[-1].data
    assert b"crypto" not in sent[-1].data


def test_a_call_with_plain_media_is_refused(board: Board) -> None:
    register(board)
    (refused,) = board.give(PHONE, a_message("INVITE", body=OFFER))
    assert refused.data.startswith(b"SIP/2.0 488 Use SRTP\r\n")


def test_a_phone_is_called_with_srtp_only(board: Board) -> None:
    register(board)
    pbx = Flow("inside", "udp", ("192.168.10.2", 5060), ("192.168.10.5", 5060))
    sent = board.give(pbx, a_message("INVITE", uri="sip:alice@192.168.10.2", body=OFFER))
    assert titles(sent) == ["100 INVITE", "INVITE"]
    assert b"RTP/SAVP 0 101" in sent[-1].data
    plain = board.reply(sent[-1], 488)
    assert titles(plain) == ["ACK", "488 INVITE"]
