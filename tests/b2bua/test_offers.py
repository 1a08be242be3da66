"""Offers and answers of two legs: hold, streams that come and go, address families, rtcp-mux.

Spec: RFC 3264, RFC 6337, RFC 5761, RFC 8866.
"""

import pytest

from media.types import SideName
from sbc.b2bua.call import Call
from tests.kit.call import AVP, HOSTS, A, B, FakePorts, Story, a_call, an_invite, description, sdp
from tests.kit.call import rules as media_rules
from tests.kit.pair import BORDERS, CALLEE, CALLER

AUDIO = "m=audio 40000 RTP/AVP 8\r\n"
VIDEO = "m=video 40002 RTP/AVP 34\r\n"
V6 = {A: "2001:db8:a::7", B: "2001:db8:b::5"}


def directions(call: Call) -> tuple[tuple[bool, bool], tuple[bool, bool]]:
    """Sending and receiving of both legs, of the first stream."""
    assert call.plan is not None
    stream = call.plan.streams[0]
    return (stream.a.sending, stream.a.receiving), (stream.b.sending, stream.b.receiving)


@pytest.mark.parametrize(("one", "other"), [(A, B), (B, A)])
@pytest.mark.parametrize(
    ("hold", "seen", "answer", "told"),
    [
        (AVP + "a=sendonly\r\n", "sendonly", "recvonly", "recvonly"),
        (AVP + "a=inactive\r\n", "inactive", "inactive", "inactive"),
        ("c=IN IP4 0.0.0.0\r\n", "sendonly", "recvonly", "recvonly"),
        (AVP + "a=sendonly\r\n", "sendonly", "sendrecv", "recvonly"),
        (AVP + "a=sendonly\r\n", "sendonly", "inactive", "inactive"),
    ],
    ids=["sendonly", "inactive", "null address", "a sloppy answer", "both hold"],
)
def test_hold_and_resume(
    one: SideName, other: SideName, hold: str, seen: str, answer: str, told: str
) -> None:
    story = Story().answered()
    plan = story.call.plan
    media = AVP + hold if hold.startswith("c=") else hold
    story.ask(one, "INVITE", sdp(media, host=HOSTS[one], version=2))
    offered = description(story.request(other))
    assert offered.media[0].direction(offered).value == seen
    assert "0.0.0.0" not in story.request(other).body.decode()
    story.reply(200, body=sdp(f"{AVP}a={answer}\r\n", host=HOSTS[other], version=2))
    answered = description(story.response(one))
    assert answered.media[0].direction(answered).value == told
    story.ack(one)
    mine = directions(story.call)[0 if one is A else 1]
    assert mine[1] is False
    story.ask(one, "INVITE", sdp(host=HOSTS[one], version=3))
    story.reply(200, body=sdp(host=HOSTS[other], version=3))
    story.ack(one)
    assert story.call.plan == plan


def test_held_from_the_start() -> None:
    story = Story(a_call(an_invite(sdp(AVP + "a=inactive\r\n"))))
    story.begin()
    offered = description(story.request(B))
    assert offered.media[0].direction(offered).value == "inactive"


def test_versions_grow_only_with_news() -> None:
    story = Story().answered()
    first = description(story.sent[0].request).origin
    story.ask(A, "UPDATE", sdp(version=1))
    assert description(story.request(B)).origin == first
    story.reply(200, body=sdp(host=HOSTS[B]))
    story.ask(A, "UPDATE", sdp(AVP + "a=sendonly\r\n", version=2))
    second = description(story.request(B)).origin
    assert second.session_id == first.session_id
    assert second.version == "2"


def test_each_m_line_has_ports_of_its_own_and_keeps_its_place() -> None:
    story = Story(a_call(an_invite(sdp(AUDIO + VIDEO))))
    story.begin()
    offered = description(story.request(B))
    assert [media.kind for media in offered.media] == ["audio", "video"]
    story.reply(200, body=sdp(AUDIO + VIDEO, host=HOSTS[B]))
    answered = description(story.response(A))
    said = [media.port for d in (offered, answered) for media in d.media]
    assert len(set(said)) == 4


def test_a_line_we_cannot_relay_is_rejected_and_the_rest_works() -> None:
    data = "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n"
    story = Story(a_call(an_invite(sdp(data + AUDIO))))
    story.begin()
    assert [media.port == 0 for media in description(story.request(B)).media] == [True, False]
    refused = data.replace("application 9", "application 0")
    story.reply(200, body=sdp(refused + AUDIO, host=HOSTS[B]))
    answered = description(story.response(A))
    assert [media.port == 0 for media in answered.media] == [True, False]
    assert answered.media[0].protocol == "UDP/DTLS/SCTP"
    assert story.call.plan is not None
    assert [stream.index for stream in story.call.plan.streams] == [1]


def test_a_line_the_callee_rejects_is_closed_and_its_ports_go_back() -> None:
    ports = FakePorts()
    story = Story(a_call(an_invite(sdp(AUDIO + VIDEO)), ports=ports))
    story.begin()
    told = story.reply(200, body=sdp(AUDIO + VIDEO.replace("40002", "0"), host=HOSTS[B]))
    assert told == ["b ACK", "media", "ports", "a 200 INVITE", "answered"]
    assert len(ports.out) == 2
    assert [media.port == 0 for media in description(story.response(A)).media] == [False, True]


def test_a_line_comes_goes_and_comes_back() -> None:
    ports = FakePorts()
    story = Story(a_call(ports=ports)).answered()
    for version, port, held in ((2, "40002", 4), (3, "0", 2), (4, "40002", 4)):
        both = AUDIO + VIDEO.replace("40002", port)
        story.ask(A, "INVITE", sdp(both, version=version))
        story.reply(200, body=sdp(both, host=HOSTS[B], version=version))
        story.ack(A)
        assert len(ports.out) == held
        assert story.call.plan is not None
        assert len(story.call.plan.streams) == held // 2


