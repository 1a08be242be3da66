"""Reception of requests outside any dialog: new calls, registrations, probes, and refusals.

Spec: RFC 3261 §8.2, §10.3, §11, §16.3; RFC 5853 §3.5.
"""

from collections.abc import Callable
from dataclasses import dataclass

from media.types import SideName
from sbc.b2bua.call import Call, Candidate
from sbc.b2bua.context import Context, IdSource
from sbc.b2bua.leg import Leg
from sbc.b2bua.setup import callee_leg
from sbc.driver import placing
from sbc.driver.calls import Calls
from sbc.driver.edges import Log, Wire
from sbc.driver.outbox import Outbox
from sbc.driver.placing import Caller, InForce, Refusal
from sbc.driver.ports import NetworkPorts
from sbc.policy.admission import Admission
from sbc.policy.caps import CallLimits, PeerCaps
from sbc.policy.topology import session_uuid
from sbc.registrar.binding import Binding
from sbc.registrar.registrar import Registrar
from sbc.routing.facing import contact_of, listener_of, sent_by
from sbc.sip.flow import Flow
from sbc.sip.message import Request, Response, make_response, serialize
from sbc.sip.transaction.layer import TransactionLayer

ALLOW = "INVITE, ACK, BYE, CANCEL, OPTIONS, INFO, UPDATE, MESSAGE, NOTIFY, REGISTER"
RETRY_AFTER_S = 5


@dataclass(slots=True)
class Tally:
    """What was counted on the way in; each is a metric."""

    received: int = 0
    dropped_rate: int = 0
    """By a rate limit, before parsing."""
    malformed: int = 0
    dropped_policy: int = 0
    refused: int = 0
    """Requests answered with a final failure of our own."""
    stray: int = 0
    """Responses and ACKs that nobody waits for."""


