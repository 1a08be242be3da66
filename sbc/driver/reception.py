"""Reception of requests outside any dialog that came in: new calls, registrations, probes.

Spec: RFC 3261 §8.2, §10.3, §11, §16.3; RFC 5853 §3.5.
"""

from collections.abc import Callable
from dataclasses import replace

from media.types import SideName
from sbc.b2bua.call import Call, Candidate
from sbc.b2bua.causes import q850_of, rule_for
from sbc.b2bua.context import Context, IdSource
from sbc.b2bua.leg import Leg
from sbc.b2bua.setup import callee_leg
from sbc.driver import placing, sips, spending
from sbc.driver.agents import Agents
from sbc.driver.bandwidth import offered_kbps
from sbc.driver.callers import PARTICIPANT, Caller
from sbc.driver.calls import Calls
from sbc.driver.edges import BindingRecords, Log, Wire, told_of
from sbc.driver.in_force import InForce
from sbc.driver.inspection import inspected
from sbc.driver.manipulating import Manipulator
from sbc.driver.opening import open_story
from sbc.driver.outbox import Outbox
from sbc.driver.ports import NetworkPorts
from sbc.driver.present import Present
from sbc.driver.refused import TurnedAway, Witness
from sbc.driver.room import with_room
from sbc.driver.takeovers import Takeovers
from sbc.driver.tally import Tally
from sbc.driver.watch import Watch
from sbc.health.health import Health
from sbc.policy.admission import Admission
from sbc.policy.caps import PeerCaps
from sbc.policy.explain import Decided
from sbc.policy.model import Decision
from sbc.policy.presentation import presentation_of
from sbc.policy.refusal import Refusal, answered, refused
from sbc.policy.topology import session_uuid, uuid_of
from sbc.registrar.commands import GONE, AnsweredInNeed, BindingChanged, HeadersChanged, News
from sbc.registrar.registrar import Registrar
from sbc.registrar.relaying import Upstream
from sbc.routing.accounts import Logins
from sbc.routing.facing import contact_of, listener_of, sent_by
from sbc.routing.model import Peer
from sbc.routing.registering import called_uri
from sbc.sip.flow import Flow
from sbc.sip.message import Request, Response
from sbc.sip.transaction.layer import TransactionLayer

ALLOW = "INVITE, ACK, BYE, CANCEL, OPTIONS, INFO, UPDATE, MESSAGE, NOTIFY, REGISTER"
"""What is served at all, as OPTIONS tells."""

_DRAINING = Refusal(503, "no new calls are taken now", "this border is draining")
_LOOPED = Refusal(482, "this REGISTER passed here before")
_BUSY = "there are too many calls at present"

REGISTRAR = "registrar"
"""The agent that owns what belongs to registrations."""


