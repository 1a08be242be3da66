"""Cores that speak SIP on their own account, outside any call: the registrar and its like.

Each owns its client transactions by its name; what it asks for is carried out by the outbox, and
what is only news goes to whoever registered for it.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol

from sbc.driver.outbox import Outbox
from sbc.sip.message import Response


class Agent(Protocol):
    """A sans-IO core of this kind."""

    def reply(self, ref: str, response: Response, now: float) -> Sequence[Any]:
        """A request of its was answered."""

    def failed(self, ref: str, why: str, now: float) -> Sequence[Any]:
        """A request of its got no answer: ``"timeout"`` or ``"transport"``."""

    def next_timeout(self) -> float | None:
        """When `handle_timeout` is wanted next."""

    def handle_timeout(self, now: float, branches: Iterable[str]) -> Sequence[Any]:
        """Do what is due; `branches` are fresh, one for each request that leaves."""


class Agents:
    """All of them, by the name that owns their transactions."""

    __slots__ = ("_agents", "_branches", "_outbox", "_told")

    def __init__(self, outbox: Outbox, branches: Iterator[str]) -> None:
        """`branches` never ends."""
        self._outbox = outbox
        self._branches = branches
        self._agents: dict[str, Agent] = {}
        self._told: dict[str, Callable[[Any], None]] = {}

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._agents))

    def add(self, name: str, agent: Agent, told: Callable[[Any], None]) -> None:
        """Take an agent in; `told` gets what is nobody's to execute but worth knowing."""
        self._agents[name] = agent
        self._told[name] = told

    def branch(self) -> str:
        """A fresh branch, for a request that an agent is to send."""
        return next(self._branches)

    def owns(self, name: str) -> bool:
        """Whether a transaction's owner is an agent, not a call."""
        return name in self._agents

    def carry_out(self, name: str, commands: Sequence[Any], now: float) -> None:
        """Do what an agent asked for when somebody else spoke to it."""
        self._outbox.for_agent(name, commands, now, self._told[name])

    def reply(self, name: str, ref: str, response: Response, now: float) -> None:
        """Tell an agent what was answered."""
        self.carry_out(name, self._agents[name].reply(ref, response, now), now)

    def failed(self, name: str, ref: str, why: str, now: float) -> None:
        """Tell an agent that nobody will answer."""
        self.carry_out(name, self._agents[name].failed(ref, why, now), now)

    def next_timeout(self) -> float | None:
        """When `wake` is wanted next."""
        times = (agent.next_timeout() for agent in self._agents.values())
        return min((at for at in times if at is not None), default=None)

    def wake(self, name: str, now: float) -> None:
        """Let an agent do what is due."""
        agent = self._agents[name]
        due = agent.next_timeout()
        if due is not None and due <= now:
            self.carry_out(name, agent.handle_timeout(now, self._branches), now)
