"""One UDP port of one side, for the engine in Python: its socket, its latch, its destination."""

import socket
from dataclasses import replace

from media.engines.sockets import SocketAddress, is_unicast, queue_drops
from media.events import Latched, MediaEvent, RelatchRefused
from media.latch import Announced, Evidence, Latch, LatchState, LatchVerdict
from media.types import Component, Endpoint, LatchRank, Refusal, SideName, StreamId

REPORT_S = 10.0
"""A side's refused sources and its key errors are reported no more often than this."""

_NOTHING_ANNOUNCED = Announced()


class Port:
    """One socket, what may be heard on it and where it sends."""

    __slots__ = (
        "_announced",
        "_learned",
        "_queue_drops",
        "_refused",
        "_report_after",
        "_side",
        "_stream_id",
        "component",
        "destination",
        "fd",
        "heard",
        "heard_at",
        "latch",
        "local",
        "loops",
        "receive",
        "remote",
        "send",
        "socket",
    )

    def __init__(
        self, opened: socket.socket, stream_id: StreamId, side: SideName, component: Component
    ) -> None:
        self._stream_id = stream_id
        self._side = side
        self.component = component
        """Which of the side's two ports it is."""
        self.remote: Endpoint | None = None
        """Where the SDP says the leg's port is."""
        self.heard: object = None
        """The socket address whose packets need no question to the latch; None for none."""
        self.heard_at = float("-inf")
        """When the last packet was accepted here, in monotonic seconds."""
        self.destination: SocketAddress | None = None
        """Where packets to the leg go; None for nowhere yet."""
        self.loops = False
        """Whether what is sent from here would come round to here."""
        self._announced = _NOTHING_ANNOUNCED
        self.latch = Latch(_NOTHING_ANNOUNCED, 0.0)
        self._learned: SocketAddress | None = None
        self._refused: Endpoint | None = None
        self._report_after = float("-inf")
        self.attach(opened)

    def attach(self, opened: socket.socket) -> None:
        """Works with this socket from now on."""
        self.socket = opened
        self._queue_drops = 0
        self.fd = opened.fileno()
        self.local = Endpoint(*opened.getsockname()[:2])
        self.receive = opened.recvfrom
        self.send = opened.sendto

    def take_queue_drops(self) -> int:
        """How many datagrams the kernel dropped for want of room since this was asked last."""
        total = queue_drops(self.socket)
        dropped = (total - self._queue_drops) & 0xFFFFFFFF
        self._queue_drops = total
        return dropped

    def signal(self, announced: Announced, remote: Endpoint | None, now: float) -> None:
        """Takes note of what signalling says of this port, and aims anew."""
        self.remote = remote
        if remote is not None and not is_unicast(remote.host) and self._announced.host:
            # A hold by 0.0.0.0 (RFC 2543) moves nobody: what was announced before still counts.
            known = self._announced
            announced = replace(announced, remote=known.remote, host=known.host)
        self._announced = announced
        self.latch.signal(announced, now)
        self._aim()

    def admits(
        self, source: SocketAddress, evidence: Evidence, now: float, events: list[MediaEvent]
    ) -> bool:
        """Asks the latch about a packet, learns and reports as it says."""
        endpoint = Endpoint(source[0], source[1])
        before, rank_before = self.latch.source, self.latch.rank
        verdict = self.latch.observe(endpoint, evidence, now)
        if verdict is LatchVerdict.ACCEPT:
            return True
        if verdict is LatchVerdict.WATCH:
            return False
        if verdict is LatchVerdict.REFUSE:
            if self._announced.host is not None:
                self.report_refused(endpoint, self.latch.refusal, now, events)
            return False
        self._learned = source
        self._aim()
        if endpoint != before or self.latch.rank is not rank_before:
            events.append(
                Latched(
                    self._stream_id,
                    self._side,
                    endpoint,
                    self.latch.rank,
                    before,
                    self.component,
                )
            )
        return True

    def report_refused(
        self, source: Endpoint, reason: Refusal, now: float, events: list[MediaEvent]
    ) -> None:
        """Reports a refused source, once and at a bounded rate."""
        if source == self._refused or now < self._report_after:
            return
        self._refused = source
        self._report_after = now + REPORT_S
        events.append(RelatchRefused(self._stream_id, self._side, source, reason, self.component))

    def distrust(self, host: str) -> None:
        """Forgets an unannounced source that is not on this host."""
        latch = self.latch
        if latch.rank is LatchRank.OTHER and latch.source and latch.source.host != host:
            latch.forget()
            self._aim()

    def _aim(self) -> None:
        """Symmetric RTP once a source is learned, the announced address before (RFC 4961)."""
        latched = self.latch.state is LatchState.LATCHED
        self.heard = self._learned if latched else None
        remote = self.remote
        if latched:
            self.destination = self._learned
        elif (
            remote is not None
            and remote.port
            and is_unicast(remote.host)
            and not self._announced.learn_any
        ):
            self.destination = remote
        else:
            self.destination = self._learned if self.latch.state is LatchState.HELD else None
