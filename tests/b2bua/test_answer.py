"""B's 2xx: the call is made, repeated, doubled by a fork, or unusable.

Spec: RFC 3261 §13.2.2.4, §13.3.1.4.
"""

import pytest

from sbc.b2bua.events import MediaRefused
from sbc.b2bua.table import State
from tests.kit.call import HOSTS, A, B, FakePorts, Story, a_call, an_invite, description, sdp

ANSWER = sdp(host=HOSTS[B])


def rung() -> Story:
    story = Story()
    story.begin()
    story.reply(180)
    return story


def test_an_answer_is_acknowledged_media_opened_and_then_told() -> None:
    story = rung()
    assert story.reply(200, body=ANSWER) == ["b ACK", "media", "a 200 INVITE", "answered"]
    assert story.ack(A) == []
    assert story.call.state is State.CONFIRMED


def test_the_2xx_is_repeated_until_its_ack() -> None:
    story = rung()
    story.reply(200, body=ANSWER)
    assert story.wait(4) == ["a 200 INVITE"] * 3  # after 0.5, 1.5 and 3.5 s
    story.ack(A)
    assert story.wait(40) == []


def test_a_caller_that_never_acknowledges_is_ended_after_64_t1() -> None:
    story = rung()
    story.reply(200, body=ANSWER)
    told = story.wait(33)
    assert told[-4:] == ["media off", "ports", "a BYE", "b BYE"]
    assert story.call.ending is not None
    assert story.call.ending.status == 408


def test_an_ack_of_another_number_acknowledges_nothing() -> None:
    story = rung()
    story.reply(200, body=ANSWER)
    story.ack(A, cseq=7)
    assert story.wait(1) == ["a 200 INVITE"]


def test_a_repeated_2xx_of_the_callee_gets_the_same_ack() -> None:
    story = rung()
    story.reply(200, body=ANSWER)
    first = story.request(B)
    assert story.reply(200, body=ANSWER, to=story.sent[0]) == ["b ACK"]
    assert story.request(B) == first


def test_the_first_2xx_is_not_answered_with_a_later_ack() -> None:
    story = rung()
    story.reply(200, body=ANSWER)
    story.ack(A)
    story.ask(A, "INVITE", sdp(version=2))
    story.reply(200, body=ANSWER)
    assert story.reply(200, body=ANSWER, to=story.sent[0]) == []


def test_a_second_fork_is_acknowledged_and_ended_once() -> None:
    story = rung()
    story.reply(200, body=ANSWER, tag="fork-1")
    told = story.reply(
        200,
        body=ANSWER,
        to=story.sent[0],
        tag="fork-2",
        headers=("Record-Route: <sip:proxy.inside.example;lr>",),
        contact="<sip:second@192.168.1.77>",
    )
    assert told == ["b ACK", "b BYE"]
    bye = story.request(B)
    assert bye.to_tag == "fork-2"
    assert bye.uri_text == "sip:second@192.168.1.77"
    assert bye.headers.all("route") == ["<sip:proxy.inside.example;lr>"]
    assert story.reply(200, to=story.sent[0], tag="fork-2") == ["b ACK"]
    assert story.reply(200) == []
    assert story.ack(A) == []
    assert story.call.state is State.CONFIRMED


def test_a_fork_that_answers_while_the_call_ends_is_ended_too() -> None:
    story = rung()
    story.reply(200, body=ANSWER, tag="fork-1")
    story.ack(A)
    story.ask(A, "BYE")
    assert story.reply(200, to=story.sent[0], tag="fork-2") == ["b ACK", "b BYE"]
    assert story.reply(200, to=story.sent_to(B, "BYE")) == []
    assert story.reply(200, to=story.sent[-2]) == ["ended"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"v=nonsense",
        sdp("m=video 9 RTP/AVP 8\r\n", host=HOSTS[B]),
        sdp("m=audio 9 RTP/AVP 9\r\n", host=HOSTS[B]),
        sdp("m=audio 9 RTP/SAVP 8\r\n", host=HOSTS[B]),
    ],
    ids=["none", "malformed", "other kind", "other codec", "other profile"],
)
def test_an_answer_that_is_none_ends_both_sides_and_quotes_nothing(body: bytes) -> None:
    story = rung()
    told = story.reply(200, body=body)
    assert told == ["a 502 INVITE", "media off", "ports", "b ACK", "b BYE"]
    said = str(story.response(A))
    assert HOSTS[B] not in said
    assert "nonsense" not in said
    assert story.reply(200) == ["ended"]


