"""SDES lines: what is a key, what is invalid, what can be served."""

import pytest

from sbc.sdp.attributes.crypto import (
    CRYPTO_SUITES,
    CryptoAttribute,
    MasterKey,
    parse_crypto_untrusted,
    valid_crypto_untrusted,
)
from sbc.sdp.errors import SdpError

KEY = "d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj"
OTHER = "NzB4d1BINUAvLEw6UzF3WSJ+PSdFcGdUJShpX1Zj"
SUITE = "AES_CM_128_HMAC_SHA1_80"


def refused(value: str) -> SdpError:
    with pytest.raises(SdpError) as caught:
        parse_crypto_untrusted(value)
    assert KEY not in str(caught.value)
    assert OTHER not in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    ("key", "lifetime", "mki", "mki_bytes"),
    [
        # RFC 4568 §6.1 prints the first two kinds.
        (f"inline:{KEY}|2^20|1:4", 2**20, 1, 4),
        (f"inline:{KEY}|1066:4", None, 1066, 4),
        (f"inline:{KEY}|2^48", 2**48, None, None),
        (f"inline:{KEY}|1000000", 1000000, None, None),
        (f"inline:{KEY}", None, None, None),
        (f"INLINE:{KEY}|2^0", 1, None, None),
    ],
)
def test_key_parameters_are_read(
    key: str, lifetime: int | None, mki: int | None, mki_bytes: int | None
) -> None:
    crypto = parse_crypto_untrusted(f"1 {SUITE} {key}")
    (found,) = crypto.keys
    assert found.key_and_salt[:4] == b"wDfv"
    assert (found.lifetime_packets, found.mki, found.mki_bytes) == (lifetime, mki, mki_bytes)


@pytest.mark.parametrize("name", CRYPTO_SUITES)
def test_every_suite_takes_keys_of_its_length_only(name: str) -> None:
    suite = CRYPTO_SUITES[name]
    for length in range(1, 64):
        crypto = CryptoAttribute(7, name, (MasterKey(bytes(range(length))),))
        if length == suite.key_and_salt_bytes:
            assert parse_crypto_untrusted(str(crypto)) == crypto
        else:
            assert f"{suite.key_and_salt_bytes} bytes" in refused(str(crypto)).reason


@pytest.mark.parametrize(
    ("name", "length"),
    [
        ("AES_CM_128_HMAC_SHA1_80", 30),
        ("AES_CM_128_HMAC_SHA1_32", 30),
        ("F8_128_HMAC_SHA1_80", 30),
        ("AES_192_CM_HMAC_SHA1_80", 38),
        ("AES_192_CM_HMAC_SHA1_32", 38),
        ("AES_256_CM_HMAC_SHA1_80", 46),
        ("AES_256_CM_HMAC_SHA1_32", 46),
        ("AEAD_AES_128_GCM", 28),
        ("AEAD_AES_256_GCM", 44),
    ],
)
def test_suites_have_the_key_lengths_of_their_rfcs(name: str, length: int) -> None:
    assert CRYPTO_SUITES[name].key_and_salt_bytes == length


def test_padding_may_be_left_out() -> None:
    text = str(CryptoAttribute(1, "AEAD_AES_128_GCM", (MasterKey(bytes(28)),)))
    assert text.endswith("==")
    assert parse_crypto_untrusted(text.rstrip("=")) == parse_crypto_untrusted(text)


def test_session_parameters_are_read_and_written() -> None:
    value = (
        f"2 {SUITE} inline:{KEY}|2^20|1:4;inline:{OTHER}|2^20|2:4 KDR=24 UNENCRYPTED_SRTP "
        f"UNENCRYPTED_SRTCP UNAUTHENTICATED_SRTP FEC_ORDER=SRTP_FEC FEC_KEY=inline:{OTHER} WSH=128"
    )
    crypto = parse_crypto_untrusted(value)
    assert crypto.tag == 2
    assert [key.mki for key in crypto.keys] == [1, 2]
    assert crypto.key_derivation_rate == 24
    assert crypto.unencrypted_srtp
    assert crypto.unencrypted_srtcp
    assert crypto.unauthenticated_srtp
    assert crypto.fec_order == "SRTP_FEC"
    assert len(crypto.fec_keys) == 1
    assert crypto.window_size_hint == 128
    assert str(crypto) == value


def test_suites_and_parameters_are_taken_in_any_case() -> None:
    crypto = parse_crypto_untrusted(f"1 aes_cm_128_hmac_sha1_80 Inline:{KEY} wsh=64")
    assert (crypto.suite, crypto.window_size_hint) == (SUITE, 64)


