"""Networks: which addresses they bind, what they advertise, and whether they collide."""

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address

from sbc.config.machine import Machine
from sbc.config.model import NetworkSection, SbcFile
from sbc.config.streams import build_websocket, may_share
from sbc.config.tls import TlsBuilder
from sbc.config.values import Listen
from sbc.document.problem import Path, Severity, did_you_mean
from sbc.document.text import Document
from sbc.prefixes import is_numeric
from sbc.routing.facing import is_private
from sbc.routing.model import Family, Keepalive, Listener, Network, NetworkAddress
from sbc.sip.flow import SECURED, Transport

_ELSEWHERE: dict[Family, str] = {4: "192.0.2.1", 6: "2001:db8::1"}
"""An address of nobody (RFC 5737, RFC 3849), so that the way to it is the default route."""


@dataclass(frozen=True, slots=True)
class _Bound:
    family: Family
    bind: str
    advertise: str
    name: str = ""
    """The host name that the address was found by; empty where an address was written."""

    def shown(self, transport: Transport) -> str:
        """What Via and Contact say: by TLS the name, which the peer finds in the certificate."""
        return self.name if self.name and transport in SECURED else self.advertise


def family_of(host: str) -> Family:
    """4 or 6, of a numeric host."""
    return 6 if ":" in host else 4


def is_unspecified(host: str) -> bool:
    """Whether a numeric host means all addresses of the machine."""
    return host in ("0.0.0.0", "::")


def same_address(first: str, second: str) -> bool:
    """Whether two bound addresses share packets: equal, or one is all of its family."""
    if family_of(first) != family_of(second):
        return False
    return first == second or is_unspecified(first) or is_unspecified(second)


def build_networks(document: Document, model: SbcFile, machine: Machine) -> tuple[Network, ...]:
    """The networks; what is wrong with them is reported in the document."""
    builder = _NetworkBuilder(document, model, machine)
    networks = tuple(builder.network(name) for name in model.networks)
    _check_listeners(document, model, networks)
    _check_media_ports(document, networks)
    return networks


