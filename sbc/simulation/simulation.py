"""The simulation: a switchboard of production, a clock that packets move, and nothing around it.

What is asked is what serves calls: the very switchboard, from the limits before reading to the
INVITE that would leave. Only its surroundings are others: the far ends say what the capture says
that they said, or yes.
"""

from dataclasses import replace
from typing import Final

from sbc.b2bua.call import Call
from sbc.b2bua.causes import NORMAL_CLEARING, Ending
from sbc.b2bua.events import GaveUp
from sbc.driver.edges import told_of
from sbc.driver.in_force import InForce
from sbc.driver.switchboard import Switchboard
from sbc.policy.explain import Decided
from sbc.routing.facing import host_port
from sbc.simulation.outcome import Outcome, Treatment, title_of, why_malformed
from sbc.simulation.phones import a_binding
from sbc.simulation.surroundings import (
    Believing,
    CountedIds,
    Given,
    Heard,
    NoMedia,
    NoRecords,
    SilentWire,
    no_log,
)
from sbc.sip.errors import ParseError
from sbc.sip.flow import Flow
from sbc.sip.message import Request, Response, make_response, serialize
from sbc.sip.parser import DEFAULT, Limits, parse_message_untrusted
from sbc.sip.transaction.layer import server_key
from sbc.state.cdr import EndedBy

_MOST_WAKES: Final = 1000
"""Between two messages; a capture whose clock leaps costs no more."""
_MOST_WAITING: Final = 100_000
"""Requests of ours that wait for what the capture says was answered."""
_AGREED: Final = (b"REGISTER ", b"OPTIONS ")
"""What far ends say yes to by themselves."""
_HUNG_UP: Final = Ending(200, NORMAL_CLEARING, EndedBy.CALLER, "one of the ends hung up")

Waiting = tuple[str, str]
"""Call-ID and CSeq, by which an answer in a capture is known."""


