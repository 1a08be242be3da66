"""The door: what is decided on a request before it costs us a transaction.

Whatever is turned away here is answered statelessly or not at all, so that it leaves no trace: a
refusal that retransmits itself would multiply a flood from invented sources toward its victims.
For their sake too, a source that nobody knows hears at most one refusal in a second.

Spec: RFC 3261 §8.2.7 (stateless UAS), RFC 5853 §3.5 (access control).
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Final

from sbc.b2bua.causes import q850_of
from sbc.driver import callers, spending
from sbc.driver.callers import PARTICIPANT, Caller
from sbc.driver.calls import Calls
from sbc.driver.edges import Log, Wire, told_of
from sbc.driver.in_force import InForce
from sbc.driver.manipulating import Manipulator
from sbc.driver.refused import TurnedAway, Witness
from sbc.driver.tally import Tally
from sbc.driver.watch import Watch
from sbc.policy.access import screen
from sbc.policy.admission import Admission
from sbc.policy.authentication import UNCHALLENGED, Authenticator, remove_credentials
from sbc.policy.explain import Decided
from sbc.policy.facts import Facts
from sbc.policy.model import Decision, Step
from sbc.policy.refusal import Refusal, refusal_of, refused
from sbc.registrar.registrar import Registrar
from sbc.registrar.relaying import Pseudonyms
from sbc.routing.accounts import User
from sbc.routing.facing import listener_of, sent_by
from sbc.sip.errors import ParseError
from sbc.sip.flow import Flow
from sbc.sip.message import Request, serialize
from sbc.sip.transaction.layer import TransactionLayer, server_key
from sbc.sip.transaction.response_path import stamp_via

STRANGERS_SHARE = 0.5
"""Of all server transactions, how many strangers may have: the rest is for peers and registered
phones, whatever flood of registrations comes along."""

_RETRY_S: Final = 10
"""How long whoever asks too often is told to wait."""

_NO_TRANSACTION: Final = Refusal(481, "no such transaction")
_NO_DIALOG: Final = Refusal(481, "no such dialog")
_NO_ROOM: Final = Refusal(503, "too many transactions under way")


class Door:
    """Who may come in, by the configuration in force."""

    __slots__ = (
        "_admission", "_authenticator", "_calls", "_force", "_headers", "_layer", "_log", "_names",
        "_registrar", "_tally", "_wall", "_watch", "_wire", "_witness",
    )  # fmt: skip

    def __init__(
        self,
        force: InForce,
        *,
        layer: TransactionLayer,
        calls: Calls,
        registrar: Registrar,
        admission: Admission,
        wire: Wire,
        log: Log,
        secret: bytes,
        authenticator: Authenticator,
        wall: Callable[[], float],
        tally: Tally,
        watch: Watch,
        witness: Witness,
        headers: Manipulator,
    ) -> None:
        self._force = force
        self._layer = layer
        self._calls = calls
        self._registrar = registrar
        self._admission = admission
        self._wire = wire
        self._log = log
        self._names = Pseudonyms(secret)
        self._authenticator = authenticator
        self._wall = wall
        self._tally = tally
        self._watch = watch
        self._witness = witness
        self._headers = headers

    def configure(self, force: InForce) -> None:
        """Judge by another configuration from now on."""
        self._force = force

    def enter(self, request: Request, flow: Flow, now: float) -> Caller | None:
        """Who sends a request that may go on to the transactions.

        Returns:
            `PARTICIPANT` for what belongs to something that was let in before; None when the
            request may not go on, and all is said that is to say.

        Raises:
            ParseError: a header that decides is malformed (400).
        """
        method = request.method
        if method == "ACK":
            return PARTICIPANT
        if flow.network not in self._force.networks:
            self._tally.dropped_policy += 1
            return None
        if method == "CANCEL":
            # Its own transaction, of a retransmission, may outlive the INVITE's.
            if self._is_known(request, flow, "INVITE") or self._is_known(request, flow, method):
                return PARTICIPANT
            self.refuse(request, flow, _NO_TRANSACTION, now)
            return None
        if request.to_tag is not None:
            found = self._calls.by_dialog(request)
            if found is not None:
                call, side = found
                realm = self._force.realm_of(call.leg(side).peer)
                if realm is not None:
                    remove_credentials(request, realm.name)
                return PARTICIPANT
            if self._is_known(request, flow, method):
                return PARTICIPANT
            self.refuse(request, flow, _NO_DIALOG, now)
            return None
        return self._may_begin(request, flow, now)

    def refuse(
        self,
        request: Request,
        flow: Flow,
        refusal: Refusal,
        now: float,
        caller: Caller | None = None,
        decided: Decided | None = None,
    ) -> None:
        """Refuse a request without keeping anything, and log it; a stranger's perhaps silently.

        Args:
            caller: Who sent it, as far as that was asked.
            decided: What policy said, where that is why.
        """
        self._watch.refused(request, flow, refusal)
        known = self._knows(flow)
        why = refusal.explanation
        self._tell(request, flow, refusal.status, why, now, caller, decided, known=known)
        if not known and not self._admission.may_answer(flow.remote[0], now):
            self._tally.unanswered += 1
            return
        self._log(
            "info",
            # Apart, since the log rations each kind of event: no flood may hide the others.
            "request refused" if known else "stranger refused",
            **told_of(request, flow),
            status=refusal.status,
            why=why,
        )
        self.answer(request, flow, refusal, PARTICIPANT if caller is None else caller)

    def answer(
        self, request: Request, flow: Flow, refusal: Refusal, caller: Caller = PARTICIPANT
    ) -> None:
        """Send a refusal of a request, malformed or not, without keeping anything.

        Args:
            caller: Who sent it, as far as that was asked.
        """
        tag = self._tag(request)
        try:
            back = stamp_via(request, flow)
            agent = sent_by(listener_of(self._force.networks[flow.network], flow))
            response = refused(request, refusal, tag, agent, None)
            self._headers.answer(response, request, flow, caller)
            data = serialize(response)
        except (ParseError, ValueError):
            # What it echoes of a malformed request cannot be said legally: then nothing is.
            return
        self._tally.refused += 1
        self._wire.send(back, data)

    def _tag(self, request: Request) -> str:
        """Of To: the same for a retransmission of the same request (RFC 3261 §8.2.7)."""
        top = request.headers.first("via") or ""
        return self._names.of(request.headers.first("call-id") or "", top)

    def _tell(
        self,
        request: Request,
        flow: Flow,
        status: int,
        why: str,
        now: float,
        caller: Caller | None,
        decided: Decided | None,
        *,
        known: bool,
    ) -> None:
        known = known or (caller is not None and bool(caller.user))
        tag = self._tag(request)
        turned = TurnedAway(request, flow, tag, status, why, decided, caller, known)
        self._witness.turned_away(turned, now)

    def _may_begin(self, request: Request, flow: Flow, now: float) -> Caller | None:
        if self._is_known(request, flow, request.method):
            # A retransmission: it was judged, its nonce count was used, and it was counted.
            return PARTICIPANT
        proven = self._wire.names(flow)
        wall = self._wall()
        version = self._wire.tls_version(flow)
        caller = callers.identify(
            self._force, self._registrar, request, flow, proven, wall, version
        )
        decision = caller.decision
        if decision.allowed and (caller.known or self._has_room_for_strangers()):
            return self._screened(request, flow, caller, now)
        if decision.allowed:
            self.refuse(request, flow, _NO_ROOM, now, caller)
        else:
            self._turn_away(request, flow, caller, decision, now)
        return None

    def _screened(self, request: Request, flow: Flow, caller: Caller, now: float) -> Caller | None:
        """Let in whoever proves who it is, where that is asked, and may do what it wants to."""
        known = self._authenticated(request, flow, caller, now)
        if known is None or known.facts is None:
            return known
        known.facts.user = known.user
        if not self._within_limits(request, flow, known, now):
            return None
        decision = screen(self._force.policy, known.facts, known.decision)
        self._warn(request, flow, known.facts, decision.trail[len(known.decision.trail) :])
        if decision.allowed:
            known = replace(known, decision=decision)
            self._witness.let_in(request, flow, known)
            return known
        self._turn_away(request, flow, known, decision, now)
        return None

    def _warn(self, request: Request, flow: Flow, facts: Facts, steps: Iterable[Step]) -> None:
        """Tell what rules want told of a request that was screened."""
        for step in steps:
            if step.stage == "fraud":
                spending.tell(self._log, facts, step)
            elif step.action.verb == "warn":
                why = step.explanation
                self._log("warning", "policy warning", **told_of(request, flow), why=why)

    def _within_limits(self, request: Request, flow: Flow, caller: Caller, now: float) -> bool:
        """Count a request by its user and method; too many are refused, but no emergency."""
        assert caller.facts is not None, "it was decided on"
        if not self._admission.counts_requests(flow.network):
            return True
        if caller.facts.emergency:
            return True
        verdict = self._admission.admit_request(caller.facts, flow, caller.proven_user, now)
        if verdict.admitted:
            return True
        self._tally.refused_rate += 1
        said = f"the rate limit {verdict.rule!r} ({verdict.where}) per {verdict.level} is used up"
        refusal = Refusal(503, "", said, retry_after_s=_RETRY_S)
        self.refuse(request, flow, refusal, now, caller)
        return False

    def _turn_away(
        self, request: Request, flow: Flow, caller: Caller, decision: Decision, now: float
    ) -> None:
        """Refuse what policy refuses, or say nothing."""
        facts = caller.facts
        decided = None if facts is None else Decided(self._force.policy, facts, decision)
        if decision.outcome == "drop":
            self._tally.dropped_policy += 1
            why = decision.explanation
            self._tell(request, flow, 0, why, now, caller, decided, known=self._knows(flow))
            self._log("info", "request dropped", **told_of(request, flow), why=why)
            self._watch.dropped(request, flow, why)
            return
        told = self._may_be_told(flow)
        refusal = refusal_of(decision, told=told)
        if told:
            cause = ("Reason", f"Q.850;cause={q850_of(refusal.status)}")
            refusal = replace(refusal, headers=(cause,))
        self.refuse(request, flow, refusal, now, caller, decided)

    def _may_be_told(self, flow: Flow) -> bool:
        """Whether who sends on a flow may know the name of the rule that refuses it."""
        proven = self._wire.names(flow)
        trusted = self._force.networks[flow.network].trusted
        return trusted or self._force.table.sender(flow, proven) is not None

    def _authenticated(
        self, request: Request, flow: Flow, caller: Caller, now: float
    ) -> Caller | None:
        """Let in whoever need not say who it is, or does; challenge the others.

        A challenge is answered to strangers too, however many are behind one address: it is no
        more than what they sent, and their rate is limited already.
        """
        realm = self._force.realm_of(caller.peer)
        if realm is None or request.method in UNCHALLENGED:
            return caller
        judged = self._authenticator.judge(request, flow, realm, now)
        if isinstance(judged, User):
            remove_credentials(request, realm.name)
            return replace(caller, user=judged.name)
        if judged.explanation:
            self._tally.unauthenticated += 1
            self.refuse(request, flow, judged, now, caller)
        else:
            self._tally.challenged += 1
            self._watch.refused(request, flow, judged)
            self._tell(request, flow, judged.status, "", now, caller, None, known=caller.known)
            self.answer(request, flow, judged, caller)
        return None

    def _has_room_for_strangers(self) -> bool:
        return self._layer.counts.servers < self._layer.server_limit * STRANGERS_SHARE

    def _knows(self, flow: Flow) -> bool:
        """Whether a source is trusted, a peer's, or has a registered phone."""
        force = self._force
        return (
            force.networks[flow.network].trusted
            or force.table.sender(flow, self._wire.names(flow)) is not None
            or self._registrar.has_source(flow)
        )

    def _is_known(self, request: Request, flow: Flow, method: str) -> bool:
        return self._layer.has(server_key(request, flow, method))
