"""Laws of reading and writing session descriptions."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sbc.sdp.attributes.crypto import (
    CRYPTO_SUITES,
    CryptoAttribute,
    MasterKey,
    parse_crypto_untrusted,
    valid_crypto_untrusted,
)
from sbc.sdp.attributes.direction import Direction, answer_direction, is_answer_to, reverse
from sbc.sdp.attributes.rtcp import parse_rtcp_untrusted
from sbc.sdp.attributes.rtpmap import parse_rtpmap_untrusted
from sbc.sdp.connection import parse_connection_untrusted
from sbc.sdp.description import (
    Attribute,
    Connection,
    MediaDescription,
    Origin,
    SessionDescription,
    TimeDescription,
)
from sbc.sdp.errors import SdpError
from sbc.sdp.parser import parse_sdp_untrusted, serialize_sdp
from tests.fuzz.sdp import check

TOKEN = st.text("abcdefghijklmnopqrstuvwxyzABC0123456789-_.+!#$%&'*^`{|}~", min_size=1, max_size=12)
# Free text as a parsed description can hold it: no control characters, no blanks at its end.
TEXT = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=20).filter(
    lambda text: text == text.rstrip(" \t")
)
NUMBER = st.integers(0, 10**12).map(str)
HOST = st.one_of(
    st.ip_addresses(v=4).map(lambda host: (str(host), "IP4")),
    st.ip_addresses(v=6).map(lambda host: (str(host), "IP6")),
    st.just(("host.example.com", "IP4")),
).filter(lambda host: "%" not in host[0])
CONNECTION = st.builds(
    lambda host, suffix: Connection(host[0], host[1], "IN", suffix),
    HOST,
    st.sampled_from(["", "127", "127/3"]),
)
BANDWIDTH = st.lists(st.integers(0, 10**9).map(lambda kbps: f"AS:{kbps}"), max_size=2)
ATTRIBUTE: st.SearchStrategy[Attribute] = st.one_of(
    st.sampled_from([(direction.value, None) for direction in Direction]),
    st.tuples(TOKEN.filter(lambda name: name == name.lower()), st.none() | TEXT),
    st.tuples(st.just("rtcp"), st.integers(0, 70000).map(str)),
    st.tuples(st.just("rtpmap"), st.just("96 opus/48000/2")),
)
MEDIA = st.builds(
    MediaDescription,
    kind=st.sampled_from(["audio", "video", "image"]),
    port=st.integers(0, 65535),
    protocol=st.sampled_from(["RTP/AVP", "RTP/SAVPF", "UDP/TLS/RTP/SAVPF"]),
    formats=st.lists(st.integers(0, 127).map(str), min_size=1, max_size=4),
    port_count=st.integers(1, 3),
    title=st.none() | TEXT,
    connection=st.none() | CONNECTION,
    bandwidth=BANDWIDTH,
    attributes=st.lists(ATTRIBUTE, max_size=5),
)
DESCRIPTION = st.builds(
    SessionDescription,
    origin=st.builds(
        Origin, TOKEN, NUMBER, NUMBER, TOKEN, st.sampled_from(["IP4", "IP6"]), st.just("IN")
    ),
    name=TEXT.map(lambda name: name.strip(" \t") or "-"),
    information=st.none() | TEXT,
    uri=st.none() | TEXT,
    emails=st.lists(TEXT, max_size=2).map(tuple),
    phones=st.lists(TEXT, max_size=2).map(tuple),
    connection=CONNECTION,
    bandwidth=BANDWIDTH,
    times=st.lists(
        st.builds(
            TimeDescription,
            st.sampled_from(["0 0", "2873397496 2873404696"]),
            st.lists(st.just("604800 3600 0"), max_size=2).map(tuple),
            st.none() | st.just("0 -1h"),
        ),
        min_size=1,
        max_size=3,
    ).map(tuple),
    attributes=st.lists(ATTRIBUTE, max_size=3),
    media=st.lists(MEDIA, max_size=3),
)
LINE = st.one_of(
    TEXT,
    st.builds(lambda letter, value: f"{letter}={value}", st.sampled_from("vosiuepcbtrzkam"), TEXT),
    st.builds(
        lambda port, formats: f"m=audio {port} RTP/AVP {formats}",
        st.integers(-1, 70000),
        st.sampled_from(["", "0", "0 8", "128"]),
    ),
    st.sampled_from(["c=IN IP4 192.0.2.1", "t=0 0", "s=-", "a=sendonly ", "a=SENDRECV", ""]),
)
BODY = st.builds(
    lambda lines, end: end.join(["v=0", "o=- 1 1 IN IP4 h", *lines]).encode(),
    st.lists(LINE, max_size=8),
    st.sampled_from(["\r\n", "\n"]),
)
SUITE = st.sampled_from(sorted(CRYPTO_SUITES))


@st.composite
def crypto_lines(draw: st.DrawFn) -> CryptoAttribute:
    """Any valid a=crypto."""
    suite = draw(SUITE)
    length = CRYPTO_SUITES[suite].key_and_salt_bytes
    lifetime = st.none() | st.integers(1, 2**48)

    def keys(most: int) -> st.SearchStrategy[tuple[MasterKey, ...]]:
        one = st.binary(min_size=length, max_size=length)
        alone = st.builds(lambda key, life: (MasterKey(key, life),), one, lifetime)
        several = st.lists(
            st.tuples(one, lifetime, st.integers(0, 2**32 - 1)),
            min_size=1,
            max_size=most,
            unique_by=lambda parts: parts[2],
        ).map(lambda many: tuple(MasterKey(key, life, mki, 4) for key, life, mki in many))
        return alone | several

    return CryptoAttribute(
        draw(st.integers(0, 999_999_999)),
        suite,
        draw(keys(3)),
        draw(st.none() | st.integers(1, 24)),
        draw(st.booleans()),
        draw(st.booleans()),
        draw(st.booleans()),
        draw(st.sampled_from([None, "FEC_SRTP", "SRTP_FEC"])),
        draw(st.just(()) | keys(2)),
        draw(st.none() | st.integers(64, 10**6)),
    )


@given(st.binary(max_size=400))
@example(b"v=0\r\no=- 1 1 IN IP4 h")
def test_any_bytes_are_a_description_or_an_error(body: bytes) -> None:
    check(body)


@given(BODY)
def test_any_lines_are_a_description_or_an_error(body: bytes) -> None:
    check(body)


@given(DESCRIPTION)
def test_what_is_written_is_read_back(description: SessionDescription) -> None:
    assert parse_sdp_untrusted(serialize_sdp(description)) == description


@given(DESCRIPTION)
def test_line_ends_make_no_difference(description: SessionDescription) -> None:
    body = serialize_sdp(description)
    assert parse_sdp_untrusted(body.replace(b"\r\n", b"\n")) == description


@given(DESCRIPTION, st.text(max_size=12), st.integers(0, 4))
def test_a_value_never_becomes_another_line(
    description: SessionDescription, text: str, place: int
) -> None:
    lines = serialize_sdp(description).count(b"\r\n")
    if place == 0:
        description.name = text
    elif place == 1:
        description.attributes.append(("x", text))
        lines += 1
    elif place == 2:
        description.origin = description.origin._replace(username=text)
    elif place == 3:
        description.connection = Connection(text)
    else:
        description.media.append(MediaDescription(text, 1, "RTP/AVP", ["0"]))
        lines += 1
    try:
        body = serialize_sdp(description)
    except ValueError:
        assert any(bad in text for bad in "\r\n\0") or not text.isprintable()
        return
    assert body.count(b"\r\n") == body.count(b"\n") == body.count(b"\r") == lines
    assert b"\0" not in body


@pytest.mark.parametrize(
    "parse",
    [
        parse_crypto_untrusted,
        parse_rtcp_untrusted,
        parse_rtpmap_untrusted,
        parse_connection_untrusted,
    ],
)
@given(st.text(max_size=60) | st.from_regex(r"[0-9A-Za-z:/|^;=+ ._-]{0,60}", fullmatch=True))
def test_any_attribute_value_is_read_or_an_error(parse: object, value: str) -> None:
    assert callable(parse)
    try:
        found = parse(value)
    except SdpError:
        return
    if parse is not parse_rtpmap_untrusted:
        assert parse(str(found)) == found


@given(crypto_lines())
def test_crypto_lines_are_written_and_read_back(crypto: CryptoAttribute) -> None:
    assert parse_crypto_untrusted(str(crypto)) == crypto
    assert valid_crypto_untrusted([("crypto", str(crypto))]) == [crypto]


DIRECTION = st.sampled_from(Direction)


@given(DIRECTION, DIRECTION)
def test_laws_of_directions(offered: Direction, wanted: Direction) -> None:
    answer = answer_direction(offered, wanted)
    assert is_answer_to(offered, answer)
    assert answer_direction(offered, answer) is answer
    # The same flow seen from the other end, whoever offers.
    assert answer_direction(wanted, offered) is reverse(answer)
