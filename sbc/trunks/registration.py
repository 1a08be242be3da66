"""One registration of ours with a trunk, as data."""

from dataclasses import dataclass

from sbc.routing.registering import Registering
from sbc.sip.digest import Login
from sbc.sip.flow import Flow
from sbc.sip.message import Request
from sbc.trunks.table import State
from sbc.trunks.waiting import LASTING_S


@dataclass(frozen=True, slots=True)
class Line:
    """What is wanted with one trunk: who we are there, and the ways to it that are known now."""

    registering: Registering
    flows: tuple[Flow, ...] = ()
    """One per address of each of its targets, in order of preference."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What a registrar's 2xx says of our contact."""

    expires_s: int
    service_route: tuple[str, ...] = ()
    """Route values for requests by way of this registration (RFC 3608)."""
    associated: tuple[str, ...] = ()
    """URIs that are ours there too (P-Associated-URI, RFC 7315 §4.1)."""


@dataclass(slots=True)
class Registration:
    """The registration with one peer. There is never more than one REGISTER of it under way."""

    peer: str
    line: Line
    call_id: str
    tag: str
    since: float
    """When it came into its state."""
    state: State = State.UNREGISTERED
    wanted: Line | None = None
    """What follows when this one has left; None for nothing."""
    login: Login | None = None
    """By which challenges are answered; None where none are expected."""
    cseq: int = 0
    flow: Flow | None = None
    """The one being tried, or registered."""
    home: Flow | None = None
    """The one that registered; None while calls have no way."""
    home_since: float = 0.0
    left: int = 0
    """Other targets that this round has not tried."""
    ref: str = ""
    """Branch of the REGISTER under way; ``""`` while there is none."""
    sent: Request | None = None
    """The last REGISTER, without what every attempt has of its own: Via and CSeq."""
    following: Request | None = None
    """What is to follow it after a challenge or 423, likewise."""
    challenged: int = 0
    """Challenges that this attempt has answered."""
    prolonged: bool = False
    """Whether this attempt has asked for more already, since the registrar insisted (423)."""
    ask_s: int = 0
    """Seconds to ask for: as configured, or more where the registrar insisted (423)."""
    grant: Grant | None = None
    expires_at: float | None = None
    failures: int = 0
    """Rounds that failed in a row."""
    cause: str = ""
    """Of the last failure, for people."""
    failed_at: float | None = None
    least_wait_s: float = 0.0
    doubted: bool = False
    """Whether the registrar refused our user name or password."""
    due: float = 0.0
    """When the next step is taken by itself, unless an answer brings it earlier."""
    ping_ref: str = ""
    """Branch of the keep-alive under way."""
    deaf: bool = False
    """Whether the registrar leaves OPTIONS unanswered, though it answers REGISTER."""
    withdrawing: bool = False
    """Whether the REGISTER under way withdraws the binding."""

    @property
    def aor(self) -> str:
        """The address-of-record that is registered."""
        registering = self.line.registering
        host = registering.domain
        return f"sip:{registering.user}@{f'[{host}]' if ':' in host else host}"

    @property
    def ways(self) -> tuple[Flow, ...]:
        """The flows to try; the one that registered even when its name is known no more."""
        if self.line.flows or self.home is None:
            return self.line.flows
        return (self.home,)

    def has_lasted(self, now: float) -> bool:
        """Whether its flow has been good for so long that failures before it count no more."""
        return self.home is not None and now - self.home_since >= LASTING_S
