"""The promises about sources: who is heard, who is answered, and what is reported of it."""

from dataclasses import replace
from itertools import count

import pytest
import trio

from media.events import Latched, RelatchRefused
from media.latch import CONFIRM_PACKETS, SILENT_S
from media.types import Component, DropReason, Endpoint, LatchRank, Refusal, SrtpSuite
from tests.engine.kit import (
    LIBSRTP_SUITES,
    PHONE_A,
    PHONE_B,
    RELAY_A,
    RELAY_B,
    SIGNALLING_A,
    STRANGER,
    STREAM,
    A,
    B,
    Call,
    Phone,
    Rig,
    a_call,
    a_nated_call,
    keys,
    protecting,
    rtcp,
    rtp,
)

PACKET_S = 0.02


async def is_learned(call: Call, phone: Phone, payload: bytes = b"sound", first: int = 0) -> None:
    """An announced host shows a stream to A's port: only its last packet is relayed."""
    packets = [rtp(first + number, payload) for number in range(CONFIRM_PACKETS)]
    for packet in packets:
        await phone.send(packet, call.at_a)
    assert (await call.b.hears())[0] == packets[-1]


async def streams_until_learned(call: Call, phone: Phone) -> int:
    """Whoever it is talks to A's port as phones do; returns how many packets it took."""
    for sequence in count():
        packet = rtp(sequence, b"stream")
        await phone.send(packet, call.at_a)
        await trio.sleep(PACKET_S)  # what is watched is that a stream takes its time
        if call.rig.latch(A).source == phone.endpoint:
            while (await call.b.hears())[0] != packet:
                pass
            return sequence + 1
    raise AssertionError("streams are endless")


async def test_the_announced_source_is_learned_and_reported_once(rig: Rig) -> None:
    call = await a_call(rig)
    for sequence in range(3):
        await call.a_says(rtp(sequence))
    await rig.until(lambda: rig.events)
    assert rig.events == [Latched(STREAM, A, call.a.endpoint, LatchRank.SDP_EXACT, None)]
    assert rig.latch(A) == (call.a.endpoint, LatchRank.SDP_EXACT, call.a.endpoint)
    assert rig.latch(B) == (None, LatchRank.NONE, call.b.endpoint)


async def test_a_phone_that_sends_from_another_port_is_answered_there(rig: Rig) -> None:
    call = await a_call(rig)
    other_port = await rig.phone(PHONE_A)
    await is_learned(call, other_port)
    await call.b.send(rtp(2), call.at_b)
    assert await other_port.hears() == (rtp(2), call.at_a)
    assert rig.latch(A).rank is LatchRank.SDP_HOST


async def test_a_nated_phone_is_answered_where_its_media_comes_from(rig: Rig) -> None:
    call = await a_nated_call(rig)
    await call.b.send(rtp(1), call.at_b)
    await rig.has_dropped(B, {DropReason.NO_DESTINATION: 1})
    await is_learned(call, call.a)
    assert await call.b_says(rtp(2)) == rtp(2)
    learned = Latched(STREAM, A, call.a.endpoint, LatchRank.SIGNALLING_HOST, None)
    await rig.until(lambda: learned in rig.events)


async def test_a_stranger_is_never_relayed_nor_answered_on_a_public_leg(rig: Rig) -> None:
    call = await a_call(rig)
    stranger = await rig.phone(STRANGER)
    for sequence in range(50):
        await stranger.send(rtp(sequence, b"injected"), call.at_a)
    assert await call.a_says(rtp(1, b"own")) == rtp(1, b"own")
    for sequence in range(50):
        await stranger.send(rtp(sequence, b"injected"), call.at_a)
    assert await call.a_says(rtp(2, b"own")) == rtp(2, b"own")
    assert await call.b_says(rtp(3)) == rtp(3)
    assert stranger.has_heard_nothing()
    assert rig.drops(A) == {DropReason.UNKNOWN_SOURCE: 100}
    refused = RelatchRefused(STREAM, A, stranger.endpoint, Refusal.NOT_ANNOUNCED)
    await rig.until(lambda: rig.events_of(RelatchRefused))
    assert rig.events_of(RelatchRefused) == [refused]


