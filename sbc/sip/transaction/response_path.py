"""The way back: what a server writes into a request's top Via, and where the responses go.

Spec: RFC 3261 §18.2, RFC 3581 §4.
"""

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

    Over UDP without rport the response goes to the source address, but to the sent-by port.

    Raises:
        ParseError: 400; the top Via is malformed, which the parser would not have let in.
    """
    via = request.via
    host, port = flow.remote
    params = via.params
    asks_rport = via.has_rport
    if asks_rport:
        params = replace_param(params, "rport", str(port))
    if asks_rport or via.host != host or via.received is not None:
        params = replace_param(params, "received", host)
        request.replace_via(Via(via.transport, via.host, via.port, params, via.protocol))
    if asks_rport or flow.reliable:
        return flow
    return flow._replace(remote=(host, via.port or DEFAULT_PORT))
