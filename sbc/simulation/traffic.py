"""Captured traffic asked of configurations: what became of it, and what would become of it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

from sbc.driver.in_force import InForce
from sbc.simulation.capture import Captured
from sbc.simulation.flows import Directions
from sbc.simulation.outcome import Outcome
from sbc.simulation.simulation import Simulation
from sbc.sip.errors import ParseError
from sbc.sip.message import Response
from sbc.sip.parser import DEFAULT, Limits, parse_message_untrusted

MOST_GROUPS: Final = 200
MOST_EXAMPLES: Final = 3


class Replay:
    """One configuration to which a capture happens."""

    def __init__(
        self,
        force: InForce,
        *,
        ours: Iterable[str] = (),
        network: str = "",
        limits: Limits = DEFAULT,
    ) -> None:
        """Begin with nobody registered.

        Args:
            ours: Hosts that were ours when it was captured.
            network: The one that everything came on; empty to tell by addresses.

        Raises:
            ValueError: a host is none.
        """
        self._force = force
        self._limits = limits
        self._directions = Directions(force, ours, network)
        self._simulation: Simulation | None = None

    def take(self, captured: Captured) -> Outcome | None:
        """Let a message happen; None where it is no request to us."""
        if self._simulation is None:
            self._simulation = Simulation(
                self._force, limits=self._limits, at=captured.at, agrees=False
            )
        is_response = captured.data.startswith(b"SIP/2.0 ")
        flow = self._directions.inbound(
            captured.transport, captured.source, captured.to, captured.connection
        )
        if is_response:
            response = None if flow else _response_in(captured.data, self._limits)
            if response is not None:
                self._simulation.answered(response)
            return None
        if flow is None:
            return None
        return self._simulation.receive(flow, captured.data, captured.at)


@lru_cache(maxsize=2)
def _response_in(data: bytes, limits: Limits) -> Response | None:
    """A response, read once for all who look at it; None for what is none."""
    try:
        message = parse_message_untrusted(data, limits)
    except ParseError:
        return None
    return message if isinstance(message, Response) else None


@dataclass(slots=True)
class Difference:
    """Requests that are treated differently, all in the same way."""

    before: str
    """In words; `Outcome.treated`."""
    after: str
    rules: tuple[str, str]
    """Which rule decided, before and after, with where it stands."""
    count: int = 0
    examples: list[tuple[Outcome, Outcome]] = field(default_factory=list)

    def to_data(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "before": self.before,
            "after": self.after,
            "before_rule": self.rules[0],
            "after_rule": self.rules[1],
            "requests": self.count,
            "examples": [
                {"before": before.to_data(), "after": after.to_data()}
                for before, after in self.examples
            ],
        }


@dataclass(slots=True)
class Comparison:
    """What two configurations do with the same traffic."""

    messages: int = 0
    requests: int = 0
    different: int = 0
    ungrouped: int = 0
    """Of the different ones, those that no group had room for."""
    groups: dict[tuple[str, str, str, str], Difference] = field(default_factory=dict)

    @property
    def differences(self) -> list[Difference]:
        """Those of most requests first."""
        return sorted(self.groups.values(), key=lambda one: -one.count)

    def to_data(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "messages": self.messages,
            "requests": self.requests,
            "different": self.different,
            "ungrouped": self.ungrouped,
            "differences": [one.to_data() for one in self.differences],
        }

    def note(self, before: Outcome | None, after: Outcome | None) -> None:
        """Count one message."""
        self.messages += 1
        if before is None and after is None:
            return
        self.requests += 1
        if before is None or after is None or before.treated != after.treated:
            self.different += 1
            self._group(before, after)

    def _group(self, before: Outcome | None, after: Outcome | None) -> None:
        old, old_rule = _words(before)
        new, new_rule = _words(after)
        key = (_kind(before, old), _kind(after, new), old_rule, new_rule)
        group = self.groups.get(key)
        if group is None:
            if len(self.groups) >= MOST_GROUPS:
                self.ungrouped += 1
                return
            group = self.groups[key] = Difference(old, new, (old_rule, new_rule))
        group.count += 1
        if len(group.examples) < MOST_EXAMPLES and before is not None and after is not None:
            group.examples.append((before, after))


def _words(outcome: Outcome | None) -> tuple[str, str]:
    if outcome is None:
        return "not heard: no listener is there", ""
    rule = f"{outcome.rule} ({outcome.where})" if outcome.rule else ""
    return outcome.treated, rule


def _kind(outcome: Outcome | None, treated: str) -> str:
    """What puts requests into one group: of calls that are let in, the route and not the number."""
    if outcome is None or outcome.call is None:
        return treated
    peers = ", ".join(one.peer for one in outcome.call.candidates)
    route = outcome.treated.partition(", by ")[2].partition(", ")[0]
    return f"{outcome.treatment} {route} {peers}"


def outcomes(replay: Replay, capture: Iterable[Captured]) -> Iterator[Outcome]:
    """What becomes of every request in a capture."""
    for captured in capture:
        outcome = replay.take(captured)
        if outcome is not None:
            yield outcome


def compare(before: Replay, after: Replay, capture: Iterable[Captured]) -> Comparison:
    """What two configurations do with the same traffic."""
    comparison = Comparison()
    for captured in capture:
        comparison.note(before.take(captured), after.take(captured))
    return comparison