class Reception:
    """Takes every request that belongs to nothing yet, and was let in."""

    def __init__(
        self,
        force: InForce,
        *,
        layer: TransactionLayer,
        outbox: Outbox,
        agents: Agents,
        instance: str,
        calls: Calls,
        registrar: Registrar,
        bindings: BindingRecords,
        admission: Admission,
        caps: PeerCaps,
        health: Health,
        logins: Logins,
        ports: NetworkPorts,
        log: Log,
        ids: IdSource,
        wall: Callable[[], float],
        tally: Tally,
        witness: Witness,
        watch: Watch,
        wire: Wire,
        headers: Manipulator,
    ) -> None:
        self._layer = layer
        self._outbox = outbox
        self._agents = agents
        self._instance = instance
        self._calls = calls
        self._registrar = registrar
        self._bindings = bindings
        self._admission = admission
        self._caps = caps
        self._health = health
        self._logins = logins
        self._ports = ports
        self._log = log
        self._ids = ids
        self._wall = wall
        self._tally = tally
        self.takeovers = Takeovers(force, log, wall)
        self._witness = witness
        self._watch = watch
        self._wire = wire
        self._headers = headers
        self.draining = False
        """Whether new calls are refused with 503."""
        self.configure(force)

    def configure(self, force: InForce) -> None:
        """Judge by another configuration from now on."""
        self._force = force
        self.takeovers.configure(force)
        self._caps.apply(force.call_limits, force.policy.admission)
        self._logins.configure((peer.name, peer.account) for peer in force.settings.peers)
        self._context = Context(
            settings=force.settings,
            networks=force.networks,
            ids=self._ids,
            ports=self._ports,
            instance=self._instance,
            logins=self._logins,
            plan=force.plan,
            policy=force.policy,
            world=force.world,
            version=force.version,
            proofs=self._wire,
        )

    def receive(self, key: str, request: Request, flow: Flow, caller: Caller, now: float) -> None:
        """Serve a request outside any dialog, or say why not.

        Raises:
            ParseError: a header that must be understood is malformed (400).
        """
        objection = inspected(request, flow, self._force.world.emergency)
        if objection is not None:
            self.refuse(key, request, flow, objection, now, caller)
            return
        if request.method == "INVITE":
            self._invite(key, request, flow, caller, now)
        elif request.method == "REGISTER":
            self._register(key, request, flow, caller, now)
        else:
            self._options(key, request, flow, caller, now)

    def refuse(
        self,
        key: str,
        request: Request,
        flow: Flow,
        refusal: Refusal,
        now: float,
        caller: Caller = PARTICIPANT,
    ) -> None:
        """Refuse a request that has a transaction, and log it."""
        tag = self._ids.token()
        self._note_refusal(request, flow, refusal)
        self._watch.refused(request, flow, refusal)
        known = caller is not PARTICIPANT and (caller.known or bool(caller.user))
        said = (tag, refusal.status, refusal.explanation, self._decided(caller))
        self._witness.turned_away(TurnedAway(request, flow, *said, caller, known), now)
        agent = sent_by(listener_of(self._force.networks[flow.network], flow))
        server = self._force.settings.server_header
        response = refused(request, refusal, tag, agent, server)
        self._respond(key, request, flow, response, now, caller)

    def _decided(self, caller: Caller) -> Decided | None:
        """What policy said of whoever came in, which may be why and may not."""
        facts = caller.facts
        return None if facts is None else Decided(self._force.policy, facts, caller.decision)

    def accept(
        self,
        key: str,
        request: Request,
        flow: Flow,
        now: float,
        *headers: tuple[str, str],
        caller: Caller = PARTICIPANT,
    ) -> None:
        """Answer a request that is served here, by nobody behind us, with 200."""
        server = self._force.settings.server_header
        response = answered(request, 200, self._ids.token(), server)
        for name, value in headers:
            response.headers.append(name, value)
        self._respond(key, request, flow, response, now, caller)

    def registrar_told(self, news: News) -> None:
        """Take note of what the registrar did."""
        if isinstance(news, BindingChanged):
            self._binding_changed(news)
        elif isinstance(news, AnsweredInNeed):
            why = "the phone was answered from what the registrar granted before"
            told = {"registrar": news.registrar, "aor": news.binding.aor}
            self._log("warning", "registrar silent", **told, why=why)
        elif isinstance(news, HeadersChanged):
            self._headers.registration_changed(news)
        else:
            self._note_refusal(news.request, news.flow, news.refusal)

    def _note_refusal(self, request: Request, flow: Flow, refusal: Refusal) -> None:
        self._tally.refused += 1
        status, why = refusal.status, refusal.explanation
        self._log("info", "request refused", **told_of(request, flow), status=status, why=why)

    def _binding_changed(self, change: BindingChanged) -> None:
        """A phone registered, moved or went: tell the log and the rate limits."""
        binding, previous = change.binding, change.previous
        self._bindings.binding_changed(change)
        self.takeovers.told(change)
        network = binding.flow.network
        if change.what in ("registered", "refreshed", "moved", "restored"):
            self._admission.vouch(binding.flow)
        elif change.what in GONE:
            previous = binding.flow
        if previous is not None and not self._registrar.has_flow(previous):
            self._admission.withdraw(previous)
        self._log(
            "debug" if change.what in ("refreshed", "restored") else "info",
            f"phone {change.what}",
            aor=binding.aor,
            source=binding.flow.remote,
            network=network,
            nat=str(binding.nat),
        )

    def _options(self, key: str, request: Request, flow: Flow, caller: Caller, now: float) -> None:
        """Answer as an INVITE to the same place would be (RFC 3261 §11.2), as far as we know."""
        trusted = self._force.networks[flow.network].trusted
        asked = self._registrar.by_token(request.uri.user or "") if trusted else None
        if self.draining:
            self.refuse(key, request, flow, _DRAINING, now, caller)
        elif asked is not None and not asked.reachable:
            self.refuse(key, request, flow, placing.unreachable(asked), now, caller)
        else:
            said = (("Allow", ALLOW), ("Accept", "application/sdp"))
            self.accept(key, request, flow, now, *said, caller=caller)

    def _register(self, key: str, request: Request, flow: Flow, caller: Caller, now: float) -> None:
        looped = placing.is_loop(request, self._instance, "-")
        refused = _LOOPED if looped else self.takeovers.objection(request, flow)
        upstreams: list[Upstream] | Refusal = refused or []
        if refused is None and not self._registrar.decides(caller.peer):
            upstreams = placing.upstreams_for(self._force, caller, request, flow)
        if not isinstance(upstreams, Refusal):
            upstreams = sips.leading_safely(request, upstreams)
        if isinstance(upstreams, Refusal):
            self.refuse(key, request, flow, upstreams, now, caller)
            return
        asked = self._headers.asked(caller, request, flow)
        commands = self._registrar.register(
            key, asked.request, flow, upstreams, endpoints=caller.peer, ref=self._agents.branch(),
            now=now, manipulation=asked.manipulation,
        )  # fmt: skip
        self._headers.registration_asked(request, flow, asked)
        self._agents.carry_out(REGISTRAR, commands, now)

    def _invite(self, key: str, request: Request, flow: Flow, caller: Caller, now: float) -> None:
        mark = placing.loop_mark(request, flow)
        asked = self._headers.asked(caller, request, flow)
        placed = self._placed(asked.request, flow, caller, mark, now)
        if isinstance(placed, Refusal):
            self.refuse(key, request, flow, self._as_told(placed, caller), now, caller)
            return
        route, candidates = placed
        codecs = caller.decision.codecs
        if codecs is not None:
            candidates = [replace(c, rules=c.rules.with_codecs(codecs)) for c in candidates]
        call = self._new_call(key, asked.request, flow, caller, candidates)
        kbps = offered_kbps(request) if self._caps.weighs else 0
        # What may turn out to be malformed is read before the call takes anybody's room.
        cost = spending.charge_for(caller)
        allowed = with_room(self._caps, call.name, caller, candidates, kbps, now)
        if isinstance(allowed, Decision):
            refusal = Refusal(allowed.status, _BUSY, allowed.explanation)
            caller = replace(caller, decision=allowed) if allowed.trail else caller
            self.refuse(key, request, flow, self._as_told(refusal, caller), now, caller)
            return
        if len(allowed) < len(candidates):
            call.candidates = tuple(allowed)
            call.b = callee_leg(self._context, allowed[0])
        call.route, call.loop_mark, call.started_at = route, mark, now
        spending.charge(call, caller, cost, self._force)
        call.decided = self._decided(caller)
        open_story(call, request, caller, asked, now)
        self._calls.begin(call, now)

    def _as_told(self, refusal: Refusal, caller: Caller) -> Refusal:
        """A refusal of a call as the rules of the caller's peer have it told."""
        peer = self._force.table.peer(caller.peer)
        rules = () if peer is None else peer.responses.sent
        rule = rule_for(rules, refusal.status, q850_of(refusal.status))
        if rule is None:
            return refusal
        cause = rule.becomes_q850 or q850_of(rule.becomes)
        return replace(
            refusal,
            status=rule.becomes,
            reason=rule.reason or None,
            text=f"{refusal.explanation}; told as {rule.becomes} by the rule in {rule.where}",
            headers=(*refusal.headers, ("Reason", f"Q.850;cause={cause}")),
        )

    def _placed(
        self, request: Request, flow: Flow, caller: Caller, mark: str, now: float
    ) -> tuple[str, list[Candidate]] | Refusal:
        """Where an INVITE goes and why there, unless it is none to be placed."""
        if self.draining:
            return _DRAINING
        if self._calls.has_twin(request):
            return Refusal(482, "this INVITE came another way already")
        if placing.is_loop(request, self._instance, mark):
            return Refusal(482, "this INVITE passed here before")
        present = Present(
            key=self._ids.token().encode(),
            usable=lambda hop: self._health.admits(hop, now),
            calls_with=self._caps.calls,
            calls_at=self._calls.at,
        )
        placed = placing.candidates_for(
            self._force, self._registrar, caller, request, flow, present
        )
        if isinstance(placed, Refusal):
            return placed
        route, candidates = placed
        suited = sips.suited(self._force, request.uri, candidates)
        if not suited:
            return sips.not_allowed(f"{route}: no way there is secure")
        return route, placing.by_service_route(caller.binding, suited)

    def _called(self, request: Request, caller: Peer | None) -> str:
        """Whom a request calls, for records: the phone's user where the URI has our token."""
        uri = called_uri(request, None if caller is None else caller.registering)
        user = str(uri) if uri.scheme == "urn" else uri.user or ""
        binding = self._registrar.by_token(user)
        return user if binding is None else binding.user

    def _new_call(
        self, key: str, request: Request, flow: Flow, caller: Caller, candidates: list[Candidate]
    ) -> Call:
        network = self._force.networks[flow.network]
        listener = listener_of(network, flow)
        max_forwards = request.max_forwards
        peer = self._force.table.peer(caller.peer)
        codecs = caller.decision.codecs
        a = Leg(
            side=SideName.A,
            flow=flow,
            peer=caller.peer,
            our_host=listener.advertise,
            their_host=flow.remote[0],
            contact=contact_of(listener, scheme="sips" if request.uri.scheme == "sips" else "sip"),
            sent_by=sent_by(listener),
            rules=caller.rules if codecs is None else caller.rules.with_codecs(codecs),
            uuid=session_uuid(request) or uuid_of(self._ids.token() + self._ids.token()),
            local_tag=self._ids.token(),
            call_id=request.call_id,
            trusted=network.trusted if peer is None else peer.is_trusted(network),
            registered="" if caller.binding is None else caller.binding.user,
            presentation=presentation_of(caller.decision),
        )
        return Call(
            name=self._ids.token(),
            context=self._context,
            a=a,
            b=callee_leg(self._context, candidates[0]),
            candidates=tuple(candidates),
            started_at=0.0,
            started_wall=self._wall(),
            caller=request.from_.uri.user or "",
            callee=self._called(request, peer),
            route="",
            max_forwards=(70 if max_forwards is None else max_forwards) - 1,
            loop_mark="",
            invite=request,
            invite_key=key,
        )

    def _respond(
        self,
        key: str,
        request: Request,
        flow: Flow,
        response: Response,
        now: float,
        caller: Caller,
    ) -> None:
        self._headers.answer(response, request, flow, caller)
        self._outbox.transmit(self._layer.respond(key, response, now))
