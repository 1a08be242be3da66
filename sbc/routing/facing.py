"""What we look like on a network: the addresses that Via, Contact and URIs may name."""

from ipaddress import ip_address

from sbc.routing.model import Family, Listener, Network
from sbc.sip.flow import Flow


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


def sent_by(listener: Listener) -> str:
    """The Via sent-by of what leaves through a listener."""
    return f"{bracketed(listener.advertise)}:{listener.port}"


def contact_of(listener: Listener, user: str = "sbc") -> str:
    """Our Contact value on a listener: an address of ours and nothing else."""
    transport = ";transport=tcp" if listener.transport == "tcp" else ""
    return f"<sip:{user}@{sent_by(listener)}{transport}>"


def is_unroutable(host: str) -> bool:
    """Whether a numeric host cannot be reached across the Internet; names can."""
    try:
        return not ip_address(host).is_global
    except ValueError:
        return False
