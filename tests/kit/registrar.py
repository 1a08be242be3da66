"""A registrar of ours on its own, with a far registrar and phones that are messages."""

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import count
from typing import TypeVar

from sbc.registrar.binding import Binding
from sbc.registrar.commands import BindingChanged, Command
from sbc.registrar.registrar import Registrar
from sbc.registrar.relaying import Upstream
from sbc.routing.model import Keepalive, Listener, Network, NetworkAddress, Peer, Settings
from sbc.routing.registration import RELAYED, Registration
from sbc.sip.flow import Flow
from sbc.sip.message import Request, Response, make_response, serialize
from sbc.sip.parser import parse_message_untrusted
from sbc.sip.user import Ping, Respond, SendRequest
from tests.kit.switchboard import INSIDE, OUTSIDE, PBX, PBX_FLOW, PHONE_FLOW, a_register

C = TypeVar("C", bound=Command)

_EXPIRES = re.compile(";expires=([0-9]+)")

UPSTREAM = Upstream("pbx", PBX_FLOW, PBX, None)
TCP_PHONE = Flow("outside", "tcp", ("0.0.0.0", 5060), ("198.51.100.7", 41000), 3)


def a_network(name: str, advertise: str, port: int, **rest: object) -> Network:
    listeners = (
        Listener("udp", 4, "0.0.0.0", port, advertise),
        Listener("tcp", 4, "0.0.0.0", port, advertise),
    )
    media = (NetworkAddress(4, "0.0.0.0", advertise),)
    network = Network(name, listeners, media, (30000, 39999))
    return replace(network, **rest)  # type: ignore[arg-type]  # what the test says


def settings(keepalive: Keepalive | None = None, registration: Registration = RELAYED) -> Settings:
    networks = (
        a_network("outside", OUTSIDE, 5060, keepalive=keepalive or Keepalive()),
        a_network("inside", INSIDE, 5062, trusted=True),
    )
    phones = Peer("phones", "endpoints", "outside", registration=registration)
    return Settings(networks, (phones,), ())


class Desk:
    """One registrar of ours, and what it says of the phones and to the far registrar."""

    def __init__(
        self,
        configured: Settings | None = None,
        secret: bytes = b"s" * 32,
        upstreams: Sequence[Upstream] = (UPSTREAM,),
    ) -> None:
        self.upstreams = upstreams
        self.registrar = Registrar(configured or settings(), secret, 7)
        self.now = 100.0
        self._refs = count(1)
        self._keys = count(1)

    def branch(self) -> str:
        return f"z9hG4bKours.-.{next(self._refs)}"

    def register(self, data: bytes | None = None, flow: Flow = PHONE_FLOW) -> list[Command]:
        """A REGISTER arrives; what we want done."""
        request = parse_message_untrusted(data or a_register())
        assert isinstance(request, Request)
        return self.registrar.register(
            f"key-{next(self._keys)}",
            request,
            flow,
            self.upstreams,
            endpoints="phones",
            ref=self.branch(),
            now=self.now,
        )

    def relayed(self, data: bytes | None = None, flow: Flow = PHONE_FLOW) -> SendRequest:
        """The same; the REGISTER that goes on to the far registrar."""
        return only(SendRequest, self.register(data, flow))

    def reply(
        self,
        sent: SendRequest,
        status: int = 200,
        *headers: tuple[str, str],
        reason: str | None = None,
    ) -> list[Command]:
        """The far registrar answers."""
        response = make_response(sent.request, status, reason, "far")
        for name, value in headers:
            response.headers.append(name, value)
        read = parse_message_untrusted(serialize(response))
        assert isinstance(read, Response)
        return self.registrar.reply(sent.ref, read, self.now)

    def accept(
        self, data: bytes | None = None, flow: Flow = PHONE_FLOW, expires: int = 600
    ) -> list[Command]:
        """A REGISTER arrives, and the far registrar lists what it now has."""
        sent = self.relayed(data, flow)
        contacts = sent.request.headers.all("contact")
        listed = [("Contact", f"{c.partition(';')[0]};expires={expires}") for c in contacts]
        return self.reply(sent, 200, *listed)

    def wait(self, seconds: float) -> list[Command]:
        """Let time pass deadline by deadline."""
        end = self.now + seconds
        out: list[Command] = []
        while True:
            due = self.registrar.next_timeout()
            if due is None or due > end:
                break
            self.now = max(self.now, due)
            out += self.registrar.handle_timeout(self.now, iter(self.branch, ""))
        self.now = end
        return out

    @property
    def binding(self) -> Binding:
        """The one binding there is."""
        (binding,) = self.registrar.bindings
        return binding


def only(kind: type[C], commands: list[Command]) -> C:
    """The one command of a kind among some."""
    (found,) = [command for command in commands if isinstance(command, kind)]
    return found


def changes(commands: list[Command]) -> list[str]:
    """What happened to bindings."""
    return [command.what for command in commands if isinstance(command, BindingChanged)]


def answer(commands: list[Command]) -> Response:
    """What the phone gets."""
    return only(Respond, commands).response


def assert_told(response: Response, *granted: str) -> None:
    """That a phone is told just these contacts, each for no longer than was granted.

    Phones that ask for the same life are given lives that differ by up to a tenth.
    """
    told = response.headers.all("contact")
    assert [_EXPIRES.sub("", one) for one in told] == [_EXPIRES.sub("", one) for one in granted]
    for life, most in zip(map(life_of, told), map(life_of, granted), strict=True):
        assert 0.9 * most <= life <= most


def life_of(contact: str) -> int:
    """The expires of a Contact value."""
    found = _EXPIRES.search(contact)
    assert found is not None, contact
    return int(found[1])


def pings(commands: list[Command]) -> list[SendRequest | Ping]:
    return [command for command in commands if isinstance(command, SendRequest | Ping)]
