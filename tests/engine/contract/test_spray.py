"""The attack table: a third host sprays every port of a call, in every mode, at every moment.

The bar: nothing bled to it and nothing injected, be the leg SRTP or plain, public or behind a NAT.
"""

import struct
from collections.abc import Iterator
from functools import partial

import pytest
import trio

from media.events import RelatchRefused
from media.latch import CONFIRM_PACKETS, PAUSE_S, UNANNOUNCED_PACKETS
from media.types import Component, DropReason, Endpoint, SideName
from tests.engine.kit import (
    PHONE_B,
    RELAY_A,
    RELAY_B,
    SIGNALLING_A,
    STRANGER,
    STREAM,
    Phone,
    Rig,
    keys,
    opening,
    protecting,
    rtcp,
    rtp,
)
from tests.kit.patience import PATIENCE_S

PRIVATE = Endpoint("10.11.12.13", 4000)
OURS, THEIRS = keys(seed=1), keys(seed=2)


def spray() -> Iterator[bytes]:
    """RTP that looks like this call's and like others', RTCP, STUN, DTLS and junk."""
    for number in range(3):
        yield rtp(number, b"injected")
        yield rtp(40000 + number * 999, b"injected", ssrc=number)
    yield protecting(keys(seed=66)).protect(rtp(1, b"injected"))
    yield rtcp(0x5EED, 99) + struct.pack("!BBHI", 0x81, 203, 1, 0x5EED)
    yield struct.pack("!HHI", 1, 0, 0x2112A442) + bytes(12)
    yield b"\x16\xfe\xfd" + bytes(60)
    yield b""
    yield b"\xff" * 200


class Victim:
    """A call whose A is public or behind a NAT, plain or SRTP, and the host that attacks it."""

    def __init__(self, rig: Rig, nated: bool, secure: bool) -> None:
        self.rig = rig
        self.nated = nated
        self.secure = secure
        self.seal, self.unseal = protecting(OURS), opening(THEIRS)
        self.a: Phone
        self.b: Phone
        self.attacker: Phone

    async def set_up(self) -> "Victim":
        self.a = await self.rig.phone(SIGNALLING_A)
        self.b = await self.rig.phone(PHONE_B)
        self.attacker = await self.rig.phone(STRANGER)
        secrets = {"receive_keys": OURS, "send_keys": THEIRS} if self.secure else {}
        remote = PRIVATE if self.nated else self.a.endpoint
        nat = {"learn_any": True, "signalling_host": SIGNALLING_A} if self.nated else {}
        self.stream = self.rig.open(
            self.rig.side(RELAY_A, remote, **secrets, **nat),
            self.rig.side(RELAY_B, self.b.endpoint),
        )
        return self

    async def is_sprayed(self) -> None:
        for side in (self.stream.a, self.stream.b):
            for port in (side.local, side.local_rtcp):
                for datagram in spray():
                    await self.attacker.send(datagram, port)

    @property
    def watched(self) -> int:
        """How many packets of A are only watched before it is learned."""
        return CONFIRM_PACKETS - 1 if self.nated and not self.secure else 0

    async def a_begins(self) -> None:
        """A shows what it must show before it is heard; its next packet is number 1."""
        for sequence in range(1 - self.watched, 1):
            await self.a_says(sequence & 0xFFFF)

    async def a_says(self, sequence: int) -> None:
        packet = rtp(sequence, b"own", ssrc=1)
        await self.a.send(self.seal.protect(packet) if self.secure else packet, self.stream.a.local)

    async def b_says(self, sequence: int) -> None:
        await self.b.send(rtp(sequence, b"own", ssrc=2), self.stream.b.local)

    async def hears(self, phone: Phone) -> bytes:
        data, _ = await phone.hears()
        return self.unseal.unprotect(data) if self.secure and phone is self.a else data


MODES = [(nated, secure) for nated in (False, True) for secure in (False, True)]


@pytest.mark.parametrize(("nated", "secure"), MODES)
async def test_nothing_is_bled_or_injected(rig: Rig, nated: bool, secure: bool) -> None:
    victim = await Victim(rig, nated, secure).set_up()
    await victim.is_sprayed()
    await victim.b_says(0)
    await victim.a_begins()
    for sequence in range(1, 6):
        await victim.a_says(sequence)
        assert await victim.hears(victim.b) == rtp(sequence, b"own", ssrc=1)
        await victim.is_sprayed()
        await victim.b_says(sequence)
        heard = await victim.hears(victim.a)
        if sequence == 1 and heard == rtp(0, b"own", ssrc=2):
            heard = await victim.hears(victim.a)  # public: B was heard before A spoke
        assert heard == rtp(sequence, b"own", ssrc=2)
    await everything_was_read(rig, victim.watched)
    assert victim.attacker.has_heard_nothing()
    assert victim.a.has_heard_nothing()
    assert victim.b.has_heard_nothing()
    assert rig.latch(SideName.A).source == victim.a.endpoint
    assert rig.latch(SideName.B).source == victim.b.endpoint
    assert rig.latch(SideName.A, Component.RTCP).source is None
    await rig.until(lambda: rig.events_of(RelatchRefused))
    reported = [event for event in rig.events if isinstance(event, RelatchRefused)]
    assert {event.source for event in reported} == {victim.attacker.endpoint}
    assert len(reported) <= 4  # once for each port, however long the spray


async def everything_was_read(rig: Rig, watched: int) -> None:
    """Waits until the engine has dropped every datagram of six sprays, and what A began with."""
    sprayed = 2 * len(list(spray())) * 6
    expected = {SideName.A: sprayed + watched, SideName.B: sprayed}

    def read(side: SideName) -> int:
        drops = rig.engine.counters(STREAM)[side].drops
        return sum(drops.values()) - drops.get(DropReason.NO_DESTINATION, 0)

    with trio.fail_after(PATIENCE_S):
        while any(read(side) < expected[side] for side in SideName):
            await trio.lowlevel.checkpoint()


async def test_nothing_passes_before_the_right_phone_speaks(rig: Rig) -> None:
    victim = await Victim(rig, nated=True, secure=False).set_up()
    for sequence in range(1, 4):
        await victim.attacker.send(rtp(sequence, b"injected"), victim.stream.a.local)
        await victim.b_says(sequence)
    await victim.a_begins()
    await victim.a_says(1)
    assert await victim.hears(victim.b) == rtp(1, b"own", ssrc=1)
    assert victim.attacker.has_heard_nothing()


def has_dropped(rig: Rig, strangers: int) -> bool:
    return rig.drops(SideName.A).get(DropReason.UNKNOWN_SOURCE, 0) >= strangers


async def test_bursts_that_come_round_again_pass_nothing_while_the_phone_is_silent(
    rig: Rig,
) -> None:
    victim = await Victim(rig, nated=True, secure=False).set_up()
    burst = 2 * UNANNOUNCED_PACKETS
    for first in range(0, 4 * burst, burst):
        for sequence in range(first, first + burst):
            await victim.attacker.send(rtp(sequence, b"injected"), victim.stream.a.local)
            await victim.attacker.send(rtcp(0x5EED, sequence), victim.stream.a.local_rtcp)
        await victim.b_says(first)
        sent = 2 * (first + burst)
        await rig.until(partial(has_dropped, rig, sent))
        await trio.sleep(PAUSE_S * 1.25)  # the sprayer is at other ports meanwhile
    await victim.a_begins()
    await victim.a_says(1)
    assert await victim.hears(victim.b) == rtp(1, b"own", ssrc=1)
    assert victim.attacker.has_heard_nothing()
    assert victim.b.has_heard_nothing()
