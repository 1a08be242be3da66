"""SRTP keys on each leg: who must, who may, what is agreed and what stays.

Spec: RFC 4568 §5.1, §7.1.
"""

from dataclasses import replace
from itertools import product

import pytest

from media.types import SideName
from sbc.b2bua.call import Call
from sbc.routing.model import SrtpMode
from sbc.sdp.attributes.crypto import valid_crypto_untrusted
from tests.kit.call import (
    AVP,
    FLOWS,
    HOSTS,
    KEY,
    OTHER_KEY,
    SAVP,
    SUITE,
    A,
    B,
    Story,
    a_call,
    an_invite,
    description,
    rules,
    sdp,
)
from tests.kit.pair import BACKUP, CALLEE, CALLER

MODES = ("off", "allow", "prefer", "require")


def answer_to(story: Story, *, key: str = OTHER_KEY) -> bytes:
    """What a good callee answers to our offer: its first suite, its tag."""
    offered = description(story.sent_to(B, "INVITE").request).media[0]
    if "SAVP" not in offered.protocol:
        return sdp(AVP, host=HOSTS[B])
    chosen = next(c for c in valid_crypto_untrusted(offered.attributes) if c.suite == SUITE)
    media = f"m=audio 9000 RTP/SAVP 8\r\na=crypto:{chosen.tag} {SUITE} {key}\r\n"
    return sdp(media, host=HOSTS[B])


def secured(call: Call) -> tuple[bool, bool]:
    """Whether each side of the plan is encrypted, both ways or none."""
    assert call.plan is not None
    stream = call.plan.streams[0]
    for side in (stream.a, stream.b):
        assert (side.send_keys is None) == (side.receive_keys is None)
    return stream.a.send_keys is not None, stream.b.send_keys is not None


@pytest.mark.parametrize(("ours", "theirs"), list(product(MODES, MODES)))
@pytest.mark.parametrize("offer", [AVP, SAVP], ids=["RTP", "SRTP"])
def test_each_combination_of_rules(ours: str, theirs: str, offer: str) -> None:
    story = Story(a_call(an_invite(sdp(offer)), rules=(rules(ours), rules(theirs))))
    told = story.begin()
    wants = offer == SAVP
    if (wants and ours == "off") or (not wants and ours == "require"):
        assert told == ["a 100 INVITE", "a 488 INVITE", "ended"]
        return
    story.reply(200, body=answer_to(story))
    story.ack(A)
    assert secured(story.call) == (wants, theirs in ("prefer", "require"))


def test_no_key_crosses_and_both_ways_differ() -> None:
    story = Story(a_call(an_invite(sdp(SAVP)), rules=(rules("require"), rules("require"))))
    story.begin()
    assert KEY.encode() not in story.request(B).body
    story.reply(200, body=answer_to(story))
    assert OTHER_KEY.encode() not in story.response(A).body
    assert story.call.plan is not None
    stream = story.call.plan.streams[0]
    keys = {
        keys.key_and_salt
        for side in (stream.a, stream.b)
        for keys in (side.send_keys, side.receive_keys)
        if keys is not None
    }
    assert len(keys) == 4


@pytest.mark.parametrize("asker", [A, B])
def test_keys_stay_over_a_re_offer_from_either_side(asker: object) -> None:
    story = Story(a_call(an_invite(sdp(SAVP)), rules=(rules("allow"), rules("prefer"))))
    story.begin()
    answer = answer_to(story)
    story.reply(200, body=answer)
    story.ack(A)
    plan = story.call.plan
    bodies = {A: sdp(SAVP, version=2), B: answer}
    one, other = (A, B) if asker is A else (B, A)
    story.ask(one, "INVITE", bodies[one])
    assert "RTP/SAVP" in story.request(other).body.decode()
    assert len(description(story.request(other)).media[0].attributes_named("crypto")) == 1
    story.reply(200, body=bodies[other])
    story.ack(one)
    assert story.call.plan == plan


