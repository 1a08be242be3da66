"""``sips:`` is served by TLS, goes by TLS, and is never made less of."""

from pathlib import Path

import pytest

from sbc.config.load import Configuration
from sbc.sip.flow import Flow
from sbc.sip.message import Request
from tests.kit.certificates import Authority
from tests.kit.switchboard import OFFER, Board, Sent, a_configuration, a_message, titles

TEXT = """\
networks:
  outside:
    bind: 203.0.113.10
    listen: [udp/5060, tls/5061]
    media_ports: 30000-39999
    tls: {{certificates: [{{certificate: {0}/sbc.pem, key: {0}/sbc.key}}]}}
  inside:
    trust: trusted
    bind: 192.168.1.2
    listen: [udp/5062, tls/5063]
    media_ports: 20000-29999
    tls: {{certificates: [{{certificate: {0}/sbc.pem, key: {0}/sbc.key}}]}}
peers:
  pbx: {{kind: pbx, network: inside, address: '192.168.1.5:5061;transport=tls'}}
  plain: {{kind: pbx, network: inside, address: 192.168.1.6}}
  carrier: {{kind: trunk, network: outside, address: '192.0.2.9;transport=tls'}}
  phones: {{kind: endpoints, network: outside}}
routes:
  - {{name: plain, from: outside, number: "7*", to: plain}}
  - {{name: both, from: outside, number: "8*", to: [plain, pbx]}}
  - {{name: away, from: outside, domain: plain.example, method: REGISTER, to: plain}}
  - {{name: in, from: outside, to: pbx}}
  - {{name: ring, from: pbx, to: phones}}
policies: ../policies/edge-default.yaml
"""
PHONE = Flow("outside", "tls", ("203.0.113.10", 5061), ("198.51.100.66", 40000), 7)
PHONE_UDP = Flow("outside", "udp", ("203.0.113.10", 5060), ("198.51.100.66", 5060))
CARRIER = PHONE._replace(remote=("192.0.2.9", 40000))
CARRIER_UDP = PHONE_UDP._replace(remote=("192.0.2.9", 5060))
PBX = Flow("inside", "tls", ("192.168.1.2", 5063), ("192.168.1.5", 41000), 9)
SIPS = "<sips:alice@10.0.0.7:5061>"


@pytest.fixture
def board(tmp_path: Path) -> Board:
    Authority().issue("sbc.example").write(tmp_path)
    configuration: Configuration = a_configuration(TEXT.format(tmp_path))
    return Board(configuration)


def invite(
    board: Board, flow: Flow, uri: str, contact: str = SIPS, method: str = "INVITE"
) -> list[Sent]:
    return board.give(
        flow,
        a_message(method, uri=uri, transport=flow.transport.upper(), contact=contact, body=OFFER),
    )


def register(
    board: Board, contact: str = SIPS, *, uri: str = "sips:203.0.113.10", flow: Flow = PHONE
) -> list[Sent]:
    return board.give(
        flow,
        a_message(
            "REGISTER",
            uri=uri,
            to="sip:alice@203.0.113.10",
            transport=flow.transport.upper(),
            contact=contact,
            call_id="r",
            branch="z9hG4bK-r",
            headers=("Expires: 3600",),
        ),
    )


def registered(board: Board, contact: str, uri: str) -> None:
    (relayed,) = register(board, contact, uri=uri)
    ours = relayed.message.headers.first("contact")
    assert titles(board.reply(relayed, 200, headers=(f"Contact: {ours};expires=3600",))) == [
        "200 REGISTER"
    ]


def request_of(sent: Sent) -> Request:
    assert isinstance(sent.message, Request)
    return sent.message


def warning(sent: Sent) -> str:
    return sent.message.headers.first("warning") or ""


def test_a_sips_call_stays_sips_on_both_sides(board: Board) -> None:
    (_, out) = invite(board, CARRIER, "sips:600@203.0.113.10")
    assert out.flow.transport == "tls"
    assert request_of(out).uri_text == "sips:600@192.168.1.5"
    assert request_of(out).headers.first("contact") == "<sips:sbc@192.168.1.2:5063>"
    (ringing,) = board.reply(out, 180, headers=("Contact: <sips:pbx@192.168.1.5>",))
    assert ringing.message.headers.first("contact") == "<sips:sbc@203.0.113.10:5061>"


