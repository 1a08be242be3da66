"""Each quirk that can be repaired: what it does to a message, and what it leaves alone."""

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sbc.policy.repair import repair_received, repair_sent, symptoms
from sbc.routing.repair import QUIRKS, Quirk
from sbc.sdp.parser import parse_sdp_untrusted
from sbc.sip.headers import Headers
from sbc.sip.message import Request, Response, make_response, serialize
from sbc.sip.parser import parse_message_untrusted
from tests.property.sip_strategies import messages

HOST, PORT = "198.51.100.7", 40000
KEY = "inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz"


def sdp(*lines: str) -> bytes:
    head = ("v=0", "o=- 1 1 IN IP4 10.0.0.7", "s=-", "c=IN IP4 10.0.0.7", "t=0 0")
    return "".join(f"{line}\r\n" for line in (*head, *lines)).encode()


def an_invite(*headers: tuple[str, str], body: bytes = b"") -> Request:
    fields = (
        ("Via", "SIP/2.0/UDP 10.0.0.7:5060;branch=z9hG4bKx"),
        ("From", "<sip:a@b>;tag=1"),
        ("To", "<sip:c@d>"),
        ("Call-ID", "x"),
        ("CSeq", "1 INVITE"),
        *headers,
        *([("Content-Type", "application/sdp")] if body else []),
    )
    return Request("INVITE", "sip:c@d", Headers(fields), body)


def a_response(status: int, body: bytes = b"") -> Response:
    response = make_response(an_invite(), status, to_tag="t")
    if body:
        response.headers.append("Content-Type", "application/sdp")
        response.body = body
    return response


def media_lines(body: bytes) -> list[str]:
    text = body.decode()
    return text[text.index("m=") :].split("\r\n")[:-1]


def repaired(quirk: Quirk, *lines: str) -> tuple[list[str], list[str]]:
    invite = an_invite(body=sdp(*lines))
    done = repair_received(invite, {quirk}, HOST, PORT)
    return media_lines(invite.body), done


def test_every_quirk_has_words() -> None:
    assert set(QUIRKS) == set(get_args(Quirk))


def test_savp_without_a_key_is_taken_for_avp() -> None:
    assert repaired("savp-no-crypto", "m=audio 4000 RTP/SAVP 8") == (
        ["m=audio 4000 RTP/AVP 8"],
        ["savp-no-crypto: m-line 1 is taken for RTP/AVP"],
    )
    assert repaired("savp-no-crypto", "m=video 4000 RTP/SAVPF 96")[0] == [
        "m=video 4000 RTP/AVPF 96"
    ]


