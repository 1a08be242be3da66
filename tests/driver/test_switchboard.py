"""The switchboard's other inputs: configuration, names, media, transports, limits."""

from dataclasses import replace

import pytest

from media.events import (
    EngineFailed,
    HandshakeDatagram,
    KeyErrors,
    Latched,
    MediaResumed,
    MediaTimeout,
    RelatchRefused,
)
from media.types import Component, Endpoint, LatchRank, Refusal, SideName
from sbc.b2bua.causes import NORMAL_CLEARING, Ending
from sbc.driver import door
from sbc.driver.in_force import InForce
from sbc.numbering import WorldPlan
from sbc.registrar.commands import Command
from sbc.routing.model import Keepalive, Settings
from sbc.state.cdr import EndedBy
from tests.kit.registrar import a_network
from tests.kit.switchboard import (
    ANSWER,
    OFFER,
    PBX_FLOW,
    PHONE_FLOW,
    Board,
    a_configuration,
    a_message,
    a_register,
    in_force,
    register,
    titles,
)

BY_NAME = """\
networks:
  outside: {bind: 203.0.113.10, listen: udp/5060, media_ports: 30000-39999}
  inside: {trust: trusted, bind: 192.168.1.2, listen: udp/5062, media_ports: 20000-29999}
peers:
  pbx: {kind: pbx, network: inside, address: pbx.example.com}
  phones: {kind: endpoints, network: outside}
routes:
  - {from: outside, to: pbx}
  - {from: pbx, to: phones}
policies: ../policies/edge-default.yaml
"""


@pytest.fixture
def board() -> Board:
    board = Board()
    register(board)
    return board


def up(board: Board) -> str:
    """A call that is up; its name."""
    invite = board.give(PHONE_FLOW, a_message("INVITE", body=OFFER))[-1]
    board.reply(invite, 200, headers=("Contact: <sip:600@192.168.1.5>",), body=ANSWER)
    (call,) = board.switchboard.calls
    tag = call.a.local_tag
    board.give(PHONE_FLOW, a_message("ACK", branch="z9hG4bK-a", to_tag=tag))
    return call.name


class TestNames:
    def test_a_peer_exists_once_its_name_has_an_address(self):
        board = Board(a_configuration(BY_NAME))
        assert titles(board.give(PHONE_FLOW, a_register())) == ["503 REGISTER"]
        plan = board.switchboard.force.plan = WorldPlan()
        board.locate({"pbx.example.com": ("192.168.1.5",)})
        assert board.switchboard.force.plan is plan
        (relayed,) = board.give(PHONE_FLOW, a_register(cseq=2))
        assert relayed.flow.remote == ("192.168.1.5", 5060)
        flow = PBX_FLOW._replace(local=("192.168.1.2", 5062))
        options = a_message("OPTIONS", branch="z9hG4bK-o")
        assert titles(board.give(flow, options)) == ["200 OPTIONS"]

    def test_and_is_a_stranger_when_the_name_moved_away(self):
        board = Board(a_configuration(BY_NAME), {"pbx.example.com": ("192.168.1.5",)})
        board.locate({"pbx.example.com": ("192.168.1.6",)})
        flow = PBX_FLOW._replace(local=("192.168.1.2", 5062))
        assert titles(board.give(flow, a_message("OPTIONS"))) == ["403 OPTIONS"]


