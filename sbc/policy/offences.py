"""What strangers do that nobody who wants to telephone does: kinds, reasons, and what was seen.

The kinds are those that intrusion detection in borders counts by; each reason is a counter, and
what one case of it adds to a score is a setting.

Spec: RFC 5853 §3.1.1 (denial of service), §3.5 (access control).
"""

from enum import Enum
from typing import Final, NamedTuple

from sbc.sip.flow import Flow


class Offence(Enum):
    """A reason to think ill of a source; the value is ``"kind: reason"``."""

    SLOW_STREAM = "connection abuse: no whole message in time"
    STREAM_RATE = "connection abuse: too much too fast"
    FAILED_HANDSHAKE = "connection abuse: the TLS handshake failed"
    NOT_SIP = "malformed message: not SIP"
    MALFORMED = "malformed message: a header is broken"
    OVERSIZE = "malformed message: too long"
    UNKNOWN_USER = "authentication failure: unknown user"
    WRONG_PASSWORD = "authentication failure: wrong password"  # noqa: S105 - a reason, no password
    OTHERS_NAME = "authentication failure: somebody else's name"
    UNKNOWN_NUMBER = "dialog establish failure: unknown number"
    NO_ROUTE = "dialog establish failure: no route"
    POLICY = "dialog establish failure: rejected by policy"
    NO_DIALOG = "dialog establish failure: no such dialog"
    SCANNER_NAME = "scanner: known by its name"
    SCANNER_TRAITS = "scanner: writes like one"
    MANY_USERS = "enumeration: many users"
    MANY_NUMBERS = "enumeration: many numbers"
    FLOOD = "flood: over its rate"

    @property
    def kind(self) -> str:
        """The kind: ``"scanner"``."""
        return self.value.partition(": ")[0]

    @property
    def reason(self) -> str:
        """The reason within its kind: ``"known by its name"``."""
        return self.value.partition(": ")[2]

    @property
    def key(self) -> str:
        """What configuration and counters call it: ``"scanner_name"``."""
        return self.name.lower()


WEIGHTS: Final = {
    Offence.SLOW_STREAM: 10.0,
    Offence.STREAM_RATE: 20.0,
    Offence.FAILED_HANDSHAKE: 0.5,
    Offence.NOT_SIP: 20.0,
    Offence.MALFORMED: 10.0,
    Offence.OVERSIZE: 20.0,
    Offence.UNKNOWN_USER: 10.0,
    Offence.WRONG_PASSWORD: 3.0,
    Offence.OTHERS_NAME: 10.0,
    Offence.UNKNOWN_NUMBER: 8.0,
    Offence.NO_ROUTE: 8.0,
    Offence.POLICY: 3.0,
    Offence.NO_DIALOG: 3.0,
    Offence.SCANNER_NAME: 100.0,
    Offence.SCANNER_TRAITS: 15.0,
    Offence.MANY_USERS: 20.0,
    Offence.MANY_NUMBERS: 20.0,
    Offence.FLOOD: 1.0,
}
"""What one case adds to a score, where no policy says otherwise; 100 is enough for a ban."""

ENUMERATED: Final = {
    Offence.UNKNOWN_USER: Offence.MANY_USERS,
    Offence.WRONG_PASSWORD: Offence.MANY_USERS,
    Offence.UNKNOWN_NUMBER: Offence.MANY_NUMBERS,
    Offence.NO_ROUTE: Offence.MANY_NUMBERS,
}
"""What it is besides, when it is done to many users or numbers."""


class Proof(Enum):
    """What shows that a message came from the address that it names as its source."""

    NONE = "nothing: a datagram's source can be forged"
    CONNECTION = "its connection"
    NONCE = "it answered a challenge that only its address was sent"

    @property
    def holds(self) -> bool:
        """Whether the source is who it seems to be."""
        return self is not Proof.NONE


def proof_of(reliable: bool, answered_nonce: bool) -> Proof:
    """What shows where a message came from."""
    if reliable:
        return Proof.CONNECTION
    return Proof.NONCE if answered_nonce else Proof.NONE


class Observation(NamedTuple):
    """Something a message, or a connection, was seen doing."""

    offence: Offence
    flow: Flow
    proof: Proof
    what: str
    """In a sentence, for the operator."""
    call_id: str = ""
    subject: str = ""
    """The user or number that was tried."""


class Standing(Enum):
    """What a source is to us, which bounds what may be done about it."""

    STRANGER = "a stranger"
    NEIGHBOUR = "shares its address with registered phones, or a peer"
    REGISTERED = "a registered phone"
    PROTECTED = "an address that is never banned"
    SPARED = "a peer, or on a trusted network"


class Known(NamedTuple):
    """The standing of a source, and why it is that."""

    standing: Standing
    why: str = ""


class Evidence(NamedTuple):
    """One thing that was seen, as a ban shows it."""

    at: float
    """Seconds since 1970."""
    offence: Offence
    what: str
    call_id: str
    source: str
    """``host:port/transport``"""
    proof: Proof
    score: float
    """Of the source, or the flow, after it."""
