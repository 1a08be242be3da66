"""Codec policy in calls: what each side is offered, what is refused, and that it stays so.

Spec: RFC 3264 §5.1, §8.3.
"""

from dataclasses import replace

import pytest

from sbc.b2bua.call import Call
from sbc.routing.codecs import CodecRules
from sbc.routing.model import MediaRules
from tests.kit.call import HOSTS, A, B, Story, a_call, an_invite, description, sdp
from tests.kit.pair import restored

OFFER = (
    "m=audio 40000 RTP/AVP 96 8 0 101\r\na=rtpmap:96 opus/48000/2\r\n"
    "a=rtpmap:101 telephone-event/8000\r\n"
)
VIDEO = "m=video 40002 RTP/AVP 34\r\n"


def a_story(
    a: CodecRules | None = None, b: CodecRules | None = None, *, media: str = OFFER
) -> Story:
    """A call whose legs have these rules."""
    legs = tuple(MediaRules(codecs=() if one is None else (one,)) for one in (a, b))
    return Story(a_call(an_invite(sdp(media)), rules=(legs[0], legs[1])))


def offered(story: Story) -> list[list[str]]:
    """The formats of each m-line that the callee is offered; none of a rejected one."""
    lines = description(story.sent_to(B, "INVITE").request).media
    return [[] if line.rejected else line.formats for line in lines]


@pytest.mark.parametrize(
    ("a", "b", "formats"),
    [
        (None, None, ["96", "8", "0", "101"]),
        (CodecRules(allow=("pcma", "pcmu")), None, ["8", "0", "101"]),
        (None, CodecRules(remove=("opus",)), ["8", "0", "101"]),
        (CodecRules(remove=("pcmu",)), CodecRules(remove=("opus",)), ["8", "101"]),
        (None, CodecRules(prefer=("pcmu",)), ["0", "96", "8", "101"]),
    ],
)
def test_the_callee_is_offered_what_the_rules_of_both_sides_let_pass(
    a: CodecRules | None, b: CodecRules | None, formats: list[str]
) -> None:
    story = a_story(a, b)
    story.begin()
    assert offered(story) == [formats]
    assert (b"opus" in story.request(B).body) is ("96" in formats)


@pytest.mark.parametrize("side", ["a", "b"])
def test_without_a_codec_left_the_call_is_refused_with_488_and_a_warning_that_names_it(
    side: str,
) -> None:
    story = a_story(**{side: CodecRules(allow=("g729",))})
    assert story.begin()[:2] == ["a 100 INVITE", "a 488 INVITE"]
    warning = story.response(A).headers.first("warning") or ""
    assert "no codec of audio may pass (opus, pcma, pcmu, telephone-event)" in warning
    assert "these may: g729" in warning


def test_another_kind_is_rejected_and_the_rest_goes_on() -> None:
    story = a_story(b=CodecRules(kinds=("audio",)), media=OFFER + VIDEO)
    story.begin()
    assert offered(story) == [["96", "8", "0", "101"], []]
    body = sdp("m=audio 9000 RTP/AVP 8\r\nm=video 0 RTP/AVP 34\r\n", host=HOSTS[B])
    story.reply(200, body=body)
    assert [line.rejected for line in description(story.response(A)).media] == [False, True]
    story.ack(A)
    assert story.call.plan is not None
    assert [stream.index for stream in story.call.plan.streams] == [0]
    assert len(story.call.lines) == 1


def test_an_answer_with_a_codec_that_may_not_pass_is_none() -> None:
    story = a_story(CodecRules(allow=("pcma",)))
    story.begin()
    assert story.reply(200, body=sdp("m=audio 9000 RTP/AVP 0\r\n", host=HOSTS[B]))[0] == (
        "a 502 INVITE"
    )


def test_an_answer_loses_what_may_not_pass_and_keeps_its_order() -> None:
    story = a_story(CodecRules(remove=("pcmu",), prefer=("opus",)))
    story.begin()
    body = sdp("m=audio 9000 RTP/AVP 8 0 96\r\na=rtpmap:96 opus/48000/2\r\n", host=HOSTS[B])
    story.reply(200, body=body)
    assert description(story.response(A)).media[0].formats == ["8", "96"]


def answered(call: Call) -> Story:
    story = Story(call)
    story.begin()
    story.reply(200, body=sdp("m=audio 9000 RTP/AVP 8\r\n", host=HOSTS[B]))
    story.ack(A)
    return story


@pytest.mark.parametrize("asker", [A, B])
@pytest.mark.parametrize("taken_over", [False, True])
def test_the_rules_of_a_call_hold_for_its_re_invites_too(asker, taken_over) -> None:
    rules = MediaRules().with_codecs(CodecRules(allow=("pcma", "pcmu"), where="here:1"))
    story = answered(a_call(an_invite(sdp(OFFER)), rules=(rules, rules)))
    if taken_over:
        story = Story(restored(story.call))
    other = B if asker is A else A
    story.ask(asker, "INVITE", sdp(OFFER, host=HOSTS[asker], version=2))
    assert description(story.request(other)).media[0].formats == ["8", "0", "101"]
    story.reply(200, body=sdp("m=audio 9000 RTP/AVP 0\r\n", host=HOSTS[other], version=2))
    story.ack(asker)
    opus = "m=audio 40000 RTP/AVP 96\r\na=rtpmap:96 opus/48000/2\r\n"
    told = story.ask(asker, "INVITE", sdp(opus, host=HOSTS[asker], version=3))
    assert told == [f"{asker.value} 488 INVITE"]


def test_a_late_offer_is_held_to_them_as_well() -> None:
    call = a_call(an_invite(b""), rules=(MediaRules(), MediaRules(codecs=(CodecRules(("pcma",)),))))
    story = Story(call)
    story.begin()
    story.reply(200, body=sdp(OFFER, host=HOSTS[B]))
    assert description(story.response(A)).media[0].formats == ["8", "101"]


def test_rules_of_a_policy_come_beside_those_of_a_peer() -> None:
    own, policy = CodecRules(("pcma",)), CodecRules(remove=("cn",))
    assert replace(MediaRules(), codecs=(own,)).with_codecs(policy).codecs == (policy, own)
