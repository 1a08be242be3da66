"""How many calls somebody may have at once and begin per second, and what they may bring.

A limit counts by its own key: each user, each peer, each network, each source, or all calls that
fit together.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from sbc.policy.accounts import account_of
from sbc.policy.conditions import Conditions, Evidence
from sbc.policy.facts import Facts
from sbc.policy.live_calls import LiveCalls
from sbc.prefixes import source_key

MOST_EMERGENCIES: Final = 4
"""Emergency calls of one phone at once that no limit forbids. More of them are no cry for help, but
a way around the limits, at the cost of all who share these and of those who help."""

Per = Literal["user", "peer", "network", "source", "all"]
"""Whose calls are counted together."""


@dataclass(frozen=True, slots=True)
class CallLimit:
    """One limit on new calls; None where it says nothing."""

    name: str
    when: Conditions
    per: Per
    where: str
    """``file:line``."""
    max_calls: int | None = None
    calls_per_second: float | None = None
    burst: int = 10
    max_kbps: int | None = None
    """Kilobits per second of all its calls, in one direction."""


class Objection(NamedTuple):
    """Why a call may not begin."""

    limit: CallLimit
    tested: Evidence


_UNCAPPED: Final = CallLimit("", Conditions(), "all", "")

_Key = tuple[str, str]
"""The name of a limit, and whose calls are counted."""


class CallRoom:
    """The live calls under every limit of the policies."""

    __slots__ = ("_emergencies", "_keys", "_limits", "_live", "_phones", "weighs")

    def __init__(self) -> None:
        self._limits: tuple[CallLimit, ...] = ()
        self.weighs = False
        """Whether it matters to any limit what calls may bring."""
        self._live: LiveCalls[_Key] = LiveCalls()
        self._keys: dict[str, list[_Key]] = {}
        self._emergencies: LiveCalls[str] = LiveCalls()
        self._phones: dict[str, str] = {}

    def apply(self, limits: Iterable[CallLimit]) -> None:
        """Put other limits in force; live calls stay counted under those that they began with."""
        self._limits = tuple(limits)
        self.weighs = any(limit.max_kbps is not None for limit in self._limits)

    def exempts(self, facts: Facts) -> bool:
        """Whether no limit forbids a call: it is for help, and its phone has not too many such.

        Behind a peer there are many phones, which nobody but the peer tells apart.
        """
        if not facts.emergency:
            return False
        return facts.known_peer or len(self._emergencies.of(_phone_of(facts))) < MOST_EMERGENCIES

    def begin(self, facts: Facts, call: str, now: float, kbps: int = 0) -> Objection | None:
        """Let a call begin under every limit that fits it, or under none and say which forbids it.

        A call that they do not forbid, for it is an emergency, is counted as all are.

        Args:
            kbps: What it may bring.

        Raises:
            ParseError: a header that a limit asks about is malformed (400).
        """
        fitting = [(one, (one.name, _key_of(one.per, facts))) for one in self._limits
                   if one.when.hold(facts)]  # fmt: skip
        if fitting and not self.exempts(facts):
            for limit, key in fitting:
                whose = f" of {key[1]}" if key[1] else ""
                tested = self._live.objection(key, limit, now, kbps, whose)
                if tested is not None:
                    return Objection(limit, tested)
        for limit, key in fitting:
            self._live.begin(key, limit, call, now, kbps)
            self._keys.setdefault(call, []).append(key)
        if facts.emergency and not facts.known_peer:
            phone = self._phones[call] = _phone_of(facts)
            self._emergencies.begin(phone, _UNCAPPED, call, now, kbps)
        return None

    def end(self, call: str) -> None:
        """A call ended; one that is not live is nothing to do."""
        for key in self._keys.pop(call, ()):
            self._live.end(key, call)
        phone = self._phones.pop(call, None)
        if phone is not None:
            self._emergencies.end(phone, call)

    def weigh(self, call: str, kbps: int) -> None:
        """What a live call may bring has changed; it stays, even above a limit."""
        for key in self._keys.get(call, ()):
            self._live.weigh(key, call, kbps)

    def calls(self) -> Mapping[_Key, int]:
        """How many calls there are under each limit, and of whom."""
        return self._live.counts()


def _phone_of(facts: Facts) -> str:
    return facts.phone or facts.user or source_key(facts.host)


def _key_of(per: Per, facts: Facts) -> str:
    if per == "user":
        return account_of(facts)
    if per == "peer":
        return facts.peer or "no peer"
    if per == "network":
        return facts.network
    return source_key(facts.host) if per == "source" else ""