def test_a_sip_call_by_tls_stays_sip_and_names_its_transport(board: Board) -> None:
    (_, out) = invite(board, CARRIER, "sip:600@203.0.113.10", "<sip:a@192.0.2.9>")
    assert request_of(out).uri_text == "sip:600@192.168.1.5;transport=tls"
    contact = request_of(out).headers.first("contact")
    assert contact == "<sip:sbc@192.168.1.2:5063;transport=tls>"


@pytest.mark.parametrize("method", ["INVITE", "OPTIONS", "REGISTER"])
def test_sips_that_came_unprotected_is_refused(board: Board, method: str) -> None:
    (refused,) = invite(board, CARRIER_UDP, "sips:600@203.0.113.10", method=method)
    assert refused.title == f"403 {method}"
    assert "a sips: request came by udp" in warning(refused)


def test_a_sips_call_needs_a_sips_contact(board: Board) -> None:
    (refused,) = invite(board, CARRIER, "sips:600@203.0.113.10", "<sip:a@192.0.2.9>")
    assert refused.title == "400 INVITE"


def test_a_sips_call_is_not_sent_where_tls_does_not_lead(board: Board) -> None:
    (refused,) = invite(board, CARRIER, "sips:700@203.0.113.10")
    assert refused.title == "480 INVITE"
    assert warning(refused) == '380 203.0.113.10:5061 "SIPS Not Allowed"'


def test_a_sip_call_goes_where_tls_does_not_lead(board: Board) -> None:
    assert titles(invite(board, CARRIER, "sip:700@203.0.113.10")) == ["100 INVITE", "INVITE"]


def test_a_sips_call_passes_over_candidates_that_tls_does_not_lead_to(board: Board) -> None:
    (_, out) = invite(board, CARRIER, "sips:800@203.0.113.10")
    assert out.flow.remote == ("192.168.1.5", 5061)


def test_a_phone_that_registered_sips_is_registered_as_sips(board: Board) -> None:
    (relayed,) = register(board)
    assert request_of(relayed).uri_text.startswith("sips:192.168.1.5")
    contact = request_of(relayed).headers.first("contact") or ""
    assert contact.startswith("<sips:")
    assert "transport=" not in contact
    (answer,) = board.reply(relayed, 200, headers=(f"Contact: {contact};expires=3600",))
    assert (answer.message.headers.first("contact") or "").startswith(SIPS)


def test_a_sips_contact_needs_a_sips_request(board: Board) -> None:
    (refused,) = register(board, uri="sip:203.0.113.10")
    assert refused.title == "400 REGISTER"


def test_a_sips_registration_is_not_relayed_where_tls_does_not_lead(board: Board) -> None:
    (refused,) = board.give(
        PHONE,
        a_message(
            "REGISTER",
            uri="sips:plain.example",
            to="sip:alice@plain.example",
            transport="TLS",
            contact=SIPS,
            headers=("Expires: 3600",),
        ),
    )
    assert refused.title == "480 REGISTER"
    assert warning(refused).startswith("380 ")


def test_a_sip_call_to_a_phone_that_registered_sips_goes_by_tls_as_sip(board: Board) -> None:
    registered(board, SIPS, "sips:203.0.113.10")
    (_, out) = invite(board, PBX, "sip:alice@203.0.113.10", "<sip:pbx@192.168.1.5>")
    assert out.flow == PHONE
    assert request_of(out).uri_text == "sip:alice@10.0.0.7:5061"
    assert (request_of(out).headers.first("contact") or "").startswith("<sip:")


def test_a_sips_call_reaches_a_phone_that_registered_sips(board: Board) -> None:
    registered(board, SIPS, "sips:203.0.113.10")
    (_, out) = invite(board, PBX, "sips:alice@203.0.113.10")
    assert request_of(out).uri_text == "sips:alice@10.0.0.7:5061"


def test_a_sips_call_does_not_reach_a_phone_that_registered_sip(board: Board) -> None:
    registered(board, "<sip:alice@10.0.0.7:5061;transport=tls>", "sip:203.0.113.10")
    (refused,) = invite(board, PBX, "sips:alice@203.0.113.10")
    assert refused.title == "480 INVITE"
    assert warning(refused).startswith("380 ")