def test_parameters_marked_optional_are_ignored() -> None:
    assert str(parse_crypto_untrusted(f"1 {SUITE} inline:{KEY} -NEW=1 -NEW=2")) == (
        f"1 {SUITE} inline:{KEY}"
    )


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("", "a tag, a suite"),
        (f"1 {SUITE}", "a tag, a suite"),
        (f"x {SUITE} inline:{KEY}", "a tag, a suite"),
        (f"1234567890 {SUITE} inline:{KEY}", "a tag, a suite"),
        (f"1 AES_CM_129_HMAC_SHA1_80 inline:{KEY}", "suite is unknown"),
        (f"1 {SUITE} uri:http://x", "only key method"),
        (f"1 {SUITE} {KEY}", "only key method"),
        (f"1 {SUITE} inline:", "base64"),
        (f"1 {SUITE} inline:{KEY[:-1]}*", "base64"),
        (f"1 {SUITE} inline:{KEY[:-1]}", "30 bytes"),
        (f"1 {SUITE} inline:{KEY}A", "base64"),
        (f"1 {SUITE} inline:{KEY}AAAA", "30 bytes"),
        (f"1 {SUITE} inline:{KEY}|2^49", "2^48"),
        (f"1 {SUITE} inline:{KEY}|2^048", "lifetime"),
        (f"1 {SUITE} inline:{KEY}|010", "lifetime"),
        (f"1 {SUITE} inline:{KEY}|0", "lifetime"),
        (f"1 {SUITE} inline:{KEY}|999999999999999", "2^48"),
        (f"1 {SUITE} inline:{KEY}|2^31|1", "MKI"),
        (f"1 {SUITE} inline:{KEY}|1:4|2^31", "MKI"),
        (f"1 {SUITE} inline:{KEY}|1:129", "MKI"),
        (f"1 {SUITE} inline:{KEY}|1:0", "MKI"),
        (f"1 {SUITE} inline:{KEY}|256:1", "MKI"),
        (f"1 {SUITE} inline:{KEY}|2^31|1:4|x", "more than a key"),
        (f"1 {SUITE} inline:{KEY};inline:{OTHER}", "an MKI each"),
        (f"1 {SUITE} inline:{KEY}|1:4;inline:{OTHER}|2:2", "lengths"),
        (f"1 {SUITE} inline:{KEY}|1:4;inline:{OTHER}|1:4", "same MKI"),
        (f"1 {SUITE} " + ";".join([f"inline:{KEY}|{n}:4" for n in range(1, 18)]), "more than 16"),
        (f"1 {SUITE} inline:{KEY} KDR=0", "derivation"),
        (f"1 {SUITE} inline:{KEY} KDR=25", "derivation"),
        (f"1 {SUITE} inline:{KEY} KDR=", "derivation"),
        (f"1 {SUITE} inline:{KEY} WSH=63", "window"),
        (f"1 {SUITE} inline:{KEY} WSH=0100", "window"),
        (f"1 {SUITE} inline:{KEY} WSH=64 WSH=64", "repeated"),
        (f"1 {SUITE} inline:{KEY} FEC_ORDER=NONE", "FEC order"),
        (f"1 {SUITE} inline:{KEY} FEC_KEY=x", "only key method"),
        (f"1 {SUITE} inline:{KEY} UNENCRYPTED_SRTP=1", "mandatory"),
        (f"1 {SUITE} inline:{KEY} NEW=1", "mandatory"),
        (f"1 {SUITE} inline:{KEY} " + " ".join([f"-X{n}" for n in range(17)]), "more than 16"),
    ],
)
def test_a_line_that_breaks_a_rule_is_invalid_as_a_whole(value: str, reason: str) -> None:
    assert reason in refused(value).reason


@pytest.mark.parametrize(
    ("rest", "plain"),
    [
        ("", True),
        ("|2^31", True),
        (" WSH=1024 FEC_ORDER=FEC_SRTP", True),
        ("|2^20|1:4", True),
        (f"|1:4;inline:{OTHER}|2:4", False),
        (" KDR=1", False),
        (" UNENCRYPTED_SRTP", False),
        (" UNENCRYPTED_SRTCP", False),
        (" UNAUTHENTICATED_SRTP", False),
        (" FEC_ORDER=SRTP_FEC", False),
        (f" FEC_KEY=inline:{OTHER}", False),
    ],
)
def test_a_plain_line_asks_for_one_key_and_defaults(rest: str, plain: bool) -> None:
    assert parse_crypto_untrusted(f"1 {SUITE} inline:{KEY}{rest}").is_plain is plain


@pytest.mark.parametrize(
    ("rest", "identifier"), [("", b""), ("|2^20", b""), ("|1:4", b"\0\0\0\1"), ("|258:2", b"\1\2")]
)
def test_a_key_tells_the_identifier_that_packets_carry(rest: str, identifier: bytes) -> None:
    line = parse_crypto_untrusted(f"1 {SUITE} inline:{KEY}{rest}")
    assert line.keys[0].identifier == identifier
    assert line.has_mki == bool(identifier)


def test_invalid_lines_and_repeated_tags_are_left_out() -> None:
    lines: list[tuple[str, str | None]] = [
        ("crypto", f"1 UNKNOWN_SUITE inline:{KEY}"),
        ("crypto", f"2 {SUITE} inline:{KEY}"),
        ("crypto", f"2 AES_CM_128_HMAC_SHA1_32 inline:{OTHER}"),
        ("crypto", None),
        ("sendrecv", None),
        ("crypto", f"3 AES_CM_128_HMAC_SHA1_32 inline:{OTHER}"),
    ]
    assert [(crypto.tag, crypto.suite) for crypto in valid_crypto_untrusted(lines)] == [
        (2, SUITE),
        (3, "AES_CM_128_HMAC_SHA1_32"),
    ]


def test_keys_do_not_show_in_a_representation() -> None:
    crypto = parse_crypto_untrusted(f"1 {SUITE} inline:{KEY}")
    assert "wDfv" not in repr(crypto)
