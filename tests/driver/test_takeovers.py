"""The guard of registrations in a whole switchboard, in every mode of registration."""

import pytest

from sbc.sip.digest import Login
from sbc.sip.message import Request, Response
from sbc.sip.parser import parse_message_untrusted
from tests.kit.switchboard import (
    OUTSIDE,
    PHONE_FLOW,
    Board,
    Sent,
    a_configuration,
    a_register,
    titles,
)

SITE = """\
networks:
  outside: {{bind: 203.0.113.10, listen: udp/5060, media_ports: 30000-39999}}
  inside: {{trust: trusted, bind: 192.168.1.2, listen: udp/5062, media_ports: 20000-29999}}
peers:
  pbx: {{kind: pbx, network: inside, address: 192.168.1.5}}
  phones: {{kind: endpoints, network: outside, registration: {{mode: {mode}}}}}
routes:
  - {{from: outside, to: pbx}}
policies: [{policy}, ../policies/edge-default.yaml]
"""
PHONE = PHONE_FLOW._replace(local=("203.0.113.10", 5060))
THIEF = PHONE._replace(remote=("192.0.2.66", 5060))
MOVED = PHONE._replace(remote=("192.0.2.99", 6000))
YEALINK, OTHER = "User-Agent: Yealink SIP-T46S 66.85.0.5", "User-Agent: Other-Phone/1.8"
AOR = f"sip:alice@{OUTSIDE}"


def board_of(tmp_path, on_takeover: str, mode: str = "relay") -> Board:
    file = tmp_path / "guard.yaml"
    file.write_text(f"registrations: {{on_takeover: {on_takeover}}}\n")
    return Board(a_configuration(SITE.format(policy=file, mode=mode)))


def registers(board: Board, flow, agent: str, number: int, host: str = "10.0.0.7") -> list[Sent]:
    """Register; the PBX says yes to whatever reaches it."""
    sent = board.give(
        flow,
        a_register(
            cseq=number,
            call_id=f"r-{number}",
            branch=f"z9hG4bK-r{number}",
            contact=f"<sip:alice@{host}:5060>",
            headers=(agent,),
        ),
    )
    if titles(sent) != ["REGISTER"]:
        return sent
    contact = sent[0].message.headers.first("contact") or ""
    contact = contact.partition(";expires")[0]
    return board.reply(sent[0], 200, headers=(f"Contact: {contact};expires=3600",))


def alarms(board: Board) -> list[str]:
    return [event for event in board.log.events("warning") if event.startswith("registration ")]


def test_who_shows_no_password_hides_nobody_who_does(tmp_path) -> None:
    board = board_of(tmp_path, "hold")
    registers(board, PHONE, YEALINK, 1)
    registers(board, THIEF, OTHER, 2, "10.9.9.9")
    digest = 'Authorization: Digest username="alice", realm="x", nonce="n", response="r"'
    for number in (3, 4):
        registers(board, THIEF, f"{OTHER}\r\n{digest}", number, "10.9.9.9")
    told = [str(fields) for _, event, fields in board.log.lines if event == "registration held"]
    assert ["no password was shown" in one for one in told] == [True, False]


@pytest.mark.parametrize("mode", ["relay", "cache"])
def test_a_takeover_is_held_until_an_operator_accepts_it(tmp_path, mode: str) -> None:
    board = board_of(tmp_path, "hold", mode)
    assert titles(registers(board, PHONE, YEALINK, 1)) == ["200 REGISTER"]
    for number in (2, 3):
        (refused,) = registers(board, THIEF, OTHER, number, "10.9.9.9")
        assert refused.title == "403 REGISTER"
    assert alarms(board) == ["registration held"]
    fields = next(fields for _, event, fields in board.log.lines if event == "registration held")
    assert fields["aor"] == AOR
    assert "sbc registrations --accept" in str(fields["advice"])
    assert not board.switchboard.reception.takeovers.accept("sip:nobody@x")
    assert board.switchboard.reception.takeovers.accept(AOR)
    assert titles(registers(board, THIEF, OTHER, 4, "10.9.9.9")) == ["200 REGISTER"]
    assert len(board.switchboard.registrar.bindings) == 2


@pytest.mark.parametrize("mode", ["relay", "cache"])
def test_a_takeover_is_told_where_nothing_is_held(tmp_path, mode: str) -> None:
    board = board_of(tmp_path, "notify", mode)
    registers(board, PHONE, YEALINK, 1)
    assert titles(registers(board, THIEF, OTHER, 2, "10.9.9.9")) == ["200 REGISTER"]
    assert alarms(board) == ["registration changed"]
    registers(board, THIEF, OTHER, 3, "10.9.9.9")
    assert alarms(board) == ["registration changed"]


