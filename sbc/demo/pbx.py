"""A small PBX to test against: a registrar, an echo, a tone, and calls between its users.

It sits on an inside network and knows nothing of NAT: it calls its users where their REGISTER
came from. ``600`` returns what it hears, ``601`` plays a tone, other numbers are users.

Run it with ``python -m sbc.demo.pbx --help``.
"""

import argparse
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from random import Random

import trio

from sbc.demo.addresses import parse_address
from sbc.demo.agent import UserAgent
from sbc.demo.audio import open_audio
from sbc.demo.bindings import SHORTEST_S, Binding, Bindings
from sbc.demo.bridge import bridge, ring_all
from sbc.demo.call import AudioCall, answer
from sbc.demo.g711 import SAMPLE_RATE_HZ
from sbc.demo.guard import Guard
from sbc.demo.leg import Accepted, CallFailed, Invitation
from sbc.demo.offers import AudioFace
from sbc.demo.sound import tone
from sbc.sip.errors import SipError
from sbc.sip.flow import Address
from sbc.sip.message import Response, make_response
from sbc.sip.transaction.events import RequestArrived

PRODUCT = "demo-pbx"
REALM = "demo"
ECHO, TONE = "600", "601"
TONE_HZ = 425
_RINGS_S = 60.0


class Pbx:
    """A registrar and the numbers behind it."""

    def __init__(
        self,
        bind: Address,
        passwords: dict[str, str],
        *,
        sha256: bool = False,
        log: Callable[[str], None] = lambda _line: None,
        entropy: Random | None = None,
    ) -> None:
        """Prepare; `run` binds.

        Args:
            bind: where to listen, UDP and TCP; port 0 takes a free one. No wildcard: the host
                goes into the SDP.
            passwords: by user.
            sha256: whether to ask for SHA-256 first, as `Guard` has it.
            log: told in one line of each registration and call.
        """
        self.entropy = entropy or Random()
        self.log = log
        self.bindings = Bindings()
        self.records = False
        """Whether the echo records what it hears and puts its calls into `echoes`."""
        self.echoes: trio.MemoryReceiveChannel[AudioCall]
        self._echoed, self.echoes = trio.open_memory_channel[AudioCall](16)
        self._guard = Guard(REALM, passwords, sha256=sha256)
        self.agent = UserAgent(bind, user="pbx", product=PRODUCT, claims=None, entropy=self.entropy)
        self.agent.on_other = self._receive
        self.agent.on_invite = self._answer

    async def run(
        self, *, task_status: trio.TaskStatus[Address] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Serve until cancelled; reports the bound address."""
        await self.agent.run(task_status=task_status)

    async def call(
        self,
        user: str,
        *,
        sender: str,
        body: bytes,
        ringing: Callable[[Response], None] = lambda _response: None,
    ) -> Accepted:
        """Call a user on all contacts; the 2xx is still to be acknowledged.

        Args:
            sender: the From value, without a tag.
            body: the offer; empty to have the user's phone make it.
            ringing: told of each provisional response.

        Raises:
            CallFailed: 480 when the user is nowhere, or what the phones said.
        """

        def calling(binding: Binding) -> Callable[[], Awaitable[Accepted]]:
            return lambda: self.agent.invite(
                str(binding.uri), binding.flow, sender=sender, body=body, ringing=ringing
            )

        bindings = self.bindings.of(user, trio.current_time())
        if not bindings:
            raise CallFailed(480, "not registered")
        return await ring_all([calling(binding) for binding in bindings])

    def _receive(self, arrived: RequestArrived) -> None:
        if arrived.request.method != "REGISTER":
            self.agent.node.reply(arrived, 405)
            return
        try:
            self.agent.node.respond(arrived.key, self._register(arrived))
        except SipError as error:
            response = make_response(arrived.request, error.status, error.reason, self._tag())
            if error.status == 423:
                response.headers.append("Min-Expires", str(SHORTEST_S))
            self.agent.node.respond(arrived.key, response)

    def _register(self, arrived: RequestArrived) -> Response:
        request, now = arrived.request, trio.current_time()
        user = self._guard.user_of(request, 401, now)
        if user is None:
            response = make_response(request, 401, to_tag=self._tag())
            for name, value in self._guard.challenge(request, 401, now):
                response.headers.append(name, value)
            return response
        if user != request.to.uri.user:
            raise SipError(403, "another user's address of record")
        self.bindings.register(user, request, arrived.flow, now)
        response = make_response(request, 200, to_tag=self._tag())
        contacts = self.bindings.of(user, now)
        for binding in contacts:
            left_s = round(binding.expires_at - now)
            response.headers.append("Contact", f"<{binding.uri}>;expires={left_s}")
        self.log(f"REGISTER {user}: " + (", ".join(str(b.uri) for b in contacts) or "gone"))
        return response

    async def _answer(self, invitation: Invitation) -> None:
        request, now = invitation.request, trio.current_time()
        caller = self._guard.user_of(request, 407, now)
        if caller is None:
            invitation.refuse(407, headers=self._guard.challenge(request, 407, now))
            return
        number = request.uri.user or ""
        self.log(f"INVITE {caller} -> {number}")
        if number in {ECHO, TONE}:
            await self._play(invitation, number)
        elif number in self._guard.passwords:
            await self._connect(invitation, number)
        else:
            invitation.refuse(404)

    async def _play(self, invitation: Invitation, number: str) -> None:
        host = self.agent.node.address[0]
        stream = await open_audio(host, self.entropy)
        face = AudioFace(host, stream.local_port, self.entropy)
        stream.echo = number == ECHO
        call = AudioCall(invitation.leg, stream, face)
        if number == TONE:
            stream.play(tone(TONE_HZ, SAMPLE_RATE_HZ), loop=True)
        elif self.records:
            stream.record()
        self.agent.start_soon(call.run)
        await answer(invitation, stream, face)
        if self.records and number == ECHO:
            with suppress(trio.WouldBlock):
                self._echoed.send_nowait(call)

    async def _connect(self, invitation: Invitation, user: str) -> None:
        """Ring a user's phones, join the one that answers, and stay until the call is over.

        Raises:
            CallFailed: nobody answered.
        """
        accepted = await self._ring(invitation, user)
        offered = bool(invitation.request.body)
        if offered:
            accepted.acknowledge()
        try:
            body = await invitation.accept(accepted.response.body)
        except SipError:
            if not offered:
                accepted.acknowledge()
            await accepted.leg.hang_up()
            raise
        if not offered:
            accepted.acknowledge(body)
        await bridge(invitation.leg, accepted.leg)

    async def _ring(self, invitation: Invitation, user: str) -> Accepted:
        outcome: Accepted | CallFailed = CallFailed(480, "nobody answered")
        async with trio.open_nursery() as nursery:

            async def stop_when_cancelled() -> None:
                await invitation.cancelled.wait()
                nursery.cancel_scope.cancel()

            nursery.start_soon(stop_when_cancelled)
            with trio.move_on_after(_RINGS_S):
                try:
                    outcome = await self.call(
                        user,
                        sender=invitation.leg.dialog.remote_uri,
                        body=invitation.request.body,
                        ringing=lambda ringing: _ring_back(invitation, ringing),
                    )
                except CallFailed as failure:
                    outcome = failure
            nursery.cancel_scope.cancel()
        if isinstance(outcome, CallFailed):
            raise outcome
        return outcome

    def _tag(self) -> str:
        return self.agent.node.token()


def _ring_back(invitation: Invitation, ringing: Response) -> None:
    if ringing.status > 100:
        invitation.ring(ringing.status, ringing.body)


def _credentials(text: str) -> tuple[str, str]:
    user, colon, password = text.partition(":")
    if not user or not colon:
        raise argparse.ArgumentTypeError(f"{text!r} is not USER:PASSWORD")
    return user, password


async def _main(arguments: argparse.Namespace) -> None:
    pbx = Pbx(
        arguments.listen,
        dict(arguments.user),
        sha256=arguments.sha256,
        log=lambda line: print(line, flush=True),
    )
    async with trio.open_nursery() as nursery:
        host, port = await nursery.start(pbx.run)
        print(f"PBX at {host} port {port}, UDP and TCP; {ECHO} echoes, {TONE} plays", flush=True)


def main() -> int:
    """Run a test PBX: 600 echoes, 601 plays a tone, users call each other."""
    parser = argparse.ArgumentParser(prog="python -m sbc.demo.pbx", description=main.__doc__)
    parser.add_argument(
        "--listen", type=parse_address, default=("127.0.0.1", 5060), metavar="ADDRESS:PORT"
    )
    parser.add_argument(
        "--user",
        type=_credentials,
        action="append",
        required=True,
        metavar="USER:PASSWORD",
        help="somebody who may register; may be given several times",
    )
    parser.add_argument("--sha256", action="store_true", help="ask for SHA-256 before MD5")
    try:
        trio.run(_main, parser.parse_args())
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
