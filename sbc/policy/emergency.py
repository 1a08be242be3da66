"""Emergency calls: whom they call, and what of a policy does not hold for them.

They pass the limits on parsed messages, geography, toll fraud and admission, whatever those say,
and the limits on calls as long as a phone makes not more of them at once than anybody needs;
who may call at all, and by which transport, is said by access control for them as for all others,
since a stranger who need only dial 112 would be no stranger any more.

Spec: RFC 5031 (``urn:service:sos``), RFC 6881 §5, §17.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from sbc.routing.patterns import number_matches, parse_number_pattern
from sbc.sip.uri import Uri

_SERVICES: Final = ("sos", "test.sos")
"""Emergencies, and tests of the way to them (RFC 6881 §17)."""

_USUAL: Final = MappingProxyType({"sos": "112"})
"""A test has no number unless policies name one: nobody is to be sent out for it."""

_MOST_LABELS: Final = 8
"""What a name says beyond that makes no other service of it."""


@dataclass(frozen=True, slots=True)
class Emergency:
    """What policies say of emergency calls."""

    numbers: tuple[str, ...] = ()
    """Patterns, in the form that numbers have inside."""
    countries: tuple[str, ...] = ()
    """Whose emergency numbers count; none for those that the peers are in."""
    services: tuple[tuple[str, str], ...] = ()
    """Names of services and the numbers that they call, the last one of a name."""

    def __or__(self, other: "Emergency") -> "Emergency":
        return Emergency(
            tuple(dict.fromkeys((*self.numbers, *other.numbers))),
            tuple(dict.fromkeys((*self.countries, *other.countries))),
            tuple(dict((*self.services, *other.services)).items()),
        )


NO_EMERGENCY: Final = Emergency()
"""Nothing is said; the usual numbers of the peers' countries count."""


class EmergencyNumbers:
    """The numbers that policies name."""

    __slots__ = ("_patterns", "_services")

    def __init__(self, patterns: Iterable[str] = (), services: Mapping[str, str] = _USUAL) -> None:
        self._patterns = tuple(parse_number_pattern(text) for text in patterns)
        self._services = {**_USUAL, **services}

    def __contains__(self, number: object) -> bool:
        return isinstance(number, str) and any(
            number_matches(pattern, number) for pattern in self._patterns
        )

    def serving(self, uri: Uri) -> str:
        """The number that a URI calls which names an emergency service; ``""`` if it names none.

        That of ``sos.police`` is the one of ``sos`` where it has none of its own (RFC 5031 §4.2).
        """
        if not is_emergency_service(uri):
            return ""
        labels = _service_of(uri).split(".")[:_MOST_LABELS]
        names = (".".join(labels[:count]) for count in range(len(labels), 0, -1))
        return next((self._services[name] for name in names if name in self._services), "")


USUAL_NUMBERS: Final = EmergencyNumbers()
"""Those where policies name none."""


def is_emergency_service(uri: Uri) -> bool:
    """Whether a URI asks for an emergency service by its name.

    Spec: RFC 5031 §4.2; names are compared without regard to case (RFC 5031 §3).
    """
    return uri.scheme == "urn" and is_service(_service_of(uri))


def is_service(name: str) -> bool:
    """Whether a name is that of an emergency service: ``sos``, ``sos.police``, ``test.sos``."""
    return any(name == one or name.startswith(f"{one}.") for one in _SERVICES)


def _service_of(uri: Uri) -> str:
    """The name of the service that a URN asks for, in lower case; ``""`` for none."""
    kind, _, name = (uri.user or "").lower().partition(":")
    return name if kind == "service" else ""
