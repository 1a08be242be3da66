"""Phones on loopback, packets by hand and an engine that runs: what every engine test needs."""

import os
import socket
import struct
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import count

import trio
from pylibsrtp import Policy, Session

from media.engines.base import Engine, LatchReport
from media.events import MediaEvent
from media.plan import CloseStream, MediaSide, MediaStream, OpenStream, UpdateStream
from media.types import (
    Component,
    DropReason,
    Endpoint,
    FlowCounters,
    SideName,
    SrtpKeys,
    SrtpSuite,
    StreamId,
)
from tests.kit.patience import PATIENCE_S

A, B = SideName.A, SideName.B
STREAM: StreamId = ("call", 0)

_net = 64 + os.getpid() % 128
RELAY_A = f"127.{_net}.1.1"
RELAY_B = f"127.{_net}.2.1"
PHONE_A = f"127.{_net}.1.10"
PHONE_B = f"127.{_net}.2.10"
SIGNALLING_A = f"127.{_net}.1.20"
STRANGER = f"127.{_net}.3.66"

_ports = {host: count(20000, 2) for host in (RELAY_A, RELAY_B)}

PROFILES = {
    SrtpSuite.AES_CM_128_HMAC_SHA1_80: Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
    SrtpSuite.AES_CM_128_HMAC_SHA1_32: Policy.SRTP_PROFILE_AES128_CM_SHA1_32,
    SrtpSuite.AEAD_AES_128_GCM: Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
    SrtpSuite.AEAD_AES_256_GCM: Policy.SRTP_PROFILE_AEAD_AES_256_GCM,
}
LIBSRTP_SUITES = list(PROFILES)
"""What the phones of the tests can do."""


def rtp(
    sequence: int,
    payload: bytes = b"sound",
    *,
    ssrc: int = 0x5EED,
    timestamp: int | None = None,
    payload_type: int = 0,
) -> bytes:
    """An RTP packet of 20 ms at 8 kHz."""
    ticks = sequence * 160 if timestamp is None else timestamp
    header = struct.pack("!BBHII", 0x80, payload_type, sequence & 0xFFFF, ticks, ssrc)
    return header + payload


def rtcp(ssrc: int = 0x5EED, note: int = 0) -> bytes:
    """A receiver report without blocks, and a BYE whose SSRC tells packets apart."""
    return struct.pack("!BBHI", 0x80, 201, 1, ssrc) + struct.pack("!BBHI", 0x81, 203, 1, note)


def report_block(
    ssrc: int,
    *,
    fraction_lost: int = 0,
    lost: int = 0,
    jitter_ticks: int = 0,
    last_report: int = 0,
    delay: int = 0,
) -> bytes:
    """A report block (RFC 3550 §6.4.1); `delay` is in 65536ths of a second."""
    loss = fraction_lost << 24 | lost & 0xFFFFFF
    return struct.pack("!6I", ssrc, loss, 0, jitter_ticks, last_report, delay)


def sender_report(stamp: int, *blocks: bytes, ssrc: int = 0x5EED) -> bytes:
    """A sender report whose NTP timestamp has `stamp` in its middle."""
    words = 6 + 6 * len(blocks)
    header = struct.pack("!BBHI", 0x80 | len(blocks), 200, words, ssrc)
    return header + struct.pack("!QIII", stamp << 16, 0, 0, 0) + b"".join(blocks)


def receiver_report(*blocks: bytes, ssrc: int = 0x5EED) -> bytes:
    """A receiver report with these blocks."""
    return struct.pack("!BBHI", 0x80 | len(blocks), 201, 1 + 6 * len(blocks), ssrc) + b"".join(
        blocks
    )


def keys(
    suite: SrtpSuite = SrtpSuite.AES_CM_128_HMAC_SHA1_80,
    seed: int = 1,
    mki: bytes = b"",
    lifetime_packets: int | None = None,
) -> SrtpKeys:
    """A master key like no other with another seed."""
    material = bytes((seed * 31 + index * 7) % 256 for index in range(suite.key_length))
    return SrtpKeys(suite, material, mki, lifetime_packets)


def protecting(master: SrtpKeys) -> Session:
    """An independent libsrtp session that protects as a phone with this key does."""
    kind = Policy.SSRC_ANY_OUTBOUND
    return Session(Policy(master.key_and_salt, kind, 0, PROFILES[master.suite]))


def opening(master: SrtpKeys) -> Session:
    """An independent libsrtp session that opens as a phone with this key does."""
    kind = Policy.SSRC_ANY_INBOUND
    return Session(Policy(master.key_and_salt, kind, 0, PROFILES[master.suite]))


