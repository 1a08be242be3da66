"""One end of an audio stream: plays and records G.711 on real sockets.

Spec: RFC 3550, RFC 3551. Symmetric (RFC 4961): packets leave from the port they come to. Only
packets from the very address that the SDP named are heard, as behind a port-restricted NAT.
"""

import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from random import Random

import trio

from sbc.demo.g711 import FRAME_SAMPLES, SAMPLE_RATE_HZ, Codec
from sbc.demo.rtp import (
    Reception,
    RtpPacket,
    is_report_untrusted,
    parse_rtp_untrusted,
    sender_report,
)
from sbc.demo.srtp import Protection, SdesKey
from sbc.sip.errors import ParseError
from sbc.sip.flow import Address

_FRAME_S = FRAME_SAMPLES / SAMPLE_RATE_HZ
_FIRST_REPORT_S = 2.5
_REPORT_S = 5.0
_RECORD_AT_MOST_SAMPLES = 60 * SAMPLE_RATE_HZ
_JUMP_SAMPLES = 10 * SAMPLE_RATE_HZ
_LARGEST_DATAGRAM = 2048
_PORT_TRIES = 100


@dataclass(frozen=True, slots=True)
class AudioTerms:
    """What two SDPs agreed on, as one end sees it."""

    remote: Address
    remote_rtcp: Address
    codec: Codec
    sending: bool = True
    receiving: bool = True
    send_key: SdesKey | None = None
    """What we protect with; None for plain RTP."""
    receive_key: SdesKey | None = None


@dataclass(slots=True)
class Recording:
    """What was heard, gaps filled with silence; at most a minute."""

    samples: list[int] = field(default_factory=list)
    started_at: float = 0.0
    """When the first sample came, in trio's time."""
    _ssrc: int = 0
    _zero: int = 0
    """The RTP timestamp of sample 0."""

    def add(self, packet: RtpPacket, samples: Sequence[int], now: float) -> None:
        """Put a packet's samples where its timestamp says."""
        if not self.samples:
            self.started_at, self._ssrc, self._zero = now, packet.ssrc, packet.timestamp
        at = (packet.timestamp - self._zero + 2**31 & 2**32 - 1) - 2**31
        if packet.ssrc != self._ssrc or abs(at - len(self.samples)) > _JUMP_SAMPLES:
            # Another clock: go on from where the recording is.
            at = len(self.samples)
            self._ssrc, self._zero = packet.ssrc, packet.timestamp - at
        end = at + len(samples)
        if at < 0 or end > _RECORD_AT_MOST_SAMPLES:
            return
        if end > len(self.samples):
            self.samples.extend([0] * (end - len(self.samples)))
        self.samples[at:end] = samples


