"""The switchboard: every message, deadline and media event finds its call, or makes one.

Synchronous and without sockets: the loop hands in what arrived and the time, the outbox carries
out what the cores answer.

Spec: RFC 3261 §8.2 (UAS behaviour), §16.3 (validation), §18 (flows).
"""

from collections.abc import Callable, Mapping

from media.events import (
    EngineFailed,
    KeyErrors,
    Latched,
    MediaEvent,
    MediaResumed,
    MediaTimeout,
    RelatchRefused,
)
from media.types import Endpoint
from sbc.b2bua.causes import TEMPORARY_FAILURE, Ending
from sbc.b2bua.context import IdSource
from sbc.b2bua.events import (
    AckReceived,
    CancelReceived,
    GaveUp,
    MediaNoted,
    MediaSilent,
    ReplyReceived,
    RequestFailed,
    RequestReceived,
)
from sbc.driver.calls import Calls
from sbc.driver.edges import Log, MediaRelay, Records, Wire
from sbc.driver.outbox import REGISTRAR, Outbox
from sbc.driver.placing import InForce
from sbc.driver.ports import NetworkPorts
from sbc.driver.reception import Reception, Tally, call_limits
from sbc.policy.admission import Admission
from sbc.policy.caps import PeerCaps
from sbc.registrar.registrar import Registrar
from sbc.routing.facing import bracketed
from sbc.sip.errors import ParseError
from sbc.sip.flow import Flow
from sbc.sip.message import Request
from sbc.sip.parser import DEFAULT, Limits, parse_message_untrusted
from sbc.sip.transaction import events as tx
from sbc.sip.transaction.layer import TransactionLayer


