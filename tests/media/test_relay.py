"""The relay as signalling uses it."""

import pytest
import trio

from media.engines.reference import ReferenceEngine
from media.errors import MediaRefused
from media.events import EngineFailed, Latched, MediaEvent
from media.plan import MediaPlan, MediaSide, MediaStream, diff
from media.relay import Relay
from media.types import Component, LatchRank, SideName
from tests.engine.kit import PHONE_A, RELAY_A, RELAY_B, Phone, free_pair, rtp
from tests.kit.patience import PATIENCE_S


async def a_plan(phone: Phone) -> MediaPlan:
    a = MediaSide("outside", *free_pair(RELAY_A), remote=phone.endpoint)
    b = MediaSide("inside", *free_pair(RELAY_B))
    return MediaPlan("call", (MediaStream(0, "audio", 8000, a, b),))


async def test_a_plan_runs_until_it_is_taken_back() -> None:
    phone = await Phone(PHONE_A).bind()
    relay = Relay()
    plan = await a_plan(phone)
    async with trio.open_nursery() as nursery:
        await nursery.start(relay.run)
        relay.apply(diff(None, plan))
        await phone.send(rtp(1), plan.streams[0].a.local)
        events: list[MediaEvent] = []
        with trio.fail_after(PATIENCE_S):
            while not events:
                await trio.lowlevel.checkpoint()
                events = relay.take_events()
        source = phone.endpoint
        assert events == [Latched(("call", 0), SideName.A, source, LatchRank.SDP_EXACT, None)]
        assert relay.counters(("call", 0))[SideName.A].packets == 1
        assert relay.take_events() == []
        assert relay.latches(("call", 0))[SideName.A, Component.RTP].source == source
        relay.apply(diff(plan, None))
        assert relay.streams() == []
        nursery.cancel_scope.cancel()
    phone.socket.close()


async def test_events_may_be_called_back_and_may_end_the_stream() -> None:
    phone = await Phone(PHONE_A).bind()
    plan = await a_plan(phone)
    heard: list[MediaEvent] = []

    def on_event(event: MediaEvent) -> None:
        heard.append(event)
        relay.apply(diff(plan, None))

    relay = Relay(on_event)
    relay.apply(diff(None, plan))
    async with trio.open_nursery() as nursery:
        await nursery.start(relay.run)
        await phone.send(rtp(1), plan.streams[0].a.local)
        with trio.fail_after(PATIENCE_S):
            while relay.streams():
                await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()
    assert [type(event) for event in heard] == [Latched]
    assert relay.take_events() == []
    phone.socket.close()


async def test_a_relay_that_never_ran_can_be_closed() -> None:
    phone = await Phone(PHONE_A).bind()
    relay = Relay()
    assert relay.engine_name in {"native", "python"}
    assert relay.engine_reason
    relay.apply(diff(None, await a_plan(phone)))
    relay.close()
    assert relay.streams() == []
    phone.socket.close()


async def test_an_engine_that_cannot_go_on_says_so_and_holds_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    phone = await Phone(PHONE_A).bind()
    plan = await a_plan(phone)

    def refuse(engine: ReferenceEngine) -> None:
        raise OSError(9, "Bad file descriptor")

    monkeypatch.setattr(ReferenceEngine, "relay_ready", refuse)
    relay = Relay(native=False)
    assert relay.engine_name == "python"
    assert relay.engine_reason == "the engine in Python, as configured"
    relay.apply(diff(None, plan))
    await phone.send(rtp(1), plan.streams[0].a.local)
    with trio.fail_after(PATIENCE_S):
        await relay.run()
    reason = "the system refuses to go on: [Errno 9] Bad file descriptor"
    assert relay.take_events() == [EngineFailed(reason)]
    assert relay.streams() == []
    with pytest.raises(MediaRefused, match="has stopped"):
        relay.apply(diff(None, plan))
    phone.socket.close()
