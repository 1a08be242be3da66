"""The m-lines of a call and our ports for them, on each leg's network.

A line has its ports from when it is offered until the call, or an agreement without the line,
ends its use.

Spec: RFC 3264 §8 (streams come and go), RFC 5853 §3.4 (address families).
"""

from media.types import SideName
from sbc.b2bua.call import Call, MediaLine, MediaPort
from sbc.b2bua.commands import ReleasePorts
from sbc.b2bua.leg import Leg
from sbc.routing.facing import family_of
from sbc.routing.model import NetworkAddress
from sbc.sdp.description import SessionDescription
from sbc.sdp.offer_answer import NegotiationState


def reserve(call: Call, side: SideName, index: int, kind: str) -> MediaLine:
    """The call's m-line of that index, made if need be, with ports where both legs are now.

    Raises:
        PortsExhausted: no port is left on a network.
    """
    line = line_at(call, index)
    if line is None:
        line = MediaLine(index, kind, MediaPort(0, "", "", ""), MediaPort(0, "", "", ""))
        call.lines.append(line)
    line.kind = kind
    place(call, call.leg(side), line.port(side))
    if not line.a.port or not line.b.port:
        place(call, call.other(side), line.port(call.other(side).side))
    return line


def line_at(call: Call, index: int) -> MediaLine | None:
    """The call's m-line of that index, if it is in use."""
    for line in call.lines:
        if line.index == index:
            return line
    return None


def place(call: Call, leg: Leg, port: MediaPort) -> None:
    """Put a line's end where the leg is: on its network, in the family it described.

    Raises:
        PortsExhausted: no port is left on the leg's network.
    """
    network = leg.flow.network
    address = address_for(call, leg)
    if not port.port or port.network != network:
        number = call.context.ports.take(network, call.now)
        if port.port:
            call.out.append(ReleasePorts(((port.network, port.port),)))
        port.port = number
        port.network = network
    port.host = address.bind
    port.advertise = address.advertise


def drop_unused(call: Call) -> None:
    """Give back the ports of lines that no agreement uses, once nothing is pending.

    A line that a failed re-offer added, or that one leg refused or closed, is not used.
    """
    for leg in (call.a, call.b):
        if leg.negotiation.state is not NegotiationState.STABLE:
            return
    unused = [line for line in call.lines if not _is_agreed(call, line.index)]
    for line in unused:
        call.lines.remove(line)
    ports = tuple((p.network, p.port) for line in unused for p in (line.a, line.b) if p.port)
    if ports:
        call.out.append(ReleasePorts(ports))


def put_back(call: Call) -> None:
    """After a refused re-offer: every line's ends as they were."""
    drop_unused(call)
    for line in call.lines:
        for leg in (call.a, call.b):
            place(call, leg, line.port(leg.side))


def release_all(call: Call) -> None:
    """Give every port of the call back."""
    ports: dict[tuple[str, int], None] = {}
    for line in call.lines:
        for port in (line.a, line.b):
            if port.port:
                ports[port.network, port.port] = None
                port.port = 0
    if ports:
        call.out.append(ReleasePorts(tuple(ports)))


def address_for(call: Call, leg: Leg) -> NetworkAddress:
    """Our media address toward a leg: of the family it described, else of its signalling."""
    network = call.context.networks[leg.flow.network]
    described = last_heard(leg)
    if described is not None:
        for media in described.media:
            connection = described.connection_of(media)
            if connection is not None:
                address = network.media_address(6 if connection.address_type == "IP6" else 4)
                if address is not None:
                    return address
    return network.media_address(family_of(leg.flow.remote[0])) or network.media[0]


def last_heard(leg: Leg) -> SessionDescription | None:
    """The last description the leg sent, agreed or not."""
    negotiation = leg.negotiation
    if negotiation.state in (
        NegotiationState.OFFER_RECEIVED,
        NegotiationState.EARLY_ANSWER_SENT,
    ):
        return negotiation.pending_offer
    return negotiation.remote


def _is_agreed(call: Call, index: int) -> bool:
    """Whether an m-line lives in what both legs agreed on."""
    for leg in (call.a, call.b):
        for described in (leg.negotiation.agreed_local, leg.negotiation.agreed_remote):
            if described is None or index >= len(described.media):
                return False
            if described.media[index].rejected:
                return False
    return True
