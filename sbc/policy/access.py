"""The stages of a policy in their order: the first rule of each that matches decides for it.

Spec: RFC 5853 §3.5 (access control at the border).
"""

from typing import Final

from sbc.policy.conditions import Evidence
from sbc.policy.facts import Facts
from sbc.policy.model import ARRIVAL, STAGES, Decision, PolicySet, Stage, Step
from sbc.policy.rules import STOPS, Action, Rule, outcome_of

BUILT_IN: Final = "built in"

_ON_ARRIVAL: Final = tuple(stage for stage in STAGES if stage.name in ARRIVAL)
_AFTERWARDS: Final = tuple(stage for stage in STAGES if stage.name not in ARRIVAL)
_CALL: Final = "INVITE"
_PASS: Final = Action("pass")
_EMERGENCY: Final = (Evidence("emergency", "true", "true"),)


def decide(policy: PolicySet, facts: Facts) -> Decision:
    """Decide on a request outside the transactions and dialogs that exist already, as it arrives.

    CANCEL, and ACK, belong to a request that was decided on: nobody asks about them again.

    Returns:
        Where no rule of access control matches: nothing is said to a stranger, 403 to a trusted
        network, whose operator is better served by an answer.

    Raises:
        ParseError: a header that a rule asks about is malformed (400).
    """
    facts.owners = policy.owners
    trail: list[Step] = []
    for stage in _ON_ARRIVAL:
        step = _step(policy, stage, facts)
        if step is not None:
            trail.append(step)
            if step.action.verb in STOPS:
                return _decision(step, trail)
    if trail and trail[-1].stage == "rules":
        return _decision(trail[-1], trail)
    denied = _default(policy, facts)
    return _decision(denied, [*trail, denied])


def screen(policy: PolicySet, facts: Facts, arrived: Decision) -> Decision:
    """Decide on a request whose sender is known as well as it will be: the stages after arrival.

    Those that do not hold for emergencies let them pass, and say so.

    Args:
        arrived: What `decide` said, which let it in.

    Raises:
        ParseError: a header that a rule asks about is malformed (400).
    """
    facts.owners = policy.owners
    trail: list[Step] | None = None
    is_call = facts.method == _CALL
    for stage in _AFTERWARDS:
        if (stage.calls_only and not is_call) or not policy.stage(stage.name).all:
            continue
        step = _step(policy, stage, facts)
        if step is None:
            continue
        trail = [*arrived.trail] if trail is None else trail
        trail.append(step)
        if step.action.verb in STOPS:
            return _decision(step, trail)
        if step.action.verb == "challenge" and not facts.user:
            unproven = _unproven(step)
            return _decision(unproven, [*trail[:-1], unproven])
    media = policy.media.first(facts) if is_call else None
    if media is not None:
        trail = [*arrived.trail] if trail is None else trail
        trail.append(step_of("media", media[0], facts))
    if trail is None:
        return arrived
    last = arrived
    return Decision(
        last.outcome,
        last.rule,
        last.where,
        tested=last.tested,
        trail=tuple(trail),
        codecs=None if media is None else media[1],
    )


def _unproven(step: Step) -> Step:
    """A challenge that cannot be met: who has credentials was asked for them on arrival."""
    wanted = Evidence("user", "none", "proof by credentials")
    return step._replace(action=Action("reject", 403), tested=(*step.tested, wanted))


def _step(policy: PolicySet, stage: Stage, facts: Facts) -> Step | None:
    """What the first rule of a stage that matches says; None where none does."""
    if not stage.emergencies and facts.emergency:
        return Step(stage.name, "emergency call", BUILT_IN, _PASS, _EMERGENCY)
    rule = policy.first(stage.name, facts)
    return None if rule is None else step_of(stage.name, rule, facts)


def step_of(stage: str, rule: Rule, facts: Facts) -> Step:
    """What a rule that matches says."""
    return Step(stage, rule.name, rule.where, rule.action, rule.when.tested(facts))


def _decision(step: Step, trail: list[Step]) -> Decision:
    action = step.action
    outcome = outcome_of(action.verb)
    status, text = (action.status, action.text) if outcome == "reject" else (0, "")
    return Decision(outcome, step.rule, step.where, status, text, step.tested, tuple(trail))


def _default(policy: PolicySet, facts: Facts) -> Step:
    tested = (
        Evidence("rules", f"{len(policy.rules)} tried", "one that matches"),
        Evidence("source", facts.host, "any"),
        Evidence("method", facts.method, "any"),
    )
    action = Action("reject", 403) if facts.trusted else Action("drop")
    return Step("rules", "default deny", BUILT_IN, action, tested)
