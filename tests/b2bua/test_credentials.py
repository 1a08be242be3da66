"""Challenges of a peer at which we have an account: answered on its leg, unseen by the other."""

import json

import pytest

from sbc.b2bua.call import Call, Timer
from sbc.b2bua.snapshot import to_data
from sbc.b2bua.table import State
from sbc.routing.accounts import Account
from sbc.sip.digest import (
    Challenge,
    Credentials,
    ha1_of,
    parse_credentials_untrusted,
)
from sbc.sip.message import Request
from tests.kit.call import HOSTS, A, B, Story, a_call, an_invite, sdp
from tests.kit.pair import BACKUP, CALLEE, CALLER

ANSWER = sdp(host=HOSTS[B])
NOT_OURS = 'Digest username="u", realm="r", nonce="n", uri="sip:h", response="00"'


@pytest.fixture(params=[False, True], ids=["", "restored after each step"])
def restores(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def a_story(
    *accounts: str,
    password: str = "s3cret",
    candidates: tuple[str, ...] = (CALLEE,),
    restores: bool = False,
    invite: Request | None = None,
) -> Story:
    """A call whose callee, or those named, take our account."""
    call = a_call(invite, candidates=candidates)
    names = accounts or (CALLEE,)
    call.context.logins.configure((name, Account("acme", password)) for name in names)
    return Story(call, restores=restores)


def challenge(
    nonce: str = "n1",
    *,
    algorithm: str = "MD5",
    name: str = "Proxy-Authenticate",
    stale: bool = False,
) -> tuple[str, ...]:
    return (f"{name}: {Challenge('carrier', nonce, algorithm, stale=stale)}",)


def credentials(request: Request, name: str = "proxy-authorization") -> Credentials:
    return parse_credentials_untrusted(request.headers.first(name) or "")


def proves(request: Request, name: str = "proxy-authorization") -> bool:
    """Whether a request carries our account's credentials."""
    made = credentials(request, name)
    ha1 = ha1_of(made.algorithm, "acme", "carrier", "s3cret")
    return made.uri == request.uri_text and made.proves(ha1, request.method, request.body)


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256", "SHA-512-256"])
def test_a_challenged_invite_is_sent_again_with_credentials(algorithm: str, restores: bool) -> None:
    story = a_story(restores=restores)
    story.begin()
    first, timers = story.sent[-1], dict(story.call.timers)
    assert story.reply(407, headers=challenge(algorithm=algorithm)) == ["b INVITE"]
    again = story.request(B)
    assert proves(again)
    assert (again.call_id, again.from_tag, again.body) == (
        first.request.call_id,
        first.request.from_tag,
        first.request.body,
    )
    assert (again.cseq.number, again.to_tag) == (2, None)
    assert again.via.branch != first.request.via.branch
    assert (story.call.state, story.call.timers) == (State.CALLING, timers)


def test_the_call_goes_on_as_any_other(restores: bool) -> None:
    story = a_story(restores=restores)
    story.begin()
    story.reply(401, headers=challenge(name="WWW-Authenticate"))
    story.reply(180)
    assert story.reply(200, body=ANSWER) == ["b ACK", "media", "a 200 INVITE", "answered"]
    ack = story.request(B)
    assert ack.cseq.number == 2
    assert proves(story.sent_to(B, "INVITE").request, "authorization")
    assert ack.headers.all("authorization") == (
        story.sent_to(B, "INVITE").request.headers.all("authorization")
    )
    story.ack(A)
    assert story.ask(A, "BYE") == ["a 200 BYE", "media off", "ports", "b BYE"]
    bye = story.request(B)
    assert (bye.cseq.number, credentials(bye, "authorization").count) == (3, 2)
    assert proves(bye, "authorization")


def test_strongest_first_whatever_the_peer_prefers() -> None:
    story = a_story()
    story.begin()
    story.reply(407, headers=(*challenge(algorithm="MD5"), *challenge(algorithm="SHA-256")))
    assert credentials(story.request(B)).algorithm == "SHA-256"


def test_the_next_call_carries_credentials_at_once() -> None:
    story = a_story()
    story.begin()
    story.reply(407, headers=challenge())
    following = a_call()
    following.context.logins = story.call.context.logins
    next_story = Story(following)
    next_story.begin()
    assert credentials(next_story.request(B)).count == 2
    assert proves(next_story.request(B))


def test_a_nonce_gone_stale_is_answered_anew() -> None:
    story = a_story()
    story.begin()
    story.reply(407, headers=challenge("n1"))
    assert story.reply(407, headers=challenge("n2", stale=True)) == ["b INVITE"]
    assert credentials(story.request(B)).nonce == "n2"


def test_an_account_that_is_refused_fails_the_call_and_says_so_to_the_operator() -> None:
    story = a_story(password="wrong")
    story.begin()
    story.reply(407, headers=challenge("n1"))
    assert story.reply(407, headers=challenge("n2")) == [
        "a 500 INVITE",
        "media off",
        "ports",
        "ended",
    ]
    response = story.response(A)
    assert not response.headers.has("proxy-authenticate")
    assert "acme" not in str(list(response.headers.items()))
    ending = story.call.ending
    assert ending is not None
    assert ending.text == (
        "peer 'callee' refused our account 'acme' with 407: "
        "look at username, password and realm of its authentication"
    )


def test_a_peer_that_refuses_our_account_is_passed_over() -> None:
    story = a_story(candidates=(CALLEE, BACKUP), password="wrong")
    story.begin()
    story.reply(407, headers=challenge("n1"))
    assert story.reply(407, headers=challenge("n2")) == ["ports", "media", "b INVITE"]
    assert story.call.b.peer == BACKUP
    assert not story.request(B).headers.has("proxy-authorization")


def test_a_challenge_that_nobody_can_meet_is_a_refusal() -> None:
    story = a_story()
    story.begin()
    assert story.reply(407, headers=("Proxy-Authenticate: Basic realm=x",))[0] == "a 500 INVITE"


def test_who_gave_up_meanwhile_is_not_called_again() -> None:
    story = a_story()
    story.begin()
    story.reply(100)
    story.cancel()
    assert story.reply(407, headers=challenge(), to=story.sent[0]) == ["ended"]


def test_the_caller_may_cancel_after_the_challenge(restores: bool) -> None:
    story = a_story(restores=restores)
    story.begin()
    story.reply(407, headers=challenge())
    story.reply(100)
    told = story.cancel()
    cancel = story.request(B)
    assert told[-1] == "b CANCEL"
    assert (cancel.cseq.number, cancel.via.branch) == (2, story.sent[-1].request.via.branch)
    assert not cancel.headers.has("proxy-authorization")


@pytest.mark.parametrize(
    ("method", "body"),
    [("INVITE", sdp(version=2)), ("UPDATE", sdp(version=2)), ("INFO", b"x"), ("UPDATE", b"")],
)
def test_a_request_inside_the_call_is_sent_again_with_credentials(
    method: str, body: bytes, restores: bool
) -> None:
    story = a_story(restores=restores).answered()
    typed = () if body[:2] in (b"v=", b"") else ("Content-Type: text/plain",)
    story.ask(A, method, body, headers=typed)
    first = story.request(B)
    assert story.reply(407, headers=challenge()) == [f"b {method}"]
    again = story.request(B)
    assert proves(again)
    assert again.cseq.number == first.cseq.number + 1
    assert again.body == first.body
    answer = sdp(host=HOSTS[B], version=2) if b"v=" in body else b""
    assert f"a 200 {method}" in story.reply(200, body=answer)


def test_a_request_inside_whose_account_is_refused_fails_alone() -> None:
    story = a_story(password="wrong").answered()
    story.ask(A, "INFO", b"x", headers=("Content-Type: text/plain",))
    story.reply(407, headers=challenge("n1"))
    assert story.reply(407, headers=challenge("n2")) == ["a 500 INFO"]
    assert not story.response(A).headers.has("proxy-authenticate")
    assert story.call.state is State.CONFIRMED


def test_a_challenged_bye_is_sent_again(restores: bool) -> None:
    story = a_story(restores=restores).answered()
    story.ask(A, "BYE")
    assert story.reply(407, headers=challenge()) == ["b BYE"]
    assert proves(story.request(B))
    assert story.reply(200) == ["ended"]


def test_a_bye_whose_account_is_refused_ends_the_call_all_the_same() -> None:
    story = a_story(password="wrong").answered()
    story.ask(A, "BYE")
    story.reply(407, headers=challenge("n1"))
    assert story.reply(407, headers=challenge("n2")) == ["ended"]


def test_a_reinvite_that_a_hang_up_overtook_is_not_sent_again() -> None:
    story = a_story().answered()
    story.ask(A, "INVITE", sdp(version=2))
    reinvite = story.sent[-1]
    story.ask(A, "BYE")
    story.reply(200)
    assert story.reply(407, headers=challenge(), to=reinvite) == ["ended"]


def test_the_peer_that_called_us_is_answered_too() -> None:
    story = a_story(CALLER).answered()
    story.ask(B, "INFO", b"x", headers=("Content-Type: text/plain",))
    assert story.reply(401, headers=challenge(name="WWW-Authenticate")) == ["a INFO"]
    assert proves(story.request(A), "authorization")


def test_credentials_of_the_caller_go_no_further() -> None:
    headers = (f"Authorization: {NOT_OURS}", f"Proxy-Authorization: {NOT_OURS}")
    story = a_story(invite=an_invite(headers=headers))
    story.begin()
    assert not story.request(B).headers.has("authorization")
    assert not story.request(B).headers.has("proxy-authorization")


def test_what_the_peer_says_of_our_account_goes_no_further() -> None:
    story = a_story()
    story.begin()
    story.reply(407, headers=challenge())
    info = 'Proxy-Authentication-Info: rspauth="00"'
    story.reply(200, body=ANSWER, headers=(info, 'Authentication-Info: rspauth="00"'))
    assert not story.response(A).headers.has("proxy-authentication-info")
    assert not story.response(A).headers.has("authentication-info")


def test_without_an_account_challenges_and_credentials_pass() -> None:
    story = Story(a_call(an_invite(headers=(f"Proxy-Authorization: {NOT_OURS}",))))
    story.begin()
    assert story.request(B).headers.first("proxy-authorization") == NOT_OURS
    assert story.reply(407, headers=challenge())[0] == "a 407 INVITE"
    assert story.response(A).headers.has("proxy-authenticate")


def test_nobody_is_answered_for_ever() -> None:
    story = a_story()
    story.begin()
    told = [story.reply(407, headers=challenge(f"n{number}", stale=True))[0] for number in range(4)]
    assert told == ["b INVITE", "b INVITE", "b INVITE", "a 500 INVITE"]


def test_the_wait_for_an_answer_is_not_begun_anew() -> None:
    story = a_story()
    story.begin()
    story.wait(50)
    story.reply(407, headers=challenge())
    assert story.call.timers[Timer.RING] == 60


def test_what_is_exported_shows_no_password() -> None:
    story = a_story()
    story.begin()
    story.reply(407, headers=challenge())
    assert "s3cret" not in json.dumps(to_data(story.call))
    assert "s3cret" not in repr_of(story.call)


def repr_of(call: Call) -> str:
    return repr((call.a, call.b, call.setup, call.context))
