"""What is told of peers: a row for each place, and the reason where there is none."""

import json

from sbc.management.peers import peers_listing
from tests.driver.test_hop_watch import TEXT, call
from tests.kit.switchboard import Board, a_configuration


def a_board() -> Board:
    text = TEXT.replace("PROBE", "off").replace(
        "address: 192.0.2.20}",
        "address: [sip.two.example, {address: '192.0.2.20:5080;transport=tcp', drain: true}],"
        " limits: {max_calls: 5, max_kbps: 900}}",
    )
    return Board(a_configuration(text))


def rows(board: Board) -> dict[tuple[str, str], dict[str, object]]:
    told = json.loads(json.dumps(peers_listing(board.switchboard, board.now)))
    return {(row["peer"], row["target"]): row for row in told}


def test_a_place_that_nobody_called_is_unknown() -> None:
    row = rows(a_board())["one", "192.0.2.10"]
    assert row["place"] == "192.0.2.10:5060;transport=udp"
    assert (row["state"], row["evidence"], row["evidence_s"]) == ("unknown", None, None)


def test_what_was_seen_of_it_and_how_many_calls_it_has() -> None:
    board = a_board()
    board.reply(call(board, 1), 180)
    call(board, 2)
    board.now += 3
    row = rows(board)["one", "192.0.2.10"]
    assert (row["state"], row["evidence"]) == ("up", "INVITE answered 180 Ringing")
    assert (row["state_s"], row["evidence_s"]) == (3.0, 3.0)
    assert (row["calls"], row["peer_calls"]) == (2, 2)


def test_one_that_asked_to_be_left_alone_says_for_how_long() -> None:
    board = a_board()
    board.reply(call(board, 1), 503, headers=("Retry-After: 60",))
    board.now += 10
    assert rows(board)["one", "192.0.2.10"]["rests_s"] == 50.0


def test_targets_that_are_drained_or_have_no_address_are_there_with_their_caps() -> None:
    found = rows(a_board())
    drained = found["two", "192.0.2.20:5080;transport=tcp"]
    assert (drained["drain"], drained["max_calls"], drained["max_kbps"]) == (True, 5, 900)
    lost = found["two", "sip.two.example"]
    assert (lost["state"], lost["place"]) == ("unresolved", None)
    assert lost["evidence"]


def test_a_target_that_no_listener_reaches_says_so() -> None:
    text = TEXT.replace("PROBE", "off").replace("192.0.2.20", "six.example")
    board = Board(a_configuration(text), {"six.example": ("2001:db8::6",)})
    row = rows(board)["two", "six.example"]
    assert row["state"] in ("unreachable", "unresolved")
    assert row["evidence"]
