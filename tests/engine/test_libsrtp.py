"""SRTP of the native engine against libsrtp, both ways over a bad network and many rollovers."""

from collections.abc import Callable, Iterator
from random import Random

import pytest
from pylibsrtp import Error, Session

from media.plan import MediaSide, MediaStream
from media.types import DropReason, Endpoint, SideName, SrtpSuite
from tests.engine.kit import LIBSRTP_SUITES, keys, opening, protecting, rtcp, rtp
from tests.kit.engines import native_module

native = native_module()._native

PHONE_A, PHONE_B = Endpoint("192.0.2.10", 4000), Endpoint("192.0.2.20", 4000)
SSRCS = (1, 2)
PACKETS = 3000


class Border:
    """One call through the brain: A speaks SRTP, B plain RTP."""

    def __init__(self, suite: SrtpSuite) -> None:
        self.mine, self.yours = keys(suite, 1), keys(suite, 2)
        a, b = (
            MediaSide(
                "net",
                Endpoint("10.0.0.1", port),
                Endpoint("10.0.0.1", port + 1),
                remote=phone,
                rtcp_mux=True,
            )
            for port, phone in ((20000, PHONE_A), (20002, PHONE_B))
        )
        secure = MediaSide(
            "net",
            a.local,
            a.local_rtcp,
            remote=a.remote,
            rtcp_mux=True,
            receive_keys=self.mine,
            send_keys=self.yours,
        )
        self.brain = native.Stepped(1)
        self.brain.open(0, MediaStream(0, "audio", 8000, secure, b), None, False, 0)

    def takes(self, side: SideName, packet: bytes) -> bytes | DropReason:
        """What leaves by the other side, or why nothing does."""
        number, phone = (0, PHONE_A) if side is SideName.A else (1, PHONE_B)
        result = self.brain.receive(0, number, 0, tuple(phone), packet, 0)
        return DropReason(result) if isinstance(result, int) else result[3]


def sequences(chance: Random) -> Iterator[tuple[int, int]]:
    """SSRC and sequence number of what two sources send, over some rollovers each."""
    at = dict.fromkeys(SSRCS, 65000)
    for _ in range(PACKETS):
        ssrc = chance.choice(SSRCS)
        at[ssrc] += 1 if chance.random() < 0.97 else chance.choice([3, 100, 20000, 32000])
        yield ssrc, at[ssrc] & 0xFFFF


def over_a_bad_network(packets: list[bytes], chance: Random) -> list[bytes]:
    """The packets with some lost, some doubled and all of them out of order by up to 60."""
    arriving = [
        (place + chance.random() * chance.choice([0, 0, 5, 60]), packet)
        for place, packet in enumerate(packets)
        for _ in range(chance.choice([0, 1, 1, 1, 1, 1, 1, 1, 1, 2]))
    ]
    return [packet for _, packet in sorted(arriving)]


def by_libsrtp(act: Callable[[bytes], bytes], packet: bytes) -> bytes | DropReason:
    """What a method of a libsrtp session returns, or why it does not.

    After a long jump that was lost in part a rollover may be guessed wrong, and with it the tag.
    """
    try:
        return act(packet)
    except Error as error:
        stale = "old" in str(error) or "replay" in str(error)
        return DropReason.SRTP_REPLAY if stale else DropReason.SRTP_AUTHENTICATION


def reports() -> list[bytes]:
    return [rtcp(SSRCS[number % 2], number) for number in range(PACKETS)]


@pytest.mark.parametrize("suite", LIBSRTP_SUITES)
@pytest.mark.parametrize("seed", range(3))
def test_what_libsrtp_protects_is_opened_exactly_where_libsrtp_opens_it(
    suite: SrtpSuite, seed: int
) -> None:
    chance = Random(seed)
    border = Border(suite)
    phone, oracle = protecting(border.mine), opening(border.mine)
    packets = [phone.protect(rtp(number, ssrc=ssrc)) for ssrc, number in sequences(chance)]
    arriving = over_a_bad_network(packets, chance)
    expected = [by_libsrtp(oracle.unprotect, packet) for packet in arriving]
    assert [border.takes(SideName.A, packet) for packet in arriving] == expected
    opened = sum(isinstance(one, bytes) for one in expected)
    assert PACKETS * 0.7 < opened < len(arriving)
    arriving = over_a_bad_network([phone.protect_rtcp(report) for report in reports()], chance)
    expected = [by_libsrtp(oracle.unprotect_rtcp, packet) for packet in arriving]
    assert [border.takes(SideName.A, packet) for packet in arriving] == expected


@pytest.mark.parametrize("suite", LIBSRTP_SUITES)
@pytest.mark.parametrize("seed", range(3))
def test_what_is_protected_is_to_the_byte_what_libsrtp_protects(
    suite: SrtpSuite, seed: int
) -> None:
    chance = Random(seed)
    border = Border(suite)
    oracle: Session = protecting(border.yours)
    phone: Session = opening(border.yours)
    plain = [rtp(number, ssrc=ssrc) for ssrc, number in sequences(chance)]
    arriving = over_a_bad_network(plain, chance)
    sent = [border.takes(SideName.B, packet) for packet in arriving]
    assert sent == [by_libsrtp(oracle.protect, packet) for packet in arriving]
    for packet, protected in zip(arriving, sent, strict=True):
        if isinstance(protected, bytes):
            assert phone.unprotect(protected) == packet
    for report in reports():
        protected = border.takes(SideName.B, report)
        assert protected == oracle.protect_rtcp(report)
        assert phone.unprotect_rtcp(protected) == report
