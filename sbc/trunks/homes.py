"""The flows that registered, by where their other ends are: which trunk a request comes from."""

from sbc.sip.flow import Flow
from sbc.sip.message import Request
from sbc.trunks.registration import Registration


class Homes:
    """The registrations that have a flow for calls."""

    __slots__ = ("_by_source",)

    def __init__(self) -> None:
        self._by_source: dict[tuple[str, str], dict[str, Registration]] = {}

    def add(self, registration: Registration, flow: Flow) -> None:
        """Let a flow be the home of a registration that has none."""
        registration.home = flow
        self._by_source.setdefault(_source(flow), {})[registration.peer] = registration

    def remove(self, registration: Registration) -> None:
        """Let a registration have no home any more; one that has none is no error."""
        home, registration.home = registration.home, None
        if home is None:
            return
        here = self._by_source[_source(home)]
        del here[registration.peer]
        if not here:
            del self._by_source[_source(home)]

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


def is_same(home: Flow | None, flow: Flow) -> bool:
    """Whether a flow is the one that registered; a stream's number says which one it became."""
    return home is not None and (
        (home.network, home.transport, home.remote) == (flow.network, flow.transport, flow.remote)
    )


def _source(flow: Flow) -> tuple[str, str]:
    """Where the requests of a flow's other end come from, whatever port or connection they take."""
    return flow.network, flow.remote[0]
