"""Which pages may bring browsers to a network.

Spec: RFC 6455 §10.2 (Origin), RFC 6454 §7; RFC 7118 §7.
"""

from dataclasses import dataclass

ANY_ORIGIN = "*"


@dataclass(frozen=True, slots=True)
class WebSocketRules:
    """What a network asks of the HTTP request that begins a WebSocket."""

    origins: tuple[str, ...]
    """``"https://phones.example.com"``: scheme, host and, if it is not the scheme's own, port, in
    lower case; or `ANY_ORIGIN`."""

    def allows(self, origin: str) -> bool:
        """Whether a page of this origin may.

        A browser always says what page it acts for, and that page cannot change it: that is what
        the list is for. Any other client can say what it likes, or nothing.
        """
        return ANY_ORIGIN in self.origins or origin.lower() in self.origins
