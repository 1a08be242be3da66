"""What is known of one hop."""

from dataclasses import dataclass
from typing import NamedTuple

from sbc.health.states import TABLE, Sign, State
from sbc.routing.hops import Hop
from sbc.routing.model import Peer

MAX_EVIDENCE = 200
"""Characters of it that are kept: what a peer says may be long."""
LONGEST_REST_S = 600.0
"""What a Retry-After counts at most: nobody can take a target out of service for days."""


class HopChanged(NamedTuple):
    """Something to log: a hop is in another state."""

    hop: Hop
    before: State
    after: State
    evidence: str
    """The response or failure that caused it."""
    lasted_s: float
    """How long the state before did."""


class HopRests(NamedTuple):
    """Something to log: a hop asked to be left alone, and is."""

    hop: Hop
    seconds: float
    evidence: str


News = HopChanged | HopRests


@dataclass(slots=True)
class Record:
    """The state of a hop, why it is in it, and the probe that is under way or due."""

    hop: Hop
    peer: Peer
    since: float
    state: State = State.UNKNOWN
    streak: int = 0
    """Signs of life in a row, or below zero failures in a row."""
    evidence: str = ""
    """What was seen last."""
    evidence_at: float | None = None
    rests_until: float = 0.0
    """It is not used before, since it said so by Retry-After."""
    trial_at: float = 0.0
    """While it is down and not probed: when the next call may try it."""
    probe: str = ""
    """Branch of the probe under way."""
    probe_at: float | None = None
    """When the next is due, or the one under way counts as unanswered; None without probes."""
    trouble: str = ""
    """What the transport said last, for the failure that comes of it."""

    @property
    def is_settled(self) -> bool:
        """Whether the last signs were what its state lets expect, so that no hurry is needed."""
        if self.state is State.UP:
            return self.streak > 0
        return self.is_down and self.streak < 0

    @property
    def is_down(self) -> bool:
        """Whether it is tried last."""
        return self.state is State.DOWN

    def saw(self, evidence: str, now: float, *, alive: bool) -> list[News]:
        """Weigh what was seen."""
        if self.trouble and evidence.endswith("transport"):
            evidence = f"{evidence} ({self.trouble})"
        self.trouble = ""
        self.evidence, self.evidence_at = evidence[:MAX_EVIDENCE], now
        rule = self.peer.health
        if alive:
            self.streak = max(self.streak, 0) + 1
            self.trial_at = now
            sign = Sign.LIFE_ENOUGH if self.streak >= rule.recover_after else Sign.LIFE
        else:
            self.streak = min(self.streak, 0) - 1
            self.trial_at = now + rule.interval_s
            sign = Sign.FAILURE_ENOUGH if -self.streak >= rule.fail_after else Sign.FAILURE
        before, after = self.state, TABLE[self.state, sign]
        if before is after:
            return []
        lasted_s, self.since = now - self.since, now
        self.state = after
        return [HopChanged(self.hop, before, after, self.evidence, lasted_s)]

    def rest(self, seconds: int, now: float) -> list[News]:
        """Leave it alone for as long as it asks, within reason."""
        if seconds <= 0:
            return []
        rest_s = min(float(seconds), LONGEST_REST_S)
        self.rests_until = now + rest_s
        return [HopRests(self.hop, rest_s, self.evidence)]

    def admits(self, now: float) -> bool:
        """Whether a call may try it before those that are down.

        While it is down and nobody probes it, one call in each interval is its probe.
        """
        if now < self.rests_until:
            return False
        if not self.is_down:
            return True
        rule = self.peer.health
        if rule.probe != "off" or now < self.trial_at:
            return False
        self.trial_at = now + rule.interval_s
        return True
