"""The door: what is decided on a request before it costs us a transaction.

Whatever is turned away here is answered statelessly or not at all, so that it leaves no trace: a
refusal that retransmits itself would multiply a flood from invented sources toward its victims.

Spec: RFC 3261 §8.2.7 (stateless UAS), RFC 5853 §3.5 (access control).
"""

from sbc.driver import placing
from sbc.driver.calls import Calls
from sbc.driver.edges import Log, Wire
from sbc.driver.placing import Caller, InForce
from sbc.driver.tally import Tally
from sbc.registrar.registrar import Registrar
from sbc.registrar.relaying import Pseudonyms
from sbc.routing.facing import listener_of, sent_by
from sbc.sip.errors import ParseError
from sbc.sip.flow import Flow
from sbc.sip.message import Request, Response, make_response, serialize
from sbc.sip.transaction.layer import SERVER_LIMIT, TransactionLayer, server_key
from sbc.sip.transaction.response_path import stamp_via

RETRY_AFTER_S = 5
STRANGERS_LIMIT = SERVER_LIMIT // 2
"""Live server transactions beyond which strangers get no new ones: the other half is for peers
and registered phones, whatever flood of registrations comes along."""


class Door:
    """Who may come in, by the configuration in force."""

    __slots__ = (
        "_calls", "_force", "_layer", "_log", "_names", "_registrar", "_tally", "_wire", "caller",
    )  # fmt: skip

    def __init__(
        self,
        force: InForce,
        *,
        layer: TransactionLayer,
        calls: Calls,
        registrar: Registrar,
        wire: Wire,
        log: Log,
        secret: bytes,
        tally: Tally,
    ) -> None:
        self._force = force
        self._layer = layer
        self._calls = calls
        self._registrar = registrar
        self._wire = wire
        self._log = log
        self._names = Pseudonyms(secret)
        self._tally = tally
        self.caller: Caller | None = None
        """Who sent the request that came in last outside any dialog."""

    def configure(self, force: InForce) -> None:
        """Judge by another configuration from now on."""
        self._force = force

    def enter(self, request: Request, flow: Flow) -> bool:
        """Whether a request may go on to the transactions; otherwise all is said that is to say.

        Raises:
            ParseError: a header that decides is malformed (400).
        """
        method = request.method
        if method == "ACK":
            return True
        if flow.network not in self._force.networks:
            self._tally.dropped_policy += 1
            return False
        if method == "CANCEL":
            # Its own transaction, of a retransmission, may outlive the INVITE's.
            if self._is_known(request, flow, "INVITE") or self._is_known(request, flow, method):
                return True
            return self._turn_away(request, flow, 481, "no such transaction")
        if request.to_tag is not None:
            if self._calls.by_dialog(request) is not None or self._is_known(request, flow, method):
                return True
            return self._turn_away(request, flow, 481, "no such dialog")
        return self._may_begin(request, flow)

    def answer(
        self, request: Request, flow: Flow, status: int, text: str, reason: str | None = None
    ) -> None:
        """Answer a request without keeping anything, and say why in Warning.

        Args:
            request: Anything that a response can be made of, malformed or not.
            reason: The reason phrase; the usual one when None.
        """
        top = request.headers.first("via") or ""
        # The same tag for a retransmission of the same request (RFC 3261 §8.2.7).
        tag = self._names.of(request.headers.first("call-id") or "", top)
        try:
            back = stamp_via(request, flow)
            response = make_response(request, status, reason, tag)
            listener = listener_of(self._force.networks[flow.network], flow)
            explain(response, sent_by(listener), text)
            data = serialize(response)
        except (ParseError, ValueError):
            # What it echoes of a malformed request cannot be said legally: then nothing is.
            return
        self._tally.refused += 1
        self._wire.send(back, data)

    def _may_begin(self, request: Request, flow: Flow) -> bool:
        caller = placing.identify(self._force, self._registrar, request, flow)
        decision = caller.decision
        if decision.allowed and (caller.known or self._layer.counts.servers < STRANGERS_LIMIT):
            self.caller = caller
            return True
        if self._is_known(request, flow, request.method):
            # It came in when it was judged otherwise; this is only its retransmission.
            return True
        if decision.allowed:
            return self._turn_away(request, flow, 503, "too many transactions under way")
        dropped = decision.outcome == "drop"
        self._log(
            "info",
            "request dropped" if dropped else "request refused",
            method=request.method,
            source=flow.remote,
            network=flow.network,
            why=decision.explanation,
        )
        if dropped:
            self._tally.dropped_policy += 1
        else:
            text = f"refused by rule {decision.rule}"
            self.answer(request, flow, decision.status or 403, text, decision.text or None)
        return False

    def _turn_away(self, request: Request, flow: Flow, status: int, text: str) -> bool:
        self.answer(request, flow, status, text)
        return False

    def _is_known(self, request: Request, flow: Flow, method: str) -> bool:
        return self._layer.has(server_key(request, flow, method))


def explain(response: Response, agent: str, text: str) -> None:
    """Say why a request was refused in Warning (RFC 3261 §20.43), and when to come again.

    Args:
        agent: Who warns: our sent-by.
        text: One line; it may quote what a stranger sent.
    """
    plain = "".join(c if c.isprintable() and c not in '"\\' else "?" for c in text)
    if plain:
        response.headers.append("Warning", f'399 {agent} "{plain[:200]}"')
    if response.status == 503:
        response.headers.append("Retry-After", str(RETRY_AFTER_S))