async def test_a_stranger_who_was_first_loses_to_the_right_phone(rig: Rig) -> None:
    call = await a_nated_call(rig)
    stranger = await rig.phone(STRANGER)
    for sequence in range(3):
        await stranger.send(rtp(sequence, b"injected"), call.at_a)
    await is_learned(call, call.a, b"own", 100)
    await stranger.send(rtp(3, b"injected"), call.at_a)
    assert await call.a_says(rtp(103, b"own")) == rtp(103, b"own")
    assert await call.b_says(rtp(1)) == rtp(1)
    assert stranger.has_heard_nothing()


async def test_an_unannounced_source_must_show_a_stream(rig: Rig) -> None:
    call = await a_nated_call(rig)
    elsewhere = await rig.phone(STRANGER)
    for sequence in (7, 9000, 42, *range(500, 600)):
        await elsewhere.send(rtp(sequence, b"spray"), call.at_a)
    await rig.has_dropped(A, {DropReason.UNKNOWN_SOURCE: 103})
    assert rig.latch(A).source is None
    assert await streams_until_learned(call, elsewhere) >= 15
    await call.b.send(rtp(1), call.at_b)
    assert await elsewhere.hears() == (rtp(1), call.at_a)
    assert rig.latch(A).rank is LatchRank.OTHER


async def test_the_right_phone_wins_back_from_a_learned_stranger(rig: Rig) -> None:
    call = await a_nated_call(rig)
    stranger = await rig.phone(STRANGER)
    await streams_until_learned(call, stranger)
    await is_learned(call, call.a, b"own")
    assert await call.b_says(rtp(2)) == rtp(2)
    for sequence in range(4, 20):
        await stranger.send(rtp(sequence, b"injected"), call.at_a)
    assert await call.a_says(rtp(3, b"own")) == rtp(3, b"own")
    assert stranger.has_heard_nothing()
    await rig.until(lambda: len(rig.events_of(Latched)) >= 2)
    assert rig.events_of(Latched)[:2] == [
        Latched(STREAM, A, stranger.endpoint, LatchRank.OTHER, None),
        Latched(STREAM, A, call.a.endpoint, LatchRank.SIGNALLING_HOST, stranger.endpoint),
    ]


async def test_equal_proof_does_not_take_over_from_a_source_that_talks(rig: Rig) -> None:
    call = await a_nated_call(rig)
    await is_learned(call, call.a)
    second = await rig.phone(SIGNALLING_A)
    for sequence in range(5):
        await second.send(rtp(sequence, b"second"), call.at_a)
    assert await call.a_says(rtp(9)) == rtp(9)
    unheard = CONFIRM_PACKETS - 1 + 5
    assert rig.drops(A) == {DropReason.UNKNOWN_SOURCE: unheard}
    refused = RelatchRefused(STREAM, A, second.endpoint, Refusal.NO_BETTER_PROOF)
    await rig.until(lambda: refused in rig.events)


async def test_a_stray_packet_from_the_phones_own_host_costs_nothing(rig: Rig) -> None:
    call = await a_nated_call(rig)
    stray = await rig.phone(SIGNALLING_A)
    await stray.send(rtp(1, b"spoofed"), call.at_a)
    await is_learned(call, call.a, b"own")
    assert await call.b_says(rtp(2)) == rtp(2)
    assert stray.has_heard_nothing()


async def test_a_phone_gets_its_call_back_from_an_equal_source_that_fell_silent(rig: Rig) -> None:
    call = await a_nated_call(rig)
    spoofed = await rig.phone(SIGNALLING_A)
    await is_learned(call, spoofed, b"spoofed")
    started = trio.current_time()
    await streams_until_learned(call, call.a)
    assert trio.current_time() - started >= SILENT_S - PACKET_S
    assert await call.b_says(rtp(2)) == rtp(2)
    rank = LatchRank.SIGNALLING_HOST
    back = Latched(STREAM, A, call.a.endpoint, rank, spoofed.endpoint)
    await rig.until(lambda: back in rig.events)


