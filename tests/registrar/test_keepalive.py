"""Keep-alives: spread, answered, missed, and given up."""

import pytest

from sbc.registrar.keepalive import MISSED_LIMIT
from sbc.registrar.lives import SHORTEST_INTERVAL_S, WORK_PER_TURN
from sbc.routing.model import Keepalive
from sbc.sip.user import Ping, SendRequest
from tests.kit.registrar import TCP_PHONE, Desk, changes, pings, settings
from tests.kit.switchboard import PHONE_FLOW, a_register

EVERY_10 = settings(Keepalive("options", 10.0))


def next_ping(desk: Desk) -> SendRequest:
    for _ in range(200):
        for command in desk.wait(0.1):
            if isinstance(command, SendRequest):
                return command
    raise AssertionError("no ping in 20 seconds")


class TestPings:
    def test_a_phone_gets_options_through_its_flow(self):
        desk = Desk(EVERY_10)
        desk.accept()
        sent = next_ping(desk)
        assert sent.flow == PHONE_FLOW
        assert sent.request.method == "OPTIONS"
        assert sent.request.uri_text == "sip:alice@10.0.0.7:5060"
        assert sent.request.headers.first("to") == "<sip:alice@203.0.113.10>"
        assert sent.request.via.branch == sent.ref
        assert sent.request.via.host == "203.0.113.10"

    def test_they_come_at_the_configured_interval(self):
        desk = Desk(EVERY_10)
        desk.accept()
        first = next_ping(desk)
        desk.reply(first, 200)
        at = desk.now
        desk.reply(next_ping(desk), 200)
        assert desk.now - at == pytest.approx(10.0, abs=0.11)

    def test_crlf_where_the_network_says_so(self):
        desk = Desk(settings(Keepalive("crlf", 10.0)))
        desk.accept()
        assert pings(desk.wait(10)) == [Ping(PHONE_FLOW)]

    def test_crlf_on_streams_always(self):
        desk = Desk(EVERY_10)
        desk.accept(flow=TCP_PHONE)
        assert pings(desk.wait(10)) == [Ping(TCP_PHONE)]

    def test_none_where_they_are_off(self):
        desk = Desk(settings(Keepalive("off", 10.0)))
        desk.accept()
        assert pings(desk.wait(500)) == []

    def test_a_reload_turns_them_on_off_and_changes_them(self):
        desk = Desk(settings(Keepalive("off", 10.0)))
        desk.accept()
        desk.registrar.configure(EVERY_10, desk.now)
        assert pings(desk.wait(10))
        desk.registrar.configure(settings(Keepalive("crlf", 20.0)), desk.now)
        assert pings(desk.wait(20)) == [Ping(PHONE_FLOW)]
        desk.registrar.configure(settings(Keepalive("off", 20.0)), desk.now)
        assert pings(desk.wait(100)) == []


class TestSpread:
    def test_phones_that_register_in_one_burst_are_not_pinged_in_one(self):
        desk = Desk(EVERY_10)
        phones = 2000
        for number in range(phones):
            flow = PHONE_FLOW._replace(remote=("198.51.100.7", 1024 + number))
            desk.accept(a_register(f"u{number}"), flow)
        assert pings(desk.wait(4.9)) == []
        counts = [len(pings(desk.wait(0.1))) for _ in range(52)]
        assert sum(counts) == phones
        assert max(counts) < 5 * phones / 50

    def test_a_crowd_of_deadlines_is_attended_to_in_several_turns(self):
        desk = Desk(EVERY_10)
        phones = WORK_PER_TURN * 2 + 1
        for number in range(phones):
            desk.accept(a_register(f"u{number}"), PHONE_FLOW._replace(remote=("192.0.2.1", number)))
        late = desk.now + 60
        turns = []
        while (desk.registrar.next_timeout() or 0) <= late:
            turns.append(len(desk.registrar.handle_timeout(late, iter(desk.branch, ""))))
        assert turns == [WORK_PER_TURN, WORK_PER_TURN, 1]


