"""Emergency calls: whom they call, and what of a policy does not hold for them.

They pass the limits on parsed messages, geography, toll fraud and admission, whatever those say;
who may call at all, and by which transport, is said by access control for them as for all others,
since a stranger who need only dial 112 would be no stranger any more.

Spec: RFC 5031 (``urn:service:sos``), RFC 6881 §5.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from sbc.routing.patterns import number_matches, parse_number_pattern
from sbc.sip.uri import Uri

_SERVICES: Final = ("service:sos", "service:test.sos")
"""Emergencies, and tests of the way to them, which must be the same way (RFC 6881 §17)."""


@dataclass(frozen=True, slots=True)
class Emergency:
    """What policies say of emergency calls."""

    numbers: tuple[str, ...] = ()
    """Patterns, in the form that numbers have inside."""
    countries: tuple[str, ...] = ()
    """Whose emergency numbers count; none for those that the peers are in."""

    def __or__(self, other: "Emergency") -> "Emergency":
        return Emergency(
            tuple(dict.fromkeys((*self.numbers, *other.numbers))),
            tuple(dict.fromkeys((*self.countries, *other.countries))),
        )


NO_EMERGENCY: Final = Emergency()
"""Nothing is said; the usual numbers of the peers' countries count."""


class EmergencyNumbers:
    """The numbers that policies name."""

    __slots__ = ("_patterns",)

    def __init__(self, patterns: Iterable[str] = ()) -> None:
        self._patterns = tuple(parse_number_pattern(text) for text in patterns)

    def __contains__(self, number: object) -> bool:
        return isinstance(number, str) and any(
            number_matches(pattern, number) for pattern in self._patterns
        )


def is_emergency_service(uri: Uri) -> bool:
    """Whether a URI asks for an emergency service by its name.

    Spec: RFC 5031 §4.2; names are compared without regard to case (RFC 5031 §3).
    """
    if uri.scheme != "urn":
        return False
    name = (uri.user or "").lower()
    return any(name == one or name.startswith(f"{one}.") for one in _SERVICES)