async def test_new_signalling_lets_the_phone_move(rig: Rig) -> None:
    call = await a_nated_call(rig)
    assert rig.stream is not None
    await is_learned(call, call.a)
    moved = await rig.phone(SIGNALLING_A)
    rig.update(a=replace(rig.stream.a, remote=Endpoint("10.11.12.13", 4500)))
    await call.a.send(rtp(2, b"straggler"), call.at_a)
    assert (await call.b.hears())[0] == rtp(2, b"straggler")
    assert await call.b_says(rtp(1)) == rtp(1)  # held: no gap before the new source shows
    await is_learned(call, moved, first=10)
    await call.b.send(rtp(2), call.at_b)
    assert await moved.hears() == (rtp(2), call.at_a)
    await call.a.send(rtp(4, b"straggler"), call.at_a)
    await rig.has_dropped(A, {DropReason.UNKNOWN_SOURCE: 2 * (CONFIRM_PACKETS - 1) + 1})


async def test_signalling_that_moves_the_leg_elsewhere_shuts_the_old_source_out(rig: Rig) -> None:
    call = await a_call(rig)
    assert rig.stream is not None
    await call.b_says(rtp(1))
    transferred = await rig.phone(STRANGER)
    rig.update(b=replace(rig.stream.b, remote=transferred.endpoint, signalling_host=STRANGER))
    await call.b.send(rtp(2, b"old"), call.at_b)
    await call.a.send(rtp(1), call.at_a)
    assert await transferred.hears() == (rtp(1), call.at_b)
    await transferred.send(rtp(3, b"new"), call.at_b)
    assert (await call.a.hears())[0] == rtp(3, b"new")


async def test_signalling_that_changes_nothing_of_the_place_keeps_the_latch(rig: Rig) -> None:
    call = await a_nated_call(rig)
    assert rig.stream is not None
    await is_learned(call, call.a)
    rig.update(a=replace(rig.stream.a, receiving=False))
    rig.update(a=replace(rig.stream.a, receiving=True))
    assert await call.b_says(rtp(2)) == rtp(2)
    await rig.until(lambda: len(rig.events_of(Latched)) == 2)


async def test_rtcp_is_learned_on_its_own_port(rig: Rig) -> None:
    call = await a_nated_call(rig)
    assert rig.stream is not None
    b_rtcp = await rig.phone(PHONE_B, call.b.endpoint.port + 1)
    a_rtcp = await rig.phone(SIGNALLING_A)
    await a_rtcp.send(rtcp(9), rig.stream.a.local_rtcp)
    await rig.has_dropped(A, {DropReason.UNKNOWN_SOURCE: 1})
    await is_learned(call, call.a)  # which vouches for RTCP of the same host
    await a_rtcp.send(rtcp(1), rig.stream.a.local_rtcp)
    assert await b_rtcp.hears() == (rtcp(1), rig.stream.b.local_rtcp)
    await b_rtcp.send(rtcp(2), rig.stream.b.local_rtcp)
    assert await a_rtcp.hears() == (rtcp(2), rig.stream.a.local_rtcp)
    rank = LatchRank.SIGNALLING_HOST
    learned = Latched(STREAM, A, a_rtcp.endpoint, rank, None, Component.RTCP)
    await rig.until(lambda: learned in rig.events)


async def test_rtcp_learns_no_stranger_that_rtp_did_not(rig: Rig) -> None:
    call = await a_nated_call(rig)
    assert rig.stream is not None
    stranger = await rig.phone(STRANGER)
    for note in range(10):
        await stranger.send(rtcp(1, note), rig.stream.a.local_rtcp)
    await rig.has_dropped(A, {DropReason.UNKNOWN_SOURCE: 10})
    elsewhere = await rig.phone(f"{STRANGER[:-2]}77")
    await streams_until_learned(call, elsewhere)
    b_rtcp = await rig.phone(PHONE_B, call.b.endpoint.port + 1)
    elsewhere_rtcp = await rig.phone(f"{STRANGER[:-2]}77")
    await elsewhere_rtcp.send(rtcp(5), rig.stream.a.local_rtcp)
    assert (await b_rtcp.hears())[0] == rtcp(5)
    await is_learned(call, call.a)  # the right phone wins RTP back, and with it RTCP
    assert rig.latch(A, Component.RTCP) == (None, LatchRank.NONE, None)


