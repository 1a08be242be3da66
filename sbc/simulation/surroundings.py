"""What a simulated switchboard has around it: nothing leaves, nothing is kept, nothing waits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from media.plan import RelayCommand
from media.types import FlowCounters, SideName, StreamId
from sbc.b2bua.call import Call
from sbc.driver.callers import Caller
from sbc.driver.refused import RefusedRequest, TurnedAway
from sbc.policy.authentication import Authenticator
from sbc.policy.facts import Facts
from sbc.policy.gate import Verdict
from sbc.policy.refusal import Refusal
from sbc.policy.world import Counters
from sbc.registrar.commands import BindingChanged
from sbc.routing.accounts import Realm, User
from sbc.sip.digest import Credentials
from sbc.sip.errors import ParseError
from sbc.sip.flow import SECURED, Flow
from sbc.sip.message import Request

_SECRET: Final = bytes(32)


class SilentWire:
    """Remembers what would have left, until it is taken."""

    def __init__(self) -> None:
        self.proven: tuple[str, ...] = ()
        """What the certificate of whoever sends the present message proves."""
        self.tls = 1.3
        """The version of TLS that secure flows have."""
        self._sent: list[tuple[Flow, bytes]] = []

    def send(self, flow: Flow, data: bytes) -> None:
        """See `sbc.driver.edges.Wire`."""
        self._sent.append((flow, data))

    def prove(self, flow: Flow) -> None:
        """See `sbc.driver.edges.Wire`; no stream is in danger."""

    def names(self, flow: Flow) -> tuple[str, ...]:
        """See `sbc.driver.edges.Wire`."""
        del flow
        return self.proven

    def tls_version(self, flow: Flow) -> float:
        """See `sbc.driver.edges.Wire`."""
        return self.tls if flow.transport in SECURED else 0.0

    def take(self) -> list[tuple[Flow, bytes]]:
        """What left since the last time."""
        sent, self._sent = self._sent, []
        return sent


class NoMedia:
    """A relay that agrees to everything and hears nothing."""

    def apply(self, commands: Sequence[RelayCommand]) -> None:
        """See `sbc.driver.edges.MediaRelay`."""

    def counters(self, stream_id: StreamId) -> dict[SideName, FlowCounters]:
        """See `sbc.driver.edges.MediaRelay`."""
        del stream_id
        return {side: FlowCounters() for side in SideName}


class NoRecords:
    """Records and bindings that nobody writes down."""

    def call_answered(self, call: Call) -> None:
        """See `sbc.driver.edges.Records`."""

    def call_ended(self, call: Call) -> None:
        """See `sbc.driver.edges.Records`."""

    def call_refused(self, refused: RefusedRequest) -> None:
        """See `sbc.driver.edges.Records`."""

    def binding_changed(self, change: BindingChanged) -> None:
        """See `sbc.driver.edges.BindingRecords`."""


def no_log(level: str, event: str, **fields: object) -> None:
    """A log that nobody reads."""
    del level, event, fields


class CountedIds:
    """Tokens and keys that are the same in every simulation; nothing secret depends on them."""

    def __init__(self) -> None:
        self._count = 0

    def token(self) -> str:
        """16 lower-case hexadecimal digits, each time others."""
        self._count += 1
        return f"{self._count * 0x9E3779B97F4A7C15 % 2**64:016x}"

    def key(self, length: int) -> bytes:
        """That many bytes."""
        return bytes(length)


@dataclass(slots=True)
class Heard:
    """What the switchboard told of one message: a witness (see `sbc.driver.refused.Witness`)."""

    verdict: Verdict | None = None
    """Why it was dropped before it was read."""
    error: ParseError | None = None
    """Why it could not be read."""
    turned: TurnedAway | None = None
    caller: Caller | None = None
    """Whose request went on."""

    def forget(self) -> None:
        """Be ready for another message."""
        self.verdict = self.error = self.turned = self.caller = None

    def limited(self, flow: Flow, verdict: Verdict) -> None:
        """See `sbc.driver.refused.Witness`."""
        del flow
        self.verdict = verdict

    def malformed(self, flow: Flow, error: ParseError) -> None:
        """See `sbc.driver.refused.Witness`."""
        del flow
        self.error = error

    def turned_away(self, turned: TurnedAway, now: float) -> None:
        """See `sbc.driver.refused.Witness`."""
        del now
        self.turned = turned

    def let_in(self, request: Request, flow: Flow, caller: Caller) -> None:
        """See `sbc.driver.refused.Witness`."""
        del request, flow
        self.caller = caller


class Believing(Authenticator):
    """Checks passwords as ever, but believes nonces, which another process made.

    What a capture holds is judged as the process that was captured judged it.
    """

    __slots__ = ("user",)

    def __init__(self) -> None:
        super().__init__(_SECRET)
        self.user = ""
        """Who logs in whatever is sent, where it is a user of the realm; nobody when empty."""

    def judge(self, request: Request, flow: Flow, realm: Realm, now: float) -> User | Refusal:
        """See `Authenticator`."""
        return realm.users.get(self.user) or super().judge(request, flow, realm, now)

    def is_fresh(self, credentials: Credentials, flow: Flow, realm: Realm, now: float) -> bool:
        """Every nonce is."""
        del credentials, flow, realm, now
        return True

    def note_use(self, credentials: Credentials, realm: Realm, now: float) -> None:
        """A capture may hold retransmissions: nothing is remembered."""
        del credentials, realm, now


class Given:
    """Places, kinds of numbers and counters as a test gives them; the others as they are."""

    def __init__(self, counters: Counters, given: Mapping[str, float] | None = None) -> None:
        self._counters = counters
        self.given = dict(given or {})
        """Present values by name of the counter."""

    def count(self, what: str, facts: Facts) -> float:
        """See `sbc.policy.facts.Counters`."""
        value = self.given.get(what)
        return self._counters.count(what, facts) if value is None else value