class AudioStream:
    """A pair of RTP and RTCP sockets with a player, an ear and, if wanted, an echo."""

    def __init__(
        self, rtp: trio.socket.SocketType, rtcp: trio.socket.SocketType, entropy: Random
    ) -> None:
        self._rtp, self._rtcp = rtp, rtcp
        self.local_port: int = rtp.getsockname()[1]
        self.terms: AudioTerms | None = None
        self.echo = False
        """Whether every packet goes back as it came, instead of what is played."""
        self.recording: Recording | None = None
        self.heard = Reception()
        self.sent_packets = 0
        self.sent_octets = 0
        self.reports_heard = 0
        self.strangers = 0
        """Datagrams from elsewhere than the SDP said."""
        self.refused = 0
        """Datagrams that were no RTP, or not under our key."""
        self.played_at: float | None = None
        """When the first sample of the present playback left, in trio's time."""
        self._protection: Protection | None = None
        self.playback: Sequence[int] = ()
        """The samples that are, or were last, played."""
        self._looping = False
        self._position = 0
        self._ssrc = entropy.getrandbits(32)
        self._sequence = entropy.getrandbits(15)
        self._timestamp = entropy.getrandbits(32)
        self._echo_offset: int | None = None
        self._finished = trio.Event()
        self._quiet = True

    def agree(self, terms: AudioTerms) -> None:
        """Begin, or go on, with what an offer and its answer say."""
        self.terms = terms
        keys = (terms.send_key, terms.receive_key)
        if terms.send_key is None or terms.receive_key is None:
            self._protection = None
        elif self._protection is None or keys != (
            self._protection.send_key,
            self._protection.receive_key,
        ):
            # The same keys keep their packet index and replay window (RFC 3711 §3.2.1).
            self._protection = Protection(terms.send_key, terms.receive_key)

    def play(self, samples: Sequence[int], loop: bool = False) -> None:
        """Play 16-bit samples from now on, once or for ever."""
        self.playback, self._looping, self._position = samples, loop, 0
        self.played_at = None
        self._finished = trio.Event()

    async def played(self) -> None:
        """Wait until the playback has left."""
        await self._finished.wait()

    def record(self) -> Recording:
        """Record from now on."""
        self.recording = Recording()
        return self.recording

    def close(self) -> None:
        """Close the sockets of a stream that never ran."""
        self._rtp.close()
        self._rtcp.close()

    async def run(self) -> None:
        """Send and receive until cancelled; closes the sockets."""
        with self._rtp, self._rtcp:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._hear)
                nursery.start_soon(self._hear_reports)
                nursery.start_soon(self._report)
                await self._play()

    async def _hear(self) -> None:
        while True:
            try:
                data, source = await self._rtp.recvfrom(_LARGEST_DATAGRAM)
            except ConnectionError:  # the peer's port is closed; its SIP will say why
                continue
            terms = self.terms
            if terms is None or source[:2] != terms.remote:
                self.strangers += 1
            elif terms.receiving:
                await self._take_untrusted(data, terms)

    async def _take_untrusted(self, data: bytes, terms: AudioTerms) -> None:
        plain = self._protection.unprotect_untrusted(data) if self._protection else data
        try:
            packet = parse_rtp_untrusted(plain or b"")
        except ParseError:
            self.refused += 1
            return
        now = trio.current_time()
        self.heard.count(packet, now)
        if self.recording is not None and packet.payload_type == terms.codec.payload_type:
            self.recording.add(packet, terms.codec.decode(packet.payload), now)
        if self.echo and terms.sending:
            if self._echo_offset is None:
                self._echo_offset = self._timestamp - packet.timestamp
            await self._send(
                packet.payload_type,
                packet.payload,
                packet.timestamp + self._echo_offset,
                packet.marker,
            )

    async def _play(self) -> None:
        due = trio.current_time()
        while True:
            terms = self.terms
            frame = self._next_frame() if terms and terms.sending and not self.echo else None
            if terms is None or frame is None:
                self._quiet = True
            else:
                payload = terms.codec.encode(frame)
                # The marker says where sound begins again after silence (RFC 3551 §4.1).
                await self._send(
                    terms.codec.payload_type, payload, self._timestamp, marker=self._quiet
                )
                self._quiet = False
            self._timestamp += FRAME_SAMPLES
            due = max(due + _FRAME_S, trio.current_time() - 10 * _FRAME_S)
            await trio.sleep_until(due)

    def _next_frame(self) -> Sequence[int] | None:
        if self._position >= len(self.playback):
            if not self._looping or not self.playback:
                if self.playback:
                    self._finished.set()
                return None
            self._position = 0
        if self.played_at is None:
            self.played_at = trio.current_time()
        frame = self.playback[self._position : self._position + FRAME_SAMPLES]
        self._position += FRAME_SAMPLES
        return frame

    async def _send(self, payload_type: int, payload: bytes, timestamp: int, marker: bool) -> None:
        if self.terms is None:
            return
        data = bytes(
            RtpPacket(
                payload_type, self._sequence, timestamp & 0xFFFFFFFF, self._ssrc, payload, marker
            )
        )
        self._sequence += 1
        self.sent_packets += 1
        self.sent_octets += len(payload)
        if self._protection:
            data = self._protection.protect(data)
        # A refused packet is a lost packet; the ear at the other end judges it.
        with suppress(OSError):
            await self._rtp.sendto(data, self.terms.remote)

    async def _hear_reports(self) -> None:
        while True:
            try:
                data, source = await self._rtcp.recvfrom(_LARGEST_DATAGRAM)
            except ConnectionError:
                continue
            if self.terms is None or source[:2] != self.terms.remote_rtcp:
                self.strangers += 1
                continue
            plain = self._protection.unprotect_rtcp_untrusted(data) if self._protection else data
            if plain is not None and is_report_untrusted(plain):
                self.reports_heard += 1
            else:
                self.refused += 1

    async def _report(self) -> None:
        await trio.sleep(_FIRST_REPORT_S)
        while True:
            wanted = self.terms is not None and self.terms.remote_rtcp[1] != 0
            if self.terms is not None and wanted and (self.sent_packets or self.heard.packets):
                data = sender_report(
                    self._ssrc,
                    cname=f"{self._ssrc:08x}@demo",
                    wall_clock=time.time(),
                    timestamp=self._timestamp,
                    sent_packets=self.sent_packets,
                    sent_octets=self.sent_octets,
                    heard=self.heard,
                )
                if self._protection:
                    data = self._protection.protect_rtcp(data)
                with suppress(OSError):
                    await self._rtcp.sendto(data, self.terms.remote_rtcp)
            await trio.sleep(_REPORT_S)


async def open_audio(host: str, entropy: Random) -> AudioStream:
    """Bind an even RTP port and the odd RTCP port after it (RFC 3550 §11).

    Raises:
        OSError: the host is none of this machine's, or no pair is free.
    """
    family = trio.socket.AF_INET6 if ":" in host else trio.socket.AF_INET
    for _ in range(_PORT_TRIES):
        with ExitStack() as unless_taken:
            rtp = unless_taken.enter_context(trio.socket.socket(family, trio.socket.SOCK_DGRAM))
            rtcp = unless_taken.enter_context(trio.socket.socket(family, trio.socket.SOCK_DGRAM))
            await rtp.bind((host, 0))
            port: int = rtp.getsockname()[1]
            if port % 2 == 0:
                with suppress(OSError):
                    await rtcp.bind((host, port + 1))
                    unless_taken.pop_all()
                    return AudioStream(rtp, rtcp, entropy)
    raise OSError(f"no free pair of UDP ports on {host}")