@pytest.mark.parametrize(
    "lines",
    [
        ("m=audio 4000 RTP/SAVP 8", f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 {KEY}"),
        ("m=audio 4000 RTP/AVP 8",),
        ("m=audio 0 RTP/SAVP 8",),
        ("m=audio 9 UDP/TLS/RTP/SAVPF 8", "a=fingerprint:sha-256 00"),
        ("m=audio 9 RTP/SAVPF 8", "a=fingerprint:sha-256 00"),
    ],
)
def test_what_is_encrypted_is_never_taken_for_rtp(lines: tuple[str, ...]) -> None:
    assert repaired("savp-no-crypto", *lines) == (list(lines), [])


def test_payload_types_get_the_rtpmap_that_they_lack() -> None:
    lines = ("m=audio 4000 RTP/AVP 0 9 96 101 97", "a=rtpmap:96 opus/48000/2", "a=fmtp:101 0-15",
             "a=fmtp:97 x=1")  # fmt: skip
    assert repaired("rtpmap-missing", *lines) == (
        [
            "m=audio 4000 RTP/AVP 0 9 96 101",
            "a=rtpmap:96 opus/48000/2",
            "a=fmtp:101 0-15",
            "a=rtpmap:0 PCMU/8000",
            "a=rtpmap:9 G722/8000",
            "a=rtpmap:101 telephone-event/8000",
        ],
        ["rtpmap-missing: m-line 1 says what its payload types are"],
    )


def test_a_line_of_nothing_but_unknown_payload_types_keeps_them() -> None:
    assert repaired("rtpmap-missing", "m=audio 4000 RTP/AVP 96")[0] == ["m=audio 4000 RTP/AVP 96"]


@pytest.mark.parametrize(
    "lines", [("m=audio 4000 RTP/AVP 8", "a=rtpmap:8 PCMA/8000"), ("m=image 4000 udptl t38",)]
)
def test_a_description_that_says_all_stays_byte_for_byte(lines: tuple[str, ...]) -> None:
    invite = an_invite(body=sdp(*lines))
    assert repair_received(invite, set(QUIRKS), HOST, PORT) == []
    assert invite.body == sdp(*lines)


def test_a_private_contact_becomes_the_source() -> None:
    invite = an_invite(("Contact", '"A" <sip:a@10.0.0.7:5060;transport=udp>;q=1'))
    done = repair_received(invite, {"contact-private"}, HOST, PORT)
    assert invite.headers.all("contact") == [f'"A" <sip:a@{HOST}:{PORT};transport=udp>;q=1']
    assert done == [f"contact-private: Contact is taken to be {HOST}:{PORT}"]


@pytest.mark.parametrize(
    "contact",
    ["<sip:a@8.8.8.8>", "<sip:a@phone.example>", f"<sip:a@{HOST}:5060>", "*", "<<", "<tel:1>",
     "<sip:a@10.0.0.1>, <sip:a@10.0.0.2>"],
)  # fmt: skip
def test_any_other_contact_stays(contact: str) -> None:
    invite = an_invite(("Contact", contact))
    assert repair_received(invite, {"contact-private"}, HOST, PORT) == []
    assert invite.headers.all("contact") == [contact]


@pytest.mark.parametrize(
    ("quirk", "status", "described", "after"),
    [
        ("ringing-with-sdp", 180, True, 183),
        ("ringing-with-sdp", 182, True, 183),
        ("ringing-with-sdp", 180, False, 180),
        ("ringing-with-sdp", 200, True, 200),
        ("progress-without-sdp", 183, False, 180),
        ("progress-without-sdp", 183, True, 183),
        ("progress-without-sdp", 200, False, 200),
        ("savp-no-crypto", 183, False, 183),
    ],
)
def test_what_rings_and_what_plays_is_told_apart(
    quirk: Quirk, status: int, described: bool, after: int
) -> None:
    response = a_response(status, sdp("m=audio 4000 RTP/AVP 8") if described else b"")
    done = repair_received(response, {quirk}, HOST, PORT)
    assert response.status == after
    assert response.reason == make_response(an_invite(), after).reason
    assert bool(done) is (status != after)


def test_neither_side_hears_of_session_timers() -> None:
    for repair in (
        lambda message: repair_received(message, {"session-timer-broken"}, HOST, PORT),
        lambda message: repair_sent(message, {"session-timer-broken"}),
    ):
        invite = an_invite(
            ("Session-Expires", "1800;refresher=uac"),
            ("Min-SE", "90"),
            ("k", "timer, replaces"),
            ("Require", "timer"),
        )
        assert len(repair(invite)) == 1
        assert [name for name, _ in invite.headers.items()][5:] == ["Supported"]
        assert invite.headers.values("supported") == ["replaces"]
        assert repair(invite) == []


def test_nothing_is_repaired_that_was_not_asked_for() -> None:
    invite = an_invite(
        ("Contact", "<sip:a@10.0.0.7>"),
        ("Session-Expires", "90"),
        body=sdp("m=audio 1 RTP/SAVP 101"),
    )
    before = serialize(invite)
    assert repair_received(invite, (), HOST, PORT) == []
    assert repair_sent(invite, ()) == []
    assert serialize(invite) == before


@pytest.mark.parametrize("body", [b"nonsense", b"v=0\r\n", b"\xff"])
def test_a_body_that_is_no_description_stays(body: bytes) -> None:
    invite = an_invite(body=body)
    assert repair_received(invite, set(QUIRKS), HOST, PORT) == []
    assert invite.body == body


@given(messages, st.binary(max_size=60))
def test_a_repaired_message_is_one(message: Request | Response, body: bytes) -> None:
    message.headers.remove("content-encoding")
    message.headers.set("Content-Type", "application/sdp")
    message.body = sdp("m=audio 4000 RTP/SAVP 0 101") + body
    repair_received(message, set(QUIRKS), HOST, PORT)
    again = parse_message_untrusted(serialize(message))
    assert (again.headers, again.body) == (message.headers, message.body)


def test_the_symptoms_of_a_description_name_the_repair() -> None:
    said = parse_sdp_untrusted(sdp("m=audio 4000 RTP/SAVP 0 101", "m=image 4000 udptl t38"))
    assert symptoms(said) == [
        "says RTP/SAVP without a key; `repair: [savp-no-crypto]` takes it for RTP",
        "has no rtpmap for 101; `repair: [rtpmap-missing]` puts that right",
    ]
    healthy = sdp("m=audio 4000 RTP/AVP 0 101", "a=rtpmap:101 telephone-event/8000")
    assert symptoms(parse_sdp_untrusted(healthy)) == []