class Switchboard:
    """Everything of one process that decides about signalling."""

    def __init__(
        self,
        force: InForce,
        *,
        wire: Wire,
        relay: MediaRelay,
        records: Records,
        log: Log,
        ids: IdSource,
        wall: Callable[[], float],
        message_limits: Limits = DEFAULT,
    ) -> None:
        """Start without calls.

        Args:
            force: The configuration in force.
            wall: Seconds since 1970, for records only.
        """
        self.force = force
        self.tally = Tally()
        self._message_limits = message_limits
        self._log = log
        self._ids = ids
        self._wire = wire
        seed = int(ids.token(), 16)
        self.ports = NetworkPorts(force.settings.networks, seed)
        self.layer = TransactionLayer()
        self.outbox = Outbox(self.layer, wire, relay, self.ports, log)
        caps = PeerCaps(call_limits(force))
        self.calls = Calls(self.outbox, caps, records, log)
        self.registrar = Registrar(force.settings, ids.key(32), seed & 0x7FFFFFFF)
        self.admission = Admission(force.policy, _trust(force), self._known_peer)
        self.reception = Reception(
            force,
            layer=self.layer,
            outbox=self.outbox,
            calls=self.calls,
            registrar=self.registrar,
            admission=self.admission,
            caps=caps,
            ports=self.ports,
            wire=wire,
            log=log,
            ids=ids,
            wall=wall,
            tally=self.tally,
        )

    # -- inputs -----------------------------------------------------------------------------

    def receive(self, flow: Flow, data: bytes, now: float) -> None:
        """Take one message from the wire."""
        self.tally.received += 1
        if not self.admission.admit(flow.network, flow.remote[0], now).admitted:
            self.tally.dropped_rate += 1
            return
        try:
            message = parse_message_untrusted(data, self._message_limits)
            if isinstance(message, Request) and not self.reception.may_enter(message, flow):
                self.tally.dropped_policy += 1
                return
            outputs = self.layer.receive(message, flow, now)
        except ParseError as error:
            self._malformed(error, flow, now)
            return
        self._dispatch(outputs, now)

    def handle_timeout(self, now: float) -> None:
        """Let everything happen whose time has come."""
        self._dispatch(self.layer.handle_timeout(now), now)
        self.calls.handle_timeout(now)
        due = self.registrar.next_timeout()
        if due is not None and due <= now:
            commands = self.registrar.handle_timeout(now, iter(self.reception.branch, ""))
            self.outbox.for_registrar(commands, now, self.reception.binding_changed)

    def next_timeout(self) -> float | None:
        """When `handle_timeout` is wanted next."""
        times = [
            at
            for at in (
                self.layer.next_timeout(),
                self.calls.next_timeout(),
                self.registrar.next_timeout(),
            )
            if at is not None
        ]
        return min(times, default=None)

    def flow_failed(self, flow: Flow, why: str, now: float) -> None:
        """Something could not be sent on a flow."""
        self._log("debug", "flow failed", network=flow.network, remote=flow.remote, why=why)
        self._dispatch(self.layer.transport_failed(flow, now), now)

    def flow_closed(self, flow: Flow, now: float) -> None:
        """A connection is gone."""
        self._dispatch(self.layer.transport_failed(flow, now), now)
        commands = self.registrar.flow_closed(flow)
        self.outbox.for_registrar(commands, now, self.reception.binding_changed)

    def media_event(self, event: MediaEvent, now: float) -> None:
        """Take what the relay reports."""
        if isinstance(event, EngineFailed):
            self._log("error", "media engine failed", reason=event.reason)
            text = f"the media engine failed: {event.reason}"
            self.hang_up_all(Ending(503, TEMPORARY_FAILURE, "internal", text), now)
            return
        name = event.stream_id[0]
        if isinstance(event, MediaTimeout):
            self._log("info", "media silent", call=name, side=event.side.value, s=event.silent_s)
            self.calls.tell_named(name, MediaSilent(event.side, event.silent_s), now)
        else:
            self.calls.tell_named(name, MediaNoted(event.side, _media_text(event)), now)

    # -- operator ---------------------------------------------------------------------------

    def configure(self, force: InForce, now: float) -> None:
        """Put a new configuration in force; calls keep the one they began with."""
        self.force = force
        self.reception.configure(force)
        self.registrar.configure(force.settings)
        self.admission.apply(force.policy, _trust(force), self._known_peer)
        self.ports.resize(force.settings.networks, now)

    def resolved(self, addresses: Mapping[str, tuple[str, ...]]) -> None:
        """Use newly resolved addresses of the peers' host names."""
        force = self.force
        table = force.table.with_addresses(addresses)
        self.force = InForce(force.settings, table, force.policy, dict(addresses))
        self.reception.configure(self.force)
        self.admission.apply(force.policy, _trust(force), self._known_peer)

    def hang_up_all(self, ending: Ending, now: float) -> None:
        """End every call for one reason."""
        for call in self.calls:
            self.calls.tell(call, GaveUp(ending), now)

    # -- on the way in ----------------------------------------------------------------------

    def _malformed(self, error: ParseError, flow: Flow, now: float) -> None:
        self.tally.malformed += 1
        self._log("info", "malformed", source=flow.remote, network=flow.network, why=error.reason)
        request = error.answerable
        if request is None or request.method == "ACK":
            return
        if self.admission.may_answer(flow.remote[0], now):
            self.reception.answer_statelessly(request, flow, error.status, error.reason)

    def _dispatch(self, outputs: list[tx.Output], now: float) -> None:
        for output in outputs:
            if isinstance(output, tx.Transmit):
                self._wire.send(output.flow, output.data)
            elif isinstance(output, tx.ResponseArrived):
                self._response(output, now)
            elif isinstance(output, tx.RequestArrived):
                try:
                    self._request(output, now)
                except ParseError as error:
                    self.reception.refuse(
                        output.key, output.request, output.flow, 400, error.reason, now
                    )
            elif isinstance(output, tx.AckArrived):
                self._ack(output, now)
            elif isinstance(output, tx.RequestFailed):
                self._failed(output, now)
            elif isinstance(output, tx.RequestRefused):
                self.reception.answer_statelessly(
                    output.request, output.flow, 503, "too many transactions under way"
                )
            else:
                self.tally.stray += 1

    def _response(self, output: tx.ResponseArrived, now: float) -> None:
        owner = self.outbox.owner_of(output.key)
        if owner is None:
            return
        name, ref = owner
        response = output.response
        if name == REGISTRAR:
            if response.status >= 200:
                self.outbox.forget(REGISTRAR, output.key)
            commands = self.registrar.reply(ref, response, now)
            self.outbox.for_registrar(commands, now, self.reception.binding_changed)
            return
        self.calls.tell_reply(name, ReplyReceived(ref, response, output.flow), now)

    def _failed(self, output: tx.RequestFailed, now: float) -> None:
        owner = self.outbox.owner_of(output.key)
        if owner is None:
            return
        name, ref = owner
        self.outbox.forget(name, output.key)
        if name == REGISTRAR:
            commands = self.registrar.failed(ref, output.why)
            self.outbox.for_registrar(commands, now, self.reception.binding_changed)
        else:
            self.calls.tell_named(name, RequestFailed(ref, output.why), now)

    def _ack(self, output: tx.AckArrived, now: float) -> None:
        try:
            found = self.calls.by_dialog(output.request)
        except ParseError:
            found = None
        if found is None:
            self.tally.stray += 1
            return
        call, side = found
        call.journal.note(now, "sip", "", side.value, "in", output.request.raw)
        self.calls.tell(call, AckReceived(side, output.request, output.flow), now)

    def _request(self, output: tx.RequestArrived, now: float) -> None:
        key, request, flow = output.key, output.request, output.flow
        if request.method == "CANCEL":
            self._cancel(output, now)
        elif request.to_tag is not None:
            found = self.calls.by_dialog(request)
            if found is None:
                self.reception.refuse(key, request, flow, 481, "no such dialog", now)
                return
            call, side = found
            call.journal.note(now, "sip", "", side.value, "in", request.raw)
            self.calls.tell(call, RequestReceived(side, key, request, flow), now)
        else:
            self.reception.receive(key, request, flow, now)

    def _cancel(self, output: tx.RequestArrived, now: float) -> None:
        invite = output.cancels or ""
        call = self.calls.by_invite(invite)
        side = None
        if call is not None:
            side = call.a.side
        elif invite:
            found = self.calls.by_dialog(output.request) if output.request.to_tag else None
            if found is not None:
                call, side = found
        if call is None or side is None:
            status = 200 if invite else 481
            self.reception.refuse(output.key, output.request, output.flow, status, "", now)
            return
        call.journal.note(now, "sip", "", side.value, "in", output.request.raw)
        self.calls.tell(call, CancelReceived(side, output.key, output.request, invite), now)

    def _known_peer(self, network: str, host: str) -> str | None:
        peer = self.force.table.classify(network, host)
        return peer.name if peer is not None else None


def _trust(force: InForce) -> dict[str, bool]:
    return {network.name: network.trusted for network in force.settings.networks}


def _media_text(
    event: Latched | RelatchRefused | MediaResumed | KeyErrors,
) -> str:
    """One line of the call's story for something the relay saw."""
    if isinstance(event, Latched):
        before = f", before {_place(event.previous)}" if event.previous is not None else ""
        return (
            f"{event.component.name} latched to {_place(event.source)} "
            f"({event.rank.name.lower()}){before}"
        )
    if isinstance(event, RelatchRefused):
        return (
            f"{event.component.name} from {_place(event.source)} refused: "
            f"{event.reason.name.lower()}"
        )
    if isinstance(event, KeyErrors):
        return f"{event.count} packets failed SRTP authentication"
    return "media resumed"


def _place(endpoint: Endpoint) -> str:
    return f"{bracketed(endpoint.host)}:{endpoint.port}"
