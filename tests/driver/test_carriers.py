"""Trunks that we register with, through a whole switchboard: calls, callers, reloads, the log."""

import pytest

from sbc.sip.flow import Flow
from tests.kit.switchboard import (
    OFFER,
    PBX_FLOW,
    Board,
    Sent,
    a_configuration,
    a_message,
    in_force,
    locations,
    titles,
)

TEXT = """\
networks:
  outside: {bind: 203.0.113.10, listen: [udp/5060, tcp/5060], media_ports: 30000-39999}
  inside: {trust: trusted, bind: 192.168.1.2, listen: udp/5062, media_ports: 20000-29999}
peers:
  pbx: {kind: pbx, network: inside, address: 192.168.1.5, domain: office.example}
  first:
    kind: trunk
    network: outside
    address: [192.0.2.1, 192.0.2.2]
    domain: first.example
    register: {user: acme, contact: "4930123", expires: 300}
    authentication: {mode: answer, username: acme, password: "%s"}
  second:
    kind: trunk
    network: outside
    address: two.example
    register: {user: "4940456"}
routes:
  - {name: in, from: [first, second], to: pbx}
  - {name: out, from: pbx, to: [first, second]}
policies: ../policies/edge-default.yaml
"""
KNOWN = {"two.example": ("198.51.100.2",)}
INSIDE = PBX_FLOW._replace(local=("192.168.1.2", 5062))
FIRST = Flow("outside", "udp", ("203.0.113.10", 5060), ("192.0.2.1", 5060))
BACKUP = FIRST._replace(remote=("192.0.2.2", 5060))
SECOND = FIRST._replace(remote=("198.51.100.2", 5060))
CHALLENGE = 'WWW-Authenticate: Digest realm="first.example", nonce="n", algorithm=MD5, qop="auth"'


def a_board(known: dict[str, tuple[str, ...]] = KNOWN, text: str = TEXT % "pw") -> Board:
    return Board(a_configuration(text), known)


def registers(sent: list[Sent]) -> dict[tuple[str, int], Sent]:
    return {one.flow.remote: one for one in sent if one.title == "REGISTER"}


def registered(board: Board | None = None) -> Board:
    """Both trunks say yes."""
    board = board or a_board()
    board.switchboard.begin(board.now)
    for sent in registers(board.wait(1)).values():
        board.reply(sent, 200)
    assert states(board) == {"first": "registered", "second": "registered"}
    return board


def lasted(board: Board, seconds: int) -> Board:
    """Let time pass, keep-alives answered."""
    for _ in range(seconds):
        for one in board.wait(1):
            board.reply(one, 200)
    return board


def states(board: Board) -> dict[str, str]:
    return {one.peer: one.state.value for one in board.switchboard.carriers.registrations}


def call_out(board: Board, number: int = 1) -> list[Sent]:
    invite = a_message(
        "INVITE",
        uri="sip:+4989@office.example",
        branch=f"z9hG4bK-o{number}",
        call_id=f"out-{number}",
        sent_by="192.168.1.5:5060",
        contact="<sip:201@192.168.1.5>",
        body=OFFER,
    )
    return board.give(INSIDE, invite)


def call_in(board: Board, flow: Flow, user: str = "4930123", to: str | None = None) -> list[Sent]:
    invite = a_message(
        "INVITE",
        uri=f"sip:{user}@203.0.113.10:5060",
        sent_by=f"{flow.remote[0]}:5060",
        contact="<sip:x@192.0.2.1>",
        to=to,
        body=OFFER,
    )
    return board.give(flow, invite)


class TestCalls:
    def test_they_leave_by_the_flow_that_registered_and_as_who_registered(self):
        board = registered()
        trying, invite = call_out(board)
        assert (trying.title, invite.title, invite.flow) == ("100 INVITE", "INVITE", FIRST)
        message = invite.message
        assert message.uri_text == "sip:+4989@first.example"
        assert message.headers.first("contact") == "<sip:4930123@203.0.113.10:5060>"
        assert message.from_.uri.host == "first.example"

    def test_a_service_route_is_theirs_too_and_that_of_their_cancel(self):
        board = a_board()
        board.switchboard.begin(board.now)
        sent = registers(board.wait(1))[FIRST.remote]
        board.reply(sent, 200, headers=("Service-Route: <sip:edge.first.example;lr>",))
        invite = call_out(board)[-1]
        assert invite.message.headers.all("route") == ["<sip:edge.first.example;lr>"]
        board.reply(invite, 180)
        cancel = a_message(
            "CANCEL",
            uri="sip:+4989@office.example",
            branch="z9hG4bK-o1",
            call_id="out-1",
            sent_by="192.168.1.5:5060",
        )
        leaves = board.give(INSIDE, cancel)
        (theirs,) = [one for one in leaves if one.title == "CANCEL"]
        assert theirs.message.headers.all("route") == ["<sip:edge.first.example;lr>"]

    def test_they_follow_to_the_second_target(self):
        board = a_board()
        board.switchboard.begin(board.now)
        first = registers(board.wait(1))[FIRST.remote]
        backup = registers(board.reply(first, 503))[BACKUP.remote]
        board.reply(backup, 200)
        assert call_out(board)[-1].flow == BACKUP

    def test_a_trunk_that_is_not_registered_is_passed_over_at_once_and_the_story_says_why(self):
        board = a_board()
        board.switchboard.begin(board.now)
        for sent in registers(board.wait(1)).values():
            board.reply(sent, 403 if sent.flow == FIRST else 200)
        sent = [one for one in call_out(board) if one.title == "INVITE"]
        assert [one.flow for one in sent] == [SECOND]
        (call,) = board.switchboard.calls
        assert call.route.endswith(
            "trunk 'first' is not registered: backing off, after 403 Forbidden from 192.0.2.1:5060"
        )

    def test_none_registered_is_480_and_the_log_says_why(self):
        board = a_board()
        assert titles(call_out(board)) == ["480 INVITE"]
        (why,) = [
            fields["why"] for _, event, fields in board.log.lines if event == "request refused"
        ]
        assert why.endswith("trunk 'first' is not registered; trunk 'second' is not registered")

    def test_one_that_gets_no_answer_brings_the_refresh_forward(self):
        board = lasted(registered(), 40)
        call_out(board)
        sent = board.wait(5)
        assert [one.flow for one in sent if one.title == "REGISTER"][:1] == [FIRST]
        assert states(board)["first"] == "refreshing"

    def test_so_does_a_503_unless_it_says_for_how_long(self):
        for headers, state in (((), "refreshing"), (("Retry-After: 9",), "registered")):
            board = lasted(registered(), 40)
            board.reply(call_out(board)[-1], 503, headers=headers)
            board.wait(0)
            assert states(board)["first"] == state


