"""From the INVITE to ringing, refusal or the next candidate."""

import pytest

from media.types import SideName
from sbc.b2bua.call import Timer
from sbc.b2bua.events import MediaRefused
from sbc.b2bua.table import State
from sbc.policy.topology import NIL_UUID
from sbc.routing.model import Timers
from tests.kit.call import HOSTS, A, B, FakePorts, Story, a_call, an_invite, description, sdp
from tests.kit.pair import BACKUP, BORDERS, CALLEE


def test_an_invite_is_answered_100_at_once_and_media_is_in_place_before_it_leaves() -> None:
    story = Story()
    assert story.begin() == ["a 100 INVITE", "media", "b INVITE"]
    assert story.running == {Timer.TRY, Timer.RING, Timer.NO_ANSWER}


def test_ringing_is_told_and_no_second_100() -> None:
    story = Story()
    story.begin()
    assert story.reply(100) == []
    assert story.reply(180) == ["a 180 INVITE"]
    assert story.reply(181) == ["a 181 INVITE"]
    assert story.running == {Timer.NO_ANSWER}


def test_199_says_nothing_to_the_caller_whose_dialog_goes_on() -> None:
    story = Story()
    story.begin()
    story.reply(180)
    assert story.reply(199) == []
    assert story.call.state is State.RINGING


def test_the_caller_gets_its_record_route_back_in_what_makes_a_dialog() -> None:
    route = "<sip:proxy.example.net;lr>"
    story = Story(a_call(an_invite(headers=(f"Record-Route: {route}",))))
    story.begin()
    assert not story.response(A).headers.has("record-route")
    story.reply(180)
    assert story.response(A).headers.all("record-route") == [route]
    story.reply(200, body=sdp(host=HOSTS[B]))
    assert story.response(A).headers.all("record-route") == [route]
    story.ack(A)
    story.ask(B, "BYE")
    assert story.request(A).headers.all("route") == [route]


def test_an_option_we_cannot_honour_is_420_with_its_name() -> None:
    story = Story(a_call(an_invite(headers=("Require: 100rel, timer",))))
    assert story.begin() == ["a 100 INVITE", "a 420 INVITE", "ended"]
    assert story.response(A).headers.first("unsupported") == "100rel"


def test_session_timer_headers_pass_both_ways() -> None:
    given = ("Supported: timer, 100rel", "Session-Expires: 1800;refresher=uac", "Min-SE: 90")
    story = Story(a_call(an_invite(headers=(*given, "Require: timer"))))
    story.begin()
    invite = story.request(B).headers
    assert invite.first("supported") == "timer"
    assert invite.first("require") == "timer"
    assert invite.first("session-expires") == "1800;refresher=uac"
    assert invite.first("min-se") == "90"
    answer = ("Require: timer", "Session-Expires: 1800;refresher=uac")
    story.reply(200, body=sdp(host=HOSTS[B]), headers=answer)
    assert story.response(A).headers.first("require") == "timer"
    assert story.response(A).headers.first("session-expires") == "1800;refresher=uac"


def test_422_and_its_min_se_pass() -> None:
    story = Story()
    story.begin()
    assert story.reply(422, headers=("Min-SE: 300",)) == [
        "a 422 INVITE",
        "media off",
        "ports",
        "ended",
    ]
    assert story.commands[0].response.headers.first("min-se") == "300"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        (("Content-Type: multipart/mixed;boundary=x",), b"--x--"),
        (("Content-Type: application/sdp", "Content-Encoding: gzip"), b"\x1f\x8b"),
    ],
)
def test_a_body_that_is_no_readable_sdp_is_415(headers: tuple[str, ...], body: bytes) -> None:
    story = Story(a_call(an_invite(body, headers=headers)))
    assert story.begin() == ["a 100 INVITE", "a 415 INVITE", "ended"]
    assert story.response(A).headers.first("accept") == "application/sdp"


def test_a_malformed_offer_is_488_with_its_line() -> None:
    body = sdp("m=audio none RTP/AVP 8\r\n")
    story = Story(a_call(an_invite(body)))
    assert story.begin() == ["a 100 INVITE", "a 488 INVITE", "ended"]
    warning = story.response(A).headers.first("warning") or ""
    assert warning.startswith(f"399 {BORDERS['caller'][0]}:5060 ")
    assert "SDP line 6" in warning
    assert "m=audio none" in warning


def test_an_invite_without_contact_is_400_before_anybody_rings() -> None:
    invite = an_invite()
    invite.headers.remove("contact")
    story = Story(a_call(invite))
    assert story.begin() == ["a 100 INVITE", "a 400 INVITE", "ended"]


