"""A stream is cut into messages and keep-alives."""

import pytest

from sbc.sip.errors import ParseError
from sbc.sip.framing import Keepalive, StreamFramer
from sbc.sip.parser import Limits

ONE = (
    b"OPTIONS sip:a SIP/2.0\r\nVia: SIP/2.0/TCP b\r\nFrom: <sip:b>\r\nTo: <sip:a>\r\n"
    b"Call-ID: c\r\nCSeq: 1 OPTIONS\r\nContent-Length: 4\r\n\r\nbody"
)
TWO = b"SIP/2.0 200 OK\r\nL:0\r\n\r\n"


def refusal(data: bytes, limits: Limits | None = None) -> ParseError:
    framer = StreamFramer(limits or Limits())
    with pytest.raises(ParseError) as caught:
        framer.feed(data)
    assert framer.failure is caught.value
    with pytest.raises(ParseError):
        framer.feed(b"")
    return caught.value


def test_messages_come_out_whole_however_many_arrive_at_once() -> None:
    assert StreamFramer().feed(ONE + TWO + ONE) == [ONE, TWO, ONE]


def test_a_message_comes_out_when_its_last_byte_is_there() -> None:
    framer = StreamFramer()
    for at in range(len(ONE) - 1):
        assert framer.feed(ONE[at : at + 1]) == []
        assert framer.pending == at + 1
    assert framer.feed(ONE[-1:] + TWO[:5]) == [ONE]
    assert framer.pending == 5
    assert framer.feed(TWO[5:]) == [TWO]
    assert framer.pending == 0


@pytest.mark.parametrize(
    "header",
    [
        b"Content-Length: 4",
        b"content-length:4",
        b"CONTENT-LENGTH \t:  0004  ",
        b"l: 4",
        b"L :\r\n 4",
        b"L:\r\n \r\n\t4\r\n ",
    ],
)
def test_content_length_is_found_in_all_its_forms(header: bytes) -> None:
    message = b"BYE sip:a SIP/2.0\r\nX: l: 9\r\n  l: 9\r\n" + header + b"\r\n\r\nbody"
    assert StreamFramer().feed(message + TWO) == [message, TWO]


def test_a_double_crlf_is_a_ping_however_it_arrives() -> None:
    assert StreamFramer().feed(b"\r\n\r\n") == [Keepalive.PING]
    framer = StreamFramer()
    assert [framer.feed(byte) for byte in (b"\r", b"\n", b"\r", b"\n")] == [
        [],
        [],
        [],
        [Keepalive.PING],
    ]
    assert framer.pending == 0


def test_empty_lines_before_a_message_are_ignored() -> None:
    assert StreamFramer().feed(b"\r\n" + ONE + b"\r\n" + TWO + b"\r\n\r\n") == [
        ONE,
        TWO,
        Keepalive.PING,
    ]


def test_a_crlf_before_a_message_is_not_half_of_a_later_ping() -> None:
    assert StreamFramer().feed(b"\r\n" + ONE + b"\r\n") == [ONE]


def test_a_lone_crlf_is_the_pong_to_our_ping() -> None:
    framer = StreamFramer()
    framer.ping_sent()
    assert framer.feed(b"\r\n") == [Keepalive.PONG]
    assert framer.feed(b"\r\n\r\n") == [Keepalive.PING]
    assert framer.feed(b"\r\n") == []


def test_a_lone_crlf_is_not_pending() -> None:
    framer = StreamFramer()
    framer.feed(b"\r\n")
    assert framer.pending == 0


@pytest.mark.parametrize(
    ("data", "reason", "status"),
    [
        (TWO.replace(b"L:0", b"X:0"), "one Content-Length is needed", 400),
        (TWO.replace(b"L:0", b"L:0\r\nContent-Length: 0"), "one Content-Length is needed", 400),
        (TWO.replace(b"L:0", b"L:-1"), "malformed Content-Length", 400),
        (TWO.replace(b"L:0", b"L:"), "malformed Content-Length", 400),
        (TWO.replace(b"L:0", b"L:1 1"), "malformed Content-Length", 400),
        (TWO.replace(b"L:0", b"L:" + b"9" * 5000), "malformed Content-Length", 400),
        (TWO.replace(b"L:0", b"L:70000"), "message too large", 513),
        (b"\x16\x03\x01", "no SIP message starts like this", 400),
        (b"\n", "no SIP message starts like this", 400),
        (b" ", "no SIP message starts like this", 400),
        (b"\rX", "CR alone", 400),
        (b"A" * 40000, "header section too large", 513),
    ],
)
def test_what_has_no_frame_is_refused_for_good(data: bytes, reason: str, status: int) -> None:
    error = refusal(data)
    assert reason in error.reason
    assert error.status == status


def test_the_size_is_refused_before_the_body_is_there() -> None:
    head = ONE.replace(b"4\r\n\r\nbody", b"1000\r\n\r\n")
    error = refusal(head, Limits(message_bytes=1000))
    assert error.status == 513
    assert error.answerable is not None
    assert error.answerable.call_id == "c"


def test_a_message_that_just_fits_is_taken() -> None:
    limits = Limits(message_bytes=len(ONE), head_bytes=ONE.index(b"\r\n\r\n"))
    assert StreamFramer(limits).feed(ONE) == [ONE]
    assert refusal(ONE, Limits(head_bytes=limits.head_bytes - 1)).status == 513
    assert refusal(ONE, Limits(message_bytes=len(ONE) - 1)).status == 513


def test_messages_before_a_fault_are_still_delivered() -> None:
    framer = StreamFramer()
    assert framer.feed(ONE + b"\0") == [ONE]
    assert framer.failure is not None
    assert framer.pending == 0
    with pytest.raises(ParseError):
        framer.feed(ONE)


def test_a_run_of_empty_lines_is_pings_and_one_step() -> None:
    framer = StreamFramer()
    assert framer.feed(b"\r\n" * 4001, 1) == [Keepalive.PING] * 2000
    assert framer.feed(b"\r\n") == [Keepalive.PING]
    framer.ping_sent()
    assert framer.feed(b"\r\n" * 5) == [Keepalive.PONG, Keepalive.PING, Keepalive.PING]


def test_no_more_items_come_at_once_than_asked_for() -> None:
    framer = StreamFramer()
    assert framer.feed(ONE + TWO + ONE + TWO[:5], 2) == [ONE, TWO]
    assert framer.unfinished
    assert framer.feed(b"", 2) == [ONE]
    assert not framer.unfinished
    assert framer.feed(TWO[5:], 1) == [TWO]
    assert not framer.unfinished


def test_a_fault_behind_what_was_asked_for_comes_with_the_next_call() -> None:
    framer = StreamFramer()
    assert framer.feed(TWO + TWO + b"\0", 2) == [TWO, TWO]
    assert framer.failure is None
    with pytest.raises(ParseError):
        framer.feed(b"", 2)
    assert not framer.unfinished
