"""Rules that an earlier one leaves nothing, found among very many without comparing each with each.

A rule that covers another asks for no fact that the other does not ask for. So each rule lies under
one value that it asks for, and is only compared with later ones whose own first value leads there.
"""

from collections.abc import Iterable, Iterator, Sequence
from ipaddress import ip_network
from itertools import islice
from typing import Final

from sbc.policy.conditions import Conditions, covers
from sbc.policy.matchers import Addresses, Matcher, Numbers, OneOf, is_set
from sbc.routing.patterns import Exact, Prefix, parse_number_pattern

_MOST_COMPARED: Final = 64
"""Earlier rules that one rule is compared with at most: many thousands may lie under one value, and
a linter that says nothing of the last of them is worth more than one that does not come back."""

_KEYS: Final = (
    "source", "called", "caller", "user", "peer", "source_country", "called_country", "source_asn",
    "network", "method",
)  # fmt: skip

_Key = tuple[str, object]


def shadowed(rules: Sequence[Conditions]) -> Iterator[tuple[int, int]]:
    """Each rule that can never match, with the first one that takes all of it; by their numbers.

    Errs towards none: only one earlier rule is looked for, not several that together take all.
    """
    seen = _Seen()
    for number, when in enumerate(rules):
        candidates = islice(seen.candidates(when), _MOST_COMPARED)
        above = [one for one in candidates if covers(rules[one], when)]
        if above:
            yield number, min(above)
        else:
            # What it takes is taken already, so it is no reason for a second complaint.
            seen.add(number, when)


class _Seen:
    """Earlier rules, by what may lead to them."""

    __slots__ = ("_always", "_by_key", "_lengths")

    def __init__(self) -> None:
        self._always: list[int] = []
        self._by_key: dict[_Key, list[int]] = {}
        self._lengths: set[tuple[str, int, int]] = set()
        """Prefix lengths that occur: the fact, the IP version, the length."""

    def add(self, number: int, when: Conditions) -> None:
        for name in _KEYS:
            keys = self._keys_of(name, when.matcher(name))
            if keys:
                for key in keys:
                    self._by_key.setdefault(key, []).append(number)
                return
        self._always.append(number)

    def candidates(self, when: Conditions) -> Iterator[int]:
        yield from self._always
        for name in _KEYS:
            for key in self._leading(name, when.matcher(name)):
                yield from self._by_key.get(key, ())

    def _keys_of(self, name: str, matcher: Matcher | None) -> list[_Key]:
        """Every value under which a rule lies that asks for a fact; none if it lies under none."""
        if isinstance(matcher, OneOf):
            return [(name, word) for word in matcher.words]
        if isinstance(matcher, Addresses):
            keys: list[_Key] = []
            for text in matcher.texts:
                if is_set(text):
                    keys.append((name, text))
                    continue
                network = ip_network(text)
                self._lengths.add((name, network.version, network.prefixlen))
                keys.append((name, _shortened(text, network.prefixlen)))
            return keys
        if isinstance(matcher, Numbers):
            texts = [_indexed(text) for text in matcher.texts]
            return [] if None in texts else [(name, text) for text in texts]
        return []

    def _leading(self, name: str, matcher: Matcher | None) -> Iterable[_Key]:
        """Where a rule lies, if at all, that takes what another asks of a fact."""
        if isinstance(matcher, OneOf):
            return [(name, word) for word in sorted(matcher.words)[:1]]
        if isinstance(matcher, Addresses) and matcher.texts:
            return self._wider(name, matcher.texts[0])
        if isinstance(matcher, Numbers) and matcher.texts:
            return [(name, text) for text in _prefixes(matcher.texts[0])]
        return []

    def _wider(self, name: str, text: str) -> list[_Key]:
        if is_set(text):
            return [(name, text)]
        network = ip_network(text)
        return [
            (name, _shortened(text, length))
            for fact, version, length in sorted(self._lengths)
            if fact == name and version == network.version and length <= network.prefixlen
        ]


def _shortened(text: str, length: int) -> tuple[int, int, int]:
    """The first bits of a prefix, so that prefixes within one another meet."""
    network = ip_network(text)
    bits = int(network.network_address) >> (network.max_prefixlen - length)
    return network.version, length, bits


def _indexed(text: str) -> str | None:
    """A number pattern as it is looked up; None for one that is not."""
    if is_set(text):
        return text
    pattern = parse_number_pattern(text)
    if isinstance(pattern, Exact):
        return pattern.text
    return f"{pattern.text}*" if isinstance(pattern, Prefix) else None


def _prefixes(text: str) -> list[str]:
    """All patterns that may hold whatever a pattern holds."""
    if is_set(text):
        return [text]
    lead = text[: next((n for n, char in enumerate(text) if char in "*?-"), len(text))]
    return [text, *(f"{lead[:length]}*" for length in range(len(lead) + 1))]
