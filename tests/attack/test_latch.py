"""Plain RTP proves nothing but its address: what that keeps out, and what it cannot.

A stranger gets nothing of a call whose phone talks. Before its phone talks, a leg behind a NAT is
taken by whoever shows it a patient stream, until the phone speaks; and by whoever shares the
phone's public address, until he falls silent. Both stand in the call's story. SRTP leaves neither.
"""

import time
from collections.abc import Iterator
from itertools import count, islice

import pytest

from media.latch import CONFIRM_PACKETS, UNANNOUNCED_PACKETS, UNANNOUNCED_STREAM_S
from media.types import DropReason, Endpoint
from tests.attack.field import PBX, Field, Home
from tests.attack.siege import GROWTH_KIB, Siege
from tests.engine.kit import rtp
from tests.kit.sprayer import Sprayer

pytestmark = pytest.mark.interop

SOURCES = 200_000
GIANTS = 10
PATIENT_PACKETS = 2 * UNANNOUNCED_PACKETS
"""Twice as many as a stranger must show where he is learned at all."""
PACKET_S = 0.02
NATS = [Home.PORT_RESTRICTED, Home.SYMMETRIC]
NAT_IDS = [home.name.lower() for home in NATS]


def injected() -> Iterator[bytes]:
    """A stream as a phone's."""
    return (rtp(number, b"injected".ljust(160), ssrc=0xBAD) for number in count(1))


def nobodies() -> Iterator[Endpoint]:
    """Addresses of nobody (RFC 2544), with ports that differ too."""
    for number in range(SOURCES):
        host = f"198.{18 + number % 2}.{number // 2 % 256}.{number // 512 % 256}"
        yield Endpoint(host, 1024 + number % 60_000)


def test_two_hundred_thousand_sources_cost_no_memory(field: Field) -> None:
    with Siege(field, Home.SYMMETRIC, secure=False).is_up() as siege:
        siege.is_pelted(injected(), DropReason.UNKNOWN_SOURCE, names=nobodies())
        assert siege.counted() == siege.expected
        siege.nothing_was_bled_or_injected()
        assert siege.grown_kib < GROWTH_KIB


def test_the_longest_datagrams_pass_nothing(field: Field) -> None:
    with Siege(field, Home.PUBLIC, secure=False).is_up() as siege:
        for _ in range(GIANTS):
            siege.is_pelted([rtp(1, bytes(65495))], DropReason.TOO_LONG)
        assert siege.counted() == siege.expected
        siege.nothing_was_bled_or_injected()
        assert siege.grown_kib < GROWTH_KIB


def test_an_inside_address_that_is_forged_outside_reaches_nobody(field: Field) -> None:
    with Siege(field, Home.PUBLIC, secure=False).is_up() as siege:
        b = siege.talk.b
        for packet in islice(injected(), PATIENT_PACKETS):
            siege.stranger.forges(packet, Endpoint(PBX, b.media_port), b.border_rtp)
        siege.stranger.waits_for_delivery()
        siege.talk.exchanges(5)
        assert siege.counted() == siege.expected
        siege.nothing_was_bled_or_injected()


@pytest.mark.parametrize("secure", [False, True], ids=["rtp", "srtp"])
@pytest.mark.parametrize("home", NATS, ids=NAT_IDS)
def test_a_neighbour_behind_the_same_nat_gets_nothing_of_a_phone_that_talks(
    field: Field, home: Home, secure: bool
) -> None:
    with Siege(field, home, secure=secure).is_up() as siege:
        neighbour = siege.sprayer(field.neighbours[home])
        streams_beside_a_talk(siege, neighbour)
        assert siege.counted() == siege.expected
        assert neighbour.heard() == []
        siege.nothing_was_bled_or_injected()


