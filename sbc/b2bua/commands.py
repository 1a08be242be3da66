"""Everything a Call can ask for. Carried out in order; a failure comes back as an event."""

from typing import NamedTuple

from media.plan import MediaPlan
from sbc.routing.hops import Hop
from sbc.sip.user import Abandon, Respond, SendAck, SendRequest


class ApplyMedia(NamedTuple):
    """Make the relay do what the plan says; None closes all of the call's media."""

    plan: MediaPlan | None


class Answered(NamedTuple):
    """The callee answered: the CDR begins to count."""


class Ended(NamedTuple):
    """Both legs are gone: write the CDR and forget the call."""


class ReleasePorts(NamedTuple):
    """The call needs its media ports no longer."""

    ports: tuple[tuple[str, int], ...]
    """Network and even port."""


class HopSeen(NamedTuple):
    """The INVITE to a candidate told something of the hop itself, whatever becomes of the call."""

    hop: Hop
    evidence: str
    """The response or failure that told it, for people."""
    alive: bool
    retry_after_s: int = 0
    """How long it wants to be left alone (RFC 3261 §20.33)."""


News = Answered | Ended | HopSeen
"""What is nobody's to execute but everybody's to know."""

Command = Respond | SendRequest | SendAck | Abandon | ApplyMedia | ReleasePorts | News