def test_a_leg_that_has_srtp_is_never_offered_plain_rtp() -> None:
    """The rule offers RTP, but this leg came with SRTP: a re-offer from the other side keeps it."""
    story = Story(a_call(an_invite(sdp(SAVP)), rules=(rules("allow"), rules("allow"))))
    story.begin()
    story.reply(200, body=sdp(host=HOSTS[B]))
    story.ack(A)
    story.ask(B, "INVITE", sdp(host=HOSTS[B], version=2))
    assert description(story.request(A)).media[0].protocol == "RTP/SAVP"


def test_a_leg_that_has_rtp_is_not_put_at_risk_by_a_re_offer() -> None:
    story = Story(a_call(an_invite(sdp(AVP)), rules=(rules("prefer"), rules("off"))))
    story.begin()
    story.reply(200, body=sdp(host=HOSTS[B]))
    story.ack(A)
    story.ask(B, "INVITE", sdp(host=HOSTS[B], version=2))
    assert description(story.request(A)).media[0].protocol == "RTP/AVP"


@pytest.mark.parametrize(
    "line",
    [
        f"a=crypto:9 {SUITE} {OTHER_KEY}\r\n",
        f"a=crypto:1 AES_CM_128_HMAC_SHA1_32 {OTHER_KEY}\r\n",
        "a=crypto:1 nonsense\r\n",
        "",
    ],
    ids=["another tag", "another suite for the tag", "malformed", "none"],
)
def test_an_answer_whose_key_was_not_asked_for_is_no_answer(line: str) -> None:
    story = Story(a_call(rules=(rules("allow"), rules("require", suites=(SUITE,)))))
    story.begin()
    told = story.reply(200, body=sdp(f"m=audio 9 RTP/SAVP 8\r\n{line}", host=HOSTS[B]))
    assert told[0] == "a 502 INVITE"
    assert told[-1] == "b BYE"


def test_an_offer_whose_keys_we_cannot_serve_is_488() -> None:
    for line in ("a=crypto:1 F8_128_HMAC_SHA1_80 " + KEY, f"a=crypto:1 {SUITE} {KEY}|1:4", ""):
        media = f"m=audio 40000 RTP/SAVP 8\r\n{line}\r\n" if line else "m=audio 4 RTP/SAVP 8\r\n"
        story = Story(a_call(an_invite(sdp(media))))
        assert story.begin() == ["a 100 INVITE", "a 488 INVITE", "ended"]
        assert KEY not in str(story.response(A))


def answered(media: str, **able: object) -> Story:
    """A call whose A offered that m-line, answered; `able`: what our rules for A are beyond."""
    story = Story(a_call(an_invite(sdp(media)), rules=(rules("allow", **able), rules("off"))))
    story.begin()
    story.reply(200, body=sdp(host=HOSTS[B]))
    return story


def test_a_key_is_used_with_its_identifier_and_its_lifetime() -> None:
    line = f"a=crypto:1 {SUITE} {KEY}|2^20|258:4\r\n"
    story = answered(f"m=audio 40000 RTP/SAVP 8\r\n{line}", mki=True)
    assert story.call.plan is not None
    side = story.call.plan.streams[0].a
    assert side.receive_keys is not None
    assert side.send_keys is not None
    assert (side.receive_keys.mki, side.receive_keys.lifetime_packets) == (b"\0\0\1\2", 1 << 20)
    assert (side.send_keys.mki, side.send_keys.lifetime_packets) == (b"", None)


def test_a_line_without_an_identifier_is_answered_where_identifiers_cannot_be_served() -> None:
    media = f"m=audio 4 RTP/SAVP 8\r\na=crypto:1 {SUITE} {KEY}|1:4\r\na=crypto:2 {SUITE} {KEY}\r\n"
    for mki, tag in ((False, "2"), (True, "1")):
        story = answered(media, mki=mki)
        (line,) = description(story.response(A)).media[0].attributes_named("crypto")
        assert (line or "").startswith(f"{tag} {SUITE} inline:")
        assert "|" not in (line or "")


