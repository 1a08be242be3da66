"""Facts of protection, offered media and presented numbers.

Spec: RFC 3323, RFC 3325, RFC 4568, RFC 5763.
"""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sbc.numbering import WorldPlan
from sbc.policy.call_facts import Owners
from sbc.policy.conditions import asks
from sbc.policy.expressions import regular
from sbc.policy.facts import FACTS, Facts
from sbc.policy.matchers import numbers
from sbc.policy.offers import NO_OFFER, offer_of_untrusted
from sbc.policy.world import World
from sbc.routing.numbers import NumberRules, Rewriting
from sbc.sip.headers import Headers
from sbc.sip.message import Request

KEY = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz\r\n"
PRINT = "a=fingerprint:sha-256 " + ":".join(["AB"] * 32) + "\r\n"
GERMAN = NumberRules("DE", inbound=Rewriting(format="e164"))
PAI = "P-Asserted-Identity: "


def an_invite(
    *lines: str, caller: str = "<sip:+4930111@x>", uri: str = "sip:600@y", body: str = ""
) -> Request:
    headers = Headers()
    for line in (f"From: {caller};tag=1", "To: <sip:600@y>", *lines):
        name, _, value = line.partition(": ")
        headers.append(name, value)
    if body and not headers.has("content-type"):
        headers.append("Content-Type", "application/sdp")
    return Request("INVITE", uri, headers, body=body.encode())


def facts(request: Request | None = None, **known: Any) -> Facts:
    return Facts("outside", False, "203.0.113.7", "INVITE", request=request, **known)


def read(name: str, of: Facts) -> Any:
    return FACTS[name].read(of)


def sdp(*media: str, session: str = "") -> str:
    return (
        f"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n{session}"
        + "".join(media)
    )


@pytest.mark.parametrize(
    ("body", "media", "codecs", "srtp"),
    [
        (sdp("m=audio 4000 RTP/AVP 8 0\r\n"), {"audio"}, {"pcma", "pcmu"}, {"none"}),
        (sdp("m=audio 4000 RTP/SAVP 8\r\n" + KEY), {"audio"}, {"pcma"}, {"sdes"}),
        (sdp("m=audio 4000 RTP/AVP 8\r\n" + KEY), {"audio"}, {"pcma"}, {"none"}),
        (sdp("m=audio 4000 UDP/TLS/RTP/SAVPF 8\r\n"), {"audio"}, {"pcma"}, {"dtls"}),
        (sdp("m=audio 4000 RTP/SAVPF 8\r\n" + PRINT), {"audio"}, {"pcma"}, {"dtls"}),
        (sdp("m=audio 4000 RTP/SAVPF 8\r\n", session=PRINT), {"audio"}, {"pcma"}, {"dtls"}),
        (
            sdp("m=audio 4 RTP/AVP 8\r\n", "m=audio 6 RTP/SAVP 0\r\n" + KEY),
            {"audio"},
            {"pcma", "pcmu"},
            {"none", "sdes"},
        ),
        (
            sdp("m=audio 0 RTP/AVP 8\r\n", "m=video 6 RTP/AVP 34\r\n"),
            {"video"},
            {"h263"},
            {"none"},
        ),
        (sdp("m=image 4000 udptl t38\r\n"), {"image"}, set(), set()),
    ],
)
def test_an_offer_says_what_media_codecs_and_protection_it_has(body, media, codecs, srtp) -> None:
    of = facts(an_invite(body=body))
    assert read("sdp", of) is True
    assert (read("media", of), read("codecs", of), read("srtp", of)) == (media, codecs, srtp)


@pytest.mark.parametrize(
    "request_",
    [
        None,
        an_invite(),
        an_invite(body="no sdp"),
        an_invite("Content-Type: text/plain", body=sdp("m=audio 4 RTP/AVP 8\r\n")),
        an_invite("Content-Encoding: gzip", body=sdp("m=audio 4 RTP/AVP 8\r\n")),
    ],
)
def test_what_cannot_be_read_offers_nothing(request_: Request | None) -> None:
    of = facts(request_)
    assert read("sdp", of) is False
    assert (read("media", of), read("codecs", of), read("srtp", of)) == ((frozenset(),) * 3)


