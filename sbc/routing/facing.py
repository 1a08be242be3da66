"""What we look like on a network, and how addresses are told apart and written."""

from ipaddress import ip_network

from sbc.prefixes import PrefixMap
from sbc.routing.model import Family, Listener, Network
from sbc.sip.flow import Flow, Transport

_PRIVATE = PrefixMap(
    (ip_network(text), True)
    for text in (
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "100.64.0.0/10",
        "169.254.0.0/16",
        "127.0.0.0/8",
        "fc00::/7",
        "fe80::/10",
        "::1/128",
    )
)


def listener_of(network: Network, flow: Flow) -> Listener:
    """The socket of ours that a flow runs over."""
    for listener in network.listeners:
        if listener.transport == flow.transport and flow.local == (listener.bind, listener.port):
            return listener
    family = family_of(flow.remote[0])
    for listener in network.listeners:
        if listener.transport == flow.transport and listener.family == family:
            return listener
    return network.listeners[0]


def family_of(host: str) -> Family:
    """4 or 6, of a numeric host."""
    return 6 if ":" in host else 4


def bracketed(host: str) -> str:
    """A host as SIP and URIs write it: IPv6 in brackets."""
    return f"[{host}]" if ":" in host else host


def host_port(host: str, port: int) -> str:
    """An address as people and SIP write it: ``host:port``, IPv6 in brackets."""
    return f"{bracketed(host)}:{port}"


def sent_by(listener: Listener) -> str:
    """The Via sent-by of what leaves through a listener."""
    return host_port(listener.advertise, listener.port)


def contact_of(listener: Listener, user: str = "sbc", scheme: str = "sip") -> str:
    """Our Contact value on a listener: an address of ours and nothing else.

    Args:
        scheme: ``"sip"``, or ``"sips"`` where that was asked for (RFC 5630 §5.1), which says TLS
            without naming it.
    """
    said = scheme == "sips" and listener.transport == "tls"
    transport = "" if said else transport_param(listener.transport)
    return f"<{scheme}:{user}@{sent_by(listener)}{transport}>"


def transport_param(transport: Transport) -> str:
    """The URI parameter that names a transport; UDP needs none.

    Secure WebSocket is ``ws`` too (RFC 7118 §5.2.2), and ``transport=tls`` is what everybody writes
    though RFC 3261 §26.2.2 deprecates it.
    """
    if transport == "udp":
        return ""
    return ";transport=" + ("ws" if transport == "wss" else transport)


def is_private(host: str) -> bool:
    """Whether an address means another machine on another network; a name does not.

    Documentation addresses are not private: examples use them for public ones.

    Spec: RFC 1918, RFC 6598, RFC 3927, RFC 4193, RFC 4291.
    """
    return _PRIVATE.find(host) is not None
