"""Requests inside an answered call: passed on, refused, crossing, failing.

Spec: RFC 3261 §12.2, §14; RFC 3311; RFC 5057; RFC 5407; RFC 6141.
"""

import pytest

from media.types import SideName
from sbc.b2bua.events import MediaRefused, RequestFailed
from sbc.b2bua.table import State
from sbc.sip.flow import Flow
from tests.kit.call import FLOWS, HOSTS, A, B, FakePorts, Story, a_call, description, sdp
from tests.kit.pair import CALLER

NEW = {A: sdp(version=2), B: sdp(host=HOSTS[B], version=2)}
SIDES = [(A, B), (B, A)]


def word(side: SideName) -> str:
    return side.value


@pytest.mark.parametrize(("one", "other"), SIDES)
@pytest.mark.parametrize("method", ["INFO", "OPTIONS", "MESSAGE", "NOTIFY", "FROBNICATE"])
def test_what_the_call_does_not_own_passes_with_its_body_and_back(
    one: SideName, other: SideName, method: str
) -> None:
    story = Story().answered()
    headers = ("Content-Type: application/dtmf-relay", "X-Color: blue", "Info-Package: dtmf")
    assert story.ask(one, method, b"Signal=5\r\n", headers=headers) == [f"{word(other)} {method}"]
    passed = story.request(other)
    assert passed.body == b"Signal=5\r\n"
    assert passed.content_type == "application/dtmf-relay"
    assert passed.headers.first("x-color") == "blue"
    told = story.reply(202, headers=("Content-Type: text/plain", "X-Shape: round"), body=b"well")
    assert told == [f"{word(one)} 202 {method}"]
    assert story.response(one).body == b"well"
    assert story.response(one).headers.first("x-shape") == "round"
    assert not story.call.exchanges


@pytest.mark.parametrize(("method", "status"), [("REFER", 603), ("PRACK", 481), ("SUBSCRIBE", 489)])
def test_what_is_not_served_is_refused_and_the_call_stays(method: str, status: int) -> None:
    story = Story().answered()
    assert story.ask(A, method) == [f"a {status} {method}"]
    assert story.call.state is State.CONFIRMED


def test_a_required_option_inside_the_call_is_420() -> None:
    story = Story().answered()
    assert story.ask(A, "INFO", headers=("Require: foo",)) == ["a 420 INFO"]
    assert story.response(A).headers.first("unsupported") == "foo"


def test_a_number_that_is_not_new_is_500() -> None:
    story = Story().answered()
    story.ask(A, "INFO", cseq=10)
    assert story.ask(A, "INFO", cseq=10) == ["a 500 INFO"]
    assert story.ask(A, "INFO", cseq=9) == ["a 500 INFO"]
    assert story.ask(A, "INFO", cseq=11) == ["b INFO"]


def test_our_numbers_grow_by_one_whoever_asks() -> None:
    story = Story().answered()
    numbers = []
    for method in ("INFO", "OPTIONS"):
        story.ask(A, method)
        numbers.append(story.request(B).cseq.number)
        story.reply(200)
    story.ask(A, "BYE")
    assert [*numbers, story.request(B).cseq.number] == [2, 3, 4]


@pytest.mark.parametrize(("one", "other"), SIDES)
def test_a_reinvite_passes_with_a_new_offer_and_three_way_handshake(
    one: SideName, other: SideName
) -> None:
    story = Story().answered()
    assert story.ask(one, "INVITE", NEW[one]) == [
        f"{word(one)} 100 INVITE",
        f"{word(other)} INVITE",
    ]
    assert story.reply(200, body=NEW[other]) == [f"{word(other)} ACK", f"{word(one)} 200 INVITE"]
    assert story.ack(one) == []
    assert story.call.state is State.CONFIRMED


def test_provisional_responses_to_a_reinvite_stay_on_their_side() -> None:
    story = Story().answered()
    story.ask(A, "INVITE", NEW[A])
    assert story.reply(180) == []


