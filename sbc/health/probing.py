"""The OPTIONS that asks a hop whether it is there.

Spec: RFC 3261 §11.
"""

from sbc.routing.facing import bracketed, contact_of, listener_of, sent_by, transport_param
from sbc.routing.hops import Hop
from sbc.routing.model import DEFAULT_PORTS, Network, Peer
from sbc.sip.headers import Headers
from sbc.sip.message import Request


def options(hop: Hop, peer: Peer, network: Network, ref: str, server: str | None) -> Request:
    """An OPTIONS to the server itself, with nobody's name in it.

    Args:
        ref: Its branch, whose end nobody can guess.
        server: What User-Agent says of us; None leaves it out.
    """
    flow = hop.flow
    listener = listener_of(network, flow)
    ours = sent_by(listener)
    host = bracketed(peer.domain or flow.remote[0])
    usual = peer.domain or flow.remote[1] == DEFAULT_PORTS[flow.transport]
    port = "" if usual else f":{flow.remote[1]}"
    token = ref.rpartition(".")[2]
    rport = "" if flow.reliable else ";rport"
    headers = Headers()
    headers.append("Via", f"SIP/2.0/{flow.transport.upper()} {ours};branch={ref}{rport}")
    headers.append("Max-Forwards", "70")
    headers.append("From", f"<sip:{bracketed(listener.advertise)}>;tag={token[:8]}")
    headers.append("To", f"<sip:{host}>")
    headers.append("Call-ID", token[8:])
    headers.append("CSeq", "1 OPTIONS")
    headers.append("Contact", contact_of(listener))
    headers.append("Accept", "application/sdp")
    if server:
        headers.append("User-Agent", server)
    return Request("OPTIONS", f"sip:{host}{port}{transport_param(flow.transport)}", headers)