def test_no_free_port_is_503_before_anybody_rings_and_names_no_network() -> None:
    ports = FakePorts(most=1)
    story = Story(a_call(ports=ports))
    assert story.begin() == ["a 100 INVITE", "a 503 INVITE", "ports", "ended"]
    assert story.response(A).headers.first("retry-after") == "5"
    assert "inside" not in str(story.response(A))
    assert not ports.out


def test_a_relay_that_refuses_before_the_invite_left_ends_at_once() -> None:
    story = Story()
    story.begin()
    assert story.tell(MediaRefused("cannot bind 192.168.1.2:20002")) == [
        "a 503 INVITE",
        "media off",
        "ports",
        "ended",
    ]
    assert "192.168" not in str(story.commands[0])
    assert "192.168.1.2:20002" in (story.call.ending.text if story.call.ending else "")


def test_a_relay_that_refuses_early_media_ends_with_503_and_cancel() -> None:
    story = Story()
    story.begin()
    story.reply(183, body=sdp(host=HOSTS[B]))
    assert story.tell(MediaRefused("full")) == ["a 503 INVITE", "media off", "ports", "b CANCEL"]


@pytest.mark.parametrize(
    ("theirs", "ours"), [(486, 486), (302, 480), (503, 500), (603, 603), (401, 401), (404, 404)]
)
def test_refusals_are_mapped(theirs: int, ours: int) -> None:
    story = Story()
    story.begin()
    story.reply(180)
    assert story.reply(theirs) == [f"a {ours} INVITE", "media off", "ports", "ended"]


def test_challenges_pass_untouched() -> None:
    story = Story()
    story.begin()
    challenge = 'Digest realm="pbx", nonce="x"'
    story.reply(407, headers=(f"Proxy-Authenticate: {challenge}",))
    assert story.response(A).headers.first("proxy-authenticate") == challenge


@pytest.mark.parametrize(("why", "status"), [("timeout", 504), ("transport", 503)])
def test_an_invite_that_gets_no_answer_is_told(why: str, status: int) -> None:
    story = Story()
    story.begin()
    assert story.fail(why) == [f"a {status} INVITE", "media off", "ports", "ended"]


@pytest.mark.parametrize("failure", [408, 430, 500, 502, 503, 504])
def test_a_next_hop_that_fails_is_followed_by_the_next(failure: int) -> None:
    story = Story(a_call(candidates=(CALLEE, BACKUP)))
    story.begin()
    first = story.sent[-1]
    told = story.reply(failure)
    assert told == ["ports", "media", "b INVITE"]
    second = story.sent[-1]
    assert second.flow.network == "spare"
    assert second.request.call_id != first.request.call_id
    assert second.request.from_tag != first.request.from_tag
    assert {line.b.network for line in story.call.lines} == {"spare"}
    assert description(second.request).media[0].port == story.call.lines[0].b.port


def test_a_failed_candidate_s_early_media_is_over_and_the_next_answers() -> None:
    story = Story(a_call(candidates=(CALLEE, BACKUP)))
    story.begin()
    story.reply(183, body=sdp("m=audio 9000 RTP/AVP 8\r\n", host=HOSTS[B]))
    assert story.call.plan is not None
    assert story.call.plan.streams[0].b.remote is not None
    story.reply(503)
    assert story.call.plan.streams[0].b.remote is None
    story.reply(180)
    story.reply(200, body=sdp("m=audio 9002 RTP/AVP 8\r\n", host="172.16.9.9"))
    assert story.call.plan.streams[0].b.remote == ("172.16.9.9", 9002)
    assert description(story.response(A)).origin.version == "1"
    assert story.ack(A) == []
    assert story.call.state is State.CONFIRMED


def test_a_busy_callee_is_not_hunted_around() -> None:
    story = Story(a_call(candidates=(CALLEE, BACKUP)))
    story.begin()
    assert story.reply(486)[0] == "a 486 INVITE"


def test_the_last_failure_is_the_one_that_is_told() -> None:
    story = Story(a_call(candidates=(CALLEE, BACKUP)))
    story.begin()
    assert story.fail("transport") == ["ports", "media", "b INVITE"]
    assert story.reply(502)[0] == "a 502 INVITE"


def test_nobody_rings_in_time() -> None:
    story = Story(a_call(timers=Timers(ring_s=10, no_answer_s=30)))
    story.begin()
    story.reply(100)
    assert story.wait(11) == ["a 504 INVITE", "media off", "ports", "b CANCEL"]