class Reception:
    """Who stands at the door: decides on every request that belongs to nothing yet."""

    def __init__(
        self,
        force: InForce,
        *,
        layer: TransactionLayer,
        outbox: Outbox,
        calls: Calls,
        registrar: Registrar,
        admission: Admission,
        caps: PeerCaps,
        ports: NetworkPorts,
        wire: Wire,
        log: Log,
        ids: IdSource,
        wall: Callable[[], float],
        tally: Tally,
    ) -> None:
        self._layer = layer
        self._outbox = outbox
        self._calls = calls
        self._registrar = registrar
        self._admission = admission
        self._caps = caps
        self._ports = ports
        self._wire = wire
        self._log = log
        self._ids = ids
        self._wall = wall
        self._tally = tally
        self._instance = ids.token()[:8]
        self.draining = False
        """Whether new calls are refused with 503."""
        self.configure(force)

    def configure(self, force: InForce) -> None:
        """Judge by another configuration from now on."""
        self._force = force
        self._caps.apply(call_limits(force))
        self._context = Context(
            settings=force.settings,
            networks=force.networks,
            ids=self._ids,
            ports=self._ports,
            instance=self._instance,
        )

    def may_enter(self, request: Request, flow: Flow) -> bool:
        """Whether a request outside any dialog may cost us a transaction (S14)."""
        if request.method in ("ACK", "CANCEL") or request.to_tag is not None:
            return True
        caller = placing.identify(self._force, self._registrar, request, flow)
        if caller.decision.outcome != "drop":
            return True
        self._log(
            "info",
            "request dropped",
            method=request.method,
            source=flow.remote,
            network=flow.network,
            why=caller.decision.explanation,
        )
        return False

    def answer_statelessly(self, request: Request, flow: Flow, status: int, text: str) -> None:
        response = make_response(request, status, None, self._ids.token())
        listener = listener_of(self._force.networks[flow.network], flow)
        response.headers.append("Warning", _warning(sent_by(listener), text))
        if status == 503:
            response.headers.append("Retry-After", str(RETRY_AFTER_S))
        self._tally.refused += 1
        try:
            self._wire.send(flow, serialize(response))
        except ValueError:
            # What it echoes of a malformed request cannot be said legally: then nothing is.
            return

    def refuse(
        self, key: str, request: Request, flow: Flow, status: int, text: str, now: float
    ) -> None:
        """Answer a request with a final response of our own, and say why in Warning."""
        response = make_response(request, status, None, self._ids.token())
        if text:
            listener = listener_of(self._force.networks[flow.network], flow)
            response.headers.append("Warning", _warning(sent_by(listener), text))
        if status == 503:
            response.headers.append("Retry-After", str(RETRY_AFTER_S))
        if status >= 300:
            self._tally.refused += 1
        self._respond(key, response, now)

    def binding_changed(self, what: str, binding: Binding) -> None:
        """A phone registered, moved or went: tell the log and the rate limits."""
        network, host = binding.flow.network, binding.flow.remote[0]
        if what in ("registered", "moved"):
            self._admission.vouch(network, host)
        elif what in ("unregistered", "expired"):
            self._admission.withdraw(network, host)
        level = "debug" if what == "refreshed" else "info"
        self._log(
            level,
            f"phone {what}",
            aor=binding.aor,
            source=binding.flow.remote,
            network=network,
            nat=str(binding.nat),
        )

    def branch(self) -> str:
        """A fresh branch for a request that belongs to no call."""
        return f"z9hG4bK{self._instance}.-.{self._ids.token()}"

    def receive(self, key: str, request: Request, flow: Flow, now: float) -> None:
        caller = placing.identify(self._force, self._registrar, request, flow)
        decision = caller.decision
        if not decision.allowed:
            self._log("info", "request refused", source=flow.remote, why=decision.explanation)
            text = decision.text or "refused by policy"
            self.refuse(key, request, flow, decision.status or 403, text, now)
        elif request.max_forwards == 0 and request.method != "OPTIONS":
            self.refuse(key, request, flow, 483, "Max-Forwards is used up", now)
        elif request.method == "INVITE":
            self._invite(key, request, flow, caller, now)
        elif request.method == "REGISTER":
            self._register(key, request, flow, caller, now)
        elif request.method == "OPTIONS":
            response = make_response(request, 200, None, self._ids.token())
            response.headers.append("Allow", ALLOW)
            response.headers.append("Accept", "application/sdp")
            self._respond(key, response, now)
        else:
            self.refuse(key, request, flow, 405, f"{request.method} outside a call", now)

    def _register(self, key: str, request: Request, flow: Flow, caller: Caller, now: float) -> None:
        upstream = placing.upstream_for(self._force, caller, request, flow)
        if isinstance(upstream, Refusal):
            self.refuse(key, request, flow, upstream.status, upstream.text, now)
            return
        commands = self._registrar.register(
            key, request, flow, upstream, endpoints=caller.peer, ref=self.branch()
        )
        self._outbox.for_registrar(commands, now, self.binding_changed)

    def _invite(self, key: str, request: Request, flow: Flow, caller: Caller, now: float) -> None:
        if self.draining:
            self.refuse(key, request, flow, 503, "this border is draining", now)
            return
        mark = placing.loop_mark(request, flow)
        if placing.is_loop(request, self._instance, mark):
            self.refuse(key, request, flow, 482, "this INVITE passed here before", now)
            return
        placed = placing.candidates_for(self._force, self._registrar, caller, request, flow)
        if isinstance(placed, Refusal):
            self.refuse(key, request, flow, placed.status, placed.text, now)
            return
        route, candidates = placed
        name = self._ids.token()
        for peer in {caller.peer, candidates[0].peer} - {""}:
            decision = self._caps.begin(peer, name, now)
            if not decision.allowed:
                for begun in {caller.peer, candidates[0].peer}:
                    self._caps.end(begun, name)
                self._log("info", "call refused", source=flow.remote, why=decision.explanation)
                self.refuse(key, request, flow, decision.status, decision.explanation, now)
                return
        call = self._new_call(name, key, request, flow, caller, candidates)
        call.route, call.loop_mark, call.started_at = route, mark, now
        call.journal.note(now, "sip", "", "a", "in", request.raw)
        call.journal.note(now, "decision", caller.decision.explanation, "a")
        self._calls.begin(call, now)

    def _new_call(
        self,
        name: str,
        key: str,
        request: Request,
        flow: Flow,
        caller: Caller,
        candidates: list[Candidate],
    ) -> Call:
        network = self._force.networks[flow.network]
        listener = listener_of(network, flow)
        max_forwards = request.max_forwards
        a = Leg(
            side=SideName.A,
            flow=flow,
            peer=caller.peer,
            our_host=listener.advertise,
            their_host=flow.remote[0],
            contact=contact_of(listener),
            sent_by=sent_by(listener),
            rules=caller.rules,
            uuid=session_uuid(request) or self._ids.token() + self._ids.token(),
            local_tag=self._ids.token(),
            call_id=request.call_id,
            trusted=network.trusted,
        )
        return Call(
            name=name,
            context=self._context,
            a=a,
            b=callee_leg(self._context, candidates[0]),
            candidates=tuple(candidates),
            started_at=0.0,
            started_wall=self._wall(),
            caller=request.from_.uri.user or "",
            callee=request.uri.user or "",
            route="",
            max_forwards=(70 if max_forwards is None else max_forwards) - 1,
            loop_mark="",
            invite=request,
            invite_key=key,
        )

    def _respond(self, key: str, response: Response, now: float) -> None:
        name = self._force.settings.server_header
        if name:
            response.headers.append("Server", name)
        self._outbox.transmit(self._layer.respond(key, response, now))


def call_limits(force: InForce) -> dict[str, CallLimits]:
    """The caps of every peer."""
    return {
        peer.name: CallLimits(
            peer.limits.max_calls, peer.limits.calls_per_second, peer.limits.burst, peer.where
        )
        for peer in force.settings.peers
    }


def _warning(agent: str, text: str) -> str:
    """A Warning value (RFC 3261 §20.43); the text may quote what a stranger sent."""
    plain = "".join(c if c.isprintable() and c not in '"\\' else "?" for c in text)
    return f'399 {agent} "{plain[:200]}"'
