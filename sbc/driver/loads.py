"""How many calls are live at each hop: the size of a set, so that it cannot drift."""

from sbc.routing.hops import Hop


class Loads:
    """The hop that each live call went to last."""

    __slots__ = ("_calls", "_hops")

    def __init__(self) -> None:
        self._hops: dict[str, Hop] = {}
        self._calls: dict[Hop, set[str]] = {}

    def put(self, call: str, hop: Hop) -> None:
        """A call goes to a hop, and no longer to the one before."""
        self.end(call)
        self._hops[call] = hop
        self._calls.setdefault(hop, set()).add(call)

    def end(self, call: str) -> None:
        """A call is over; one that is not known is nothing to do."""
        hop = self._hops.pop(call, None)
        if hop is None:
            return
        calls = self._calls[hop]
        calls.discard(call)
        if not calls:
            del self._calls[hop]

    def calls(self, hop: Hop) -> int:
        """How many live calls went there."""
        return len(self._calls.get(hop, ()))