def test_an_offer_that_wants_nothing_any_more_passes() -> None:
    story = Story().answered()
    none = AUDIO.replace("40000", "0")
    assert story.ask(A, "INVITE", sdp(none, version=2))[-1] == "b INVITE"
    story.reply(200, body=sdp(none, host=HOSTS[B], version=2))
    assert story.call.plan is not None
    assert story.call.plan.streams == ()


def test_dtls_alone_is_a_clean_488() -> None:
    dtls = "m=audio 9 UDP/TLS/RTP/SAVPF 8\r\na=fingerprint:sha-256 AA\r\na=setup:actpass\r\n"
    story = Story(a_call(an_invite(sdp(dtls))))
    assert story.begin() == ["a 100 INVITE", "a 488 INVITE", "ended"]
    assert "UDP/TLS/RTP/SAVPF" in (story.response(A).headers.first("warning") or "")


def test_more_lines_than_are_relayed_are_488() -> None:
    story = Story(a_call(an_invite(sdp(AUDIO * 9))))
    assert story.begin()[1] == "a 488 INVITE"


def test_fewer_lines_than_before_are_488() -> None:
    story = Story(a_call(an_invite(sdp(AUDIO + VIDEO))))
    story.begin()
    story.reply(200, body=sdp(AUDIO + VIDEO, host=HOSTS[B]))
    story.ack(A)
    assert story.ask(A, "INVITE", sdp(AUDIO, version=2)) == ["a 488 INVITE"]


def test_ipv6_outside_and_ipv4_inside() -> None:
    story = Story(a_call(an_invite(sdp(host=V6[A]))))
    story.begin()
    offered = description(story.request(B))
    assert offered.connection is not None
    assert offered.connection.host == BORDERS[CALLEE][0]
    story.reply(200, body=sdp(host=HOSTS[B]))
    answered = description(story.response(A))
    assert answered.connection is not None
    assert answered.connection.address_type == "IP6"
    assert answered.connection.host == "2001:db8::1"
    assert answered.origin.address_type == "IP6"
    assert story.call.plan is not None
    assert story.call.plan.streams[0].a.local.host == "2001:db8::1"
    assert story.call.plan.streams[0].b.local.host == BORDERS[CALLEE][0]


def test_a_leg_that_moves_to_ipv6_is_followed_and_back_when_that_fails() -> None:
    story = Story().answered()
    plan = story.call.plan
    story.ask(A, "INVITE", sdp(host=V6[A], version=2))
    story.reply(488)
    assert story.call.lines[0].a.host == BORDERS[CALLER][0]
    story.ask(A, "INVITE", sdp(host=V6[A], version=3))
    story.reply(200, body=sdp(host=HOSTS[B], version=2))
    assert story.call.plan is not None
    assert plan is not None
    assert story.call.plan.streams[0].a.local.host == "2001:db8::1"
    assert story.call.plan.streams[0].a.remote == (V6[A], 40000)
    assert story.call.plan.streams[0].b == plan.streams[0].b


def test_rtcp_mux_is_a_matter_of_each_side() -> None:
    mux = AUDIO + "a=rtcp-mux\r\n"
    story = Story(a_call(an_invite(sdp(mux))))
    story.begin()
    assert description(story.request(B)).media[0].has("rtcp-mux")
    story.reply(200, body=sdp(AUDIO, host=HOSTS[B]))
    assert description(story.response(A)).media[0].has("rtcp-mux")
    story.ack(A)
    assert story.call.plan is not None
    assert story.call.plan.streams[0].a.rtcp_mux
    assert not story.call.plan.streams[0].b.rtcp_mux
    story.ask(B, "INVITE", sdp(AUDIO, host=HOSTS[B], version=2))
    assert description(story.request(A)).media[0].has("rtcp-mux")


def test_rtcp_mux_is_not_promised_where_it_is_forbidden() -> None:
    call = a_call(
        an_invite(sdp(AUDIO + "a=rtcp-mux\r\n")),
        rules=(media_rules("allow"), media_rules("allow", rtcp_mux=False)),
    )
    story = Story(call)
    story.begin()
    assert not description(story.request(B)).media[0].has("rtcp-mux")


def test_nothing_of_a_description_crosses_but_what_means_the_same_on_both_sides() -> None:
    rich = (
        "b=AS:64\r\n"
        "m=audio 40000 RTP/AVP 8 101\r\ni=a title\r\nc=IN IP4 10.0.0.7\r\n"
        "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\n"
        "a=rtcp:40001 IN IP4 10.0.0.7\r\na=candidate:1 1 UDP 1 10.0.0.7 40000 typ host\r\n"
        "a=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\na=ssrc:1 cname:me@10.0.0.7\r\n"
        "a=msid:x y\r\na=extmap:1 urn:x\r\na=mid:0\r\na=label:1\r\na=tool:phone\r\na=x-own:1\r\n"
    )
    session = "a=group:BUNDLE 0\r\na=ice-lite\r\na=tool:phone\r\n"
    story = Story(a_call(an_invite(sdp(rich, session=session))))
    story.begin()
    offered = description(story.request(B))
    assert offered.attributes == []
    assert offered.name == "-"
    assert offered.origin.username == "-"
    assert [name for name, _ in offered.media[0].attributes] == [
        "rtpmap",
        "fmtp",
        "ptime",
        "sendrecv",
    ]
    assert "10.0.0.7" not in story.request(B).body.decode()