class _NetworkBuilder:
    __slots__ = ("_document", "_interfaces", "_machine", "_model", "_tls")

    def __init__(self, document: Document, model: SbcFile, machine: Machine) -> None:
        self._document = document
        self._model = model
        self._machine = machine
        self._interfaces = machine.interfaces()
        self._tls = TlsBuilder(document, machine.clock())

    def network(self, name: str) -> Network:
        section = self._model.networks[name]
        path: Path = ("networks", name)
        binds = self._binds(section, path)
        bound = self._bound(name, section, binds)
        media: dict[Family, NetworkAddress] = {}
        for one in bound:
            media.setdefault(one.family, NetworkAddress(one.family, one.bind, one.advertise))
        return Network(
            name=name,
            listeners=tuple(
                Listener(
                    listen.transport,
                    one.family,
                    one.bind,
                    listen.port,
                    one.shown(listen.transport),
                )
                for listen in section.listen
                for one in bound
            ),
            media=tuple(media.values()),
            media_ports=(section.media_ports.low, section.media_ports.high),
            trusted=section.trust == "trusted",
            media_dscp=section.dscp.media,
            signalling_dscp=section.dscp.signalling,
            keepalive=Keepalive(section.keepalive.method, section.keepalive.interval),
            tls=self._tls.network(
                section.tls,
                path,
                {listen.transport for listen in section.listen},
                tuple(one for one in section.advertise if one != "auto" and not is_numeric(one)),
            ),
            websocket=build_websocket(
                self._document,
                section.websocket,
                path,
                {listen.transport for listen in section.listen},
            ),
            where=self._document.place(path, key=True).where,
        )

    def _binds(self, section: NetworkSection, path: Path) -> tuple[str, ...]:
        if section.interface and section.bind:
            self._document.report(
                (*path, "interface"), "both bind and interface are given", "remove one", key=True
            )
        if section.interface:
            return self._of_interfaces(section.interface, path)
        binds = section.bind or ("0.0.0.0",)
        ours = {address for addresses in self._interfaces.values() for address in addresses}
        for number, bind in enumerate(binds):
            if is_unspecified(bind) or bind in ours or bind.startswith("127."):
                continue
            self._document.report(
                self._entry((*path, "bind"), number),
                f"{bind} is not an address of this machine",
                f"its addresses: {', '.join(sorted(ours)) or 'none'}",
            )
        for number, bind in enumerate(binds):
            if bind in binds[:number]:
                self._document.report(self._entry((*path, "bind"), number), f"{bind} is repeated")
        return tuple(dict.fromkeys(binds))

    def _of_interfaces(self, names: tuple[str, ...], path: Path) -> tuple[str, ...]:
        binds: list[str] = []
        for number, name in enumerate(names):
            place = self._entry((*path, "interface"), number)
            if name not in self._interfaces:
                self._document.report(
                    place,
                    f"this machine has no interface {name!r}",
                    did_you_mean(name, self._interfaces, "interfaces"),
                )
            elif not self._interfaces[name]:
                self._document.report(place, f"the interface {name!r} has no address")
            else:
                binds += self._interfaces[name]
        return tuple(dict.fromkeys(binds))

    def _bound(
        self, name: str, section: NetworkSection, binds: tuple[str, ...]
    ) -> tuple[_Bound, ...]:
        path: Path = ("networks", name, "advertise")
        families = {family_of(bind) for bind in binds}
        explicit = self._explicit(section, families, path)
        bound: list[_Bound] = []
        for bind in binds:
            family = family_of(bind)
            advertise, known_as = explicit.get(family) or (self._automatic(name, bind), "")
            if advertise is None:
                self._document.report(
                    path,
                    f"no IPv{family} address of this machine is left to advertise for {bind}",
                    "write the address, or do not bind this family",
                )
                continue
            bound.append(_Bound(family, bind, advertise, known_as))
        self._warn_of_advertised(section, bound, path)
        return tuple(bound)

    def _explicit(
        self, section: NetworkSection, families: set[Family], path: Path
    ) -> dict[Family, tuple[str, str]]:
        """Written addresses by family, each with its name if that was written; `auto` is none."""
        explicit: dict[Family, tuple[str, str]] = {}
        for number, text in enumerate(section.advertise):
            if text == "auto":
                continue
            place = self._entry(path, number)
            addresses = (text,) if is_numeric(text) else self._machine.resolve(text)
            if not addresses:
                self._document.report(
                    place, f"{text!r} does not resolve", "write an address, or auto"
                )
            usable = [address for address in addresses if family_of(address) in families]
            if addresses and not usable:
                self._document.report(
                    place,
                    f"{text} is IPv{family_of(addresses[0])}, which is not bound here",
                    "bind an address of that family, for example :: or 0.0.0.0",
                )
            for address in usable:
                if is_unspecified(address):
                    self._document.report(
                        place, f"nobody can reach {address}", "write auto, or an address"
                    )
                known_as = "" if is_numeric(text) else text
                explicit.setdefault(family_of(address), (address, known_as))
        return explicit

    def _automatic(self, name: str, bind: str) -> str | None:
        """The bound address, or the one from which the network's peers are reached."""
        if not is_unspecified(bind):
            return bind
        family = family_of(bind)
        for peer in self._model.peers.values():
            if peer.network == name:
                for entry in peer.address:
                    found = self._towards(entry.address.host, family)
                    if found is not None:
                        return found
        return self._machine.address_towards(_ELSEWHERE[family]) or self._any_address(family)

    def _towards(self, host: str, family: Family) -> str | None:
        addresses = (host,) if is_numeric(host) else self._machine.resolve(host)
        for address in addresses:
            if family_of(address) == family and not is_unspecified(address):
                return self._machine.address_towards(address)
        return None

    def _any_address(self, family: Family) -> str | None:
        """An address for a machine without default route; loopback if there is no other."""
        ours = [
            address
            for addresses in self._interfaces.values()
            for address in addresses
            if family_of(address) == family
        ]
        ours.sort(key=lambda address: ip_address(address).is_loopback)
        return ours[0] if ours else None

    def _warn_of_advertised(
        self, section: NetworkSection, bound: Iterable[_Bound], path: Path
    ) -> None:
        warned: set[str] = set()
        for one in bound:
            if one.advertise in warned:
                continue
            if not section.advertise and is_unspecified(one.bind):
                warned.add(one.advertise)
                self._document.report(
                    path[:-1],
                    f"{one.bind} cannot be advertised; {one.advertise} is taken",
                    f"write advertise: auto, or advertise: {one.advertise}, or the public address",
                    severity=Severity.WARNING,
                    key=True,
                )
            elif section.trust == "untrusted" and is_private(one.advertise):
                warned.add(one.advertise)
                self._document.report(
                    path,
                    f"{one.advertise} is a private address: phones and trunks beyond this "
                    "network cannot reach it",
                    "behind a 1:1 NAT write the public address; in a LAN this is fine",
                    severity=Severity.WARNING,
                    key="advertise" not in section.model_fields_set,
                )

    def _entry(self, path: Path, number: int) -> Path:
        """The path of a list entry, or of the scalar that stands for a list of one."""
        return (*path, number) if (*path, number) in self._document.values else path


