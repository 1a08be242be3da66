"""The flow a message came on or leaves by.

Spec: RFC 5626 §3.3 (a flow is more than an address), RFC 3261 §18.
"""

from typing import Literal, NamedTuple, TypedDict

Transport = Literal["udp", "tcp", "tls", "ws", "wss"]

SECURED: frozenset[Transport] = frozenset({"tls", "wss"})
"""The transports that nobody on the way reads or changes."""

Address = tuple[str, int]
"""A numeric host (no brackets, IPv4-mapped IPv6 already made IPv4) and a port."""


class Flow(NamedTuple):
    """One bidirectional path between a socket of ours and one remote address.

    A dialog owns a flow, not an address: replies and in-dialog requests leave by it. Two
    datagrams from one source to one of our sockets have equal flows; a stream flow carries the
    number of its connection, so that a new connection from the same port is another flow.
    """

    network: str
    """The name of the network (configuration) that the socket belongs to."""
    transport: Transport
    local: Address
    """The address our socket is bound to, never the advertised one."""
    remote: Address
    """Where the peer's bytes come from and ours go to."""
    connection: int = 0
    """A stream's connection number, from 1; 0 for a datagram flow, and for a stream that is
    still to be opened (the transport reuses or opens one to `remote`)."""
    peer: str = ""
    """Of a TLS flow that we open: the configured peer whose certificate is demanded and whose
    TLS rules hold, so that no other peer's messages share the connection; ``""`` for all others."""

    @property
    def reliable(self) -> bool:
        """Whether the transport retransmits by itself, so that timers A, E, G need not."""
        return self.transport != "udp"


class FlowData(TypedDict):
    """A `Flow` as JSON has it."""

    network: str
    transport: Transport
    local: list[str | int]
    remote: list[str | int]
    connection: int
    peer: str


def flow_to_data(flow: Flow) -> FlowData:
    """Export a flow."""
    return {
        "network": flow.network,
        "transport": flow.transport,
        "local": list(flow.local),
        "remote": list(flow.remote),
        "connection": flow.connection,
        "peer": flow.peer,
    }


def flow_from_data(data: FlowData) -> Flow:
    """Restore a flow.

    Raises:
        KeyError, ValueError, TypeError: the data is no such export.
    """
    local, remote = _address(data["local"]), _address(data["remote"])
    network, connection = str(data["network"]), int(data["connection"])
    return Flow(network, data["transport"], local, remote, connection, str(data["peer"]))


def _address(pair: list[str | int]) -> Address:
    host, port = pair
    return str(host), int(port)
