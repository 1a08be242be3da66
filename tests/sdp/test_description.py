"""What a session description says about its streams."""

import pytest

from sbc.sdp.attributes.direction import Direction
from sbc.sdp.attributes.rtpmap import Codec
from sbc.sdp.connection import is_null_host
from tests.sdp.builders import a_connection, a_description, an_audio


def test_direction_is_of_the_stream_then_of_the_session_then_sendrecv() -> None:
    plain, marked = an_audio(), an_audio(direction=Direction.RECVONLY)
    assert plain.direction(a_description(plain)) is Direction.SENDRECV
    session = a_description(plain, marked, direction=Direction.INACTIVE)
    assert plain.direction(session) is Direction.INACTIVE
    assert marked.direction(session) is Direction.RECVONLY


def test_the_first_of_contradicting_directions_counts() -> None:
    media = an_audio(direction=Direction.SENDONLY)
    media.attributes.append(("sendrecv", None))
    assert media.direction(a_description(media)) is Direction.SENDONLY


def test_attributes_are_found_by_name() -> None:
    media = an_audio()
    media.attributes = [("ptime", "20"), ("rtcp-mux", None), ("ptime", "30")]
    assert media.has("rtcp-mux")
    assert not media.has("rtcp")
    assert media.attribute("ptime") == "20"
    assert media.attribute("rtcp-mux") is None
    assert media.attribute("x") is None
    assert media.attributes_named("ptime") == ["20", "30"]
    session = a_description(media)
    session.attributes = [("group", "BUNDLE 0"), ("group", "LS 1"), ("ice-lite", None)]
    assert session.has("ice-lite")
    assert not session.has("tool")
    assert session.attribute("group") == "BUNDLE 0"
    assert session.attributes_named("group") == ["BUNDLE 0", "LS 1"]


def test_the_address_of_a_stream_goes_before_that_of_the_session() -> None:
    own, shared = an_audio(4000, host="2001:db8::9"), an_audio(4002)
    session = a_description(own, shared, host="192.0.2.1")
    assert session.rtp_endpoint(own) == ("2001:db8::9", 4000)
    assert session.rtp_endpoint(shared) == ("192.0.2.1", 4002)
    assert session.address_of(own) == "2001:db8::9"


@pytest.mark.parametrize(
    ("value", "endpoint"),
    [
        (None, ("192.0.2.1", 4001)),
        ("5555", ("192.0.2.1", 5555)),
        ("5555 IN IP4 192.0.2.7", ("192.0.2.7", 5555)),
        ("5555 IN IP6 2001:db8::7", ("2001:db8::7", 5555)),
        ("9 IN IP4 0.0.0.0", None),
        ("0", None),
        ("nonsense", ("192.0.2.1", 4001)),
        ("70000", ("192.0.2.1", 4001)),
        ("5555 IN IP4 nonsense!", ("192.0.2.1", 4001)),
    ],
)
def test_rtcp_goes_where_its_attribute_says_else_to_the_next_port(
    value: str | None, endpoint: tuple[str, int] | None
) -> None:
    media = an_audio(4000)
    if value is not None:
        media.attributes.append(("rtcp", value))
    assert a_description(media).rtcp_endpoint(media) == endpoint


def test_there_is_no_port_after_the_last() -> None:
    media = an_audio(65535)
    session = a_description(media)
    assert session.rtp_endpoint(media) == ("192.0.2.1", 65535)
    assert session.rtcp_endpoint(media) is None


def test_nothing_is_sent_to_rejected_streams_and_null_addresses() -> None:
    for media in (an_audio(0), an_audio(host="0.0.0.0"), an_audio(host="::")):
        session = a_description(media)
        assert session.rtp_endpoint(media) is None
        assert session.rtcp_endpoint(media) is None


@pytest.mark.parametrize(
    ("host", "null"),
    [
        ("0.0.0.0", True),
        ("::", True),
        ("0:0:0:0:0:0:0:0", True),
        ("::0.0.0.0", True),
        ("nowhere.invalid", True),
        ("nowhere.INVALID.", True),
        ("192.0.2.0", False),
        ("::1", False),
        ("invalid.example.com", False),
        ("00", False),
    ],
)
def test_null_addresses_are_known_in_each_spelling(host: str, null: bool) -> None:
    assert is_null_host(host) is null
    assert a_connection(host).is_null is null


def test_codecs_come_from_rtpmap_and_the_static_table() -> None:
    media = an_audio(formats="0 9 96 97 98 99")
    media.attributes = [
        ("rtpmap", "96 opus/48000/2"),
        ("rtpmap", "97 iLBC/8000"),
        ("rtpmap", "98"),
        ("rtpmap", "0 L16/44100"),
    ]
    assert media.codec("0") == Codec("L16", 44100)
    assert media.codec("9") == Codec("G722", 8000)
    assert media.codec("96") == Codec("OPUS", 48000, 2)
    assert media.codec("97") == Codec("ILBC", 8000)
    assert media.codec("98") is None
    assert media.codec("99") is None
    # "9" is a prefix of "96": only the whole number counts.
    media.attributes = [("rtpmap", "96 opus/48000/2")]
    assert media.codec("9") == Codec("G722", 8000)


def test_descriptions_are_compared_without_their_origin() -> None:
    one, other = a_description(version=1), a_description(version=2)
    assert one != other
    assert one.equals_apart_from_origin(other)
    for field, value in {
        "name": "x",
        "information": "x",
        "uri": "x",
        "emails": ("x",),
        "phones": ("x",),
        "connection": None,
        "bandwidth": ["AS:1"],
        "times": (),
        "attributes": [("x", None)],
        "media": [],
    }.items():
        changed = a_description(version=2)
        setattr(changed, field, value)
        assert not one.equals_apart_from_origin(changed), field