class Simulation:
    """One configuration, and messages that arrive at it."""

    def __init__(
        self,
        force: InForce,
        *,
        limits: Limits = DEFAULT,
        at: float = 0.0,
        agrees: bool = True,
    ) -> None:
        """Begin with nobody registered and no call.

        Args:
            limits: Of a message's size.
            at: Seconds since 1970.
            agrees: Whether far ends say yes at once; else they say what `answered` is told.
        """
        self._now = at
        self._agrees = agrees
        self._limits = limits
        self._wire = SilentWire()
        self._heard = Heard()
        self._believing = Believing()
        records = NoRecords()
        self.board = Switchboard(
            replace(force, located={}, by_credentials={}),
            wire=self._wire,
            relay=NoMedia(),
            records=records,
            bindings=records,
            log=no_log,
            ids=CountedIds(),
            wall=lambda: self._now,
            message_limits=limits,
            now=at,
            witness=self._heard,
            authenticator=self._believing,
        )
        # What is given stands before what the calls of the simulation cost.
        self._given = Given(self.board.calls.ledger)
        self.board.force.attach(self.board.carriers.registrations, self._given)
        self._waiting: dict[Waiting, tuple[Flow, Request]] = {}
        self._calls: dict[str, str] = {}
        """Names of live calls by the caller's Call-ID."""
        self.board.begin(at)
        self._agree(self._wire.take())

    def register(self, user: str, host: str, flow: Flow) -> None:
        """Let a phone have a live registration on a flow, which is as `flow_at` makes it."""
        data = a_binding(self.board.force, user, host, flow)
        self.board.restore([data], self._now)
        for binding in self.board.registrar.bindings:
            # Its connection is the one that the message comes on.
            binding.reachable = True

    def receive(
        self,
        flow: Flow,
        data: bytes,
        at: float,
        *,
        proven: tuple[str, ...] = (),
        tls: float = 1.3,
        user: str = "",
        counters: dict[str, float] | None = None,
    ) -> Outcome:
        """Let a message arrive.

        Args:
            at: Seconds since 1970, not before the message before.
            proven: What the certificate of the connection's client proves.
            tls: The version of TLS, where it comes by that.
            user: Who logs in if asked, in place of whoever the credentials name.
            counters: Values that counters have now.
        """
        self._wake(at)
        for entries in self.board.force.policy.sets:
            entries.look(at)
        self._heard.forget()
        self._wire.proven, self._wire.tls, self._believing.user = proven, tls, user
        self._given.given = counters or {}
        request = self._request(data)
        known = None if request is None else self._in_call(request)
        if known is not None:
            if request is not None and request.method == "BYE":
                self.board.calls.tell(known, GaveUp(_HUNG_UP), at)
            self._agree(self._wire.take())
            return _outcome(at, flow, request, "none", why="it belongs to a call that is up")
        before = self.board.calls.total
        self.board.receive(flow, data, self._now)
        sent = self._wire.take()
        call = None
        if request is not None and self.board.calls.total > before:
            call = self.board.calls.by_invite(server_key(request, flow, "INVITE"))
            if call is not None and call.ending is None:
                self._calls[request.call_id] = call.name
        outcome = self._judged(at, flow, request, call, sent)
        self._await(request, sent)
        return outcome

    def answered(self, response: Response) -> None:
        """Take what a capture says was answered to a request: so answer the far ends here."""
        key = (response.call_id, str(response.headers.first("cseq")))
        asked = self._waiting.get(key)
        if asked is None or response.status < 180:
            return
        if response.status >= 200:
            del self._waiting[key]
        self._reply(*asked, response.status, response.body)

    def _reply(self, flow: Flow, request: Request, status: int, body: bytes = b"") -> None:
        answer = make_response(request, status, None, "far")
        if status < 300 and request.method == "REGISTER":
            for contact in request.headers.all("contact"):
                answer.headers.append("Contact", f"{contact};expires=3600")
        elif status < 300:
            answer.headers.append("Contact", f"<sip:far@{host_port(*flow.remote)}>")
        if body:
            answer.headers.append("Content-Type", "application/sdp")
            answer.body = body
        self.board.receive(flow, serialize(answer), self._now)
        self._wire.take()

    def _await(self, request: Request | None, sent: list[tuple[Flow, bytes]]) -> None:
        """Keep what left because of a request until the capture tells the answer, or agree."""
        if request is None or self._agrees:
            self._agree(sent)
            return
        method = f"{request.method} ".encode()
        for flow, data in sent:
            ours = self._request(data) if data.startswith(method) else None
            if ours is not None:
                if len(self._waiting) >= _MOST_WAITING:
                    self._waiting.pop(next(iter(self._waiting)))
                self._waiting[request.call_id, str(request.headers.first("cseq"))] = flow, ours

    def _agree(self, sent: list[tuple[Flow, bytes]]) -> None:
        """Say yes to registrations and probes of ours; calls ring for ever."""
        for flow, data in sent:
            ours = self._request(data) if data.startswith(_AGREED) else None
            if ours is not None:
                self._reply(flow, ours, 200)

    def _wake(self, at: float) -> None:
        """Let happen what is due until then."""
        for _ in range(_MOST_WAKES):
            due = self.board.next_timeout()
            if due is None or due > at:
                break
            self._now = max(self._now, due)
            self.board.handle_timeout(self._now)
            probes = [one for one in self._wire.take() if one[1].startswith(b"OPTIONS ")]
            self._agree(probes)
        else:
            self.board.handle_timeout(max(self._now, at))
            self._wire.take()
        self._now = max(self._now, at)

    def _request(self, data: bytes) -> Request | None:
        try:
            message = parse_message_untrusted(data, self._limits)
        except ParseError:
            return None
        return message if isinstance(message, Request) else None

    def _in_call(self, request: Request) -> Call | None:
        """The simulated call that a request of a captured dialog belongs to, whatever its tags."""
        if request.method == "CANCEL":
            return None
        try:
            if request.to_tag is None:
                return None
        except ParseError:
            return None
        name = self._calls.get(request.headers.first("call-id") or "")
        call = None if name is None else self.board.calls.by_name(name)
        return None if call is None or call.ended_at is not None else call

    def _judged(
        self,
        at: float,
        flow: Flow,
        request: Request | None,
        call: Call | None,
        sent: list[tuple[Flow, bytes]],
    ) -> Outcome:
        heard = self._heard
        outcome = _outcome(at, flow, request, "none", sent=_first_lines(sent))
        if heard.verdict is not None:
            return replace(outcome, treatment="limit", verdict=heard.verdict)
        if heard.error is not None:
            error = heard.error
            why = why_malformed(error)
            return replace(outcome, treatment="malformed", status=error.status, why=why)
        if heard.turned is not None:
            turned = heard.turned
            return replace(
                outcome,
                treatment=_treatment(turned.status, turned.why),
                status=turned.status,
                why=turned.why,
                decided=turned.decided,
                turned=turned,
            )
        caller = heard.caller
        if caller is None or caller.facts is None:
            return outcome
        decided = Decided(self.board.force.policy, caller.facts, caller.decision)
        return replace(outcome, treatment="allow", decided=decided, call=call)


def _treatment(status: int, why: str) -> Treatment:
    if not status:
        return "drop"
    return "challenge" if status in (401, 407) and not why else "reject"


def _outcome(
    at: float,
    flow: Flow,
    request: Request | None,
    treatment: Treatment,
    *,
    why: str = "",
    sent: tuple[str, ...] = (),
) -> Outcome:
    if request is None:
        return Outcome(at, flow, "what cannot be read", "", treatment, why=why, sent=sent)
    told = told_of(request, flow)
    title = title_of(request.method, told["caller"], told["callee"])
    call_id = request.headers.first("call-id") or ""
    return Outcome(at, flow, title, call_id, treatment, why=why, sent=sent)


def _first_lines(sent: list[tuple[Flow, bytes]]) -> tuple[str, ...]:
    lines = [data.partition(b"\r\n")[0].decode("utf-8", "replace") for _, data in sent]
    return tuple(
        f"{line} to {flow.transport} {host_port(*flow.remote)}"
        for line, (flow, _) in zip(lines, sent, strict=True)
    )
