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
_WEIGHT_SCALE: Final = 100
"""So that what several addresses share, and the least weight, remain whole numbers."""


class _Service(NamedTuple):
    transport: TargetTransport
    name: str
    """Of its SRV records."""


class _Server(NamedTuple):
    rank: int
    weight: int
    """0 of a server that has none but the default."""
    port: int
    name: str


def locate(target: Target, reach: Reach) -> Locating:
    """Find the places of a target that the listeners of `reach` can open flows to.

    For a ``sips:`` target let `reach` hold TLS only. Of the transports that the domain offers only
    the most preferred is used, never a lesser one because its servers fail. Weights are those of
    SRV times 100, shared by the addresses of one server, and at least 1 (RFC 2782: weight 0 is a
    small chance, not none).
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
    return (yield from _find_addresses(transport, [_Server(0, 0, port, target.host)], reach))


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
    tuple[TargetTransport, list[_Server]] | Located | None,
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


def _servers(records: Iterable[Srv]) -> list[_Server]:
    """Best first, with ranks 0, 2, 4 … in place of priorities."""
    usable = [one for one in records if one.target and one.port]
    usable.sort(key=lambda one: (one.priority, -one.weight))
    kept = usable[:MOST_SERVERS]
    ranks = {priority: 2 * n for n, priority in enumerate(dict.fromkeys(k.priority for k in kept))}
    return [
        _Server(ranks[one.priority], max(1, one.weight * _WEIGHT_SCALE), one.port, one.target)
        for one in kept
    ]


def _find_addresses(transport: TargetTransport, servers: list[_Server], reach: Reach) -> Locating:
    """The places of servers: of each one family first, and the other behind those of its rank."""
    families = [family for one, family in reach if one == transport]
    names = dict.fromkeys(server.name for server in servers)
    questions = tuple(Question(name, _ADDRESS_KINDS[f]) for name in names for f in families)
    if not questions:
        return Located(trouble=f"the network has no {transport} listener")
    answers = dict(zip(questions, (yield questions), strict=True))
    places: dict[tuple[str, int], Place] = {}
    for server in servers:
        by_family = [
            _addresses(answers[Question(server.name, _ADDRESS_KINDS[family])], family)
            for family in families
        ]
        for behind, hosts in enumerate(hosts for hosts in by_family if hosts):
            weight = max(1, server.weight // len(hosts))
            for host in hosts:
                place = Place(host, server.port, transport, server.rank + behind, weight)
                places.setdefault((host, server.port), place)
    if not places and all(answer.known for answer in answers.values()):
        kinds = " or ".join(dict.fromkeys(question.kind for question in questions))
        return Located(trouble=f"DNS has no {kinds} record of {', '.join(names)}")
    best_first = sorted(places.values(), key=lambda one: (one.priority, -one.weight))
    return Located(tuple(best_first))


def _addresses(answer: Answer, family: Family) -> list[str]:
    """The addresses of machines in an answer, as they are usually written."""
    found = (ip_address(one) for one in answer.records if isinstance(one, str))
    machines = (str(one) for one in found if one.version == family and _is_of_a_machine(one))
    return list(islice(dict.fromkeys(machines), MOST_ADDRESSES))


def _is_of_a_machine(address: IPv4Address | IPv6Address) -> bool:
    if address.is_unspecified or address.is_multicast or address == _BROADCAST:
        return False
    return address.version == 4 or (address.ipv4_mapped is None and not address.is_link_local)
