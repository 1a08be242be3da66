"""The way back: what a server writes into a request's top Via, and where the responses go.

Spec: RFC 3261 §18.2, RFC 3581 §4, RFC 5853 §3.4 (far-end NAT traversal).
"""

from ipaddress import IPv6Address
from typing import Final

from sbc.sip.fields.via import Via
from sbc.sip.flow import Flow
from sbc.sip.grammar import replace_param
from sbc.sip.message import Request

DEFAULT_PORT: Final = 5060


def stamp_via(request: Request, flow: Flow) -> Flow:
    """Write ``received`` and ``rport`` into the top Via, and tell where responses go.

    ``received`` is written where rport is asked for (a MUST, also when it says nothing new) and
    where the sent-by host is not the source. A value that the sender put there itself is not
    believed. ``maddr`` is ignored: nobody may have our responses sent to a third address.

    Over UDP without rport the response goes to the source address, but to the sent-by port: the
    rule for a sender that knows its own address. One whose sent-by host is not the source is
    behind a NAT, where the sent-by port leads nowhere; it is answered at its source port.

    Raises:
        ParseError: 400; the top Via is malformed, which the parser would not have let in.
    """
    via = request.via
    host, port = flow.remote
    params = via.params
    asks_rport = via.has_rport
    if asks_rport:
        params = replace_param(params, "rport", str(port))
    knows_itself = is_same_host(via.host, host)
    if asks_rport or not knows_itself or via.received is not None:
        params = replace_param(params, "received", host)
        request.replace_via(Via(via.transport, via.host, via.port, params, via.protocol))
    # RFC 3581 §4 sends to the source port only where rport asks for it. A border does it for
    # every sender behind a NAT (RFC 5853 §3.4): phones that never learned rport exist, and the
    # NAT drops what comes to any other port. Nothing is lost: whoever writes an address that the
    # datagram did not come from cannot be reached at that address' port by way of the source.
    if asks_rport or flow.reliable or not knows_itself:
        return flow
    return flow._replace(remote=(host, via.port or DEFAULT_PORT))


def is_same_host(written: str, host: str) -> bool:
    """Whether a host as a peer wrote it is a numeric one as sockets give it; IPv6 has many ways."""
    if written == host:
        return True
    if ":" not in written or ":" not in host:
        return False
    try:
        return IPv6Address(written) == IPv6Address(host.partition("%")[0])
    except ValueError:
        return False