def test_a_reinvite_s_target_counts_only_once_it_is_accepted() -> None:
    story = Story().answered()
    assert story.call.b.dialog is not None
    target = story.call.b.dialog.remote_target
    story.ask(A, "INVITE", NEW[A])
    story.reply(488)
    assert story.call.b.dialog.remote_target == target
    story.ask(A, "UPDATE", NEW[A])
    story.reply(200, body=NEW[B], contact="<sip:moved@192.168.1.5:5099>")
    assert story.call.b.dialog.remote_target == "sip:moved@192.168.1.5:5099"


def test_a_contact_nobody_can_read_fails_the_request_not_the_call() -> None:
    story = Story().answered()
    assert story.ask(A, "UPDATE", NEW[A], contact="<sip:a@>") == ["a 400 UPDATE"]
    assert story.call.state is State.CONFIRMED
    assert story.ask(A, "UPDATE", NEW[A]) == ["b UPDATE"]


def test_an_answer_s_contact_nobody_can_read_leaves_the_target() -> None:
    story = Story().answered()
    story.ask(A, "INVITE", NEW[A])
    assert story.reply(200, body=NEW[B], contact="<broken")[-1] == "a 200 INVITE"


@pytest.mark.parametrize(("one", "other"), SIDES)
def test_glare_is_491_on_both_legs(one: SideName, other: SideName) -> None:
    """Both re-INVITE at once: each hears 491, ours from the other leg is passed on."""
    story = Story().answered()
    story.ask(one, "INVITE", NEW[one])
    ours = story.sent[-1]
    assert story.ask(other, "INVITE", NEW[other]) == [f"{word(other)} 491 INVITE"]
    assert story.reply(491, to=ours) == [f"{word(one)} 491 INVITE"]
    assert story.call.state is State.CONFIRMED
    assert story.ask(other, "INVITE", NEW[other])[-1] == f"{word(one)} INVITE"


def test_a_second_invite_of_the_same_leg_is_500_with_retry_after() -> None:
    story = Story().answered()
    story.ask(A, "INVITE", NEW[A])
    assert story.ask(A, "INVITE", NEW[A]) == ["a 500 INVITE"]
    assert 0 <= int(story.response(A).headers.first("retry-after") or "-1") <= 10


def test_a_second_update_of_the_same_leg_is_500_with_retry_after() -> None:
    story = Story().answered()
    story.ask(A, "UPDATE")
    assert story.ask(A, "UPDATE") == ["a 500 UPDATE"]
    assert story.response(A).headers.has("retry-after")


def test_an_update_without_offer_passes_beside_a_reinvite_and_its_failure_harms_nothing() -> None:
    story = Story().answered()
    story.ask(A, "INVITE", NEW[A])
    invite = story.sent[-1]
    assert story.ask(B, "UPDATE") == ["a UPDATE"]
    assert story.reply(500) == ["b 500 UPDATE"]
    assert story.reply(200, body=NEW[B], to=invite) == ["b ACK", "a 200 INVITE"]


def test_an_offer_before_the_ack_is_491() -> None:
    story = Story()
    story.begin()
    story.reply(200, body=sdp(host=HOSTS[B]))
    assert story.ask(B, "INVITE", NEW[B]) == ["b 491 INVITE"]
    assert story.ask(B, "UPDATE") == ["a UPDATE"]


@pytest.mark.parametrize("status", [400, 415, 488, 491, 500, 503, 606])
def test_a_refused_reinvite_leaves_the_call_and_its_media_as_they_were(status: int) -> None:
    ports = FakePorts()
    story = Story(a_call(ports=ports)).answered()
    plan, held = story.call.plan, set(ports.out)
    video = "m=audio 40000 RTP/AVP 8\r\nm=video 40002 RTP/AVP 34\r\n"
    story.ask(A, "INVITE", sdp(video, version=2))
    assert len(ports.out) == 4
    assert story.reply(status) == ["ports", f"a {status} INVITE"]
    assert story.call.plan == plan
    assert ports.out == held
    assert story.call.state is State.CONFIRMED
    story.ask(A, "INVITE", sdp(version=3))
    assert story.reply(200, body=NEW[B]) == ["b ACK", "a 200 INVITE"]
    assert story.call.plan == plan


