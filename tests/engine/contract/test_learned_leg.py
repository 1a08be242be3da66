"""A port whose leg is learned: what it does for the leg, it does for nobody else."""

import socket

import pytest

from media.types import Endpoint
from tests.engine.kit import RELAY_A, RELAY_B, STRANGER, A, Rig, a_call, rtp

TALK = 12
"""Packets each way, more than any engine needs to settle on a leg."""


async def test_a_leg_that_closes_its_port_for_a_moment_is_sent_to_again(rig: Rig) -> None:
    call = await a_call(rig)
    for sequence in range(TALK):
        await call.a_says(rtp(sequence))
        await call.b_says(rtp(sequence))
    host, port = call.b.endpoint
    call.b.socket.close()
    for sequence in range(TALK, 2 * TALK):
        await call.a.send(rtp(sequence), call.at_a)
    await rig.until(lambda: rig.counters(A).packets == 2 * TALK)
    call.b = await rig.phone(host, port)
    for sequence in range(2 * TALK, 3 * TALK):
        assert await call.a_says(rtp(sequence)) == rtp(sequence)


@pytest.mark.parametrize("host", [RELAY_A, RELAY_B])
async def test_no_other_socket_can_have_the_port_of_a_learned_leg(rig: Rig, host: str) -> None:
    call = await a_call(rig)
    for sequence in range(TALK):
        await call.a_says(rtp(sequence))
        await call.b_says(rtp(sequence))
    port = (call.at_a if host == RELAY_A else call.at_b).port
    for option in (socket.SO_REUSEADDR, socket.SO_REUSEPORT):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as thief:
            thief.setsockopt(socket.SOL_SOCKET, option, 1)
            with pytest.raises(OSError, match="in use"):
                thief.bind((host, port))


async def test_a_stranger_is_heard_and_refused_beside_a_learned_leg(rig: Rig) -> None:
    call = await a_call(rig)
    stranger = await rig.phone(STRANGER)
    for sequence in range(TALK):
        await stranger.send(rtp(sequence, b"noise", ssrc=9), call.at_a)
        assert await call.a_says(rtp(sequence)) == rtp(sequence)
        await call.b_says(rtp(sequence))
    await rig.until(lambda: sum(rig.drops(A).values()) == TALK)
    assert rig.latch(A).source == call.a.endpoint
    assert call.b.has_heard_nothing()


async def test_what_is_sent_to_a_learned_leg_leaves_from_the_signalled_port(rig: Rig) -> None:
    call = await a_call(rig)
    seen: set[Endpoint] = set()
    for sequence in range(TALK):
        await call.a.send(rtp(sequence), call.at_a)
        seen.add((await call.b.hears())[1])
        await call.b_says(rtp(sequence))
    assert seen == {call.at_b}