class TestReload:
    def changed(self, board: Board, **networks: object) -> InForce:
        """The force of now with some networks replaced, added, or (None) taken away."""
        force = board.switchboard.force
        kept = {network.name: network for network in force.settings.networks}
        kept.update(networks)  # type: ignore[arg-type]  # what the test says
        settings = replace(
            force.settings, networks=tuple(network for network in kept.values() if network)
        )
        return InForce(settings, force.table, force.policy, force.locations)

    def test_a_network_that_vanished_takes_its_phones_and_answers_nobody(self, board):
        up(board)
        board.switchboard.configure(self.changed(board, outside=None), board.now)
        assert board.switchboard.registrar.bindings == []
        for method in ("REGISTER", "INVITE", "OPTIONS", "CANCEL", "FOO"):
            assert board.give(PHONE_FLOW, a_message(method, branch="z9hG4bK-x")) == []
        assert board.give(PHONE_FLOW, a_message("OPTIONS").replace(b"CSeq: 1", b"CSeq: x")) == []
        assert board.switchboard.tally.faults == 0
        # The call that is up ends where it began.
        (call,) = board.switchboard.calls
        bye = a_message("BYE", branch="z9hG4bK-b", cseq=2, to_tag=call.a.local_tag)
        board.give(PHONE_FLOW, bye)
        assert board.switchboard.tally.faults == 0

    def test_an_answer_for_a_phone_whose_network_vanished_meanwhile(self, board):
        (relayed,) = board.give(PHONE_FLOW, a_register(cseq=2))
        board.switchboard.configure(self.changed(board, outside=None), board.now)
        board.reply(relayed, 200)
        assert board.switchboard.tally.faults == 0
        assert board.switchboard.registrar.bindings == []

    def test_a_new_network_has_ports(self, board):
        new = a_network("new", "192.0.2.200", 5090)
        board.switchboard.configure(self.changed(board, new=new), board.now)
        assert board.switchboard.ports.in_use()["new"] == 0

    def test_keepalives_follow_the_new_setting(self, board):
        outside = board.switchboard.force.networks["outside"]
        crlf = replace(outside, keepalive=Keepalive("crlf", 7.0))
        board.switchboard.configure(self.changed(board, outside=crlf), board.now)
        assert titles(board.wait(7.0)) == ["ping"]

    def test_rules_are_the_new_ones_at_once(self, board):
        trusting = a_configuration(BY_NAME.replace("edge-default", "trusted-lan"))
        assert titles(board.give(PBX_FLOW, a_message("OPTIONS"))) == ["200 OPTIONS"]
        board.switchboard.configure(in_force(trusting), board.now)
        options = a_message("OPTIONS", branch="z9hG4bK-2")
        assert titles(board.give(PHONE_FLOW, options)) != ["200 OPTIONS"]

    def test_an_error_of_ours_leaves_the_configuration_before_it_in_force(self, board, monkeypatch):
        before = board.switchboard.force
        new = self.changed(board, new=a_network("new", "192.0.2.200", 5090))
        real = board.switchboard.registrar.configure

        def breaks(settings: Settings, now: float) -> list[Command]:
            if settings is new.settings:
                raise RuntimeError("on purpose")
            return real(settings, now)

        monkeypatch.setattr(board.switchboard.registrar, "configure", breaks)
        assert not board.switchboard.configure(new, board.now)
        assert board.switchboard.force is before
        assert board.log.events("error") == ["internal error"]
        monkeypatch.undo()
        assert titles(board.give(PHONE_FLOW, a_message("INVITE", body=OFFER)))[-1] == "INVITE"
        assert board.switchboard.configure(new, board.now)

    def test_a_name_that_moves_refills_nobodys_budget(self):
        board = Board(a_configuration(BY_NAME), {"pbx.example.com": ("192.168.1.5",)})
        stranger = PHONE_FLOW._replace(remote=("192.0.2.66", 5060))

        def passed() -> int:
            probes = [a_message("OPTIONS", branch=f"z9hG4bK-{n}") for n in range(100)]
            return sum(1 for probe in probes if board.give(stranger, probe))

        assert passed() == 20
        board.locate({"pbx.example.com": ("192.168.1.6",)})
        assert passed() == 0
        board.switchboard.configure(in_force(a_configuration(BY_NAME)), board.now)
        assert passed() == 0
        board.locate({"pbx.example.com": ("192.0.2.66",)})
        assert board.switchboard.tally.faults == 0


class TestHangingUp:
    def test_some_at_a_time_until_none_is_left(self, board):
        ending = Ending(503, NORMAL_CLEARING, EndedBy.OPERATOR, "x")
        for n in range(5):
            board.give(PHONE_FLOW, a_message("INVITE", call_id=f"c{n}", branch=f"z9hG4bK-c{n}",
                                             body=OFFER))  # fmt: skip
        left = [board.switchboard.hang_up_some(ending, board.now, 2) for _ in range(4)]
        assert left == [3, 1, 0, 0]
        assert titles(board.wire.take()).count("503 INVITE") == 5


