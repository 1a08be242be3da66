"""All phones at once, after a restart: the PBX behind is spared, and nobody is forgotten."""

from sbc.config.files import read_text
from sbc.registrar import pending
from tests.kit.registrar import life_of
from tests.kit.switchboard import PHONE_FLOW, ROOT, Board, a_configuration, a_register

PHONES = 60
ENDPOINTS = "    kind: endpoints "
CACHE = f"    registration: {{mode: cache}}\n{ENDPOINTS}"


def a_board() -> Board:
    text = read_text(ROOT / "deploy/sbc.yaml")
    assert text.count(ENDPOINTS) == 1
    return Board(a_configuration(text.replace(ENDPOINTS, CACHE)))


def flow_of(number: int):
    return PHONE_FLOW._replace(remote=("198.51.100.7", 40000 + number))


def registered() -> Board:
    board = a_board()
    for number in range(PHONES):
        (relayed,) = board.give(flow_of(number), a_register(f"u{number}"))
        contact = relayed.message.headers.first("contact")
        board.reply(relayed, 200, headers=(f"Contact: {contact}",))
    return board


def test_phones_that_come_back_after_a_restart_are_answered_here():
    board, heir = registered(), a_board()
    heir.switchboard.restore(board.switchboard.registrar.export(board.now), heir.now)
    lives = set()
    for number in range(PHONES):
        (answer,) = heir.give(flow_of(number), a_register(f"u{number}", cseq=2))
        assert (answer.title, answer.flow) == ("200 REGISTER", flow_of(number))
        lives.add(life_of(answer.message.headers.first("contact")))
    assert heir.switchboard.registrar.absorbed == PHONES
    assert len(lives) > 5, "they do not all come back together"


def test_phones_that_find_no_room_come_back_at_different_times(monkeypatch):
    monkeypatch.setattr(pending, "MAX_PENDING", 10)
    board, waits = a_board(), set()
    for number in range(PHONES):
        (sent,) = board.give(flow_of(number), a_register(f"u{number}"))
        if sent.title == "503 REGISTER":
            waits.add(sent.message.headers.first("retry-after"))
    assert board.switchboard.registrar.pending == 5
    assert len(waits) > 5
