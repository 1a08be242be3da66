"""What every engine does with packets of an ordinary call."""

import socket
import struct
from dataclasses import replace

import pytest
import trio

from media.types import DropReason, Endpoint
from tests.engine.kit import (
    PHONE_A,
    PHONE_B,
    RELAY_A,
    RELAY_B,
    STREAM,
    A,
    B,
    Rig,
    a_call,
    rtcp,
    rtp,
)
from tests.kit.patience import PATIENCE_S


async def test_rtp_goes_both_ways_from_the_signalled_ports(rig: Rig) -> None:
    call = await a_call(rig)
    await call.a.send(rtp(1, b"hello"), call.at_a)
    assert await call.b.hears() == (rtp(1, b"hello"), call.at_b)
    await call.b.send(rtp(9, b"hi"), call.at_b)
    assert await call.a.hears() == (rtp(9, b"hi"), call.at_a)


async def test_media_flows_before_the_leg_it_goes_to_ever_sent(rig: Rig) -> None:
    call = await a_call(rig)
    assert await call.a_says(rtp(1)) == rtp(1)


async def test_rtcp_goes_both_ways_from_the_signalled_ports(rig: Rig) -> None:
    call = await a_call(rig)
    assert rig.stream is not None
    a = await rig.phone(PHONE_A, call.a.endpoint.port + 1)
    b = await rig.phone(PHONE_B, call.b.endpoint.port + 1)
    await a.send(rtcp(1), rig.stream.a.local_rtcp)
    assert await b.hears() == (rtcp(1), rig.stream.b.local_rtcp)
    await b.send(rtcp(2), rig.stream.b.local_rtcp)
    assert await a.hears() == (rtcp(2), rig.stream.a.local_rtcp)
    assert rig.counters(A).rtcp_packets == rig.counters(B).rtcp_packets == 1
    assert rig.counters(A).packets == 0


async def test_rtcp_mux_is_broken_for_the_other_side_and_made_again(rig: Rig) -> None:
    call = await a_call(rig, a={"rtcp_mux": True, "remote_rtcp": None})
    assert rig.stream is not None
    b = await rig.phone(PHONE_B, call.b.endpoint.port + 1)
    await call.a.send(rtcp(1), call.at_a)
    assert await b.hears() == (rtcp(1), rig.stream.b.local_rtcp)
    await b.send(rtcp(2), rig.stream.b.local_rtcp)
    assert await call.a.hears() == (rtcp(2), call.at_a)
    assert await call.a_says(rtp(3)) == rtp(3)


async def test_rtcp_mux_on_both_sides_needs_one_port(rig: Rig) -> None:
    muxed: dict[str, object] = {"rtcp_mux": True, "remote_rtcp": None}
    call = await a_call(rig, a=muxed, b=muxed)
    assert await call.a_says(rtcp(1)) == rtcp(1)
    assert await call.b_says(rtcp(2)) == rtcp(2)


async def test_an_answer_that_agrees_to_rtcp_mux_moves_rtcp(rig: Rig) -> None:
    call = await a_call(rig)
    assert rig.stream is not None
    await call.a.send(rtcp(1), call.at_a)
    await rig.has_dropped(A, {DropReason.UNEXPECTED_PROTOCOL: 1})
    rig.update(
        a=replace(rig.stream.a, rtcp_mux=True, remote_rtcp=None),
        b=replace(rig.stream.b, rtcp_mux=True, remote_rtcp=None),
    )
    assert await call.a_says(rtcp(2)) == rtcp(2)


async def test_rtp_on_an_rtcp_port_is_dropped(rig: Rig) -> None:
    call = await a_call(rig)
    assert rig.stream is not None
    await call.a.send(rtp(1), rig.stream.a.local_rtcp)
    await rig.has_dropped(A, {DropReason.UNEXPECTED_PROTOCOL: 1})


