"""What comes faster than it is read is lost, and counted where the kernel lost it."""

import socket
from pathlib import Path

from media.types import DropReason
from tests.engine.kit import PHONE_A, RELAY_A, A, B, Rig, a_call

JUNK = b"\xff" * 1000
TOO_MANY = int(Path("/proc/sys/net/core/rmem_default").read_text()) // len(JUNK) + 1000
"""More datagrams than the queue of a socket holds."""


def flood(port: tuple[str, int]) -> None:
    """Sends all of them at once: the test, and an engine in its thread, do nothing else."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.bind((PHONE_A, 0))
        for _ in range(TOO_MANY):
            sender.sendto(JUNK, port)


async def all_are_counted(rig: Rig, sent: int) -> None:
    await rig.until(lambda: sum(rig.drops(A).values()) >= sent)
    assert sum(rig.drops(A).values()) == sent
    assert set(rig.drops(A)) <= {DropReason.NOT_RTP, DropReason.QUEUE_FULL}
    assert rig.drops(B) == {}


async def test_every_datagram_of_a_flood_is_read_or_counted_as_lost(rig: Rig) -> None:
    call = await a_call(rig)
    assert rig.stream is not None
    flood(call.at_a)
    flood(rig.stream.a.local_rtcp)
    await all_are_counted(rig, 2 * TOO_MANY)
    if rig.engine.name == "python":
        # It had no turn, so all that its queues could not hold is lost. The native engine may
        # have read in the meantime.
        assert rig.drops(A)[DropReason.QUEUE_FULL] > 0


async def test_what_was_lost_at_a_port_that_was_given_up_stays_counted(rig: Rig) -> None:
    call = await a_call(rig)
    flood(call.at_a)
    await all_are_counted(rig, TOO_MANY)
    before = rig.drops(A)
    rig.update(a=rig.side(RELAY_A, call.a.endpoint))
    assert rig.drops(A) == before
    assert rig.stream is not None
    flood(rig.stream.a.local)
    rig.update(a=rig.side(RELAY_A, call.a.endpoint))
    after = rig.drops(A)
    assert sum(after.values()) <= 2 * TOO_MANY
    if rig.engine.name == "python":
        assert after[DropReason.QUEUE_FULL] > before[DropReason.QUEUE_FULL]
