"""Peers: where they are, who they are taken for, and what is too generous."""

from sbc.config.authentication import ReadText, build_authentication, check_realms
from sbc.config.balancing import check_balance, check_health, sharing_of, targets_of
from sbc.config.identity import build_identity
from sbc.config.machine import Machine
from sbc.config.media import build_media
from sbc.config.model import PeerSection, SbcFile
from sbc.config.networks import family_of, is_unspecified
from sbc.config.numbers import build_numbers
from sbc.config.registration import build_registration
from sbc.config.responses import build_responses
from sbc.config.tls import TlsBuilder
from sbc.config.trunks import build_registering, check_contacts
from sbc.document.problem import Path, Severity, did_you_mean
from sbc.document.text import Document
from sbc.prefixes import IpNetwork, single_host
from sbc.routing.model import DEFAULT_PORTS, Limits, Network, Peer, Target

_WIDE = {4: 8, 6: 16}
"""Prefixes shorter than this hold whole regions of the Internet."""


def build_peers(
    document: Document,
    model: SbcFile,
    networks: tuple[Network, ...],
    machine: Machine,
    read: ReadText,
) -> tuple[Peer, ...]:
    """The peers; what is wrong with them is reported in the document.

    Args:
        read: reads a file of users; raises OSError or ValueError.
    """
    builder = _PeerBuilder(document, model, networks, machine, read)
    peers = tuple(builder.peer(name, section) for name, section in model.peers.items())
    _check_sources_differ(document, peers)
    _check_endpoints_differ(document, peers)
    check_realms(document, peers)
    check_contacts(document, peers)
    return peers


