"""a=rtpmap (RFC 8866 §6.6)."""

import pytest

from sbc.sdp.attributes.rtpmap import Codec, parse_rtpmap_untrusted
from sbc.sdp.errors import SdpError


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("0 PCMU/8000", ("0", Codec("PCMU", 8000))),
        ("96 opus/48000/2", ("96", Codec("OPUS", 48000, 2))),
        ("101 telephone-event/8000", ("101", Codec("TELEPHONE-EVENT", 8000))),
        (" 97  AMR/8000/1", ("97", Codec("AMR", 8000, 1))),
        ("99 h263-1998/90000", ("99", Codec("H263-1998", 90000))),
        ("98 X/8000/odd", ("98", Codec("X", 8000))),
        ("98 X/8000/0", ("98", Codec("X", 8000))),
        ("008 PCMA/8000", ("8", Codec("PCMA", 8000))),
    ],
)
def test_codecs_are_read(value: str, expected: tuple[str, Codec]) -> None:
    assert parse_rtpmap_untrusted(value) == expected


@pytest.mark.parametrize(
    "value", ["", "0", "0 PCMU", "0 PCMU/", "0 PCMU/0", "128 X/1", "x PCMU/8000", "0 P MU/8000"]
)
def test_what_is_no_mapping_is_refused(value: str) -> None:
    with pytest.raises(SdpError):
        parse_rtpmap_untrusted(value)
