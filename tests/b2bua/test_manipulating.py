"""Header manipulation in a call: what each leg hears, once, and what the journal says of it."""

import pytest

from sbc.b2bua.call import Call
from sbc.b2bua.events import MediaRefused
from sbc.policy.call_facts import Owners
from sbc.policy.explain import Decided
from sbc.policy.facts import Facts
from sbc.policy.load import load_policy
from sbc.policy.matchers import numbers
from sbc.policy.model import Decision, PolicySet
from sbc.routing.accounts import Account
from sbc.routing.repair import Quirk
from tests.kit.call import HOSTS, A, B, Story, a_call, an_invite, sdp
from tests.kit.pair import BACKUP, CALLEE, CALLER, restored


def a_story(text: str, call: Call | None = None) -> Story:
    policy = load_policy(f"headers:\n{text}", "p")
    assert [str(problem) for problem in policy.problems] == []
    call = call or a_call()
    call.context.policy = PolicySet(headers=policy.headers)
    return Story(call)


def notes(story: Story) -> list[str]:
    entries = story.call.journal.entries
    return [f"{e.side} {e.text}" for e in entries if "headers: " in e.text]


def test_a_rule_changes_what_leaves_and_the_journal_shows_the_lines_that_differ() -> None:
    story = a_story(
        f"- {{name: r, toward: {CALLEE}, when: {{method: INVITE}}, do: "
        "[{set: X-Trunk, value: $(peer) to $(toward)}, {set: From.display, value: $(called)}]}"
    )
    story.begin()
    invite = story.request(B)
    assert invite.headers.first("x-trunk") == f"{CALLER} to {CALLEE}"
    assert invite.from_.display == "600"
    (note,) = notes(story)
    assert note.startswith("b headers: change -From: <sip:alice@")
    assert f"; +X-Trunk: {CALLER} to {CALLEE} by rule 'r' (p:2): method INVITE (INV" in note


def test_the_dialog_goes_on_with_the_from_that_its_invite_had() -> None:
    story = a_story("- {name: r, toward: callee, do: [{set: From.display, value: New}]}")
    story.answered()
    said = story.sent[-1].request.headers.first("from")
    assert '"New"' in (said or "")
    assert story.call.acks[B].headers.first("from") == said
    story.ask(A, "INFO")
    assert story.request(B).headers.first("from") == said
    assert len(notes(story)) == 1


def test_a_cancel_and_a_bye_say_what_the_rules_want_and_why_they_come() -> None:
    story = a_story("- {name: r, toward: callee, do: [{rename: Reason, to: X-Why}]}")
    story.begin()
    story.reply(180)
    story.cancel()
    cancel = story.request(B)
    assert (cancel.method, cancel.headers.has("reason")) == ("CANCEL", False)
    assert cancel.headers.first("x-why")
    story = a_story("- {name: r, do: [{rename: Reason, to: X-Why}]}").answered()
    story.give_up()
    assert story.request(A).headers.first("x-why")
    assert story.request(B).headers.first("x-why")


def test_every_acknowledgement_is_the_same_bytes_each_time() -> None:
    story = a_story("- {name: r, toward: callee, do: [{add: X-A, value: b}]}").answered()
    first = story.call.acks[B]
    assert first.headers.all("x-a") == ["b"]
    story.reply(200, to=story.sent_to(B, "INVITE"), body=sdp(host=HOSTS[B]))
    assert story.request(B) is first
    assert first.headers.all("x-a") == ["b"]


def test_a_2xx_is_changed_once_however_often_it_is_repeated() -> None:
    story = a_story("- {name: r, on: responses, toward: caller, do: [{add: X-A, value: b}]}")
    story.begin()
    story.reply(200, body=sdp(host=HOSTS[B]))
    assert story.response(A).headers.all("x-a") == ["b"]
    story.wait(1)
    assert story.response(A).headers.all("x-a") == ["b"]


def test_rules_for_responses_ask_for_their_status() -> None:
    story = a_story(
        "- {name: r, on: responses, from: callee, when: {status: 6xx}, do: [{remove: Reason}]}"
    )
    story.begin()
    story.reply(180, headers=("Reason: Q.850;cause=1",))
    assert story.response(A).headers.has("reason")
    story.reply(603, headers=("Reason: Q.850;cause=21",))
    assert not story.response(A).headers.has("reason")


