"""The lives of bindings: they are kept alive, found silent, expire, and move to a new process.

Spec: RFC 3261 §10.3 (expiry), RFC 5626 §3.5 (keep-alive).
"""

from collections import deque
from collections.abc import Iterable, Mapping

from sbc.registrar.binding import Binding
from sbc.registrar.bindings import Bindings
from sbc.registrar.commands import BindingChanged, Command
from sbc.registrar.keepalive import Keepalives, missed, pong
from sbc.registrar.relaying import Pseudonyms
from sbc.routing.model import Network, Settings
from sbc.routing.spread import Spread
from sbc.sip.flow import Flow
from sbc.sip.timers import Deadlines

MAX_BINDINGS = 100_000
MAX_CONTACTS_OF_USER = 20
"""Bindings of one user, above which the one that would expire first gives way to a new one."""
GONE_CONNECTION = -1
"""Number of a connection of a process that is no more."""
SHORTEST_INTERVAL_S = 10.0
SHORTER = 0.7
"""By how much keep-alives of one phone come more often, each time that its NAT forgot it, and how
often at most."""
WORK_PER_TURN = 200
"""Deadlines that one turn of the loop attends to, so that a crowd of them delays no call."""


class Lives:
    """All bindings with their deadlines."""

    __slots__ = ("_deadlines", "_due", "_keepalives", "_networks", "_server_header", "bindings")

    def __init__(self, settings: Settings, names: Pseudonyms, spread: Spread) -> None:
        self.bindings = Bindings()
        self._keepalives = Keepalives(names, spread)
        self._deadlines: Deadlines[tuple[str, str]] = Deadlines()
        self._due: deque[tuple[str, str]] = deque()
        self._networks: dict[str, Network] = {n.name: n for n in settings.networks}
        self._server_header = settings.server_header

    def configure(self, settings: Settings, now: float) -> list[Command]:
        """Use new settings from now on; a binding on a network that is no more ends."""
        before = self._networks
        self._networks = {network.name: network for network in settings.networks}
        self._server_header = settings.server_header
        out: list[Command] = []
        for binding in self.bindings:
            network = self._networks.get(binding.flow.network)
            if network is None:
                out += self.end(binding.key, "homeless")
            elif network.keepalive != before[network.name].keepalive:
                self._keep_alive(binding, network, now)
        return out

    # -- beginnings and ends ----------------------------------------------------------------

    def accept(
        self, binding: Binding, now: float, most: int = MAX_CONTACTS_OF_USER
    ) -> list[Command]:
        """Take in what the registrar accepted; a user has at most so many."""
        if binding.flow.network not in self._networks:
            return []
        known = self.bindings.by_key(binding.key)
        flow = None if known is None else known.flow
        if known is not None:
            binding.pinhole_s = self._learned(known, binding)
        self._add(binding, now)
        if flow is None:
            return [BindingChanged("registered", binding), *self._make_room(binding, most)]
        if flow == binding.flow:
            return [BindingChanged("refreshed", binding)]
        return [BindingChanged("moved", binding, flow)]

    def end(self, key: str, what: str) -> list[Command]:
        """Forget a binding, if there is one; `what` as in `BindingChanged`."""
        binding = self.bindings.remove(key)
        if binding is None:
            return []
        self._keepalives.forget(key)
        self._deadlines.cancel(("expiry", key))
        self._deadlines.cancel(("ping", key))
        return [BindingChanged(what, binding)]

    def restore(
        self, exported: Iterable[Mapping[str, object]], now: float, origin: float
    ) -> list[Command]:
        """Take over exported bindings; see `Registrar.restore`."""
        out: list[Command] = []
        for data in exported:
            binding = Binding.from_data(data, origin)
            has_place = self._has_socket(binding.flow) and len(self.bindings) < MAX_BINDINGS
            if binding.expires_at <= now or not has_place:
                continue
            if binding.flow.reliable:
                # No connection of this process may be taken for it, whatever its number is.
                binding.flow = binding.flow._replace(connection=GONE_CONNECTION)
                binding.reachable = False
            # Nobody has pinged it for as long as no process was there: it is half due already.
            pause_s = self._interval_s(binding, self._networks[binding.flow.network]) / 2
            self._add(binding, now - pause_s)
            out.append(BindingChanged("restored", binding))
        return out

    def _learned(self, before: Binding, after: Binding) -> float | None:
        """How often a phone's NAT needs a keep-alive, if it just showed that it was too seldom.

        It did when the same run of the phone comes from another port of the same address: then
        its NAT had forgotten it between two of them.
        """
        moved = (
            before.flow.remote[0] == after.flow.remote[0]
            and before.flow.remote != after.flow.remote
            and before.call_id == after.call_id
        )
        if not moved or after.flow.reliable:
            return before.pinhole_s
        interval = self._interval_s(before, self._networks[after.flow.network])
        return max(SHORTEST_INTERVAL_S, interval * SHORTER)

    def _interval_s(self, binding: Binding, network: Network) -> float:
        """How often a phone is pinged: as the network says, or more often if its NAT needs it."""
        rule = network.keepalive.interval_s
        return rule if binding.pinhole_s is None else min(rule, binding.pinhole_s)

    def _has_socket(self, flow: Flow) -> bool:
        """Whether a flow leaves by a socket that is still there: its pinhole knows no other."""
        network = self._networks.get(flow.network)
        return network is not None and any(
            (one.transport, (one.bind, one.port)) == (flow.transport, flow.local)
            for one in network.listeners
        )

    def _add(self, binding: Binding, now: float) -> None:
        self._keepalives.forget(binding.key)
        self.bindings.add(binding)
        self._deadlines.set(("expiry", binding.key), binding.expires_at)
        self._keep_alive(binding, self._networks[binding.flow.network], now)

    def _make_room(self, newest: Binding, most: int) -> list[Command]:
        """Let the binding go that would expire first, when a user has too many."""
        theirs = [
            binding
            for binding in self.bindings.of_user(newest.user)
            if (binding.registrar, binding.endpoints) == (newest.registrar, newest.endpoints)
            and binding is not newest
        ]
        if len(theirs) < most:
            return []
        first = min(theirs, key=lambda binding: binding.expires_at)
        return self.end(first.key, "replaced")

    # -- answers and silence ----------------------------------------------------------------

    def answered(self, ref: str) -> list[Command] | None:
        """A ping was answered; None if that was no ping."""
        key = self._keepalives.answered(ref)
        if key is None:
            return None
        binding = self.bindings.by_key(key)
        return [] if binding is None else pong(binding)

    def failed(self, ref: str) -> list[Command] | None:
        """A ping got no answer; None if that was no ping."""
        key = self._keepalives.answered(ref)
        if key is None:
            return None
        binding = self.bindings.by_key(key)
        return [] if binding is None else missed(binding)

    def cut_off(self, flow: Flow) -> list[Command]:
        """A connection is gone: its phones cannot be called until they register again."""
        out: list[Command] = []
        for binding in self.bindings.on_flow(flow):
            self._deadlines.cancel(("ping", binding.key))
            if binding.reachable:
                binding.reachable = False
                out.append(BindingChanged("unreachable", binding))
        return out

    # -- time -------------------------------------------------------------------------------

    def next_timeout(self) -> float | None:
        """When `handle_timeout` is wanted next; at once while work of the last turn is left."""
        return float("-inf") if self._due else self._deadlines.next()

    def handle_timeout(self, now: float, branches: Iterable[str]) -> list[Command]:
        """Expire bindings and keep pinholes open; what is too much for one turn stays due."""
        out: list[Command] = []
        fresh = iter(branches)
        self._due.extend(self._deadlines.pop_due(now))
        for _ in range(min(WORK_PER_TURN, len(self._due))):
            kind, key = self._due.popleft()
            binding = self.bindings.by_key(key)
            if binding is None:
                continue
            if kind == "ping":
                out += self._ping(binding, now, fresh)
            elif binding.expires_at <= now:
                out += self.end(key, "expired")
        return out

    def _ping(self, binding: Binding, now: float, fresh: Iterable[str]) -> list[Command]:
        network = self._networks[binding.flow.network]
        if network.keepalive.method == "off" or _is_cut_off(binding):
            return []
        self._deadlines.set(("ping", binding.key), now + self._interval_s(binding, network))
        return self._keepalives.ping(binding, network, next(iter(fresh)), self._server_header)

    def _keep_alive(self, binding: Binding, network: Network, now: float) -> None:
        if network.keepalive.method == "off" or _is_cut_off(binding):
            self._deadlines.cancel(("ping", binding.key))
        else:
            at = self._keepalives.first_at(self._interval_s(binding, network), now)
            self._deadlines.set(("ping", binding.key), at)


def _is_cut_off(binding: Binding) -> bool:
    """Whether the connection that the phone registered on is gone."""
    return binding.flow.reliable and not binding.reachable