def test_longer_keys_are_used_where_the_rules_name_their_suite() -> None:
    suite = "AES_256_CM_HMAC_SHA1_80"
    key = "inline:" + "A" * 60 + "AA=="
    media = f"m=audio 4 RTP/SAVP 8\r\na=crypto:1 {suite} {key}\r\na=crypto:2 {SUITE} {KEY}\r\n"
    for suites, chosen in (((suite, SUITE), suite), ((SUITE,), SUITE)):
        story = answered(media, suites=suites)
        assert story.call.plan is not None
        keys = story.call.plan.streams[0].a.receive_keys
        assert keys is not None
        assert keys.suite.value == chosen


def test_the_first_suite_we_serve_is_answered_with_its_tag() -> None:
    media = (
        "m=audio 40000 RTP/SAVP 8\r\n"
        f"a=crypto:3 F8_128_HMAC_SHA1_80 {KEY}\r\na=crypto:7 {SUITE} {KEY}\r\n"
    )
    story = Story(a_call(an_invite(sdp(media))))
    story.begin()
    story.reply(200, body=sdp(host=HOSTS[B]))
    (line,) = description(story.response(A)).media[0].attributes_named("crypto")
    assert (line or "").startswith(f"7 {SUITE} inline:")


def test_the_suite_in_use_stays_while_it_is_offered() -> None:
    """We offered all suites, the phone took one; now it re-offers with another one first."""
    story = Story(a_call(rules=(rules("allow"), rules("prefer"))))
    story.begin()
    story.reply(200, body=answer_to(story))
    story.ack(A)
    plan = story.call.plan
    gcm = "a=crypto:1 AEAD_AES_128_GCM inline:" + "A" * 38 + "==\r\n"
    media = f"m=audio 9000 RTP/SAVP 8\r\n{gcm}a=crypto:2 {SUITE} {OTHER_KEY}\r\n"
    story.ask(B, "INVITE", sdp(media, host=HOSTS[B], version=2))
    story.reply(200, body=sdp(version=2))
    (line,) = description(story.response(B)).media[0].attributes_named("crypto")
    assert (line or "").startswith(f"2 {SUITE} ")
    assert story.call.plan == plan


def test_a_failed_re_offer_leaves_the_keys() -> None:
    story = Story(a_call(an_invite(sdp(SAVP)), rules=(rules("allow"), rules("prefer"))))
    story.begin()
    story.reply(200, body=answer_to(story))
    story.ack(A)
    plan = story.call.plan
    story.ask(A, "INVITE", sdp(SAVP.replace(KEY, OTHER_KEY), version=2))
    story.reply(488)
    assert story.call.plan == plan
    story.ask(A, "INVITE", sdp(SAVP, version=3))
    story.reply(200, body=answer_to(story))
    assert story.call.plan == plan


def test_a_leg_that_rekeys_is_heard_with_its_new_key_and_spoken_to_with_ours() -> None:
    story = Story(a_call(an_invite(sdp(SAVP)), rules=(rules("allow"), rules("allow"))))
    story.begin()
    story.reply(200, body=sdp(host=HOSTS[B]))
    story.ack(A)
    assert story.call.plan is not None
    before = story.call.plan.streams[0].a
    story.ask(A, "INVITE", sdp(SAVP.replace(KEY, OTHER_KEY), version=2))
    story.reply(200, body=sdp(host=HOSTS[B], version=2))
    after = story.call.plan.streams[0].a
    assert after.send_keys == before.send_keys
    assert after.receive_keys != before.receive_keys


