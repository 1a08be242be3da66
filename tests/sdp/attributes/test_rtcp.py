"""a=rtcp (RFC 3605)."""

import pytest

from sbc.sdp.attributes.rtcp import RtcpAddress, parse_rtcp_untrusted
from sbc.sdp.connection import Connection
from sbc.sdp.errors import SdpError


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        # The three examples of RFC 3605 §2.1.
        ("53020", RtcpAddress(53020)),
        ("53020 IN IP4 126.16.64.4", RtcpAddress(53020, Connection("126.16.64.4"))),
        (
            "53020 IN IP6 2001:2345:6789:ABCD:EF01:2345:6789:ABCD",
            RtcpAddress(53020, Connection("2001:2345:6789:ABCD:EF01:2345:6789:ABCD", "IP6")),
        ),
    ],
)
def test_the_examples_are_read_and_written_back(value: str, expected: RtcpAddress) -> None:
    assert parse_rtcp_untrusted(value) == expected
    assert str(expected) == value


@pytest.mark.parametrize(
    "value", ["", "x", "-1", "65536", "123456", "\u0661", "1 IN", "1 IN IP4 x y", "1 IN IP4 !"]
)
def test_what_is_no_port_and_address_is_refused(value: str) -> None:
    with pytest.raises(SdpError) as caught:
        parse_rtcp_untrusted(value)
    assert caught.value.status == 488
