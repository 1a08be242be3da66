"""What a key may ask for beyond its suite, and what an engine does that cannot give it."""

from dataclasses import replace

import pytest
from pylibsrtp import Session

from media.errors import MediaRefused
from media.types import DropReason, SrtpKeys, SrtpSuite
from tests.engine.kit import (
    PHONE_A,
    PHONE_B,
    RELAY_A,
    RELAY_B,
    A,
    B,
    Phone,
    Rig,
    a_call,
    keys,
    opening,
    protecting,
    rtcp,
    rtp,
)

MUXED: dict[str, object] = {"rtcp_mux": True, "remote_rtcp": None}
SHORT_TAG = SrtpSuite.AES_CM_128_HMAC_SHA1_32


async def joined_calls(rig: Rig, sent: SrtpKeys, expected: SrtpKeys) -> tuple[Phone, Phone]:
    """Two calls joined through us: what one protects to the other is what the other opens."""
    outer_a, outer_b = await rig.phone(PHONE_A), await rig.phone(PHONE_B)
    inner, far = rig.side(RELAY_B, **MUXED), rig.side(RELAY_B, **MUXED)
    rig.open(
        replace(far, remote=inner.local, receive_keys=expected),
        rig.side(RELAY_A, outer_b.endpoint, rtcp_mux=True, remote_rtcp=None),
        ("second", 0),
    )
    rig.open(
        rig.side(RELAY_A, outer_a.endpoint, rtcp_mux=True, remote_rtcp=None),
        replace(inner, remote=far.local, send_keys=sent),
    )
    return outer_a, outer_b


@pytest.mark.parametrize("suite", list(SrtpSuite))
async def test_every_suite_an_engine_offers_it_can_do_and_no_other(
    rig: Rig, suite: SrtpSuite
) -> None:
    master = keys(suite)
    if suite not in rig.engine.srtp.suites:
        with pytest.raises(MediaRefused, match=rf"cannot do {suite.value}: use the native one"):
            await joined_calls(rig, master, master)
        assert rig.engine.streams() == []
        return
    a, b = await joined_calls(rig, master, master)
    assert rig.stream is not None
    for packet in (rtp(65535), rtp(0), rtcp(1, 7)):
        await a.send(packet, rig.stream.a.local)
        assert (await b.hears())[0] == packet


async def test_packets_under_another_key_are_not_opened(rig: Rig) -> None:
    a, _ = await joined_calls(rig, keys(seed=1), keys(seed=2))
    assert rig.stream is not None
    await a.send(rtp(1), rig.stream.a.local)
    await rig.until(lambda: rig.engine.counters(("second", 0))[A].drops)
    assert rig.engine.counters(("second", 0))[A].drops == {DropReason.SRTP_AUTHENTICATION: 1}


def marked(packet: bytes, mki: bytes, behind: int) -> bytes:
    """A protected packet with the identifier where it belongs, so many bytes from its end.

    Spec: RFC 3711 §3.1 (the tag does not cover it).
    """
    return packet[: len(packet) - behind] + mki + packet[len(packet) - behind :]


def unmarked(packet: bytes, mki: bytes, behind: int) -> bytes:
    place = len(packet) - behind
    assert packet[place - len(mki) : place] == mki
    return packet[: place - len(mki)] + packet[place:]


@pytest.mark.parametrize(
    ("suite", "rtp_tag", "rtcp_tag"),
    [
        (SrtpSuite.AES_CM_128_HMAC_SHA1_80, 10, 10),
        (SHORT_TAG, 4, 10),
        (SrtpSuite.AEAD_AES_128_GCM, 0, 0),
        (SrtpSuite.AEAD_AES_256_GCM, 0, 0),
    ],
)
async def test_a_key_identifier_is_read_and_written_where_the_phone_has_it(
    rig: Rig, suite: SrtpSuite, rtp_tag: int, rtcp_tag: int
) -> None:
    mki = b"\0\0\1\2"
    mine, yours = keys(suite, 1, mki), keys(suite, 2, mki)
    secure: dict[str, object] = {**MUXED, "receive_keys": mine, "send_keys": yours}
    if not rig.engine.srtp.mki:
        with pytest.raises(MediaRefused, match="MKI"):
            await a_call(rig, a=secure, b=MUXED)
        return
    call = await a_call(rig, a=secure, b=MUXED)
    out: Session = protecting(mine)
    into: Session = opening(yours)
    for sequence in range(3):
        packet, report = rtp(sequence), rtcp(1, sequence)
        assert await call.a_says(marked(out.protect(packet), mki, rtp_tag)) == packet
        assert await call.a_says(marked(out.protect_rtcp(report), mki, rtcp_tag)) == report
        assert into.unprotect(unmarked(await call.b_says(packet), mki, rtp_tag)) == packet
        heard = unmarked(await call.b_says(report), mki, rtcp_tag)
        assert into.unprotect_rtcp(heard) == report
    await call.a.send(out.protect(rtp(9)), call.at_a)
    await call.a.send(marked(out.protect(rtp(10)), b"\0\0\1\3", rtp_tag), call.at_a)
    await rig.has_dropped(A, {DropReason.SRTP_AUTHENTICATION: 2})


async def test_a_key_opens_and_protects_as_many_packets_as_it_lives(rig: Rig) -> None:
    mine, yours = keys(seed=1, lifetime_packets=3), keys(seed=2, lifetime_packets=2)
    call = await a_call(rig, a={**MUXED, "receive_keys": mine, "send_keys": yours}, b=MUXED)
    out, into = protecting(mine), opening(yours)
    for sequence in range(3):
        assert await call.a_says(out.protect(rtp(sequence))) == rtp(sequence)
        assert await call.a_says(out.protect_rtcp(rtcp(1, sequence))) == rtcp(1, sequence)
    for sequence in range(2):
        assert into.unprotect(await call.b_says(rtp(sequence))) == rtp(sequence)
        heard = await call.b_says(rtcp(1, sequence))
        assert into.unprotect_rtcp(heard) == rtcp(1, sequence)
    await call.a.send(out.protect(rtp(3)), call.at_a)
    await call.a.send(out.protect_rtcp(rtcp()), call.at_a)
    await call.b.send(rtp(2), call.at_b)
    await call.b.send(rtcp(), call.at_b)
    await rig.has_dropped(A, {DropReason.KEY_EXPIRED: 2})
    await rig.has_dropped(B, {DropReason.KEY_EXPIRED: 2})


async def test_packets_that_were_not_opened_cost_a_key_no_life(rig: Rig) -> None:
    mine = keys(lifetime_packets=2)
    call = await a_call(rig, a={**MUXED, "receive_keys": mine})
    out = protecting(mine)
    first = out.protect(rtp(1))
    assert await call.a_says(first) == rtp(1)
    await call.a.send(first, call.at_a)
    await call.a.send(rtp(2, bytes(20)), call.at_a)
    assert await call.a_says(out.protect(rtp(2))) == rtp(2)
