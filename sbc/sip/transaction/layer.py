"""Finds the transaction a message belongs to, makes and forgets transactions.

Spec: RFC 3261 §17.1.3, §17.2.3, §9.2, §18.
"""

from typing import Final, NamedTuple

from sbc.sip.flow import Address, Flow
from sbc.sip.message import Request, Response, serialize, top_value
from sbc.sip.timers import Deadlines, Timer
from sbc.sip.transaction.events import (
    AckArrived,
    Output,
    RequestFailed,
    RequestRefused,
    StrayResponse,
    TransactionKey,
    Transmit,
)
from sbc.sip.transaction.machine import (
    INVITE_CLIENT_ROWS,
    INVITE_SERVER_ROWS,
    NON_INVITE_CLIENT_ROWS,
    NON_INVITE_SERVER_ROWS,
    TimerDeadlines,
    Transaction,
)
from sbc.sip.transaction.response_path import DEFAULT_PORT, stamp_via
from sbc.sip.transaction.tables import Event, State

COOKIE: Final = "z9hg4bk"
"""The magic cookie in lower case, as all parameter values compare (RFC 3261 §7.3.1)."""

SERVER_LIMIT: Final = 65_536
"""Live server transactions beyond which new requests are refused. 900 a second live for 32
seconds each at 450 calls a second: less than half of it."""

RETRY_AFTER_S: Final = 10
"""What a refused request is told to wait."""

_Path = tuple[str, str, Address]


class Counts(NamedTuple):
    """How much is live; all zero when every transaction ran out."""

    clients: int
    servers: int
    timers: int
    paths: int
    """Remote addresses (per network and transport) that a live transaction sends to."""