def test_an_early_answer_stands_for_a_missing_one() -> None:
    story = Story()
    story.begin()
    story.reply(183, body=ANSWER)
    assert story.reply(200)[-1] == "answered"
    assert description(story.response(A)).media[0].port


def test_a_relay_that_refuses_the_answer_s_media_is_a_503_and_no_answered_call() -> None:
    story = rung()
    story.reply(200, body=ANSWER)
    told = story.tell(MediaRefused("cannot bind 192.168.1.2:1"))
    assert told == ["a 503 INVITE", "media off", "ports", "b BYE"]
    assert "192.168" not in str(story.commands[0])
    assert story.call.answered_at is None
    assert story.reply(200) == ["ended"]


def test_a_late_offer_goes_up_in_the_2xx_and_its_answer_down_in_the_ack() -> None:
    story = Story(a_call(an_invite(b"")))
    assert story.begin() == ["a 100 INVITE", "media", "b INVITE"]
    assert not story.request(B).body
    told = story.reply(200, body=sdp(host=HOSTS[B]))
    assert told == ["media", "a 200 INVITE", "answered"]
    assert description(story.response(A)).media[0].port == story.call.lines[0].a.port
    assert story.ack(A, sdp()) == ["b ACK", "media"]
    assert description(story.request(B)).media[0].port == story.call.lines[0].b.port
    assert story.call.plan is not None
    assert story.call.plan.streams[0].a.remote == (HOSTS[A], 40000)


def test_a_repeated_2xx_with_a_late_offer_waits_for_the_caller_s_answer() -> None:
    story = Story(a_call(an_invite(b"")))
    story.begin()
    story.reply(200, body=sdp(host=HOSTS[B]))
    assert story.reply(200, body=sdp(host=HOSTS[B])) == []
    story.ack(A, sdp())
    assert story.reply(200, body=sdp(host=HOSTS[B])) == ["b ACK"]


def test_a_late_offer_that_never_comes_is_502() -> None:
    story = Story(a_call(an_invite(b"")))
    story.begin()
    assert story.reply(200) == ["a 502 INVITE", "media off", "ports", "b ACK", "b BYE"]


def test_a_late_offer_that_needs_more_ports_than_there_are_ends_cleanly() -> None:
    ports = FakePorts(most=2)
    story = Story(a_call(an_invite(b""), ports=ports))
    story.begin()
    two = "m=audio 9000 RTP/AVP 8\r\nm=video 9002 RTP/AVP 34\r\n"
    told = story.reply(200, body=sdp(two, host=HOSTS[B]))
    assert told == ["a 502 INVITE", "media off", "ports", "b ACK", "b BYE"]
    assert not ports.out


@pytest.mark.parametrize("body", [b"", b"v=nonsense"])
def test_an_ack_without_the_answer_it_owes_ends_the_call(body: bytes) -> None:
    story = Story(a_call(an_invite(b"")))
    story.begin()
    story.reply(200, body=sdp(host=HOSTS[B]))
    assert story.ack(A, body) == ["b ACK", "media off", "ports", "a BYE", "b BYE"]


def test_a_callee_that_waits_for_a_late_answer_gets_an_ack_when_the_caller_is_gone() -> None:
    story = Story(a_call(an_invite(b"")))
    story.begin()
    story.reply(200, body=sdp(host=HOSTS[B]))
    told = story.wait(33)
    assert told[-5:] == ["b ACK", "media off", "ports", "a BYE", "b BYE"]
