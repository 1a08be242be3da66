"""Silence that is a fault, silence that is none, and pinholes kept open."""

from dataclasses import replace

from media.events import MediaResumed, MediaTimeout
from media.types import Endpoint
from tests.engine.kit import PHONE_A, PHONE_B, RELAY_A, RELAY_B, STREAM, A, B, Rig, a_call, rtp

SILENCE_S = 0.4


async def test_a_silent_side_is_reported_once_and_again_after_it_spoke(rig: Rig) -> None:
    rig.inactivity_s = SILENCE_S
    call = await a_call(rig, b={"sending": False})
    await rig.until(lambda: rig.events_of(MediaTimeout))
    assert await call.a_says(rtp(1)) == rtp(1)
    await rig.until(lambda: rig.events_of(MediaResumed))
    await rig.until(lambda: len(rig.events_of(MediaTimeout)) == 2)
    reported = [event for event in rig.events if isinstance(event, MediaTimeout | MediaResumed)]
    assert [type(event) for event in reported] == [MediaTimeout, MediaResumed, MediaTimeout]
    assert {(event.stream_id, event.side) for event in reported} == {(STREAM, A)}
    assert all(
        SILENCE_S <= event.silent_s < SILENCE_S + 3
        for event in reported
        if isinstance(event, MediaTimeout)
    )


async def test_each_direction_counts_for_itself(rig: Rig) -> None:
    rig.inactivity_s = SILENCE_S
    await a_call(rig)
    await rig.until(lambda: len(rig.events_of(MediaTimeout)) == 2)
    assert {event.side for event in rig.events_of(MediaTimeout)} == {A, B}


async def test_a_ringing_call_is_not_silent(rig: Rig) -> None:
    rig.inactivity_s = SILENCE_S
    call = await a_call(rig, b={"remote": None, "remote_rtcp": None})
    assert rig.stream is not None
    other = rig.open(
        rig.side(RELAY_A, call.a.endpoint), rig.side(RELAY_B, call.b.endpoint), ("other", 0)
    )
    await rig.until(lambda: rig.events_of(MediaTimeout))
    assert {event.stream_id for event in rig.events_of(MediaTimeout)} == {("other", 0)}
    assert other.index == 0


async def test_openers_leave_the_signalled_ports_when_a_remote_is_known(rig: Rig) -> None:
    rig.pinholes = True
    call = await a_call(rig, b={"remote": None, "remote_rtcp": None})
    assert rig.stream is not None
    assert await call.a.is_opened() == call.at_a
    b_rtcp = await rig.phone(PHONE_B, call.b.endpoint.port + 1)
    above = Endpoint(PHONE_B, call.b.endpoint.port + 1)
    rig.update(b=replace(rig.stream.b, remote=call.b.endpoint, remote_rtcp=above))
    assert await call.b.is_opened() == call.at_b
    assert await b_rtcp.is_opened() == rig.stream.b.local_rtcp
    rig.update(b=replace(rig.stream.b, receiving=False))
    await call.a.send(b"", call.at_a)
    await call.a.send(rtp(1), call.at_a)
    assert call.a.has_heard_nothing()


async def test_no_opener_goes_to_an_address_that_is_not_the_legs(rig: Rig) -> None:
    rig.pinholes = True
    bystander = await rig.phone(PHONE_A)
    rig.open(rig.side(RELAY_A, bystander.endpoint, learn_any=True), rig.side(RELAY_B))
    fence = await rig.phone(PHONE_B)
    await fence.send(b"fence", bystander.endpoint)
    assert await bystander.socket.recvfrom(100) == (b"fence", fence.endpoint)