class TestAnswers:
    @pytest.mark.parametrize("status", [100, 200, 404, 481, 486, 501])
    def test_any_response_proves_the_pinhole(self, status):
        desk = Desk(EVERY_10)
        desk.accept()
        for _ in range(5):
            desk.reply(next_ping(desk), status)
        assert desk.binding.reachable
        assert desk.binding.missed == 0

    def test_silence_makes_a_phone_unreachable_and_any_response_reachable_again(self):
        desk = Desk(EVERY_10)
        desk.accept()
        out = []
        for _ in range(MISSED_LIMIT):
            next_ping(desk)
            assert desk.binding.reachable
        for _ in range(3):
            out += desk.wait(10)
        assert changes(out) == ["unreachable"]
        assert not desk.binding.reachable
        assert changes(desk.reply(next_ping(desk), 404)) == ["reachable"]
        assert desk.binding.reachable

    def test_failures_count_once_and_not_again_with_the_next_ping(self):
        desk = Desk(EVERY_10)
        desk.accept()
        for count in range(1, MISSED_LIMIT):
            assert desk.registrar.failed(next_ping(desk).ref, "transport", 0.0) == []
            assert desk.binding.missed == count
        assert changes(desk.registrar.failed(next_ping(desk).ref, "timeout", 0.0)) == [
            "unreachable"
        ]

    def test_an_answer_from_before_a_move_says_nothing_of_the_new_flow(self):
        desk = Desk(EVERY_10)
        desk.accept()
        old = next_ping(desk)
        moved = PHONE_FLOW._replace(remote=("198.51.100.7", 40001))
        desk.accept(a_register(cseq=2), moved)
        for _ in range(MISSED_LIMIT):
            assert desk.registrar.failed(old.ref, "timeout", 0.0) == []
        assert desk.binding.missed == 0

    def test_a_refresh_makes_a_silent_phone_reachable(self):
        desk = Desk(EVERY_10)
        desk.accept()
        desk.wait(60)
        assert not desk.binding.reachable
        desk.accept(a_register(cseq=2))
        assert desk.binding.reachable

    def test_nothing_is_kept_of_phones_that_left(self):
        desk = Desk(EVERY_10)
        desk.accept(expires=15)
        ping = next_ping(desk)
        desk.wait(15)
        assert desk.registrar.bindings == []
        assert desk.reply(ping, 200) == []
        assert desk.registrar.next_timeout() is None


class TestLearning:
    """A NAT that forgets a phone between two keep-alives is asked more often."""

    def moved(self, desk: Desk, port: int, cseq: int, **rest: object) -> None:
        desk.accept(
            a_register(cseq=cseq, **rest),  # type: ignore[arg-type]  # as a_register takes it
            PHONE_FLOW._replace(remote=(PHONE_FLOW.remote[0], port)),
        )

    def test_another_port_of_the_same_run_shows_that_it_was_too_seldom(self):
        desk = Desk(settings(Keepalive("options", 25.0)))
        desk.accept()
        self.moved(desk, 40001, 2)
        assert desk.binding.pinhole_s == 17.5
        desk.reply(next_ping(desk), 200)
        at = desk.now
        desk.reply(next_ping(desk), 200)
        assert desk.now - at == pytest.approx(17.5, abs=0.11)

    def test_there_is_a_shortest_interval(self):
        desk = Desk(settings(Keepalive("options", 25.0)))
        desk.accept()
        for number in range(2, 9):
            self.moved(desk, 40000 + number, number)
        assert desk.binding.pinhole_s == SHORTEST_INTERVAL_S

    def test_a_phone_that_was_started_again_shows_nothing(self):
        desk = Desk()
        desk.accept()
        self.moved(desk, 40001, 1, call_id="another-run")
        assert desk.binding.pinhole_s is None

    def test_another_address_shows_nothing_and_what_was_learned_stays(self):
        desk = Desk(settings(Keepalive("options", 25.0)))
        desk.accept()
        self.moved(desk, 40001, 2)
        desk.accept(a_register(cseq=3), PHONE_FLOW._replace(remote=("192.0.2.9", 1)))
        assert desk.binding.pinhole_s == 17.5

    def test_it_survives_a_restart(self):
        desk, heir = Desk(), Desk()
        desk.accept()
        self.moved(desk, 40001, 2)
        heir.registrar.restore(desk.registrar.export(desk.now), heir.now)
        assert heir.binding.pinhole_s == 17.5
