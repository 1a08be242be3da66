"""The explanation of a request: every step it took, in words."""

import json

from sbc.driver.explanation import Line, header_lines, lines_of_call, lines_of_refused
from sbc.management.explaining import explained, record_explained
from sbc.management.records import CallRecords
from sbc.state.cdr import CdrRecord
from tests.driver.test_refusals import STRANGER, invite
from tests.kit.switchboard import OFFER, PHONE_FLOW, Board, a_message, register


def a_call_of_a_phone() -> Board:
    board = Board()
    register(board)
    board.give(PHONE_FLOW, a_message("INVITE", body=OFFER, headers=("X-Odd: 1",)))
    return board


def steps(lines: list[Line]) -> list[str]:
    return list(dict.fromkeys(line.step for line in lines))


def test_a_call_tells_from_its_source_to_its_media() -> None:
    (call,) = a_call_of_a_phone().switchboard.calls
    lines = lines_of_call(call)
    assert steps(lines) == [
        "source", "numbers", "rules", "nearest", "route", "candidate", "headers", "media"
    ]  # fmt: skip
    told = {line.step: line for line in lines}
    assert told["source"].text == (
        "udp 198.51.100.7:40000 on untrusted network 'outside', a registered phone"
    )
    assert told["numbers"].text == "alice calls 600"
    assert told["rules"].text.startswith("allow by rule 'registered phones may call': registered")
    assert "edge-default.yaml:" in told["rules"].where
    assert told["candidate"].text.startswith("1. pbx at udp 192.168.1.5:5060, called sip:600@")
    assert told["media"].text.startswith("audio: a at 203.0.113.10:")
    changed = [line.text.partition(":")[0] for line in lines if line.step == "headers"]
    assert {"from", "to", "contact"} <= set(changed)
    assert "x-odd" not in changed


def test_credentials_are_in_no_explanation() -> None:
    before = a_message("INVITE", headers=('Authorization: Digest username="a", response="s3"',))
    (line,) = header_lines(before, a_message("INVITE"))
    assert line.text == "authorization: (hidden) -> absent"


def test_a_refused_request_tells_as_far_as_it_came() -> None:
    board = Board()
    board.give(STRANGER._replace(network="outside"), invite("100"))
    (refused,) = board.switchboard.refused
    assert steps(lines_of_refused(refused)) == ["source", "rules", "nearest", "answer"]


def test_it_is_found_by_the_call_id_of_either_leg_and_by_our_ids() -> None:
    board = a_call_of_a_phone()
    (call,) = board.switchboard.calls
    for name in (call.name, call.a.call_id, call.b.call_id, call.name[:6]):
        (found,) = explained(board.switchboard, name)
        assert found["id"] == call.name
    assert explained(board.switchboard, "nothing") == []


def test_a_record_tells_what_the_process_has_forgotten() -> None:
    board = a_call_of_a_phone()
    (call,) = board.switchboard.calls
    kept: list[CdrRecord] = []
    CallRecords(kept.append).call_ended(call)
    data = json.loads(kept[0].explanation)
    assert data["rule"] == "registered phones may call"
    lines = record_explained(kept[0])["lines"]
    assert isinstance(lines, list)
    assert [line["step"] for line in lines][:3] == ["source", "rules", "route"]


def test_the_record_of_a_refused_call_says_which_rule_refused_it() -> None:
    board = Board()
    board.give(PHONE_FLOW._replace(network="outside"), invite("100"))
    (refused,) = board.switchboard.refused
    kept: list[CdrRecord] = []
    CallRecords(kept.append).call_refused(refused)
    assert kept[0].explanation
    assert kept[0].ended_by == "policy"
    (found,) = [record_explained(record) for record in kept]
    assert "not registered" in json.dumps(found)
