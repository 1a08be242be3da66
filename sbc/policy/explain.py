"""Why a decision was made, and which rule would have made another one.

Asked only for what an operator looks at, or what is refused and recorded: never for a request that
goes on.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple

from sbc.policy.conditions import Evidence
from sbc.policy.facts import Facts
from sbc.policy.model import ARRIVAL, STAGES, Decision, PolicySet, Stage, Step
from sbc.policy.rules import STOPS, Rule
from sbc.sip.errors import ParseError

MOST_RULES: Final = 1000
"""Of a stage, how many rules are looked at: those next to the one that decided."""

_FAR: Final = {"method": 4, "network": 3, "trust": 3, "source": 2, "user_agent": 2}
"""Facts that make it another request, or another sender, if they differ: they count so often."""


class Near(NamedTuple):
    """What would have changed a decision."""

    outcome: str
    """``allowed`` or ``refused``."""
    rule: str
    """The rule that would then decide; ``""`` where none needs to."""
    where: str
    unmet: tuple[Evidence, ...]
    """What would have to be otherwise, and what it is."""
    but_for: str = ""
    """The rule that decided, where it is the one that must not match; else ``""``."""

    @property
    def text(self) -> str:
        """In words."""
        by = f" by rule {self.rule!r} ({self.where})" if self.rule else ""
        if self.but_for:
            tested = " and ".join(f"{one.fact} {one.value}" for one in self.unmet)
            because = f" for {tested}" if tested else ""
            return f"would be {self.outcome}{by} if rule {self.but_for!r} did not match{because}"
        wanted = " and ".join(f"{one.fact} were {one.wanted}" for one in self.unmet)
        return f"would be {self.outcome}{by} if {wanted}"


class Decided(NamedTuple):
    """A decision with all that it was made of."""

    policy: PolicySet
    facts: Facts
    decision: Decision

    @property
    def nearest(self) -> Near | None:
        """The smallest change that makes it another decision; None where there is none.

        What a malformed header hides is not looked at.
        """
        found: list[tuple[int, int, Near]] = []
        try:
            for number, near in enumerate(_changes(*self)):
                found.append((_distance(near), -number, near))
        except ParseError:
            pass
        return min(found)[2] if found else None

    def to_data(self) -> dict[str, Any]:
        """As JSON has it."""
        near = self.nearest
        return {**decision_data(self.decision), "nearest": None if near is None else near.text}


def decision_data(decision: Decision) -> dict[str, Any]:
    """A decision as JSON has it."""
    return {
        "outcome": decision.outcome,
        "status": decision.status,
        "rule": decision.rule,
        "where": decision.where,
        "steps": steps_data(decision.trail),
    }


def steps_data(steps: Iterable[Step]) -> list[dict[str, Any]]:
    """Steps as JSON has them."""
    return [
        {
            "stage": step.stage,
            "rule": step.rule,
            "where": step.where,
            "action": str(step.action),
            "tested": [one._asdict() for one in step.tested],
        }
        for step in steps
    ]


def _changes(policy: PolicySet, facts: Facts, decision: Decision) -> Iterator[Near]:
    """What would have changed a decision, the rules nearest to the deciding one last."""
    stopped = not decision.allowed
    last = decision.trail[-1].stage if decision.trail else "rules"
    for stage in _asked(facts, decision):
        if stopped and stage.name != last:
            continue
        rules = policy.stage(stage.name).all
        at = _position(rules, decision.trail, stage)
        for rule in rules[max(0, at - MOST_RULES) : at]:
            # A rule that holds by now, as counters have gone on, says nothing of what was decided.
            unmet = rule.when.unmet(facts)
            if unmet and (rule.action.verb in STOPS) is not stopped:
                yield Near(_otherwise(stopped), rule.name, rule.where, unmet)
        if at < len(rules):
            yield from _without(rules, at, facts, stage, stopped=stopped)


def _asked(facts: Facts, decision: Decision) -> Iterator[Stage]:
    """The stages whose rules a request was asked by."""
    arrived = decision.allowed or any(step.stage not in ARRIVAL for step in decision.trail)
    for stage in STAGES:
        if stage.name not in ARRIVAL and not arrived:
            return
        if not stage.calls_only or facts.method == "INVITE":
            yield stage


def _position(rules: Sequence[Rule], trail: Sequence[Step], stage: Stage) -> int:
    """Which rule of a stage decided; beyond the last where none did."""
    for step in trail:
        if step.stage == stage.name:
            for number, rule in enumerate(rules):
                if (rule.name, rule.where) == (step.rule, step.where):
                    return number
    return len(rules)


def _without(
    rules: Sequence[Rule], at: int, facts: Facts, stage: Stage, *, stopped: bool
) -> Iterator[Near]:
    """What follows where the rule that decided does not match, if it is something else."""
    decided = rules[at]
    tested = decided.when.tested(facts)
    outcome = _otherwise(stopped)
    for rule in rules[at + 1 : at + 1 + MOST_RULES]:
        if rule.when.hold(facts):
            if (rule.action.verb in STOPS) is not stopped:
                yield Near(outcome, rule.name, rule.where, tested, decided.name)
            return
    if stopped is (stage.name != "rules"):
        yield Near(outcome, "", "", tested, decided.name)


def _otherwise(stopped: bool) -> str:
    return "allowed" if stopped else "refused"


def _distance(near: Near) -> int:
    if near.but_for:
        return 3 + len(near.unmet)
    return sum(1 + _FAR.get(one.fact, 0) for one in near.unmet)
