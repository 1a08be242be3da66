"""Session descriptions to bytes."""

import pytest

from sbc.sdp.description import Connection, MediaDescription, Origin, SessionDescription
from sbc.sdp.parser import serialize_sdp
from tests.sdp.builders import a_description, an_audio


def test_lines_stand_in_the_order_of_the_grammar() -> None:
    description = SessionDescription(
        Origin("-", "1", "2", "2001:db8::1", "IP6"),
        "x",
        "about",
        "http://example.com/",
        ("a@example.com",),
        ("+1",),
        Connection("2001:db8::1", "IP6"),
        ["AS:64"],
        attributes=[("sendrecv", None)],
        media=[
            MediaDescription(
                "audio",
                4000,
                "RTP/AVP",
                ["0"],
                2,
                "voice",
                Connection("192.0.2.1", suffix="127"),
                ["TIAS:1"],
                [("ptime", "20")],
            )
        ],
    )
    assert serialize_sdp(description).decode().split("\r\n") == [
        "v=0",
        "o=- 1 2 IN IP6 2001:db8::1",
        "s=x",
        "i=about",
        "u=http://example.com/",
        "e=a@example.com",
        "p=+1",
        "c=IN IP6 2001:db8::1",
        "b=AS:64",
        "t=0 0",
        "a=sendrecv",
        "m=audio 4000/2 RTP/AVP 0",
        "i=voice",
        "c=IN IP4 192.0.2.1/127",
        "b=TIAS:1",
        "a=ptime:20",
        "",
    ]


@pytest.mark.parametrize("bad", ["\r", "\n", "\r\n", "\0", "\r\na=sendonly"])
def test_no_value_can_become_another_line(bad: str) -> None:
    for change in ("name", "attribute", "host", "format", "user"):
        description = a_description(an_audio())
        match change:
            case "name":
                description.name = f"a{bad}"
            case "attribute":
                description.media[0].attributes.append(("x", f"1{bad}"))
            case "host":
                description.connection = Connection(f"192.0.2.1{bad}")
            case "format":
                description.media[0].formats.append(bad)
            case "user":
                description.origin = description.origin._replace(username=f"u{bad}")
        with pytest.raises(ValueError, match="CR, LF or NUL"):
            serialize_sdp(description)


def test_an_empty_name_is_written_as_a_dash() -> None:
    description = a_description()
    description.name = ""
    assert b"\r\ns=-\r\n" in serialize_sdp(description)