@pytest.mark.parametrize("status", [408, 481])
@pytest.mark.parametrize("method", ["INVITE", "INFO", "UPDATE"])
def test_a_leg_without_dialog_ends_the_call(method: str, status: int) -> None:
    story = Story().answered()
    story.ask(A, method)
    told = story.reply(status)
    assert told == [f"a {status} {method}", "media off", "ports", "a BYE", "b BYE"]


def test_silence_to_a_request_ends_the_call() -> None:
    story = Story().answered()
    story.ask(A, "INFO")
    assert story.fail("timeout") == ["a 408 INFO", "media off", "ports", "a BYE", "b BYE"]


def test_a_way_that_is_lost_for_a_moment_does_not_end_the_call() -> None:
    story = Story().answered()
    story.ask(A, "INVITE", NEW[A])
    assert story.fail("transport") == ["a 503 INVITE"]
    assert story.call.state is State.CONFIRMED


def test_a_redirect_inside_the_call_is_480() -> None:
    story = Story().answered()
    story.ask(A, "INVITE", NEW[A])
    assert story.reply(302) == ["a 480 INVITE"]


def test_what_answers_nothing_changes_nothing() -> None:
    story = Story().answered()
    story.ask(A, "INFO")
    info = story.sent[-1]
    story.reply(200)
    before = len(story.call.exchanges)
    assert story.reply(200, to=info) == []
    assert story.tell(RequestFailed("z9hG4bK-nobody", "timeout")) == []
    assert len(story.call.exchanges) == before


def test_a_repeated_2xx_to_a_reinvite_gets_the_same_ack() -> None:
    story = Story().answered()
    story.ask(A, "INVITE", NEW[A])
    invite = story.sent[-1]
    story.reply(200, body=NEW[B])
    first = story.request(B)
    assert story.reply(200, body=NEW[B], to=invite) == ["b ACK"]
    assert story.request(B) == first


@pytest.mark.parametrize(("one", "other"), SIDES)
def test_a_reinvite_without_offer_takes_its_answer_in_the_ack(
    one: SideName, other: SideName
) -> None:
    story = Story().answered()
    story.ask(one, "INVITE")
    invite = story.sent[-1]
    assert story.reply(200, body=NEW[other]) == [f"{word(one)} 200 INVITE"]
    assert story.reply(200, body=NEW[other], to=invite) == []
    assert story.ack(one, NEW[one]) == [f"{word(other)} ACK"]
    assert description(story.request(other)).media[0].port


def test_an_answer_to_a_reinvite_that_is_none_ends_both() -> None:
    story = Story().answered()
    story.ask(A, "INVITE", NEW[A])
    told = story.reply(200, body=b"v=" + HOSTS[B].encode())
    assert told == ["a 488 INVITE", "b ACK", "media off", "ports", "a BYE", "b BYE"]
    assert HOSTS[B] not in str(story.response(A))


def test_a_malformed_offer_inside_the_call_is_488_with_its_line() -> None:
    story = Story().answered()
    assert story.ask(A, "INVITE", sdp("m=audio x RTP/AVP 8\r\n")) == ["a 488 INVITE"]
    assert "m=audio x" in (story.response(A).headers.first("warning") or "")
    assert story.ask(A, "INVITE", NEW[A])[-1] == "b INVITE"


def test_an_unreadable_body_inside_the_call_is_415() -> None:
    story = Story().answered()
    headers = ("Content-Type: multipart/mixed;boundary=x",)
    assert story.ask(A, "INVITE", b"--x--", headers=headers) == ["a 415 INVITE"]
    assert story.response(A).headers.first("accept") == "application/sdp"


def test_a_reinvite_that_finds_no_port_is_503_and_the_call_stays() -> None:
    ports = FakePorts(most=2)
    story = Story(a_call(ports=ports)).answered()
    video = "m=audio 40000 RTP/AVP 8\r\nm=video 40002 RTP/AVP 34\r\n"
    assert story.ask(A, "INVITE", sdp(video, version=2)) == ["a 503 INVITE"]
    assert len(ports.out) == 2
    assert story.ask(A, "INVITE", NEW[A])[-1] == "b INVITE"


