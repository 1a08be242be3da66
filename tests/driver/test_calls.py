"""An error of ours ends the one thing it happened in, and leaves nothing of it behind."""

import pytest

from sbc.b2bua import machine
from sbc.b2bua.causes import NORMAL_CLEARING, Ending
from sbc.state.cdr import EndedBy
from tests.kit.switchboard import (
    ANSWER,
    OFFER,
    PHONE_FLOW,
    Board,
    Sent,
    a_message,
    register,
    titles,
)

OTHER = PHONE_FLOW._replace(remote=("198.51.100.8", 40000))


class Broken(Exception):
    pass


def breaks(*_: object, **__: object) -> None:
    raise Broken("on purpose")


@pytest.fixture
def board() -> Board:
    board = Board()
    register(board)
    register(board, "bob", OTHER)
    return board


def ringing(board: Board) -> Sent:
    return board.give(PHONE_FLOW, a_message("INVITE", body=OFFER))[-1]


def answered(board: Board) -> str:
    """A call that is up; the tag of ours in it."""
    sent = board.reply(
        ringing(board), 200, headers=("Contact: <sip:600@192.168.1.5>",), body=ANSWER
    )
    ok = next(one for one in sent if one.title == "200 INVITE")
    board.give(PHONE_FLOW, a_message("ACK", branch="z9hG4bK-a", to_tag=ok.message.to_tag))
    return ok.message.to_tag or ""


def leave(board: Board) -> None:
    """Both phones go, so that no keep-alive is under way any more."""
    for binding in board.switchboard.registrar.bindings:
        binding.expires_at = board.now
    board.switchboard.registrar.configure(
        type(board.switchboard.force.settings)((), (), ()), board.now
    )


def settled(board: Board) -> None:
    leave(board)
    board.wait(100)
    assert board.leftovers() == {}
    assert len(board.records.ended) == board.switchboard.calls.total


def errors(board: Board) -> list[str]:
    return [str(fields["traceback"]) for level, _, fields in board.log.lines if level == "error"]


class TestOneFault:
    def test_while_a_call_begins(self, board, monkeypatch):
        monkeypatch.setattr(machine, "begin", breaks)
        sent = board.give(PHONE_FLOW, a_message("INVITE", body=OFFER))
        assert titles(sent)[-1] == "500 INVITE"
        (trace,) = errors(board)
        assert "on purpose" in trace
        monkeypatch.undo()
        settled(board)

    def test_while_a_call_rings(self, board, monkeypatch):
        invite = ringing(board)
        real, seen = machine.receive, []

        def once(call, event, now):
            seen.append(event)
            if len(seen) == 1:
                raise Broken("on purpose")
            return real(call, event, now)

        monkeypatch.setattr(machine, "receive", once)
        sent = board.reply(invite, 180)
        assert "500 INVITE" in titles(sent)
        assert len(errors(board)) == 1
        settled(board)

    def test_while_a_call_is_up_both_sides_get_bye(self, board, monkeypatch):
        tag = answered(board)
        real, seen = machine.receive, []

        def once(call, event, now):
            seen.append(event)
            if len(seen) == 1:
                raise Broken("on purpose")
            return real(call, event, now)

        monkeypatch.setattr(machine, "receive", once)
        info = a_message("INFO", branch="z9hG4bK-i", cseq=2, to_tag=tag)
        sent = board.give(PHONE_FLOW, info)
        assert sorted(titles(sent)) == ["500 INFO", "BYE", "BYE"]
        assert len(errors(board)) == 1
        settled(board)
        (call,) = board.records.ended
        assert call.ending is not None
        assert (call.ending.status, call.ending.by) == (500, "internal")

    def test_when_a_deadline_comes(self, board, monkeypatch):
        ringing(board)
        monkeypatch.setattr(machine, "handle_timeout", breaks)
        board.wait(200)
        monkeypatch.undo()
        assert len(board.switchboard.calls) == 0
        settled(board)


class TestFaultsAtTheEnd:
    def test_a_call_that_cannot_even_end_is_dropped_with_everything_it_held(
        self, board, monkeypatch
    ):
        answered(board)
        monkeypatch.setattr(machine, "receive", breaks)
        (call,) = board.switchboard.calls
        board.give(
            PHONE_FLOW,
            a_message("INVITE", branch="z9hG4bK-re", cseq=2, to_tag=call.a.local_tag, body=OFFER),
        )
        assert len(board.switchboard.calls) == 0
        assert sum(board.switchboard.ports.in_use().values()) == 0
        assert board.relay.open == {}
        monkeypatch.undo()
        settled(board)

    def test_the_caller_that_waits_is_told(self, board, monkeypatch):
        invite = ringing(board)
        monkeypatch.setattr(machine, "receive", breaks)
        sent = board.reply(invite, 180)
        assert titles(sent) == ["500 INVITE"]
        monkeypatch.undo()
        settled(board)

    def test_a_relay_that_breaks_while_closing_keeps_no_port(self, board, monkeypatch):
        answered(board)
        monkeypatch.setattr(board.relay, "apply", breaks)
        board.switchboard.hang_up_all(
            Ending(503, NORMAL_CLEARING, EndedBy.OPERATOR, "x"), board.now
        )
        assert len(board.switchboard.calls) == 0
        assert sum(board.switchboard.ports.in_use().values()) == 0
        assert board.switchboard.outbox.planned == 0
        board.relay.open.clear()
        settled(board)

    def test_records_that_break_lose_one_record_and_nothing_else(self, board, monkeypatch):
        invite = ringing(board)
        monkeypatch.setattr(board.records, "call_ended", breaks)
        assert titles(board.reply(invite, 486)) == ["ACK", "486 INVITE"]
        assert len(errors(board)) == 1
        leave(board)
        board.wait(100)
        assert board.leftovers() == {}

    def test_an_engine_that_failed_has_no_counters_and_calls_end_all_the_same(self, board):
        answered(board)
        board.relay.open.clear()
        board.switchboard.hang_up_all(
            Ending(503, NORMAL_CLEARING, EndedBy.INTERNAL, "x"), board.now
        )
        assert errors(board) == []
        settled(board)

    def test_stopping_drops_every_call_with_its_record(self, board):
        answered(board)
        board.switchboard.calls.drop_all(
            Ending(503, NORMAL_CLEARING, EndedBy.OPERATOR, "x"), board.now
        )
        assert len(board.switchboard.calls) == 0
        settled(board)


