"""Watching hops: what calls, transports and probes tell of them comes together here.

The log gets one line for each change, which names the response or failure that caused it.
"""

from collections.abc import Callable

from sbc.b2bua.commands import HopSeen
from sbc.driver.agents import Agents
from sbc.driver.edges import Log
from sbc.driver.in_force import InForce
from sbc.driver.placing import hops_of
from sbc.health.health import Health
from sbc.health.record import HopRests, News
from sbc.health.states import State
from sbc.routing.facing import host_port
from sbc.sip.flow import Flow

HEALTH = "health"
"""The agent that owns the probes of hops."""


class HopWatch:
    """The health of the hops of the configuration in force."""

    def __init__(
        self,
        agents: Agents,
        log: Log,
        seed: int,
        doubt: Callable[[Flow, str, float], None],
    ) -> None:
        """Watch nothing yet.

        Args:
            seed: Of the jitter of probes.
            doubt: Told of a flow that a call found wanting, with the evidence and the time.
        """
        self._doubt = doubt
        self.health = Health(seed)
        self._agents = agents
        self._log = log
        agents.add(HEALTH, self.health, self._tell)

    def configure(self, force: InForce, now: float) -> None:
        """Watch the hops of another configuration, or of addresses that changed."""
        commands = self.health.configure(force.settings, hops_of(force), now)
        self._agents.carry_out(HEALTH, commands, now)

    def seen(self, seen: HopSeen, now: float) -> None:
        """Take what a call told of a hop."""
        news = self.health.saw(
            seen.hop, seen.evidence, now, alive=seen.alive, retry_after_s=seen.retry_after_s
        )
        self._agents.carry_out(HEALTH, news, now)
        # Whoever asks to be left alone is there; of others a registration tells more.
        if not seen.alive and not seen.retry_after_s:
            self._doubt(seen.hop.flow, seen.evidence, now)

    def _tell(self, news: News) -> None:
        flow = news.hop.flow
        place = f"{host_port(*flow.remote)};transport={flow.transport}"
        if isinstance(news, HopRests):
            self._log(
                "warning",
                "target asks to be left alone",
                peer=news.hop.peer,
                target=place,
                s=news.seconds,
                cause=news.evidence,
            )
            return
        bad = news.after in (State.SUSPECT, State.DOWN)
        self._log(
            "warning" if bad else "info",
            f"target {news.after.value}",
            peer=news.hop.peer,
            target=place,
            was=news.before.value,
            for_s=round(news.lasted_s, 1),
            cause=news.evidence,
        )