@pytest.mark.parametrize("host", ["10.0.0.7", "10.1.1.1"], ids=["same contact", "new contact"])
def test_a_phone_that_moved_is_never_held(tmp_path, host: str) -> None:
    board = board_of(tmp_path, "hold")
    registers(board, PHONE, YEALINK, 1)
    assert titles(registers(board, MOVED, YEALINK, 2, host)) == ["200 REGISTER"]
    assert alarms(board) == []


def test_another_device_may_come_when_the_old_registration_has_ended(tmp_path) -> None:
    board = board_of(tmp_path, "hold")
    registers(board, PHONE, YEALINK, 1)
    board.wait(3700)
    assert board.switchboard.registrar.bindings == []
    assert titles(registers(board, THIEF, OTHER, 2, "10.9.9.9")) == ["200 REGISTER"]


def test_a_stranger_can_neither_end_what_is_registered_nor_is_told_anything_by_asking(
    tmp_path,
) -> None:
    board = board_of(tmp_path, "hold")
    registers(board, PHONE, YEALINK, 1)
    star = a_register(contact="*", expires=0, cseq=9, call_id="x", branch="z9hG4bK-x",
                      headers=(OTHER,))  # fmt: skip
    assert titles(board.give(THIEF, star)) == ["403 REGISTER"]
    query = a_register(contact="", expires=None, cseq=10, call_id="y", branch="z9hG4bK-y",
                       headers=(OTHER,))  # fmt: skip
    assert titles(board.give(THIEF, query)) == ["REGISTER"]
    assert len(board.switchboard.registrar.bindings) == 1


def test_what_is_restored_at_a_start_is_guarded(tmp_path) -> None:
    before = board_of(tmp_path, "hold")
    registers(before, PHONE, YEALINK, 1)
    after = board_of(tmp_path, "hold")
    after.switchboard.restore(before.switchboard.registrar.export(before.now), after.now)
    (refused,) = registers(after, THIEF, OTHER, 2, "10.9.9.9")
    assert refused.title == "403 REGISTER"
    assert alarms(after) == ["registration held"]


LOCAL = """\
networks:
  outside: {{bind: 203.0.113.10, listen: udp/5060, media_ports: 30000-39999}}
peers:
  phones:
    kind: endpoints
    network: outside
    domain: {domain}
    registration: {{mode: local}}
    authentication: {{mode: challenge, users: {{alice: s3cret}}}}
routes:
  - {{from: outside, to: phones}}
policies: [{policy}, ../policies/edge-default.yaml]
"""


def logs_in(board: Board, flow, agent: str, number: int, host: str) -> str:
    """Register with the right password where we are the registrar; the title of the answer."""
    request = a_register(cseq=number, call_id=f"r-{number}", branch=f"z9hG4bK-r{number}",
                         contact=f"<sip:alice@{host}:5060>", headers=(agent,))  # fmt: skip
    (challenge,) = board.give(flow, request)
    assert challenge.title == "401 REGISTER"
    again = parse_message_untrusted(request.replace(b"branch=z9hG4bK-r", b"branch=z9hG4bK-s"))
    assert isinstance(again, Request)
    assert isinstance(challenge.message, Response)
    again.headers.set("CSeq", f"{number + 1} REGISTER")
    assert Login("alice", "s3cret").answer(again, challenge.message, "c", 0)

    (answer,) = board.give(flow, again)
    return answer.title


def test_a_right_password_is_no_proof_where_we_are_the_registrar(tmp_path) -> None:
    file = tmp_path / "guard.yaml"
    file.write_text("registrations: {on_takeover: hold}\n")
    board = Board(a_configuration(LOCAL.format(policy=file, domain=OUTSIDE)))
    assert logs_in(board, PHONE, YEALINK, 1, "10.0.0.7") == "200 REGISTER"
    assert logs_in(board, THIEF, OTHER, 11, "10.9.9.9") == "403 REGISTER"
    assert alarms(board) == ["registration held"]
    assert logs_in(board, MOVED, YEALINK, 21, "10.0.0.7") == "200 REGISTER"
    assert board.switchboard.reception.takeovers.accept(AOR)
    assert logs_in(board, THIEF, OTHER, 31, "10.9.9.9") == "200 REGISTER"