class TransactionLayer:
    """All transactions of one process.

    Messages and flows go in, values come out (`sbc.sip.transaction.events`), to be carried out in
    their order. Nothing here raises for what the network did, as long as messages come from
    the parser.

    An INVITE server transaction that is never answered, and an INVITE client transaction whose
    peer rings for ever, live until the TU answers or abandons them; RFC 3261 leaves both to it.
    Every other state is left by a timer.
    """

    __slots__ = ("_clients", "_deadlines", "_paths", "_servers", "server_limit")

    def __init__(self, server_limit: int = SERVER_LIMIT) -> None:
        """Start with none.

        Args:
            server_limit: Live server transactions beyond which new requests are refused.
                Requests within a dialog and CANCEL may use a quarter more: they end calls.
        """
        self.server_limit = server_limit
        self._clients: dict[TransactionKey, Transaction] = {}
        self._servers: dict[TransactionKey, Transaction] = {}
        self._deadlines: TimerDeadlines = Deadlines()
        self._paths: dict[_Path, dict[TransactionKey, None]] = {}

    @property
    def counts(self) -> Counts:
        """How much is live, for health figures and leak checks."""
        return Counts(
            len(self._clients), len(self._servers), len(self._deadlines), len(self._paths)
        )

    def has(self, key: TransactionKey) -> bool:
        """Whether that transaction is live."""
        return key in self._clients or key in self._servers

    def next_timeout(self) -> float | None:
        """When `handle_timeout` has something to do next, or None."""
        return self._deadlines.next()

    def receive(self, message: Request | Response, flow: Flow, now: float) -> list[Output]:
        """Take a message from the wire.

        A request's top Via is stamped (`stamp_via`) in place when it opens a transaction or is
        refused.
        """
        outputs: list[Output] = []
        if isinstance(message, Response):
            self._receive_response(message, flow, now, outputs)
        elif message.method == "ACK":
            self._receive_ack(message, flow, now, outputs)
        else:
            self._receive_request(message, flow, now, outputs)
        return outputs

    def handle_timeout(self, now: float) -> list[Output]:
        """Let all timers go off that are due at `now`."""
        outputs: list[Output] = []
        for key, timer in self._deadlines.pop_due(now):
            transaction = self._clients.get(key) or self._servers.get(key)
            if transaction is not None:
                self._step(transaction, timer, now, outputs)
        return outputs

    def send_request(
        self, request: Request, flow: Flow, now: float
    ) -> tuple[TransactionKey, list[Output]]:
        """Open a client transaction and send its request.

        Args:
            request: Complete, its top Via with a branch of its own. It must not be changed
                afterwards: the ACK of a non-2xx is made from it.

        Raises:
            ValueError: It is an ACK, its branch is missing or in use, or it cannot be
                serialised; nothing was kept.
        """
        branch = request.via.branch
        if branch is None or request.method == "ACK":
            raise ValueError("a client transaction needs a branch, and an ACK has none")
        key = client_key(flow, request.method, branch)
        if key in self._clients:
            raise ValueError(f"branch {branch} is in use")
        rows = INVITE_CLIENT_ROWS if request.method == "INVITE" else NON_INVITE_CLIENT_ROWS
        transaction = Transaction(key, rows, flow)
        outputs: list[Output] = []
        transaction.step(Event.SEND_REQUEST, now, self._deadlines, outputs, message=request)
        self._clients[key] = transaction
        self._remember_path(transaction)
        return key, outputs

    def send_ack(self, ack: Request, flow: Flow) -> list[Output]:
        """Send the TU's ACK to a 2xx: outside of any transaction, kept and repeated by the TU.

        Raises:
            ValueError: It cannot be serialised.

        Spec: RFC 3261 §13.2.2.4.
        """
        return [Transmit(flow, serialize(ack), ack, False)]

    def respond(self, key: TransactionKey, response: Response, now: float) -> list[Output]:
        """Answer a server transaction; one that is gone, or may not be answered so, is silent.

        To a non-INVITE request no 408 and no provisional but 100 is ever sent, and no 100 over
        UDP before the one that the transaction sends itself (RFC 4320 §4).

        Raises:
            ValueError: It cannot be serialised; nothing changed.
        """
        transaction = self._servers.get(key)
        outputs: list[Output] = []
        if transaction is None:
            return outputs
        if transaction.rows is NON_INVITE_SERVER_ROWS and _forbidden(transaction, response.status):
            return outputs
        if response.status < 200:
            event = Event.SEND_PROVISIONAL
        elif response.status < 300:
            event = Event.SEND_SUCCESS
        else:
            event = Event.SEND_FAILURE
        self._step(transaction, event, now, outputs, message=response)
        return outputs

    def abandon(self, key: TransactionKey, now: float) -> list[Output]:
        """Forget a transaction that has no final response yet, silently.

        For an INVITE that was cancelled and is not answered for 64*T1 (RFC 3261 §9.1), and for
        whatever waits when its user ends. One that has its final response runs out on its own,
        so that the peer's retransmissions are still absorbed.
        """
        outputs: list[Output] = []
        transaction = self._clients.get(key) or self._servers.get(key)
        if transaction is not None:
            self._step(transaction, Event.ABANDON, now, outputs)
        return outputs

    def transport_failed(self, flow: Flow, now: float, why: str = "") -> list[Output]:
        """Take note that a flow is dead: client transactions on it fail, servers fall silent.

        Each failure of a client transaction says why the flow died.

        A request that was sent with ``connection=0`` (reuse or open one) went the same way as
        the connection of its remote address that is reported.
        """
        outputs: list[Output] = []
        for key in list(self._paths.get(_path(flow), ())):
            transaction = self._clients.get(key) or self._servers.get(key)
            if transaction is None:
                continue
            theirs = transaction.flow
            if theirs == flow or (theirs.reliable and theirs == flow._replace(connection=0)):
                self._step(transaction, Event.TRANSPORT_ERROR, now, outputs)
        return [
            one._replace(detail=why) if isinstance(one, RequestFailed) else one for one in outputs
        ]

    def _receive_response(
        self, response: Response, flow: Flow, now: float, outputs: list[Output]
    ) -> None:
        # The network is part of the key: a guessed branch is of no use from another network.
        branch = response.via.branch
        key = client_key(flow, response.cseq.method, branch or "")
        transaction = self._clients.get(key)
        if transaction is None:
            outputs.append(StrayResponse(response, flow))
            return
        if response.status < 200:
            event = Event.PROVISIONAL
        elif response.status < 300:
            event = Event.SUCCESS
        else:
            event = Event.FAILURE
        self._step(transaction, event, now, outputs, message=response, flow=flow)

    def _receive_ack(self, ack: Request, flow: Flow, now: float, outputs: list[Output]) -> None:
        transaction = self._servers.get(server_key(ack, flow, "INVITE"))
        if transaction is None:
            outputs.append(AckArrived(ack, flow))
        else:
            self._step(transaction, Event.ACK, now, outputs, message=ack, flow=flow)

    def _receive_request(
        self, request: Request, flow: Flow, now: float, outputs: list[Output]
    ) -> None:
        method = request.method
        key = server_key(request, flow, method)
        transaction = self._servers.get(key)
        if transaction is not None:
            self._step(transaction, Event.REQUEST, now, outputs, message=request, flow=flow)
            return
        invite = server_key(request, flow, "INVITE") if method == "CANCEL" else None
        back = stamp_via(request, flow)
        if self._is_full(request):
            outputs.append(RequestRefused(request, back, RETRY_AFTER_S))
            return
        rows = INVITE_SERVER_ROWS if method == "INVITE" else NON_INVITE_SERVER_ROWS
        transaction = Transaction(key, rows, back)
        if invite in self._servers:
            transaction.cancels = invite
        self._servers[key] = transaction
        self._remember_path(transaction)
        self._step(transaction, Event.REQUEST, now, outputs, message=request, flow=flow)

    def _is_full(self, request: Request) -> bool:
        live, limit = len(self._servers), self.server_limit
        if live < limit:
            return False
        if request.method == "CANCEL" or request.to_tag is not None:
            return live >= limit + limit // 4
        return True

    def _step(
        self,
        transaction: Transaction,
        event: Event | Timer,
        now: float,
        outputs: list[Output],
        *,
        message: Request | Response | None = None,
        flow: Flow | None = None,
    ) -> None:
        transaction.step(event, now, self._deadlines, outputs, message=message, flow=flow)
        if transaction.state is State.TERMINATED:
            self._forget(transaction)

    def _remember_path(self, transaction: Transaction) -> None:
        path = _path(transaction.flow)
        keys = self._paths.get(path)
        if keys is None:
            keys = self._paths[path] = {}
        keys[transaction.key] = None

    def _forget(self, transaction: Transaction) -> None:
        key = transaction.key
        if self._clients.pop(key, None) is None:
            self._servers.pop(key, None)
        path = _path(transaction.flow)
        keys = self._paths[path]
        del keys[key]
        if not keys:
            del self._paths[path]


