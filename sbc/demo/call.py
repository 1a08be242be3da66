"""A leg with sound: what a phone holds, and what the PBX's own numbers answer with."""

import trio

from sbc.demo.audio import AudioStream
from sbc.demo.leg import Accepted, Invitation, Leg
from sbc.demo.offers import AudioFace
from sbc.sdp.errors import SdpError


class AudioCall:
    """A leg, its audio stream, and the face that this end shows in SDP."""

    def __init__(self, leg: Leg, stream: AudioStream, face: AudioFace) -> None:
        self.leg, self.stream, self.face = leg, stream, face
        leg.on_invite = self._answer_again

    async def run(self) -> None:
        """Carry the sound until either end hangs up."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.stream.run)
            await self.leg.ended.wait()
            nursery.cancel_scope.cancel()

    async def _answer_again(self, invitation: Invitation) -> None:
        await answer(invitation, self.stream, self.face)


async def answer(invitation: Invitation, stream: AudioStream, face: AudioFace) -> None:
    """Accept an INVITE with sound, whichever of the two ends makes the offer.

    Raises:
        SdpError: 488; no common audio.
        SipError: the call was cancelled or never acknowledged.
    """
    offer = invitation.request.body
    if offer:
        agreement = face.answer(offer)
        stream.agree(agreement.terms)
        await invitation.accept(agreement.body)
    else:
        stream.agree(face.accept(await invitation.accept(face.offer())))


async def settle(accepted: Accepted, stream: AudioStream, face: AudioFace) -> AudioCall:
    """Acknowledge the 2xx to our offer and let the sound begin.

    Raises:
        SdpError: the answer cannot be used; the call was hung up.
    """
    accepted.acknowledge()
    call = AudioCall(accepted.leg, stream, face)
    try:
        stream.agree(face.accept(accepted.response.body))
    except SdpError:
        await accepted.leg.hang_up()
        raise
    return call
