"""Five hundred users behind one address, and one attacker among them: nobody loses anything."""

from itertools import count

from sbc.sip.flow import Flow
from tests.kit.switchboard import OFFER, PHONE_FLOW, Board, a_message, register, titles

USERS = 500
HOST = PHONE_FLOW.remote[0]
FLOODED_S = 20
FLOOD_PER_S = 500


def phone(number: int) -> Flow:
    return PHONE_FLOW._replace(remote=(HOST, 20_000 + number))


def arrives(board: Board, flow: Flow, data: bytes) -> list[str]:
    """What a datagram is answered, if it is let in at all."""
    if board.switchboard.doorkeeper.admits_datagram("outside", flow.remote, board.now) == "away":
        return []
    board.switchboard.take_datagram(flow, data, board.now)
    return titles(board.wire.take())


class Flood:
    """An attacker at the same address, who may send from any port."""

    def __init__(self, board: Board) -> None:
        self.board = board
        self.numbers = count()

    def goes_on(self, messages: int, ports: int) -> int:
        """Send some junk; how much of it was answered."""
        answered = 0
        for _ in range(messages):
            number = next(self.numbers)
            flow = PHONE_FLOW._replace(remote=(HOST, 50_000 + number % ports))
            junk = a_message(
                "INVITE", branch=f"z9hG4bK-junk{number}", call_id=f"junk{number}", body=OFFER
            )
            answered += bool(arrives(self.board, flow, junk))
        return answered


def test_every_registered_user_is_served_while_a_neighbour_floods() -> None:
    board = Board()
    for number in range(USERS):
        register(board, f"user{number}", phone(number))
        board.now += 0.5
    flood = Flood(board)
    answered, number = 0, 0
    for second in range(FLOODED_S):
        for _ in range(10):
            board.now += 0.1
            answered += flood.goes_on(FLOOD_PER_S // 10, 1 if second % 2 else 5000)
            for _ in range(USERS // 10 // FLOODED_S * 2):
                probe = a_message("OPTIONS", branch=f"z9hG4bK-good{number}", call_id=f"g{number}")
                assert arrives(board, phone(number % USERS), probe) == ["200 OPTIONS"]
                number += 1
    assert number >= USERS
    assert answered <= 100 + 40 * FLOODED_S  # what one address may send
    assert len(board.switchboard.registrar.bindings) == USERS


def test_a_phone_that_comes_new_to_the_address_may_register_beside_one_flooding_port() -> None:
    board = Board()
    flood = Flood(board)
    heard = 0
    for number in range(100):
        board.now += 0.2
        flood.goes_on(100, 1)
        request = a_message("REGISTER", call_id=f"new{number}", branch=f"z9hG4bK-new{number}")
        heard += arrives(board, phone(number), request) == ["REGISTER"]
    assert heard == 100