def _check_listeners(document: Document, model: SbcFile, networks: tuple[Network, ...]) -> None:
    """Complain about two listeners on one socket address."""
    taken: list[tuple[str, Listener]] = []
    reported: set[Path] = set()
    for network in networks:
        for listener in network.listeners:
            for other, before in taken:
                path = _listen_path(document, model, network.name, listener)
                same_network = other == network.name
                if same_network and may_share(before, listener):
                    continue
                if path not in reported and _collide(before, listener):
                    reported.add(path)
                    line = document.place(("networks", other), key=True).line
                    document.report(
                        path,
                        f"{listener.transport}/{listener.port} on {listener.bind} is taken by "
                        f"network {other!r} (line {line})",
                        "plain and TLS transports need ports of their own"
                        if same_network and before.transport != listener.transport
                        else "give one of them another port or another address to bind",
                    )
            taken.append((network.name, listener))


def _collide(first: Listener, second: Listener) -> bool:
    return (
        (first.transport == "udp") == (second.transport == "udp")
        and first.port == second.port
        and same_address(first.bind, second.bind)
    )


def _listen_path(document: Document, model: SbcFile, network: str, listener: Listener) -> Path:
    listen: Path = ("networks", network, "listen")
    wanted = Listen(listener.transport, listener.port)
    numbers = [
        number
        for number, entry in enumerate(model.networks[network].listen)
        if entry == wanted and (*listen, number) in document.values
    ]
    return (*listen, numbers[-1]) if numbers else listen


def _check_media_ports(document: Document, networks: tuple[Network, ...]) -> None:
    """Complain about media ports that two networks share, or that a listener has."""
    for number, network in enumerate(networks):
        path: Path = ("networks", network.name, "media_ports")
        low, high = network.media_ports
        for other in networks[:number]:
            other_low, other_high = other.media_ports
            if low <= other_high and other_low <= high and _share_media(network, other):
                document.report(
                    path,
                    f"{low}-{high} overlaps {other_low}-{other_high} of network {other.name!r} on "
                    "the same address",
                    f"for example: {_free_range(networks)}",
                )
        for other in networks:
            for listener in other.listeners:
                if _in_media(network, listener):
                    document.report(
                        path,
                        f"{low}-{high} holds the port of listener "
                        f"{listener.transport}/{listener.port} of network {other.name!r}",
                        "leave the SIP ports out of the range",
                    )


def _share_media(first: Network, second: Network) -> bool:
    return any(same_address(a.bind, b.bind) for a in first.media for b in second.media)


def _in_media(network: Network, listener: Listener) -> bool:
    low, high = network.media_ports
    return (
        listener.transport == "udp"
        and low <= listener.port <= high
        and any(same_address(address.bind, listener.bind) for address in network.media)
    )


def _free_range(networks: tuple[Network, ...]) -> str:
    """A range of ten thousand ports that no network uses."""
    for low in (30000, 20000, 40000, 10000, 50000):
        if all(
            network.media_ports[1] < low or low + 9999 < network.media_ports[0]
            for network in networks
        ):
            return f"{low}-{low + 9999}"
    return "a range that is in no other network"
