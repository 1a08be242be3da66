"""Rules for headers in the whole switchboard: before routing, on the wire, at a reload."""

from dataclasses import replace

import pytest

from sbc.config.load import Configuration
from sbc.driver.explanation import lines_of_call
from sbc.policy.load import combine, load_policy
from tests.kit.switchboard import (
    ANSWER,
    OFFER,
    PHONE_FLOW,
    ROOT,
    Board,
    a_configuration,
    a_message,
    a_register,
    in_force,
    register,
    titles,
)

RULES = """
headers:
  - name: what phones call themselves
    direction: in
    from: phones
    when: {method: INVITE, registered: true}
    do:
      - {set: From.uri.user, value: "9$(header:From.uri.user)"}
      - {set: X-Phone, value: "$(source)"}
  - name: who calls
    toward: pbx
    do:
      - {set: X-Caller, value: "$(caller) by $(network)"}
  - name: what answers
    on: responses
    from: pbx
    when: {status: 2xx}
    do: [{set: X-Answered, value: "yes"}]
"""


def configuration(rules: str) -> Configuration:
    shipped = (ROOT / "policies/edge-default.yaml").read_text()
    loaded = [load_policy(shipped, "edge-default.yaml"), load_policy(rules, "headers.yaml")]
    assert not any(policy.broken for policy in loaded)
    return replace(a_configuration(), policies=combine(loaded))


@pytest.fixture
def board() -> Board:
    board = Board(configuration(RULES))
    register(board)
    return board


def test_a_call_passes_as_the_rules_have_it_and_is_answered_as_it_was_asked(board: Board) -> None:
    sent = board.give(PHONE_FLOW, a_message("INVITE", body=OFFER))
    assert titles(sent) == ["100 INVITE", "INVITE"]
    invite = sent[1].message
    assert invite.from_.uri.user == "9alice"
    assert invite.headers.first("x-caller") == "9alice by outside"
    # What names an address of the phone's side is still withheld, whoever wrote it.
    assert not invite.headers.has("x-phone")
    _, answered = board.reply(
        sent[1], 200, headers=("Contact: <sip:600@192.168.1.5>",), body=ANSWER
    )
    assert answered.title == "200 INVITE"
    assert answered.message.from_.uri.user == "alice"
    assert answered.message.headers.first("x-answered") == "yes"


def test_the_journal_tells_every_change_with_the_rule_and_its_place(board: Board) -> None:
    board.give(PHONE_FLOW, a_message("INVITE", body=OFFER))
    (call,) = board.switchboard.calls
    told = [entry.summary for entry in call.journal.entries if "headers: " in entry.summary]
    assert len(told) == 2
    assert told[0].startswith("headers: change -From: <sip:alice@")
    assert (
        "+X-Phone: 198.51.100.7 by rule 'what phones call themselves' (headers.yaml:3): " in told[0]
    )
    assert "rule 'who calls' (headers.yaml:10)" in told[1]
    assert (call.caller, call.callee) == ("9alice", "600")
    found = [line.text for line in lines_of_call(call) if line.step == "header rule"]
    assert found == [line.removeprefix("headers: ") for line in told]


def test_a_call_keeps_the_rules_it_began_with(board: Board) -> None:
    _, invite = board.give(PHONE_FLOW, a_message("INVITE", body=OFFER))
    without = configuration("headers: []")
    assert board.switchboard.configure(in_force(without), board.now)
    _, answered = board.reply(invite, 200, headers=("Contact: <sip:600@192.168.1.5>",), body=ANSWER)
    assert answered.message.headers.has("x-answered")
    register(board, "bob", cseq=1)
    message = a_message("INVITE", call_id="other", branch="z9hG4bK-2", from_user="bob", body=OFFER)
    _, invite = board.give(PHONE_FLOW, message)
    assert not invite.message.headers.has("x-caller")


def test_a_malformed_header_that_a_rule_asks_about_is_no_fault_of_ours() -> None:
    rules = "headers: [{name: r, direction: in, when: {forwards: {above: 1}}, do: [{remove: X}]}]"
    board = Board(configuration(rules))
    register(board)
    sent = board.give(PHONE_FLOW, a_message("INVITE", headers=("Diversion: <<<",), body=OFFER))
    assert sent
    assert "internal error" not in board.log.events("error")


def test_the_offer_of_a_broken_phone_is_repaired_before_it_is_weighed() -> None:
    text = (ROOT / "deploy/sbc.yaml").read_text()
    phones = "    kind: endpoints "
    assert phones in text
    quirks = f"    repair: [savp-no-crypto, rtpmap-missing]\n{phones}"
    offer = OFFER.replace(b"RTP/AVP 0 101", b"RTP/SAVP 0 101 98")
    for written, title in ((text.replace(phones, quirks), "INVITE"), (text, "488 INVITE")):
        board = Board(a_configuration(written))
        register(board)
        sent = board.give(PHONE_FLOW, a_message("INVITE", body=offer))
        assert titles(sent)[-1] == title
        assert (b"RTP/AVP 0 101\r\n" in sent[-1].data) is (title == "INVITE")


REGISTRATIONS = """
headers:
  - name: where phones are
    toward: pbx
    when: {method: REGISTER}
    do: [{set: X-Phone-Source, value: "$(source) of $(peer)"}, {pass: User-Agent}]
  - name: no words of phones
    direction: in
    from: phones
    when: {method: REGISTER}
    do: [{remove: Subject}, {set: To.uri.user, value: mallory}, {set: X-Seen, value: "yes"}]
"""


def test_a_registration_passes_as_the_rules_have_it() -> None:
    board = Board(configuration(REGISTRATIONS))
    headers = ("User-Agent: Phone/1", "Subject: secret")
    (relayed,) = board.give(PHONE_FLOW, a_register(headers=headers))
    asked = relayed.message
    assert asked.headers.first("x-phone-source") == "198.51.100.7 of phones"
    assert asked.headers.all("user-agent") == ["Phone/1"]
    assert asked.headers.first("x-seen") == "yes"
    assert not asked.headers.has("subject")
    assert asked.to.uri.user == "alice"
    contact = asked.headers.first("contact")
    (answer,) = board.reply(relayed, 200, headers=(f"Contact: {contact};expires=3600",))
    assert answer.title == "200 REGISTER"
    assert answer.message.to.uri.user == "alice"
    changes = [
        fields["what"] for _, event, fields in board.log.lines if event == "registration changed"
    ]
    came, left = [str(change).partition(" by rule ")[0] for change in changes]
    assert came == "headers: change -Subject: secret; +X-Seen: yes"
    assert left.startswith("headers: change -User-Agent: sbc; +X-Phone-Source: 198.51.100.7 of")


def test_what_cannot_be_said_of_a_registration_is_a_warning() -> None:
    rules = 'headers: [{name: r, toward: pbx, do: [{set: X-A, value: "\\n"}]}]'
    board = Board(configuration(rules))
    register(board)
    assert "registration changed" in board.log.events("warning")
