"""Bad input is counted, answered at most once per source and second, and leaves nothing."""

import tracemalloc
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sbc.b2bua.causes import NORMAL_CLEARING, Ending
from sbc.policy.admission import Admission
from sbc.policy.guard import Guard
from sbc.state.cdr import EndedBy
from tests.kit.switchboard import (
    ANSWER,
    OFFER,
    OUTSIDE,
    PBX_FLOW,
    PHONE_FLOW,
    Board,
    Sent,
    a_message,
    a_register,
    register,
)

TCP_FLOW = PHONE_FLOW._replace(transport="tcp", connection=5)
LEFT_ALONE = (
    b"",
    b"\0",
    b"\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"INVITE sip:600@x SIP/2.0\r\n\r\n",
    b"\xff" * 2000,
    a_message("OPTIONS")[:120],
    a_message("ACK").replace(b"CSeq: 1 ", b"CSeq: 99999999999999 "),
    a_message("OPTIONS").replace(b"Call-ID", b"X-Call-ID"),
    b"SIP/2.0 200 OK\r\nCSeq: x\r\n\r\n",
    b"SIP/2.0 999 ?\r\n\r\n",
)


class TestMalformed:
    @pytest.mark.parametrize("data", LEFT_ALONE)
    def test_garbage_is_counted_and_never_answered(self, data):
        board = Board()
        assert board.give(PHONE_FLOW, data) == []
        assert board.switchboard.tally.malformed == 1
        assert board.switchboard.tally.oversize == 0
        assert board.leftovers() == {}

    def test_what_is_longer_than_the_limits_is_counted_apart(self):
        board = Board()
        board.give(PHONE_FLOW, a_message("OPTIONS", headers=("X: y",) * 300))
        tally = board.switchboard.tally
        assert (tally.malformed, tally.oversize) == (1, 1)

    @pytest.mark.parametrize(
        ("old", "new", "status"),
        [
            (b"Max-Forwards: 70", b"Max-Forwards: 70\r\nContent-Length: 7", 400),
            (b"CSeq: 1 OPTIONS", b"CSeq: 1 INVITE", 400),
            (b"SIP/2.0\r\n", b"SIP/3.0\r\n", 505),
            (b"sip:600@", b"sip:" + b"6" * 3000 + b"@", 414),
            (b"Max-Forwards: 70", b"Max-Forwards: many", 400),
            (b"To: <", b"To: <sip:600@[::z]>, <", 400),
        ],
    )
    def test_what_can_be_answered_is_with_the_reason_and_nothing_kept(self, old, new, status):
        board = Board()
        (answer,) = board.give(PHONE_FLOW, a_message("OPTIONS").replace(old, new, 1))
        assert answer.title.startswith(str(status))
        assert answer.flow == PHONE_FLOW
        assert f"\r\nWarning: 399 {OUTSIDE}:5060 ".encode() in answer.data
        assert b";received=198.51.100.7" in answer.data
        board.wait(40)
        assert board.leftovers() == {}

    def test_a_sender_behind_a_nat_that_never_asked_for_rport_gets_its_answer(self):
        board = Board()
        data = a_message("OPTIONS", via_params="").replace(b"CSeq: 1 ", b"CSeq: one ")
        (answer,) = board.give(PHONE_FLOW, data)
        assert answer.flow == PHONE_FLOW

    def test_once_per_source_and_second(self):
        board = Board()
        bad = a_message("OPTIONS").replace(b"CSeq: 1 ", b"CSeq: one ")
        assert [len(board.give(PHONE_FLOW, bad)) for _ in range(5)] == [1, 0, 0, 0, 0]
        neighbour = PHONE_FLOW._replace(remote=("198.51.100.7", 50000))
        assert board.give(neighbour, bad) == []
        board.now += 1.0
        assert len(board.give(neighbour, bad)) == 1

    def test_a_malformed_invite_is_answered_and_its_ack_ignored(self):
        board = Board()
        bad = a_message("INVITE", body=OFFER).replace(b"CSeq: 1 ", b"CSeq: one ")
        (answer,) = board.give(PHONE_FLOW, bad)
        assert answer.title == "400 ?"
        ack = a_message("ACK", to_tag="whatever")
        assert board.give(PHONE_FLOW, ack) == []
        assert board.wait(40) == []

    def test_what_a_stranger_wrote_cannot_break_out_of_the_warning(self):
        board = Board()
        (answer,) = board.give(PHONE_FLOW, a_message("REGISTER", contact='<x"y\\:z>'))
        assert answer.title == "400 REGISTER"
        assert answer.message.headers.first("warning").count('"') == 2

    def test_a_headers_fault_that_only_its_reader_sees_is_still_a_400(self):
        board = Board()
        register(board)
        for number, broken in enumerate(
            (
                {"contact": "<sip:alice@[::z]>"},
                {"max_forwards": "300"},
                {"uri": "sip:600@203.0.113.10", "to": "sip:600@[::z]"},
            )
        ):
            sent = board.give(
                PHONE_FLOW,
                a_message("INVITE", branch=f"z9hG4bK-{number}", call_id=f"c{number}", body=OFFER,
                          **broken),
            )  # fmt: skip
            assert [one.title[0] for one in sent if one.flow == PHONE_FLOW][-1] in "14"
            assert board.switchboard.tally.faults == 0


