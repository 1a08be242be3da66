"""What a transaction user asks for: the vocabulary of every core that speaks SIP.

Spec: RFC 3261 §5 (transaction user). A core returns these as values; the driver carries them
out in order through the transaction layer.
"""

from typing import NamedTuple

from sbc.sip.flow import Flow
from sbc.sip.message import Request, Response


class Respond(NamedTuple):
    """Answer a server transaction."""

    key: str
    """The server transaction, as the request's event named it."""
    response: Response
    side: str = ""
    """The leg it leaves to (``"a"``, ``"b"``), for the journal."""


class SendRequest(NamedTuple):
    """Start a client transaction; replies come back under `ref`."""

    ref: str
    """The branch of the request's top Via: the sender's own name for the transaction."""
    flow: Flow
    request: Request
    side: str = ""


class SendAck(NamedTuple):
    """Send an ACK to a 2xx: outside any transaction (RFC 3261 §13.2.2.4)."""

    flow: Flow
    request: Request
    side: str = ""


class Ping(NamedTuple):
    """Send a bare CRLF keep-alive on a flow (RFC 5626 §3.5.1)."""

    flow: Flow


class Abandon(NamedTuple):
    """Stop a client transaction that nobody waits for any more; nothing comes back."""

    ref: str
