"""Plans and packets by chance, from one seed: likely things mostly, and everything sometimes."""

import struct
from dataclasses import replace
from random import Random

from pylibsrtp import Error, Session

from media.plan import CloseStream, MediaSide, MediaStream, OpenStream, UpdateStream
from media.types import Component, Endpoint, SideName, SrtpKeys, StreamId
from tests.engine.kit import (
    LIBSRTP_SUITES,
    keys,
    protecting,
    receiver_report,
    report_block,
    rtcp,
    rtp,
    sender_report,
)
from tests.engine.twins import Twins

HOSTS = {
    False: {
        "ours": "127.0.0.1",
        "phone": "192.0.2.10",
        "signalling": "192.0.2.20",
        "other": "192.0.2.30",
        "stranger": "198.51.100.66",
        "private": "10.0.0.5",
        "nobody": "0.0.0.0",
        "many": "239.1.2.3",
    },
    True: {
        "ours": "2001:db8::1",
        "phone": "2001:db8::10",
        "signalling": "2001:db8::20",
        "other": "2001:db8::30",
        "stranger": "2001:db8:6::66",
        "private": "fd00::5",
        "nobody": "::",
        "many": "ff02::1",
    },
}


STUN = struct.pack("!HHI", 1, 0, 0x2112A442) + bytes(12)
DTLS = b"\x16\xfe\xfd" + bytes(40)


