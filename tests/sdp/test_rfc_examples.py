"""The examples of the RFCs, read, written and negotiated as their text says."""

from pathlib import Path

import pytest

from sbc.sdp.attributes.crypto import valid_crypto_untrusted
from sbc.sdp.attributes.direction import Direction, reverse
from sbc.sdp.description import SessionDescription
from sbc.sdp.offer_answer import Negotiation, NegotiationState
from sbc.sdp.parser import parse_sdp_untrusted, serialize_sdp
from tests.sdp.builders import flows, holds

VECTORS = Path(__file__).parent / "vectors"
EXCHANGES = sorted(path.stem for path in (VECTORS / "rfc4317").glob("*.txt"))


def example(name: str) -> SessionDescription:
    return parse_sdp_untrusted((VECTORS / f"{name}.txt").read_bytes())


def exchange(section: str) -> dict[str, SessionDescription]:
    """The descriptions of a section of RFC 4317, by their heading."""
    text = (VECTORS / "rfc4317" / f"{section}.txt").read_text()
    found = {}
    for part in text.split("[")[1:]:
        heading, _, body = part.partition("]\n")
        found[heading] = parse_sdp_untrusted(body.replace("\n", "\r\n").encode())
    return found


def negotiated(section: str) -> tuple[Negotiation, Negotiation]:
    """Alice and Bob after all exchanges of a section."""
    said = exchange(section)
    alice, bob = Negotiation(), Negotiation()
    exchanged(alice, bob, said["Offer"], said["Answer"])
    if "Second-Offer" in said:
        by_alice = said["Second-Offer"].origin.username == "alice"
        one, other = (alice, bob) if by_alice else (bob, alice)
        exchanged(one, other, said["Second-Offer"], said["Second-Answer"])
    return alice, bob


def exchanged(
    one: Negotiation, other: Negotiation, offer: SessionDescription, answer: SessionDescription
) -> None:
    one.offer_sent(offer)
    other.offer_received(offer)
    other.answer_sent(answer)
    one.answer_received(answer)


def test_the_example_of_rfc_8866_is_read_and_written_back() -> None:
    text = (VECTORS / "rfc8866.txt").read_text().replace("\n", "\r\n").encode()
    description = parse_sdp_untrusted(text)
    assert serialize_sdp(description) == text
    assert description.name == "Call to John Smith"
    assert [description.rtp_endpoint(media) for media in description.media] == [
        ("198.51.100.1", 49170),
        ("198.51.100.1", 49180),
        ("2001:db8::2", 51372),
    ]


def test_the_example_of_rfc_4568_4_5_has_its_two_keys() -> None:
    description = example("rfc4568-4.5")
    found = [valid_crypto_untrusted(media.attributes) for media in description.media]
    assert [[crypto.suite for crypto in line] for line in found] == [
        ["AES_CM_128_HMAC_SHA1_80"],
        ["AES_CM_128_HMAC_SHA1_32"],
        [],
    ]
    key = found[0][0].keys[0]
    assert (len(key.key_and_salt), key.lifetime_packets) == (30, 2**20)
    assert (key.mki, key.mki_bytes) == (1, 32)
    assert description.media[2].formats == ["wb"]


def test_the_exchange_of_rfc_4568_7_1_5_agrees() -> None:
    offer, answer = example("rfc4568-7.1.5-offer"), example("rfc4568-7.1.5-answer")
    offered = valid_crypto_untrusted(offer.media[0].attributes)
    assert [crypto.tag for crypto in offered] == [1, 2]
    assert [key.mki for key in offered[1].keys] == [1, 2]
    assert offered[0].fec_order == "FEC_SRTP"
    leg = Negotiation()
    leg.offer_sent(offer)
    assert leg.answer_received(answer)
    (chosen,) = valid_crypto_untrusted(answer.media[0].attributes)
    assert chosen.tag == 1


@pytest.mark.parametrize("section", EXCHANGES)
def test_what_rfc_4317_prints_is_read_and_written_back(section: str) -> None:
    for description in exchange(section).values():
        assert parse_sdp_untrusted(serialize_sdp(description)) == description


@pytest.mark.parametrize("section", [name for name in EXCHANGES if name != "3.2"])
def test_the_exchanges_of_rfc_4317_agree_and_both_sides_see_the_same_flow(section: str) -> None:
    alice, bob = negotiated(section)
    for leg in (alice, bob):
        assert leg.state is NegotiationState.STABLE
        assert leg.fault() == ""
    assert (alice.local, alice.remote) == (bob.remote, bob.local)
    assert directions(alice) == [reverse(direction) for direction in directions(bob)]


@pytest.mark.parametrize("section", EXCHANGES)
def test_the_first_answers_of_rfc_4317_are_answers_we_could_send(section: str) -> None:
    said = exchange(section)
    leg = Negotiation()
    leg.offer_received(said["Offer"])
    leg.answer_sent(said["Answer"])
    assert leg.local is said["Answer"]


def directions(leg: Negotiation) -> list[Direction]:
    assert leg.local is not None
    return [flows(leg, index) for index in range(len(leg.local.media))]


def test_a_refused_stream_of_rfc_4317_2_2_is_inactive() -> None:
    alice, _ = negotiated("2.2")
    assert directions(alice) == [Direction.SENDRECV, Direction.INACTIVE]


def test_another_payload_type_for_the_same_codec_answers_in_rfc_4317_2_3() -> None:
    alice, _ = negotiated("2.3")
    assert alice.remote is not None
    assert alice.remote.media[0].formats == ["99"]


def test_the_tone_stream_of_rfc_4317_2_4_flows_one_way() -> None:
    alice, _ = negotiated("2.4")
    assert directions(alice) == [Direction.SENDRECV, Direction.SENDONLY]


def test_bob_answers_held_in_rfc_4317_3_1_and_resumes() -> None:
    said = exchange("3.1")
    alice, bob = Negotiation(), Negotiation()
    exchanged(alice, bob, said["Offer"], said["Answer"])
    assert holds(alice.remote)
    assert directions(alice) == [Direction.RECVONLY]
    exchanged(bob, alice, said["Second-Offer"], said["Second-Answer"])
    assert not holds(bob.remote)
    assert directions(bob) == [Direction.SENDRECV]


def test_the_impossible_answer_of_rfc_4317_3_2_is_cut_to_what_is_possible() -> None:
    said = exchange("3.2")
    alice, bob = Negotiation(), Negotiation()
    exchanged(alice, bob, said["Offer"], said["Answer"])
    bob.offer_sent(said["Second-Offer"])
    bob.answer_received(said["Second-Answer"])
    # Bob holds with sendonly; Alice answers sendrecv, which can only mean recvonly.
    assert directions(bob) == [Direction.SENDONLY, Direction.RECVONLY]


def test_a_black_hole_offer_of_rfc_4317_5_2_gets_no_media_until_it_has_an_address() -> None:
    said = exchange("5.2")
    alice, bob = Negotiation(), Negotiation()
    exchanged(alice, bob, said["Offer"], said["Answer"])
    assert directions(bob) == [Direction.RECVONLY]
    assert holds(bob.remote)
    alice.offer_sent(said["Second-Offer"])
    assert bob.offer_received(said["Second-Offer"])
    bob.answer_sent(said["Second-Answer"])
    assert alice.answer_received(said["Second-Answer"]) is False
    assert directions(bob) == [Direction.SENDRECV]


def test_audio_is_added_to_nothing_in_rfc_4317_5_1() -> None:
    alice, _ = negotiated("5.1")
    assert directions(alice) == [Direction.SENDRECV]
