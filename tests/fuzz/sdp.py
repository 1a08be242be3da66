"""Hostile session descriptions: one oracle, two engines.

With atheris installed, `python -m tests.fuzz.sdp CORPUS` fuzzes with coverage until stopped.
Without it, `mutations` makes a seeded, endless stream of broken bodies out of good ones; a bounded
pytest (`tests/property/test_sdp_fuzz.py`) feeds some of them to the same oracle.
"""

import random
import sys
from collections.abc import Iterator
from pathlib import Path

from sbc.sdp.attributes.crypto import parse_crypto_untrusted, valid_crypto_untrusted
from sbc.sdp.attributes.direction import Direction
from sbc.sdp.attributes.rtcp import parse_rtcp_untrusted
from sbc.sdp.attributes.rtpmap import parse_rtpmap_untrusted
from sbc.sdp.description import SessionDescription
from sbc.sdp.errors import OfferAnswerError, SdpError
from sbc.sdp.offer_answer import Negotiation
from sbc.sdp.parser import parse_sdp_untrusted, serialize_sdp

VECTORS = Path(__file__).parent.parent / "sdp" / "vectors"

DICTIONARY = [
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b"a=",
    b"m=audio 0 RTP/AVP",
    b"c=IN IP6 ::",
    b"c=IN IP4 0.0.0.0",
    b"a=rtcp:",
    b"a=rtcp:9 IN IP4 0.0.0.0",
    b"a=rtpmap:0 ",
    b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:",
    b"|2^20|1:4;",
    b"a=fingerprint:sha-256 ",
    b"a=SENDONLY",
    b"65536",
    b"99999999999999999999",
    b"-1",
    b"\xff\xfe",
    "\u0660".encode(),
    "\u2028".encode(),
    b"/" * 9,
    b" " * 40,
]


def check(body: bytes) -> bool:
    """Whether a body is a description; raises AssertionError where a promise is broken."""
    try:
        description = parse_sdp_untrusted(body)
    except SdpError as error:
        _check_error(error, body)
        return False
    written = serialize_sdp(description)
    assert parse_sdp_untrusted(written) == description
    assert serialize_sdp(parse_sdp_untrusted(written)) == written
    _ask_everything(description)
    _negotiate(description)
    return True


def _check_error(error: SdpError, body: bytes) -> None:
    assert error.status == 488
    assert error.reason
    assert error.line.isascii()
    assert error.line.isprintable()
    assert 0 <= error.line_number <= body.count(b"\n") + 1


def _ask_everything(description: SessionDescription) -> None:
    for media in description.media:
        assert (description.rtp_endpoint(media) is None) == (
            media.rejected
            or (connection := description.connection_of(media)) is None
            or connection.is_null
        )
        rtcp = description.rtcp_endpoint(media)
        assert rtcp is None or 0 < rtcp[1] <= 65535
        direction = description.effective_direction(media)
        assert media.port or direction is Direction.INACTIVE
        for payload_type in media.formats:
            media.codec(payload_type)
        for crypto in valid_crypto_untrusted(media.attributes):
            assert parse_crypto_untrusted(str(crypto)) == crypto
        for name, value in media.attributes:
            for parse in (
                parse_crypto_untrusted,
                parse_rtcp_untrusted,
                parse_rtpmap_untrusted,
            ):
                try:
                    parse(name if value is None else value)
                except SdpError:
                    pass


def _negotiate(description: SessionDescription) -> None:
    leg = Negotiation()
    leg.offer_received(description)
    assert Negotiation.from_data(leg.to_data()) == leg
    leg.rollback()
    other = Negotiation()
    try:
        other.offer_sent(description)
        other.answer_received(description)
    except OfferAnswerError:
        # A version of the peer's that is no number cannot be ours, and a payload type that was
        # left unmapped does not even answer itself.
        return
    assert other.fault() == ""
    assert Negotiation.from_data(other.to_data()) == other


def seeds() -> list[bytes]:
    """The good bodies that mutations start from."""
    bodies = []
    for path in sorted(VECTORS.rglob("*.txt")):
        for part in path.read_bytes().split(b"["):
            body = part.partition(b"]\n")[2] or part
            if body.startswith(b"v=0"):
                bodies.append(body.replace(b"\n", b"\r\n"))
    return bodies


def mutations(seed: int) -> Iterator[bytes]:
    """Broken bodies without end, the same for the same seed."""
    chance = random.Random(seed)
    corpus = seeds()
    while True:
        body = bytearray(chance.choice(corpus))
        for _ in range(chance.randint(1, 6)):
            _mutate(body, chance, corpus)
        yield bytes(body)


def _mutate(body: bytearray, chance: random.Random, corpus: list[bytes]) -> None:
    at = chance.randint(0, len(body))
    match chance.randrange(6):
        case 0:
            body[at:at] = chance.choice(DICTIONARY)
        case 1:
            del body[at : at + chance.randint(1, 20)]
        case 2:
            if at < len(body):
                body[at] = chance.randrange(256)
        case 3:
            lines = bytes(body).split(b"\r\n")
            chance.shuffle(lines)
            body[:] = b"\r\n".join(lines)
        case 4:
            line = chance.choice(chance.choice(corpus).split(b"\r\n"))
            place = body.find(b"\n", at) + 1
            body[place:place] = line + b"\r\n"
        case _:
            body[at:at] = body[max(0, at - 30) : at] * chance.randint(1, 30)


def _fuzz() -> None:
    import atheris

    atheris.instrument_all()
    atheris.Setup(sys.argv, lambda data: check(data) and None)
    atheris.Fuzz()


if __name__ == "__main__":
    _fuzz()
