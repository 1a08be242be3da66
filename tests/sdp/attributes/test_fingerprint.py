"""a=fingerprint (RFC 8122 §5)."""

import pytest

from sbc.sdp.attributes.fingerprint import parse_fingerprint_untrusted
from sbc.sdp.errors import SdpError

SHA_1 = "4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:19:E5:7C:AB"


def test_a_fingerprint_is_read_and_written_back() -> None:
    found = parse_fingerprint_untrusted(f"SHA-1 {SHA_1}")
    assert (found.hash_function, found.digest[:2]) == ("sha-1", b"\x4a\xad")
    assert str(found) == f"sha-1 {SHA_1}"


def test_lower_case_digits_are_taken() -> None:
    assert str(parse_fingerprint_untrusted(f"sha-1 {SHA_1.lower()}")) == f"sha-1 {SHA_1}"


def test_a_hash_we_do_not_know_is_kept() -> None:
    assert parse_fingerprint_untrusted("sha3-256 AA:BB").digest == b"\xaa\xbb"


@pytest.mark.parametrize(
    "value",
    [
        "",
        "sha-1",
        f"sha-256 {SHA_1}",
        "sha-1 4A:AD",
        f"sha-1 {SHA_1}:",
        f"sha-1 {SHA_1} x",
        "sha-1 4AAD",
        "new " + ":".join(["AA"] * 65),
    ],
)
def test_what_is_no_fingerprint_is_refused(value: str) -> None:
    with pytest.raises(SdpError):
        parse_fingerprint_untrusted(value)