def test_nothing_is_relayed_in_clear_before_the_keys_are_known() -> None:
    story = Story(a_call(an_invite(sdp(SAVP))))
    story.begin()
    assert story.call.plan is not None
    side = story.call.plan.streams[0].a
    assert not side.sending
    assert not side.receiving


def test_the_preview_of_an_answer_and_the_answer_have_one_key() -> None:
    story = Story(a_call(an_invite(sdp(SAVP))))
    story.begin()
    story.reply(183, body=sdp(host=HOSTS[B]))
    early = description(story.response(A)).media[0].attributes_named("crypto")
    story.reply(200, body=sdp(host=HOSTS[B]))
    assert description(story.response(A)).media[0].attributes_named("crypto") == early


@pytest.mark.parametrize("offer", [AVP, SAVP], ids=["RTP", "SRTP"])
@pytest.mark.parametrize("status", [488, 606])
def test_a_callee_that_refuses_srtp_we_only_prefer_is_asked_once_more_without(
    offer: str, status: int
) -> None:
    call = a_call(an_invite(sdp(offer)), rules=(rules("allow"), rules("prefer")))
    story = Story(call, restores=True)
    story.begin()
    first = story.sent[-1]
    assert story.reply(status) == ["b INVITE"]
    second = story.sent[-1]
    assert description(second.request).media[0].protocol == "RTP/AVP"
    assert b"crypto" not in second.request.body
    assert second.flow == first.flow
    assert second.request.uri_text == first.request.uri_text
    assert second.request.call_id != first.request.call_id
    story.reply(200, body=sdp(AVP, host=HOSTS[B]))
    story.ack(A)
    assert secured(story.call) == (offer == SAVP, False)


def test_a_callee_that_refuses_plain_rtp_too_is_not_asked_again() -> None:
    story = Story(a_call(rules=(rules("allow"), rules("prefer"))))
    story.begin()
    story.reply(488)
    assert story.reply(488)[0] == "a 488 INVITE"


@pytest.mark.parametrize(("mode", "status"), [("require", 488), ("off", 488), ("prefer", 486)])
def test_nobody_else_is_asked_for_plain_rtp(mode: str, status: int) -> None:
    story = Story(a_call(rules=(rules("allow"), rules(mode))))
    story.begin()
    assert story.reply(status)[0] == f"a {status} INVITE"


def test_a_callee_that_answered_early_with_srtp_is_not_asked_for_plain_rtp() -> None:
    story = Story(a_call(rules=(rules("allow"), rules("prefer"))))
    story.begin()
    story.reply(183, body=answer_to(story))
    assert story.reply(488)[0] == "a 488 INVITE"


def test_the_next_candidate_is_tried_after_the_plain_attempt_and_with_srtp() -> None:
    call = a_call(candidates=(CALLEE, BACKUP), rules=(rules("allow"), rules("prefer")))
    story = Story(call)
    story.begin()
    story.reply(488)
    story.reply(503)
    assert story.sent[-1].flow.network == "spare"
    assert description(story.sent[-1].request).media[0].protocol == "RTP/SAVP"


CLEAR = {"sdes_in_clear": False}
TLS = {side: FLOWS[name]._replace(transport="tls") for side, name in ((A, CALLER), (B, CALLEE))}


def by_tls(call: Call, *sides: SideName) -> Call:
    """The call, with these legs by TLS."""
    if A in sides:
        call.a.flow = TLS[A]
    if B in sides:
        call.b.flow = TLS[B]
        call.candidates = tuple(replace(one, flow=TLS[B]) for one in call.candidates)
    return call


def test_keys_that_come_by_clear_signalling_are_refused() -> None:
    story = Story(a_call(an_invite(sdp(SAVP)), rules=(rules("allow", **CLEAR), rules("off"))))
    assert story.begin() == ["a 100 INVITE", "a 488 INVITE", "ended"]
    warning = story.response(A).headers.first("warning") or ""
    assert "keys in clear signalling can be read on the way" in warning


