"""Toll fraud through a whole switchboard: calls are counted, capped, refused, and told of."""

import json

import pytest

from sbc.b2bua.snapshot import from_data, to_data
from sbc.management.records import record_of
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
    register,
    titles,
)

NEIGHBOUR = PHONE_FLOW._replace(remote=("198.51.100.9", 40001))
SITE = """\
networks:
  outside: {bind: 203.0.113.10, listen: udp/5060, media_ports: 30000-39999}
  inside: {trust: trusted, bind: 192.168.1.2, listen: udp/5062, media_ports: 20000-29999}
peers:
  pbx: {kind: pbx, network: inside, address: 192.168.1.5}
  carrier: {kind: trunk, network: outside, address: 192.0.2.10}
  phones: {kind: endpoints, network: outside}
routes:
  - {from: outside, to: pbx}
  - {from: carrier, to: pbx}
  - {from: pbx, to: carrier}
policies: [POLICY, ../policies/edge-default.yaml]
"""
FROM_PBX = PBX_FLOW._replace(local=("192.168.1.2", 5062))
CARRIER = PHONE_FLOW._replace(local=("203.0.113.10", 5060), remote=("192.0.2.10", 5060))
PHONE = PHONE_FLOW._replace(local=("203.0.113.10", 5060))


def board_of(policy: str, tmp_path) -> Board:
    file = tmp_path / "fraud.yaml"
    file.write_text(policy)
    return Board(a_configuration(SITE.replace("POLICY", str(file))))


RULES = """\
tariffs:
  {currency: EUR, unknown_price: 0.5,
   prices: [{prefix: 883, price_per_minute: 6, risk: irsf, name: Nowhere}]}
fraud:
  - {name: nowhere, when: {risk: irsf, live_calls: {above: 0}}, then: reject 403 One at a time}
  - {name: short, when: {risk: irsf}, then: cap 2}
  - {name: many, when: {live_calls: {above: 1}}, then: warn}
"""


@pytest.fixture
def board(tmp_path) -> Board:
    board = board_of(RULES, tmp_path)
    register(board, flow=PHONE)
    board.log.lines.clear()
    return board


def dial(board: Board, number: str, call: int = 1, flow=PHONE, **rest: object) -> list[Sent]:
    given = {"uri": f"sip:{number}@{OUTSIDE}", "branch": f"z9hG4bK-{call}",
             "call_id": f"c-{call}", "from_tag": f"t{call}", "body": OFFER}  # fmt: skip
    return board.give(flow, a_message("INVITE", **{**given, **rest}))


def invite_of(sent: list[Sent]) -> Sent:
    return next(one for one in sent if one.title == "INVITE")


def answer(board: Board, sent: list[Sent], call: int = 1) -> None:
    board.reply(invite_of(sent), 200, headers=("Contact: <sip:x@192.168.1.5>",), body=ANSWER)


def test_a_capped_call_is_ended_after_its_minutes_and_says_why(board: Board) -> None:
    sent = dial(board, "+883123456")
    (live,) = board.switchboard.calls
    assert live.longest_s == 120.0
    story = [entry.text for entry in live.journal.entries]
    assert any(text.startswith("ends after 2 minutes: cap 2 by rule 'short'") for text in story)
    got = board.reply(invite_of(sent), 200, headers=("Contact: <sip:x@192.168.1.5>",), body=ANSWER)
    assert "200 INVITE" in titles(got)
    ok = next(one for one in got if one.title == "200 INVITE").message
    board.give(PHONE, a_message("ACK", uri=f"sip:sbc@{OUTSIDE}", branch="z9hG4bK-ack",
                                call_id="c-1", from_tag="t1", to_tag=ok.to_tag))  # fmt: skip
    board.wait(119)
    assert live.ending is None
    sent = board.wait(2)
    assert {one.flow.network for one in sent if one.title == "BYE"} == {"outside", "inside"}
    assert not any(b"policy" in one.data for one in sent)
    assert live.ending is not None
    assert live.ending.text == (
        "longest allowed duration reached: policy gives this call 2 minutes at most"
    )


