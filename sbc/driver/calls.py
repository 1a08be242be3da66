"""The live calls: found by dialog, woken by deadline, told what happens, written down at the end.

The one place where an unexpected error is caught is here: it ends the call it happened in, and
nothing else.
"""

import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence

from media.types import SideName
from sbc.b2bua import machine
from sbc.b2bua.call import Call
from sbc.b2bua.causes import TEMPORARY_FAILURE, Ending
from sbc.b2bua.commands import Answered, Command, Ended, ReleasePorts
from sbc.b2bua.ending import release_media
from sbc.b2bua.events import Event, GaveUp, MediaRefused, ReplyReceived
from sbc.b2bua.table import State
from sbc.driver.edges import Log, Records
from sbc.driver.outbox import Outbox
from sbc.policy.caps import PeerCaps
from sbc.sip.message import Message
from sbc.sip.timers import Deadlines

RECENT_CALLS = 200
"""Ended calls that are kept for the operator's questions."""


class Calls:
    """All calls of the process, by name and by dialog."""

    def __init__(self, outbox: Outbox, caps: PeerCaps, records: Records, log: Log) -> None:
        self._outbox = outbox
        self._caps = caps
        self._records = records
        self._log = log
        self._live: dict[str, Call] = {}
        self._dialogs: dict[str, tuple[Call, SideName]] = {}
        self._tags: dict[str, list[str]] = {}
        self._invites: dict[str, Call] = {}
        self._deadlines: Deadlines[str] = Deadlines()
        self._due: dict[str, float] = {}
        self.recent: deque[Call] = deque(maxlen=RECENT_CALLS)
        """Ended calls, oldest first."""
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

    def by_name(self, name: str) -> Call | None:
        """A live or recent call; any unambiguous beginning of its name will do."""
        known = {call.name: call for call in (*self.recent, *self._live.values())}
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
        remote_tag = leg.dialog.remote_tag if leg.dialog is not None else None
        if remote_tag is not None and remote_tag != (message.from_tag or ""):
            return None
        return found

    def by_invite(self, key: str) -> Call | None:
        """The call whose caller's INVITE is that server transaction."""
        return self._invites.get(key)

    def begin(self, call: Call, now: float) -> None:
        """Take a call in and let it begin."""
        self.total += 1
        self._live[call.name] = call
        self._invites[call.invite_key] = call
        self._index(call.a.local_tag, call, SideName.A)
        self._log(
            "info",
            "call",
            call=call.name,
            caller=call.caller,
            callee=call.callee,
            source=call.a.flow.remote,
            route=call.route,
        )
        self._run(call, lambda: machine.begin(call, now), now)

    def tell(self, call: Call, event: Event, now: float) -> None:
        """Tell a call something."""
        if call.name in self._live:
            self._run(call, lambda: machine.receive(call, event, now), now)

    def tell_named(self, name: str, event: Event, now: float) -> None:
        """Tell the call of that name, if it still lives."""
        call = self._live.get(name)
        if call is not None:
            self.tell(call, event, now)

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
            if call is not None:
                self._run(call, lambda call=call: machine.handle_timeout(call, now), now)  # type: ignore[misc]

    def drop_all(self, ending: Ending, now: float) -> None:
        """Forget every call without another word, with its record: the process is ending."""
        for call in self:
            self._drop(call, ending, now)

    def _run(self, call: Call, work: Callable[[], Sequence[Command]], now: float) -> None:
        try:
            self._execute(call, work(), now)
        except Exception:  # noqa: BLE001 - the call boundary: one call's fault stays its own
            self._failed(call, now)
        self._settle(call)

    def _execute(self, call: Call, commands: Sequence[Command], now: float) -> None:
        self._outbox.for_call(
            call,
            commands,
            now,
            refused=lambda reason: machine.receive(call, MediaRefused(reason), now),
            told=lambda command: self._told(call, command),
        )

    def _settle(self, call: Call) -> None:
        """After an event: index a new B leg, and set the deadline if it changed."""
        if call.name not in self._live:
            return
        tag = call.b.local_tag
        if tag not in self._dialogs:
            self._index(tag, call, SideName.B)
        due = machine.next_timeout(call)
        if due != self._due.get(call.name):
            if due is None:
                del self._due[call.name]
                self._deadlines.cancel(call.name)
            else:
                self._due[call.name] = due
                self._deadlines.set(call.name, due)

    def _index(self, tag: str, call: Call, side: SideName) -> None:
        self._dialogs[tag] = (call, side)
        self._tags.setdefault(call.name, []).append(tag)

    def _told(self, call: Call, command: Answered | Ended) -> None:
        if isinstance(command, Answered):
            self._log("info", "call answered", call=call.name)
            self._records.call_answered(call)
            return
        self._remove(call)
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

    def _remove(self, call: Call) -> None:
        if self._live.pop(call.name, None) is None:
            return
        self._invites.pop(call.invite_key, None)
        for tag in self._tags.pop(call.name, ()):
            del self._dialogs[tag]
        self._due.pop(call.name, None)
        self._deadlines.cancel(call.name)
        self._outbox.forget_call(call.name)
        for peer in {call.a.peer, *(candidate.peer for candidate in call.candidates)}:
            self._caps.end(peer, call.name)
        self.recent.append(call)

    def _failed(self, call: Call, now: float) -> None:
        """An error of ours: log it once, end this call on both legs, write its record."""
        self._log("error", "internal error", call=call.name, traceback=traceback.format_exc())
        ending = Ending(500, TEMPORARY_FAILURE, "internal", "an internal error ended the call")
        call.out.clear()
        call.note("error", traceback.format_exc(limit=-3))
        try:
            self._execute(call, machine.receive(call, GaveUp(ending), now), now)
        except Exception:  # noqa: BLE001 - second fault: drop the call without another word
            self._drop(call, ending, now)

    def _drop(self, call: Call, ending: Ending, now: float) -> None:
        call.out.clear()
        call.ends(ending)
        call.state = State.ENDED
        call.ended_at = now
        self._outbox.close_media(call)
        release_media(call)
        ports = [command for command in call.out if isinstance(command, ReleasePorts)]
        call.out.clear()
        self._execute(call, [*ports, Ended()], now)
