"""Messages outside dialogs put right: requests before they are routed, and what we answer.

What is answered inside a call is the call's (`sbc.b2bua.manipulating`), and what stands for a
registrar's answer the registrar's. Left alone are 100, which tells a client no more than to wait
and is made by a transaction (RFC 3261 §8.2.6.1, §17.2.1), and what a stream is told whose messages
cannot even be told apart.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from sbc.b2bua.manipulating import HEADERS, REPAIRED
from sbc.driver.callers import PARTICIPANT, Caller, sender_of
from sbc.driver.edges import Log, Wire, told_of
from sbc.driver.in_force import InForce
from sbc.policy.facts import Facts
from sbc.policy.manipulation import Manipulation, copied, manipulate
from sbc.policy.manipulation_values import OURSELVES, End, Passing
from sbc.policy.model import Step
from sbc.policy.repair import repair_received
from sbc.registrar.commands import HeadersChanged
from sbc.registrar.registrar import Registrar
from sbc.sip.flow import Flow
from sbc.sip.message import Request, Response

Note = tuple[str, str]
"""A line for the journal: kind and text."""


class Asked(NamedTuple):
    """A request as the rules for headers leave it."""

    request: Request
    """The very one that came where nothing was changed."""
    notes: tuple[Note, ...] = ()
    manipulation: Manipulation | None = None
    """The rules for where it is passed on to, and for its answers; None where there are none."""


class Manipulator:
    """Repairs and rules for headers, by the configuration in force."""

    __slots__ = ("_answered", "_force", "_log", "_registrar", "_wall", "_wire")

    def __init__(
        self,
        force: InForce,
        *,
        registrar: Registrar,
        wire: Wire,
        log: Log,
        wall: Callable[[], float],
    ) -> None:
        self._registrar = registrar
        self._wire = wire
        self._log = log
        self._wall = wall
        self.configure(force)

    def configure(self, force: InForce) -> None:
        """Change by another configuration from now on."""
        self._force = force
        settings = force.settings
        ends = [End("", network.name) for network in settings.networks]
        ends += [End(peer.name, peer.network) for peer in settings.peers]
        # So that a refusal costs a flood no more than a look here where no rule may fit.
        self._answered = force.policy.headers.networks_answered(ends)

    def asked(self, caller: Caller, request: Request, flow: Flow) -> Asked:
        """Apply repairs, and the rules for what comes in, to a request outside any dialog.

        Of the request itself only what is repaired changes: responses repeat the rest.

        Raises:
            ParseError: a header that a rule asks about is malformed (400).
        """
        notes: list[Note] = []
        peer = self._force.table.peer(caller.peer)
        # The Contact of a REGISTER is what the phone wants to read again.
        if peer is not None and peer.repairs and request.method == "INVITE":
            done = repair_received(request, peer.repairs, *flow.remote)
            notes += [("decision", REPAIRED + text) for text in done]
        rules, sender = self._force.policy.headers, End(caller.peer, flow.network)
        if not rules.all or caller.facts is None:
            return Asked(request, tuple(notes))
        manipulation = Manipulation(rules, sender, caller.facts, self._wire)
        fitting = rules.fitting("in", request, sender, None)
        if not fitting:
            return Asked(request, tuple(notes), manipulation)
        copy = copied(request)
        steps, failures = manipulate(fitting, Passing(caller.facts, copy, sender))
        notes += _notes(steps, failures)
        return Asked(copy if steps else request, tuple(notes), manipulation)

    def answer(
        self, response: Response, request: Request, flow: Flow, caller: Caller = PARTICIPANT
    ) -> None:
        """Change what we answer ourselves, outside of calls, before it leaves.

        Args:
            request: What is answered, malformed or not.
            caller: Who sent it, as far as that was asked.
        """
        if flow.network not in self._answered:
            return
        rules = self._force.policy.headers
        receiver = self._end(request, flow, caller)
        if not rules.fitting("out", response, OURSELVES, receiver):
            return
        facts = caller.facts or self._facts(request, flow)
        manipulation = Manipulation(rules, receiver, facts, self._wire)
        manipulation.answer(response)
        call_id = request.headers.first("call-id")
        told: dict[str, object] = {"call_id": call_id, "source": flow.remote}
        self._tell("answer", _notes(*manipulation.told()), told)

    def registration_changed(self, news: HeadersChanged) -> None:
        """Log what was done to a REGISTER or its answer, which have no journal."""
        self._tell_registration(news.request, news.flow, _notes(news.steps, news.failures))

    def registration_asked(self, request: Request, flow: Flow, asked: Asked) -> None:
        """Log what was done to a REGISTER as it came."""
        self._tell_registration(request, flow, asked.notes)

    def _tell_registration(self, request: Request, flow: Flow, notes: Iterable[Note]) -> None:
        if notes:
            self._tell("registration", notes, told_of(request, flow))

    def _tell(self, what: str, notes: Iterable[Note], told: dict[str, object]) -> None:
        for kind, text in notes:
            level = "warning" if kind == "error" else "debug"
            self._log(level, f"{what} changed", **told, what=text)

    def _end(self, request: Request, flow: Flow, caller: Caller) -> End:
        """To whom an answer goes, as rules know it."""
        if caller.facts is not None:
            return End(caller.peer, flow.network)
        proven = self._wire.names(flow)
        peer = sender_of(self._force, self._registrar, request, flow, proven)
        return End("" if peer is None else peer.name, flow.network)

    def _facts(self, request: Request, flow: Flow) -> Facts:
        """What is known of a request on which nobody decided."""
        proven = self._wire.names(flow)
        peer = self._force.table.sender(flow, proven)
        return Facts(
            network=flow.network,
            trusted=self._force.networks[flow.network].trusted,
            host=flow.remote[0],
            method=request.method,
            peer=None if peer is None else peer.name,
            registered=self._registrar.has_flow(flow),
            user_agent=request.headers.first("user-agent"),
            port=flow.remote[1],
            transport=flow.transport,
            proven=proven,
            tls_version=self._wire.tls_version(flow),
            request=request,
            world=self._force.world,
            now=self._wall(),
        )


def _notes(steps: list[Step], failures: list[str]) -> list[Note]:
    done = [("decision", HEADERS + step.explanation) for step in steps]
    return [*done, *[("error", HEADERS + text) for text in failures]]