class Leg:
    """What one side's phone does: its keys, its sequence, what it sent before."""

    def __init__(self, chance: Random, ipv6: bool, port: int) -> None:
        self.chance = chance
        self.hosts = HOSTS[ipv6]
        self.local = Endpoint(self.hosts["ours"], port)
        self.local_rtcp = Endpoint(self.hosts["ours"], port + 1)
        self.sequence = chance.choice([1, 100, 65520, chance.randrange(65536)])
        self.timestamp = chance.randrange(1 << 32)
        self.ssrc = chance.randrange(1, 5)
        self.restless = chance.random() < 0.1
        """Whether it takes another SSRC for each packet."""
        self.payload_type = chance.choice([0, 0, 8, 18, 4, 111])
        self.said: list[bytes] = []
        self.reported: list[tuple[int, int]] = []
        """The stamps of its sender reports, and when they were sent."""
        self._sessions: dict[SrtpKeys, Session] = {}

    def plan(self, peer: Endpoint | None) -> MediaSide:
        """A side as signalling might describe it; `peer` may be a port of ours to announce."""
        chance = self.chance
        nated = chance.random() < 0.3
        host = self.hosts["private" if nated else "phone"]
        remote: Endpoint | None = Endpoint(host, 4000)
        draw = chance.random()
        if draw < 0.1:
            remote = None
        elif draw < 0.15:
            remote = Endpoint(self.hosts[chance.choice(["nobody", "many"])], 4000)
        elif draw < 0.2:
            remote = Endpoint(self.hosts["other"], 0)
        elif draw < 0.25 and peer is not None and (":" in peer.host) == (":" in self.local.host):
            remote = peer
        mux = chance.random() < 0.4
        above = None if remote is None else Endpoint(remote.host, min(remote.port + 1, 65535))
        secure = chance.random() < 0.5
        return MediaSide(
            "net",
            self.local,
            self.local_rtcp,
            remote=remote,
            remote_rtcp=None if mux or chance.random() < 0.1 else above,
            rtcp_mux=mux,
            receive_keys=self._keys() if secure else None,
            send_keys=self._keys() if secure and chance.random() < 0.9 else None,
            signalling_host=chance.choice([None, self.hosts["signalling"], self.hosts["phone"]]),
            learn_any=nated,
            sending=chance.random() < 0.8,
            receiving=chance.random() < 0.85,
            handshakes=chance.random() < 0.3,
            max_kbps=chance.choice([None, None, None, 8, 64]),
        )

    def changed(self, side: MediaSide) -> MediaSide:
        """The side after new signalling: mostly as it was, with one thing or two changed."""
        fresh = self.plan(None)
        for _ in range(self.chance.randrange(3)):
            field = self.chance.choice(
                [
                    "remote",
                    "signalling_host",
                    "receiving",
                    "sending",
                    "handshakes",
                    "max_kbps",
                    "learn_any",
                ]
            )
            side = replace(side, **{field: getattr(fresh, field)})
        if self.chance.random() < 0.2:
            side = replace(side, rtcp_mux=fresh.rtcp_mux, remote_rtcp=fresh.remote_rtcp)
        if self.chance.random() < 0.2:
            side = replace(side, receive_keys=fresh.receive_keys, send_keys=fresh.send_keys)
        if self.chance.random() < 0.05:
            moved = Endpoint(self.local.host, self.local.port + 1000)
            self.local, self.local_rtcp = moved, Endpoint(moved.host, moved.port + 1)
            side = replace(side, local=self.local, local_rtcp=self.local_rtcp)
        return side

    def source(self, side: MediaSide, component: Component, peer: Endpoint) -> Endpoint:
        """Where a packet comes from."""
        chance = self.chance
        announced = side.remote
        if component is Component.RTCP and not side.rtcp_mux and side.remote_rtcp is not None:
            announced = side.remote_rtcp
        draw = chance.random()
        if draw < 0.6 and announced is not None and announced.port:
            return announced
        if draw < 0.62 and (":" in peer.host) == (":" in self.local.host):
            return peer
        return self.somebody()

    def somebody(self) -> Endpoint:
        """A source that is announced or not."""
        chance = self.chance
        who = chance.choice(["phone", "phone", "signalling", "signalling", "stranger", "private"])
        return Endpoint(self.hosts[who], chance.choice([4000, 4001, 4000, 5000]))

    def says(self, side: MediaSide, other: "Leg", now: int) -> tuple[Component, bytes]:
        """A datagram and the port it goes to; the other leg is whom its reports are about."""
        chance = self.chance
        if chance.random() < 0.15:
            return chance.choice(list(Component)), self._junk()
        if self.said and chance.random() < 0.06:
            return chance.choice(list(Component)), chance.choice(self.said[-50:])
        if chance.random() < 0.15:
            data = self._rtcp(other, now)
            component = Component.RTP if side.rtcp_mux else Component.RTCP
            sealed = self._sealed(side, data, rtp_packet=False)
        else:
            data = self._rtp()
            component = Component.RTP
            sealed = self._sealed(side, data, rtp_packet=True)
        if chance.random() < 0.03:
            component = chance.choice(list(Component))
        if chance.random() < 0.04 and sealed:
            place = chance.randrange(len(sealed))
            sealed = (
                sealed[:place]
                + bytes([sealed[place] ^ 1 << chance.randrange(8)])
                + (sealed[place + 1 :])
            )
        self.said.append(sealed)
        return component, sealed

    def goes_on(self, side: MediaSide) -> bytes:
        """The next packet of a stream as phones send it, mostly."""
        self.sequence = (self.sequence + self.chance.choice([1] * 60 + [2, 16, 17])) & 0xFFFF
        packet = rtp(self.sequence, bytes(20), ssrc=self.ssrc, timestamp=self.timestamp)
        return self._sealed(side, packet, rtp_packet=True)

    def _rtp(self) -> bytes:
        chance = self.chance
        draw = chance.random()
        if draw < 0.85:
            step = 1
        elif draw < 0.95:
            step = chance.randrange(-20, 40)
        else:
            step = chance.choice([-200, 150, 3100, 20000, 40000])
        self.sequence = (self.sequence + step) & 0xFFFF
        self.timestamp = (self.timestamp + 160 * step) & 0xFFFFFFFF
        if self.restless:
            self.ssrc += 1
        elif chance.random() < 0.02:
            self.ssrc = chance.randrange(1, 80)
        payload = bytes(chance.choice([0, 20, 160, 160, 160, 160, 1000, 1345, 1480]))
        packet = rtp(
            self.sequence,
            payload,
            ssrc=self.ssrc,
            timestamp=self.timestamp,
            payload_type=101 if chance.random() < 0.03 else self.payload_type,
        )
        if chance.random() < 0.1:
            sources = chance.randrange(4)
            extension = struct.pack("!HHI", 0xBEDE, 1, 7)
            first = 0x90 | sources
            packet = bytes([first]) + packet[1:12] + bytes(4 * sources) + extension + packet[12:]
        return packet

    def _rtcp(self, other: "Leg", now: int) -> bytes:
        chance = self.chance
        note = rtcp(self.ssrc, chance.randrange(1 << 32))
        draw = chance.random()
        if draw < 0.2:
            return note
        blocks = [self._block(other, now) for _ in range(chance.choice([0, 1, 1, 1, 2]))]
        if draw < 0.6:
            self.reported.append((chance.randrange(1 << 32), now))
            report = sender_report(self.reported[-1][0], *blocks, ssrc=self.ssrc)
        else:
            report = receiver_report(*blocks, ssrc=self.ssrc)
        if chance.random() < 0.1:  # a count that says more or less than there is
            report = bytes([0x80 | chance.randrange(32)]) + report[1:]
        return report + note if chance.random() < 0.5 else report

    def _block(self, other: "Leg", now: int) -> bytes:
        """What it says of the other leg, and mostly of a report it had from there."""
        chance = self.chance
        stamp, at = chance.choice(other.reported[-3:] or [(0, now)])
        away = (now - at) * 65536 // 1_000_000_000
        return report_block(
            other.ssrc if chance.random() < 0.8 else chance.randrange(5),
            fraction_lost=chance.randrange(256),
            lost=chance.randrange(-5, 1000),
            jitter_ticks=chance.randrange(2000),
            last_report=stamp if chance.random() < 0.9 else chance.randrange(1 << 32),
            delay=min(int(away * chance.choice([0.0, 0.5, 1.0, 1.1])), 0xFFFFFFFF),
        )

    def _junk(self) -> bytes:
        chance = self.chance
        return chance.choice(
            [
                b"",
                b"\x80",
                chance.randbytes(chance.randrange(40)),
                STUN,
                DTLS,
                bytes([0x80 | chance.randrange(64)]) + chance.randbytes(chance.randrange(30)),
                bytes([0x80, 200 + chance.randrange(8)]) + chance.randbytes(chance.randrange(30)),
                rtp(1, bytes(2100)),
                rtp(1, bytes(2036)),
            ]
        )

    def _sealed(self, side: MediaSide, data: bytes, *, rtp_packet: bool) -> bytes:
        if side.receive_keys is None or self.chance.random() < 0.03:
            return data
        session = self._sessions.get(side.receive_keys)
        if session is None:
            session = self._sessions[side.receive_keys] = protecting(side.receive_keys)
        try:
            return session.protect(data) if rtp_packet else session.protect_rtcp(data)
        except (Error, ValueError):
            return data  # libsrtp protects nothing twice, and nothing very long.

    def _keys(self) -> SrtpKeys:
        lifetime = self.chance.choice([None] * 12 + [5, 40])
        return keys(
            self.chance.choice(LIBSRTP_SUITES),
            self.chance.randrange(6),
            lifetime_packets=lifetime,
        )


