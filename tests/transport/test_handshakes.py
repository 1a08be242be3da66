"""How many handshakes there may be, and who makes room for whom."""

import pytest
import trio

from sbc.transport.endings import StreamFault
from sbc.transport.handshakes import Handshakes
from sbc.transport.limits import TransportLimits, TransportStatistics
from tests.kit.patience import until


class Pipe:
    """A handshake of two steps."""

    def __init__(self) -> None:
        self.said = [b"hello", b"finished"]
        self.steps = 0

    def begin(self, data: bytes) -> bool:
        return True

    def step(self) -> bool:
        self.steps += 1
        return self.steps == 2

    def outgoing(self) -> bytes:
        return b""


class Party:
    """A connection: it says something when it is let."""

    def __init__(self, *, ours: bool = False) -> None:
        self.opened_by_us = ours
        self.is_strangers = not ours
        self.is_ending = False
        self.pipe = Pipe()
        self.may_speak = trio.Event()
        self.done: bool | None = None
        self.fault = ""

    def displace(self) -> None:
        self.is_ending = True
        self.may_speak.set()

    async def readable(self) -> bytes | None:
        if self.pipe.steps:
            await self.may_speak.wait()
        return None if self.is_ending else b"?"

    def spend(self, units: float, now: float) -> None:
        pass

    def put(self, data: bytes) -> None:
        pass

    async def shake(self, handshakes: Handshakes) -> None:
        try:
            self.done = await handshakes.shake(self, self.pipe, self, self)  # type: ignore[arg-type]  # stands in for three
        except StreamFault as fault:
            self.fault = fault.reason


def place(limit: int) -> tuple[Handshakes, TransportStatistics]:
    statistics = TransportStatistics()
    return Handshakes(TransportLimits(handshakes=limit), statistics), statistics


async def test_the_one_that_waits_longest_for_its_peer_makes_room(nursery: trio.Nursery) -> None:
    handshakes, statistics = place(2)
    parties = [Party() for _ in range(3)]
    for party in parties:
        nursery.start_soon(party.shake, handshakes)
        await until(lambda party=party: party.pipe.steps == 1)
        await until(lambda: handshakes.under_way <= 2)
    await until(lambda: parties[0].done is False)
    assert statistics.displaced_handshakes == 1
    for party in parties[1:]:
        party.may_speak.set()
    await until(lambda: all(party.done for party in parties[1:]))
    assert handshakes.under_way == 0


async def test_when_all_wait_for_us_a_new_one_is_refused(
    nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    handshakes, statistics = place(1)
    release = trio.Event()

    async def run_sync(step: object, *, limiter: object) -> bool:
        await release.wait()
        return True

    monkeypatch.setattr(trio.to_thread, "run_sync", run_sync)
    first, second = Party(), Party()
    nursery.start_soon(first.shake, handshakes)
    await until(lambda: handshakes.under_way == 1)
    await second.shake(handshakes)
    assert second.fault == "too many others wait for theirs"
    assert statistics.refused_handshakes == 1
    release.set()
    await until(lambda: first.done is True)


async def test_our_own_are_never_refused(nursery: trio.Nursery) -> None:
    handshakes, statistics = place(1)
    stranger, ours = Party(), Party(ours=True)
    nursery.start_soon(stranger.shake, handshakes)
    await until(lambda: handshakes.under_way == 1)
    ours.may_speak.set()
    await ours.shake(handshakes)
    assert ours.done is True
    assert statistics.displaced_handshakes == 0
    stranger.displace()