async def test_ipv6_outside_and_ipv4_inside(rig: Rig) -> None:
    a, b = await rig.phone("::1"), await rig.phone(PHONE_B)
    stream = rig.open(rig.side("::1", a.endpoint), rig.side(RELAY_B, b.endpoint))
    await a.send(rtp(1), stream.a.local)
    assert await b.hears() == (rtp(1), stream.b.local)
    await b.send(rtp(2), stream.b.local)
    assert await a.hears() == (rtp(2), stream.a.local)


async def test_an_ipv6_address_may_be_spelled_in_any_way(rig: Rig) -> None:
    a, b = await rig.phone("::1"), await rig.phone(PHONE_B)
    spelled = Endpoint("0:0:0:0:0:0:0:1", a.endpoint.port)
    stream = rig.open(rig.side("::1", spelled), rig.side(RELAY_B, b.endpoint))
    await a.send(rtp(1), stream.a.local)
    assert await b.hears() == (rtp(1), stream.b.local)


@pytest.mark.parametrize("host", [RELAY_A, "::1"])
async def test_packets_carry_the_dscp_of_their_network(rig: Rig, host: str) -> None:
    ipv6 = ":" in host
    a = await rig.phone("::1" if ipv6 else PHONE_A)
    if ipv6:
        a.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVTCLASS, 1)
    else:
        a.socket.setsockopt(socket.IPPROTO_IP, socket.IP_RECVTOS, 1)
    b = await rig.phone(PHONE_B)
    stream = rig.open(rig.side(host, a.endpoint, dscp=34), rig.side(RELAY_B, b.endpoint))
    for dscp in (34, 46):
        rig.update(a=replace(stream.a, dscp=dscp))
        await b.send(rtp(dscp), stream.b.local)
        with trio.fail_after(PATIENCE_S):
            data, ancillary, _, _ = await a.socket.recvmsg(2048, 64)
        assert data == rtp(dscp)
        assert [item[2][0] for item in ancillary] == [dscp << 2]


async def test_nothing_is_sent_before_there_is_anywhere_to_send(rig: Rig) -> None:
    call = await a_call(rig, b={"remote": None, "remote_rtcp": None})
    await call.a.send(rtp(1), call.at_a)
    await rig.has_dropped(A, {DropReason.NO_DESTINATION: 1})
    assert rig.counters(A).packets == 1
    assert rig.latch(B).destination is None


async def test_nothing_is_taken_from_a_leg_before_its_sdp(rig: Rig) -> None:
    call = await a_call(rig, b={"remote": None, "remote_rtcp": None, "signalling_host": PHONE_B})
    await call.b.send(rtp(1), call.at_b)
    await rig.has_dropped(B, {DropReason.UNKNOWN_SOURCE: 1})
    assert rig.events == []


@pytest.mark.parametrize("host", ["0.0.0.0", "239.1.2.3", "255.255.255.255"])
async def test_an_address_that_is_nobodys_is_never_sent_to(rig: Rig, host: str) -> None:
    call = await a_call(rig, b={"remote": Endpoint(host, 4000)})
    await call.a.send(rtp(1), call.at_a)
    await rig.has_dropped(A, {DropReason.NO_DESTINATION: 1})


async def test_a_leg_on_hold_hears_no_rtp_but_still_rtcp(rig: Rig) -> None:
    muxed: dict[str, object] = {"rtcp_mux": True, "remote_rtcp": None}
    call = await a_call(rig, a=muxed, b={**muxed, "receiving": False})
    await call.a.send(rtp(1), call.at_a)
    assert await call.a_says(rtcp(7)) == rtcp(7)
    assert rig.drops(A) == {DropReason.NOT_WANTED: 1}
    assert await call.b_says(rtp(2, b"music")) == rtp(2, b"music")