class TestCallers:
    def test_who_calls_our_contact_from_where_we_registered_is_that_trunk(self):
        board = registered()
        invite = call_in(board, FIRST)[-1]
        assert (invite.title, invite.flow.remote) == ("INVITE", ("192.168.1.5", 5060))
        (call,) = board.switchboard.calls
        assert call.a.peer == "first"

    def test_of_a_call_to_our_contact_to_says_which_number_was_dialled(self):
        board = registered()
        invite = call_in(board, FIRST, to="sip:+498912345@first.example")[-1]
        assert invite.message.uri.user == "+498912345"
        (call,) = board.switchboard.calls
        assert call.callee == "+498912345"

    def test_two_accounts_with_one_machine_are_told_apart_by_contact(self):
        text = (TEXT % "pw").replace("two.example", "192.0.2.1")
        board = a_board(text=text)
        board.switchboard.begin(board.now)
        for sent in [one for one in board.wait(1) if one.title == "REGISTER"]:
            board.reply(sent, 200)
        call_in(board, FIRST, "4940456")
        (call,) = board.switchboard.calls
        assert call.a.peer == "second"

    def test_a_stranger_who_knows_our_contact_is_a_stranger(self):
        board = registered()
        stranger = FIRST._replace(remote=("198.51.100.99", 5060))
        assert "INVITE" not in titles(call_in(board, stranger))


class TestLog:
    def test_each_change_is_one_line_with_its_cause(self):
        board = registered()
        lines = [
            (level, event, fields["trunk"], fields["target"])
            for level, event, fields in board.log.lines
            if event.startswith("trunk ") and fields["trunk"] == "first"
        ]
        assert lines == [
            ("info", "trunk registering", "first", "192.0.2.1:5060"),
            ("info", "trunk registered", "first", "192.0.2.1:5060"),
        ]

    def test_a_refused_password_is_an_error_without_the_password(self):
        board = a_board(text=TEXT % "hunter2")
        board.switchboard.begin(board.now)
        sent = registers(board.wait(1))[FIRST.remote]
        again = registers(board.reply(sent, 401, headers=(CHALLENGE,)))[FIRST.remote]
        assert again.message.headers.has("authorization")
        board.reply(again, 401, headers=(CHALLENGE,))
        ((_, event, fields),) = [line for line in board.log.lines if line[0] == "error"]
        assert (event, fields["account"]) == ("trunk backing off", "sip:acme@first.example")
        assert "realm 'first.example'" in fields["why"]
        assert "hunter2" not in repr(board.log.lines)

    def test_refreshes_are_for_the_curious_only(self):
        board = registered()
        before = len(board.log.lines)
        lasted(board, 600)
        assert {level for level, _, _ in board.log.lines[before:]} == {"debug"}


class TestFlows:
    def test_one_that_is_lost_is_replaced_at_once(self):
        board = registered()
        lasted(board, 150)
        board.switchboard.flow_failed(FIRST, "refused", board.now)
        assert [one.flow for one in board.wire.take() if one.title == "REGISTER"] == [BACKUP]

    def test_names_that_are_resolved_late_are_registered_with_then(self):
        board = a_board({})
        board.switchboard.begin(board.now)
        assert SECOND.remote not in registers(board.wait(1))
        known = locations(board.switchboard.force.settings, KNOWN)
        board.switchboard.located(known, board.now)
        assert SECOND.remote in registers(board.wait(0))


class TestOperator:
    def test_a_reload_withdraws_what_is_gone(self):
        board = registered()
        text = (TEXT % "pw").replace('    register: {user: "4940456"}\n', "")
        assert board.switchboard.configure(in_force(a_configuration(text), KNOWN), board.now)
        (sent,) = board.wire.take()
        assert (sent.flow, sent.message.headers.first("expires")) == (SECOND, "0")
        board.reply(sent, 200)
        assert states(board) == {"first": "registered"}

    def test_a_new_password_is_tried_at_once(self):
        board = registered()
        force = in_force(a_configuration(TEXT % "new"), KNOWN)
        assert board.switchboard.configure(force, board.now)
        assert list(registers(board.wait(0))) == [FIRST.remote]

    @pytest.mark.parametrize("answered", [True, False])
    def test_the_end_withdraws_all_and_leaves_nothing(self, answered: bool):
        board = registered()
        board.switchboard.leave(board.now)
        for sent in board.wire.take():
            assert sent.message.headers.first("expires") == "0"
            if answered:
                board.reply(sent, 200)
        board.wait(40)
        assert states(board) == {}
        assert board.leftovers() == {}