def free_pair(host: str) -> tuple[Endpoint, Endpoint]:
    """An RTP address on `host` and the RTCP address above it, both free."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    ports = _ports.get(host, count(20000 + os.getpid() % 1000 * 20, 2))
    for port in ports:
        try:
            for one in (port, port + 1):
                with socket.socket(family, socket.SOCK_DGRAM) as probe:
                    probe.bind((host, one))
        except OSError:
            continue
        return Endpoint(host, port), Endpoint(host, port + 1)
    raise AssertionError("ports are endless")


class Phone:
    """One UDP socket of a leg, or of somebody else."""

    def __init__(self, host: str, port: int = 0) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.socket = trio.socket.from_stdlib_socket(socket.socket(family, socket.SOCK_DGRAM))
        self._address = (host, port)

    async def bind(self) -> "Phone":
        await self.socket.bind(self._address)
        return self

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint(*self.socket.getsockname()[:2])

    async def send(self, data: bytes, to: Endpoint) -> None:
        await self.socket.sendto(data, to)

    async def hears(self) -> tuple[bytes, Endpoint]:
        """The next datagram that is no opener, and where it came from."""
        with trio.fail_after(PATIENCE_S):
            while True:
                data, source = await self.socket.recvfrom(4096)
                if data:
                    return data, Endpoint(*source[:2])

    async def hears_all(self, packets: int) -> list[bytes]:
        return [(await self.hears())[0] for _ in range(packets)]

    async def is_opened(self) -> Endpoint:
        """Where the opener came from that must be the next datagram."""
        with trio.fail_after(PATIENCE_S):
            data, source = await self.socket.recvfrom(4096)
        assert data == b""
        return Endpoint(*source[:2])

    def has_heard_nothing(self) -> bool:
        """Whether nothing but openers waits; a fence must have passed before."""
        raw = socket.socket(fileno=os.dup(self.socket.fileno()))
        try:
            raw.setblocking(False)
            while True:
                if raw.recv(4096):
                    return False
        except BlockingIOError:
            return True
        finally:
            raw.close()


class Rig:
    """An engine that runs, its events, and one call of two phones through it."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.events: list[MediaEvent] = []
        self.open_sockets: list[Phone] = []
        self.inactivity_s: float | None = None
        self.pinholes = False
        self.stream: MediaStream | None = None

    def deliver(self, events: Sequence[MediaEvent]) -> None:
        self.events += events

    async def phone(self, host: str, port: int = 0) -> Phone:
        phone = await Phone(host, port).bind()
        self.open_sockets.append(phone)
        return phone

    def side(self, host: str, remote: Endpoint | None = None, **changes: object) -> MediaSide:
        """A side on a free port pair of `host`, with RTCP one above RTP at the remote."""
        local, local_rtcp = free_pair(host)
        above = None if remote is None else Endpoint(remote.host, remote.port + 1)
        side = MediaSide("net", local, local_rtcp, remote=remote, remote_rtcp=above)
        return replace(side, **changes)  # type: ignore[arg-type]  # fields by name

    def open(
        self, a: MediaSide, b: MediaSide, stream_id: StreamId = STREAM, kind: str = "audio"
    ) -> MediaStream:
        stream = MediaStream(stream_id[1], kind, 8000, a, b)
        self.engine.apply([OpenStream(stream_id, stream, self.inactivity_s, self.pinholes)])
        self.stream = stream
        return stream

    def update(self, stream_id: StreamId = STREAM, **sides: MediaSide) -> MediaStream:
        """New signalling: ``a=`` and ``b=`` replace the sides they name."""
        assert self.stream is not None
        stream = self.stream = replace(self.stream, **sides)
        self.engine.apply([UpdateStream(stream_id, stream, self.inactivity_s, self.pinholes)])
        return stream

    def close(self, stream_id: StreamId = STREAM) -> None:
        self.engine.apply([CloseStream(stream_id)])

    def counters(self, side: SideName) -> FlowCounters:
        return self.engine.counters(STREAM)[side]

    def drops(self, side: SideName) -> dict[DropReason, int]:
        return self.counters(side).drops

    def latch(self, side: SideName, component: Component = Component.RTP) -> LatchReport:
        return self.engine.latches(STREAM)[side, component]

    def events_of(self, kind: type) -> list[MediaEvent]:
        return [event for event in self.events if isinstance(event, kind)]

    async def until(self, holds: Callable[[], object]) -> None:
        """Lets the engine work until something holds."""
        with trio.fail_after(PATIENCE_S):
            while not holds():
                await trio.lowlevel.checkpoint()

    async def has_dropped(self, side: SideName, drops: dict[DropReason, int]) -> None:
        """Waits until exactly these drops are counted at a side."""
        await self.until(lambda: sum(self.drops(side).values()) >= sum(drops.values()))
        assert self.drops(side) == drops


class Call:
    """Two plain phones whose SDP tells the truth, joined by an open stream."""

    def __init__(self, rig: Rig, a: Phone, b: Phone, stream: MediaStream) -> None:
        self.rig = rig
        self.a = a
        self.b = b
        self.at_a = stream.a.local
        self.at_b = stream.b.local

    async def a_says(self, packet: bytes) -> bytes:
        """Sends from A and returns what B hears next."""
        await self.a.send(packet, self.at_a)
        return (await self.b.hears())[0]

    async def b_says(self, packet: bytes) -> bytes:
        await self.b.send(packet, self.at_b)
        return (await self.a.hears())[0]


async def a_call(
    rig: Rig, a: dict[str, object] | None = None, b: dict[str, object] | None = None
) -> Call:
    """A call of two phones with public addresses; `a` and `b` change what their sides are."""
    phone_a, phone_b = await rig.phone(PHONE_A), await rig.phone(PHONE_B)
    stream = rig.open(
        rig.side(RELAY_A, **{"remote": phone_a.endpoint, **(a or {})}),
        rig.side(RELAY_B, **{"remote": phone_b.endpoint, **(b or {})}),
    )
    return Call(rig, phone_a, phone_b, stream)


async def a_nated_call(rig: Rig, **a: object) -> Call:
    """A call whose A is behind a NAT: private SDP address, media from where its SIP comes from."""
    phone_a, phone_b = await rig.phone(SIGNALLING_A), await rig.phone(PHONE_B)
    private = Endpoint("10.11.12.13", 4000)
    stream = rig.open(
        rig.side(RELAY_A, private, signalling_host=SIGNALLING_A, learn_any=True, **a),
        rig.side(RELAY_B, phone_b.endpoint),
    )
    return Call(rig, phone_a, phone_b, stream)