@given(st.binary(max_size=200))
def test_any_body_is_an_offer_or_none(body: bytes) -> None:
    request = an_invite("Content-Type: application/sdp")
    request.body = body
    assert offer_of_untrusted(request) == NO_OFFER or body.startswith(b"v=0")


@pytest.mark.parametrize(
    ("version", "below", "holds"),
    [(1.3, 1.3, False), (1.2, 1.3, True), (0.0, 1.2, True), (1.2, 1.2, False)],
)
def test_the_lowest_version_of_tls_is_an_amount(version: float, below: float, holds: bool) -> None:
    when = asks(tls_version={"below": below})
    assert when.hold(facts(tls_version=version)) is holds


@pytest.mark.parametrize(
    ("proven", "shown"), [((), False), (("example.com",), True), (("sha256/x",), True)]
)
def test_a_client_certificate_is_one_that_proves_something(proven, shown) -> None:
    assert read("client_certificate", facts(proven=proven)) is shown


@pytest.mark.parametrize(
    ("caller", "lines", "hides"),
    [
        ("<sip:+4930111@x>", (), False),
        ("<sip:anonymous@anonymous.invalid>", (), True),
        ("<sip:Anonymous@x>", (), True),
        ('"Anonymous" <sip:+4930111@x>', (), True),
        ("<sip:+4930111@x>", ("Privacy: id",), True),
        ("<sip:+4930111@x>", ("Privacy: user;critical",), True),
        ("<sip:+4930111@x>", ("Privacy: none",), False),
        ("<sip:+4930111@x>", ("Privacy: session",), False),
        ("<nonsense", (), False),
    ],
)
def test_who_hides_is_anonymous(caller: str, lines: tuple[str, ...], hides: bool) -> None:
    assert read("anonymous", facts(an_invite(*lines, caller=caller))) is hides


@pytest.mark.parametrize(
    ("line", "number"),
    [
        ("X: y", ""),
        (PAI + "<sip:030123456@pbx>", "+4930123456"),
        (PAI + "<tel:+4930123456>, <sip:x@y>", "+4930123456"),
        ("Remote-Party-ID: <sip:030123456@x>", "+4930123456"),
        (PAI + "<<>>", ""),
    ],
)
def test_an_asserted_number_has_the_form_of_the_inside(line: str, number: str) -> None:
    of = facts(an_invite(line), numbers=GERMAN, world=World(plan=WorldPlan()))
    assert read("asserted", of) == number


OWNERS = Owners(
    {"pbx": numbers(["+4930111*", "600-699"]), "phones": numbers(["7*"])},
    {"alice": numbers(["+4930111", "101"])},
)


