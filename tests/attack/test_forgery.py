"""Forged, flooded, replayed: under SRTP nothing passes, and the call is none the worse for it."""

from itertools import repeat

import pytest

from media.types import Component, DropReason, Endpoint
from tests.attack.field import Field, Home
from tests.attack.siege import GROWTH_KIB, SALVO, Siege
from tests.engine.kit import rtp
from tests.kit.barrage import binding_request, client_hello, goodbye
from tests.kit.talkers import Talker

pytestmark = pytest.mark.interop

FLOOD_PACKETS = 100_000
REPLAYED_PACKETS = 150
"""More than a replay window is long."""
HANDSHAKES = 1000
SSRCS = 5000


def test_a_hundred_thousand_bad_packets_in_the_phones_own_name_cost_no_packet(
    field: Field,
) -> None:
    with Siege(field, Home.SYMMETRIC, secure=True).is_up() as siege:
        talk, phone = siege.talk, siege.latched()
        talk.exchanges(SALVO)
        for _ in range(FLOOD_PACKETS // SALVO):
            # What the phone is about to send, but for one bit of its tag.
            packet, sealed = talk.a.next_packet()
            forged = sealed[:-1] + bytes([sealed[-1] ^ 1])
            for _ in range(SALVO):
                siege.stranger.forges(forged, phone, talk.a.border_rtp)
            talk.a.sends(sealed)
            assert talk.b.hears() == packet
            assert talk.b.says() == talk.a.hears()
        talk.exchanges(SALVO)
        siege.expected["a"][DropReason.SRTP_AUTHENTICATION] += FLOOD_PACKETS
        assert siege.counted() == siege.expected
        assert (siege.latched(), siege.lost()) == (phone, {"a": 0, "b": 0})
        siege.nothing_was_bled_or_injected()
        siege.tells("a", "packets failed SRTP authentication")
        assert siege.grown_kib < GROWTH_KIB
        (shown,) = field.cli("calls", "--ladder", siege.name)["media"]
        assert shown["a"]["drops"] == {"srtp_authentication": FLOOD_PACKETS}
        before = dropped(field)
        assert f"media a - not relayed: {FLOOD_PACKETS} srtp_authentication" in siege.ends()
        assert dropped(field) == before + FLOOD_PACKETS


def dropped(field: Field) -> int:
    """How many packets of closed streams the border says were no SRTP under the right key."""
    return field.cli("status")["media"]["dropped"].get("srtp_authentication", 0)


def test_what_was_recorded_of_a_call_is_good_for_nothing(field: Field) -> None:
    with Siege(field, Home.SYMMETRIC, secure=True).is_up() as siege:
        recorded = siege.talk.a
        siege.talk.exchanges(REPLAYED_PACKETS)
        is_replayed(siege, recorded, DropReason.SRTP_REPLAY)
        siege.talk.changes("reinvite")  # which keeps the keys
        is_replayed(siege, recorded, DropReason.SRTP_REPLAY)
        assert siege.counted() == siege.expected
        siege.nothing_was_bled_or_injected()
    with Siege(field, Home.SYMMETRIC, secure=True).is_up() as later:
        is_replayed(later, recorded, DropReason.SRTP_AUTHENTICATION)
        assert later.counted() == later.expected
        later.nothing_was_bled_or_injected()


def is_replayed(siege: Siege, phone: Talker, why: DropReason) -> None:
    """The stranger sends all that it recorded of a phone, as itself and in the phone's name."""
    source = siege.latched()
    for component, packets in (
        (Component.RTP, phone.on_the_wire),
        (Component.RTCP, phone.reports_on_the_wire),
    ):
        siege.is_pelted(packets[:], why, component=component)
        siege.is_pelted(packets[:], why, names=repeat(source), component=component)


def test_what_the_border_sent_is_no_proof_when_it_comes_back(field: Field) -> None:
    with Siege(field, Home.SYMMETRIC, secure=True).is_up() as siege:
        siege.talk.exchanges(SALVO)
        public = field.public_host(siege.home)
        reflected = [
            packet.payload
            for packet in siege.media_sent()
            if packet.destination == public and len(packet.payload) > 160
        ]
        assert len(reflected) > SALVO
        siege.is_pelted(reflected, DropReason.SRTP_AUTHENTICATION)
        assert siege.counted() == siege.expected
        siege.nothing_was_bled_or_injected()


@pytest.mark.parametrize("secure", [False, True], ids=["rtp", "srtp"])
def test_a_forged_goodbye_ends_no_call(field: Field, secure: bool) -> None:
    with Siege(field, Home.PUBLIC, secure=secure).is_up() as siege:
        a, b, said = siege.talk.a, siege.talk.b, goodbye(siege.talk.a.ssrc)
        phone = Endpoint(a.host.ip, siege.latched().port + 1)
        if secure:
            why = DropReason.SRTP_AUTHENTICATION
            siege.is_pelted([said], why, names=[phone], component=Component.RTCP)
        else:
            # Of plain RTP nothing but the address says who sent it.
            why = DropReason.UNKNOWN_SOURCE
            siege.stranger.forges(said, phone, a.border_rtcp)
            assert b.hears_report() == said
        siege.is_pelted([said], why, component=Component.RTCP)
        siege.talk.exchanges(5)
        assert siege.counted() == siege.expected
        siege.nothing_was_bled_or_injected()


@pytest.mark.parametrize("secure", [False, True], ids=["rtp", "srtp"])
def test_handshakes_that_nobody_asked_for_are_not_answered_and_reset_nothing(
    field: Field, secure: bool
) -> None:
    with Siege(field, Home.PUBLIC, secure=secure).is_up() as siege:
        why = DropReason.UNEXPECTED_PROTOCOL
        for handshake in (binding_request, client_hello):
            for names in (None, repeat(siege.latched())):
                siege.is_pelted(map(handshake, range(HANDSHAKES)), why, names=names)
        assert siege.counted() == siege.expected
        siege.nothing_was_bled_or_injected()
        assert siege.grown_kib < GROWTH_KIB


def test_thousands_of_ssrcs_that_prove_nothing_cost_no_memory(field: Field) -> None:
    with Siege(field, Home.SYMMETRIC, secure=True).is_up() as siege:
        packets = (rtp(1, bytes(170), ssrc=0x10000 + number) for number in range(SSRCS))
        siege.is_pelted(packets, DropReason.SRTP_AUTHENTICATION, names=repeat(siege.latched()))
        assert siege.counted() == siege.expected
        siege.nothing_was_bled_or_injected()
        assert siege.grown_kib < GROWTH_KIB
