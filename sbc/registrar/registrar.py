"""The registrar: the bindings of one process, whoever decides on them.

Calls to a binding leave by the flow that the phone registered on.

Spec: RFC 3261 §10, RFC 5853 §3.4, RFC 5626, RFC 7362.
"""

from collections.abc import Iterable, Mapping, Sequence

from sbc.policy.manipulation import Manipulation
from sbc.prefixes import IpNetwork
from sbc.registrar.binding import Binding
from sbc.registrar.claims import claims_of
from sbc.registrar.commands import Command
from sbc.registrar.lives import Lives
from sbc.registrar.local import LocalRegistrar
from sbc.registrar.pending import Pending
from sbc.registrar.relay import MOST_TRIES, RegisterRelay
from sbc.registrar.relaying import Pseudonyms, Upstream, face_of
from sbc.routing.facing import listener_of
from sbc.routing.model import Settings
from sbc.routing.registration import RELAYED
from sbc.routing.spread import Spread
from sbc.sip.flow import Flow
from sbc.sip.message import Request, Response


class Registrar:
    """The bindings of one process and the REGISTERs under way."""

    def __init__(self, settings: Settings, secret: bytes, jitter_seed: int) -> None:
        """Start without bindings.

        Args:
            settings: Networks, peers and the Server header in force.
            secret: Keys the tokens, so that nobody can guess or make one; 16 to 32 bytes.
            jitter_seed: Spreads keep-alives and lives, so that phones do not come in one burst.
        """
        self._names = Pseudonyms(secret)
        spread = Spread(jitter_seed)
        self._lives = Lives(settings, self._names, spread)
        self._bindings = self._lives.bindings
        self._relay = RegisterRelay(settings, self._lives, self._names, spread)
        self._local = LocalRegistrar(settings.server_header, self._lives, self._names, spread)
        self._judge_by(settings)

    def _judge_by(self, settings: Settings) -> None:
        self._settings = settings
        self._registrations = {peer.name: peer.registration for peer in settings.peers}

    def configure(self, settings: Settings, now: float) -> list[Command]:
        """Use new settings from now on; a binding on a network that is no more ends."""
        self._judge_by(settings)
        self._relay.configure(settings)
        self._local.server_header = settings.server_header
        return self._lives.configure(settings, now)

    # -- what others ask --------------------------------------------------------------------

    @property
    def bindings(self) -> list[Binding]:
        """Every binding, oldest first."""
        return list(self._bindings)

    @property
    def pending(self) -> int:
        """How many REGISTERs wait for a registrar behind us, for leak checks."""
        return self._relay.pending

    @property
    def absorbed(self) -> int:
        """How many REGISTERs were answered without asking the registrar, since start."""
        return self._relay.absorbed

    def by_token(self, token: str) -> Binding | None:
        """The contact that a Request-URI of the registrar names, over its best flow."""
        flows = self.flows_of(token)
        return flows[0] if flows else None

    def flows_of(self, token: str) -> list[Binding]:
        """The flows of the contact that a Request-URI of the registrar names, best first.

        The reachable ones come first, and of them the newest: they are tried one after the other
        (RFC 5626 §7).
        """
        flows = self._bindings.of_token(token)[::-1]
        return sorted(flows, key=lambda one: not one.reachable)

    def speaker(self, flow: Flow, request: Request) -> Binding | None:
        """The binding that a request on a flow comes from; of several lines that of its From.

        Raises:
            ParseError: From is malformed (400).
        """
        return self._bindings.speaker(flow, request)

    def by_user(self, user: str, network: str) -> list[Binding]:
        """The reachable bindings of an unescaped user part on a network, the most wanted first.

        Of those that are wanted alike the newest comes first (RFC 3261 §20.10, q).
        """
        found = self._bindings.of_user(user)
        there = [b for b in reversed(found) if b.flow.network == network and b.reachable]
        return sorted(there, key=lambda one: -one.q)

    def has_flow(self, flow: Flow) -> bool:
        """Whether anything is registered on exactly this flow."""
        return bool(self._bindings.on_flow(flow))

    def has_source(self, flow: Flow) -> bool:
        """Whether anything is registered from the source of a flow."""
        return self._bindings.has_source(flow)

    def registered_within(self, source: IpNetwork, networks: Iterable[str]) -> int:
        """How many sources in a prefix have a live registration on some networks."""
        return self._bindings.sources_within(source, networks)

    def export(self, now: float) -> list[dict[str, object]]:
        """Every binding as plain data."""
        return [binding.to_data(now) for binding in self._bindings]

    def use_secret(self, secret: bytes) -> None:
        """Make tokens with the key of the process before this one, so that they stay the same."""
        self._names.use(secret)

    def restore(
        self, exported: Iterable[Mapping[str, object]], now: float, origin: float | None = None
    ) -> list[Command]:
        """Take over exported bindings, for example those of the process before this one.

        Those that expired meanwhile, and those on sockets that are no more, are left out. A
        connection does not outlive its process, so phones on one are unreachable until they
        register again.

        Args:
            origin: What the spans in the data count from, on this clock; `now` when None.

        Raises:
            ValueError: the data is no such export; what came before the fault is taken over.
        """
        return self._lives.restore(exported, now, now if origin is None else origin)

    # -- REGISTER ---------------------------------------------------------------------------

    def decides(self, endpoints: str) -> bool:
        """Whether we are the registrar of a peer's phones, so that nobody behind us is asked."""
        return self._registrations.get(endpoints, RELAYED).mode == "local"

    def register(
        self,
        key: str,
        request: Request,
        flow: Flow,
        upstreams: Sequence[Upstream],
        *,
        endpoints: str,
        ref: str,
        now: float,
        manipulation: Manipulation | None = None,
    ) -> list[Command]:
        """Serve a REGISTER that policy let in, of somebody authenticated where we decide.

        Args:
            key: Its server transaction.
            upstreams: The registrars to ask, in order; none where we decide.
            endpoints: Configured peer that phones on this network belong to, or ``""``.
            ref: Branch for our request.
            manipulation: What is changed of headers on the way to a registrar.

        Raises:
            ParseError: a header that must be understood is malformed (400).
        """
        network = self._settings.network(flow.network)
        asked = Pending(
            key=key,
            request=request,
            flow=flow,
            upstreams=upstreams[:MOST_TRIES],
            endpoints=endpoints,
            registration=self._registrations.get(endpoints, RELAYED),
            claims=claims_of(request, self._bindings, self._names),
            phone=face_of(network, listener_of(network, flow), flow),
            ref=ref,
            manipulation=manipulation,
        )
        if self.decides(endpoints):
            return self._local.register(asked, now)
        return self._relay.register(asked, now)

    def reply(self, ref: str, response: Response, now: float) -> list[Command]:
        """The registrar, or a phone that was pinged, answered."""
        ponged = self._lives.answered(ref)
        return self._relay.reply(ref, response, now) if ponged is None else ponged

    def failed(self, ref: str, why: str, now: float) -> list[Command]:
        """A relayed REGISTER (``"timeout"`` or ``"transport"``), or a ping, got no answer."""
        missed = self._lives.failed(ref)
        return self._relay.failed(ref, why, now) if missed is None else missed

    def flow_closed(self, flow: Flow) -> list[Command]:
        """A connection is gone: its phones cannot be called until they register again."""
        self._relay.cut_off(flow)
        return self._lives.cut_off(flow)

    # -- time -------------------------------------------------------------------------------

    def next_timeout(self) -> float | None:
        """When `handle_timeout` is wanted next."""
        mine, theirs = self._relay.next_timeout(), self._lives.next_timeout()
        if mine is None or theirs is None:
            return mine if theirs is None else theirs
        return min(mine, theirs)

    def handle_timeout(self, now: float, branches: Iterable[str]) -> list[Command]:
        """Expire bindings, keep pinholes open and turn from registrars that keep silent.

        Args:
            branches: Fresh branches, one for each OPTIONS that leaves.
        """
        return [*self._relay.handle_timeout(now), *self._lives.handle_timeout(now, branches)]