class TestOutsideCalls:
    @pytest.mark.parametrize("method", ["INVITE", "REGISTER", "OPTIONS"])
    def test_in_reception_the_request_gets_500(self, board, method, monkeypatch):
        monkeypatch.setattr("sbc.driver.reception.inspected", breaks)
        sent = board.give(PHONE_FLOW, a_message(method, branch="z9hG4bK-x", body=b""))
        assert titles(sent) == [f"500 {method}"]
        assert len(errors(board)) == 1
        settled(board)

    def test_at_the_door_the_message_is_lost_and_no_more(self, board, monkeypatch):
        monkeypatch.setattr(type(board.switchboard.door), "enter", breaks)
        assert board.give(PHONE_FLOW, a_message("OPTIONS")) == []
        assert len(errors(board)) == 1
        monkeypatch.undo()
        assert titles(board.give(PHONE_FLOW, a_message("OPTIONS"))) == ["200 OPTIONS"]

    def test_in_the_registrar_one_answer_is_lost(self, board, monkeypatch):
        (relayed,) = board.give(PHONE_FLOW, a_message("REGISTER", to="sip:alice@x"))
        monkeypatch.setattr(board.switchboard.registrar, "reply", breaks)
        assert board.reply(relayed, 200) == []
        assert len(errors(board)) == 1
        monkeypatch.undo()
        settled(board)
        assert board.switchboard.registrar.pending == 0

    @pytest.mark.parametrize("core", ["layer", "calls", "registrar"])
    def test_a_deadline_that_breaks_stops_no_other(self, board, core, monkeypatch):
        ringing(board)
        broken = getattr(board.switchboard, core)
        if core == "layer":
            monkeypatch.setattr(type(broken), "handle_timeout", breaks)
        else:
            monkeypatch.setattr(broken, "handle_timeout", breaks)
        board.switchboard.handle_timeout(board.now + 30)
        assert errors(board)
        assert all("on purpose" in trace for trace in errors(board))

    def test_flows_and_media_that_break_are_contained(self, board, monkeypatch):
        monkeypatch.setattr(type(board.switchboard.layer), "transport_failed", breaks)
        monkeypatch.setattr(board.switchboard.registrar, "flow_closed", breaks)
        board.switchboard.flow_failed(PHONE_FLOW, "x", board.now)
        board.switchboard.flow_closed(PHONE_FLOW, "closed by the peer", board.now)
        board.switchboard.media_event(None, board.now)
        assert len(errors(board)) == 4


class TestFinding:
    def test_a_request_finds_its_call_by_all_of_call_id_and_tags(self, board):
        tag = answered(board)
        for wrong in ({"call_id": "x"}, {"from_tag": "x"}, {"to_tag": "x"}):
            names = {"to_tag": tag, **wrong}
            bye = a_message("BYE", branch=f"z9hG4bK-{wrong}".replace(" ", ""), cseq=2, **names)
            assert titles(board.give(PHONE_FLOW, bye)) == ["481 BYE"]
        sent = board.give(PHONE_FLOW, a_message("BYE", branch="z9hG4bK-b", cseq=2, to_tag=tag))
        assert "200 BYE" in titles(sent)

    def test_before_the_answer_too(self, board):
        invite = ringing(board)
        (progress,) = board.reply(invite, 180)
        tag = progress.message.to_tag
        wrong = a_message("BYE", branch="z9hG4bK-w", cseq=2, to_tag=tag, from_tag="guess")
        assert titles(board.give(PHONE_FLOW, wrong)) == ["481 BYE"]

    def test_a_call_is_found_by_any_clear_beginning_of_its_name(self, board):
        ringing(board)
        (call,) = board.switchboard.calls
        calls = board.switchboard.calls
        assert calls.by_name(call.name) is calls.by_name(call.name[:6]) is call
        assert calls.by_name("") is None
        assert calls.by_name("nothing") is None

    def test_an_ended_call_is_remembered_for_questions(self, board):
        invite = ringing(board)
        (call,) = board.switchboard.calls
        board.reply(invite, 486)
        assert board.switchboard.calls.by_name(call.name) is call
        assert list(board.switchboard.calls.recent) == [call]


def test_a_long_call_does_not_collect_its_old_transactions(board):
    tag = answered(board)
    for number in range(200):
        info = a_message("INFO", branch=f"z9hG4bK-{number}", cseq=2 + number, to_tag=tag)
        sent = board.give(PHONE_FLOW, info)
        board.reply(sent[-1], 200)
        board.wait(0.1)
    assert board.switchboard.outbox.owned < 40
