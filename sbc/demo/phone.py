"""A phone, if wanted one that sits behind a NAT and does not know it.

It writes a private address into Via, Contact and SDP while its packets come from another one;
only what comes back to that other one reaches it, as through a port-restricted NAT.

Run it with ``python -m sbc.demo.phone --help``.
"""

import argparse
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from random import Random

import trio

from sbc.demo.account import Account
from sbc.demo.addresses import parse_address
from sbc.demo.agent import UserAgent
from sbc.demo.audio import AudioStream, Recording, open_audio
from sbc.demo.call import AudioCall, answer, settle
from sbc.demo.g711 import SAMPLE_RATE_HZ
from sbc.demo.leg import Invitation
from sbc.demo.offers import AudioFace
from sbc.demo.sound import Heard, compare, melody, play_melody
from sbc.sdp.errors import SdpError
from sbc.sip.errors import SipError
from sbc.sip.flow import Address, Flow
from sbc.sip.message import Response

PRODUCT = "demo-phone"
REGISTER_S = 300
_RETRY_S = 15
_GOODBYE_S = 5.0
_TAIL_S = 1.0
"""How long to go on listening after the last note left."""
_BREATH_SAMPLES = SAMPLE_RATE_HZ // 5


class RegistrationFailed(SipError):
    """The registrar refused us, or nobody answered."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a phone can say of a call that should have returned its melody."""

    heard: Heard
    latency_ms: float
    """From mouth to ear, all the way round."""
    sent_packets: int
    packets: int
    lost: int
    jitter_ms: float
    reports: int
    """RTCP reports that came."""

    @property
    def good(self) -> bool:
        """Whether the melody came back: at least nine notes of ten."""
        return self.heard.notes > 0 and self.heard.share >= 0.9


