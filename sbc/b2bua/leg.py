"""One side of a call: its dialog, its negotiation, and the requests under way on it."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum

from media.types import SideName
from sbc.policy.presentation import AS_PRESENTED, Presentation
from sbc.routing.model import MediaRules
from sbc.sdp.offer_answer import Negotiation
from sbc.sip.dialog import Dialog
from sbc.sip.flow import SECURED, Flow
from sbc.sip.message import Request, Response


class LegState(Enum):
    """How far a leg is on its way out."""

    OPEN = "open"
    """Nothing was said about ending."""
    BYE_DEFERRED = "bye deferred"
    """A BYE waits for the ACK to our 2xx (RFC 3261 §15)."""
    BYE_SENT = "bye sent"
    DONE = "done"
    """Nothing more is expected from this leg."""


@dataclass(slots=True)
class Leg:
    """One dialog of a call and what is needed to speak in it."""

    side: SideName
    flow: Flow
    peer: str
    """Configured name of the peer; ``""`` when it is none."""
    our_host: str
    """The host that identifies callers toward this leg (From of what we send)."""
    their_host: str
    """The host that identifies this leg's own users (To and Request-URI of what we send)."""
    contact: str
    """Our Contact header value."""
    sent_by: str
    """Our Via sent-by."""
    rules: MediaRules
    uuid: str
    """RFC 7989 identifier of the endpoint on this leg; the null UUID while unknown."""
    local_tag: str
    """Our tag in this leg's dialogs: how later requests find the call."""
    call_id: str = ""
    """Call-ID of this leg's dialogs."""
    trusted: bool = False
    """Whether its peer is in our trust domain: identity headers cross only between such."""
    registered: str = ""
    """The user that it registered, where it is a phone that did."""
    presentation: Presentation = AS_PRESENTED
    """How policy has its user presented to the other leg."""
    negotiation: Negotiation = field(default_factory=Negotiation)
    dialog: Dialog | None = None
    state: LegState = LegState.OPEN
    proofs: tuple[tuple[str, str], ...] = ()
    """Headers with credentials that our last INVITE had: its ACK has them too (RFC 3261 §22.1)."""

    @property
    def private(self) -> bool:
        """Whether nobody on the way can read what is said on it."""
        return self.flow.transport in SECURED

    def secrets(self) -> Iterable[str]:
        """Addresses, hosts and identifiers of this leg that the other must not see."""
        yield self.flow.remote[0]
        yield self.sent_by.rpartition(":")[0].strip("[]")
        yield self.their_host
        yield self.local_tag
        if self.dialog is not None:
            yield self.dialog.remote_tag
        for described in (self.negotiation.remote, self.negotiation.pending_offer):
            if described is not None:
                yield described.origin.address
                for media in described.media:
                    yield described.address_of(media)


@dataclass(slots=True)
class Exchange:
    """A request that we sent to one leg, mostly because the other leg asked."""

    ref: str
    """Branch of our request."""
    method: str
    to: SideName
    """The leg our request went to."""
    cseq: int
    """CSeq number we used, for the ACK."""
    key: str = ""
    """Server transaction on the asking leg; ``""`` when we ask on our own account."""
    request: Request | None = None
    """What the asking leg sent, to build its responses from."""
    offers: bool = False
    """Whether our request carried an offer."""
    late: bool = False
    """An INVITE without offer: the 2xx brings it and the ACK answers it."""
    provisional: bool = False
    """Whether a provisional response came, so that CANCEL is allowed (RFC 3261 §9.1)."""
    final: bool = False
    """Whether a final response came, or none ever will."""
    cancel_wanted: bool = False
    cancel_sent: bool = False
    cancel_reason: str | None = None
    """Reason header of the CANCEL: why whoever gave up did so (RFC 3326)."""
    sent: Request | None = None
    """Our request, kept while it can be cancelled, which copies from it, or may be challenged."""
    answered: int = 0
    """How often it was sent again as the answer to a challenge."""


@dataclass(slots=True)
class AckWait:
    """A 2xx of ours to an INVITE that is repeated until its ACK comes (RFC 3261 §13.3.1.4)."""

    key: str
    response: Response
    cseq: int
    next_at: float
    interval_s: float
    give_up_at: float
    late_ref: str = ""
    """For a late offer: the exchange on the other leg whose ACK carries the answer."""


@dataclass(slots=True)
class PassedOver:
    """A candidate that showed no sign of ringing, while another one is tried."""

    leg: Leg
    invite: Exchange
    """Our INVITE to it, cancelled; it may be answered all the same (RFC 3261 §9.1)."""
    give_up_at: float | None = None
    """When its final response is waited for no longer; None while the transaction sees to that."""
    ack: Request | None = None
    """To its 2xx, if one came; repeated when that is."""
    bye_ref: str = ""
    """Branch of the BYE that followed."""
    done: bool = False
    """Whether nothing more is expected of it."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A final response of a candidate, and the leg it came from."""

    response: Response
    leg: Leg


@dataclass(slots=True)
class Fork:
    """Another 2xx to our first INVITE, from another UAS: acknowledged and ended (§13.2.2.4)."""

    remote_tag: str
    ack: Request