class TestMedia:
    def test_what_the_relay_saw_is_in_the_calls_story(self, board):
        name = up(board)
        stream, here = (name, 0), Endpoint("198.51.100.7", 4000)
        for event in (
            Latched(stream, SideName.A, here, LatchRank.SDP_HOST, None),
            Latched(stream, SideName.A, here, LatchRank.OTHER, Endpoint("::1", 5)),
            RelatchRefused(stream, SideName.B, here, next(iter(Refusal)), Component.RTCP),
            KeyErrors(stream, SideName.A, 7),
            MediaResumed(stream, SideName.A),
        ):
            board.switchboard.media_event(event, board.now)
        (call,) = board.switchboard.calls
        texts = [entry.text for entry in call.journal.entries if entry.kind == "media"]
        story = "\n".join(texts)
        for part in (
            "RTP latched to 198.51.100.7:4000",
            "before [::1]:5",
            "RTCP from 198.51.100.7:4000 refused",
            "7 packets failed SRTP authentication",
            "media resumed",
        ):
            assert part in story

    def test_handshakes_that_no_plan_asked_for_are_nothing(self, board):
        name = up(board)
        before = [len(call.journal.entries) for call in board.switchboard.calls]
        here = Endpoint("198.51.100.7", 4000)
        stun = HandshakeDatagram((name, 0), SideName.A, Component.RTP, here, bytes(20))
        board.switchboard.media_event(stun, board.now)
        assert [len(call.journal.entries) for call in board.switchboard.calls] == before
        assert board.switchboard.tally.faults == 0

    def test_silence_ends_the_call_on_both_sides(self, board):
        name = up(board)
        board.switchboard.media_event(MediaTimeout((name, 0), SideName.A, 61.0), board.now)
        assert titles(board.wire.take()) == ["BYE", "BYE"]

    def test_an_engine_that_failed_ends_every_call(self, board):
        up(board)
        board.switchboard.media_event(EngineFailed("out of memory"), board.now)
        assert titles(board.wire.take()) == ["BYE", "BYE"]
        assert "media engine failed" in board.log.events("error")

    def test_events_of_calls_that_are_gone_are_nothing(self, board):
        board.switchboard.media_event(MediaTimeout(("gone", 0), SideName.A, 1.0), board.now)
        board.switchboard.media_event(MediaResumed(("gone", 0), SideName.A), board.now)
        assert board.switchboard.tally.faults == 0


class TestLimits:
    def test_strangers_leave_half_of_all_transactions_to_those_we_know(self, board, monkeypatch):
        limit = board.switchboard.layer.server_limit
        monkeypatch.setattr(door, "STRANGERS_SHARE", 3 / limit)
        stranger = PHONE_FLOW._replace(remote=("192.0.2.66", 5060))
        answers = [
            titles(board.give(stranger, a_register("eve", cseq=n, call_id=f"e{n}")))
            for n in range(1, 6)
        ]
        assert answers == [["REGISTER"], ["REGISTER"], ["503 REGISTER"], [], []]
        assert titles(board.give(PHONE_FLOW, a_register(cseq=9))) == ["REGISTER"]
        assert titles(board.give(PBX_FLOW, a_message("OPTIONS"))) == ["200 OPTIONS"]
        # Who was let in before is not turned away when it repeats itself.
        assert board.give(stranger, a_register("eve", cseq=1, call_id="e1")) == []

    def test_unacknowledged_refusals_are_counted(self, board):
        board.switchboard.reception.draining = True
        board.give(PHONE_FLOW, a_message("INVITE", body=OFFER))
        board.wait(40)
        assert board.switchboard.tally.unacknowledged == 1

    def test_stray_responses_are_counted_and_nothing_else(self, board):
        relayed = board.give(PHONE_FLOW, a_register(cseq=2))[0]
        board.reply(relayed, 200)
        data = relayed.data.replace(b"branch=z9hG4bK", b"branch=z9hG4bKx")
        stray = b"SIP/2.0 200 OK\r\n" + data.partition(b"\r\n")[2]
        assert board.give(PBX_FLOW, stray) == []
        assert board.switchboard.tally.stray == 1


def test_a_phone_on_a_connection_is_pinged_on_it():
    board = Board()
    flow = PHONE_FLOW._replace(transport="tcp", connection=3)
    register(board, flow=flow)
    (ping,) = board.wait(25)
    assert (ping.title, ping.flow, ping.data) == ("ping", flow, b"\r\n\r\n")
    board.switchboard.flow_closed(flow, "closed by the peer", board.now)
    assert board.wait(100) == []
