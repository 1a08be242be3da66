"""All SIP sockets of the process, behind one `send`.

Spec: RFC 3261 §18 (transport). RFC 5923 (connection reuse by alias) is not spoken: it would let a
peer claim an address that it did not come from.
"""

import secrets
import socket
from collections.abc import Callable, Collection, Sequence
from functools import partial

import trio

from sbc.prefixes import is_numeric
from sbc.routing.facing import family_of, listener_of, sent_by
from sbc.routing.model import Listener, Network
from sbc.sip.errors import ParseError
from sbc.sip.fields.warning import warning
from sbc.sip.flow import SECURED, Address, Flow, Transport
from sbc.sip.message import make_response, serialize
from sbc.sip.parser import DEFAULT, Limits
from sbc.sip.transaction.response_path import stamp_via
from sbc.transport.accepting import TcpListener
from sbc.transport.doorkeeper import Doorkeeper, OpenDoor
from sbc.transport.endings import End
from sbc.transport.failures import Failures
from sbc.transport.handshakes import Handshakes
from sbc.transport.limits import TransportLimits, TransportStatistics
from sbc.transport.pool import Pool, unnumbered
from sbc.transport.sockets import (
    open_tcp_listener,
    open_udp,
    receive_buffer_of,
    tune_stream,
)
from sbc.transport.tcp import Connection, Surroundings
from sbc.transport.tls.contexts import TlsContexts
from sbc.transport.tls_pipe import TlsPipe
from sbc.transport.troubles import Troubles
from sbc.transport.udp import Batch, UdpSocket

_BEFORE_FIRST_BYTES: tuple[Transport, ...] = ("tls", "tcp", "wss", "ws")


