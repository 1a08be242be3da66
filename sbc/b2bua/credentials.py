"""Our account at the peer of a leg: credentials for what we ask, and answers to its challenges.

A peer that has none of ours is challenged and answered by the other side, through us. With one,
credentials and challenges of either side stay on that side.

Spec: RFC 3261 §22.2, §22.3, §13.2.2.4 (the ACK repeats what the INVITE said), §22.1 (CANCEL is
never challenged).
"""

from sbc.b2bua.call import Call
from sbc.b2bua.leg import Exchange, Leg
from sbc.b2bua.manipulating import leave
from sbc.b2bua.table import State
from sbc.policy.topology import session_id
from sbc.sip.dialog import Dialog
from sbc.sip.headers import Headers
from sbc.sip.message import Request, Response
from sbc.sip.user import SendRequest

CHALLENGES = frozenset({401, 407})

_PROOFS = (("Authorization", "authorization"), ("Proxy-Authorization", "proxy-authorization"))


_SAID_TO_US = (
    "www-authenticate",
    "proxy-authenticate",
    "authentication-info",
    "proxy-authentication-info",
)


def branch(call: Call) -> str:
    """A new branch, marked so that a request that loops back is recognised."""
    context = call.context
    return f"z9hG4bK{context.instance}.{call.loop_mark}.{context.ids.token()}"


def via(leg: Leg, ref: str) -> str:
    """The Via value of a request of ours to a leg, with its branch."""
    # Over UDP always with rport: a peer that knows it answers to where it heard us from.
    rport = "" if leg.flow.reliable else ";rport"
    return f"SIP/2.0/{leg.flow.transport.upper()} {leg.sent_by};branch={ref}{rport}"


def prove(call: Call, leg: Leg, request: Request) -> None:
    """Give a request that is complete the credentials that its peer asked us for before.

    Those of the other side, which may have been carried over, are taken out first.
    """
    login = call.context.logins.of(leg.peer)
    if login is None:
        return
    for _, key in _PROOFS:
        request.headers.remove(key)
    login.again(request, call.context.ids.token())
    _remember(leg, request)


def hide_authentication(call: Call, origin: Leg, headers: Headers) -> None:
    """Take out of what is carried what a peer says to our account."""
    if call.context.logins.of(origin.peer) is not None:
        for name in _SAID_TO_US:
            headers.remove(name)


def build_ack(call: Call, leg: Leg, dialog: Dialog, cseq: int) -> Request:
    """The ACK to a 2xx of `leg`, with the credentials of its INVITE."""
    ack = dialog.build_ack(cseq, branch(call), leg.sent_by)
    for name, value in leg.proofs:
        ack.headers.append(name, value)
    ack.headers.append("Session-ID", session_id(call.other(leg.side).uuid, leg.uuid))
    leave(call, leg, ack)
    return ack


def kept(call: Call, leg: Leg, request: Request) -> Request | None:
    """A request that we may have to send again: if it can be cancelled or may be challenged."""
    answers = call.context.logins.of(leg.peer) is not None
    return request if request.method == "INVITE" or answers else None


def answer_challenge(call: Call, exchange: Exchange, response: Response) -> bool:
    """Send a request once more with credentials, where its peer asks for ours.

    Returns:
        False when the response is no challenge, or is not to be answered: then it is final.
    """
    leg, sent = call.leg(exchange.to), exchange.sent
    login = call.context.logins.of(leg.peer)
    if response.status not in CHALLENGES or login is None or sent is None:
        return False
    ends = call.state in (State.CANCELLING, State.ENDING)
    if exchange.cancel_wanted or (ends and exchange.method != "BYE"):
        return False
    again = Request(sent.method, sent.uri_text, sent.headers.copy(), sent.body)
    if not login.answer(again, response, call.context.ids.token(), exchange.answered):
        return False
    if leg.dialog is not None:
        exchange.cseq = leg.dialog.local_cseq = leg.dialog.local_cseq + 1
    else:
        exchange.cseq += 1
    inside = call.exchanges.pop(exchange.ref, None) is not None
    exchange.ref = branch(call)
    exchange.answered += 1
    exchange.provisional = False
    exchange.sent = again
    again.headers.set("CSeq", f"{exchange.cseq} {exchange.method}")
    again.headers.set("Via", via(leg, exchange.ref))
    if inside:
        call.exchanges[exchange.ref] = exchange
    _remember(leg, again)
    call.note("decision", f"challenged by {leg.peer}, answered as {login.username!r}", leg.side)
    call.out.append(SendRequest(exchange.ref, leg.flow, again, leg.side.value))
    return True


def refused_text(call: Call, leg: Leg, response: Response) -> str:
    """What the operator is told of a peer that refuses our account; empty when it does not."""
    login = call.context.logins.of(leg.peer)
    if login is None or response.status not in CHALLENGES:
        return ""
    return (
        f"peer {leg.peer!r} refused our account {login.username!r} with {response.status}: "
        "look at username, password and realm of its authentication"
    )


def _remember(leg: Leg, request: Request) -> None:
    """Keep what an INVITE said, for its ACK."""
    if request.method == "INVITE":
        headers = request.headers
        leg.proofs = tuple((name, value) for name, key in _PROOFS for value in headers.all(key))
