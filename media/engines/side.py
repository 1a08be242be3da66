"""One side of a stream in the engine in Python: what a packet that arrives on it goes through."""

from dataclasses import replace

from media.engines.handshakes import HandshakeLimit
from media.engines.port import Port
from media.engines.sockets import SocketAddress
from media.engines.srtp import SrtpReceiver, SrtpSender
from media.events import HandshakeDatagram, MediaEvent
from media.latch import Evidence
from media.packet import (
    PacketKind,
    classify_untrusted,
    is_compound_rtcp_untrusted,
    read_rtcp_untrusted,
    read_rtp_untrusted,
)
from media.plan import MediaSide
from media.rating import Path, Ratings
from media.reports import PeerReports
from media.statistics import BitRateLimit, Reception
from media.types import DropReason, Endpoint, FlowCounters, Refusal, SideName, StreamId

MAX_DATAGRAM_BYTES = 2048
OLD_KEY_S = 2.0
"""How long packets under the key before the last change are still taken: those under way."""

_RTP = PacketKind.RTP
_RTCP = PacketKind.RTCP
_HANDSHAKES = (PacketKind.STUN, PacketKind.DTLS)


class Side:
    """One side: its two ports, its keys, its counters, and the side it relays to."""

    __slots__ = (
        "_old_receiver",
        "_old_receiver_until",
        "clock_hz",
        "counters",
        "events",
        "handshakes",
        "heard_at",
        "limit",
        "name",
        "other",
        "own",
        "plan",
        "ratings",
        "receiver",
        "reception",
        "reports",
        "rtcp",
        "rtp",
        "sender",
        "speech",
        "stream_id",
    )

    def __init__(
        self,
        stream_id: StreamId,
        name: SideName,
        plan: MediaSide,
        *,
        rtp: Port,
        rtcp: Port,
        own: dict[Endpoint, tuple["Side", Port]],
        handshakes: HandshakeLimit,
        events: list[MediaEvent],
    ) -> None:
        """A side that is still to be joined to its `other` one.

        Args:
            stream_id: The stream.
            name: Which side.
            plan: Its plan.
            rtp: Its RTP port.
            rtcp: Its RTCP port.
            own: All ports of the engine, by local address.
            handshakes: How many STUN and DTLS datagrams the engine hands up.
            events: Where to put what is to be reported.
        """
        self.stream_id = stream_id
        self.name = name
        self.plan = plan
        self.rtp = rtp
        self.rtcp = rtcp
        self.own = own
        self.handshakes = handshakes
        self.events = events
        self.other = self
        self.clock_hz = 8000
        self.speech = False
        """Whether it carries speech, so that what it sounds like can be rated."""
        self.receiver: SrtpReceiver | None = None
        self.sender: SrtpSender | None = None
        self.limit: BitRateLimit | None = None
        self.counters = FlowCounters()
        self.reception = Reception()
        self.reports = PeerReports()
        self.ratings = Ratings()
        self.heard_at = float("-inf")
        """When the last packet was accepted, in monotonic seconds."""
        self._old_receiver: SrtpReceiver | None = None
        self._old_receiver_until = 0.0

    def rekey(self, receiver: SrtpReceiver | None, now: float) -> None:
        """Opens packets by another key, for a moment still by the old one."""
        self._old_receiver = self.receiver if receiver is not None else None
        self._old_receiver_until = now + OLD_KEY_S
        self.receiver = receiver

    def rtcp_port(self) -> Port:
        """The port that carries RTCP."""
        return self.rtp if self.plan.rtcp_mux else self.rtcp

    def receive_untrusted(self, port: Port, data: bytes, source: SocketAddress, now: float) -> None:
        """Takes one datagram through: demux, proof, latch, limit, count, relay.

        Args:
            port: The port it came to, one of this side's.
            data: The datagram.
            source: Where it came from.
            now: Monotonic seconds.
        """
        kind = classify_untrusted(data)
        if len(data) > MAX_DATAGRAM_BYTES:
            self.drop(DropReason.TOO_LONG)
        elif kind is _RTP and port is self.rtp:
            self._receive_rtp_untrusted(data, source, now)
        elif kind is _RTCP and port is self.rtcp_port():
            self._receive_rtcp_untrusted(port, data, source, now)
        elif kind is PacketKind.OTHER:
            self.drop(DropReason.NOT_RTP)
        elif kind in _HANDSHAKES and self.plan.handshakes:
            self._hand_up(port, data, source, now)
        else:
            self.drop(DropReason.UNEXPECTED_PROTOCOL)

    def end_second(self) -> None:
        """Ends a loss interval and rates speech; to be called once a second."""
        self.reception.end_interval()
        if self.speech:
            self.ratings.look(self.reception, self._path())

    def counted(self) -> FlowCounters:
        """A copy of what was counted and measured."""
        self.count_queue_drops()
        reception, reports = self.reception, self.reports
        return replace(
            self.counters,
            lost=reception.lost,
            jitter_ticks=reception.jitter_ticks,
            drops=dict(self.counters.drops),
            interval=reception.interval,
            bursts=reception.bursts,
            speech=self.ratings.report(reception, self._path()) if self.speech else None,
            peer=reports.view,
            round_trip_ms=reports.round_trip_ms,
        )

    def _path(self) -> Path:
        """What speech goes through from phone to phone."""
        round_trips = [side.reports.round_trip_ms or 0.0 for side in (self, self.other)]
        return Path(self.clock_hz, sum(round_trips) / 2)

    def drop(self, reason: DropReason) -> None:
        """Counts a datagram of this side that is not relayed."""
        drops = self.counters.drops
        drops[reason] = drops.get(reason, 0) + 1

    def count_queue_drops(self) -> None:
        """Counts what the kernel dropped because nobody read the ports' queues in time."""
        dropped = self.rtp.take_queue_drops() + self.rtcp.take_queue_drops()
        if dropped:
            drops = self.counters.drops
            drops[DropReason.QUEUE_FULL] = drops.get(DropReason.QUEUE_FULL, 0) + dropped

    def _receive_rtp_untrusted(self, data: bytes, source: SocketAddress, now: float) -> None:
        fields = read_rtp_untrusted(data)
        if fields is None:
            self.drop(DropReason.NOT_RTP)
            return
        sequence, timestamp, ssrc = fields
        octets = len(data)
        if self.receiver is not None:
            opened = self._open_rtp_untrusted(self.receiver, data, ssrc, now)
            if isinstance(opened, DropReason):
                self.drop(opened)
                return
            data = opened
        reception = self.reception
        port = self.rtp
        if source != port.heard:
            newest = reception.is_newer(sequence, ssrc)
            silent_s = now - port.heard_at
            evidence = Evidence(newest, sequence, ssrc, silent_s=silent_s)
            if not self._admits(port, source, evidence, now):
                return
            if port.latch.source is not None:
                self.rtcp.distrust(port.latch.source.host)
        if self.limit is not None and not self.limit.admits(octets, now):
            self.drop(DropReason.OVER_RATE)
            return
        counters = self.counters
        counters.packets += 1
        counters.octets += octets
        self.heard_at = port.heard_at = now
        reception.payload_type = data[1] & 0x7F
        reception.receive(sequence, timestamp, ssrc, now * self.clock_hz)
        self._relay_rtp(data, ssrc)

    def _relay_rtp(self, data: bytes, ssrc: int) -> None:
        out = self.other
        port = out.rtp
        destination = port.destination
        if not out.plan.receiving:
            self.drop(DropReason.NOT_WANTED)
            return
        if destination is None or port.loops:
            self.drop(DropReason.RELAY_LOOP if port.loops else DropReason.NO_DESTINATION)
            return
        if out.sender is not None:
            protected = out.sender.protect_rtp(data, ssrc)
            if isinstance(protected, DropReason):
                self.drop(protected)
                return
            data = protected
        try:
            port.send(data, destination)
        except OSError:
            self.drop(DropReason.SEND_FAILED)
        else:
            out.counters.sent_packets += 1

    def _receive_rtcp_untrusted(
        self, port: Port, data: bytes, source: SocketAddress, now: float
    ) -> None:
        ssrc = read_rtcp_untrusted(data)
        if ssrc is None:
            self.drop(DropReason.NOT_RTP)
            return
        octets = len(data)
        if self.receiver is not None:
            opened = self._open_rtcp_untrusted(self.receiver, data, ssrc, now)
            if isinstance(opened, DropReason):
                self.drop(opened)
                return
            data = opened
        if not is_compound_rtcp_untrusted(data):
            self.drop(DropReason.NOT_RTP)
            return
        if source != port.heard:
            # On the port of RTP itself nothing vouches for RTCP: it may not move RTP elsewhere.
            rtp_source = None if port is self.rtp else self.rtp.latch.source
            companion = None if rtp_source is None else rtp_source.host
            evidence = Evidence(companion=companion, silent_s=now - port.heard_at)
            if not self._admits(port, source, evidence, now):
                return
        if self.limit is not None and not self.limit.admits(octets, now):
            self.drop(DropReason.OVER_RATE)
            return
        self.counters.rtcp_packets += 1
        self.heard_at = port.heard_at = now
        self.reports.read_untrusted(data, self.other.reception.ssrc, now)
        self.other.reports.note_sent_untrusted(data, now)
        self._relay_rtcp(data, ssrc)

    def _relay_rtcp(self, data: bytes, ssrc: int) -> None:
        """Relays RTCP, also to a leg on hold (RFC 3264 §5.1)."""
        out = self.other
        port = out.rtcp_port()
        destination = port.destination
        if destination is None or port.loops:
            self.drop(DropReason.RELAY_LOOP if port.loops else DropReason.NO_DESTINATION)
            return
        if out.sender is not None:
            protected = out.sender.protect_rtcp(data, ssrc)
            if isinstance(protected, DropReason):
                self.drop(protected)
                return
            data = protected
        try:
            port.send(data, destination)
        except OSError:
            self.drop(DropReason.SEND_FAILED)

    def _hand_up(self, port: Port, data: bytes, source: SocketAddress, now: float) -> None:
        endpoint = Endpoint(source[0], source[1])
        if self.handshakes.admits(port.local, endpoint.host, now):
            event = HandshakeDatagram(self.stream_id, self.name, port.component, endpoint, data)
            self.events.append(event)
        else:
            self.drop(DropReason.OVER_RATE)

    def _admits(self, port: Port, source: SocketAddress, evidence: Evidence, now: float) -> bool:
        """Whether a source that is not simply the one in use may be heard."""
        endpoint = Endpoint(source[0], source[1])
        if endpoint in self.own and endpoint != port.remote:
            # Two calls may be joined through us (a PBX that steps out of the media announces our
            # port to us); then the SDP says so. Anything else of our own goes round in circles.
            self.drop(DropReason.RELAY_LOOP)
            port.report_refused(endpoint, Refusal.RELAY_LOOP, now, self.events)
            return False
        if port.admits(source, evidence, now, self.events):
            return True
        self.drop(DropReason.UNKNOWN_SOURCE)
        return False

    def _open_rtp_untrusted(
        self, receiver: SrtpReceiver, data: bytes, ssrc: int, now: float
    ) -> bytes | DropReason:
        opened = receiver.open_rtp_untrusted(data, ssrc)
        old = self._old_receiver
        if old is None or opened is not DropReason.SRTP_AUTHENTICATION:
            return opened
        if now > self._old_receiver_until:
            self._old_receiver = None
            return opened
        again = old.open_rtp_untrusted(data, ssrc)
        return opened if isinstance(again, DropReason) else again

    def _open_rtcp_untrusted(
        self, receiver: SrtpReceiver, data: bytes, ssrc: int, now: float
    ) -> bytes | DropReason:
        opened = receiver.open_rtcp_untrusted(data, ssrc)
        old = self._old_receiver
        if old is None or opened is not DropReason.SRTP_AUTHENTICATION:
            return opened
        if now > self._old_receiver_until:
            self._old_receiver = None
            return opened
        again = old.open_rtcp_untrusted(data, ssrc)
        return opened if isinstance(again, DropReason) else again