def play(seed: int, steps: int, *, moves: bool = False) -> Twins:
    """One whole story; raises AssertionError where the engines differ."""
    chance = Random(seed)
    twins = Twins()
    legs: dict[StreamId, dict[SideName, Leg]] = {}
    ports = iter(range(10000, 60000, 2))
    for _ in range(steps):
        draw = chance.random()
        if not legs or draw < 0.01:
            stream_id = (f"call{next(ports)}", 0)
            pair = {side: Leg(chance, chance.random() < 0.2, next(ports)) for side in SideName}
            a, b = pair[SideName.A], pair[SideName.B]
            elsewhere = [leg.local for others in legs.values() for leg in others.values()]
            peer = chance.choice(elsewhere) if elsewhere else None
            kind = chance.choice(["audio", "audio", "audio", "video"])
            stream = MediaStream(0, kind, 8000, a.plan(peer), b.plan(peer))
            silence = chance.choice([None, 2.0, 30.0])
            twins.apply(OpenStream(stream_id, stream, silence, chance.random() < 0.5))
            legs[stream_id] = pair
            continue
        stream_id = chance.choice(list(legs))
        command = twins.streams[stream_id][1]
        if draw < 0.04:
            stream = replace(
                command.stream,
                a=legs[stream_id][SideName.A].changed(command.stream.a),
                b=legs[stream_id][SideName.B].changed(command.stream.b),
            )
            twins.apply(UpdateStream(stream_id, stream, command.inactivity_s, command.pinholes))
        elif draw < 0.045:
            twins.apply(CloseStream(stream_id))
            del legs[stream_id]
        elif draw < 0.07:
            _wait(twins, chance)
        elif moves and draw < 0.075:
            twins.move()
        elif draw < 0.09:
            side = chance.choice(list(SideName))
            _talk(twins, stream_id, side, legs[stream_id][side])
        elif draw < 0.095:
            side = chance.choice(list(SideName))
            _shake(twins, stream_id, side, legs[stream_id][side])
        else:
            side = chance.choice([SideName.A, SideName.A, SideName.B])
            leg, plan = legs[stream_id][side], command.stream.side(side)
            other = legs[stream_id][SideName.B if side is SideName.A else SideName.A]
            component, data = leg.says(plan, other, twins.now)
            peer = chance.choice(list(legs.values()))[chance.choice(list(SideName))].local
            twins.receive(stream_id, side, component, leg.source(plan, component, peer), data)
        twins.now += chance.randrange(40_000_000)
        if chance.random() < 0.05:
            twins.compare()
    twins.compare()
    return twins