class _PeerBuilder:
    __slots__ = ("_document", "_model", "_networks", "_ours", "_read", "_srtp", "_tls")

    def __init__(
        self,
        document: Document,
        model: SbcFile,
        networks: tuple[Network, ...],
        machine: Machine,
        read: ReadText,
    ) -> None:
        self._document = document
        self._read = read
        self._model = model
        self._networks = {network.name: network for network in networks}
        self._srtp = machine.srtp(model.media.engine == "native")
        self._ours = {host for hosts in machine.interfaces().values() for host in hosts}
        self._tls = TlsBuilder(document, machine.clock())

    def peer(self, name: str, section: PeerSection) -> Peer:
        path: Path = ("peers", name)
        if name in self._model.networks:
            self._document.report(
                path,
                f"{name!r} is the name of a network too, so a route could mean either",
                "give one of them another name",
                key=True,
            )
        network = self._networks.get(section.network)
        if network is None:
            self._document.report(
                (*path, "network"),
                f"there is no network {section.network!r}",
                did_you_mean(section.network, self._networks, "networks"),
            )
        targets = targets_of(section.address)
        if section.kind == "endpoints":
            self._check_endpoints(section, path)
        else:
            self._check_addressed(section, path, network, targets)
        check_balance(self._document, path, section, [t.rank for t in targets], "address")
        check_health(self._document, path, section.health)
        account, realm = build_authentication(
            self._document,
            (*path, "authentication"),
            section.authentication,
            kind=section.kind,
            domain=section.domain,
            read=self._read,
        )
        registering = None
        if section.register_ is not None:
            registering = build_registering(
                self._document,
                (*path, "register"),
                section.register_,
                kind=section.kind,
                targets=targets,
                domain=section.domain,
                account=account,
            )
        return Peer(
            name=name,
            kind=section.kind,
            network=section.network,
            targets=targets,
            sources=section.sources or _numeric_sources(targets),
            sources_given=bool(section.sources),
            # What we register as is who our callers are there, and whom they call.
            domain=section.domain or (registering.domain if registering is not None else None),
            media=build_media(
                self._document,
                section.media,
                self._srtp,
                (*path, "media"),
                kind=section.kind,
                network=network,
                targets=targets,
            ),
            limits=Limits(
                max_calls=section.limits.max_calls,
                calls_per_second=section.limits.calls_per_second,
                burst=section.limits.burst,
                max_kbps=section.limits.max_kbps,
            ),
            registration=build_registration(
                self._document,
                (*path, "registration"),
                section.registration,
                kind=section.kind,
                challenged=realm is not None,
            ),
            account=account,
            realm=realm,
            numbers=build_numbers(self._document, section.numbers, (*path, "numbers")),
            identity=build_identity(
                self._document, section.identity, section.kind, network, (*path, "identity")
            ),
            repairs=frozenset(section.repair),
            responses=build_responses(self._document, section.responses, (*path, "responses")),
            tls=None
            if section.kind == "endpoints"
            else self._tls.peer(section.tls, path, network, section.domain, targets),
            balance=sharing_of(section),
            failover=section.failover.rule(),
            health=section.health.rule(),
            registering=registering,
            where=self._document.place(path, key=True).where,
        )

    def _check_endpoints(self, section: PeerSection, path: Path) -> None:
        for key in ("address", "sources", "tls", "balance", "health"):
            if key in section.model_fields_set:
                self._document.report(
                    (*path, key),
                    f"phones are known by their registration, not by {key}",
                    "remove it; to restrict where phones come from, write a policy rule",
                    key=True,
                )

    def _check_addressed(
        self,
        section: PeerSection,
        path: Path,
        network: Network | None,
        targets: tuple[Target, ...],
    ) -> None:
        proves_itself = (
            section.authentication.identify == "credentials"
            or section.tls.client_certificate == "required"
        )
        if not section.address and not section.sources and not proves_itself:
            self._document.report(
                (*path, "address"),
                f"a {section.kind} needs an address",
                "for example: address: 192.0.2.10:5060",
                key=True,
            )
        for number, source in enumerate(section.sources):
            self._check_width(self._entry((*path, "sources"), number), source)
        for number, target in enumerate(targets):
            place = self._entry((*path, "address"), number)
            if is_unspecified(target.host):
                self._document.report(place, f"{target.host} is the address of no machine")
            elif network is not None and network.listeners:
                self._check_target(place, target, network)
        if targets and all(target.drain for target in targets):
            self._document.report(
                (*path, "address"),
                "every target is being drained, so no call goes there",
                "remove drain from one of them",
                key=True,
                severity=Severity.WARNING,
            )

    def _check_width(self, path: Path, source: IpNetwork) -> None:
        if source.prefixlen == 0:
            self._document.report(
                path,
                f"{source} would make the whole Internet this peer",
                "write the addresses that the peer really sends from",
            )
        elif source.prefixlen < _WIDE[source.version]:
            self._document.report(
                path,
                f"{source} is very wide: everybody in it is this peer",
                "write the addresses that the peer really sends from",
                severity=Severity.WARNING,
            )

    def _check_target(self, path: Path, target: Target, network: Network) -> None:
        line = self._document.place(("networks", network.name), key=True).line
        transports = {listener.transport for listener in network.listeners}
        transport = target.transport or "udp"
        is_open = target.port is None and target.transport is None
        if is_open and single_host(target.host) is None and transports & {"udp", "tcp", "tls"}:
            return
        if transport not in transports:
            self._document.report(
                path,
                f"network {network.name!r} (line {line}) has no {transport} listener to "
                "reach it from",
                f"add {transport}/{DEFAULT_PORTS[transport]} to its listen, or change transport=",
            )
        if single_host(target.host) is None:
            return
        family = family_of(target.host)
        if all(one.family != family for one in network.listeners):
            self._document.report(
                path,
                f"{target.host} is IPv{family}, which network {network.name!r} (line {line}) "
                "does not bind",
                f"bind: [{', '.join(one.bind for one in network.media)}, "
                f"{'::' if family == 6 else '0.0.0.0'}]",
            )
        self._check_not_ourselves(path, target)

    def _check_not_ourselves(self, path: Path, target: Target) -> None:
        transport = target.transport or "udp"
        port = target.port or DEFAULT_PORTS[transport]
        here = target.host in self._ours or target.host.startswith("127.")
        for network in self._networks.values():
            for listener in network.listeners:
                if (listener.transport, listener.port) != (transport, port):
                    continue
                everywhere = is_unspecified(listener.bind) and here
                if target.host in (listener.bind, listener.advertise) or everywhere:
                    self._document.report(
                        path,
                        f"{target.host}:{port} is this SBC itself: network "
                        f"{network.name!r} listens there",
                        "write the address of the peer, or move the listener to another port",
                    )
                    return

    def _entry(self, path: Path, number: int) -> Path:
        return (*path, number) if (*path, number) in self._document.values else path


def _numeric_sources(targets: tuple[Target, ...]) -> tuple[IpNetwork, ...]:
    """The addresses of targets that are numeric, each once."""
    found = (single_host(target.host) for target in targets)
    return tuple(dict.fromkeys(source for source in found if source is not None))


def _check_sources_differ(document: Document, peers: tuple[Peer, ...]) -> None:
    """Warn of a source that two peers of one network claim."""
    claimed: dict[tuple[str, IpNetwork], Peer] = {}
    for peer in peers:
        for source in peer.sources:
            first = claimed.setdefault((peer.network, source), peer)
            if first is not peer:
                key = "sources" if peer.sources_given else "address"
                document.report(
                    ("peers", peer.name, key),
                    f"requests from {source} are taken for peer {first.name!r}, which comes first",
                    "peers on one network need addresses that differ",
                    severity=Severity.WARNING,
                )


def _check_endpoints_differ(document: Document, peers: tuple[Peer, ...]) -> None:
    """Complain about groups of phones that nothing tells apart."""
    claimed: dict[tuple[str, str | None], Peer] = {}
    for peer in peers:
        if peer.kind != "endpoints":
            continue
        first = claimed.setdefault((peer.network, peer.domain), peer)
        if first is not peer:
            document.report(
                ("peers", peer.name),
                f"nothing tells its phones from those of {first.name!r} on the same network",
                "give each a domain of its own",
                key=True,
            )