@pytest.mark.parametrize(
    ("known", "caller", "lines", "verdict"),
    [
        ({"peer": "pbx"}, "<sip:+49301115@x>", (), "own"),
        ({"peer": "pbx"}, "<sip:650@x>", (), "own"),
        ({"peer": "pbx"}, "<sip:+4989@x>", (), "foreign"),
        ({"peer": "pbx"}, "<sip:650@x>", (PAI + "<sip:+4989@x>",), "foreign"),
        ({"peer": "pbx"}, "<sip:anonymous@anonymous.invalid>", (), "nothing"),
        (
            {"peer": "pbx"},
            "<sip:anonymous@anonymous.invalid>",
            (PAI + "<sip:650@x>",),
            "own",
        ),
        (
            {"peer": "pbx"},
            "<sip:anonymous@anonymous.invalid>",
            (PAI + "<sip:+4989@x>",),
            "foreign",
        ),
        # Both are handed on, so both count.
        ({"peer": "pbx"}, "<sip:650@x>", (PAI + "<sip:650@x>, <tel:+4989>",), "foreign"),
        ({"peer": "pbx"}, "<sip:650@x>", (PAI + "<sip:650@x>", PAI + "<tel:+4989>"), "foreign"),
        ({"peer": "pbx"}, "<sip:650@x>", (PAI + "<sip:650@x>, <tel:+49301112>",), "own"),
        # An anonymous host hides no number that stands in front of it.
        ({"peer": "pbx"}, "<sip:+4989@anonymous.invalid>", (), "foreign"),
        ({"peer": "pbx"}, "<sip:%2B4989@anonymous.invalid>", (), "foreign"),
        ({"peer": "pbx"}, "<sip:unavailable@anonymous.invalid>", (), "nothing"),
        ({"peer": "trunk"}, "<sip:650@x>", (), "unlisted"),
        ({}, "<sip:650@x>", (), "unlisted"),
        ({"user": "alice"}, "<sip:101@x>", (), "own"),
        ({"phone": "alice"}, "<sip:101@x>", (), "own"),
        ({"phone": "alice"}, "<sip:102@x>", (), "foreign"),
        ({"phone": "alice", "peer": "pbx"}, "<sip:650@x>", (), "foreign"),
        ({"user": "bob", "peer": "pbx"}, "<sip:650@x>", (), "own"),
        ({"phone": "pbx"}, "<sip:650@x>", (), "unlisted"),
        ({"phone": "bob", "group": "phones"}, "<sip:712@x>", (), "own"),
        ({"phone": "bob", "group": "phones"}, "<sip:650@x>", (), "foreign"),
        ({"peer": "pbx", "group": "phones"}, "<sip:650@x>", (), "own"),
        # A name that is a number presents it.
        ({"peer": "pbx"}, '"+4989 1234" <sip:650@x>', (), "foreign"),
        ({"peer": "pbx"}, '"+4930 111-5" <sip:650@x>', (), "own"),
        ({"peer": "pbx"}, '"Call (0049) 89/1234 56, now" <sip:650@x>', (), "foreign"),
        ({"peer": "pbx"}, '"Room 1234567" <sip:650@x>', (), "own"),
        ({"peer": "pbx"}, '"\uff0b\uff14\uff1989123456" <sip:650@x>', (), "foreign"),
        ({"peer": "pbx"}, '"+\u0664\u066989123456" <sip:650@x>', (), "foreign"),
        ({"peer": "pbx"}, '"+4\u200b9\u200b89123456" <sip:650@x>', (), "foreign"),
        ({"peer": "pbx"}, '"+4989123456" <sip:anonymous@anonymous.invalid>', (), "foreign"),
        ({"peer": "pbx"}, "<sip:650@x>", (PAI + '"+4989123456" <sip:650@x>',), "foreign"),
        ({"peer": "trunk"}, '"+4989123456" <sip:650@x>', (), "unlisted"),
    ],
)
def test_who_presents_a_number_owns_it_or_does_not(known, caller, lines, verdict) -> None:
    of = facts(an_invite(*lines, caller=caller), owners=OWNERS, **known)
    assert read("presents", of) == verdict


DIVERSION, HISTORY = "Diversion: ", "History-Info: "


@pytest.mark.parametrize(
    ("known", "lines", "verdict"),
    [
        ({"peer": "pbx"}, (), "nothing"),
        ({"peer": "pbx"}, (DIVERSION + "<sip:650@x>",), "own"),
        ({"peer": "pbx"}, (DIVERSION + "<sip:+4989@x>;reason=no-answer",), "foreign"),
        ({"peer": "pbx"}, (DIVERSION + "<tel:+4989>",), "foreign"),
        ({"peer": "trunk"}, (DIVERSION + "<sip:+4989@x>",), "unlisted"),
        ({"phone": "alice"}, (DIVERSION + "<sip:650@x>",), "foreign"),
        # The first is the last that forwarded it; what came with the call is not its sender's.
        ({"peer": "pbx"}, (DIVERSION + "<sip:650@x>, <sip:+4989@x>",), "own"),
        ({"peer": "pbx"}, (DIVERSION + "<sip:+4989@x>", DIVERSION + "<sip:650@x>"), "foreign"),
        # The call itself is the last of its history.
        ({"peer": "pbx"}, (HISTORY + "<sip:600@x>;index=1",), "nothing"),
        ({"peer": "pbx"}, (HISTORY + "<sip:650@x>;index=1, <sip:600@x>;index=1.1",), "own"),
        (
            {"peer": "pbx"},
            (HISTORY + "<sip:650@x>;index=1, <sip:+4989@x>;index=1.1, <sip:600@x>;index=1.2",),
            "foreign",
        ),
        # Who leaves that out is last.
        ({"peer": "pbx"}, (HISTORY + "<sip:+4989@x>;index=1",), "foreign"),
        ({"peer": "pbx"}, (HISTORY + "<sip:650@x>;index=1, <sip:+4989@x>;index=2",), "foreign"),
        # Both are handed on, so both count.
        (
            {"peer": "pbx"},
            (DIVERSION + "<sip:650@x>", HISTORY + "<sip:+4989@x>, <sip:600@x>"),
            "foreign",
        ),
        # Who hides, hides behind no number.
        ({"peer": "pbx"}, (DIVERSION + "<sip:anonymous@anonymous.invalid>",), "nothing"),
        ({"peer": "pbx"}, (DIVERSION + "<sip:+4989@anonymous.invalid>",), "foreign"),
        ({"peer": "pbx"}, (DIVERSION + "<sip:pbx.example>",), "nothing"),
        # What cannot be read is not handed on either.
        ({"peer": "pbx"}, (DIVERSION + "<<>>",), "nothing"),
    ],
)
def test_a_call_is_forwarded_from_a_number_of_its_senders_or_not(known, lines, verdict) -> None:
    assert read("forwards_from", facts(an_invite(*lines), owners=OWNERS, **known)) == verdict