def test_calls_at_once_see_each_other_and_the_owner_is_told_once_of_each(board: Board) -> None:
    dial(board, "+883123456", 1)
    refused = dial(board, "+883123457", 2)
    assert refused[0].title == "403 INVITE"
    assert refused[0].message.reason == "One at a time"
    dial(board, "+883123456", 1)  # a retransmission of the first, which is counted already
    told = [fields for _, event, fields in board.log.lines if event == "toll fraud suspected"]
    assert [(one["done"], one["rule"]) for one in told] == [
        ("cap 2", "short"),
        ("reject 403 One at a time", "nowhere"),
    ]
    last = told[-1]
    assert last["account"] == f"phone alice@{OUTSIDE}"
    assert (last["called"], last["destination"], last["risk"]) == ("+883123457", "Nowhere", "irsf")
    assert (last["price"], last["spend_hour"], last["live_calls"]) == ("6.00 EUR", "6.00 EUR", 1)
    assert "sbc cdr" in str(last["advice"])
    assert str(last["where"]).endswith("fraud.yaml:5")


def test_the_ledger_counts_exactly_the_calls_that_live(board: Board) -> None:
    ledger = board.switchboard.calls.ledger
    sent = [dial(board, f"+4930123{n}", n) for n in range(1, 4)]
    assert {call.name for call in board.switchboard.calls} == set(ledger.live)
    assert "policy warning" not in board.log.events("warning")
    assert board.log.events("warning") == ["toll fraud suspected"]
    board.reply(invite_of(sent[0]), 486)
    board.give(PHONE, a_message("CANCEL", uri=f"sip:+49301232@{OUTSIDE}", branch="z9hG4bK-2",
                                call_id="c-2", from_tag="t2"))  # fmt: skip
    board.reply(invite_of(sent[1]), 487)
    board.wait(40)
    assert {call.name for call in board.switchboard.calls} == set(ledger.live)
    board.wait(400)
    assert ledger.live == {}


def test_a_call_that_the_pbx_only_challenges_is_none(board: Board) -> None:
    sent = dial(board, "+49301234")
    board.reply(invite_of(sent), 407, headers=('Proxy-Authenticate: Digest realm="x", nonce="y"',))
    board.wait(40)
    ((name, account),) = board.switchboard.calls.ledger.accounts()
    assert name == f"phone alice@{OUTSIDE}"
    assert account.calls.sum(1.7e9) == 0.0
    assert account.failed.sum(1.7e9) == 0.0


def test_calls_that_come_in_cost_nothing_and_those_that_go_out_are_the_pbx_s(board: Board) -> None:
    dial(board, "+49301234", 1, CARRIER, sent_by="192.0.2.10", from_user="+883999999")
    dial(board, "+883123456", 2, FROM_PBX, sent_by="192.168.1.5",
         headers=("Diversion: <sip:107@192.168.1.5>",))  # fmt: skip
    charges = {one.account: one for one in board.switchboard.calls.ledger.live.values()}
    assert set(charges) == {"", "peer pbx"}
    assert charges[""].number == "+883999999"
    assert charges["peer pbx"].diverter == "peer pbx forwarding 107"
    assert charges["peer pbx"].price.per_minute == 6.0


def test_a_malformed_diversion_is_refused_and_counted_nowhere(board: Board) -> None:
    (refused,) = dial(board, "+49301234", 1, FROM_PBX, sent_by="192.168.1.5",
                      headers=("Diversion: <sip:",))[-1:]  # fmt: skip
    assert refused.title == "400 INVITE"
    assert board.switchboard.calls.ledger.live == {}
    assert board.leftovers().get("calls", 0) == 0


def test_another_price_list_holds_after_a_reload(board: Board, tmp_path) -> None:
    file = tmp_path / "fraud.yaml"
    file.write_text("tariffs: {unknown_price: 9}\n")
    new = a_configuration(SITE.replace("POLICY", str(file)))
    from tests.kit.switchboard import in_force

    assert board.switchboard.configure(in_force(new), board.now)
    dial(board, "+883123456")
    (charge,) = board.switchboard.calls.ledger.live.values()
    # What the table says no more, the numbering plan does.
    assert (charge.price.per_minute, charge.risk) == (9.0, "satellite")


