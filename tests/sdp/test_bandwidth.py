"""What a description takes of a line.

Spec: RFC 8866 §5.8, RFC 3890.
"""

import pytest

from sbc.sdp.bandwidth import MOST_KBPS, UNKNOWN_KBPS, kbps_of
from sbc.sdp.parser import parse_sdp_untrusted


def kbps(*media: str, session: str = "") -> int:
    lines = ["v=0", "o=- 1 1 IN IP4 192.0.2.1", "s=-", "c=IN IP4 192.0.2.1"]
    lines += [session] * bool(session) + ["t=0 0", *media]
    return kbps_of(parse_sdp_untrusted("".join(f"{line}\r\n" for line in lines).encode()))


@pytest.mark.parametrize(
    ("formats", "wanted"),
    [
        ("0", 80),
        ("8 101", 80),
        ("18", 24),
        ("18 8", 80),
        ("3", 29),
        ("101", 80),
        ("96", 80),
        ("77", 80),
    ],
)
def test_the_widest_codec_with_its_headers_counts(formats: str, wanted: int) -> None:
    rtpmaps = ("a=rtpmap:101 telephone-event/8000", "a=rtpmap:96 opus/48000/2")
    assert kbps(f"m=audio 4000 RTP/AVP {formats}", *rtpmaps) == wanted


def test_what_the_description_says_counts_instead() -> None:
    assert kbps("m=audio 4000 RTP/AVP 0", "b=AS:37") == 37
    assert kbps("m=audio 4000 RTP/AVP 0", "b=TIAS:20500") == 21 + 16
    assert kbps("m=audio 4000 RTP/AVP 0", "b=TIAS:20500", "b=AS:37") == 37


@pytest.mark.parametrize("said", ["b=AS:many", "b=CT:20", "b=AS:-5", "b=AS:"])
def test_what_says_nothing_is_passed_over(said: str) -> None:
    assert kbps("m=audio 4000 RTP/AVP 0", said) == 80


def test_nobody_counts_without_bound() -> None:
    assert kbps("m=audio 4000 RTP/AVP 0", "b=AS:9999999999") == MOST_KBPS


def test_streams_add_up_and_rejected_ones_take_nothing() -> None:
    audio, video = "m=audio 4000 RTP/AVP 0", "m=video 4002 RTP/AVP 34"
    assert kbps(audio, video) == 80 + UNKNOWN_KBPS
    assert kbps(audio, video, "b=AS:300") == 380
    assert kbps(audio, video.replace("4002", "0")) == 80


def test_the_session_says_at_most() -> None:
    audio, video = "m=audio 4000 RTP/AVP 0", "m=video 4002 RTP/AVP 34"
    assert kbps(audio, video, session="b=AS:512") == 512
    assert kbps(audio, session="b=AS:512") == 80
