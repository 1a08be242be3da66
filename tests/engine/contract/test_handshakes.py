"""STUN and DTLS: handed up where a plan asks for them, sent from the port that was signalled."""

import struct
from dataclasses import replace

import pytest
import trio

from media.engines.handshakes import HANDSHAKES_PER_S
from media.errors import MediaRefused
from media.events import HandshakeDatagram
from media.plan import CloseStream, OpenStream, SendDatagram
from media.types import Component, DropReason, Endpoint
from tests.engine.kit import (
    PHONE_A,
    PHONE_B,
    RELAY_A,
    RELAY_B,
    STRANGER,
    STREAM,
    A,
    B,
    Call,
    Rig,
    a_call,
    rtp,
)

STUN = struct.pack("!HHI", 1, 0, 0x2112A442) + bytes(12)
DTLS = b"\x16\xfe\xfd" + bytes(40)
RTP, RTCP = Component


async def a_shaking_call(rig: Rig) -> Call:
    return await a_call(rig, a={"handshakes": True})


def answer(to: Endpoint, data: bytes = STUN, component: Component = RTP) -> SendDatagram:
    return SendDatagram(STREAM, A, component, to, data)


async def test_stun_and_dtls_are_handed_up_from_whoever_sends_them(rig: Rig) -> None:
    call = await a_shaking_call(rig)
    assert rig.stream is not None
    stranger = await rig.phone(STRANGER)
    expected = []
    for phone, data in ((call.a, STUN), (call.a, DTLS), (stranger, STUN)):
        for component, port in ((RTP, call.at_a), (RTCP, rig.stream.a.local_rtcp)):
            await phone.send(data, port)
            expected.append(HandshakeDatagram(STREAM, A, component, phone.endpoint, data))
            await rig.until(lambda: len(rig.events) == len(expected))
    assert rig.events == expected
    assert rig.drops(A) == {}
    assert rig.latch(A).source is None
    assert call.b.has_heard_nothing()


async def test_a_side_that_did_not_ask_for_them_drops_them(rig: Rig) -> None:
    call = await a_shaking_call(rig)
    assert rig.stream is not None
    for data in (STUN, DTLS):
        await call.b.send(data, call.at_b)
    await rig.has_dropped(B, {DropReason.UNEXPECTED_PROTOCOL: 2})
    rig.update(a=replace(rig.stream.a, handshakes=False))
    await call.a.send(STUN, call.at_a)
    await rig.has_dropped(A, {DropReason.UNEXPECTED_PROTOCOL: 1})
    rig.update(a=replace(rig.stream.a, handshakes=True))
    await call.a.send(DTLS, call.at_a)
    await rig.until(lambda: rig.events)
    assert rig.events == [HandshakeDatagram(STREAM, A, RTP, call.a.endpoint, DTLS)]


async def test_more_than_one_source_may_send_are_dropped_and_media_flows(rig: Rig) -> None:
    call = await a_shaking_call(rig)
    sent = 20 * HANDSHAKES_PER_S
    began = trio.current_time()
    for _ in range(sent // 50):
        for _ in range(50):
            await call.a.send(STUN, call.at_a)
        assert await call.a_says(rtp(1)) == rtp(1)
    await rig.until(
        lambda: len(rig.events_of(HandshakeDatagram)) + sum(rig.drops(A).values()) == sent
    )
    seconds = int(trio.current_time() - began) + 2
    assert HANDSHAKES_PER_S <= len(rig.events_of(HandshakeDatagram)) <= HANDSHAKES_PER_S * seconds
    assert set(rig.drops(A)) <= {DropReason.OVER_RATE}


async def test_a_datagram_leaves_from_the_port_that_was_signalled(rig: Rig) -> None:
    call = await a_shaking_call(rig)
    assert rig.stream is not None
    elsewhere = await rig.phone(STRANGER)
    rig.engine.apply(
        [
            answer(call.a.endpoint),
            answer(call.a.endpoint, DTLS, RTCP),
            answer(elsewhere.endpoint),
            SendDatagram(STREAM, B, RTP, call.b.endpoint, DTLS),
        ]
    )
    assert await call.a.hears() == (STUN, call.at_a)
    assert await call.a.hears() == (DTLS, rig.stream.a.local_rtcp)
    assert await elsewhere.hears() == (STUN, call.at_a)
    assert await call.b.hears() == (DTLS, call.at_b)
    assert rig.counters(A).sent_packets == 0


async def test_datagrams_leave_when_all_the_rest_is_done(rig: Rig) -> None:
    phone = await rig.phone(PHONE_A)
    call = await a_shaking_call(rig)
    assert rig.stream is not None
    stream = replace(rig.stream, a=rig.side(RELAY_A), b=rig.side(RELAY_B))
    new = ("new", 0)
    rig.engine.apply(
        [
            SendDatagram(new, A, RTP, phone.endpoint, STUN),
            answer(call.a.endpoint),
            OpenStream(new, stream, None, pinholes=False),
            CloseStream(STREAM),
        ]
    )
    assert await phone.hears() == (STUN, stream.a.local)
    assert call.a.has_heard_nothing()


async def test_a_list_that_is_refused_sends_nothing(rig: Rig) -> None:
    call = await a_shaking_call(rig)
    assert rig.stream is not None
    with pytest.raises(MediaRefused, match="is open already"):
        rig.engine.apply(
            [answer(call.a.endpoint), OpenStream(STREAM, rig.stream, None, pinholes=False)]
        )
    rig.engine.apply([answer(call.a.endpoint, DTLS)])
    assert await call.a.hears() == (DTLS, call.at_a)


@pytest.mark.parametrize(
    "nowhere",
    [
        Endpoint("0.0.0.0", 4000),
        Endpoint("239.1.2.3", 4000),
        Endpoint("::1", 4000),
        Endpoint("localhost", 4000),
        Endpoint(PHONE_B, 70000),
        Endpoint("192.0.2.1", 4000),  # which a loopback address cannot reach
    ],
    ids=str,
)
async def test_what_cannot_be_sent_is_lost_and_refuses_nothing(rig: Rig, nowhere: Endpoint) -> None:
    call = await a_shaking_call(rig)
    rig.engine.apply([answer(nowhere), answer(call.a.endpoint)])
    assert await call.a.hears() == (STUN, call.at_a)
    assert rig.drops(A) == rig.drops(B) == {}


async def test_nothing_leaves_for_a_stream_that_is_not_open(rig: Rig) -> None:
    phone = await rig.phone(PHONE_A)
    rig.engine.apply([answer(phone.endpoint)])
    call = await a_shaking_call(rig)
    rig.engine.apply([answer(phone.endpoint, DTLS)])
    assert await phone.hears() == (DTLS, call.at_a)
