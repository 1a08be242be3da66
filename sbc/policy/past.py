"""Calls of before: counted again at a start, or judged again by other rules.

A back-test asks the stage `fraud` of every call of a time, in order, with a ledger that begins
empty: so what the rules would have stopped is not counted, nor paid for.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from heapq import heappop, heappush
from typing import Final, NamedTuple

from sbc.policy.access import step_of
from sbc.policy.accounts import FORWARDING
from sbc.policy.charges import Charge, PastCall, charge_of
from sbc.policy.facts import Facts
from sbc.policy.ledger import Ledger
from sbc.policy.model import PolicySet, Step
from sbc.policy.rules import STOPS
from sbc.policy.world import World

MOST_FOUND: Final = 10_000
"""Findings that are kept one by one; all of them are counted."""


class Past(NamedTuple):
    """One call as it was written down. Times are seconds since 1970."""

    call: str
    account: str
    """As `sbc.policy.accounts` says it; empty for a call that came in."""
    number: str
    """Who was called, in the form that numbers have inside; of one that came in, who called."""
    began: float
    answered: float | None
    ended: float
    diverter: str = ""
    network: str = ""
    trusted: bool = False
    host: str = ""
    caller: str = ""

    def facts(self, world: World) -> Facts:
        """What was known of it when it began, as far as it was written down."""
        kind, _, name = self.account.partition(" ")
        forwarder = self.diverter.partition(FORWARDING)[2]
        return Facts(
            network=self.network,
            trusted=self.trusted,
            host=name if kind == "source" else self.host,
            method="INVITE",
            peer=name if kind == "peer" else None,
            registered=kind == "phone",
            aor=f"sip:{name}" if kind == "phone" else "",
            user=name if kind == "user" else "",
            world=world,
            now=self.began,
            found={
                "called": self.number,
                "caller": self.caller,
                "diverter": forwarder,
                "forwards": float(bool(forwarder)),
            },
        )

    def charge(self, world: World) -> Charge:
        """What it means for the ledger."""
        return charge_of(self.facts(world)) if self.account else Charge("", self.number)


class Finding(NamedTuple):
    """A call that the rules would have had something to say of."""

    past: Past
    step: Step
    cost: float
    """What it did cost."""
    saved: float
    """What of that it would not have cost."""


@dataclass(slots=True)
class Report:
    """What came of a back-test."""

    calls: int = 0
    """Calls that somebody of ours made."""
    cost: float = 0.0
    saved: float = 0.0
    counts: dict[str, int] = field(default_factory=dict)
    """Findings by verb."""
    by_rule: dict[str, tuple[int, float]] = field(default_factory=dict)
    """Findings, and what they would have saved."""
    found: list[Finding] = field(default_factory=list)
    """The first ones."""


def remember(
    ledger: Ledger, world: World, calls: Iterable[Past], enough: Callable[[], bool]
) -> int:
    """Count calls of before in a ledger; how many there were.

    Args:
        calls: The newest first.
        enough: Asked before each call whether those so far will do.
    """
    found: list[PastCall] = []
    for past in calls:
        if enough():
            break
        found.append(PastCall(past.charge(world), past.began, past.answered, past.ended))
    # What is forgotten for want of room shall be the oldest.
    for one in reversed(found):
        ledger.record(one)
    return len(found)


def backtest(policy: PolicySet, world: World, calls: Iterable[Past]) -> Report:
    """Judge calls of before by the stage `fraud` of a policy.

    Args:
        calls: In the order in which they began.
    """
    return _Replay(policy, world).run(calls)


class _Replay:
    def __init__(self, policy: PolicySet, world: World) -> None:
        self._policy = policy
        self._ledger = Ledger()
        self._world = replace(world, counters=self._ledger, tariffs=policy.tariffs)
        self._coming: list[tuple[float, int, int, str]] = []
        """When live calls are answered (0) or end (1)."""
        self._order = 0
        self._report = Report()

    def run(self, calls: Iterable[Past]) -> Report:
        for past in calls:
            self._go_on(past.began)
            self._begin(past)
        return self._report

    def _go_on(self, now: float) -> None:
        """Let everything happen that did until a moment."""
        while self._coming and self._coming[0][0] <= now:
            at, _, what, call = heappop(self._coming)
            if what:
                self._ledger.ended(call, at)
            else:
                self._ledger.answered(call, at)

    def _begin(self, past: Past) -> None:
        longest_s = self._judge(past) if past.account else float("inf")
        if longest_s <= 0.0:
            return
        self._ledger.begin(past.call, past.charge(self._world), past.began)
        ended = past.ended
        if past.answered is not None:
            self._expect(past.answered, 0, past.call)
            ended = min(ended, past.answered + longest_s)
        self._expect(max(ended, past.began), 1, past.call)

    def _expect(self, at: float, what: int, call: str) -> None:
        self._order += 1
        heappush(self._coming, (at, self._order, what, call))

    def _judge(self, past: Past) -> float:
        """How many seconds a call may last, 0 for not at all; what is said of it is noted."""
        facts = past.facts(self._world)
        report = self._report
        report.calls += 1
        cost = self._cost(past, float("inf"))
        report.cost += cost
        rule = None if facts.emergency else self._policy.first("fraud", facts)
        if rule is None or rule.action.verb == "pass":
            return float("inf")
        verb = rule.action.verb
        longest_s = float("inf")
        if verb in STOPS:
            longest_s = 0.0
        elif verb == "cap":
            longest_s = float(rule.action.text) * 60.0
        saved = cost - self._cost(past, longest_s)
        report.saved += saved
        report.counts[verb] = report.counts.get(verb, 0) + 1
        number, before = report.by_rule.get(rule.name, (0, 0.0))
        report.by_rule[rule.name] = (number + 1, before + saved)
        if len(report.found) < MOST_FOUND:
            report.found.append(Finding(past, step_of("fraud", rule, facts), cost, saved))
        return longest_s

    def _cost(self, past: Past, longest_s: float) -> float:
        if past.answered is None or longest_s <= 0.0:
            return 0.0
        seconds = min(max(past.ended - past.answered, 0.0), longest_s)
        return self._world.tariffs.price(past.number).of(seconds / 60.0)
