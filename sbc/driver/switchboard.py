"""The switchboard: every message, deadline and media event finds its call, or makes one.

Synchronous and without sockets: the loop hands in what arrived and the time, the outbox carries
out what the cores answer.

Spec: RFC 3261 §8.2 (UAS behaviour), §16.3 (validation), §18 (flows).
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial

from media.events import EngineFailed, HandshakeDatagram, MediaEvent
from sbc.b2bua.causes import TEMPORARY_FAILURE, Ending
from sbc.b2bua.context import IdSource
from sbc.b2bua.events import (
    GaveUp,
)
from sbc.b2bua.table import State
from sbc.driver import callers
from sbc.driver.agents import Agents
from sbc.driver.answers import Answers
from sbc.driver.boundary import contained
from sbc.driver.callers import Caller
from sbc.driver.calls import Calls
from sbc.driver.carriers import Carriers
from sbc.driver.door import Door
from sbc.driver.doorkeeper import Doorkeeper
from sbc.driver.edges import BindingRecords, Log, MediaRelay, Records, Wire
from sbc.driver.hop_watch import HopWatch
from sbc.driver.in_force import InForce
from sbc.driver.manipulating import Manipulator
from sbc.driver.outbox import Outbox
from sbc.driver.participants import Participants
from sbc.driver.ports import NetworkPorts
from sbc.driver.reception import REGISTRAR, Reception
from sbc.driver.refused import RefusedRequests, Witness
from sbc.driver.tally import Tally
from sbc.driver.watch import Watch
from sbc.policy.admission import Admission
from sbc.policy.authentication import Authenticator
from sbc.policy.caps import PeerCaps
from sbc.policy.refusal import Refusal
from sbc.registrar.registrar import Registrar
from sbc.routing.accounts import Logins
from sbc.routing.location import Locations, hosts_of
from sbc.sip.errors import TOO_LARGE, ParseError
from sbc.sip.flow import Flow
from sbc.sip.message import Request, Response
from sbc.sip.parser import DEFAULT, Limits, parse_message_untrusted
from sbc.sip.transaction import events as tx
from sbc.sip.transaction.layer import TransactionLayer
from sbc.state.cdr import EndedBy
from sbc.trunks.trunks import Trunks

_ENDS = frozenset({State.CANCELLING, State.ENDING, State.ENDED})
"""States of calls that nobody needs to end any more."""


class Switchboard:
    """Everything of one process that decides about signalling."""

    def __init__(
        self,
        force: InForce,
        *,
        wire: Wire,
        relay: MediaRelay,
        records: Records,
        bindings: BindingRecords,
        log: Log,
        ids: IdSource,
        wall: Callable[[], float],
        message_limits: Limits = DEFAULT,
        now: float = 0.0,
        witness: Witness | None = None,
        authenticator: Authenticator | None = None,
    ) -> None:
        """Start without calls.

        Args:
            force: The configuration in force.
            wall: Seconds since 1970, for records only.
            now: Monotonic seconds of the start, from which on hops are watched.
            witness: Who is told what becomes of requests; `refused` by default.
            authenticator: Who judges credentials.
        """
        self.force = force
        self.refused = RefusedRequests(wall, records.call_refused)
        """What was turned away lately."""
        self._witness = self.refused if witness is None else witness
        self.tally = Tally()
        self._message_limits = message_limits
        self._log = log
        self._ids = ids
        self._wire = wire
        seed = int(ids.token(), 16)
        self.ports = NetworkPorts(force.settings.networks, seed)
        self.layer = TransactionLayer()
        self.outbox = Outbox(self.layer, wire, relay, self.ports, log)
        self.caps = PeerCaps({})
        self.calls = Calls(self.outbox, self.caps, self.ports, records, log, self.tally)
        self.registrar = Registrar(force.settings, ids.key(32), seed & 0x7FFFFFFF)
        self.admission = Admission(
            force.policy, force.trust, self._known_peer, world=force.world, wall=wall
        )
        self.doorkeeper = Doorkeeper(self.admission, self.tally, self._contain)
        exempts = self.admission.exempts
        self.watch = Watch(
            force, registrar=self.registrar, wire=wire, log=log, wall=wall, exempts=exempts
        )
        self.admission.blocklist = self.watch.guard.bans
        self.doorkeeper.may_prove = self.watch.may_prove
        self.outbox.answered = self.watch.answered
        self._headers = Manipulator(force, registrar=self.registrar, wire=wire, log=log, wall=wall)
        self.door = Door(
            force,
            layer=self.layer,
            calls=self.calls,
            registrar=self.registrar,
            admission=self.admission,
            wire=wire,
            log=log,
            secret=ids.key(32),
            authenticator=authenticator or Authenticator(ids.key(32)),
            wall=wall,
            tally=self.tally,
            watch=self.watch,
            witness=self._witness,
            headers=self._headers,
        )
        self._instance = ids.token()[:8]
        self.logins = Logins()
        self.agents = Agents(self.outbox, iter(self._branch, ""))
        trunks = Trunks(force.settings, self.logins, fresh=ids.token, branch=self.agents.branch)
        self.carriers = Carriers(trunks, agents=self.agents, log=log)
        self.hops = HopWatch(self.agents, log, seed & 0x7FFFFFFF, self.carriers.doubt)
        self.reception = Reception(
            force,
            layer=self.layer,
            outbox=self.outbox,
            agents=self.agents,
            instance=self._instance,
            calls=self.calls,
            registrar=self.registrar,
            bindings=bindings,
            admission=self.admission,
            caps=self.caps,
            health=self.hops.health,
            logins=self.logins,
            ports=self.ports,
            log=log,
            ids=ids,
            wall=wall,
            tally=self.tally,
            watch=self.watch,
            witness=self._witness,
            wire=wire,
            headers=self._headers,
        )
        self._participants = Participants(self.calls, self.reception, wire, self.tally)
        self.agents.add(REGISTRAR, self.registrar, self.reception.registrar_told)
        force.attach(self.carriers.registrations, self.calls.ledger)
        self.calls.tariffs = force.policy.tariffs
        self.answers = Answers(self.outbox, self.calls, self.agents)
        self.calls.hop_seen = self.hops.seen
        self.hops.configure(force, now)

    # -- inputs -----------------------------------------------------------------------------

    def receive(self, flow: Flow, data: bytes, now: float) -> None:
        """Take one message from the wire; whatever it is, it does not raise."""
        self._contain(partial(self._receive, flow, data, now), source=flow.remote)

    def take_datagram(self, flow: Flow, data: bytes, now: float) -> None:
        """Take one datagram that the doorkeeper let in; whatever it is, it does not raise."""
        self._contain(partial(self._take, flow, data, now), source=flow.remote)

    def handle_timeout(self, now: float) -> None:
        """Let everything happen whose time has come."""
        self.watch.now = now
        self._contain(partial(self._wake_layer, now))
        self._contain(partial(self.calls.handle_timeout, now))
        for name in self.agents:
            self._contain(partial(self.agents.wake, name, now))

    def next_timeout(self) -> float | None:
        """When `handle_timeout` is wanted next."""
        times = (self.layer.next_timeout(), self.calls.next_timeout(), self.agents.next_timeout())
        return min((at for at in times if at is not None), default=None)

    def flow_failed(self, flow: Flow, why: str, now: float) -> None:
        """Something could not be sent on a flow."""
        self._log("debug", "flow failed", network=flow.network, remote=flow.remote, why=why)
        self._contain(partial(self._fail_transactions, flow, why, now))
        self._contain(partial(self.carriers.flow_failed, flow, why, now))

    def flow_closed(self, flow: Flow, why: str, now: float) -> None:
        """A connection is gone."""
        self._contain(partial(self._fail_transactions, flow, why, now))
        self._contain(partial(self._cut_off, flow, now))
        self._contain(partial(self.watch.stream_ended, flow, why))
        self._contain(partial(self.carriers.flow_failed, flow, why, now))

    def media_event(self, event: MediaEvent, now: float) -> None:
        """Take what the relay reports."""
        self._contain(partial(self._media_event, event, now))

    def _media_event(self, event: MediaEvent, now: float) -> None:
        if isinstance(event, EngineFailed):
            self._log("error", "media engine failed", reason=event.reason)
            text = f"the media engine failed: {event.reason}"
            self.hang_up_all(Ending(503, TEMPORARY_FAILURE, EndedBy.INTERNAL, text), now)
            return
        if isinstance(event, HandshakeDatagram):
            return  # No plan asks for them, and what was under way when one did says nothing now.
        self.calls.media_event(event, now)

    # -- operator ---------------------------------------------------------------------------

    def begin(self, now: float) -> None:
        """Do what we do on our own account, now that messages can be sent: register with trunks."""
        self._contain(partial(self.carriers.configure, self.force, now))

    def leave(self, now: float) -> None:
        """Withdraw what `begin` began; `carriers.registrations` is empty when that is done."""
        self._contain(partial(self.carriers.leave, now))

    def configure(self, force: InForce, now: float) -> bool:
        """Put a new configuration in force; calls keep the one they began with.

        Returns:
            False when an error of ours, which is logged, prevented it: then the configuration
            before it is in force again.
        """
        before = self.force
        if self._contain(partial(self._configure, force, now)):
            return True
        self._contain(partial(self._configure, before, now))
        return False

    def located(self, locations: Locations, now: float) -> None:
        """Use what is known now of where the targets of peers are."""
        self._contain(partial(self._located, locations, now))

    def restore(
        self, bindings: Iterable[Mapping[str, object]], now: float, origin: float | None = None
    ) -> None:
        """Take over bindings that `registrar.export` gave.

        Args:
            origin: What the spans in them count from, on this clock; `now` when None.

        Raises:
            ValueError: they are no such export.
        """
        self.agents.carry_out(REGISTRAR, self.registrar.restore(bindings, now, origin), now)

    def hang_up_all(self, ending: Ending, now: float) -> None:
        """End every call for one reason."""
        self.hang_up_some(ending, now, len(self.calls))

    def hang_up_some(self, ending: Ending, now: float, limit: int) -> int:
        """End at most `limit` calls for one reason.

        Returns:
            How many others have not begun to end: call again in another turn.
        """
        up = [call for call in self.calls if call.state not in _ENDS]
        for call in up[:limit]:
            self.calls.tell(call, GaveUp(ending), now)
        return max(0, len(up) - limit)

    # -- on the way in ----------------------------------------------------------------------

    def _receive(self, flow: Flow, data: bytes, now: float) -> None:
        self.watch.now = now
        names = self._wire.names(flow)
        if names:
            self.watch.proved(flow, names)
        verdict = self.doorkeeper.judge(self.force, flow, names, now)
        if verdict.admitted:
            self._take(flow, data, now)
            return
        self._witness.limited(flow, verdict)
        if verdict.level:
            self.watch.over_its_rate(flow)

    def _take(self, flow: Flow, data: bytes, now: float) -> None:
        self.watch.now = now
        message: Request | Response | None = None
        caller: Caller | None = None
        try:
            message = parse_message_untrusted(data, self._message_limits)
            if isinstance(message, Request):
                self.watch.arrived(message, flow)
                caller = self.door.enter(message, flow, now)
                if caller is None:
                    return
        except ParseError as error:
            if isinstance(message, Request):
                error.answerable = message
            self._malformed(error, flow, now)
            return
        self._dispatch(self.layer.receive(message, flow, now), now, caller)

    def _malformed(self, error: ParseError, flow: Flow, now: float) -> None:
        self.tally.malformed += 1
        self.tally.oversize += error.status == TOO_LARGE
        self._witness.malformed(flow, error)
        self._log("info", "malformed", source=flow.remote, network=flow.network, why=error.reason)
        self.watch.malformed(error, flow)
        request = error.answerable
        if request is None or request.method == "ACK" or flow.network not in self.force.networks:
            return
        if self.admission.may_answer(flow.remote[0], now):
            self.door.answer(request, flow, Refusal(error.status, error.reason))

    def _dispatch(self, outputs: list[tx.Output], now: float, caller: Caller | None = None) -> None:
        """Handle what the transactions tell; of a message that arrived with whoever sent it."""
        for output in outputs:
            if type(output) is tx.Transmit:
                self._wire.send(output.flow, output.data)
                continue
            well = self._contain(partial(self._handle, output, now, caller))
            if not well and isinstance(output, tx.RequestArrived):
                self._answer_for_fault(output, now)

    def _handle(self, output: tx.Output, now: float, caller: Caller | None) -> None:
        if isinstance(output, tx.ResponseArrived):
            self.answers.response(output, now)
        elif isinstance(output, tx.RequestArrived):
            assert caller is not None, "the door lets nobody in unseen"
            self._request(output, caller, now)
        elif isinstance(output, tx.AckArrived):
            self._participants.ack(output, now)
        elif isinstance(output, tx.RequestFailed):
            self.answers.failed(output, now)
        elif isinstance(output, tx.RequestRefused):
            said, wait_s = "too many transactions under way", output.retry_after_s
            refusal = Refusal(503, said, retry_after_s=wait_s)
            self.door.refuse(output.request, output.flow, refusal, now)
        elif isinstance(output, tx.ResponseUnacknowledged):
            self.tally.unacknowledged += 1
        else:
            self.tally.stray += 1

    def _request(self, output: tx.RequestArrived, caller: Caller, now: float) -> None:
        key, request, flow = output.key, output.request, output.flow
        try:
            if request.method == "CANCEL":
                well = self._participants.cancel(output, now)
            elif request.to_tag is not None:
                well = self._participants.within(output, now)
            else:
                self.reception.receive(key, request, flow, caller, now)
                self._participants.prove(key, flow)
                return
        except ParseError as error:
            refusal = Refusal(error.status, error.reason)
            self.reception.refuse(key, request, flow, refusal, now)
            return
        if not well:
            # The call broke over it and is gone; what it may have said stands.
            self._answer_for_fault(output, now)

    # -- deadlines, faults, configuration ---------------------------------------------------

    def _wake_layer(self, now: float) -> None:
        self._dispatch(self.layer.handle_timeout(now), now)

    def _branch(self) -> str:
        """A fresh branch for a request that belongs to no call."""
        return f"z9hG4bK{self._instance}.-.{self._ids.token()}"

    def _fail_transactions(self, flow: Flow, why: str, now: float) -> None:
        self.hops.health.flow_failed(flow, why)
        self._dispatch(self.layer.transport_failed(flow, now, why), now)

    def _cut_off(self, flow: Flow, now: float) -> None:
        self.agents.carry_out(REGISTRAR, self.registrar.flow_closed(flow), now)

    def _contain(self, work: Callable[[], None], **where: object) -> bool:
        """Do some work; false, after logging it, when an error of ours ended it."""
        fault = contained(work)
        if fault is None:
            return True
        self.tally.faults += 1
        self._log("error", "internal error", traceback=fault, **where)
        return False

    def _answer_for_fault(self, output: tx.RequestArrived, now: float) -> None:
        """Leave no transaction behind that nobody will answer; one that was answered stays so."""
        key, request, flow = output.key, output.request, output.flow
        refusal = Refusal(500, "internal error")
        self._contain(partial(self.reception.refuse, key, request, flow, refusal, now))
        self.layer.abandon(output.key, now)

    def _configure(self, force: InForce, now: float) -> None:
        self._judge_by(force, now)
        self.admission.apply(force.policy, force.trust, self._known_peer, force.world)
        self.ports.resize(force.settings.networks, now)
        self.agents.carry_out(REGISTRAR, self.registrar.configure(force.settings, now), now)
        self.carriers.configure(force, now)

    def _located(self, locations: Locations, now: float) -> None:
        force = self.force
        table = force.table.with_locations(locations)
        new = replace(force, table=table, locations=locations, located={}, by_credentials={})
        self._judge_by(new, now)
        self.admission.peers_moved(
            self._known_peer, hosts_of(force.locations) ^ hosts_of(locations)
        )
        self.carriers.locate(self.force)

    def _judge_by(self, force: InForce, now: float) -> None:
        force.attach(self.carriers.registrations, self.calls.ledger)
        self.calls.tariffs = force.policy.tariffs
        self.force = force
        self._headers.configure(force)
        self.door.configure(force)
        self.watch.configure(force)
        self.reception.configure(force)
        self.hops.configure(force, now)

    def _known_peer(self, network: str, host: str) -> str | None:
        return callers.known_peer(self.force, network, host)
