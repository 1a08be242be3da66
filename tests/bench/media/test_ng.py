"""The control protocol of rtpengine, as far as the bench speaks it."""

import pytest

from tests.bench.media.ng import Value, decoded, described, description, encoded


@pytest.mark.parametrize(
    ("value", "wire"),
    [
        (b"pong", b"4:pong"),
        (-7, b"i-7e"),
        ([b"a", 1], b"l1:ai1ee"),
        ({"b": [], "a": {}}, b"d1:ade1:blee"),
    ],
)
def test_a_value_is_written_and_read(value: Value, wire: bytes) -> None:
    assert (encoded(value), decoded(wire)) == (wire, value)


def test_a_description_that_is_written_can_be_read() -> None:
    cryptos = [("3", "AES_CM_128_HMAC_SHA1_32", "a2V5")]
    sdp = description("10.0.0.1", 4000, cryptos)
    assert described({"sdp": sdp.encode()}) == (4000, cryptos)
