"""What the transaction layer asks for and tells: plain values, carried out in order.

The transaction layer never calls its user (TU), it returns these.
"""

from typing import Final, Literal, NamedTuple

from sbc.sip.flow import Flow
from sbc.sip.message import Message, Request, Response

TransactionKey = str
"""Opaque to the TU; begins with ``s|`` for server and ``c|`` for client transactions."""

NO_TRANSACTION: Final[TransactionKey] = ""
"""The key of a message sent outside of any transaction, an ACK to a 2xx."""


class Transmit(NamedTuple):
    """Send `data` on `flow`."""

    flow: Flow
    data: bytes
    message: Message
    """What `data` was made from, for the journal. Not to be changed: it may be sent again."""
    again: bool
    """Whether these bytes were sent before."""
    key: TransactionKey = NO_TRANSACTION
    """The transaction that sends."""


class RequestArrived(NamedTuple):
    """A new request, never an ACK; its server transaction is live and waits for `respond`."""

    key: TransactionKey
    request: Request
    """Its top Via carries ``received`` and ``rport`` where they belong."""
    flow: Flow
    """Where it came from."""
    cancels: TransactionKey | None = None
    """For a CANCEL the INVITE server transaction that it names, live in whatever state; None when
    there is none (481) and for all other methods. Spec: RFC 3261 §9.2."""


class AckArrived(NamedTuple):
    """An ACK that ends no server transaction: to a 2xx, or a stray. It has no answer."""

    request: Request
    flow: Flow


class ResponseArrived(NamedTuple):
    """A response for a live client transaction; each 2xx to INVITE, also the repeated ones."""

    key: TransactionKey
    response: Response
    flow: Flow


class StrayResponse(NamedTuple):
    """A response that no client transaction waits for. A 2xx to INVITE may be worth an ACK and a
    BYE; all others are dropped (RFC 6026 §8.9)."""

    response: Response
    flow: Flow


class RequestFailed(NamedTuple):
    """A client transaction ended without a final response. It is gone."""

    key: TransactionKey
    why: Literal["timeout", "transport"]
    detail: str = ""
    """Of ``"transport"``: what the transport said, for whoever reads the call's story."""


class ResponseUnacknowledged(NamedTuple):
    """Timer H: nobody acknowledged the non-2xx final response to an INVITE. It is gone."""

    key: TransactionKey


class RequestRefused(NamedTuple):
    """There are too many live server transactions for this request; nothing of it was kept.

    It asks for a stateless 503 with ``Retry-After: retry_after_s``, sent to `flow`
    (RFC 3261 §8.2.7, §21.5.4), or for silence when even that is too much.
    """

    request: Request
    flow: Flow
    """Where the response goes, not where the request came from."""
    retry_after_s: int


Output = (
    Transmit
    | RequestArrived
    | AckArrived
    | ResponseArrived
    | StrayResponse
    | RequestFailed
    | ResponseUnacknowledged
    | RequestRefused
)
