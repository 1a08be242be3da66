"""The command that registers with a trunk at once."""

import pytest
import trio

from sbc.management.control import CommandRefused
from sbc.management.trunks import registering
from tests.kit.switchboard import Board, a_configuration

TRUNK = """\
networks: {outside: {bind: 203.0.113.10, listen: udp/5060}}
peers: {carrier: {kind: trunk, network: outside, address: 192.0.2.1, register: {user: us}}}
routes: [{to: carrier}]
policies: ../policies/edge-default.yaml
"""


async def test_who_waits_is_due_now_and_a_stranger_is_refused(autojump_clock: object) -> None:
    board = Board(a_configuration(TRUNK))
    board.now = trio.current_time()
    board.switchboard.begin(board.now)
    (sent,) = board.wait(0.2)
    board.reply(sent, 404)
    rearmed: list[bool] = []
    command = registering(board.switchboard, lambda: rearmed.append(True))

    rows = command({"trunk": "carrier"})
    assert isinstance(rows, list)
    assert [(row["trunk"], row["state"], row["next_in_s"]) for row in rows] == [
        ("carrier", "backing off", 0.0)
    ]
    assert rearmed == [True]
    (sent,) = board.wait(0.2)
    assert sent.title == "REGISTER"
    with pytest.raises(CommandRefused, match="no registration waits with trunk 'other'"):
        command({"trunk": "other"})
