"""The table of our registrations with trunks: by peer, and by the machine that a flow leads to."""

from collections.abc import Iterator

from sbc.sip.flow import Flow
from sbc.sip.message import Request
from sbc.trunks.registration import Registration


class Registrations:
    """Every registration, registered or not."""

    __slots__ = ("_by_peer", "_by_source")

    def __init__(self) -> None:
        self._by_peer: dict[str, Registration] = {}
        self._by_source: dict[tuple[str, str], dict[str, Registration]] = {}
        """Those with a flow for calls, by its network and remote address, and by peer."""

    def __len__(self) -> int:
        return len(self._by_peer)

    def __iter__(self) -> Iterator[Registration]:
        return iter(list(self._by_peer.values()))

    def of_peer(self, peer: str) -> Registration | None:
        """The registration with a peer; None when there is none to be."""
        return self._by_peer.get(peer)

    def trouble_with(self, peer: str) -> str:
        """Why no call can go to a trunk that is not registered, for people."""
        said = f"trunk {peer!r} is not registered"
        registration = self._by_peer.get(peer)
        if registration is None:
            return said
        cause = f", after {registration.cause}" if registration.cause else ""
        return f"{said}: {registration.state.value}{cause}"

    def peer_of(self, request: Request, flow: Flow) -> str | None:
        """The trunk that a request comes from, by a machine that we are registered with.

        Of several trunks there it is the one whose contact the request names, or else the only
        one that registered by this flow.

        Raises:
            ParseError: the Request-URI is malformed (400).
        """
        here = self._by_source.get(_source(flow))
        if here is None:
            return None
        user = request.uri.user
        for registration in here.values():
            if registration.line.registering.contact == user:
                return registration.peer
        by_flow = [peer for peer, one in here.items() if is_same(one.home, flow)]
        return by_flow[0] if len(by_flow) == 1 else None

    def add(self, registration: Registration) -> None:
        """Take one in, in place of any other with its peer, which has no home any more."""
        self._by_peer[registration.peer] = registration

    def remove(self, registration: Registration) -> None:
        """Forget one."""
        self.lose_home(registration)
        self._by_peer.pop(registration.peer, None)

    def settle(self, registration: Registration, flow: Flow) -> None:
        """Let a flow carry the calls of a registration from here on."""
        self.lose_home(registration)
        registration.home = flow
        self._by_source.setdefault(_source(flow), {})[registration.peer] = registration

    def lose_home(self, registration: Registration) -> None:
        """Let calls of a registration have no way any more; that they had none is no error."""
        home, registration.home = registration.home, None
        if home is None:
            return
        here = self._by_source[_source(home)]
        del here[registration.peer]
        if not here:
            del self._by_source[_source(home)]


def is_same(home: Flow | None, flow: Flow) -> bool:
    """Whether a flow is the one that registered; a stream's number says which one it became."""
    return home is not None and (
        (home.network, home.transport, home.remote) == (flow.network, flow.transport, flow.remote)
    )


def _source(flow: Flow) -> tuple[str, str]:
    """Where the requests of a flow's other end come from, whatever port or connection they take."""
    return flow.network, flow.remote[0]
