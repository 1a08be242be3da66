"""The bindings of one process, and the ways to find one.

Every question is one dictionary lookup, so that none of them grows with the number of phones.

A phone that keeps several flows (RFC 5626) has a binding for each, all with one token: the
registrar behind us knows one contact, and rings it once.
"""

from collections.abc import Hashable, Iterable, Iterator
from typing import TypeVar

from sbc.prefixes import IpNetwork, PrefixMap, source_key
from sbc.registrar.binding import Binding
from sbc.registrar.grants import user_of
from sbc.sip.flow import Flow
from sbc.sip.message import Request

K = TypeVar("K", bound=Hashable)


class Bindings:
    """Bindings by key, token, flow, user and source; the oldest first everywhere."""

    __slots__ = ("_by_flow", "_by_key", "_by_token", "_by_user", "_sources")

    def __init__(self) -> None:
        self._by_key: dict[str, Binding] = {}
        self._by_token: dict[str, dict[str, None]] = {}
        self._by_flow: dict[Flow, dict[str, None]] = {}
        self._by_user: dict[str, dict[str, None]] = {}
        self._sources: dict[tuple[str, str], int] = {}

    def __len__(self) -> int:
        return len(self._by_key)

    def __iter__(self) -> Iterator[Binding]:
        return iter(list(self._by_key.values()))

    def __contains__(self, key: object) -> bool:
        return key in self._by_key

    def by_key(self, key: str) -> Binding | None:
        """The binding of one contact over one flow."""
        return self._by_key.get(key)

    def of_token(self, token: str) -> list[Binding]:
        """The flows of the contact that the registrar knows by this token."""
        return [self._by_key[key] for key in self._by_token.get(token, ())]

    def on_flow(self, flow: Flow) -> list[Binding]:
        """What was registered on exactly this flow."""
        return [self._by_key[key] for key in self._by_flow.get(flow, ())]

    def speaker(self, flow: Flow, request: Request) -> Binding | None:
        """Who sends a request on a flow: of the lines of one phone that of its From, or the newest.

        A proxy's flow may carry thousands, so they are not looked through.

        Raises:
            ParseError: From is malformed (400).
        """
        keys = self._by_flow.get(flow)
        if not keys:
            return None
        if len(keys) > 1:
            user = user_of(request.from_.uri)
            for key in reversed(self._by_user.get(user, {})):
                if self._by_key[key].flow == flow:
                    return self._by_key[key]
        return self._by_key[next(reversed(keys))]

    def of_user(self, user: str) -> list[Binding]:
        """What was registered for a user part, whatever its domain.

        User parts compare with case (RFC 3261 §19.1.4).
        """
        return [self._by_key[key] for key in self._by_user.get(user, ())]

    def has_source(self, flow: Flow) -> bool:
        """Whether anything is registered from the source of a flow, as sources are counted."""
        return _source(flow) in self._sources

    def sources_within(self, source: IpNetwork, networks: Iterable[str]) -> int:
        """How many sources in a prefix have something registered on some networks.

        What a single subscriber has, which strangers may have asked for, is looked up; for what
        is wider, which operators ask for, all are looked through.
        """
        single = 32 if source.version == 4 else 64
        if source.prefixlen == single:
            key = source_key(str(source.network_address))
            return sum((network, key) in self._sources for network in networks)
        within = PrefixMap([(source, True)])
        there = frozenset(networks)
        hosts = {b.flow.remote[0] for b in self if b.flow.network in there}
        return sum(within.find(host) is not None for host in hosts)

    def add(self, binding: Binding) -> None:
        """Take a binding in, in place of one with the same key; it is the newest now."""
        key = binding.key
        self.remove(key)
        self._by_key[key] = binding
        self._by_token.setdefault(binding.token, {})[key] = None
        self._by_flow.setdefault(binding.flow, {})[key] = None
        self._by_user.setdefault(binding.user, {})[key] = None
        source = _source(binding.flow)
        self._sources[source] = self._sources.get(source, 0) + 1

    def remove(self, key: str) -> Binding | None:
        """Forget a binding; None when there is none."""
        binding = self._by_key.pop(key, None)
        if binding is None:
            return None
        _discard(self._by_token, binding.token, key)
        _discard(self._by_flow, binding.flow, key)
        _discard(self._by_user, binding.user, key)
        source = _source(binding.flow)
        self._sources[source] -= 1
        if not self._sources[source]:
            del self._sources[source]
        return binding


def _source(flow: Flow) -> tuple[str, str]:
    return flow.network, source_key(flow.remote[0])


def _discard(index: dict[K, dict[str, None]], by: K, key: str) -> None:
    keys = index[by]
    del keys[key]
    if not keys:
        del index[by]