def client_key(flow: Flow, method: str, branch: str) -> TransactionKey:
    """Name a client transaction.

    Spec: RFC 3261 §17.1.3. Within its network: a branch guessed elsewhere matches nothing.
    """
    return f"c|{flow.network}|{method}|{branch}"


def server_key(request: Request, flow: Flow, method: str) -> TransactionKey:
    """Name the server transaction that a request would belong to if its method were `method`.

    An ACK belongs to the INVITE's, and a CANCEL names it; both ask with ``"INVITE"``. From a
    sender of RFC 2543, whose branch is not unique, the request as a whole makes the name.

    Spec: RFC 3261 §17.2.3, §9.2. The To tag is left out of the old rule, since we put only one
    into the responses of a transaction.
    """
    via = request.via
    branch = via.branch
    if branch is not None and len(branch) > len(COOKIE) and branch[:7].lower() == COOKIE:
        return f"s|{flow.network}|{method}|{via.host}:{via.port or DEFAULT_PORT}|{branch}"
    top = top_value(request.headers.first("via") or "")
    return (
        f"s|{flow.network}|{method}|2543|{request.call_id}|{request.cseq.number}"
        f"|{request.from_tag}|{request.uri_text}|{top}"
    )


def _path(flow: Flow) -> _Path:
    return flow.network, flow.transport, flow.remote


def _forbidden(transaction: Transaction, status: int) -> bool:
    if status >= 200:
        return status == 408
    return status != 100 or (transaction.state is State.TRYING and not transaction.flow.reliable)