class TestMemory:
    def test_more_invented_sources_than_there_are_places_cost_a_fixed_amount(self, monkeypatch):
        places = 1024
        monkeypatch.setattr(Admission.__init__, "__defaults__", (places,))
        scored = Guard.__init__.__kwdefaults__ or {}
        monkeypatch.setitem(scored, "most", places)
        board = Board()
        kinds = (
            b"\xffgarbage" * 20,
            a_message("INVITE", body=OFFER),
            a_message("BYE", to_tag="guess"),
            a_message("CANCEL"),
            a_message("OPTIONS").replace(b"CSeq: 1 ", b"CSeq: one "),
            b"SIP/2.0 200 OK\r\n" + a_message("BYE").partition(b"\r\n")[2],
        )

        def flood(first: int, count: int) -> None:
            for number in range(first, first + count):
                host = f"{1 + number % 200}.{number // 200 % 250}.{number // 50_000}.9"
                flow = PHONE_FLOW._replace(remote=(host, 1024 + number % 60_000))
                board.switchboard.receive(flow, kinds[number % len(kinds)], board.now)
                board.now += 0.006
                board.wire.sent.clear()
                board.log.lines.clear()

        flood(0, 2 * places)
        assert board.leftovers() == {}
        tracemalloc.start()
        flood(2 * places, 5 * places)  # until all that is kept was made while it is traced
        before, _ = tracemalloc.get_traced_memory()
        flood(7 * places, 2 * places)
        after, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        # Places change hands. What sources are is remembered until there is no more room, and then
        # forgotten all at once: so much it may be, beside what is held against the latest of them.
        assert after - before < places * 500
        assert board.leftovers() == {}
        assert board.switchboard.registrar.pending == 0


PIECES = st.sampled_from(
    [b"\r\n", b";tag=", b"\0", b"sip:", b"<", b">", b'"', b"%", b",", b"*", b"[::1]", b"Contact: *",
     b"Require: 100rel", b"\xff\xfe", b"Max-Forwards: 0", b"tel:+1", b"z9hG4bK", b"0", b"SIP/2.0 "]
)  # fmt: skip
FLOWS = st.sampled_from([PHONE_FLOW, TCP_FLOW, PBX_FLOW,
                         PHONE_FLOW._replace(network="gone"),
                         PBX_FLOW._replace(remote=("192.168.1.99", 9))])  # fmt: skip


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    """Any bytes, or something a stranger made of a message that would have been good."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.binary(max_size=300))
    method = draw(
        st.sampled_from(["INVITE", "REGISTER", "OPTIONS", "BYE", "ACK", "CANCEL", "INFO", "FOO"])
    )
    user = draw(st.sampled_from(["alice", "bob", "600", "al%69ce", ""]))
    data = a_message(
        method,
        uri=draw(st.sampled_from(["sip:600@203.0.113.10", "tel:+49-30", "sips:x@y", "urn:x"])),
        branch=f"z9hG4bK-{draw(st.integers(0, 5))}",
        from_user=user or "x",
        to=f"sip:{user}@203.0.113.10",
        to_tag=draw(st.sampled_from([None, "guess"])),
        call_id=f"c{draw(st.integers(0, 3))}",
        cseq=draw(st.integers(0, 3)),
        max_forwards=draw(st.sampled_from(["70", "0", None])),
        via_params=draw(st.sampled_from(["", ";rport"])),
        contact=draw(st.sampled_from([None, "*", "<sip:alice@10.0.0.7>", "<tel:1>"])),
        body=draw(st.sampled_from([b"", OFFER, b"v=0\r\n"])),
    )
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(data)))
        cut = draw(st.integers(0, 12))
        data = data[:at] + draw(PIECES) + data[at + cut :]
    return data


def anything(board: Board, sent: list[Sent], status: int) -> list[Sent]:
    """Whoever got a request of ours answers it somehow."""
    if not sent or sent[-1].title in ("ping", "ACK") or sent[-1].title[0].isdigit():
        return []
    last = sent[-1]
    contact = last.message.headers.first("contact")
    headers = (f"Contact: {contact}",) if contact else ()
    body = ANSWER if last.title == "INVITE" and status < 300 else b""
    return board.reply(last, status, headers=headers, body=body)


STEPS = st.lists(
    st.tuples(
        FLOWS,
        messages(),
        st.sampled_from([100, 180, 200, 302, 401, 486, 503]),
        st.sampled_from([0.0, 0.0, 0.6, 33.0]),
    ),
    max_size=12,
)


@settings(deadline=None, max_examples=70)
@given(STEPS, st.booleans())
def test_any_bytes_on_any_network_at_any_time_break_nothing_and_run_out(steps, registered):
    board = Board()
    if registered:
        register(board)
    for flow, data, status, pause in steps:
        sent = board.give(flow, data)
        anything(board, sent, status)
        board.wait(pause)
    board.switchboard.hang_up_all(Ending(503, NORMAL_CLEARING, EndedBy.OPERATOR, "stop"), board.now)
    force = board.switchboard.force
    bare = replace(force.settings, networks=force.settings.networks[1:])
    board.switchboard.registrar.configure(bare, board.now)
    board.wait(200)
    assert board.switchboard.tally.faults == 0, board.log.lines
    assert board.log.events("error") == []
    assert board.leftovers() == {}
    assert board.switchboard.registrar.pending == 0
    assert len(board.records.ended) == board.switchboard.calls.total


@settings(deadline=None, max_examples=50)
@given(STEPS)
def test_every_request_that_gets_a_transaction_gets_an_answer(steps):
    board = Board()
    register(board)
    force = board.switchboard.force
    bare = replace(force.settings, networks=force.settings.networks[1:])
    board.switchboard.registrar.configure(bare, board.now)
    for flow, data, status, pause in steps:
        sent = board.give(flow, data)
        anything(board, sent, max(status, 302))
        board.wait(pause)
    # Nobody hangs up, yet everything ends: an INVITE that was never answered would live on.
    board.wait(400)
    assert board.leftovers() == {}


def test_a_register_from_a_network_that_vanished_is_ignored():
    board = Board()
    assert board.give(PHONE_FLOW._replace(network="gone"), a_register()) == []
