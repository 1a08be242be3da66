"""Registrations with trunks: one for each account, kept up whatever happens.

Each goes through its targets in order, stays with the one that said yes, and calls use that flow
and no other. A flow that fails is left at once; rounds that fail wait longer each time.

Spec: RFC 3261 §10.2, RFC 5626 §4.4 and §4.5, RFC 3608.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from sbc.routing.accounts import Logins
from sbc.routing.facing import listener_of
from sbc.routing.model import Listener, Network, Settings
from sbc.sip.flow import Flow
from sbc.sip.message import Request, Response
from sbc.sip.timers import Deadlines
from sbc.sip.user import Abandon, Ping, SendRequest
from sbc.trunks.answers import Weighed, weigh, weigh_silence
from sbc.trunks.commands import Command, TrunkChanged
from sbc.trunks.messages import number, options, register
from sbc.trunks.registration import Line, Registration
from sbc.trunks.registrations import Registrations, is_same
from sbc.trunks.table import Action, Happening, State, next_of
from sbc.trunks.waiting import (
    ANSWER_S,
    DOUBTED_S,
    LAST_ANSWER_S,
    LEAVE_S,
    SETTLED_S,
    refresh_in,
    retry_in,
    start_in,
)

_CHANCES = 2**64
_FAILURES = frozenset(
    {
        Happening.NOWHERE,
        Happening.ELSEWHERE,
        Happening.REFUSED,
        Happening.LOST,
        Happening.LOST_EARLY,
    }
)


class Trunks:
    """Every registration of ours, by the peer it is with."""

    def __init__(
        self,
        settings: Settings,
        logins: Logins,
        *,
        fresh: Callable[[], str],
        branch: Callable[[], str],
    ) -> None:
        """Begin without registrations; `configure` brings them.

        Args:
            logins: Ours at each peer; told of a configuration before we are.
            fresh: Gives 16 hexadecimal digits that nobody can guess.
            branch: Gives a branch for a request that leaves.
        """
        self.registrations = Registrations()
        self._refs: dict[str, str] = {}
        """Peer by the branch of each request under way."""
        self._deadlines: Deadlines[tuple[str, str]] = Deadlines()
        self._logins = logins
        self._fresh = fresh
        self._branch = branch
        self._use(settings)
        self._actions: dict[Action, Callable[[Registration, float], list[Command]]] = {
            Action.START: self._start,
            Action.GO_ON: self._go_on,
            Action.REPEAT: self._repeat,
            Action.REFRESH: self._refresh,
            Action.KEEP: self._keep,
            Action.WAIT: self._wait,
            Action.AWAIT: self._await,
            Action.WITHDRAW: self._withdraw,
            Action.FINISH: self._finish,
            Action.NOTHING: lambda _, __: [],
        }

    # -- configuration ----------------------------------------------------------------------

    def configure(self, settings: Settings, lines: Mapping[str, Line], now: float) -> list[Command]:
        """Register what is new, withdraw what is gone, and use what else is different.

        Args:
            lines: What is wanted, by peer.
        """
        self._use(settings)
        out: list[Command] = []
        for registration in self.registrations:
            line = lines.get(registration.peer)
            leaving = registration.state is State.UNREGISTERING
            if line is not None and not leaving and _fits(registration, line):
                self._adapt(registration, line, now)
            else:
                registration.wanted = line
                why = "the configuration is another"
                out += self._happen(registration, Weighed(Happening.LEAVE, why), now)
        added = [peer for peer in lines if self.registrations.of_peer(peer) is None]
        for peer in added:
            self._add(peer, lines[peer], now, start_in(len(added), self._chance()))
        return out

    def locate(self, flows: Mapping[str, tuple[Flow, ...]]) -> None:
        """Use other ways to the peers from the next attempt on; who waited for one has it now."""
        for registration in self.registrations:
            found = flows.get(registration.peer, ())
            waited = not registration.line.flows and registration.state is State.BACKING_OFF
            registration.line = replace(registration.line, flows=found)
            if waited and found:
                self._deadlines.set(("step", registration.peer), float("-inf"))

    def hurry(self, peer: str, now: float) -> bool:
        """Wait no longer with a registration: what was wrong may have been put right.

        Returns:
            Whether there is one, and nothing of it is under way.
        """
        registration = self.registrations.of_peer(peer)
        if registration is None or registration.ref:
            return False
        registration.failures = 0
        self._plan(registration, now)
        return True

    def leave(self, now: float) -> list[Command]:
        """Withdraw everything: the process ends. It is done when none is left."""
        out: list[Command] = []
        for registration in self.registrations:
            registration.wanted = None
            out += self._happen(registration, Weighed(Happening.LEAVE, "we stop"), now)
        return out

    def _use(self, settings: Settings) -> None:
        self._networks: dict[str, Network] = {one.name: one for one in settings.networks}
        self._server_header = settings.server_header

    def _add(self, peer: str, line: Line, now: float, wait_s: float) -> None:
        registration = Registration(
            peer=peer,
            line=line,
            # The same for all REGISTERs of one process, so that CSeq orders them; the next process
            # begins anew and takes the binding over by its contact (RFC 3261 §10.2.4, §10.3).
            call_id=self._fresh() + self._fresh(),
            tag=self._fresh(),
            since=now,
            login=self._logins.of(peer),
            ask_s=line.registering.expires_s,
        )
        self.registrations.add(registration)
        self._plan(registration, now + wait_s)

    def _adapt(self, registration: Registration, line: Line, now: float) -> None:
        """Go on with the same binding; a password or time that is new is tried at once."""
        before, registration.line = registration.line, line
        login = self._logins.of(registration.peer)
        if login is not registration.login or before.registering != line.registering:
            registration.login = login
            registration.ask_s = line.registering.expires_s
            registration.failures = 0
        elif registration.home in line.flows or before.flows == line.flows:
            return
        if registration.state in (State.REGISTERED, State.BACKING_OFF):
            self._plan(registration, now)

    # -- answers, silence, failures ---------------------------------------------------------

    def reply(self, ref: str, response: Response, now: float) -> list[Command]:
        """A registrar answered a REGISTER or a keep-alive."""
        registration = self._asked(ref) if response.status >= 200 else None
        if registration is None or not self._ended(registration, ref):
            return []
        return self._happen(registration, weigh(registration, response, self._fresh()), now)

    def failed(self, ref: str, why: str, now: float) -> list[Command]:
        """A REGISTER or keep-alive got no answer: ``"timeout"`` or ``"transport"``."""
        registration = self._asked(ref)
        if registration is None:
            return []
        silence = weigh_silence(registration, why)
        if self._ended(registration, ref):
            return self._happen(registration, silence, now)
        if why == "transport":
            return self._lose(registration, silence.cause, now)
        # Many never answer OPTIONS; whether this one is dead the REGISTER shows.
        registration.deaf = True
        due = Weighed(Happening.DUE, f"{silence.cause} to OPTIONS")
        return self._happen(registration, due, now)

    def flow_failed(self, flow: Flow, why: str, now: float) -> list[Command]:
        """A flow is dead, for example its connection closed."""
        out: list[Command] = []
        for registration in self.registrations:
            if is_same(registration.home, flow):
                out += self._lose(registration, why, now)
        return out

    def doubt(self, flow: Flow, why: str, now: float) -> list[Command]:
        """Something else got no answer on a flow: see at once whether the registrar is there."""
        out: list[Command] = []
        for registration in self.registrations:
            settled = registration.state is State.REGISTERED and (
                now - registration.since >= SETTLED_S
            )
            if settled and is_same(registration.home, flow):
                out += self._happen(registration, Weighed(Happening.DUE, why), now)
        return out

    def _lose(self, registration: Registration, why: str, now: float) -> list[Command]:
        lasted = registration.has_lasted(now)
        # All targets are worth a try, the lost one last.
        registration.left = len(registration.ways)
        happening = Happening.LOST if lasted else Happening.LOST_EARLY
        return self._happen(registration, Weighed(happening, why), now)

    def _asked(self, ref: str) -> Registration | None:
        """The registration that a request was of; it waits for it no longer."""
        return self.registrations.of_peer(self._refs.pop(ref, ""))

    def _ended(self, registration: Registration, ref: str) -> bool:
        """Note the end of a request of a registration; whether it was the REGISTER."""
        if registration.ping_ref == ref:
            registration.ping_ref = ""
            return False
        registration.ref = ""
        return True

    # -- time -------------------------------------------------------------------------------

    def next_timeout(self) -> float | None:
        """When `handle_timeout` is wanted next."""
        return self._deadlines.next()

    def handle_timeout(self, now: float, branches: Iterable[str]) -> list[Command]:
        """Take the steps that are due.

        Args:
            branches: Not needed, since answers call for requests too: see `branch`.
        """
        del branches
        out: list[Command] = []
        for kind, peer in self._deadlines.pop_due(now):
            registration = self.registrations.of_peer(peer)
            if registration is None:
                continue
            out += (
                self._step(registration, now)
                if kind == "step"
                else self._keep_alive(registration, now)
            )
        return out

    def _step(self, registration: Registration, now: float) -> list[Command]:
        if registration.ref:
            silence = weigh_silence(registration, "timeout")
            return self._abandon(registration) + self._happen(registration, silence, now)
        happening = Happening.DUE if registration.ways else Happening.NOWHERE
        cause = "" if registration.ways else "no target has a known address that we can reach"
        return self._happen(registration, Weighed(happening, cause), now)

    def _keep_alive(self, registration: Registration, now: float) -> list[Command]:
        """Keep the flow open, and see whether anybody is behind it."""
        home = registration.home
        if home is None or registration.state is not State.REGISTERED:
            return []
        network = self._networks[home.network]
        method = network.keepalive.method
        if method == "off":
            return []
        self._deadlines.set(("ping", registration.peer), now + network.keepalive.interval_s)
        if home.reliable or method == "crlf" or registration.deaf:
            return [Ping(home)]
        if registration.ping_ref:
            return []
        listener = listener_of(network, home)
        tag, call_id = self._fresh(), self._fresh() + self._fresh()
        request = options(registration, listener, tag, call_id, self._server_header)
        ref = registration.ping_ref = self._branch()
        self._refs[ref] = registration.peer
        return [SendRequest(ref, home, number(request, listener, ref, 1))]

    # -- the table at work ------------------------------------------------------------------

    def _happen(self, registration: Registration, weighed: Weighed, now: float) -> list[Command]:
        before = registration.state
        state, action = next_of(before, weighed.happening)
        if action is Action.NOTHING:
            return []
        registration.state = state
        if weighed.happening in _FAILURES:
            registration.cause, registration.failed_at = weighed.cause, now
        registration.least_wait_s, registration.doubted = weighed.least_wait_s, weighed.doubted
        if state is not before:
            registration.since = now
        out = self._actions[action](registration, now)
        if state is before and action is not Action.GO_ON:
            return out
        told = TrunkChanged(
            registration.peer,
            registration.aor,
            before,
            state,
            weighed.cause,
            registration.flow,
            weighed.doubted,
        )
        return [told, *out]

    def _start(self, registration: Registration, now: float) -> list[Command]:
        registration.flow = registration.ways[0]
        registration.left = len(registration.ways) - 1
        return self._attempt(registration, registration.ask_s, now)

    def _go_on(self, registration: Registration, now: float) -> list[Command]:
        ways = registration.ways
        at = ways.index(registration.flow) + 1 if registration.flow in ways else 0
        registration.flow = ways[at % len(ways)]
        registration.left -= 1
        self._lose_home(registration)
        return self._attempt(registration, registration.ask_s, now)

    def _refresh(self, registration: Registration, now: float) -> list[Command]:
        if registration.has_lasted(now):
            registration.failures = 0
        ways = registration.ways
        registration.flow = registration.home if registration.home in ways else ways[0]
        registration.left = len(ways) - 1
        return self._attempt(registration, registration.ask_s, now)

    def _repeat(self, registration: Registration, now: float) -> list[Command]:
        request = registration.following
        assert request is not None, "whoever weighed the answer has made it"
        return self._send(registration, request, now)

    def _keep(self, registration: Registration, now: float) -> list[Command]:
        grant = registration.grant
        assert grant is not None, "whoever weighed the answer has noted it"
        flow = registration.flow
        assert flow is not None, "what was granted was asked for somewhere"
        if registration.home != flow:
            self._lose_home(registration)
            registration.home_since, registration.deaf = now, False
            self.registrations.settle(registration, flow)
        registration.expires_at = now + grant.expires_s
        self._plan(registration, now + refresh_in(grant.expires_s, self._chance()))
        interval_s = self._networks[flow.network].keepalive.interval_s
        # Somewhere in the interval, so that trunks that registered together are not pinged so.
        self._deadlines.set(("ping", registration.peer), now + interval_s * self._chance())
        return []

    def _wait(self, registration: Registration, now: float) -> list[Command]:
        if registration.has_lasted(now):
            registration.failures = 0
        self._lose_home(registration)
        registration.failures += 1
        least_s = DOUBTED_S if registration.doubted else registration.least_wait_s
        wait_s = retry_in(registration.failures, self._chance(), least_s)
        self._plan(registration, now + wait_s)
        return []

    def _await(self, registration: Registration, now: float) -> list[Command]:
        self._lose_home(registration)
        self._plan(registration, now + LEAVE_S)
        return []

    def _withdraw(self, registration: Registration, now: float) -> list[Command]:
        self._lose_home(registration)
        out = self._attempt(registration, 0, now)
        self._plan(registration, now + LEAVE_S)
        return out

    def _finish(self, registration: Registration, now: float) -> list[Command]:
        """Forget a registration, or begin the one that takes its place."""
        peer, wanted = registration.peer, registration.wanted
        self._lose_home(registration)
        self._deadlines.cancel(("step", peer))
        self.registrations.remove(registration)
        if wanted is not None:
            self._add(peer, wanted, now, 0.0)
        return []

    # -- requests ---------------------------------------------------------------------------

    def _attempt(self, registration: Registration, expires_s: int, now: float) -> list[Command]:
        """A REGISTER to a target, with what is known of credentials already."""
        registration.challenged, registration.prolonged = 0, False
        registration.withdrawing = expires_s == 0
        request = register(
            registration, self._listener(registration), expires_s, self._server_header
        )
        if registration.login is not None:
            registration.login.again(request, self._fresh())
        return self._send(registration, request, now)

    def _send(self, registration: Registration, request: Request, now: float) -> list[Command]:
        assert registration.flow is not None, "an attempt has a target"
        registration.cseq += 1
        registration.sent, registration.following = request, None
        ref = registration.ref = self._branch()
        self._refs[ref] = registration.peer
        if registration.state is not State.UNREGISTERING:
            self._plan(registration, now + (ANSWER_S if registration.left else LAST_ANSWER_S))
        numbered = number(request, self._listener(registration), ref, registration.cseq)
        return [SendRequest(ref, registration.flow, numbered)]

    def _abandon(self, registration: Registration) -> list[Command]:
        ref, registration.ref = registration.ref, ""
        self._refs.pop(ref, None)
        return [Abandon(ref)]

    def _listener(self, registration: Registration) -> Listener:
        assert registration.flow is not None, "an attempt has a target"
        return listener_of(self._networks[registration.flow.network], registration.flow)

    def _lose_home(self, registration: Registration) -> None:
        """No calls by the flow that registered, and no keep-alives, from here on."""
        self.registrations.lose_home(registration)
        registration.expires_at = None
        self._refs.pop(registration.ping_ref, None)
        registration.ping_ref = ""
        self._deadlines.cancel(("ping", registration.peer))

    def _plan(self, registration: Registration, due: float) -> None:
        registration.due = due
        self._deadlines.set(("step", registration.peer), due)

    def _chance(self) -> float:
        return int(self._fresh(), 16) / _CHANCES


def _fits(registration: Registration, line: Line) -> bool:
    """Whether a line makes the same binding as before."""
    return line.registering.is_same_line(registration.line.registering)
