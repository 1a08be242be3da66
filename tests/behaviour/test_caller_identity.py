"""Who calls is told to whom it may be told, in the form that each peer wants."""

from pathlib import Path

import pytest

from tests.kit.switchboard import (
    OFFER,
    PBX_FLOW,
    PHONE_FLOW,
    Board,
    a_configuration,
    a_message,
    register,
)

TEXT = """\
networks:
  outside: {bind: 203.0.113.10, listen: udp/5060, media_ports: 30000-39999}
  inside: {trust: trusted, bind: 192.168.1.2, listen: udp/5062, media_ports: 20000-29999}
peers:
  pbx: {kind: pbx, network: inside, address: 192.168.1.5, numbers: {country: DE}}
  carrier:
    kind: trunk
    network: outside
    address: 192.0.2.30
    identity: {trust: trusted}
    numbers: {country: DE, outbound: {format: international-00}}
  stranger: {kind: trunk, network: outside, address: 192.0.2.40}
  phones: {kind: endpoints, network: outside, identity: {asserted: make}}
routes:
  - {name: abroad, from: pbx, number: "+1*", to: stranger}
  - {name: out, from: pbx, to: carrier}
  - {name: in, from: outside, to: pbx}
policies: ../policies/edge-default.yaml
"""
IN = PBX_FLOW._replace(local=("192.168.1.2", 5062))
CLIR = ("P-Asserted-Identity: <sip:0301234567@192.168.1.5>", "Privacy: id")


def invited(flow, **given):
    board = Board(a_configuration(TEXT))
    if flow is not IN:
        flow = PHONE_FLOW._replace(local=("203.0.113.10", 5060))
        register(board, flow=flow)
    sent = board.give(flow, a_message("INVITE", body=OFFER, **given))
    (call,) = board.switchboard.calls
    return sent[-1].message, call


def test_a_trusted_carrier_is_told_who_calls_and_that_nobody_else_may_know():
    invite, call = invited(
        IN, uri="sip:03099999999@x", from_user="0301234567", from_tag="a", headers=CLIR
    )
    headers = invite.headers
    assert invite.uri_text == "sip:00493099999999@192.0.2.30"
    assert headers.first("from").startswith('"Anonymous" <sip:anonymous@anonymous.invalid>;tag=')
    assert headers.first("to") == "<sip:00493099999999@192.0.2.30>"
    assert headers.first("p-asserted-identity") == "<sip:0049301234567@203.0.113.10>"
    assert headers.first("privacy") == "id"
    told = [entry.text for entry in call.journal.entries if entry.kind == "decision"]
    assert any("called 03099999999 -> +493099999999 (e164 DE)" in text for text in told)
    assert "peer 'carrier' is told +493099999999 -> 00493099999999 (international-00 DE)" in told
    assert "the caller is anonymous, as privacy was asked for" in told
    assert call.route.startswith("route 'out' (")


def test_an_untrusted_one_is_told_nothing():
    invite, _ = invited(IN, uri="sip:0012025550123@x", from_user="0301234567", headers=CLIR)
    assert invite.uri_text == "sip:+12025550123@192.0.2.40"
    assert "0301234567" not in str(invite.headers)
    assert "+49301234567" not in str(invite.headers)
    assert not invite.headers.has("privacy")


def test_a_phone_is_asserted_as_who_it_registered():
    headers = ("P-Asserted-Identity: <sip:ceo@x>",)
    invite, _ = invited(PHONE_FLOW, from_user="ceo", headers=headers)
    assert invite.headers.all("p-asserted-identity") == ["<sip:alice@192.168.1.2>"]


@pytest.mark.parametrize(
    ("asserted", "told"),
    [
        ("+49301234567", "<sip:0049301234567@203.0.113.10>"),
        ("+49301234568", "<sip:0049301234568@203.0.113.10>"),
        ("+49891234567", None),
    ],
)
def test_whoever_the_pbx_says_later_that_it_is_is_told_only_if_it_may_be(
    tmp_path: Path, asserted: str, told: str | None
) -> None:
    owners = tmp_path / "owners.yaml"
    owners.write_text('owners: {peers: {pbx: "+4930*"}}\n')
    policies = f"[../policies/trunk-hardening.yaml, ../policies/edge-default.yaml, {owners}]"
    board = Board(a_configuration(TEXT.replace("../policies/edge-default.yaml", policies)))
    of = {"uri": "sip:03099999999@x", "from_user": "0301234567", "from_tag": "a"}
    invite = board.give(IN, a_message("INVITE", body=OFFER, headers=CLIR[:1], **of))[-1]
    ok = board.reply(invite, 200, headers=("Contact: <sip:b@192.0.2.30>",), body=OFFER)[-1]
    tag = ok.message.to_tag
    board.give(IN, a_message("ACK", branch="z9hG4bK-a", to_tag=tag, **of))
    header = f"P-Asserted-Identity: <sip:{asserted}@192.168.1.5>"
    update = a_message("UPDATE", branch="z9hG4bK-u", cseq=2, to_tag=tag, headers=(header,), **of)
    (passed,) = board.give(IN, update)
    assert passed.title == "UPDATE"
    assert passed.message.headers.first("p-asserted-identity") == told