class Transports:
    """Sockets of every listener of every network.

    The callbacks are plain functions called from the transports' tasks, never from inside `send`:
    `on_messages` gets what one socket brought in one turn (at most `udp.DATAGRAMS_PER_TURN`
    datagrams or `tcp.MESSAGES_PER_TURN` messages), `on_failure` a flow by which something could
    not be sent and why, `on_connection_closed` a stream's flow that no longer is, and why.
    `on_trouble` gets what an operator may have to mend: a flow, why it failed, and how many before
    it were not told.

    Keep-alives (STUN, CRLF) are answered here and not passed on.
    """

    def __init__(
        self,
        networks: Sequence[Network],
        *,
        on_messages: Callable[[Batch], None],
        on_failure: Callable[[Flow, str], None],
        on_connection_closed: Callable[[Flow, str], None],
        on_trouble: Callable[[Flow, str, int], None],
        on_datagrams: Callable[[Batch], None] | None = None,
        doorkeeper: Doorkeeper | None = None,
        contexts: TlsContexts | None = None,
        limits: TransportLimits | None = None,
        message_limits: Limits = DEFAULT,
    ) -> None:
        """Nothing is opened yet.

        Args:
            on_datagrams: Gets what UDP sockets brought, in place of `on_messages`.
            doorkeeper: Asked for each datagram and each connection; everybody may come if None.
            contexts: Whose certificates TLS shows and believes; asked anew at each handshake.
        """
        self._networks = tuple(networks)
        self._limits = limits = limits if limits is not None else TransportLimits()
        self._on_messages = on_messages
        self._on_datagrams = on_datagrams or on_messages
        self._doorkeeper = doorkeeper or OpenDoor()
        self._on_connection_closed = on_connection_closed
        self._failures = Failures(on_failure)
        self._udp: dict[Address, UdpSocket] = {}
        self._tcp: dict[Address, TcpListener] = {}
        self._by_name = {network.name: network for network in self._networks}
        self._nursery: trio.Nursery | None = None
        self.statistics = TransportStatistics()
        self._troubles = Troubles(on_trouble)
        self._around = Surroundings(
            limits,
            message_limits,
            self.statistics,
            self,
            Handshakes(limits, self.statistics),
            contexts if contexts is not None else TlsContexts(),
        )
        self.warnings: list[str] = []
        """What an operator should know after `open`, one line each."""
        trusted = frozenset(network.name for network in self._networks if network.trusted)
        self._pool: Pool[Connection] = Pool(self._limits, self.statistics, trusted)

    @property
    def connections(self) -> int:
        """How many streams are open or being opened."""
        return len(self._pool)

    def udp_sockets(self, network: str) -> list[socket.socket]:
        """The datagram sockets of a network that are open."""
        return [udp.socket for udp in self._udp.values() if udp.network == network]

    def configure(self, networks: Sequence[Network]) -> None:
        """Let new connections be judged by these networks; their listeners stay as they are."""
        self._by_name.update({network.name: network for network in networks})
        self._pool.trust(network.name for network in networks if network.trusted)

    def open(self) -> None:
        """Bind every listener; all or none.

        Raises:
            ListenFailed: one cannot be bound; the text says which, why and what to do.
        """
        try:
            for network in self._networks:
                self._open_network(network)
        except BaseException:
            self._close()
            raise

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Carry messages until cancelled; `open` first, or it is done here.

        Raises:
            ListenFailed: as `open`.
        """
        if not (self._udp or self._tcp):
            self.open()
        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                nursery.start_soon(self._failures.run)
                for udp in self._udp.values():
                    nursery.start_soon(udp.run)
                for listener in self._tcp.values():
                    nursery.start_soon(listener.run)
                task_status.started()
        finally:
            self._nursery = None
            self._close()

    def send(self, flow: Flow, data: bytes) -> None:
        """Send one message by a flow, without waiting; a failure comes back by `on_failure`.

        A stream flow without number takes a connection that is open to its remote address, or
        opens one. A stream flow whose connection is gone fails: whether another way is right is
        not for a transport to say.
        """
        if flow.transport == "udp":
            udp = self._udp.get(flow.local)
            if udp is not None:
                udp.send(flow, data)
                return
            self._fail(flow, "no such socket")
            return
        connection = self._pool.find(flow)
        if connection is None:
            if flow.connection:
                self._fail(flow, "the connection is closed")
                return
            connection = self._opened(flow)
            if connection is None:
                return
        if not flow.connection:
            connection.used_unnumbered = True
        connection.send(data)

    def prove(self, flow: Flow) -> None:
        """Let a stream live on: a request on it was accepted, or a call or a binding uses it.

        A 2xx, ringing, or a request of ours that leaves by it says so too; this is for what is
        accepted before anything of that is sent. For datagrams and what is gone it does nothing.
        """
        connection = self._pool.find(flow)
        if connection is not None:
            connection.prove()

    def names(self, flow: Flow) -> tuple[str, ...]:
        """What the certificate that a stream's client showed proves, in lower case.

        Nothing for a client that showed none, a connection of our own, and one that is gone.

        Spec: RFC 5922 §7.1.
        """
        connection = self._pool.find(flow)
        return connection.names if connection is not None else ()

    def cut(self, meant: Callable[[Flow], bool], why: str) -> None:
        """End the connections that others opened and that are meant."""
        for connection in self._pool:
            if not connection.opened_by_us and meant(connection.flow):
                connection.close(End.CUT, why)

    def tls_version(self, flow: Flow) -> float:
        """The version of TLS that a stream has, as 1.3; 0 without, and for one that is gone."""
        connection = self._pool.find(flow) if flow.transport in SECURED else None
        return connection.tls_version if connection is not None else 0.0

    def messages_arrived(self, batch: Batch) -> None:
        """For connections: pass messages on."""
        self._on_messages(batch)

    def connection_ended(self, connection: Connection, why: str) -> None:
        """For connections: forget one, and tell everybody who may wait for it."""
        self._pool.remove(connection)
        self._on_connection_closed(connection.flow, why)
        if connection.troubled:
            self._troubles.add(connection.flow, why, trio.current_time())
        if connection.used_unnumbered:
            self._failures.add(unnumbered(connection.flow), why)

    def connection_proved(self, connection: Connection) -> None:
        """For connections: count one as proven."""
        self._pool.proved(connection)

    def connection_named(self, connection: Connection, before: Flow) -> None:
        """For connections: know one by the transport that it turned out to be."""
        self._pool.named(connection, before)

    def refusal(self, flow: Flow, error: ParseError) -> bytes | None:
        """For connections: the answer to a request that cannot be framed.

        Spec: RFC 3261 §18.3 (400), §8.2.6 (the tag), §20.43 (Warning).
        """
        request = error.answerable
        if request is None:
            return None
        agent = sent_by(listener_of(self._by_name[flow.network], flow))
        try:
            stamp_via(request, flow)
            response = make_response(request, error.status, to_tag=secrets.token_hex(8))
            response.headers.append("Warning", warning(agent, error.reason))
            return serialize(response)
        except (ParseError, ValueError):
            # What it echoes cannot be said legally: then nothing is.
            return None

    def _open_network(self, network: Network) -> None:
        streams: dict[tuple[str, int], list[Listener]] = {}
        for listener in network.listeners:
            if listener.transport != "udp":
                streams.setdefault((listener.bind, listener.port), []).append(listener)
                continue
            sock = open_udp(network, listener, self._limits.receive_buffer_bytes)
            udp = UdpSocket(
                network.name,
                sock,
                limits=self._limits,
                statistics=self.statistics,
                doorkeeper=self._doorkeeper,
                on_messages=self._on_datagrams,
                on_failure=self._failures.add,
            )
            self._udp[udp.local] = udp
            self._check_receive_buffer(udp, sock)
        for sharing in streams.values():
            speaks = frozenset(listener.transport for listener in sharing)
            tcp = TcpListener(
                network.name,
                open_tcp_listener(network, sharing[0]),
                speaks,
                statistics=self.statistics,
                may_accept=partial(self._may_accept, _first_guess(speaks)),
                accepted=self._accepted,
            )
            self._tcp[tcp.local] = tcp

    def _may_accept(self, transport: Transport, network: str, remote: Address, now: float) -> bool:
        if not self._doorkeeper.admits_connection(network, remote, transport, now):
            self.statistics.refused_blocked += 1
            return False
        return self._pool.may_accept(network, remote[0], now)

    def _check_receive_buffer(self, udp: UdpSocket, sock: socket.socket) -> None:
        wanted, held = self._limits.receive_buffer_bytes, receive_buffer_of(sock)
        if held < wanted:
            self.warnings.append(
                f"the UDP socket {udp.local[0]} port {udp.local[1]} buffers {held} bytes instead"
                f" of {wanted}; `sysctl net.core.rmem_max={wanted}` makes room for bursts"
            )

    def _accepted(self, listener: TcpListener, sock: socket.socket, remote: Address) -> None:
        speaks = listener.transports
        transport = _first_guess(speaks)
        network = listener.network
        flow = Flow(network, transport, listener.local, remote, self._pool.next_number())
        tls = None
        if transport in {"tls", "wss"}:
            tls = TlsPipe(partial(self._around.contexts.accept, network), server=True)
        self._start(flow, sock, tls, speaks, opened_by_us=False)

    def _opened(self, flow: Flow) -> Connection | None:
        """A connection being opened, bound to the listener's address; None has been told."""
        listener = self._tcp.get(flow.local)
        if listener is None or flow.transport not in listener.transports:
            self._fail(flow, "no such socket")
            return None
        if flow.transport in {"ws", "wss"}:
            self._fail(flow, "its WebSocket is closed, and only the browser can open another")
            return None
        if flow.transport == "tls" and not flow.peer:
            self._fail(flow, "no configured peer's certificate could be demanded")
            return None
        family = family_of(flow.remote[0])
        if not is_numeric(flow.remote[0]) or family != family_of(flow.local[0]):
            self._fail(flow, f"{flow.remote[0]!r} is not an address of this socket's family")
            return None
        if not self._pool.may_open():
            self._fail(flow, "too many connections opened")
            return None
        try:
            sock = socket.socket(socket.AF_INET6 if family == 6 else socket.AF_INET)
        except OSError as error:
            self._fail(flow, error.strerror or str(error))
            return None
        try:
            sock.setblocking(False)
            sock.bind((flow.local[0], 0))
        except OSError as error:
            sock.close()
            self._fail(flow, error.strerror or str(error))
            return None
        tls = None
        if flow.transport == "tls":
            tls = TlsPipe(partial(self._around.contexts.connect, flow.peer), server=False)
        flow = flow._replace(connection=self._pool.next_number())
        return self._start(flow, sock, tls, frozenset({flow.transport}), opened_by_us=True)

    def _start(
        self,
        flow: Flow,
        sock: socket.socket,
        tls: TlsPipe | None,
        speaks: frozenset[Transport],
        *,
        opened_by_us: bool,
    ) -> Connection | None:
        nursery = self._nursery
        if nursery is None:
            sock.close()
            self._fail(flow, "the transports do not run")
            return None
        network = self._by_name[flow.network]
        tune_stream(sock, network.signalling_dscp)
        connection = Connection(
            flow,
            sock,
            opened_by_us=opened_by_us,
            source=self._pool.source(flow.network, flow.remote[0]),
            tls=tls,
            speaks=speaks,
            websocket_rules=network.websocket,
            around=self._around,
            nursery=nursery,
        )
        self._pool.add(connection)
        nursery.start_soon(connection.run)
        return connection

    def _fail(self, flow: Flow, why: str) -> None:
        self.statistics.send_errors += 1
        self._failures.add(flow, why)

    def _close(self) -> None:
        for udp in self._udp.values():
            udp.close()
        for listener in self._tcp.values():
            listener.close()
        self._udp.clear()
        self._tcp.clear()


def _first_guess(speaks: Collection[Transport]) -> Transport:
    """Of transports that share a port, SIP is what it is until the first bytes say otherwise."""
    return next(one for one in _BEFORE_FIRST_BYTES if one in speaks)