async def test_hold_by_the_zero_address_keeps_what_was_learned(rig: Rig) -> None:
    call = await a_call(rig)
    assert rig.stream is not None
    await call.b_says(rtp(1))
    truth = rig.stream.b
    rig.update(b=replace(truth, remote=Endpoint("0.0.0.0", 4000), receiving=False))
    assert await call.b_says(rtp(2, b"music")) == rtp(2, b"music")
    rig.update(b=truth)
    assert await call.a_says(rtp(3)) == rtp(3)


async def test_counters_tell_packets_octets_loss_and_jitter(rig: Rig) -> None:
    call = await a_call(rig)
    for sequence in (65534, 65535, 1, 2, 2, 5):
        await call.a_says(rtp(sequence, timestamp=0))
    counters = rig.counters(A)
    assert (counters.packets, counters.octets) == (6, 6 * len(rtp(0)))
    assert counters.lost == 2  # 0, 3 and 4 are missing and 2 came twice (RFC 3550 A.3)
    assert counters.jitter_ticks >= 0
    assert counters.drops == {}
    assert rig.counters(B).sent_packets == 6
    assert rig.counters(B).packets == rig.counters(A).sent_packets == 0


async def test_what_is_above_the_bit_rate_limit_is_dropped(rig: Rig) -> None:
    call = await a_call(rig, a={"max_kbps": 8})
    for sequence in range(12):
        await call.a.send(rtp(sequence, bytes(988)), call.at_a)
    await rig.until(lambda: rig.counters(A).packets + sum(rig.drops(A).values()) == 12)
    passed = rig.counters(A).packets
    assert 6 <= passed < 12  # 6000 bytes at once, and 1000 per second
    assert rig.drops(A) == {DropReason.OVER_RATE: 12 - passed}


async def test_junk_is_dropped_and_counted_by_what_it_is(rig: Rig) -> None:
    call = await a_call(rig)
    stun = struct.pack("!HHI", 1, 0, 0x2112A442) + bytes(12)
    dtls = b"\x16\xfe\xfd" + bytes(20)
    for junk in (b"", b"x", bytes([0x80]), bytes([0x8F]) + bytes(20), stun, dtls, b"\xff" * 40):
        await call.a.send(junk, call.at_a)
    await call.a.send(rtp(1, bytes(2100)), call.at_a)
    assert await call.a_says(rtp(2)) == rtp(2)
    assert rig.drops(A) == {
        DropReason.NOT_RTP: 5,
        DropReason.UNEXPECTED_PROTOCOL: 2,
        DropReason.TOO_LONG: 1,
    }
    assert call.b.has_heard_nothing()


async def test_a_destination_the_system_refuses_costs_one_packet(rig: Rig) -> None:
    # A loopback address of ours cannot reach a documentation address: the system says so.
    call = await a_call(rig, b={"remote": Endpoint("192.0.2.1", 4000)})
    await call.a.send(rtp(1), call.at_a)
    await rig.has_dropped(A, {DropReason.SEND_FAILED: 1})


async def test_a_closed_stream_takes_and_sends_nothing(rig: Rig) -> None:
    call = await a_call(rig)
    await call.a_says(rtp(1))
    rig.close()
    await call.a.send(rtp(2), call.at_a)
    again = await rig.phone(RELAY_A, call.at_a.port)
    assert rig.engine.streams() == []
    assert again.endpoint == call.at_a
    assert call.b.has_heard_nothing()


async def test_streams_do_not_hear_each_other(rig: Rig) -> None:
    one = await a_call(rig)
    a, b = await rig.phone(PHONE_A), await rig.phone(PHONE_B)
    other = rig.open(
        rig.side(RELAY_A, a.endpoint), rig.side(RELAY_B, b.endpoint), stream_id=("other", 0)
    )
    await a.send(rtp(5), other.a.local)
    assert await b.hears() == (rtp(5), other.b.local)
    assert rig.engine.streams() == [STREAM, ("other", 0)]
    assert one.b.has_heard_nothing()
