"""SRTP on one side or both, checked against libsrtp as the phone."""

import struct
from dataclasses import replace
from itertools import product

import pytest
from pylibsrtp import Session

from media.events import KeyErrors
from media.types import DropReason, SrtpSuite
from tests.engine.kit import (
    LIBSRTP_SUITES,
    PHONE_A,
    PHONE_B,
    STRANGER,
    STREAM,
    A,
    B,
    Call,
    Rig,
    a_call,
    keys,
    opening,
    protecting,
    rtcp,
    rtp,
)

SUITES = LIBSRTP_SUITES
MUXED: dict[str, object] = {"rtcp_mux": True, "remote_rtcp": None}


class SecurePhone:
    """What an SRTP phone knows: its own key and ours."""

    def __init__(self, suite: SrtpSuite, seed: int) -> None:
        self.mine, self.yours = keys(suite, seed), keys(suite, seed + 100)
        self.out: Session = protecting(self.mine)
        self.into: Session = opening(self.yours)

    @property
    def side(self) -> dict[str, object]:
        return {**MUXED, "receive_keys": self.mine, "send_keys": self.yours}


async def a_secure_call(rig: Rig, suite: SrtpSuite = SUITES[0]) -> tuple[Call, SecurePhone]:
    phone = SecurePhone(suite, 1)
    return await a_call(rig, a=phone.side, b=MUXED), phone


@pytest.mark.parametrize("suite", SUITES)
async def test_srtp_meets_rtp_in_both_directions(rig: Rig, suite: SrtpSuite) -> None:
    call, phone = await a_secure_call(rig, suite)
    for number in range(5):
        packet, report = rtp(number, bytes([number]) * 160), rtcp(1, number)
        assert await call.a_says(phone.out.protect(packet)) == packet
        assert await call.a_says(phone.out.protect_rtcp(report)) == report
        assert phone.into.unprotect(await call.b_says(packet)) == packet
        assert phone.into.unprotect_rtcp(await call.b_says(report)) == report
    assert (rig.counters(A).packets, rig.counters(A).rtcp_packets) == (5, 5)
    assert rig.drops(A) == rig.drops(B) == {}


@pytest.mark.parametrize(("suite_a", "suite_b"), list(product(SUITES, SUITES)))
async def test_srtp_meets_srtp_under_other_keys(
    rig: Rig, suite_a: SrtpSuite, suite_b: SrtpSuite
) -> None:
    a, b = SecurePhone(suite_a, 1), SecurePhone(suite_b, 2)
    call = await a_call(rig, a=a.side, b=b.side)
    for number in range(3):
        packet, report = rtp(number), rtcp(1, number)
        assert b.into.unprotect(await call.a_says(a.out.protect(packet))) == packet
        assert a.into.unprotect(await call.b_says(b.out.protect(packet))) == packet
        assert b.into.unprotect_rtcp(await call.a_says(a.out.protect_rtcp(report))) == report
        assert a.into.unprotect_rtcp(await call.b_says(b.out.protect_rtcp(report))) == report


async def test_the_same_key_on_both_sides_still_means_proof(rig: Rig) -> None:
    shared = keys()
    side = {"receive_keys": shared, "send_keys": shared}
    call = await a_call(rig, a=side, b=side)
    await call.a.send(protecting(keys(seed=9)).protect(rtp(1)), call.at_a)
    await rig.has_dropped(A, {DropReason.SRTP_AUTHENTICATION: 1})
    heard = await call.a_says(protecting(shared).protect(rtp(2)))
    assert opening(shared).unprotect(heard) == rtp(2)


async def test_srtcp_has_its_own_port_without_mux(rig: Rig) -> None:
    phone = SecurePhone(SUITES[0], 1)
    call = await a_call(rig, a={"receive_keys": phone.mine, "send_keys": phone.yours})
    assert rig.stream is not None
    a = await rig.phone(PHONE_A, call.a.endpoint.port + 1)
    b = await rig.phone(PHONE_B, call.b.endpoint.port + 1)
    await a.send(phone.out.protect_rtcp(rtcp(1)), rig.stream.a.local_rtcp)
    assert (await b.hears())[0] == rtcp(1)
    await b.send(rtcp(2), rig.stream.b.local_rtcp)
    assert phone.into.unprotect_rtcp((await a.hears())[0]) == rtcp(2)