def test_a_relay_that_refuses_a_reinvite_s_media_ends_the_call() -> None:
    story = Story().answered()
    video = "m=audio 40000 RTP/AVP 8\r\nm=video 40002 RTP/AVP 34\r\n"
    story.ask(A, "INVITE", sdp(video, version=2))
    answer = video.replace("40000", "9000").replace("40002", "9002")
    assert "media" in story.reply(200, body=sdp(answer, host=HOSTS[B], version=2))
    told = story.tell(MediaRefused("no"))
    assert told == ["a 503 INVITE", "media off", "ports", "a BYE", "b BYE"]


def test_t38_is_488_and_leaves_the_call() -> None:
    story = Story().answered()
    plan = story.call.plan
    fax = sdp("m=audio 0 RTP/AVP 8\r\nm=image 4000 udptl t38\r\n", host=HOSTS[B], version=2)
    assert story.ask(B, "INVITE", fax) == ["b 488 INVITE"]
    assert "udptl" in (story.response(B).headers.first("warning") or "")
    assert story.call.plan == plan
    assert story.ask(A, "INVITE", NEW[A])[-1] == "b INVITE"


def test_too_much_at_once_is_500() -> None:
    story = Story().answered()
    for _ in range(16):
        assert story.ask(A, "INFO") == ["b INFO"]
    assert story.ask(A, "INFO") == ["a 500 INFO"]


def test_a_phone_that_speaks_from_elsewhere_is_answered_there() -> None:
    story = Story().answered()
    moved = FLOWS[CALLER]._replace(remote=("198.51.100.7", 61000))
    story.ask(A, "INFO", flow=moved)
    story.reply(200)
    story.ask(B, "BYE")
    assert story.sent[-1].flow == moved


def test_another_address_is_believed_only_with_a_target_refresh() -> None:
    far = FLOWS[CALLER]._replace(remote=("198.51.100.99", 5080))
    story = Story().answered()
    story.ask(A, "INFO", flow=far)
    assert story.call.a.flow == FLOWS[CALLER]
    story.reply(200)
    story.ask(A, "UPDATE", flow=far)
    assert story.call.a.flow == far


def test_a_trusted_leg_is_spoken_to_where_it_was_configured() -> None:
    story = Story().answered()
    flow = story.call.b.flow
    other = Flow(flow.network, "udp", flow.local, (flow.remote[0], 60001))
    story.ask(B, "UPDATE", flow=other)
    assert story.call.b.flow == flow


def test_a_reply_that_came_after_its_asker_was_told_is_only_acknowledged() -> None:
    story = Story().answered()
    story.ask(A, "INFO")
    info = story.sent[-1]
    story.ask(B, "BYE")
    assert story.reply(200, to=info) == []


@pytest.mark.parametrize(("theirs", "ours"), [("9", 8), ("1", 0), ("255", 254), (None, 70)])
@pytest.mark.parametrize("method", ["INVITE", "UPDATE", "INFO"])
def test_a_request_passes_with_its_own_max_forwards_less_one(
    theirs: str | None, ours: int, method: str
) -> None:
    story = Story(a_call(max_forwards=3)).answered()
    story.ask(B, method, max_forwards=theirs)
    assert story.sent_to(A, method).request.max_forwards == ours


@pytest.mark.parametrize(("hops", "status"), [("0", 483), ("256", 400), ("x", 400)])
def test_a_request_that_may_go_no_further_is_refused(hops: str, status: int) -> None:
    story = Story().answered()
    assert story.ask(A, "INFO", max_forwards=hops) == [f"a {status} INFO"]
    assert story.ask(A, "INVITE", sdp(version=2), max_forwards=hops) == [f"a {status} INVITE"]
    assert not story.call.exchanges
    assert story.call.state is State.CONFIRMED


def test_our_own_requests_reach_the_caller_however_few_hops_its_invite_had_left() -> None:
    story = Story(a_call(max_forwards=0)).answered()
    story.give_up()
    assert {sent.request.max_forwards for sent in story.sent if sent.request.method == "BYE"} == {
        70
    }


def test_a_bye_ends_with_us_so_it_needs_no_further_hop() -> None:
    story = Story().answered()
    assert story.ask(A, "BYE", max_forwards="0")[0] == "a 200 BYE"
    assert story.request(B).max_forwards == 70
