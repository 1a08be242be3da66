"""The REGISTERs that wait for the registrar's word."""

from dataclasses import dataclass

from sbc.registrar.relaying import Face, Upstream
from sbc.sip.fields.name_addr import NameAddr
from sbc.sip.flow import Flow
from sbc.sip.message import Request
from sbc.sip.timers import TIMEOUT, Deadlines
from sbc.sip.twins import TwinKey, twin_key

MAX_PENDING = 5_000
"""REGISTERs under way, above which further ones get 503."""
PENDING_S = TIMEOUT + 8.0
"""How long one is remembered at most: longer than its transaction can take."""


@dataclass(slots=True)
class Pending:
    """A REGISTER that waits for the registrar's word."""

    key: str
    """Its server transaction."""
    request: Request
    flow: Flow
    upstream: Upstream
    endpoints: str
    contacts: dict[str, NameAddr]
    """The phone's contacts by our token for each."""
    phone: Face
    registrar: Face
    cut_off: bool = False
    """Whether the phone's connection closed meanwhile."""


class PendingRegisters:
    """All of them, by our branch for each."""

    __slots__ = ("_by_connection", "_by_ref", "_deadlines", "_twins")

    def __init__(self) -> None:
        self._by_ref: dict[str, Pending] = {}
        self._twins: set[TwinKey] = set()
        self._by_connection: dict[Flow, dict[str, None]] = {}
        self._deadlines: Deadlines[str] = Deadlines()

    def __len__(self) -> int:
        return len(self._by_ref)

    def has_twin(self, request: Request) -> bool:
        """Whether this very REGISTER came by another way already."""
        return twin_key(request) in self._twins

    def add(self, ref: str, pending: Pending, now: float) -> None:
        """Wait for the answer to one that has no twin."""
        self._by_ref[ref] = pending
        self._twins.add(twin_key(pending.request))
        if pending.flow.reliable:
            self._by_connection.setdefault(pending.flow, {})[ref] = None
        self._deadlines.set(ref, now + PENDING_S)

    def take(self, ref: str) -> Pending | None:
        """Wait for this one no longer."""
        pending = self._by_ref.pop(ref, None)
        if pending is None:
            return None
        self._twins.remove(twin_key(pending.request))
        refs = self._by_connection.get(pending.flow)
        if refs is not None:
            del refs[ref]
            if not refs:
                del self._by_connection[pending.flow]
        self._deadlines.cancel(ref)
        return pending

    def cut_off(self, flow: Flow) -> None:
        """Note for all that came on a connection that it is gone."""
        for ref in self._by_connection.get(flow, ()):
            self._by_ref[ref].cut_off = True

    def next_timeout(self) -> float | None:
        """When `forget_overdue` is wanted next."""
        return self._deadlines.next()

    def forget_overdue(self, now: float) -> None:
        """Forget those whose answer cannot come any more."""
        for ref in self._deadlines.pop_due(now):
            self.take(ref)
