"""A SIP element on real sockets: one address, UDP and TCP, and its transactions.

Spec: RFC 3261 §18 (transport), §17 (transactions), RFC 3581 (rport).
"""

from collections.abc import Callable
from contextlib import suppress
from random import Random

import trio

from sbc.sip.errors import ParseError
from sbc.sip.flow import Address, Flow
from sbc.sip.framing import Keepalive, StreamFramer
from sbc.sip.headers import Headers
from sbc.sip.message import Request, Response, make_response, serialize
from sbc.sip.parser import parse_message_untrusted
from sbc.sip.transaction.events import (
    AckArrived,
    Output,
    RequestArrived,
    RequestFailed,
    ResponseArrived,
    TransactionKey,
    Transmit,
)
from sbc.sip.transaction.layer import TransactionLayer

_LARGEST_DATAGRAM = 65535
_QUEUE = 200
_PORT_TRIES = 50
_FAILED = {"timeout": 408, "transport": 503}
"""What a client transaction that ended without a response counts as (RFC 3261 §8.1.3.1)."""


class Exchange:
    """A request of ours under way: its responses, in the order they came."""

    def __init__(
        self,
        key: TransactionKey,
        request: Request,
        flow: Flow,
        responses: trio.MemoryReceiveChannel[Response],
    ) -> None:
        self.key, self.request, self.flow = key, request, flow
        self._responses = responses

    async def response(self) -> Response:
        """The next response; 408 or 503 of our own making when none will come."""
        return await self._responses.receive()

    async def final(self) -> Response:
        """The final response."""
        while True:
            response = await self.response()
            if response.status >= 200:
                return response


