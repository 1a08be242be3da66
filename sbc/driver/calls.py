"""The live calls: found by dialog, woken by deadline, told what happens, written down at the end.

An unexpected error in a call ends that call and nothing else, and leaves nothing of it behind.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import chain

from media.events import MediaTimeout
from media.types import SideName
from sbc.b2bua import machine
from sbc.b2bua.call import Call
from sbc.b2bua.causes import TEMPORARY_FAILURE, Ending
from sbc.b2bua.commands import Answered, Command, HopSeen, News
from sbc.b2bua.ending import watched
from sbc.b2bua.events import (
    Event,
    GaveUp,
    MediaNoted,
    MediaRefused,
    MediaSilent,
    ReplyReceived,
    RequestFailed,
)
from sbc.b2bua.table import State
from sbc.driver.bandwidth import offered_kbps
from sbc.driver.boundary import contained
from sbc.driver.edges import Log, Records
from sbc.driver.loads import Loads
from sbc.driver.media_story import Seen, media_story
from sbc.driver.outbox import Outbox
from sbc.driver.ports import NetworkPorts
from sbc.driver.recent import RecentCalls
from sbc.driver.spending import settle, spent_too_much, wall_of
from sbc.driver.tally import Tally
from sbc.policy.caps import PeerCaps
from sbc.policy.ledger import Ledger
from sbc.policy.tariffs import NO_TARIFFS
from sbc.routing.hops import Hop
from sbc.sdp.bandwidth import kbps_of
from sbc.sdp.description import SessionDescription
from sbc.sip.message import Message, Request
from sbc.sip.timers import Deadlines
from sbc.sip.twins import TwinKey, twin_key
from sbc.sip.user import SendRequest
from sbc.state.cdr import EndedBy

SPENDING_S = 30.0
"""How often live calls are looked at for what they cost, where that is limited."""
_SPENDING = "spending"
"""The deadline for it, among those of calls, whose names are hexadecimal."""


class Calls:
    """All calls of the process, by name and by dialog."""

    def __init__(
        self,
        outbox: Outbox,
        caps: PeerCaps,
        ports: NetworkPorts,
        records: Records,
        log: Log,
        tally: Tally,
    ) -> None:
        self._outbox = outbox
        self._caps = caps
        self._ports = ports
        self._records = records
        self._log = log
        self._tally = tally
        self._live: dict[str, Call] = {}
        self._dialogs: dict[str, tuple[Call, SideName]] = {}
        self._tags: dict[str, list[str]] = {}
        self._invites: dict[str, Call] = {}
        self._twin_keys: dict[str, TwinKey] = {}
        self._known: set[TwinKey] = set()
        self._deadlines: Deadlines[str] = Deadlines()
        self._due: dict[str, float] = {}
        self._loads = Loads()
        self._described: dict[str, SessionDescription] = {}
        """Of each call the description that it was weighed by."""
        self.ledger = Ledger()
        """What calls cost, and how many there are, for each account that makes them."""
        self.tariffs = NO_TARIFFS
        """Those in force, which say when accounts have spent too much."""
        self.recent = RecentCalls()
        self.hop_seen: Callable[[HopSeen, float], None] = _nobody_cares
        """Who is told what tries say of hops."""
        self.total = 0
        """Calls begun since the start."""

    def __len__(self) -> int:
        return len(self._live)

    def __iter__(self) -> Iterator[Call]:
        return iter(list(self._live.values()))

    @property
    def dialogs(self) -> int:
        """How many dialog tags are indexed, for leak checks."""
        return len(self._dialogs)

    def at(self, hop: Hop) -> int:
        """How many live calls went to a hop."""
        return self._loads.calls(hop)

    def by_name(self, name: str) -> Call | None:
        """A live or recent call; any unambiguous beginning of its name will do."""
        known = {call.name: call for call in chain(self.recent, self._live.values())}
        if name in known:
            return known[name]
        found = [call for known_name, call in known.items() if known_name.startswith(name)]
        return found[0] if name and len(found) == 1 else None

    def by_dialog(self, message: Message) -> tuple[Call, SideName] | None:
        """The call, and the leg of it, whose dialog a request is in.

        Call-ID and both tags must match: a dialog known by less could be guessed.

        Raises:
            ParseError: a header that names the dialog is malformed (400).
        """
        found = self._dialogs.get(message.to_tag or "")
        if found is None:
            return None
        call, side = found
        leg = call.leg(side)
        if message.call_id != leg.call_id:
            return None
        if leg.dialog is not None:
            remote_tag = leg.dialog.remote_tag
        elif side is SideName.A and call.invite is not None:
            remote_tag = call.invite.from_tag or ""
        else:
            # The callee has not said its tag yet.
            return found
        return found if remote_tag == (message.from_tag or "") else None

    def has_twin(self, invite: Request) -> bool:
        """Whether this very INVITE came by another way already (RFC 3261 §8.2.2.2)."""
        return twin_key(invite) in self._known

    def by_invite(self, key: str) -> Call | None:
        """The call whose caller's INVITE is that server transaction."""
        return self._invites.get(key)

    def begin(self, call: Call, now: float) -> None:
        """Take a call in and let it begin."""
        self.total += 1
        self._live[call.name] = call
        self._invites[call.invite_key] = call
        if call.invite is not None:
            key = self._twin_keys[call.name] = twin_key(call.invite)
            self._known.add(key)
        self._index(call.a.local_tag, call, SideName.A)
        if call.charge is not None:
            self.ledger.begin(call.name, call.charge, wall_of(call, now))
        self._log(
            "info",
            "call",
            call=call.name,
            caller=call.caller,
            callee=call.callee,
            source=call.a.flow.remote,
            route=call.route,
        )
        self._run(call, partial(machine.begin, call, now), now)

    def tell(self, call: Call, event: Event, now: float) -> bool:
        """Tell a call something; false when it broke over it, and what it was told is undone."""
        if call.name not in self._live:
            return True
        return self._run(call, partial(machine.receive, call, event, now), now)

    def tell_named(self, name: str, event: Event, now: float) -> None:
        """Tell the call of that name, if it still lives."""
        call = self._live.get(name)
        if call is not None:
            self.tell(call, event, now)

    def media_event(self, event: MediaTimeout | Seen, now: float) -> None:
        """Tell a call what the relay reports of its media."""
        name = event.stream_id[0]
        if isinstance(event, MediaTimeout):
            self._log("info", "media silent", call=name, side=event.side.value, s=event.silent_s)
            self.tell_named(name, MediaSilent(event.side, event.silent_s), now)
        else:
            self.tell_named(name, MediaNoted(event.side, media_story(event)), now)

    def tell_reply(self, name: str, event: ReplyReceived, now: float) -> None:
        """Tell the call of that name what was answered to a request of its."""
        call = self._live.get(name)
        if call is None:
            return
        side = call.side_asked(event.ref)
        call.journal.note(now, "sip", "", side.value, "in", event.response.raw)
        self.tell(call, event, now)

    def next_timeout(self) -> float | None:
        """When `handle_timeout` is wanted next."""
        return self._deadlines.next()

    def handle_timeout(self, now: float) -> None:
        """Wake the calls whose deadline has come."""
        for name in self._deadlines.pop_due(now):
            self._due.pop(name, None)
            call = self._live.get(name)
            if name == _SPENDING:
                self._stop_spending(now)
            elif call is not None:
                self._run(call, partial(machine.handle_timeout, call, now), now)

    def _stop_spending(self, now: float) -> None:
        """End the calls of accounts that spent too much, and look again while there are calls."""
        limits = self.tariffs.cut_off
        if limits is None or not self._live:
            return
        self._look_at_spending(now)
        wall = wall_of(next(iter(self._live.values())), now)
        for name, account, amount in self.ledger.overdrawn(limits, wall):
            if self._live[name].ending is not None:
                continue
            spent = self.tariffs.amount(amount)
            self._log("warning", "toll fraud stopped", call=name, account=account, spent=spent,
                      advice="look whether the account is misused, and change its password"
                      )  # fmt: skip
            self.tell_named(name, GaveUp(spent_too_much(account, spent)), now)

    def _look_at_spending(self, now: float) -> None:
        """Look in a while whether accounts spent too much."""
        self._due[_SPENDING] = now + SPENDING_S
        self._deadlines.set(_SPENDING, now + SPENDING_S)

    def drop_all(self, ending: Ending, now: float) -> None:
        """Forget every call without another word, with its record: the process is ending."""
        for call in self:
            self._drop(call, ending, now)

    def _run(self, call: Call, work: Callable[[], Sequence[Command]], now: float) -> bool:
        """Let a call do something and carry it out; whether that went well."""
        self._ports.serving = call.name
        fault = contained(partial(self._turn, call, work, now))
        if fault is None:
            return True
        self._failed(call, fault, now)
        return False

    def _turn(self, call: Call, work: Callable[[], Sequence[Command]], now: float) -> None:
        commands = work()
        ref = ""
        if call.position and call.b.local_tag not in self._dialogs:
            ref, commands = self._within_caps(call, commands, now)
        self._execute(call, commands, now)
        self._settle(call)
        if ref:
            self.tell(call, RequestFailed(ref, "full"), now)

    def _within_caps(
        self, call: Call, commands: Sequence[Command], now: float
    ) -> tuple[str, Sequence[Command]]:
        """Hold the INVITE to another candidate back if its peer may have no more calls."""
        kbps = offered_kbps(call.invite) if self._caps.weighs and call.invite is not None else 0
        decision = self._caps.begin(call.b.peer, call.name, now, kbps)
        if decision.allowed or call.setup is None:
            return "", commands
        call.note("decision", decision.explanation)
        ref = call.setup.ref
        return ref, [c for c in commands if not (isinstance(c, SendRequest) and c.ref == ref)]

    def _execute(self, call: Call, commands: Sequence[Command], now: float) -> None:
        self._outbox.for_call(
            call,
            commands,
            now,
            refused=lambda reason: machine.receive(call, MediaRefused(reason), now),
            told=lambda command: self._told(call, command, now),
        )

    def _settle(self, call: Call) -> None:
        """After an event: index a new B leg, and set the deadline if it changed."""
        if call.name not in self._live:
            return
        tag = call.b.local_tag
        if tag not in self._dialogs:
            self._index(tag, call, SideName.B)
            self._loads.put(call.name, call.candidate.hop)
            self._leave(call)
        if self._caps.weighs:
            self._weigh(call)
        due = machine.next_timeout(call)
        if due != self._due.get(call.name):
            if due is None:
                del self._due[call.name]
                self._deadlines.cancel(call.name)
            else:
                self._due[call.name] = due
                self._deadlines.set(call.name, due)

    def _weigh(self, call: Call) -> None:
        """Let the caps of both peers know what a call may bring by now."""
        said = call.b.negotiation.remote or call.a.negotiation.remote
        if said is None or self._described.get(call.name) is said:
            return
        self._described[call.name] = said
        for peer in (call.a.peer, call.b.peer):
            self._caps.weigh(peer, call.name, kbps_of(said))
        self._caps.room.weigh(call.name, kbps_of(said))

    def _leave(self, call: Call) -> None:
        """Count a call no more for the peers of candidates that failed: nothing of it is there."""
        legs = (call.a, call.b, *(passed.leg for passed in watched(call)))
        there = {leg.peer for leg in legs}
        for candidate in call.candidates[: call.position]:
            if candidate.peer not in there:
                self._caps.end(candidate.peer, call.name)

    def _index(self, tag: str, call: Call, side: SideName) -> None:
        self._dialogs[tag] = (call, side)
        self._tags.setdefault(call.name, []).append(tag)

    def _told(self, call: Call, command: News, now: float) -> None:
        if isinstance(command, HopSeen):
            self.hop_seen(command, now)
        elif isinstance(command, Answered):
            self._log("info", "call answered", call=call.name)
            self.ledger.answered(call.name, wall_of(call, now))
            if self.tariffs.cut_off is not None and _SPENDING not in self._due:
                self._look_at_spending(now)
            self._records.call_answered(call)
        elif self._remove(call, now):
            self._write_end(call)

    def _write_end(self, call: Call) -> None:
        ending = call.ending
        if ending is not None:
            self._log(
                "info",
                "call ended",
                call=call.name,
                by=ending.by,
                status=ending.status,
                reason=ending.text,
            )
        self._records.call_ended(call)

    def _remove(self, call: Call, now: float) -> bool:
        """Forget a call and everything it held; false when that was done before."""
        if self._live.pop(call.name, None) is None:
            return False
        self._invites.pop(call.invite_key, None)
        for tag in self._tags.pop(call.name, ()):
            del self._dialogs[tag]
        key = self._twin_keys.pop(call.name, None)
        if key is not None:
            self._known.discard(key)
        settle(self.ledger, call, now)
        self._due.pop(call.name, None)
        self._deadlines.cancel(call.name)
        self._loads.end(call.name)
        self._described.pop(call.name, None)
        self._outbox.forget_call(call, now)
        left = self._ports.give_back_all(call.name, now)
        if left:
            self._log("error", "ports left behind", call=call.name, ports=left)
        for peer in {call.a.peer, *(candidate.peer for candidate in call.candidates)}:
            self._caps.end(peer, call.name)
        self._caps.room.end(call.name)
        self.recent.append(call)
        return True

    def _failed(self, call: Call, fault: str, now: float) -> None:
        """An error of ours: log it once, end this call on both legs, write its record."""
        self._tally.faults += 1
        self._log("error", "internal error", call=call.name, traceback=fault)
        if call.name not in self._live:
            return
        text = "an internal error ended the call"
        ending = Ending(500, TEMPORARY_FAILURE, EndedBy.INTERNAL, text)
        call.out.clear()
        call.note("error", fault.strip().rpartition("\n")[2])
        fault_again = contained(lambda: self._give_up(call, ending, now))
        if fault_again is not None:
            self._log("error", "internal error at the end", call=call.name, traceback=fault_again)
            self._drop(call, ending, now)

    def _give_up(self, call: Call, ending: Ending, now: float) -> None:
        self._execute(call, machine.receive(call, GaveUp(ending), now), now)
        self._settle(call)

    def _drop(self, call: Call, ending: Ending, now: float) -> None:
        """Forget a call without asking it: each step whatever became of the one before."""
        call.out.clear()
        call.state = State.ENDED
        call.ends(ending)
        call.ended_at = now
        contained(lambda: self._outbox.refuse_invite(call, ending.status, now))
        contained(lambda: self._outbox.close_media(call))
        if self._remove(call, now):
            contained(lambda: self._write_end(call))


def _nobody_cares(seen: HopSeen, now: float) -> None:
    """Before somebody keeps the health of hops."""