def test_nobody_answers_in_time() -> None:
    story = Story(a_call(timers=Timers(ring_s=10, no_answer_s=30)))
    story.begin()
    story.reply(180)
    assert story.wait(29) == []
    assert story.wait(2) == ["a 480 INVITE", "media off", "ports", "b CANCEL"]
    assert story.reply(487) == ["ended"]


def test_the_no_answer_timer_counts_from_the_first_candidate() -> None:
    story = Story(a_call(candidates=(CALLEE, BACKUP), timers=Timers(ring_s=20, no_answer_s=30)))
    story.begin()
    story.reply(100)
    story.wait(15)
    story.reply(503)
    story.reply(180)
    assert "a 480 INVITE" in story.wait(16)


def test_session_ids_say_both_ends_and_never_nil_once_the_callee_has_spoken() -> None:
    story = Story()
    story.begin()
    assert story.request(B).headers.first("session-id") == f"{'a' * 32};remote={NIL_UUID}"
    story.reply(180)
    mine, _, theirs = (story.response(A).headers.first("session-id") or "").partition(";remote=")
    assert theirs == "a" * 32
    assert mine != NIL_UUID
    assert len(mine) == 32
    assert mine[12] == "4"
    story.reply(200, body=sdp(host=HOSTS[B]))
    assert (story.response(A).headers.first("session-id") or "").startswith(mine)


def test_the_callee_s_own_session_id_replaces_what_we_made_up() -> None:
    story = Story()
    story.begin()
    story.reply(180)
    story.reply(200, body=sdp(host=HOSTS[B]), headers=(f"Session-ID: {'b' * 32};remote=x",))
    assert story.response(A).headers.first("session-id") == f"{'b' * 32};remote={'a' * 32}"
    assert story.request(B).headers.first("session-id") == f"{'a' * 32};remote={'b' * 32}"


def test_early_media_is_relayed_and_told_with_our_address() -> None:
    story = Story()
    story.begin()
    told = story.reply(183, body=sdp("m=audio 9000 RTP/AVP 8\r\n", host=HOSTS[B]))
    assert told == ["media", "a 183 INVITE"]
    said = description(story.response(A))
    assert said.address_of(said.media[0]) == BORDERS["caller"][0]
    assert said.media[0].port == story.call.lines[0].a.port


def test_early_media_of_another_fork_replaces_the_first() -> None:
    story = Story()
    story.begin()
    story.reply(183, body=sdp("m=audio 9000 RTP/AVP 8\r\n", host=HOSTS[B]), tag="fork-1")
    story.reply(183, body=sdp("m=audio 9100 RTP/AVP 8\r\n", host="192.168.1.6"), tag="fork-2")
    assert story.call.plan is not None
    assert story.call.plan.streams[0].b.remote == ("192.168.1.6", 9100)
    story.reply(200, body=sdp("m=audio 9000 RTP/AVP 8\r\n", host=HOSTS[B]), tag="fork-1")
    assert story.call.plan.streams[0].b.remote == (HOSTS[B], 9000)


def test_a_broken_early_description_costs_only_the_early_media() -> None:
    story = Story()
    story.begin()
    assert story.reply(183, body=b"v=nonsense") == ["a 183 INVITE"]
    assert not story.response(A).body
    assert story.reply(200, body=sdp(host=HOSTS[B]))[-1] == "answered"


@pytest.mark.parametrize(
    ("side", "method", "status"),
    [
        (A, "INVITE", 500),
        (A, "UPDATE", 500),
        (B, "UPDATE", 491),
        (A, "INFO", 500),
        (B, "INFO", 500),
        (A, "OPTIONS", 200),
        (A, "PRACK", 481),
        (A, "REFER", 603),
    ],
)
def test_requests_in_early_dialogs_are_told_to_wait_and_never_that_the_dialog_is_gone(
    side: SideName, method: str, status: int
) -> None:
    story = Story()
    story.begin()
    story.reply(180)
    assert story.ask(side, method) == [f"{side.value} {status} {method}"]
    if status == 500:
        assert 0 <= int(story.response().headers.first("retry-after") or "-1") <= 10
    assert story.reply(200, body=sdp(host=HOSTS[B]), to=story.sent[0])[-1] == "answered"


def test_max_forwards_goes_on_counting_down() -> None:
    story = Story(a_call(max_forwards=3))
    story.begin()
    assert story.request(B).max_forwards == 3


def test_an_anonymous_caller_stays_anonymous() -> None:
    invite = an_invite()
    invite.headers.set("From", '"Anonymous" <sip:anonymous@anonymous.invalid>;tag=a-tag')
    story = Story(a_call(invite))
    story.begin()
    assert (story.request(B).headers.first("from") or "").startswith(
        '"Anonymous" <sip:anonymous@anonymous.invalid>;tag='
    )