async def test_a_replayed_packet_is_dropped(rig: Rig) -> None:
    call, phone = await a_secure_call(rig)
    packet, report = phone.out.protect(rtp(1)), phone.out.protect_rtcp(rtcp())
    await call.a_says(packet)
    await call.a_says(report)
    stranger = await rig.phone(STRANGER)
    for again in (packet, report):
        await call.a.send(again, call.at_a)
        await stranger.send(again, call.at_a)
    assert await call.a_says(phone.out.protect(rtp(2))) == rtp(2)
    assert rig.drops(A) == {DropReason.SRTP_REPLAY: 4}
    assert rig.latch(A).source == call.a.endpoint


async def test_ten_thousand_bad_packets_hurt_nothing(rig: Rig) -> None:
    call, phone = await a_secure_call(rig)
    await call.a_says(phone.out.protect(rtp(0)))
    stranger = await rig.phone(STRANGER)
    sent = 0
    for burst in range(100):
        for _ in range(100):
            await stranger.send(rtp(sent, bytes(40)), call.at_a)
            sent += 1
        packet = rtp(burst + 1)
        assert await call.a_says(phone.out.protect(packet)) == packet
        assert phone.into.unprotect(await call.b_says(packet)) == packet
    await rig.until(lambda: sum(rig.drops(A).values()) == 10_000)
    # Junk that reuses the call's SSRC may look like a replay before its tag is even looked at.
    assert set(rig.drops(A)) <= {DropReason.SRTP_AUTHENTICATION, DropReason.SRTP_REPLAY}
    assert rig.engine.streams() == [STREAM]
    await rig.until(lambda: rig.events_of(KeyErrors))
    assert len(rig.events_of(KeyErrors)) == 1
    assert stranger.has_heard_nothing()
    assert rig.latch(A).source == call.a.endpoint


async def test_plain_rtp_on_a_secure_side_is_dropped(rig: Rig) -> None:
    call, phone = await a_secure_call(rig)
    await call.a.send(rtp(1, bytes(160)), call.at_a)
    await call.a.send(rtp(2, b""), call.at_a)
    await call.a.send(rtcp(), call.at_a)
    assert await call.a_says(phone.out.protect(rtp(3))) == rtp(3)
    assert sum(rig.drops(A).values()) == rig.drops(A)[DropReason.SRTP_AUTHENTICATION] == 3


async def test_the_ssrc_may_change_and_change_back(rig: Rig) -> None:
    call, phone = await a_secure_call(rig)
    for number, ssrc in enumerate([1, 1, 2, 2, 1, 3]):
        packet = rtp(number, ssrc=ssrc)
        assert await call.a_says(phone.out.protect(packet)) == packet
        assert phone.into.unprotect(await call.b_says(packet)) == packet


async def test_ssrcs_without_end_do_not_cost_memory_without_end(rig: Rig) -> None:
    call, phone = await a_secure_call(rig)
    for ssrc in range(64):
        await call.a_says(phone.out.protect(rtp(1, ssrc=ssrc)))
        await call.b_says(rtp(1, ssrc=ssrc))
    await call.a.send(phone.out.protect(rtp(1, ssrc=64)), call.at_a)
    await call.b.send(rtp(1, ssrc=64), call.at_b)
    await rig.has_dropped(A, {DropReason.SSRC_LIMIT: 1})
    await rig.has_dropped(B, {DropReason.SSRC_LIMIT: 1})
    assert await call.a_says(phone.out.protect(rtp(2, ssrc=7))) == rtp(2, ssrc=7)


@pytest.mark.parametrize("suite", SUITES)
async def test_the_rollover_counter_goes_on_over_the_wrap(rig: Rig, suite: SrtpSuite) -> None:
    call, phone = await a_secure_call(rig, suite)
    for sequence in (65533, 65535, 0, 1, 32000, 64000, 65535, 5):
        packet = rtp(sequence)
        assert await call.a_says(phone.out.protect(packet)) == packet
        assert phone.into.unprotect(await call.b_says(packet)) == packet


async def test_loss_and_reordering_within_the_window_do_no_harm(rig: Rig) -> None:
    call, phone = await a_secure_call(rig)
    packets = {sequence: phone.out.protect(rtp(sequence)) for sequence in range(90)}
    for sequence in (0, 2, 1, 50, 49, 3, 89, 88):
        assert await call.a_says(packets[sequence]) == rtp(sequence)
        assert phone.into.unprotect(await call.b_says(rtp(sequence))) == rtp(sequence)


