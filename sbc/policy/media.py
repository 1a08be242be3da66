"""Media rules of a policy: which codecs and kinds of media the calls have that match.

The first rule whose conditions hold decides; a call keeps what it said until its end.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from sbc.policy.conditions import Conditions
from sbc.policy.facts import Facts
from sbc.policy.rules import Action, Rule, Rules
from sbc.routing.codecs import CodecRules


@dataclass(frozen=True, slots=True)
class MediaRule:
    """One media rule."""

    name: str
    when: Conditions
    codecs: CodecRules
    where: str
    """``file:line``."""

    @property
    def rule(self) -> Rule:
        """As a rule of a stage that lets everything pass."""
        return Rule(self.name, self.when, Action("pass", 0, str(self.codecs)), self.where)


class MediaPolicy:
    """The media rules of a policy, in order. Immutable."""

    __slots__ = ("_codecs", "_rules", "all")

    def __init__(self, rules: Iterable[MediaRule] = ()) -> None:
        self.all = tuple(rules)
        self._rules = Rules(one.rule for one in self.all)
        self._codecs = {
            id(rule): one.codecs for rule, one in zip(self._rules.all, self.all, strict=True)
        }

    def first(self, facts: Facts) -> tuple[Rule, CodecRules] | None:
        """The first rule whose conditions hold, and what it says."""
        rule = self._rules.first(facts) if self.all else None
        return None if rule is None else (rule, self._codecs[id(rule)])
