"""RFC 5769's vectors, and silence for everything else."""

import ipaddress
import zlib

from hypothesis import given
from hypothesis import strategies as st

from sbc.transport.keepalive import answer_stun_untrusted, is_crlf_keepalive, is_stun

TRANSACTION = bytes.fromhex("b7e7a701bc34d686fa87dfae")
COOKIE = bytes.fromhex("2112a442")
BINDING_REQUEST = b"\x00\x01\x00\x00" + COOKIE + TRANSACTION
SOURCE = ("192.0.2.1", 32853)

SAMPLE_REQUEST = bytes.fromhex(
    "00010058 2112a442 b7e7a701 bc34d686 fa87dfae"
    "80220010 5354554e 20746573 7420636c 69656e74"
    "00240004 6e0001ff 80290008 932ff9b1 51263b36"
    "00060009 6576746a 3a683676 59202020"
    "00080014 9aeaa70c bfd8cb56 781ef2b5 b2d3f249 c1b571a2"
    "80280004 e57a3bcf"
)
"""RFC 5769 §2.1; PRIORITY (0x0024) is ICE's, which a keep-alive server does not understand."""

XOR_MAPPED_V4 = bytes.fromhex("00200008 0001a147 e112a643")
"""RFC 5769 §2.2: 192.0.2.1 port 32853."""

XOR_MAPPED_V6 = bytes.fromhex("00200014 0002a147 0113a9fa a5d3f179 bc25f4b5 bed2b9d9")
"""RFC 5769 §2.3: 2001:db8:1234:5678:11:2233:4455:6677 port 32853."""


def request(attributes: bytes, fingerprint: bool = False) -> bytes:
    length = len(attributes) + (8 if fingerprint else 0)
    message = b"\x00\x01" + length.to_bytes(2, "big") + COOKIE + TRANSACTION + attributes
    if not fingerprint:
        return message
    return message + fingerprint_of(message)


def fingerprint_of(message: bytes) -> bytes:
    return b"\x80\x28\x00\x04" + (zlib.crc32(message) ^ 0x5354554E).to_bytes(4, "big")


def test_a_binding_request_is_answered_with_the_ipv4_address_of_the_rfc_5769_vector() -> None:
    answer = answer_stun_untrusted(BINDING_REQUEST, SOURCE)
    assert answer == b"\x01\x01\x00\x0c" + COOKIE + TRANSACTION + XOR_MAPPED_V4


def test_a_binding_request_is_answered_with_the_ipv6_address_of_the_rfc_5769_vector() -> None:
    source = ("2001:db8:1234:5678:11:2233:4455:6677", 32853)
    answer = answer_stun_untrusted(BINDING_REQUEST, source)
    assert answer == b"\x01\x01\x00\x18" + COOKIE + TRANSACTION + XOR_MAPPED_V6


def test_the_rfc_5769_request_is_refused_for_the_ice_attribute_with_a_right_fingerprint() -> None:
    answer = answer_stun_untrusted(SAMPLE_REQUEST, SOURCE)
    assert answer is not None
    assert answer[:2] == b"\x01\x11"
    assert b"\x00\x00\x04\x14Unknown Attribute" in answer
    assert b"\x00\x0a\x00\x02\x00\x24\x00\x00" in answer
    assert answer[-8:] == fingerprint_of(answer[:-8])
    assert int.from_bytes(answer[2:4], "big") == len(answer) - 20


def test_a_wrong_fingerprint_is_met_with_silence() -> None:
    assert answer_stun_untrusted(SAMPLE_REQUEST[:-1] + b"\x00", SOURCE) is None


def test_a_fingerprint_is_answered_with_a_fingerprint() -> None:
    answer = answer_stun_untrusted(request(b"", fingerprint=True), SOURCE)
    assert answer is not None
    assert answer[-8:] == fingerprint_of(answer[:-8])


def test_optional_attributes_and_credentials_are_ignored() -> None:
    software = b"\x80\x22\x00\x04abcd"
    username = b"\x00\x06\x00\x03abc\x00"
    answer = answer_stun_untrusted(request(software + username), SOURCE)
    assert answer is not None
    assert answer[:2] == b"\x01\x01"


def test_responses_and_indications_and_other_methods_are_met_with_silence() -> None:
    for kind in (b"\x00\x11", b"\x01\x01", b"\x01\x11", b"\x00\x03"):
        assert answer_stun_untrusted(kind + BINDING_REQUEST[2:], SOURCE) is None


def test_a_wrong_length_is_met_with_silence() -> None:
    assert answer_stun_untrusted(BINDING_REQUEST + b"\x00\x00\x00\x00", SOURCE) is None
    assert answer_stun_untrusted(request(b"\x80\x22\x00\x08abcd"), SOURCE) is None
    assert answer_stun_untrusted(request(b"\x80\x22"), SOURCE) is None


def test_an_answer_names_at_most_eight_unknown_attributes() -> None:
    unknown = b"".join((0x30 + n).to_bytes(2, "big") + b"\x00\x00" for n in range(100))
    answer = answer_stun_untrusted(request(unknown), SOURCE)
    assert answer is not None
    assert len(answer) < 80


def test_a_request_longer_than_any_keepalive_is_met_with_silence() -> None:
    filler = b"\x80\x22\x02\x58" + bytes(600)
    assert answer_stun_untrusted(request(filler), SOURCE) is None


def test_sip_is_never_taken_for_stun_or_padding() -> None:
    for data in (b"OPTIONS sip:a SIP/2.0\r\n" + COOKIE, b"INVI" + COOKIE + bytes(20), b"x"):
        assert not is_stun(data)
        assert not is_crlf_keepalive(data)


def test_padding_that_phones_send_is_recognised() -> None:
    for data in (b"", b"\r\n", b"\r\n\r\n", b"\x00\x00\x00\x00"):
        assert is_crlf_keepalive(data)
    assert not is_crlf_keepalive(b"\r\n" * 5)


@given(st.binary(max_size=700), st.booleans(), st.ip_addresses(), st.integers(0, 65535))
def test_any_bytes_give_an_answer_or_none(
    data: bytes, framed: bool, host: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int
) -> None:
    if framed:
        data = b"\x00\x01" + len(data).to_bytes(2, "big") + COOKIE + TRANSACTION + data
    answer = answer_stun_untrusted(data, (str(host), port))
    if answer is not None:
        assert answer[4:20] == data[4:20]
        assert len(answer) <= 120