def _wait(twins: Twins, chance: Random) -> None:
    """Time passes, and the engines look around: once mostly, else until windows are over."""
    twins.now += chance.choice([500_000_000, 1_000_000_000, 2_500_000_000, 31_000_000_000])
    for _ in range(chance.choice([1, 1, 1, 10])):
        twins.tick()


def _talk(twins: Twins, stream_id: StreamId, side: SideName, leg: Leg) -> None:
    """Two sources show a stream one after the other, and strays may break in on them."""
    chance = leg.chance
    plan = twins.streams[stream_id][1].stream.side(side)
    for source in (leg.somebody(), leg.somebody()):
        pace = chance.choice([0, 15_000_000, 15_000_000, 50_000_000, 190_000_000])
        for _ in range(chance.choice([2, 4, 30, 40])):
            twins.receive(stream_id, side, Component.RTP, source, leg.goes_on(plan))
            twins.now += pace + chance.randrange(10_000_000)
            if chance.random() < 0.01:
                stray = leg.somebody()
                twins.receive(stream_id, side, Component.RTP, stray, leg.goes_on(plan))
        twins.now += chance.choice([0, 0, 950_000_000, 1_050_000_000])


def _shake(twins: Twins, stream_id: StreamId, side: SideName, leg: Leg) -> None:
    """Somebody sends more STUN and DTLS than one may."""
    chance = leg.chance
    source, component = leg.somebody(), chance.choice(list(Component))
    wanted = twins.streams[stream_id][1].stream.side(side).handshakes
    for _ in range(60 if wanted else 2):
        twins.receive(stream_id, side, component, source, chance.choice([STUN, DTLS]))
        twins.now += chance.randrange(20_000_000)