def test_a_100_is_nobodys_to_change() -> None:
    story = a_story("- {name: r, on: responses, do: [{set: X-A, value: b}]}")
    story.begin()
    assert not story.response(A).headers.has("x-a")


def test_each_candidate_is_told_what_is_for_it() -> None:
    call = a_call(candidates=(CALLEE, BACKUP))
    story = a_story(f"- {{name: r, toward: {BACKUP}, do: [{{set: X-A, value: b}}]}}", call)
    story.begin()
    assert not story.request(B).headers.has("x-a")
    story.reply(503)
    assert story.request(B).headers.first("x-a") == "b"


def test_what_comes_in_is_changed_before_the_call_hears_it() -> None:
    story = a_story(
        "- {name: a, on: both, direction: in, from: callee, do: [{set: Subject, value: x}]}\n"
        "- {name: b, direction: in, from: caller, do: [{remove: Subject}]}"
    )
    story.answered()
    assert story.call.ack_waits == {}
    story.ask(A, "INFO", headers=("Subject: secret",))
    assert not story.request(B).headers.has("subject")
    story.reply(200)
    assert story.response(A).headers.first("subject") == "x"
    story.ask(B, "INFO")
    assert story.request(A).headers.first("subject") == "x"


def test_the_callee_hears_the_invite_as_rules_left_it_and_the_caller_the_one_it_sent() -> None:
    call = a_call(candidates=(CALLEE, BACKUP))
    call.asked = an_invite(headers=("Subject: changed",))
    call.asked.headers.set("From", "<sip:bob@x>;tag=a-tag")
    story = Story(call)
    story.begin()
    assert story.request(B).headers.first("subject") == "changed"
    story.call = restored(story.call)
    story.reply(503)
    assert story.request(B).from_.uri.user == "bob"
    story.reply(486)
    assert story.response(A).from_.uri.user == "alice"
    assert story.call.asked is None


def test_user_agent_and_an_unknown_header_pass_where_a_rule_lets_them() -> None:
    headers = ("User-Agent: Phone/1", "X-Place: 198.51.100.1")
    story = a_story(
        "- {name: r, from: caller, toward: callee, do: [{pass: User-Agent}, {pass: X-Place}]}",
        a_call(an_invite(headers=headers)),
    )
    story.begin()
    invite = story.request(B)
    assert invite.headers.all("user-agent") == ["Phone/1"]
    assert invite.headers.all("x-place") == ["198.51.100.1"]
    story = a_story("- {name: r, do: [{remove: X-None}]}", a_call(an_invite(headers=headers)))
    story.begin()
    assert story.request(B).headers.all("user-agent") != ["Phone/1"]
    assert not story.request(B).headers.has("x-place")


def test_what_cannot_be_said_is_an_error_in_the_journal_and_the_call_goes_on() -> None:
    story = a_story('- {name: r, toward: callee, do: [{set: X-A, value: "a\\r\\nX-Evil: 1"}]}')
    story.answered()
    assert not story.call.acks[B].headers.has("x-evil")
    first = notes(story)[0]
    assert first.startswith("b headers: rule 'r' (p:2) was not applied: ")
    kinds = {entry.kind for entry in story.call.journal.entries if "headers: " in entry.text}
    assert kinds == {"error"}


def test_the_answer_to_a_challenge_is_not_changed_again() -> None:
    story = a_story("- {name: r, toward: callee, do: [{add: X-A, value: b}]}")
    story.call.context.logins.configure([(CALLEE, Account("acme", "secret"))])
    story.begin()
    story.reply(407, headers=('Proxy-Authenticate: Digest realm="r", nonce="n", qop="auth"',))
    again = story.request(B)
    assert again.headers.has("proxy-authorization")
    assert again.headers.all("x-a") == ["b"]


def repairing(story: Story, peer: str, *quirks: Quirk) -> Story:
    story.call.context.repairs = {peer: frozenset(quirks)}
    return story


