"""When a call that one target failed goes on to the next.

Spec: RFC 3261 §16.7 (which answers end a search), §21.5.4 (503), RFC 3263 §4.3 (failures that
hunt).
"""

from dataclasses import dataclass
from typing import Final

HUNTING_CODES = frozenset({408, 430, 500, 502, 503, 504})
"""Answers that say something of the next hop, not of the callee."""

FINAL_CODES = frozenset({401, 407, 486, 487})
"""Answers below 600 that nobody may hunt on: the callee is busy, the caller gave up, or it is the
caller who has to say who it is."""


@dataclass(frozen=True, slots=True)
class Failover:
    """When the next candidate is tried in place of one."""

    codes: frozenset[int] = HUNTING_CODES
    """Final answers that hunt. No answer and a transport error always do."""
    timeout_s: float = 4.0
    """Silence after an INVITE before the next candidate is invited: over UDP four datagrams."""
    budget_s: float = 20.0
    """From the beginning of the call: after that nobody else is tried."""


DEFAULT_FAILOVER: Final = Failover()


@dataclass(frozen=True, slots=True)
class FailoverRule:
    """What a route or peer says of it; None where it says nothing."""

    codes: frozenset[int] | None = None
    timeout_s: float | None = None
    budget_s: float | None = None


SILENT: Final = FailoverRule()


def may_hunt(code: int) -> bool:
    """Whether a final answer may be one that hunts: 6xx and what concerns the callee never do."""
    return 400 <= code < 600 and code not in FINAL_CODES


def settled(*rules: FailoverRule) -> Failover:
    """What holds when several speak: the first that says something, else the default."""
    codes = [rule.codes for rule in rules if rule.codes is not None]
    timeouts = [rule.timeout_s for rule in rules if rule.timeout_s is not None]
    budgets = [rule.budget_s for rule in rules if rule.budget_s is not None]
    return Failover(
        (*codes, DEFAULT_FAILOVER.codes)[0],
        (*timeouts, DEFAULT_FAILOVER.timeout_s)[0],
        (*budgets, DEFAULT_FAILOVER.budget_s)[0],
    )