class SipNode:
    """Sockets, transactions and who waits for which response.

    What arrives goes to `on_request` and `on_ack`, which must not block.
    """

    def __init__(
        self, bind: Address, *, product: str, claims: Address | None = None, entropy: Random
    ) -> None:
        """Prepare; `run` binds.

        Args:
            bind: where to listen; port 0 takes a free one.
            product: for User-Agent and Server.
            claims: the address to write into Via and Contact instead of the bound one, as a
                phone behind a NAT does that knows no better.
        """
        self.address = bind
        self.product = product
        self.claims = claims
        self.entropy = entropy
        self.on_request: Callable[[RequestArrived], None] = self._refuse
        self.on_ack: Callable[[Request, Flow], None] = lambda _request, _flow: None
        self.garbage = 0
        """Datagrams and streams that were no SIP."""
        self._layer = TransactionLayer()
        self._waiting: dict[TransactionKey, trio.MemorySendChannel[Response]] = {}
        self._acks: dict[TransactionKey, tuple[Flow, bytes]] = {}
        self._nursery: trio.Nursery | None = None
        self._timers_changed = trio.Event()
        self._connections = 0
        self._outboxes: dict[int, trio.MemorySendChannel[tuple[bytes, Address]]] = {}

    @property
    def sent_by(self) -> str:
        """Host and port for Via and Contact."""
        host, port = self.claims or self.address
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def token(self) -> str:
        """Fresh random text for a tag, a Call-ID or a cnonce."""
        return f"{self.entropy.getrandbits(64):016x}"

    def branch(self) -> str:
        """A fresh branch (RFC 3261 §8.1.1.7)."""
        return f"z9hG4bK{self.token()}"

    def via(self, transport: str, branch: str) -> str:
        """A Via value of ours, asking for rport."""
        return f"SIP/2.0/{transport.upper()} {self.sent_by};branch={branch};rport"

    def contact(self, user: str, transport: str) -> str:
        """A Contact value of ours."""
        return f"<sip:{user}@{self.sent_by}{';transport=tcp' if transport == 'tcp' else ''}>"

    def request(
        self,
        method: str,
        uri: str,
        *,
        sender: str,
        to: str,
        call_id: str,
        cseq: int,
        transport: str,
    ) -> Request:
        """A request outside of any dialog, complete but for what its method needs.

        Args:
            sender: the From value with its tag.
            to: the To value.
        """
        return Request(
            method,
            uri,
            Headers(
                [
                    ("Via", self.via(transport, self.branch())),
                    ("Max-Forwards", "70"),
                    ("From", sender),
                    ("To", to),
                    ("Call-ID", call_id),
                    ("CSeq", f"{cseq} {method}"),
                    ("User-Agent", self.product),
                ]
            ),
        )

    def udp_flow(self, remote: Address) -> Flow:
        """The flow from our UDP socket to an address."""
        return Flow("demo", "udp", self.address, remote)

    async def connect(self, remote: Address) -> Flow:
        """Open a TCP connection.

        Raises:
            OSError: it cannot be opened.
        """
        stream = await trio.open_tcp_stream(remote[0], remote[1], local_address=self.address[0])
        return self._adopt(stream, remote)

    async def run(
        self, *, task_status: trio.TaskStatus[Address] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Bind and serve until cancelled; reports the bound address."""
        udp, listener = await _bind(self.address)
        self.address = udp.getsockname()[:2]
        with udp:
            async with listener, trio.open_nursery() as nursery:
                self._nursery = nursery
                outbox, mail = trio.open_memory_channel[tuple[bytes, Address]](_QUEUE)
                self._outboxes[0] = outbox
                nursery.start_soon(self._send_datagrams, udp, mail)
                nursery.start_soon(self._receive_datagrams, udp)
                nursery.start_soon(self._run_timers)
                nursery.start_soon(self._accept, listener)
                task_status.started(self.address)

    def send(self, request: Request, flow: Flow) -> Exchange:
        """Begin a client transaction; the request carries its Via already."""
        sender, receiver = trio.open_memory_channel[Response](_QUEUE)
        key, outputs = self._layer.send_request(request, flow, trio.current_time())
        self._waiting[key] = sender
        self._execute(outputs)
        return Exchange(key, request, flow, receiver)

    def acknowledge(self, exchange: Exchange, ack: Request, flow: Flow) -> None:
        """ACK a 2xx, now and whenever the 2xx comes again (RFC 3261 §13.2.2.4)."""
        self._acks[exchange.key] = (flow, serialize(ack))
        self._execute(self._layer.send_ack(ack, flow))

    def abandon(self, exchange: Exchange) -> None:
        """Forget a client transaction that nobody waits for any more."""
        self._execute(self._layer.abandon(exchange.key, trio.current_time()))
        self._waiting.pop(exchange.key, None)

    def respond(self, key: TransactionKey, response: Response) -> None:
        """Answer a server transaction."""
        if response.status >= 200 and not response.headers.has("server"):
            response.headers.append("Server", self.product)
        self._execute(self._layer.respond(key, response, trio.current_time()))

    def reply(self, arrived: RequestArrived, status: int, reason: str | None = None) -> None:
        """Answer a request with a bare response."""
        response = make_response(arrived.request, status, reason, to_tag=self.token())
        self.respond(arrived.key, response)

    def _refuse(self, arrived: RequestArrived) -> None:
        self.reply(arrived, 501)

    def _receive_untrusted(self, data: bytes, flow: Flow) -> None:
        if not data.strip(b"\r\n\0"):
            return  # a keep-alive
        try:
            message = parse_message_untrusted(data)
        except ParseError:
            self.garbage += 1
            return
        self._execute(self._layer.receive(message, flow, trio.current_time()))

    def _execute(self, outputs: list[Output]) -> None:
        for output in outputs:
            if isinstance(output, Transmit):
                self._post(output.data, output.flow)
            elif isinstance(output, RequestArrived):
                self.on_request(output)
            elif isinstance(output, AckArrived):
                self.on_ack(output.request, output.flow)
            elif isinstance(output, ResponseArrived):
                self._deliver(output.key, output.response)
            elif isinstance(output, RequestFailed):
                self._fail(output)
        self._timers_changed.set()

    def _deliver(self, key: TransactionKey, response: Response) -> None:
        if key in self._acks:
            if 200 <= response.status < 300:
                flow, data = self._acks[key]
                self._post(data, flow)
            return
        waiting = self._waiting.get(key)
        if waiting is None:
            return
        with suppress(trio.WouldBlock, trio.BrokenResourceError):
            waiting.send_nowait(response)
        if response.status >= 200:
            del self._waiting[key]

    def _fail(self, failed: RequestFailed) -> None:
        waiting = self._waiting.pop(failed.key, None)
        if waiting is not None:
            status = _FAILED[failed.why]
            with suppress(trio.WouldBlock, trio.BrokenResourceError):
                waiting.send_nowait(Response(status, f"No response ({failed.why})"))

    def _post(self, data: bytes, flow: Flow) -> None:
        outbox = self._outboxes.get(flow.connection)
        if outbox is not None:
            with suppress(trio.WouldBlock, trio.BrokenResourceError):
                outbox.send_nowait((data, flow.remote))

    async def _run_timers(self) -> None:
        while True:
            self._timers_changed = trio.Event()
            due = self._layer.next_timeout()
            with trio.move_on_at(due if due is not None else trio.current_time() + 60):
                await self._timers_changed.wait()
                continue
            self._execute(self._layer.handle_timeout(trio.current_time()))
            for key in [key for key in self._acks if not self._layer.has(key)]:
                del self._acks[key]

    async def _receive_datagrams(self, udp: trio.socket.SocketType) -> None:
        while True:
            try:
                data, source = await udp.recvfrom(_LARGEST_DATAGRAM)
            except ConnectionError:  # an earlier datagram found no listener; its timer will tell
                continue
            self._receive_untrusted(data, self.udp_flow(source[:2]))

    async def _send_datagrams(
        self,
        udp: trio.socket.SocketType,
        mail: trio.MemoryReceiveChannel[tuple[bytes, Address]],
    ) -> None:
        async for data, remote in mail:
            with suppress(OSError):  # UDP loses; retransmission is the transaction's business
                await udp.sendto(data, remote)

    async def _accept(self, listener: trio.SocketListener) -> None:
        while True:
            stream = await listener.accept()
            with suppress(OSError):
                self._adopt(stream, stream.socket.getpeername()[:2])

    def _adopt(self, stream: trio.SocketStream, remote: Address) -> Flow:
        if self._nursery is None:
            raise RuntimeError("the node does not run")
        self._connections += 1
        flow = Flow("demo", "tcp", self.address, remote, self._connections)
        self._nursery.start_soon(self._serve_stream, stream, flow)
        outbox, mail = trio.open_memory_channel[tuple[bytes, Address]](_QUEUE)
        self._outboxes[flow.connection] = outbox
        self._nursery.start_soon(self._send_stream, stream, mail)
        return flow

    async def _serve_stream(self, stream: trio.SocketStream, flow: Flow) -> None:
        framer = StreamFramer()
        async with stream:
            try:
                async for data in stream:
                    for message in framer.feed(bytes(data)):
                        if isinstance(message, bytes):
                            self._receive_untrusted(message, flow)
                        elif message is Keepalive.PING:
                            self._post(Keepalive.PONG.value.encode(), flow)
            except (ParseError, trio.BrokenResourceError, trio.ClosedResourceError):
                self.garbage += 1
        self._outboxes.pop(flow.connection).close()
        self._execute(self._layer.transport_failed(flow, trio.current_time()))

    async def _send_stream(
        self,
        stream: trio.SocketStream,
        mail: trio.MemoryReceiveChannel[tuple[bytes, Address]],
    ) -> None:
        async for data, _ in mail:
            with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                await stream.send_all(data)


async def _bind(address: Address) -> tuple[trio.socket.SocketType, trio.SocketListener]:
    """A UDP socket and a TCP listener on one port, a free one when the port is 0.

    Raises:
        OSError: the address is taken or none of ours.
    """
    host, port = address
    family = trio.socket.AF_INET6 if ":" in host else trio.socket.AF_INET
    for attempts_left in reversed(range(_PORT_TRIES)):
        udp = trio.socket.socket(family, trio.socket.SOCK_DGRAM)
        tcp = trio.socket.socket(family, trio.socket.SOCK_STREAM)
        tcp.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_REUSEADDR, 1)
        try:
            await udp.bind((host, port))
            await tcp.bind(udp.getsockname())
            tcp.listen()
        except OSError:
            udp.close()
            tcp.close()
            if port or not attempts_left:
                raise
        else:
            return udp, trio.SocketListener(tcp)
    raise OSError(f"no port of {host} is free for both UDP and TCP")
