"""Rules for headers in the whole switchboard: before routing, on the wire, at a reload."""

from dataclasses import replace

import pytest

from sbc.config.load import Configuration
from sbc.policy.load import combine, load_policy
from tests.kit.switchboard import (
    ANSWER,
    OFFER,
    PHONE_FLOW,
    ROOT,
    Board,
    a_configuration,
    a_message,
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
