"""Captures give the messages that went over the wire, and nothing worse, whatever is in them."""

import io
from itertools import permutations

import dpkt
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sbc.simulation.capture import Capture, NoCapture
from tests.kit.switchboard import a_message
from tests.simulation.captures import datagram, ethernet, ip_packet, pcap, segment

PHONE, US = ("198.51.100.7", 40000), ("203.0.113.10", 5060)
PHONE6, US6 = ("2001:db8::7", 40000), ("2001:db8::10", 5060)
MESSAGE = a_message("OPTIONS")
SYN = dpkt.tcp.TH_SYN


def messages(file: io.BytesIO) -> list[bytes]:
    return [one.data for one in Capture(file)]


@pytest.mark.parametrize("ng", [False, True])
def test_a_datagram_is_a_message(ng: bool) -> None:
    (found,) = Capture(pcap([ethernet(datagram(PHONE, US, MESSAGE))], ng=ng))
    assert (found.source, found.to, found.transport) == (PHONE, US, "udp")
    assert (found.at, found.data) == (1000.0, MESSAGE)


def test_ipv6_and_vlan_tags_are_understood() -> None:
    frames = [ethernet(datagram(PHONE6, US6, MESSAGE)), ethernet(datagram(PHONE, US, MESSAGE), 7)]
    assert [(one.source, one.data) for one in Capture(pcap(frames))] == [
        (PHONE6, MESSAGE), (PHONE, MESSAGE)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("linktype", "head"),
    [
        (101, b""),
        (0, b"\x02\x00\x00\x00"),
        (113, bytes([0, 0, 0, 1, 0, 6, *bytes(8), 8, 0])),
        (276, bytes([8, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 6, *bytes(8)])),
    ],
)
def test_other_links_than_ethernet_are_understood(linktype: int, head: bytes) -> None:
    file = pcap([head + bytes(datagram(PHONE, US, MESSAGE))], linktype=linktype)
    assert messages(file) == [MESSAGE]


def fragments(size: int, step: int) -> list[bytes]:
    """A datagram in pieces of a size, each of which begins so far behind the one before it."""
    payload = bytes(datagram(PHONE, US, MESSAGE * 1).data)
    pieces = []
    for begin in range(0, len(payload), step):
        piece = ip_packet(PHONE, US, payload[begin : begin + size], dpkt.ip.IP_PROTO_UDP)
        piece.id = 9
        piece.mf = int(begin + size < len(payload))
        piece.offset = begin
        pieces.append(ethernet(piece))
    assert len(pieces) >= 2
    return pieces


def test_fragments_that_overlap_are_no_message_and_those_that_come_twice_are() -> None:
    assert messages(pcap(fragments(160, 80))) == []
    first, *others = fragments(160, 160)
    assert messages(pcap([first, first, *others])) == [MESSAGE]


def test_fragments_are_put_together_in_any_order() -> None:
    pieces = fragments(160, 160)
    for order in permutations(pieces):
        assert messages(pcap(list(order))) == [MESSAGE]
    assert messages(pcap(pieces[:-1])) == []


def stream(data: bytes, size: int) -> list[bytes]:
    first = ethernet(segment(PHONE, US, 99, b"", SYN))
    return [first] + [
        ethernet(segment(PHONE, US, 100 + at, data[at : at + size]))
        for at in range(0, len(data), size)
    ]


@pytest.mark.parametrize("size", [7, 100, 10_000])
def test_a_stream_is_put_together(size: int) -> None:
    file = pcap(stream(b"\r\n\r\n" + MESSAGE + MESSAGE, size))
    assert messages(file) == [MESSAGE, MESSAGE]


def test_segments_that_come_late_or_twice_are_put_in_their_place() -> None:
    begin, *pieces = stream(MESSAGE, 150)
    assert messages(pcap([begin, *reversed(pieces)])) == [MESSAGE]
    assert messages(pcap([begin, *pieces, *pieces])) == [MESSAGE]


def test_a_stream_that_began_before_the_capture_is_read_from_its_next_message() -> None:
    _, *pieces = stream(MESSAGE, 10_000)
    assert messages(pcap(pieces)) == [MESSAGE]


def test_both_directions_of_a_connection_have_its_number() -> None:
    frames = [
        ethernet(segment(PHONE, US, 1, MESSAGE)),
        ethernet(segment(US, PHONE, 1, MESSAGE)),
        ethernet(segment(("192.0.2.1", 1), US, 1, MESSAGE)),
    ]
    numbers = [one.connection for one in Capture(pcap(frames))]
    assert numbers == [1, 1, 2]


def test_what_is_no_sip_is_counted_and_left() -> None:
    capture = Capture(pcap([ethernet(datagram(PHONE, US, b"\x80\x00rtp")), b"short"]))
    assert list(capture) == []
    assert (capture.packets, capture.skipped) == (2, 2)


def test_a_file_that_is_cut_off_gives_what_was_there() -> None:
    whole = pcap([ethernet(datagram(PHONE, US, MESSAGE))] * 2).getvalue()
    capture = Capture(io.BytesIO(whole[:-20]))
    assert [one.data for one in capture][:1] == [MESSAGE]


@pytest.mark.parametrize("data", [b"", b"abc", b"PK\x03\x04" + bytes(50)])
def test_what_is_no_capture_is_said_to_be_none(data: bytes) -> None:
    with pytest.raises(NoCapture, match="neither pcap nor pcapng"):
        Capture(io.BytesIO(data))


WHOLE = pcap([ethernet(datagram(PHONE, US, MESSAGE)), *stream(MESSAGE, 99)]).getvalue()
WHOLE_NG = pcap([ethernet(datagram(PHONE, US, MESSAGE))], ng=True).getvalue()


@given(
    st.sampled_from([WHOLE, WHOLE_NG]),
    st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(0, 255)), max_size=12),
    st.integers(0, len(WHOLE)),
)
def test_a_hostile_capture_gives_messages_or_an_error(
    whole: bytes, changes: list[tuple[int, int]], cut: int
) -> None:
    data = bytearray(whole[: cut or None])
    for at, value in changes:
        if at < len(data):
            data[at] = value
    try:
        capture = Capture(io.BytesIO(bytes(data)))
    except NoCapture:
        return
    for one in capture:
        assert one.data


@given(st.lists(st.binary(max_size=120), max_size=5), st.sampled_from([0, 1, 101, 113, 276, 147]))
@example([b"\x45" + bytes(19)], 101)
@example([b"\x60" + bytes(39)], 101)
def test_hostile_packets_are_counted(frames: list[bytes], linktype: int) -> None:
    capture = Capture(pcap(frames, linktype=linktype))
    assert list(capture) == []
    assert capture.packets == len(frames)
