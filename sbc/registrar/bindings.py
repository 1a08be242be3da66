"""The bindings of one process, and the ways to find one.

Every question is one dictionary lookup, so that none of them grows with the number of phones.
"""

from collections.abc import Hashable, Iterator
from typing import TypeVar

from sbc.prefixes import source_key
from sbc.registrar.binding import Binding
from sbc.sip.flow import Flow

K = TypeVar("K", bound=Hashable)


class Bindings:
    """Bindings by token, flow, user and source; the oldest first everywhere."""

    __slots__ = ("_by_flow", "_by_token", "_by_user", "_sources")

    def __init__(self) -> None:
        self._by_token: dict[str, Binding] = {}
        self._by_flow: dict[Flow, dict[str, None]] = {}
        self._by_user: dict[str, dict[str, None]] = {}
        self._sources: dict[tuple[str, str], int] = {}

    def __len__(self) -> int:
        return len(self._by_token)

    def __iter__(self) -> Iterator[Binding]:
        return iter(list(self._by_token.values()))

    def __contains__(self, token: object) -> bool:
        return token in self._by_token

    def by_token(self, token: str) -> Binding | None:
        """The binding that the registrar knows by this token."""
        return self._by_token.get(token)

    def on_flow(self, flow: Flow) -> list[Binding]:
        """What was registered on exactly this flow."""
        return [self._by_token[token] for token in self._by_flow.get(flow, ())]

    def of_user(self, user: str) -> list[Binding]:
        """What was registered for a user part, whatever its domain.

        User parts compare with case (RFC 3261 §19.1.4).
        """
        return [self._by_token[token] for token in self._by_user.get(user, ())]

    def has_source(self, flow: Flow) -> bool:
        """Whether anything is registered from the source of a flow, as sources are counted."""
        return _source(flow) in self._sources

    def add(self, binding: Binding) -> None:
        """Take a binding in, in place of one with the same token; it is the newest now."""
        self.remove(binding.token)
        token = binding.token
        self._by_token[token] = binding
        self._by_flow.setdefault(binding.flow, {})[token] = None
        self._by_user.setdefault(binding.user, {})[token] = None
        source = _source(binding.flow)
        self._sources[source] = self._sources.get(source, 0) + 1

    def remove(self, token: str) -> Binding | None:
        """Forget a binding; None when there is none."""
        binding = self._by_token.pop(token, None)
        if binding is None:
            return None
        _discard(self._by_flow, binding.flow, token)
        _discard(self._by_user, binding.user, token)
        source = _source(binding.flow)
        self._sources[source] -= 1
        if not self._sources[source]:
            del self._sources[source]
        return binding


def _source(flow: Flow) -> tuple[str, str]:
    return flow.network, source_key(flow.remote[0])


def _discard(index: dict[K, dict[str, None]], key: K, token: str) -> None:
    tokens = index[key]
    del tokens[token]
    if not tokens:
        del index[key]