class Phone:
    """Registers, calls, is called."""

    def __init__(
        self,
        account: Account,
        server: Address,
        bind: Address,
        *,
        claims: str | None = None,
        transport: str = "udp",
        secure: bool = False,
        entropy: Random | None = None,
    ) -> None:
        """Prepare; `run` binds.

        Args:
            account: who we are; its domain goes into every URI.
            server: where every request goes.
            bind: where to send from; port 0 takes a free one.
            claims: the private host that we take for our own behind a NAT.
            transport: ``"udp"`` or ``"tcp"``.
            secure: whether to offer SRTP.
        """
        self.account, self.server, self.transport = account, server, transport
        self.entropy = entropy or Random()
        self.agent = UserAgent(
            bind,
            user=account.user,
            product=PRODUCT,
            claims=(claims, 5060) if claims else None,
            entropy=self.entropy,
        )
        self.agent.on_invite = self._answer
        self.answers = True
        """Whether a call is answered, or refused as busy."""
        self.calls: trio.MemoryReceiveChannel[AudioCall]
        """The calls that were answered."""
        self._answered, self.calls = trio.open_memory_channel[AudioCall](16)
        self._claims, self._secure = claims, secure
        self._flow: Flow | None = None
        self._call_id = self.agent.node.token()
        self._cseq = 0

    async def run(
        self, *, task_status: trio.TaskStatus[Address] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Serve until cancelled; reports the bound address.

        Raises:
            OSError: the address cannot be bound, or TCP not connected.
        """
        async with trio.open_nursery() as nursery:
            address = await nursery.start(self.agent.run)
            self._flow = (
                await self.agent.node.connect(self.server)
                if self.transport == "tcp"
                else self.agent.node.udp_flow(self.server)
            )
            task_status.started(address)

    async def register(self, expires_s: int = REGISTER_S) -> int:
        """Register, once; 0 seconds unregisters. Returns the seconds granted.

        Raises:
            RegistrationFailed: refused, or no answer.
        """
        node, flow = self.agent.node, self._require_flow()
        self._cseq += 1
        request = node.request(
            "REGISTER",
            f"sip:{self.account.domain}",
            sender=f"{self.account.address_of_record};tag={node.token()}",
            to=self.account.address_of_record,
            call_id=self._call_id,
            cseq=self._cseq,
            transport=flow.transport,
        )
        request.headers.append("Contact", node.contact(self.account.user, flow.transport))
        request.headers.append("Expires", str(expires_s))
        while True:
            response = await node.send(request, flow).final()
            again = self.account.prove(
                request, response, node.via(flow.transport, node.branch()), node.token()
            )
            if again is None:
                break
            request = again
        self._cseq = request.cseq.number
        if response.status >= 300:
            raise RegistrationFailed(response.status, response.reason)
        return self._granted_s(response)

    async def stay_registered(
        self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Register, and again before each registration runs out; never returns.

        Raises:
            RegistrationFailed: the first one was refused, or not answered; later ones are
                tried again.
        """
        granted_s = await self.register()
        task_status.started()
        while True:
            await trio.sleep(max(1, granted_s * 0.8))
            try:
                granted_s = await self.register()
            except RegistrationFailed:
                granted_s = _RETRY_S

    @asynccontextmanager
    async def call(
        self, number: str, ringing: Callable[[Response], None] = lambda _response: None
    ) -> AsyncIterator[AudioCall]:
        """Call a number; the call is hung up when the block ends.

        Raises:
            CallFailed: it was refused, or nobody answered.
            SdpError: the answer cannot be used.
        """
        stream, face = await self._open_face()
        try:
            accepted = await self.agent.invite(
                f"sip:{number}@{self.account.domain}",
                self._require_flow(),
                sender=self.account.address_of_record,
                body=face.offer(),
                account=self.account,
                ringing=ringing,
            )
            call = await settle(accepted, stream, face)
        except BaseException:
            stream.close()
            raise
        self.agent.start_soon(call.run)
        try:
            yield call
        finally:
            with trio.move_on_after(_GOODBYE_S, shield=True):
                await call.leg.hang_up()

    async def _answer(self, invitation: Invitation) -> None:
        if not self.answers:
            invitation.refuse(486)
            return
        invitation.ring()
        stream, face = await self._open_face()
        call = AudioCall(invitation.leg, stream, face)
        invitation.leg.account = self.account
        self.agent.start_soon(call.run)
        await answer(invitation, stream, face)
        with suppress(trio.WouldBlock):  # nobody collects them; the call itself goes on
            self._answered.send_nowait(call)

    async def _open_face(self) -> tuple[AudioStream, AudioFace]:
        host = self.agent.node.address[0]
        stream = await open_audio(host, self.entropy)
        # A NAT maps ports too: the one that a phone behind it names is not the one seen.
        port = 16384 + 2 * self.entropy.randrange(8192) if self._claims else stream.local_port
        return stream, AudioFace(self._claims or host, port, self.entropy, secure=self._secure)

    def _require_flow(self) -> Flow:
        if self._flow is None:
            raise RuntimeError("the phone does not run")
        return self._flow

    def _granted_s(self, response: Response) -> int:
        ours = self.agent.node.contact(self.account.user, self.transport)
        for contact in response.contacts:
            if f"<{contact.uri}>" == ours:
                granted = contact.param("expires")
                if granted is not None and granted.isdigit():
                    return int(granted)
        return response.expires or 0


async def converse(call: AudioCall, seconds: float) -> Verdict:
    """Play the melody into a call that echoes it, listen, and judge."""
    notes = play_melody(melody(max(8, int(seconds * SAMPLE_RATE_HZ / 640))))
    recording = call.stream.record()
    with trio.move_on_after(2 * seconds + 5):
        # As people do: a moment of silence before the first word, by which both ends are found.
        call.stream.play([0] * _BREATH_SAMPLES)
        await call.stream.played()
        recording = call.stream.record()
        call.stream.play(notes)
        await call.stream.played()
    await trio.sleep(_TAIL_S)
    return judge(call.stream, notes, recording)


def judge(stream: AudioStream, notes: list[int], recording: Recording) -> Verdict:
    """Compare what was played with what was recorded."""
    heard = compare(notes, recording.samples)
    began = recording.started_at - (stream.played_at or recording.started_at)
    return Verdict(
        heard=heard,
        latency_ms=1000 * (began + heard.delay_samples / SAMPLE_RATE_HZ),
        sent_packets=stream.sent_packets,
        packets=stream.heard.packets,
        lost=stream.heard.lost,
        jitter_ms=stream.heard.jitter_ms,
        reports=stream.reports_heard,
    )


async def _main(arguments: argparse.Namespace) -> int:
    host, port = arguments.server
    server = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    phone = Phone(
        Account(arguments.user, arguments.domain or server, arguments.password),
        (host, port),
        (arguments.bind, 0),
        claims=arguments.claim,
        transport=arguments.transport,
        secure=arguments.srtp,
    )
    async with trio.open_nursery() as nursery:
        address = await nursery.start(phone.run)
        print(f"phone {arguments.user} at {address[0]}:{address[1]}", flush=True)
        try:
            await nursery.start(phone.stay_registered)
            print("registered", flush=True)
            if arguments.call is None:
                async for call in phone.calls:
                    print(f"answered a call from {call.leg.dialog.remote_uri}", flush=True)
                    call.stream.play(play_melody(melody()), loop=True)
            async with phone.call(arguments.call) as call:
                verdict = await converse(call, arguments.seconds)
        except (SipError, SdpError) as error:
            print(error, file=sys.stderr)
            return 1
        finally:
            nursery.cancel_scope.cancel()
    print(verdict)
    return 0 if verdict.good else 1


def main() -> int:
    """Register one phone; call a number, or answer calls with a melody."""
    parser = argparse.ArgumentParser(prog="python -m sbc.demo.phone", description=main.__doc__)
    parser.add_argument(
        "--server", required=True, type=parse_address, metavar="HOST:PORT", help="SBC or PBX"
    )
    parser.add_argument("--user", default="1001")
    parser.add_argument("--password", required=True)
    parser.add_argument("--domain", help="domain of the address of record (the server)")
    parser.add_argument("--bind", default="127.0.0.1", help="address to send from")
    parser.add_argument("--claim", metavar="HOST", help="private address to write into messages")
    parser.add_argument("--transport", choices=("udp", "tcp"), default="udp")
    parser.add_argument("--srtp", action="store_true", help="offer SRTP")
    parser.add_argument("--call", metavar="NUMBER", help="call it instead of waiting for calls")
    parser.add_argument("--seconds", type=float, default=4.0, help="how long to play")
    try:
        return trio.run(_main, parser.parse_args())
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
