"""What identity and media rules of a policy do to calls, from the INVITE to the far end."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.kit.call import KEY, SUITE
from tests.kit.switchboard import (
    OFFER,
    PBX_FLOW,
    PHONE_FLOW,
    Board,
    Sent,
    a_configuration,
    a_message,
    register,
    titles,
)

CONFIGURATION = """\
networks:
  outside: {{bind: 203.0.113.10, listen: [udp/5060], media_ports: 30000-39999}}
  inside: {{trust: trusted, bind: 192.168.1.2, listen: udp/5062, media_ports: 20000-29999}}
peers:
  pbx:
    kind: pbx
    network: inside
    address: 192.168.1.5
    numbers: {{country: DE, inbound: {{format: e164}}}}
  trunk: {{kind: trunk, network: outside, address: [192.0.2.10, 192.0.2.20]}}
routes:
  - {{from: pbx, to: trunk}}
  - {{from: trunk, to: pbx}}
policies: {policy}
"""
FROM_PBX = PBX_FLOW._replace(local=("192.168.1.2", 5062))
FROM_TRUNK = FROM_PBX._replace(
    network="outside", local=("203.0.113.10", 5060), remote=("192.0.2.10", 5060)
)
Make = Callable[[str], Board]


@pytest.fixture
def board(tmp_path: Path) -> Make:
    def make(policy: str) -> Board:
        file = tmp_path / "policy.yaml"
        file.write_text("rules: [{name: all, then: allow}]\n" + policy)
        return Board(a_configuration(CONFIGURATION.format(policy=file)))

    return make


def call(board: Board, flow: object = FROM_PBX, body: bytes = OFFER, **rest: object) -> list[Sent]:
    data = a_message("INVITE", uri="sip:+4930777@192.168.1.2:5062", body=body, **rest)
    return board.give(flow, data)


def invite(sent: list[Sent]) -> Sent:
    return next(one for one in sent if one.title == "INVITE")


def notes(board: Board) -> str:
    calls = board.switchboard.calls
    return "\n".join(entry.text for one in calls for entry in one.journal.entries)


@pytest.mark.parametrize(
    ("then", "says"),
    [
        ("replace +4930123", "<sip:+4930123@"),
        ("tag [spam?]", '"[spam?]'),
        ("anonymize", '"Anonymous" <sip:anonymous@anonymous.invalid>'),
    ],
)
def test_the_callee_sees_the_caller_as_the_rule_has_it(board: Make, then: str, says: str) -> None:
    made = board(f"identity: [{{name: odd callers, then: '{then}'}}]\n")
    sent = call(made)
    assert (invite(sent).message.headers.first("from") or "").startswith(says)
    assert "by rule 'odd callers' (" in notes(made)


def test_it_stays_so_for_the_second_place_that_is_tried(board: Make) -> None:
    made = board("identity: [{name: x, then: replace +4930123}]\n")
    first = invite(call(made))
    second = invite(made.reply(first, 503))
    assert second.flow.remote != first.flow.remote
    assert b"+4930123@" in second.data


@pytest.mark.parametrize(("then", "status"), [("reject 603 No", "603"), ("challenge", "403")])
def test_a_call_that_may_not_be_presented_goes_nowhere(board: Make, then: str, status: str) -> None:
    made = board(f"identity: [{{name: x, when: {{presents: unlisted}}, then: {then}}}]\n")
    assert titles(call(made)) == [f"{status} INVITE"]
    assert made.leftovers() == {}


def test_both_sides_have_the_codecs_that_the_rule_lets_pass(board: Make) -> None:
    made = board("media: [{name: plain, when: {peer: pbx}, codecs: {allow: pcma}}]\n")
    offer = OFFER.replace(b"RTP/AVP 0", b"RTP/AVP 0 8")
    sent = call(made, body=offer)
    assert b"RTP/AVP 8 101\r\n" in invite(sent).data
    assert "media have allow pcma by rule 'plain' (" in notes(made)


def test_a_call_without_a_codec_that_may_pass_is_refused_with_488(board: Make) -> None:
    made = board("media: [{name: plain, codecs: {allow: g722}}]\n")
    sent = call(made)
    assert titles(sent) == ["100 INVITE", "488 INVITE"]
    assert b"these may: g722" in sent[-1].data


def test_keys_in_the_clear_are_refused_with_488_and_the_reason(board: Make) -> None:
    savp = f"RTP/SAVP 8\r\na=crypto:1 {SUITE} {KEY}".encode()
    made = board("")
    sent = call(made, FROM_TRUNK, body=OFFER.replace(b"RTP/AVP 0", savp))
    assert titles(sent)[-1] == "488 INVITE"
    assert b"can be read on the way" in sent[-1].data


@pytest.mark.parametrize(
    "line",
    [
        "P-Asserted-Identity: <sip:+4930999@x>",
        "P-Preferred-Identity: <sip:+4930999@x>",
        "Remote-Party-ID: <sip:+4930999@x>",
        "Diversion: <sip:+4930999@x>",
        "History-Info: <sip:+4930999@x>;index=1",
        "Identity: +4930999",
    ],
)
def test_identity_headers_of_an_untrusted_edge_go_no_further(board: Make, line: str) -> None:
    sent = call(board(""), FROM_TRUNK, headers=(line,))
    assert b"999" not in invite(sent).data


PHONES = """\
networks:
  outside: {{bind: 0.0.0.0, advertise: 203.0.113.10, listen: [udp/5060], media_ports: 30000-39999}}
  inside: {{trust: trusted, bind: 192.168.1.2, listen: udp/5062, media_ports: 20000-29999}}
peers:
  pbx: {{kind: pbx, network: inside, address: 192.168.1.5}}
  phones: {{kind: endpoints, network: outside}}
routes:
  - {{from: outside, to: pbx}}
policies: {policy}
"""


@pytest.mark.parametrize(
    ("owners", "title"),
    [
        ("users: {alice: [alice, 101]}", "INVITE"),
        ("users: {alice: 101}", "403 INVITE"),
        ("peers: {phones: al*}", "INVITE"),
        ("peers: {phones: 101}", "403 INVITE"),
        ("users: {bob: 101}", "INVITE"),
    ],
)
def test_a_registered_phone_shows_the_numbers_that_its_user_or_its_group_owns(
    tmp_path: Path, owners: str, title: str
) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(
        f"owners: {{{owners}}}\nrules: [{{name: all, then: allow}}]\n"
        "identity: [{name: not his, when: {presents: foreign}, then: reject 403 Not yours}]\n"
    )
    made = Board(a_configuration(PHONES.format(policy=file)))
    register(made)
    sent = made.give(PHONE_FLOW, a_message("INVITE", body=OFFER))
    assert titles(sent)[-1] == title
