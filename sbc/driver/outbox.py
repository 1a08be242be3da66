"""Carrying out what the cores ask for, in order; what fails goes back to them as an event."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from media.errors import MediaError
from media.errors import MediaRefused as RelayRefused
from media.plan import CloseStream, MediaPlan, RelayCommand, diff
from media.types import DropReason, SideName
from sbc.b2bua import commands as call_commands
from sbc.b2bua.call import Call, MediaCounters
from sbc.driver.edges import Log, MediaRelay, Wire
from sbc.driver.media_story import drops_story
from sbc.driver.ports import NetworkPorts
from sbc.sip.message import Response, make_response
from sbc.sip.transaction.events import Output, TransactionKey, Transmit
from sbc.sip.transaction.layer import TransactionLayer
from sbc.sip.user import Abandon, Ping, Respond, SendAck, SendRequest

MANY_OWNED = 32
"""Client transactions of one call above which those that ran out are looked for."""


class Outbox:
    """Executes commands; knows which call or registrar a client transaction belongs to."""

    def __init__(
        self,
        layer: TransactionLayer,
        wire: Wire,
        relay: MediaRelay,
        ports: NetworkPorts,
        log: Log,
    ) -> None:
        self._layer = layer
        self._wire = wire
        self._relay = relay
        self._ports = ports
        self._log = log
        self._owners: dict[str, tuple[str, str]] = {}
        self._refs: dict[str, dict[str, str]] = {}
        self._plans: dict[str, MediaPlan] = {}
        self.dropped: Counter[DropReason] = Counter()
        """Datagrams that were not relayed, of all streams that have closed."""
        self.answered: Callable[[TransactionKey, Response], None] = _nobody_asks
        """Told each final response that leaves for the first time."""

    def owner_of(self, key: str) -> tuple[str, str] | None:
        """Who sent a client transaction: a call's name or REGISTRAR, and its reference."""
        return self._owners.get(key)

    @property
    def owned(self) -> int:
        """How many client transactions are remembered, for leak checks."""
        return len(self._owners)

    @property
    def planned(self) -> int:
        """How many calls have media, for leak checks."""
        return len(self._plans)

    def for_call(
        self,
        call: Call,
        commands: Sequence[call_commands.Command],
        now: float,
        refused: Callable[[str], Sequence[call_commands.Command]],
        told: Callable[[call_commands.News], None],
    ) -> None:
        """Carry out a call's commands.

        Args:
            refused: Tells the call that the relay refused its plan; what it wants then replaces
                the rest of the commands, which were built on that plan.
            told: Takes what is nobody's to execute but everybody's to know.
        """
        for command in commands:
            if isinstance(command, call_commands.ApplyMedia):
                reason = self._apply_media(call, command.plan)
                if reason is not None:
                    self.for_call(call, refused(reason), now, refused, told)
                    return
            elif isinstance(command, call_commands.ReleasePorts):
                for network, port in command.ports:
                    self._ports.give_back(network, port, now, unused=_was_silent(call))
            elif isinstance(command, call_commands.News):
                told(command)
            else:
                self._speak(call, command, now)

    def for_agent(
        self, owner: str, commands: Sequence[Any], now: float, told: Callable[[Any], None]
    ) -> None:
        """Carry out the commands of an agent, which owns its transactions by that name.

        Args:
            told: Takes what is nobody's to execute but everybody's to know.
        """
        for command in commands:
            if isinstance(command, Respond):
                self.transmit(self._layer.respond(command.key, command.response, now))
            elif isinstance(command, SendRequest):
                self.transmit(self._open(owner, command, now))
            elif isinstance(command, Ping):
                self._wire.send(command.flow, b"\r\n\r\n")
            elif isinstance(command, Abandon):
                for key in self._abandon(owner, command.ref, now):
                    self.forget(owner, key)
            else:
                told(command)

    def transmit(self, outputs: Sequence[Output]) -> None:
        """Send what the transaction layer wants sent."""
        for output in outputs:
            if type(output) is Transmit:
                self._wire.send(output.flow, output.data)
                self._note_answer(output)

    def forget(self, owner: str, key: str) -> None:
        """A client transaction is over."""
        if self._owners.pop(key, None) is not None:
            refs = self._refs.get(owner)
            if refs is not None:
                refs.pop(key, None)
                if not refs:
                    del self._refs[owner]

    def forget_call(self, call: Call, now: float) -> None:
        """A call is over: nothing that still comes concerns it, and nothing of it stays.

        A transaction that waits for somebody to end it would wait for ever.
        """
        for key in self._refs.pop(call.name, {}):
            self._owners.pop(key, None)
            self._layer.abandon(key, now)
        self._layer.abandon(call.invite_key, now)
        self._plans.pop(call.name, None)

    def close_media(self, call: Call) -> None:
        """Close whatever media a call has."""
        self._apply_media(call, None)

    def refuse_invite(self, call: Call, status: int, now: float) -> None:
        """Answer the caller's INVITE, if it waits for an answer, without asking the call."""
        if call.invite is not None:
            response = make_response(call.invite, status, None, call.a.local_tag)
            self.transmit(self._layer.respond(call.invite_key, response, now))

    def _speak(
        self, call: Call, command: Respond | SendRequest | SendAck | Abandon, now: float
    ) -> None:
        if isinstance(command, Respond):
            sent = self._layer.respond(command.key, command.response, now)
            self._transmit(call, sent, command.side)
        elif isinstance(command, SendRequest):
            self._transmit(call, self._open(call.name, command, now), command.side)
            self._forget_ended(call.name)
        elif isinstance(command, SendAck):
            sent = self._layer.send_ack(command.request, command.flow)
            self._transmit(call, sent, command.side)
        else:
            self._abandon(call.name, command.ref, now)

    def _open(self, owner: str, command: SendRequest, now: float) -> list[Output]:
        key, outputs = self._layer.send_request(command.request, command.flow, now)
        if command.request.method != "CANCEL":
            # A CANCEL shares the branch of its INVITE, and nobody waits for its answer.
            self._owners[key] = (owner, command.ref)
            self._refs.setdefault(owner, {})[key] = command.ref
        return outputs

    def _forget_ended(self, owner: str) -> None:
        """Forget a long call's transactions whose retransmissions nobody waits for any more."""
        refs = self._refs.get(owner, {})
        if len(refs) <= MANY_OWNED:
            return
        for key in [key for key in refs if not self._layer.has(key)]:
            self.forget(owner, key)

    def _transmit(self, call: Call, outputs: Sequence[Output], side: str) -> None:
        for output in outputs:
            if type(output) is Transmit:
                call.journal.note(call.now, "sip", "", side, "out", output.data)
                self._wire.send(output.flow, output.data)
                self._note_answer(output)

    def _note_answer(self, sent: Transmit) -> None:
        message = sent.message
        if isinstance(message, Response) and message.status >= 200 and not sent.again:
            self.answered(sent.key, message)

    def _abandon(self, owner: str, ref: str, now: float) -> list[str]:
        """Abandon what was sent under a reference; the keys of that."""
        keys = [key for key, known in self._refs.get(owner, {}).items() if known == ref]
        for key in keys:
            self.transmit(self._layer.abandon(key, now))
        return keys

    def _apply_media(self, call: Call, plan: MediaPlan | None) -> str | None:
        """Apply a plan; the relay's reason when it refused."""
        before = self._plans.get(call.name)
        commands = diff(before, plan)
        self._count(call, commands, before)
        try:
            self._relay.apply(commands)
        except RelayRefused as error:
            self._log("error", "media refused", call=call.name, reason=str(error))
            return str(error)
        if plan is None:
            self._plans.pop(call.name, None)
        else:
            self._plans[call.name] = plan
        return None

    def _count(
        self, call: Call, commands: Sequence[RelayCommand], before: MediaPlan | None
    ) -> None:
        """Note the counters of streams that are about to close, and in the story what was dropped.

        Events are bounded in rate, so that nobody fills a story: this line is what tells all.
        """
        if before is None:
            return
        clocks = {stream.index: stream.clock_hz for stream in before.streams}
        for command in commands:
            if isinstance(command, CloseStream):
                try:
                    counted = self._relay.counters(command.stream_id)
                except MediaError:
                    # The engine failed, and took its counters along.
                    continue
                index = command.stream_id[1]
                call.counters.append(
                    MediaCounters(index, clocks[index], counted[SideName.A], counted[SideName.B])
                )
                for side in SideName:
                    if drops := counted[side].drops:
                        self.dropped.update(drops)
                        call.journal.note(call.now, "media", drops_story(drops), side.value)


def _nobody_asks(key: TransactionKey, response: Response) -> None:
    """Before somebody watches what is answered."""


def _was_silent(call: Call) -> bool:
    """Whether no packet ever reached the call's ports: an attempt that went nowhere.

    Its ports need no quarantine, or callers who never prove who they are could keep all resting.
    """
    return call.answered_at is None and not any(
        side.packets or side.rtcp_packets or side.drops
        for counted in call.counters
        for side in (counted.a, counted.b)
    )
