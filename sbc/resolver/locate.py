"""RFC 3263: the questions that turn a target into places, and what follows from the answers.

`locate` is a generator: it yields questions that may be asked at once, is sent their answers in the
same order, and returns what it found. It asks one NAPTR, at most `MOST_SERVICES` SRV and then the
addresses of at most `MOST_SERVERS` servers, whatever it is answered.

Spec: RFC 3263 §4.1, §4.2; RFC 2782 ("Usage rules"); RFC 7984 §4.
"""

from collections.abc import Generator, Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from itertools import islice
from typing import Final, NamedTuple

from sbc.resolver.records import Answer, Kind, Naptr, Question, Srv
from sbc.routing.location import Located, Reach, default_transport, numeric_place
from sbc.routing.model import DEFAULT_PORTS, Family, Place, Target, TargetTransport

Locating = Generator[tuple[Question, ...], Sequence[Answer], Located]

MOST_SERVICES: Final = 6
MOST_SERVERS: Final = 16
MOST_ADDRESSES: Final = 8
"""Of one server in one family."""

_NAPTR_SERVICES: Final[dict[str, TargetTransport]] = {
    "sip+d2u": "udp",
    "sip+d2t": "tcp",
    "sips+d2t": "tls",
}
_SRV_PREFIXES: Final[dict[TargetTransport, str]] = {
    "udp": "_sip._udp",
    "tcp": "_sip._tcp",
    "tls": "_sips._tcp",
}
_ADDRESS_KINDS: Final[dict[Family, Kind]] = {4: "A", 6: "AAAA"}
_BROADCAST: Final = IPv4Address("255.255.255.255")


class _Service(NamedTuple):
    transport: TargetTransport
    name: str
    """Of its SRV records."""


def locate(target: Target, reach: Reach) -> Locating:
    """Find the places of a target that the listeners of `reach` can open flows to.

    For a ``sips:`` target let `reach` hold TLS only. Of the transports that the domain offers only
    the most preferred is used, never a lesser one because its servers fail. The addresses of one
    server stand together, the family of our first listener first.
    """
    place = numeric_place(target, reach)
    if place is not None:
        return Located((place,))
    transport = target.transport or default_transport(reach)
    if target.port is None:
        services = yield from _services(target, reach)
        found = yield from _find_servers(services)
        if isinstance(found, Located):
            return found
        if found is not None:
            return (yield from _find_addresses(*found, reach))
    port = target.port or DEFAULT_PORTS[transport]
    own = [Srv(0, 1, port, target.host)]
    return (yield from _find_addresses(transport, own, reach, named=False))


def _services(
    target: Target, reach: Reach
) -> Generator[tuple[Question, ...], Sequence[Answer], list[_Service]]:
    """The SRV names to try, best first; none when what offers them is not known."""
    host = target.host
    if target.transport is not None:
        return [_Service(target.transport, f"{_SRV_PREFIXES[target.transport]}.{host}")]
    transports = {transport for transport, _ in reach}
    [answer] = yield (Question(host, "NAPTR"),)
    if not answer.known:
        return []
    offered = _offered((one for one in answer.records if isinstance(one, Naptr)), transports)
    return offered or [
        _Service(transport, f"{prefix}.{host}")
        for transport, prefix in _SRV_PREFIXES.items()
        if transport in transports
    ]


def _offered(records: Iterable[Naptr], transports: set[TargetTransport]) -> list[_Service]:
    """The services of NAPTR records that we can use, best first."""
    found: dict[_Service, None] = {}
    for record in sorted(records, key=lambda one: (one.order, one.preference)):
        transport = _NAPTR_SERVICES.get(record.service.lower())
        if transport is None or transport not in transports or record.flags.lower() != "s":
            continue
        if record.replacement and not record.regexp:
            found.setdefault(_Service(transport, record.replacement))
    return list(found)[:MOST_SERVICES]


def _find_servers(
    services: list[_Service],
) -> Generator[
    tuple[Question, ...],
    Sequence[Answer],
    tuple[TargetTransport, list[Srv]] | Located | None,
]:
    """The servers of the best service that has any.

    Returns:
        None when no service has SRV records; why there is no place when that is known already.
    """
    if not services:
        return Located()
    answers = yield tuple(Question(service.name, "SRV") for service in services)
    declined = False
    for service, answer in zip(services, answers, strict=True):
        if not answer.known:
            # Whoever cannot tell what is best does not take what is second: that may be plain.
            return Located()
        servers = _servers(one for one in answer.records if isinstance(one, Srv))
        if servers:
            return service.transport, servers
        declined = declined or bool(answer.records)
    return Located(trouble="its SRV records say that it offers no SIP") if declined else None


def _servers(records: Iterable[Srv]) -> list[Srv]:
    """Those that are servers, best first."""
    usable = [one for one in records if one.target and one.port]
    return sorted(usable, key=lambda one: (one.priority, -one.weight))[:MOST_SERVERS]


def _find_addresses(
    transport: TargetTransport, servers: Sequence[Srv], reach: Reach, *, named: bool = True
) -> Locating:
    """The places of servers; unless `named`, they are the target's own."""
    families = [family for one, family in reach if one == transport]
    names = dict.fromkeys(server.target for server in servers)
    questions = tuple(Question(name, _ADDRESS_KINDS[f]) for name in names for f in families)
    if not questions:
        return Located(trouble=f"the network has no {transport} listener")
    answers = dict(zip(questions, (yield questions), strict=True))
    places: dict[tuple[str, int], Place] = {}
    for priority, weight, port, name in servers:
        for family in families:
            for host in _addresses(answers[Question(name, _ADDRESS_KINDS[family])], family):
                owner = name if named else ""
                place = Place(host, port, transport, priority, weight, owner)
                places.setdefault((host, port), place)
    if not places and all(answer.known for answer in answers.values()):
        kinds = " or ".join(dict.fromkeys(question.kind for question in questions))
        return Located(trouble=f"DNS has no {kinds} record of {', '.join(names)}")
    return Located(tuple(places.values()))


def _addresses(answer: Answer, family: Family) -> list[str]:
    """The addresses of machines in an answer, as they are usually written."""
    found = (ip_address(one) for one in answer.records if isinstance(one, str))
    machines = (str(one) for one in found if one.version == family and _is_of_a_machine(one))
    return list(islice(dict.fromkeys(machines), MOST_ADDRESSES))


def _is_of_a_machine(address: IPv4Address | IPv6Address) -> bool:
    if address.is_unspecified or address.is_multicast or address == _BROADCAST:
        return False
    return address.version == 4 or (address.ipv4_mapped is None and not address.is_link_local)
