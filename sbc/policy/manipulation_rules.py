"""Rules for headers as frozen objects, found by where a message comes from and goes to."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Literal

from sbc.policy.conditions import Conditions
from sbc.policy.manipulation_operations import Operation, touched
from sbc.policy.manipulation_values import OURSELVES, End
from sbc.sip.message import Message, Response

Direction = Literal["in", "out"]
On = Literal["requests", "responses", "both"]

ALWAYS: Final = Conditions()


@dataclass(frozen=True, slots=True)
class HeaderRule:
    """One rule; every rule that fits is applied, in order."""

    name: str
    where: str
    """``file:line``."""
    operations: tuple[Operation, ...]
    when: Conditions = ALWAYS
    on: On = "requests"
    direction: Direction = "out"
    senders: frozenset[str] = frozenset()
    """Peers and networks that it is for messages from; empty for all."""
    receivers: frozenset[str] = frozenset()
    touched: frozenset[str] = field(init=False, compare=False, repr=False)
    """The lookup keys of the headers that it may change."""

    def __post_init__(self) -> None:
        keys = frozenset(key for operation in self.operations for key in touched(operation))
        object.__setattr__(self, "touched", keys)

    def is_for(self, sender: End, receiver: End | None) -> bool:
        """Whether the ends of a message are those that it is for."""
        if self.senders and self.senders.isdisjoint(sender):
            return False
        return not self.receivers or (
            receiver is not None and not self.receivers.isdisjoint(receiver)
        )


class HeaderRules:
    """Rules for headers, found by where a message comes from and goes to. Immutable."""

    __slots__ = ("_fitting", "_kinds", "_named", "all")

    def __init__(self, rules: Iterable[HeaderRule] = ()) -> None:
        self.all = tuple(rules)
        self._named = frozenset(n for rule in self.all for n in rule.senders | rule.receivers)
        self._kinds = frozenset(
            (rule.direction, on)
            for rule in self.all
            for on in (("requests", "responses") if rule.on == "both" else (rule.on,))
        )
        # As many entries as there are pairs of names that rules have, however many peers there are.
        self._fitting: dict[object, tuple[HeaderRule, ...]] = {}

    def __len__(self) -> int:
        return len(self.all)

    def fitting(
        self, direction: Direction, message: Message, sender: End, receiver: End | None
    ) -> tuple[HeaderRule, ...]:
        """The rules that a message may fall under, by its kind and its ends."""
        on: On = "responses" if isinstance(message, Response) else "requests"
        return self._between(direction, on, sender, receiver)

    def networks_answered(self, ends: Iterable[End]) -> frozenset[str]:
        """The networks of those ends to whom what we answer ourselves may fall under any rule."""
        return frozenset(
            end.network for end in ends if self._between("out", "responses", OURSELVES, end)
        )

    def _between(
        self, direction: Direction, on: On, sender: End, receiver: End | None
    ) -> tuple[HeaderRule, ...]:
        if (direction, on) not in self._kinds:
            return ()
        key = (direction, on, self._known(sender), receiver and self._known(receiver))
        found = self._fitting.get(key)
        if found is None:
            found = self._fitting[key] = tuple(
                rule
                for rule in self.all
                if rule.direction == direction
                and rule.on in (on, "both")
                and rule.is_for(sender, receiver)
            )
        return found

    def _known(self, end: End) -> tuple[str, str]:
        """An end as far as any rule names it."""
        named = self._named
        return (end.peer if end.peer in named else "", end.network if end.network in named else "")