async def test_a_plain_packet_sent_twice_is_protected_once(rig: Rig) -> None:
    call, _ = await a_secure_call(rig)
    await call.b_says(rtp(1, b"first"))
    await call.b.send(rtp(1, b"again"), call.at_b)
    await rig.has_dropped(B, {DropReason.SRTP_REPLAY: 1})


async def test_equal_keys_in_new_signalling_keep_the_rollover_counter(rig: Rig) -> None:
    call, phone = await a_secure_call(rig)
    assert rig.stream is not None
    for sequence in (65000, 65535, 3):
        await call.a_says(phone.out.protect(rtp(sequence)))
        phone.into.unprotect(await call.b_says(rtp(sequence)))
    rig.update(a=replace(rig.stream.a, receiving=False))
    rig.update(a=replace(rig.stream.a, receiving=True))
    assert await call.a_says(phone.out.protect(rtp(4))) == rtp(4)
    assert phone.into.unprotect(await call.b_says(rtp(4))) == rtp(4)


async def test_another_lifetime_of_the_same_key_takes_no_replay(rig: Rig) -> None:
    master = keys(seed=7)
    call = await a_call(rig, a={"receive_keys": master, "send_keys": keys(seed=8)})
    phone = protecting(master)
    recorded = phone.protect(rtp(1))
    assert await call.a_says(recorded) == rtp(1)
    assert rig.stream is not None
    again = replace(rig.stream.a, receive_keys=replace(master, lifetime_packets=1 << 20))
    rig.update(a=again)
    await call.a.send(recorded, call.at_a)
    assert await call.a_says(phone.protect(rtp(2))) == rtp(2)
    await rig.has_dropped(A, {DropReason.SRTP_REPLAY: 1})


async def test_new_keys_take_over_and_packets_under_way_still_count(rig: Rig) -> None:
    call, before = await a_secure_call(rig)
    assert rig.stream is not None
    await call.a_says(before.out.protect(rtp(1)))
    under_way, report_under_way = before.out.protect(rtp(2)), before.out.protect_rtcp(rtcp())
    after = SecurePhone(SUITES[2], 5)
    rig.update(a=replace(rig.stream.a, receive_keys=after.mine, send_keys=after.yours))
    assert await call.a_says(under_way) == rtp(2)
    assert await call.a_says(report_under_way) == rtcp()
    assert await call.a_says(after.out.protect(rtp(3))) == rtp(3)
    assert await call.a_says(after.out.protect_rtcp(rtcp(2))) == rtcp(2)
    assert after.into.unprotect(await call.b_says(rtp(9))) == rtp(9)
    assert rig.drops(A) == {}


async def test_a_leg_that_turns_secure_is_learned_anew(rig: Rig) -> None:
    call = await a_call(rig, a=MUXED, b=MUXED)
    assert rig.stream is not None
    await call.a_says(rtp(1))
    phone = SecurePhone(SUITES[0], 1)
    rig.update(a=replace(rig.stream.a, **phone.side))
    await call.a.send(rtp(2), call.at_a)
    await rig.has_dropped(A, {DropReason.SRTP_AUTHENTICATION: 1})
    assert await call.a_says(phone.out.protect(rtp(3))) == rtp(3)
    rig.update(a=replace(rig.stream.a, receive_keys=None, send_keys=None))
    assert await call.a_says(rtp(4)) == rtp(4)


async def test_what_would_grow_too_long_by_protection_is_dropped(rig: Rig) -> None:
    call, phone = await a_secure_call(rig)
    await call.b.send(rtp(1, bytes(1500)), call.at_b)
    await call.a.send(rtp(1, bytes(1500)), call.at_a)
    await rig.has_dropped(B, {DropReason.TOO_LONG: 1})
    await rig.has_dropped(A, {DropReason.TOO_LONG: 1})
    full = rtp(2, bytes(1300))
    assert phone.into.unprotect(await call.b_says(full)) == full


async def test_protected_packets_that_are_no_compound_rtcp_inside_are_dropped(rig: Rig) -> None:
    call, phone = await a_secure_call(rig)
    lying = struct.pack("!BBHI", 0x80, 201, 9, 1)
    await call.a.send(phone.out.protect_rtcp(lying), call.at_a)
    await rig.has_dropped(A, {DropReason.NOT_RTP: 1})
