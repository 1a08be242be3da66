"""The relay's vocabulary: endpoints, keys, ranks, counters, drop reasons.

Everything here is plain data. The native engine mirrors these types one to one.
"""

from dataclasses import dataclass, field, replace
from enum import Enum, IntEnum
from typing import NamedTuple


class Endpoint(NamedTuple):
    """A numeric address (IPv6 without brackets) and a UDP port."""

    host: str
    port: int


StreamId = tuple[str, int]
"""The name of the call and the index of the m-line: what commands and events speak of."""


class SideName(Enum):
    """Which leg a port of ours faces: `A` called us, `B` is whom we called."""

    A = "a"
    B = "b"


class Component(Enum):
    """Which of a side's two ports is meant; with rtcp-mux RTCP uses the `RTP` one."""

    RTP = "rtp"
    RTCP = "rtcp"


class SrtpSuite(Enum):
    """SRTP crypto suites by their SDES name (RFC 4568 §6.2, RFC 6188 §4, RFC 7714 §14.2)."""

    AES_CM_128_HMAC_SHA1_80 = "AES_CM_128_HMAC_SHA1_80"
    AES_CM_128_HMAC_SHA1_32 = "AES_CM_128_HMAC_SHA1_32"
    AES_192_CM_HMAC_SHA1_80 = "AES_192_CM_HMAC_SHA1_80"
    AES_192_CM_HMAC_SHA1_32 = "AES_192_CM_HMAC_SHA1_32"
    AES_256_CM_HMAC_SHA1_80 = "AES_256_CM_HMAC_SHA1_80"
    AES_256_CM_HMAC_SHA1_32 = "AES_256_CM_HMAC_SHA1_32"
    AEAD_AES_128_GCM = "AEAD_AES_128_GCM"
    AEAD_AES_256_GCM = "AEAD_AES_256_GCM"

    @property
    def key_length(self) -> int:
        """Bytes of master key followed by master salt, as the SDES inline parameter has them."""
        return _KEY_AND_SALT_BYTES[self.value]


_KEY_AND_SALT_BYTES = {
    "AES_CM_128_HMAC_SHA1_80": 30,
    "AES_CM_128_HMAC_SHA1_32": 30,
    "AES_192_CM_HMAC_SHA1_80": 38,
    "AES_192_CM_HMAC_SHA1_32": 38,
    "AES_256_CM_HMAC_SHA1_80": 46,
    "AES_256_CM_HMAC_SHA1_32": 46,
    "AEAD_AES_128_GCM": 28,
    "AEAD_AES_256_GCM": 44,
}


class SrtpAbilities(NamedTuple):
    """What an engine can do of SRTP; it refuses the rest."""

    suites: frozenset[SrtpSuite]
    mki: bool
    """Whether packets may carry a master key identifier."""


MOST_SRTP_PACKETS = 1 << 48
"""What one master key may protect, each way.

Spec: RFC 3711 §9.2.
"""
MOST_SRTCP_PACKETS = 1 << 31
_LONGEST_MKI_BYTES = 128


@dataclass(frozen=True, slots=True)
class SrtpKeys:
    """The master key of one direction.

    Raises:
        ValueError: `key_and_salt` has not the length its suite needs, the identifier is too long
            or the lifetime is none; a bug of the caller.
    """

    suite: SrtpSuite
    key_and_salt: bytes = field(repr=False)
    mki: bytes = b""
    """The master key identifier that every packet carries, at most 128 bytes; empty for none."""
    lifetime_packets: int | None = None
    """Most SRTP packets, and most SRTCP packets, under this key; None for what the RFC allows.

    Spec: RFC 4568 §6.1.
    """

    def __post_init__(self) -> None:
        if len(self.mki) > _LONGEST_MKI_BYTES:
            raise ValueError(f"a key identifier of {len(self.mki)} bytes is too long")
        lifetime = self.lifetime_packets
        if lifetime is not None and not 1 <= lifetime <= MOST_SRTP_PACKETS:
            raise ValueError(f"{lifetime} packets are no lifetime of a key")
        if len(self.key_and_salt) != self.suite.key_length:
            raise ValueError(
                f"{self.suite.value} needs {self.suite.key_length} bytes of key and salt, "
                f"got {len(self.key_and_salt)}"
            )

    def is_same_key(self, other: "SrtpKeys | None") -> bool:
        """Whether packets under both belong to one key stream, whatever is said of its lifetime.

        What protected or opened under a key goes on: begun anew, its indices would be used twice
        and replays taken (RFC 3711 §9.1). So a lifetime holds as it was first said.
        """
        return other is not None and replace(self, lifetime_packets=None) == replace(
            other, lifetime_packets=None
        )


class LatchRank(IntEnum):
    """How much a learned source is worth; a better one always wins back (RFC 7362 §4).

    Ordered by proof, not by arrival.
    """

    NONE = 0
    """Nothing learned; media goes to the SDP address."""
    OTHER = 1
    """A source that nothing announced; only while the SDP address is unroutable from here."""
    SIGNALLING_HOST = 2
    """The host that the leg's signalling comes from."""
    SDP_HOST = 3
    """The host of the SDP address, another port."""
    SDP_EXACT = 4
    """Exactly the SDP address."""
    SRTP_AUTHENTICATED = 5
    """Any source whose packets carry a valid SRTP tag under this leg's keys."""


