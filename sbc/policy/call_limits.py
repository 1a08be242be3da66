"""How many calls somebody may have at once and begin per second, and what they may bring.

A limit counts by its own key: each user, each peer, each network, each source, or all calls that
fit together. As with the caps of peers, what is counted is the set of live calls itself, so that no
counter can drift from it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from sbc.policy.accounts import account_of
from sbc.policy.conditions import Conditions, Evidence
from sbc.policy.facts import Facts
from sbc.prefixes import source_key

Per = Literal["user", "peer", "network", "source", "all"]
"""Whose calls are counted together."""

MOST_RATES: Final = 65_536
"""Keys whose rate is remembered; the one that began a call longest ago is forgotten first."""


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


_Key = tuple[str, str]
"""The name of a limit, and whose calls are counted."""


class CallRoom:
    """The live calls under every limit of the policies."""

    __slots__ = ("_keys", "_limits", "_live", "_rates", "weighs")

    def __init__(self) -> None:
        self._limits: tuple[CallLimit, ...] = ()
        self.weighs = False
        """Whether it matters to any limit what calls may bring."""
        self._live: dict[_Key, dict[str, int]] = {}
        self._keys: dict[str, list[_Key]] = {}
        self._rates: dict[_Key, tuple[float, float]] = {}

    def apply(self, limits: Iterable[CallLimit]) -> None:
        """Put other limits in force; live calls stay counted under those that they began with."""
        self._limits = tuple(limits)
        self.weighs = any(limit.max_kbps is not None for limit in self._limits)

    def begin(self, facts: Facts, call: str, now: float, kbps: int = 0) -> Objection | None:
        """Let a call begin under every limit that fits it, or under none and say which forbids it.

        An emergency call is counted as all are, and forbidden by none.

        Args:
            kbps: What it may bring.

        Raises:
            ParseError: a header that a limit asks about is malformed (400).
        """
        if not self._limits:
            return None
        fitting = [(one, (one.name, _key_of(one.per, facts))) for one in self._limits
                   if one.when.hold(facts)]  # fmt: skip
        if not facts.emergency:
            for limit, key in fitting:
                tested = self._tested(limit, key, now, kbps)
                if tested is not None:
                    return Objection(limit, tested)
        for limit, key in fitting:
            self._count(limit, key, call, now, kbps)
        return None

    def end(self, call: str) -> None:
        """A call ended; one that is not live is nothing to do."""
        for key in self._keys.pop(call, ()):
            live = self._live[key]
            del live[call]
            if not live:
                del self._live[key]

    def weigh(self, call: str, kbps: int) -> None:
        """What a live call may bring has changed; it stays, even above a limit."""
        for key in self._keys.get(call, ()):
            self._live[key][call] = kbps

    def calls(self) -> Mapping[_Key, int]:
        """How many calls there are under each limit, and of whom."""
        return {key: len(live) for key, live in self._live.items()}

    def _tested(self, limit: CallLimit, key: _Key, now: float, kbps: int) -> Evidence | None:
        """What forbids one call more."""
        live = self._live.get(key, {})
        whose = f" of {key[1]}" if key[1] else ""
        if limit.max_calls is not None and len(live) >= limit.max_calls:
            return Evidence("calls", f"{len(live)}{whose}", f"below {limit.max_calls}")
        if limit.max_kbps is not None and sum(live.values()) + kbps > limit.max_kbps:
            brings = f"{sum(live.values()) + kbps} with this call{whose}"
            return Evidence("kbps", brings, f"at most {limit.max_kbps}")
        if limit.calls_per_second is not None and self._tokens(limit, key, now) < 1.0:
            return Evidence("calls_per_second", f"used up{whose}", f"{limit.calls_per_second:g}")
        return None

    def _count(self, limit: CallLimit, key: _Key, call: str, now: float, kbps: int) -> None:
        self._live.setdefault(key, {})[call] = kbps
        self._keys.setdefault(call, []).append(key)
        if limit.calls_per_second is None:
            return
        tokens = max(self._tokens(limit, key, now) - 1.0, 0.0)
        self._rates.pop(key, None)
        self._rates[key] = (tokens, now)
        if len(self._rates) > MOST_RATES:
            del self._rates[next(iter(self._rates))]

    def _tokens(self, limit: CallLimit, key: _Key, now: float) -> float:
        full = float(limit.burst)
        tokens, at = self._rates.get(key, (full, now))
        return min(full, tokens + (now - at) * (limit.calls_per_second or 0.0))


def _key_of(per: Per, facts: Facts) -> str:
    if per == "user":
        return account_of(facts)
    if per == "peer":
        return facts.peer or "no peer"
    if per == "network":
        return facts.network
    return source_key(facts.host) if per == "source" else ""
