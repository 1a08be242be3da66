"""Everything a Call can ask for. Carried out in order; a failure comes back as an event."""

from typing import NamedTuple

from media.plan import MediaPlan
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


Command = Respond | SendRequest | SendAck | Abandon | ApplyMedia | Answered | Ended | ReleasePorts
