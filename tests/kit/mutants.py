"""Shipped policies, each a little broken: a line that can go unnoticed is not tested."""

from collections.abc import Iterable, Iterator, Sequence
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

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


def mutants(name: str) -> Iterator[tuple[str, LoadedPolicy]]:
    """A shipped policy with one thing left out or changed, each with what that is."""
    whole: Any = yaml.safe_load((POLICIES / name).read_text())
    for path in _paths(whole):
        for what, broken in _broken(whole, path):
            loaded = load_policy(yaml.safe_dump(broken, sort_keys=False), name, library=_library())
            if not loaded.broken:
                yield what, loaded


def unnoticed(names: Sequence[str], cases: Iterable[Facts], owners: str = "") -> list[str]:
    """What may be left out of a shipped policy, or changed, without one of the cases noticing.

    Args:
        names: the policy, and those behind it.
        owners: what a file of the operator's says behind them, that of each case asked again.
    """
    requests = list(cases)
    own = load_policy(owners or "version: 1", "own.yaml")

    def verdicts(*policies: LoadedPolicy) -> list[Verdict]:
        sets = [combine(policies), combine([*policies, own])]
        return [verdict(one, facts) for one in sets for facts in requests]

    after = [read(name) for name in names[1:]]
    right = verdicts(read(names[0]), *after)
    return [what for what, broken in mutants(names[0]) if verdicts(broken, *after) == right]


def read(name: str) -> LoadedPolicy:
    """A policy as it is shipped."""
    loaded = load_policy((POLICIES / name).read_text(), name, library=_library())
    assert [str(problem) for problem in loaded.problems] == []
    return loaded


def _library() -> Library:
    return Library(read=lambda path: (POLICIES / path).read_text())


_SECTIONS = {"requirements", "rules", "geo", "identity", "fraud", "media"}


def _paths(tree: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place that rules say something at."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for key, value in items:
        here = (*path, key)
        if not path and key not in _SECTIONS:
            continue
        if path:
            yield here
        if isinstance(value, dict | list):
            yield from _paths(value, here)


def _broken(whole: Any, path: tuple[Any, ...]) -> Iterator[tuple[str, Any]]:
    copy = deepcopy(whole)
    parent = copy
    for key in path[:-1]:
        parent = parent[key]
    last, told = path[-1], ".".join(map(str, path))
    value = parent[last]
    if last == "name":
        return
    if last == "then":
        parent[last] = "reject 699" if value != "pass" else "reject 698"
        yield f"{told}: another action than {value}", copy
        return
    if isinstance(value, bool):
        parent[last] = not value
        yield f"{told}: {not value} in place of {value}", deepcopy(copy)
    del parent[last]
    if parent or isinstance(parent, dict):
        yield f"{told}: without {value}", copy
