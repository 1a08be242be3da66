"""Policies as they are shipped, and all that they say of a request."""

from dataclasses import replace
from pathlib import Path

from sbc.policy.access import decide, screen
from sbc.policy.facts import Facts
from sbc.policy.library import Library
from sbc.policy.load import LoadedPolicy, combine, load_policy
from sbc.policy.model import PolicySet

POLICIES = Path(__file__).parents[2] / "policies"


Verdict = tuple[str, int, str, tuple[str, ...]]
"""Outcome, status, text, and what each stage said beside the rules of access control."""


def shipped(*names: str) -> PolicySet:
    """Policies as they are shipped, in that order."""
    return combine(read(name) for name in names)


def verdict(policy: PolicySet, facts: Facts) -> Verdict:
    """All that a policy says of a request, from its arrival to the call."""
    facts = replace(facts, found={})
    decision = decide(policy, facts)
    if decision.allowed:
        decision = screen(policy, facts, decision)
    said = tuple(
        f"{step.stage}: {step.rule}: {step.action}"
        for step in decision.trail
        if step.stage != "rules"
    )
    return decision.outcome, decision.status, decision.text, said


def read(name: str) -> LoadedPolicy:
    """A policy as it is shipped."""
    loaded = load_policy((POLICIES / name).read_text(), name, library=_library())
    assert [str(problem) for problem in loaded.problems] == []
    return loaded


def _library() -> Library:
    return Library(read=lambda path: (POLICIES / path).read_text())