def test_a_stranger_with_a_patient_stream_gets_nothing_of_a_phone_that_talks(
    field: Field,
) -> None:
    with Siege(field, Home.SYMMETRIC, secure=False).is_up() as siege:
        streams_beside_a_talk(siege, siege.stranger)
        assert siege.counted() == siege.expected
        siege.nothing_was_bled_or_injected()


def streams_beside_a_talk(siege: Siege, attacker: Sprayer) -> None:
    """Somebody streams to A's port as phones do, while A and B talk."""
    began = time.monotonic()
    for packet in islice(injected(), PATIENT_PACKETS):
        attacker.sends(packet, siege.talk.a.border_rtp)
        siege.talk.exchanges()
        time.sleep(PACKET_S)
    assert time.monotonic() - began > UNANNOUNCED_STREAM_S
    why = DropReason.SRTP_AUTHENTICATION if siege.secure else DropReason.UNKNOWN_SOURCE
    siege.expected["a"][why] += PATIENT_PACKETS


@pytest.mark.parametrize("home", NATS, ids=NAT_IDS)
def test_under_srtp_a_neighbour_gets_nothing_even_of_a_phone_that_is_silent(
    field: Field, home: Home
) -> None:
    with Siege(field, home, secure=True).is_set_up() as siege:
        neighbour = siege.sprayer(field.neighbours[home])
        for packet in islice(injected(), PATIENT_PACKETS):
            neighbour.sends(packet, siege.talk.a.border_rtp)
        siege.expected["a"][DropReason.SRTP_AUTHENTICATION] += PATIENT_PACKETS
        assert siege.counted() == siege.expected
        siege.talk.b.says()
        siege.expected["b"][DropReason.NO_DESTINATION] += 1
        assert siege.counted() == siege.expected
        siege.begins()
        assert neighbour.heard() == []
        siege.nothing_was_bled_or_injected()


@pytest.mark.parametrize("home", NATS, ids=NAT_IDS)
def test_a_neighbour_takes_a_plain_call_whose_phone_is_silent_but_not_unseen_nor_for_good(
    field: Field, home: Home
) -> None:
    with Siege(field, home, secure=False).is_set_up() as siege:
        a, b = siege.talk.a, siege.talk.b
        neighbour = siege.sprayer(field.neighbours[home])
        stream = list(islice(injected(), CONFIRM_PACKETS))
        for packet in stream:
            neighbour.sends(packet, a.border_rtp)
        assert b.hears() == stream[-1]
        assert b.says() == neighbour.hears()
        taken = siege.latched()
        assert taken.host == field.public_host(home)

        def is_back() -> bytes | None:
            packet = a.says()
            return packet if siege.latched() != taken else None

        packet = field.until(is_back, "the phone talks until it has its call back")
        while b.hears() != packet:
            continue
        siege.talk.exchanges(5)
        assert neighbour.heard() == []
        place = f"{taken.host}:{taken.port}"
        siege.tells("a", f"RTP latched to {place} (signalling_host)")
        siege.tells("a", f"(signalling_host), before {place}")


def test_a_patient_stranger_takes_a_plain_call_whose_phone_is_silent_until_it_speaks(
    field: Field,
) -> None:
    with Siege(field, Home.SYMMETRIC, secure=False).is_set_up() as siege:
        b, stranger, packets = siege.talk.b, siege.stranger, injected()

        def is_taken() -> bool:
            stranger.sends(next(packets), siege.talk.a.border_rtp)
            return bool(b.unheard())

        field.until(is_taken, "a stream of half a second is learned")
        assert b.says() == stranger.hears()
        packet = next(packets)
        stranger.sends(packet, siege.talk.a.border_rtp)
        while b.hears() != packet:
            continue
        siege.begins()
        stranger.sends(next(packets), siege.talk.a.border_rtp)
        siege.talk.exchanges(5)
        assert stranger.heard() == []
        siege.tells("a", f"RTP latched to {stranger.place} (other)")
        siege.tells("a", f"(signalling_host), before {stranger.place}")