@pytest.mark.parametrize("suite", LIBSRTP_SUITES)
async def test_a_secure_leg_follows_only_packets_that_prove_themselves(
    rig: Rig, suite: SrtpSuite
) -> None:
    master = keys(suite)
    call = await a_call(rig, a={"receive_keys": master, "send_keys": keys(suite, 2)})
    phone = protecting(master)
    stranger = await rig.phone(STRANGER)
    thief = protecting(keys(suite, 66))
    await stranger.send(rtp(1), call.at_a)
    await stranger.send(thief.protect(rtp(2)), call.at_a)
    assert await call.a_says(phone.protect(rtp(1))) == rtp(1)
    await stranger.send(thief.protect(rtp(3)), call.at_a)
    moved = await rig.phone(f"{STRANGER[:-2]}77")
    await moved.send(phone.protect(rtp(2)), call.at_a)
    assert (await call.b.hears())[0] == rtp(2)
    await call.b.send(rtp(9), call.at_b)
    await moved.hears()
    assert stranger.has_heard_nothing()
    assert rig.drops(A) == {DropReason.SRTP_AUTHENTICATION: 3}
    await rig.until(lambda: len(rig.events_of(Latched)) >= 2)
    assert [event.source for event in rig.events_of(Latched) if event.side is A] == [
        call.a.endpoint,
        moved.endpoint,
    ]


async def test_a_late_packet_does_not_pull_a_secure_leg_back(rig: Rig) -> None:
    master = keys()
    call = await a_call(rig, a={"receive_keys": master})
    phone = protecting(master)
    first, late, newer = (phone.protect(rtp(sequence)) for sequence in (1, 2, 3))
    await call.a_says(first)
    moved = await rig.phone(STRANGER)
    await moved.send(newer, call.at_a)
    await call.b.hears()
    assert await call.a_says(late) == rtp(2)
    assert rig.latch(A).source == moved.endpoint


async def test_our_own_ports_are_no_source_unless_announced(rig: Rig) -> None:
    call = await a_call(rig)
    phone = await rig.phone(PHONE_A)
    other = rig.open(
        rig.side(RELAY_A, phone.endpoint), rig.side(RELAY_B, call.at_a), stream_id=("other", 0)
    )
    await phone.send(rtp(1), other.a.local)
    await rig.has_dropped(A, {DropReason.RELAY_LOOP: 1})
    refused = RelatchRefused(STREAM, A, other.b.local, Refusal.RELAY_LOOP)
    await rig.until(lambda: refused in rig.events)


async def test_a_stream_never_feeds_itself(rig: Rig) -> None:
    phone = await rig.phone(PHONE_A)
    a, b = rig.side(RELAY_A, phone.endpoint), rig.side(RELAY_B)
    stream = rig.open(a, replace(b, remote=a.local))
    await phone.send(rtp(1), stream.a.local)
    await rig.has_dropped(A, {DropReason.RELAY_LOOP: 1})


async def test_two_calls_may_be_joined_through_us(rig: Rig) -> None:
    outer_a, outer_b = await rig.phone(PHONE_A), await rig.phone(PHONE_B)
    inner_1, inner_2 = rig.side(RELAY_B), rig.side(RELAY_B)
    one = rig.open(rig.side(RELAY_A, outer_a.endpoint), replace(inner_1, remote=inner_2.local))
    two = rig.open(
        replace(inner_2, remote=inner_1.local),
        rig.side(RELAY_A, outer_b.endpoint),
        stream_id=("second", 0),
    )
    await outer_a.send(rtp(1), one.a.local)
    assert await outer_b.hears() == (rtp(1), two.b.local)
    await outer_b.send(rtp(2), two.b.local)
    assert await outer_a.hears() == (rtp(2), one.a.local)


async def test_a_ring_of_calls_carries_nothing_round(rig: Rig) -> None:
    a1, b1, a2, b2 = (rig.side(RELAY_A) for _ in range(4))
    outsider = await rig.phone(PHONE_A)
    first = rig.open(
        replace(a1, remote=b2.local, signalling_host=PHONE_A), replace(b1, remote=a2.local)
    )
    rig.open(replace(a2, remote=b1.local), replace(b2, remote=a1.local), stream_id=("second", 0))
    for sequence in range(CONFIRM_PACKETS):
        await outsider.send(rtp(sequence), first.a.local)

    def dropped() -> bool:
        second = rig.engine.counters(("second", 0))
        return DropReason.RELAY_LOOP in second[A].drops

    await rig.until(dropped)
    assert rig.counters(A).packets == 1
