"""The REGISTERs that wait for the registrar's word."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from sbc.policy.manipulation import Answerer, Manipulation
from sbc.registrar.binding import Binding, nat_evidence
from sbc.registrar.claims import Claim, routes_of
from sbc.registrar.commands import Command, HeadersChanged
from sbc.registrar.grants import user_of
from sbc.registrar.relaying import Face, Upstream
from sbc.routing.registration import Registration
from sbc.sip.flow import Flow
from sbc.sip.message import Request, Response
from sbc.sip.timers import TIMEOUT, Deadlines
from sbc.sip.twins import TwinKey, twin_key
from sbc.sip.user import Respond

MAX_PENDING = 5_000
"""REGISTERs under way, above which further ones get 503."""
STRANGERS_SHARE = 0.5
"""Of them, how many phones may have that nobody is registered beside: REGISTERs from invented
sources must not keep out those who only refresh what they have."""
TRY_S = 8.0
"""How long a registrar may be silent before the next one is asked, or a cache answers: a phone on
UDP listens for 32 seconds."""
_LONGEST_USER_AGENT = 120
PENDING_S = TIMEOUT + 8.0
"""How long one is remembered at most: longer than its transaction can take."""


class Asked(NamedTuple):
    """A registrar that was asked."""

    position: int
    """Among those that may be asked."""
    face: Face


@dataclass(slots=True)
class Pending:
    """A REGISTER that waits for the registrar's word."""

    key: str
    """Its server transaction."""
    request: Request
    flow: Flow
    upstreams: Sequence[Upstream]
    """The registrars that may be asked, in order."""
    endpoints: str
    registration: Registration
    claims: Mapping[str, Claim]
    """The phone's contacts by our token for each."""
    phone: Face
    ref: str
    """Our branch toward the registrar that was asked last."""
    manipulation: Manipulation | None = None
    """What is changed of headers on the way to a registrar and back."""
    position: int = 0
    """Which of them that is."""
    cut_off: bool = False
    """Whether the phone's connection closed meanwhile."""
    in_need: bool = False
    """Whether we may answer it from what the registrar granted before, should it keep silent."""
    refs: dict[str, Asked] = field(default_factory=dict)
    """All registrars that were asked, by our branch toward each: any of them may still answer."""

    @property
    def upstream(self) -> Upstream:
        """The registrar asked last."""
        return self.upstreams[self.position]

    @property
    def has_next(self) -> bool:
        """Whether there is another registrar to ask."""
        return self.position + 1 < len(self.upstreams)

    def heard(self, ref: str, response: Response) -> None:
        """A registrar answered: what rules for headers change of that is changed now."""
        if self.manipulation is not None:
            self.manipulation.arrive(response, self._answerer(ref))

    def pass_back(self, ref: str, response: Response, source: Response) -> list[Command]:
        """The answer that stands for a registrar's, as rules for headers leave it."""
        if self.manipulation is not None:
            self.manipulation.pass_back(response, source, self._answerer(ref))
        return [Respond(self.key, response), *self.changes()]

    def answer(self, response: Response) -> list[Command]:
        """An answer of our own, as rules for headers leave it."""
        if self.manipulation is not None:
            self.manipulation.answer(response)
        return [Respond(self.key, response), *self.changes()]

    def changes(self) -> list[Command]:
        """What rules for headers did since this was asked last, to be logged."""
        if self.manipulation is None:
            return []
        steps, failures = self.manipulation.told()
        if not steps and not failures:
            return []
        return [HeadersChanged(self.request, self.flow, steps, failures)]

    def _answerer(self, ref: str) -> Answerer:
        asked = self.refs[ref]
        upstream = self.upstreams[asked.position]
        return Answerer(upstream.peer, upstream.flow, asked.face.trusted)


