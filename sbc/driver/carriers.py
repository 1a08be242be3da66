"""The registrations with trunks, between their core and the process."""

from sbc.driver.agents import Agents
from sbc.driver.edges import Log
from sbc.driver.in_force import InForce
from sbc.driver.placing import flows_to
from sbc.routing.facing import host_port
from sbc.routing.model import Peer
from sbc.sip.flow import Flow
from sbc.trunks.commands import TrunkChanged
from sbc.trunks.registration import Line
from sbc.trunks.registrations import Registrations
from sbc.trunks.table import State
from sbc.trunks.trunks import Trunks

TRUNKS = "trunks"
"""The agent that registers us with trunks."""


class Carriers:
    """Tells the core what the process knows, and the log what the core did."""

    __slots__ = ("_agents", "_core", "_log")

    def __init__(self, core: Trunks, *, agents: Agents, log: Log) -> None:
        """Nothing is registered before `configure`."""
        self._core = core
        self._agents = agents
        self._log = log
        agents.add(TRUNKS, core, self._told)

    @property
    def registrations(self) -> Registrations:
        """All of them."""
        return self._core.registrations

    def configure(self, force: InForce, now: float) -> None:
        """Register what a configuration says, and withdraw what it says no more."""
        lines = {
            peer.name: Line(peer.registering, flows_of(force, peer))
            for peer in force.settings.peers
            if peer.registering is not None
        }
        self._agents.carry_out(TRUNKS, self._core.configure(force.settings, lines, now), now)

    def locate(self, force: InForce) -> None:
        """Use the addresses that are known now."""
        peers = (peer for peer in force.settings.peers if peer.registering is not None)
        self._core.locate({peer.name: flows_of(force, peer) for peer in peers})

    def flow_failed(self, flow: Flow, why: str, now: float) -> None:
        """A flow is dead."""
        self._agents.carry_out(TRUNKS, self._core.flow_failed(flow, why, now), now)

    def doubt(self, flow: Flow, why: str, now: float) -> None:
        """Something else got no answer on a flow."""
        self._agents.carry_out(TRUNKS, self._core.doubt(flow, why, now), now)

    def hurry(self, peer: str, now: float) -> bool:
        """Register with a trunk now instead of later; whether there is anything to hurry."""
        return self._core.hurry(peer, now)

    def leave(self, now: float) -> None:
        """Withdraw everything; it is done when no registration is left."""
        self._agents.carry_out(TRUNKS, self._core.leave(now), now)

    def _told(self, news: TrunkChanged) -> None:
        self._log(
            _level(news),
            f"trunk {news.after.value}",
            trunk=news.peer,
            account=news.aor,
            was=news.before.value,
            target=host_port(*news.flow.remote) if news.flow is not None else None,
            why=news.cause or None,
        )


def flows_of(force: InForce, peer: Peer) -> tuple[Flow, ...]:
    """The flows to a peer's targets, in order of preference, each once."""
    flows = (flow for target in peer.targets for flow in flows_to(force, peer, target))
    return tuple(dict.fromkeys(flows))


def _level(news: TrunkChanged) -> str:
    if news.doubted:
        return "error"
    if news.after is State.BACKING_OFF or news.after is news.before:
        return "warning"
    round_trip = (State.REGISTERED, State.REFRESHING)
    usual = news.before in round_trip and news.after in round_trip and not news.cause
    return "debug" if usual else "info"