@pytest.mark.parametrize(
    ("caller", "lines", "misnamed"),
    [
        ("<sip:+4930123456@x>", (), False),
        ('"Bob" <sip:+4930123456@x>', (), False),
        ('"+49 30 123456" <sip:+4930123456@x>', (), False),
        ('"030/12 34 56" <sip:+4930123456@x>', (), False),
        ('"0142345678" <sip:+33142345678@x>', (), False),
        ('"+4930123456" <sip:3456@x>', (), False),
        ('"+4930123456" <sip:bob@x>', (), False),
        ('"+4930110110" <sip:+4930123456@x>', (), True),
        ('"+4930123456 or +4930110110" <sip:+4930123456@x>', (), True),
        ('"+4930123456" <sip:3457@x>', (), True),
        ("<sip:bob@x>", (PAI + '"+4930110110" <sip:+4930123456@x>',), True),
        ('"' + "030123456 " * 5 + '" <sip:+4930123456@x>', (), True),
    ],
)
def test_a_name_that_writes_another_number_is_a_wrong_one(caller, lines, misnamed) -> None:
    of = facts(an_invite(*lines, caller=caller), numbers=GERMAN, world=World(plan=WorldPlan()))
    assert read("misnamed", of) is misnamed


def test_without_a_message_nobody_says_anything() -> None:
    assert read("presents", facts(None)) == "nothing"
    assert read("forwards_from", facts(None)) == "nothing"
    assert read("misnamed", facts(None)) is False


@pytest.mark.parametrize(
    ("caller", "called", "neighbours"),
    [
        ("+12125551234", "+12125559876", True),  # the same NPA-NXX
        ("+12125551234", "+12125551234", True),
        ("+12125541234", "+12125559876", False),
        ("+493012345678", "+493012340000", True),
        ("+493012345678", "+49301234", False),
        ("2125551234", "2125559876", True),
        ("+2125551234", "2125559876", True),
        ("101", "102", False),
        ("alice", "alicf", False),
        ("12345678", "12349999", True),
        ("1234567", "1239999", False),
    ],
)
def test_a_neighbour_differs_in_the_last_four_digits_at_most(caller, called, neighbours) -> None:
    request = an_invite(caller=f"<sip:{caller}@x>", uri=f"sip:{called}@y")
    assert read("neighbour", facts(request)) is neighbours


def test_whoever_owns_the_number_is_no_spoofing_neighbour() -> None:
    request = an_invite(caller="<sip:+4930111222@x>", uri="sip:+4930111333@y")
    assert read("neighbour", facts(request)) is True
    assert read("neighbour", facts(request, peer="pbx", owners=OWNERS)) is False


@pytest.mark.parametrize("line", ["Subject: x", "s: x", "S: x", "SUBJECT: x"])
def test_a_header_is_there_however_its_name_is_written(line: str) -> None:
    assert asks(header=["Subject"]).hold(facts(an_invite(line)))


def test_no_padding_hides_the_end_of_a_header_from_an_expression() -> None:
    assert regular(["evil$"]).matches("a" * 8000 + " evil")


def test_a_domain_is_the_same_with_a_dot_at_its_end() -> None:
    when = asks(domain=["evil.example"])
    for uri in ("sip:600@evil.example", "sip:600@EVIL.example."):
        assert when.hold(facts(an_invite(uri=uri)))
