"""What is relayed: the modes, the calls with their addresses and keys, and their packets."""

import base64
import random
import struct
from dataclasses import dataclass

from pylibsrtp import Error, Policy, Session

CM_80, CM_32, GCM = "AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32", "AEAD_AES_128_GCM"
KEY_BYTES = {CM_80: 30, CM_32: 30, GCM: 28}
_PROFILES = {
    CM_80: Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
    CM_32: Policy.SRTP_PROFILE_AES128_CM_SHA1_32,
    GCM: Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
}

PEERS = ("10.99.1.2", "10.99.2.2")
"""The hosts of all phones on side A and on side B."""
RELAYS = ("10.99.1.1", "10.99.2.1")
"""The relay's addresses toward them."""
_FIRST_PEER_PORT = 20000
_PAYLOAD_BYTES = 160
_PAYLOAD_TYPE = 0
_TICKS = 160
_RTP = struct.Struct("!BBHII")


@dataclass(frozen=True, slots=True)
class Mode:
    """The SRTP suites of both sides; None is plain RTP."""

    name: str
    suites: tuple[str | None, str | None]
    goal: float
    """Packets per CPU-second wanted, in those of rtpengine."""


MODES = {
    mode.name: mode
    for mode in (
        Mode("rtp_rtp", (None, None), 1.5),
        Mode("srtp_rtp", (CM_80, None), 1.7),
        Mode("gcm_rtp", (GCM, None), 1.7),
        Mode("srtp_srtp", (CM_80, CM_32), 2.0),
    )
}


@dataclass(frozen=True, slots=True)
class RelayedCall:
    """Where the relay takes a call's packets, and what it protects those that it sends with."""

    ports: tuple[int, int]
    """RTP ports on `RELAYS`, for side A and side B."""
    keys: tuple[bytes | None, bytes | None]
    """Master key and salt of the packets toward A and toward B; None for plain RTP."""


def peer_port(call: int) -> int:
    """The RTP port of both phones of a call."""
    return _FIRST_PEER_PORT + 2 * call


def peer_key(mode: Mode, side: int) -> bytes | None:
    """What every phone of a side protects its packets with: one key, so one packet fits all."""
    return made_key(mode.suites[side], f"phones {side}")


def made_key(suite: str | None, seed: str) -> bytes | None:
    """A key for the suite, the same for the same seed; None without suite."""
    return None if suite is None else random.Random(seed).randbytes(KEY_BYTES[suite])


def key_text(key: bytes) -> str:
    """The key as SDES writes it."""
    return base64.b64encode(key).decode()


def plain_packet(side: int, number: int) -> bytes:
    """The packet that all phones of a side send in round `number`: 20 ms of G.711."""
    header = _RTP.pack(
        0x80, _PAYLOAD_TYPE, number & 0xFFFF, number * _TICKS & 0xFFFFFFFF, 0x1000 + side
    )
    return header + random.Random(number * 2 + side).randbytes(_PAYLOAD_BYTES)


def sent_packets(mode: Mode, side: int, count: int) -> list[bytes]:
    """The first `count` packets of a side as they cross the wire."""
    plain = [plain_packet(side, number) for number in range(1, count + 1)]
    session = _session(mode.suites[side], peer_key(mode, side), Policy.SSRC_ANY_OUTBOUND)
    return plain if session is None else [session.protect(packet) for packet in plain]


def wrong_packets(
    mode: Mode, calls: list[RelayedCall], samples: list[tuple[int, int, bytes]]
) -> int:
    """How many of the packets that phones received are not what the other phone sent.

    Args:
        mode: how they are protected.
        calls: as the relay gave them.
        samples: receiving side, number of the call, packet; in the order they came.
    """
    sessions: dict[tuple[int, int], Session | None] = {}
    wrong = 0
    for side, number, packet in samples:
        if (side, number) not in sessions:
            key = calls[number].keys[side]
            sessions[side, number] = _session(mode.suites[side], key, Policy.SSRC_ANY_INBOUND)
        session = sessions[side, number]
        try:
            plain = packet if session is None else session.unprotect(packet)
        except Error:
            plain = b""
        wrong += plain != plain_packet(1 - side, int.from_bytes(packet[2:4], "big"))
    return wrong


def _session(suite: str | None, key: bytes | None, ssrc_type: int) -> Session | None:
    """libsrtp with one key; None for plain RTP."""
    if suite is None or key is None:
        return None
    return Session(Policy(key=key, ssrc_type=ssrc_type, srtp_profile=_PROFILES[suite]))
