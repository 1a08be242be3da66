"""Joins two legs of the PBX; the sound goes past it, from end to end."""

from collections.abc import Awaitable, Callable, Sequence

import trio

from sbc.demo.leg import Accepted, CallFailed, Invitation, Leg
from sbc.sip.message import Response
from sbc.sip.transaction.events import RequestArrived


async def bridge(one: Leg, other: Leg) -> None:
    """Pass re-INVITEs, INFO and the end of the call between two legs until one ends."""
    for here, there in ((one, other), (other, one)):
        here.on_invite = _passing_invites_to(there)
        here.on_other = _passing_requests_to(there)
    async with trio.open_nursery() as nursery:

        async def hang_up_after(ends: Leg, follows: Leg) -> None:
            await ends.ended.wait()
            await follows.hang_up(ends.end_reason)
            nursery.cancel_scope.cancel()

        nursery.start_soon(hang_up_after, one, other)
        nursery.start_soon(hang_up_after, other, one)


def _passing_invites_to(there: Leg) -> Callable[[Invitation], Awaitable[None]]:
    async def pass_on(invitation: Invitation) -> None:
        offer = invitation.request.body
        accepted = await there.invite(offer)
        if offer:
            accepted.acknowledge()
        answer = await invitation.accept(accepted.response.body)
        if not offer:
            accepted.acknowledge(answer)

    return pass_on


def _passing_requests_to(there: Leg) -> Callable[[RequestArrived], Awaitable[Response]]:
    async def pass_on(arrived: RequestArrived) -> Response:
        request = arrived.request
        content_type = request.headers.first("content-type")
        return await there.request(
            request.method,
            request.body,
            (("Content-Type", content_type),) if content_type else (),
        )

    return pass_on


async def ring_all(attempts: Sequence[Callable[[], Awaitable[Accepted]]]) -> Accepted:
    """Make several calls at once; the first that is answered ends the others.

    Raises:
        CallFailed: all failed; a 6xx if there was one, else the failure of the lowest class
            (RFC 3261 §16.7).
    """
    answered: list[Accepted] = []
    failures: list[CallFailed] = []
    async with trio.open_nursery() as nursery:

        async def ring(attempt: Callable[[], Awaitable[Accepted]]) -> None:
            try:
                answered.append(await attempt())
            except CallFailed as failure:
                failures.append(failure)
            else:
                nursery.cancel_scope.cancel()

        for attempt in attempts:
            nursery.start_soon(ring, attempt)
    if not answered:
        raise min(failures, key=lambda failure: (failure.status < 600, failure.status // 100))
    for too_late in answered[1:]:
        too_late.acknowledge()
        await too_late.leg.hang_up()
    return answered[0]
