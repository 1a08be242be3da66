"""Media rules of a policy: which codecs and kinds of media the calls have that match.

The first rule whose conditions hold decides; a call keeps what it said until its end.
"""

from collections.abc import Iterable
from typing import NamedTuple

from sbc.policy.facts import Facts
from sbc.policy.rules import Rule, Rules
from sbc.routing.codecs import CodecRules


class MediaRule(NamedTuple):
    """One media rule."""

    rule: Rule
    codecs: CodecRules


class MediaPolicy:
    """The media rules of a policy, in order. Immutable."""

    __slots__ = ("_codecs", "_rules", "all")

    def __init__(self, rules: Iterable[MediaRule] = ()) -> None:
        self.all = tuple(rules)
        self._rules = Rules(one.rule for one in self.all)
        self._codecs = {id(one.rule): one.codecs for one in self.all}

    def first(self, facts: Facts) -> MediaRule | None:
        """The first rule whose conditions hold."""
        rule = self._rules.first(facts) if self.all else None
        return None if rule is None else MediaRule(rule, self._codecs[id(rule)])