def test_by_tls_they_are_welcome() -> None:
    call = a_call(an_invite(sdp(SAVP)), rules=(rules("allow", **CLEAR), rules("off")))
    story = Story(by_tls(call, A))
    story.begin()
    story.reply(200, body=answer_to(story))
    assert secured(story.call) == (True, False)


def test_where_srtp_is_only_preferred_no_key_is_written_into_clear_signalling() -> None:
    story = Story(a_call(rules=(rules("off"), rules("prefer", **CLEAR))))
    story.begin()
    assert description(story.request(B)).media[0].protocol == "RTP/AVP"
    assert b"crypto" not in story.request(B).body


def test_where_srtp_is_required_a_call_over_clear_signalling_is_refused_not_sent_as_rtp() -> None:
    story = Story(a_call(rules=(rules("off"), rules("require", **CLEAR))))
    assert story.begin()[:2] == ["a 100 INVITE", "a 488 INVITE"]
    assert story.sent == []


@pytest.mark.parametrize("mode", ["prefer", "require"])
def test_by_tls_keys_are_offered(mode: str) -> None:
    story = Story(by_tls(a_call(rules=(rules("off"), rules(mode, **CLEAR))), B))
    story.begin()
    assert description(story.request(B)).media[0].protocol == "RTP/SAVP"


def test_a_dialog_by_tls_does_not_follow_its_peer_into_the_clear() -> None:
    call = a_call(an_invite(sdp(SAVP)), rules=(rules("allow", **CLEAR), rules("off")))
    call.a.flow = call.a.flow._replace(transport="tls", connection=3)
    story = Story(call)
    story.begin()
    story.reply(200, body=answer_to(story))
    story.ack(A)
    story.ask(A, "INVITE", sdp(SAVP, version=2), flow=FLOWS[CALLER])
    assert story.call.a.flow.transport == "tls"


def test_required_srtp_is_never_given_up_for_rtp_by_an_answer() -> None:
    story = Story(a_call(rules=(rules("off"), rules("require"))))
    story.begin()
    told = story.reply(200, body=sdp(AVP, host=HOSTS[B]))
    assert told[0] == "a 502 INVITE"
    assert told[-1] == "b BYE"
    assert story.call.plan is None or story.call.plan.streams == ()


@pytest.mark.parametrize("asker", [A, B])
def test_required_srtp_is_never_given_up_for_rtp_by_a_re_invite(asker: SideName) -> None:
    story = Story(a_call(an_invite(sdp(SAVP)), rules=(rules("require"), rules("require"))))
    story.begin()
    story.reply(200, body=answer_to(story))
    story.ack(A)
    plan = story.call.plan
    told = story.ask(asker, "INVITE", sdp(AVP, host=HOSTS[asker], version=2))
    assert told == [f"{asker.value} 488 INVITE"]
    assert story.call.plan == plan


@pytest.mark.parametrize("mode", MODES)
def test_calls_from_a_peer_may_have_another_mode_than_calls_to_it(mode: SrtpMode) -> None:
    both = rules("require", srtp_from=mode)
    assert (both.of_calls_from.srtp, both.srtp) == (mode, "require")
    assert rules(mode).of_calls_from == rules(mode)


@pytest.mark.parametrize("side", [A, B])
def test_required_srtp_is_never_given_up_for_rtp_after_a_late_offer(side: SideName) -> None:
    both = {A: rules("off"), B: rules("off")} | {side: rules("require")}
    story = Story(a_call(an_invite(b""), rules=(both[A], both[B])))
    story.begin()
    story.reply(200, body=sdp(AVP, host=HOSTS[B]))
    if side is A:
        offered = description(story.response(A)).media[0]
        assert offered.protocol == "RTP/SAVP"
        story.ack(A, sdp(AVP))
    plan = story.call.plan
    assert plan is None or not any(one.a.sending or one.b.sending for one in plan.streams)
    assert story.call.ending is not None