class PendingRegisters:
    """All of them, by our branches for each."""

    __slots__ = ("_by_aor", "_by_connection", "_by_ref", "_deadlines", "_twins")

    def __init__(self) -> None:
        self._by_ref: dict[str, Pending] = {}
        self._twins: set[TwinKey] = set()
        self._by_aor: Counter[str] = Counter()
        self._by_connection: dict[Flow, dict[TwinKey, Pending]] = {}
        self._deadlines: Deadlines[tuple[str, str]] = Deadlines()

    def __len__(self) -> int:
        return len(self._twins)

    def has_twin(self, request: Request) -> bool:
        """Whether this very REGISTER came by another way already."""
        return twin_key(request) in self._twins

    def of_same_user(self, request: Request) -> int:
        """How many wait that concern the address-of-record of this one."""
        return self._by_aor[request.to.uri.address_of_record]

    def has_room(self, known: bool) -> bool:
        """Whether one more may wait, of a phone that is registered or of a stranger."""
        return len(self) < (MAX_PENDING if known else MAX_PENDING * STRANGERS_SHARE)

    def find(self, ref: str) -> Pending | None:
        """The one that a branch of ours belongs to."""
        return self._by_ref.get(ref)

    def ask(self, pending: Pending, registrar: Face, now: float) -> None:
        """Wait for the answer of the registrar at its position, under its `ref`."""
        twin = twin_key(pending.request)
        if not pending.refs:
            self._twins.add(twin)
            self._by_aor[pending.request.to.uri.address_of_record] += 1
            if pending.flow.reliable:
                self._by_connection.setdefault(pending.flow, {})[twin] = pending
        pending.refs[pending.ref] = Asked(pending.position, registrar)
        self._by_ref[pending.ref] = pending
        self._deadlines.set(("end", pending.ref), now + PENDING_S)
        if pending.has_next or pending.in_need:
            self._deadlines.set(("try", pending.ref), now + TRY_S)

    def over(self, pending: Pending) -> None:
        """Wait for this one no longer."""
        twin = twin_key(pending.request)
        self._twins.remove(twin)
        aor = pending.request.to.uri.address_of_record
        self._by_aor[aor] -= 1
        if not self._by_aor[aor]:
            del self._by_aor[aor]
        for ref in pending.refs:
            del self._by_ref[ref]
            self._deadlines.cancel(("end", ref))
            self._deadlines.cancel(("try", ref))
        others = self._by_connection.get(pending.flow)
        if others is not None:
            del others[twin]
            if not others:
                del self._by_connection[pending.flow]

    def cut_off(self, flow: Flow) -> None:
        """Note for all that came on a connection that it is gone."""
        for pending in self._by_connection.get(flow, {}).values():
            pending.cut_off = True

    def next_timeout(self) -> float | None:
        """When `silent` is wanted next."""
        return self._deadlines.next()

    def silent(self, now: float) -> list[Pending]:
        """Those whose registrar kept silent for too long; the overdue ones are forgotten."""
        found: list[Pending] = []
        for kind, ref in self._deadlines.pop_due(now):
            pending = self._by_ref.get(ref)
            if pending is None:
                continue
            if kind == "try" and pending.ref == ref:
                found.append(pending)
            elif kind == "end" and pending.ref == ref:
                self.over(pending)
        return found


def binding_of(
    asked: Pending,
    claim: Claim,
    expires_at: float,
    *,
    registrar: str,
    service_route: tuple[str, ...] = (),
) -> Binding:
    """The binding that a claim becomes when `registrar` grants it.

    Raises:
        ParseError: the top Via or Path is malformed (400).
    """
    request = asked.request
    aor, contact = request.to.uri, claim.contact.uri
    return Binding(
        token=claim.token,
        aor=aor.address_of_record,
        user=user_of(aor),
        host=aor.host,
        contact=str(contact),
        flow=asked.flow,
        endpoints=asked.endpoints,
        registrar=registrar,
        expires_at=expires_at,
        nat=nat_evidence(request, asked.flow, contact.host, contact.port),
        user_agent=(request.headers.first("user-agent") or "")[:_LONGEST_USER_AGENT],
        reachable=not asked.cut_off,
        q=claim.q,
        call_id=request.call_id,
        cseq=request.cseq.number,
        path=routes_of(request, "path"),
        service_route=service_route,
        instance=claim.instance,
        reg_id=claim.reg_id,
    )
