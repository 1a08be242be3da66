"""What became of one simulated message, and why."""

import re
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from sbc.b2bua.call import Call
from sbc.driver.explanation import (
    Line,
    lines_of_call,
    lines_of_explanation,
    lines_of_sender,
)
from sbc.driver.refused import TurnedAway
from sbc.policy.explain import Decided
from sbc.policy.gate import Verdict
from sbc.policy.matchers import shown
from sbc.policy.model import Step
from sbc.routing.facing import host_port
from sbc.sip.errors import ParseError
from sbc.sip.flow import Flow

Treatment = Literal["allow", "reject", "drop", "challenge", "limit", "malformed", "none"]
"""``limit``: dropped by a limit before it was read. ``none``: nobody decides on it: it belongs
to what was decided on before, or is a response."""

_PLACE: Final = re.compile(r" \([^()]*:[0-9]+\)")
"""Where something stands: a line that moved is no difference."""
_PASSED: Final = frozenset({"allow", "pass"})


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a message."""

    at: float
    """Seconds since 1970."""
    flow: Flow
    title: str
    """The method, caller and callee of a request."""
    call_id: str
    treatment: Treatment
    status: int = 0
    """Of our final answer; 0 for none, or for another's."""
    why: str = ""
    verdict: Verdict | None = None
    decided: Decided | None = None
    turned: TurnedAway | None = None
    call: Call | None = None
    """The call that an INVITE began."""
    sent: tuple[str, ...] = field(default=(), compare=False)
    """The first lines of what left at once, each with where to."""

    @property
    def rule(self) -> str:
        """The rule that decided; empty where none did."""
        if self.verdict is not None:
            return self.verdict.rule
        return "" if self.decided is None else self.decided.decision.rule

    @property
    def where(self) -> str:
        """``file:line`` of it."""
        if self.verdict is not None:
            return self.verdict.where
        return "" if self.decided is None else self.decided.decision.where

    @property
    def stage(self) -> str:
        """Where it was decided: a stage of policy, ``rate_limits``, ``route``, ..."""
        if self.verdict is not None:
            # A ban has no level: it is of a source, whatever that did.
            levels = {"sources": "sources", "": "bans"}
            return levels.get(self.verdict.level, "rate_limits")
        if self.treatment in ("malformed", "challenge", "none"):
            return {"malformed": "parsing", "challenge": "authentication", "none": ""}[
                self.treatment
            ]
        decision = None if self.decided is None else self.decided.decision
        if decision is None or (decision.allowed and self.treatment == "reject"):
            return "authentication" if self.status in (401, 403, 407) else "service"
        if decision.allowed:
            return "rules"
        return decision.trail[-1].stage if decision.trail else "rules"

    @property
    def effects(self) -> tuple[Step, ...]:
        """The steps that want something done to it, or told of it."""
        if self.decided is None:
            return ()
        trail = self.decided.decision.trail
        return tuple(step for step in trail if step.action.verb not in _PASSED)

    @property
    def treated(self) -> str:
        """How it was treated, in words that are equal for what is treated alike."""
        words = [self.treatment, str(self.status) if self.status else ""]
        if self.call is not None:
            words.append(f"by {_PLACE.sub('', self.call.route)}")
            words += [f"{one.peer or 'phone'} as {one.request_uri}" for one in self.call.candidates]
        if self.treatment == "allow":
            words += [str(step.action) for step in self.effects]
        return ", ".join(filter(None, words))

    @property
    def lines(self) -> list[Line]:
        """Every step that it took."""
        if self.call is not None:
            return lines_of_call(self.call)
        if self.decided is not None:
            lines = lines_of_sender(self.decided.facts)
            lines += lines_of_explanation(self.decided.to_data())
        else:
            flow = self.flow
            whence = f"{flow.transport} {host_port(*flow.remote)} on network {flow.network!r}"
            lines = [Line("source", whence)]
        if self.verdict is not None:
            return [*lines, Line(self.stage, f"dropped by {self.rule!r}", self.where)]
        return [*lines, Line("answer", self.said)]

    @property
    def said(self) -> str:
        """What became of it, in words."""
        words = self.treatment if self.treatment != "none" else "nothing to decide"
        status = f" {self.status}" if self.status else ""
        by_policy = self.decided is not None and not self.decided.decision.allowed
        why = "" if by_policy else self.why
        return words + status + (f": {why}" if why else "")

    def to_data(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "at": self.at,
            "title": self.title,
            "call_id": self.call_id,
            "source": host_port(*self.flow.remote),
            "network": self.flow.network,
            "transport": self.flow.transport,
            "outcome": self.treatment,
            "status": self.status,
            "stage": self.stage,
            "rule": self.rule,
            "where": self.where,
            "why": self.why,
            "lines": [line._asdict() for line in self.lines],
            "sent": list(self.sent),
        }


def title_of(method: str, caller: object, callee: object) -> str:
    """What a request is called in lists."""
    return f"{shown(method)} {shown(caller)} -> {shown(callee)}"


def why_malformed(error: ParseError) -> str:
    """Why something cannot be read."""
    return f"{error.reason} (at byte {error.offset})" if error.offset else error.reason