def test_what_a_peer_is_known_to_do_wrong_is_put_right_before_the_call_hears_it() -> None:
    story = repairing(Story(), CALLEE, "progress-without-sdp")
    story.begin()
    assert story.reply(183) == ["a 180 INVITE"]
    assert [entry.text for entry in story.call.journal.entries if entry.side == "b"][-1] == (
        "repaired: progress-without-sdp: 183 is taken for 180"
    )
    assert repairing(Story(), CALLER, "progress-without-sdp").begin()
    story = repairing(Story(), CALLER, "progress-without-sdp")
    story.begin()
    assert story.reply(183) == ["a 183 INVITE"]


def test_a_private_contact_is_replaced_by_the_source_for_all_that_follows() -> None:
    story = repairing(Story(), CALLEE, "contact-private")
    story.begin()
    story.reply(200, body=sdp(host=HOSTS[B]), contact="<sip:b@10.9.9.9:5070>")
    host, port = story.call.b.flow.remote
    assert story.call.b.dialog is not None
    assert story.call.b.dialog.remote_target == f"sip:b@{host}:{port}"


def test_a_peer_that_fails_at_session_timers_is_told_of_none() -> None:
    invite = an_invite(headers=("Session-Expires: 1800", "Supported: timer"))
    story = repairing(Story(a_call(invite)), CALLEE, "session-timer-broken")
    story.begin()
    sent = story.request(B).headers
    assert not sent.has("session-expires")
    assert not sent.has("supported")


def test_a_description_of_a_broken_peer_is_told_with_the_repair_that_there_is() -> None:
    story = Story(a_call(an_invite(sdp("m=audio 40000 RTP/SAVP 8\r\n"))))
    story.begin()
    texts = [entry.text for entry in story.call.journal.entries]
    assert (
        f"peer {CALLER!r} says RTP/SAVP without a key; `repair: [savp-no-crypto]` takes it for RTP"
        in texts
    )


def test_the_failure_in_place_of_an_answer_is_changed_like_any_answer() -> None:
    story = a_story("- {name: r, on: responses, when: {status: 503}, do: [{set: X-A, value: b}]}")
    story.begin()
    story.reply(200, body=sdp(host=HOSTS[B]))
    assert story.tell(MediaRefused("no port is free"))[0] == "a 503 INVITE"
    assert story.response(A).headers.first("x-a") == "b"


FOREIGN = "P-Asserted-Identity: <sip:+12025550123@x.example>"


def by_user(name: str) -> Call:
    """A call of a user that logged in, and may present one number."""
    call = a_call(an_invite(headers=("P-Asserted-Identity: <sip:+12025550123@x.example>",)))
    owners = Owners(users={name: numbers(["alice"])})
    facts = Facts("outside", True, "192.0.2.1", "INVITE", owners=owners, user=name)
    call.decided = Decided(PolicySet(), facts, Decision("allow", "all", ""))
    return call


@pytest.mark.parametrize("when", ["user: alice", "authenticated: true", "presents: foreign"])
def test_rules_know_who_logged_in_of_whatever_the_caller_sends(when: str) -> None:
    rule = f"- {{name: r, on: both, when: {{{when}}}, do: [{{set: X-A, value: b}}]}}"
    story = a_story(rule, by_user("alice"))
    story.begin()
    assert story.request(B).headers.first("x-a") == "b"
    story = a_story(rule, by_user("alice")).answered()
    story.ask(A, "INFO", headers=(FOREIGN,))
    assert story.request(B).headers.first("x-a") == "b"
    story.reply(200)
    assert not story.response(A).headers.has("x-a")
    story.ask(B, "INFO", headers=(FOREIGN,))
    assert not story.request(A).headers.has("x-a")


def test_who_calls_a_service_calls_its_number_for_rules_too() -> None:
    call = a_call()
    call.callee = "urn:service:sos"
    do = "[{set: X-A, value: $(called)}]"
    story = a_story(f"- {{name: r, toward: callee, when: {{emergency: true}}, do: {do}}}", call)
    story.begin()
    assert story.request(B).headers.first("x-a") == "112"
