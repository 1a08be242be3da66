"""Hops in the whole switchboard: calls and probes tell, the log says, and later calls heed it."""

import pytest

from tests.kit.switchboard import PBX_FLOW, Board, Sent, a_configuration, a_message, titles

TEXT = """\
networks:
  outside: {bind: 203.0.113.10, listen: [udp/5060, tcp/5060], media_ports: 30000-39999}
  inside: {trust: trusted, bind: 192.168.1.2, listen: udp/5062, media_ports: 20000-29999}
peers:
  pbx: {kind: pbx, network: inside, address: 192.168.1.5}
  one: {kind: trunk, network: outside, address: 192.0.2.10, health: {fail_after: 2, probe: PROBE}}
  two: {kind: trunk, network: outside, address: 192.0.2.20}
routes: [{from: pbx, to: [one, two]}]
policies: ../policies/edge-default.yaml
"""
FROM_PBX = PBX_FLOW._replace(local=("192.168.1.2", 5062))
ONE, TWO = "192.0.2.10", "192.0.2.20"


def a_board(probe: str = "off") -> Board:
    return Board(a_configuration(TEXT.replace("PROBE", probe)))


@pytest.fixture
def board() -> Board:
    return a_board()


def call(board: Board, number: int) -> Sent:
    """The INVITE of a call, where it went."""
    sent = board.give(
        FROM_PBX,
        a_message(
            "INVITE",
            uri="sip:0800@192.168.1.2",
            branch=f"z9hG4bK-{number}",
            call_id=f"c-{number}",
            sent_by="192.168.1.5",
        ),
    )
    assert sent[-1].title == "INVITE", titles(sent)
    return sent[-1]


def targets(board: Board) -> list[tuple[str, str, object]]:
    return [
        (level, event, fields["cause"])
        for level, event, fields in board.log.lines
        if event.startswith("target")
    ]


def test_calls_go_round_a_target_that_keeps_still_after_some_have_shown_it(board):
    for number in range(2):
        assert call(board, number).flow.remote[0] == ONE
    sent = board.wait(4)
    assert [one.flow.remote[0] for one in sent if one.title == "INVITE"][-2:] == [TWO, TWO]
    assert call(board, 3).flow.remote[0] == TWO
    assert targets(board) == [
        ("warning", "target suspect", "INVITE got no response within 4 s"),
        ("warning", "target down", "INVITE got no response within 4 s"),
    ]


def test_the_line_says_whose_target_it_is_and_how_long_it_was_what_it_was(board):
    board.now += 7
    board.reply(call(board, 1), 486)
    (line,) = [fields for _, event, fields in board.log.lines if event == "target up"]
    assert line == {
        "peer": "one",
        "target": "192.0.2.10:5060;transport=udp",
        "was": "unknown",
        "for_s": 7.0,
        "cause": "INVITE answered 486 Busy Here",
    }


def test_what_is_down_is_tried_when_nothing_else_is_left(board):
    for number in range(2):
        board.reply(call(board, number), 503)
    to_two = call(board, 3)
    assert to_two.flow.remote[0] == TWO
    assert board.reply(to_two, 503)[-1].flow.remote[0] == ONE


def test_a_flow_that_fails_is_told_with_its_reason(board):
    invite = call(board, 1)
    board.switchboard.flow_failed(invite.flow, "no route to host", board.now)
    assert board.wire.take()[-1].flow.remote[0] == TWO
    (line,) = targets(board)
    assert line[2] == "INVITE failed: transport (no route to host)"


def test_retry_after_sends_calls_elsewhere_for_that_time(board):
    board.reply(call(board, 1), 503, headers=("Retry-After: 60",))
    assert call(board, 2).flow.remote[0] == TWO
    board.wait(60)
    assert call(board, 3).flow.remote[0] == ONE
    rest = next(fields for _, event, fields in board.log.lines if event.endswith("alone"))
    assert (rest["peer"], rest["s"]) == ("one", 60.0)


def test_a_probe_that_is_not_answered_leaves_nothing_behind_when_it_is_over():
    board = a_board("options")
    sent = board.wait(5)
    assert {(one.title, one.flow.remote[0]) for one in sent} == {("OPTIONS", ONE)}
    board.wait(40)
    assert ("warning", "target down", "OPTIONS got no answer within 4 s") in targets(board)
    assert call(board, 1).flow.remote[0] == TWO
    configuration = a_configuration(TEXT.replace("PROBE", "off"))
    board.switchboard.configure(
        type(board.switchboard.force)(
            configuration.settings, configuration.routing_table(), configuration.policies, {}
        ),
        board.now,
    )
    assert board.switchboard.hops.health.next_timeout() is None


def test_a_probe_that_is_answered_says_so_and_is_over():
    board = a_board("options")
    board.wait(0)
    while not (sent := board.wait(0.1)):
        pass
    board.reply(sent[-1], 200)
    board.wait(20)
    assert targets(board) == [("info", "target up", "OPTIONS answered 200 OK")]
    assert board.leftovers() == {}


def test_calls_at_a_hop_are_those_that_are_live_there(board):
    calls = board.switchboard.calls
    invite = call(board, 1)
    (live,) = calls
    first = live.candidate.hop
    assert calls.at(first) == 1
    invite = board.reply(invite, 503)[-1]
    assert (calls.at(first), calls.at(live.candidate.hop)) == (0, 1)
    assert board.switchboard.reception._caps.calls("one") == 0
    board.reply(invite, 486)
    assert calls.at(live.candidate.hop) == 0