def test_the_shipped_policy_works_beside_the_shipped_one_for_edges() -> None:
    text = (ROOT / "deploy/sbc.yaml").read_text()
    text = text.replace(
        "  - ../policies/edge-default.yaml",
        "  - ../policies/toll-fraud.yaml\n  - ../policies/edge-default.yaml",
    )
    board = Board(a_configuration(text))
    register(board)
    (refused,) = dial(board, "+88213123456", flow=PHONE_FLOW)
    assert (refused.title, refused.message.reason) == (
        "403 INVITE",
        "This destination is barred",
    )
    assert "INVITE" in titles(dial(board, "+4930123456", 2, flow=PHONE_FLOW))


CUT_OFF = """\
tariffs:
  currency: EUR
  cut_off: {hour: 10, day: 50}
  prices: [{prefix: 883, price_per_minute: 6}, {prefix: 49, price_per_minute: 0}]
"""


def up(board: Board, number: str, call: int) -> None:
    """A call that is answered and acknowledged."""
    got = board.reply(
        invite_of(dial(board, number, call)),
        200,
        headers=("Contact: <sip:x@192.168.1.5>",),
        body=ANSWER,
    )
    ok = next(one for one in got if one.title == "200 INVITE").message
    board.give(PHONE, a_message("ACK", uri=f"sip:sbc@{OUTSIDE}", branch=f"z9hG4bK-ack{call}",
                                call_id=f"c-{call}", from_tag=f"t{call}", to_tag=ok.to_tag)
               )  # fmt: skip


def test_live_calls_end_when_their_account_has_spent_too_much(tmp_path) -> None:
    board = board_of(CUT_OFF, tmp_path)
    register(board, flow=PHONE)
    up(board, "+883123456", 1)
    up(board, "+4930123456", 2)
    dear, free = board.switchboard.calls
    board.wait(35)
    assert dear.ending is None
    board.wait(60)
    assert dear.ending is not None
    assert dear.ending.by == "policy"
    assert dear.ending.text.startswith(f"phone alice@{OUTSIDE} has spent 1")
    assert free.ending is None
    assert board.log.events("warning").count("toll fraud stopped") == 1


def test_where_nothing_is_cut_off_nobody_looks(board: Board) -> None:
    up(board, "+4930123456", 1)
    board.wait(600)
    assert [call.ending for call in board.switchboard.calls] == [None]


def test_when_the_last_call_has_ended_nothing_is_due_any_more(tmp_path) -> None:
    board = board_of(CUT_OFF, tmp_path)
    register(board, flow=PHONE)
    up(board, "+883123456", 1)
    board.wait(200)
    assert len(board.switchboard.calls) == 0
    assert board.switchboard.calls.next_timeout() is None
    up(board, "+4930123456", 2)
    assert board.switchboard.calls.next_timeout() is not None


def test_who_pays_is_written_down_and_outlives_an_export(board: Board) -> None:
    dial(board, "+883123456")
    (call,) = board.switchboard.calls
    record = record_of(call)
    assert (record.account, record.number, record.diverter) == (
        f"phone alice@{OUTSIDE}",
        "+883123456",
        "",
    )
    restored = from_data(json.loads(json.dumps(to_data(call))), call.context)
    assert (restored.charge, restored.longest_s) == (call.charge, 120.0)


def test_a_call_with_a_diversion_that_cannot_be_read_takes_no_place(tmp_path) -> None:
    board = board_of(RULES, tmp_path)
    data = a_message(
        "INVITE", uri=f"sip:+4930123@{OUTSIDE}", body=OFFER, headers=("Diversion: <sip:",)
    )
    sent = board.give(FROM_PBX, data)
    assert titles(sent)[-1].startswith("400")
    assert board.switchboard.caps.calls("pbx") == board.switchboard.caps.calls("carrier") == 0
