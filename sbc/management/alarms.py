"""The recent alarms: what the log told at warning or above, kept for whoever looks later.

Of each kind of event the newest are kept, so that no flood of one hides the others.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

KEPT_OF_ONE = 25
"""Alarms of one kind that are kept; older ones are only counted."""
MOST_KINDS = 100


@dataclass(slots=True)
class _Kind:
    newest: deque[dict[str, object]] = field(default_factory=lambda: deque(maxlen=KEPT_OF_ONE))
    count: int = 0


class Alarms:
    """What an operator should look at. Bounded."""

    __slots__ = ("_kinds",)

    def __init__(self) -> None:
        self._kinds: dict[str, _Kind] = {}

    @property
    def counts(self) -> dict[str, int]:
        """How often each kind of event was told since the start."""
        return {event: kind.count for event, kind in self._kinds.items()}

    def note(self, at: float, level: str, event: str, fields: Mapping[str, object]) -> None:
        """Keep an alarm.

        Args:
            at: Seconds since 1970.
            event: Words of our own.
            fields: What JSON can carry, without tracebacks.
        """
        kind = self._kinds.get(event)
        if kind is None:
            if len(self._kinds) >= MOST_KINDS:
                return
            kind = self._kinds[event] = _Kind()
        kind.count += 1
        kind.newest.append({"at": at, "level": level, "event": event, "fields": dict(fields)})

    def listing(self) -> list[dict[str, object]]:
        """The alarms that are kept, oldest first."""
        kept = [alarm for kind in self._kinds.values() for alarm in kind.newest]
        return sorted(kept, key=lambda alarm: float(str(alarm["at"])))