class Refusal(Enum):
    """Why a source was not learned; the value is the sentence for the call's record."""

    NOT_ANNOUNCED = "nothing announced this source"
    NO_BETTER_PROOF = "it proves no more than the source in use"
    WINDOW_CLOSED = "unannounced sources are learned only shortly after signalling"
    RELAY_LOOP = "it is a port of this relay"


class DropReason(IntEnum):
    """Why a datagram was not relayed. Numbers are metric labels: never reused, never renumbered."""

    NOT_RTP = 1
    """Neither RTP, RTCP, STUN nor DTLS by RFC 7983, or too short for what it claims."""
    UNKNOWN_SOURCE = 2
    """A source that the latch does not accept."""
    SRTP_AUTHENTICATION = 3
    """The SRTP or SRTCP tag is wrong under this side's keys."""
    SRTP_REPLAY = 4
    """An SRTP index that was seen before or is too old."""
    NO_DESTINATION = 5
    """The other side has neither announced nor shown an address yet."""
    OVER_RATE = 6
    """Above the side's bit-rate limit, or a source's limit of STUN and DTLS datagrams."""
    UNEXPECTED_PROTOCOL = 7
    """STUN or DTLS on a side that negotiated neither, RTP on an RTCP port, or RTCP on the RTP port
    of a side without rtcp-mux."""
    SEND_FAILED = 8
    """The operating system did not take the packet."""
    RELAY_LOOP = 9
    """The packet came from one of the relay's own ports."""
    TOO_LONG = 10
    """Longer than the engine takes, or than it may become by protection."""
    SSRC_LIMIT = 11
    """One more SSRC than a side may use under one key: each costs memory for as long as the key."""
    NOT_WANTED = 12
    """RTP for a leg that announced that it does not receive (hold)."""
    KEY_EXPIRED = 13
    """The SRTP key has protected or opened as many packets as it may (RFC 3711 §9.2)."""
    QUEUE_FULL = 14
    """The kernel's queue of the port was full before we read it."""


@dataclass(frozen=True, slots=True)
class IntervalLoss:
    """Loss by the second and not since the beginning, so that a bad minute shows after a good hour.

    Spec: RFC 3550 A.3 (the fraction lost).
    """

    expected: int = 0
    """Packets that should have come in the last whole interval."""
    lost: int = 0
    """Packets of those that did not."""
    worst_permille: int = 0
    """The highest share of packets lost in any interval of ten packets or more, in thousandths."""


@dataclass(frozen=True, slots=True)
class BurstLoss:
    """Runs of packets lost one after the other."""

    runs: int = 0
    """How many there were."""
    longest: int = 0
    """Packets in the longest."""
    ratio: float = 1.0
    """Mean length of a run against the one that loss by chance would have: 1 is chance, more is
    burstier (ITU-T G.107 §7.5, `BurstR`)."""


@dataclass(frozen=True, slots=True)
class SpeechQuality:
    """Mean opinion scores, from 1 to 4.5, of what a leg says as it reaches us.

    Each is of a window of ten seconds and at least a hundred packets, by its loss, its jitter and
    the delay between the phones at its end; the window that is open counts when it has as many
    packets.

    Spec: ITU-T G.107.
    """

    last: float
    """Of the last window."""
    mean: float
    """The mean of all."""
    worst: float
    """Of the worst."""
    windows: int
    """How many there were."""
    codec: str
    """Whose figures in G.113 were used in the last; ``"G.711 assumed"`` for a codec that has none
    there."""


@dataclass(frozen=True, slots=True)
class PeerView:
    """What a leg's last RTCP report block says of the packets relayed to it.

    Spec: RFC 3550 §6.4.1.
    """

    ssrc: int
    """The source it speaks of: the one that is relayed to it."""
    fraction_lost: int
    """Share of packets lost since its report before, in 256ths."""
    lost: int
    """Packets lost since it began to listen; negative when there were duplicates."""
    jitter_ticks: int
    """Interarrival jitter in RTP clock ticks."""


@dataclass(slots=True)
class FlowCounters:
    """What arrived on one side of a stream and what became of it. Totals since the side opened."""

    packets: int = 0
    """RTP packets accepted from this side."""
    octets: int = 0
    """UDP payload bytes of those packets."""
    rtcp_packets: int = 0
    """RTCP packets accepted from this side."""
    sent_packets: int = 0
    """RTP packets sent to this side."""
    lost: int = 0
    """Packets missing from the sequence (RFC 3550 A.3), never negative."""
    jitter_ticks: float = 0.0
    """Interarrival jitter in RTP clock ticks (RFC 3550 A.8)."""
    drops: dict[DropReason, int] = field(default_factory=dict)
    """Datagrams from this side that were not relayed, by reason."""
    interval: IntervalLoss = IntervalLoss()
    """Loss of the last whole second and of the worst one."""
    bursts: BurstLoss = BurstLoss()
    """How the loss is spread."""
    speech: SpeechQuality | None = None
    """What the leg's speech sounds like; None where it is none, and before there was enough."""
    peer: PeerView | None = None
    """What the leg says of the packets that are relayed to it, when it sends reports."""
    round_trip_ms: float | None = None
    """Time to the leg and back, by its last report (RFC 3550 §6.4.1)."""
