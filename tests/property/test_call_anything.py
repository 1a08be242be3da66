"""A call takes any events in any order, never raises, and ends clean when it is given up.

The events are made of what real messages are made of, and of what hostile ones are: the parser has
let them through, so the call must live with them.
"""

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from media.types import SideName
from sbc.b2bua.events import MediaNoted, MediaRefused, MediaSilent
from sbc.b2bua.table import State
from sbc.policy.load import combine, load_policy
from sbc.policy.model import PolicySet
from sbc.routing.accounts import Account
from sbc.routing.codecs import CodecRules
from sbc.routing.model import MediaRules
from sbc.routing.repair import QUIRKS, Quirk
from sbc.sip.user import SendRequest
from tests.kit.call import (
    AVP,
    HOSTS,
    KEY,
    SAVP,
    SUITE,
    FakePorts,
    Story,
    a_call,
    an_invite,
    sdp,
    words,
)
from tests.kit.pair import BACKUP, CALLEE, CALLER

SIDES = st.sampled_from(list(SideName))
METHODS = st.sampled_from(
    ["INVITE", "UPDATE", "INFO", "OPTIONS", "BYE", "PRACK", "REFER", "MESSAGE", "NOTIFY", "X"]
)
STATUSES = st.sampled_from(
    [100, 180, 183, 199, 200, 202, 302, 401, 407, 408, 481, 487, 491, 500, 503]
)
MEDIA = st.sampled_from(
    [
        AVP,
        SAVP,
        f"m=audio 9 RTP/SAVP 8\r\na=crypto:2 {SUITE} {KEY}\r\n",
        AVP + "a=sendonly\r\n",
        AVP + "c=IN IP4 0.0.0.0\r\n",
        AVP + "a=rtcp-mux\r\n",
        AVP + "m=video 4 RTP/AVP 34\r\n",
        AVP + "m=video 0 RTP/AVP 34\r\n",
        "m=audio 0 RTP/AVP 8\r\n",
        "m=video 4 RTP/AVP 34\r\n",
        "m=image 4 udptl t38\r\n",
        "m=audio 9 UDP/TLS/RTP/SAVPF 8\r\n",
        "m=audio 9 RTP/AVPF 8 9 111\r\na=rtpmap:111 opus/48000/2\r\na=rtcp-fb:* nack\r\n",
        "",
    ]
)
HOST = st.sampled_from([*HOSTS.values(), "2001:db8::9", "phone.example"])
BODIES = st.one_of(
    st.just(b""),
    st.just(b"v=0\r\nnonsense"),
    st.builds(
        lambda media, host, v: sdp(media, host=host, version=v), MEDIA, HOST, st.integers(1, 3)
    ),
)
THEIRS = 'Digest username="u", realm="theirs", nonce="n", uri="sip:h", response="00"'
HEADERS = st.lists(
    st.sampled_from(
        [
            "Require: 100rel",
            "Require: timer",
            "Content-Type: multipart/mixed;boundary=x",
            "Content-Encoding: gzip",
            "Session-ID: nonsense",
            f"Session-ID: {'c' * 32};remote={'0' * 32}",
            "Reason: SIP;cause=200",
            'Reason: Q.850;cause="',
            "Warning: 399",
            'Warning: 399 host "text"',
            "Record-Route: <sip:proxy;lr>",
            "Record-Route: <broken",
            "P-Asserted-Identity: <<>>",
            "X-Own: 10.0.0.1",
            f"Authorization: {THEIRS}",
            "Supported: timer,,100rel,",
        ]
    ),
    max_size=3,
    unique_by=lambda line: line.partition(":")[0],
).map(tuple)
TAGS = st.sampled_from(["b-tag", "fork-2", "fork-3", ""])
CONTACTS = st.sampled_from([None, "<sip:x@[2001:db8::1]:5060>", "<broken", "*", "<tel:+49>", "x"])
CHALLENGES = st.sampled_from(
    [
        'WWW-Authenticate: Digest realm="r", nonce="1", qop="auth-int"',
        'WWW-Authenticate: Digest realm="r", nonce="2", stale=true, algorithm=SHA-256',
        'Proxy-Authenticate: Digest realm="p", nonce="1", qop="auth"',
        "Proxy-Authenticate: Digest",
    ]
)
ACCOUNTS = st.sampled_from([(), (CALLEE,), (CALLER, CALLEE, BACKUP)])
"""Peers at which we have an account."""
MODES = st.sampled_from(
    [
        *(MediaRules(mode, sdes_in_clear=True) for mode in ("off", "allow", "prefer", "require")),
        MediaRules("prefer"),
        MediaRules("require"),
        MediaRules(codecs=(CodecRules(allow=("pcma",), prefer=("pcma",)),)),
        MediaRules(sdes_in_clear=True, codecs=(CodecRules(remove=("pcma",), kinds=("audio",)),)),
    ]
)

MANIPULATIONS = """
headers:
  - {name: a, on: both, direction: in, do: [{set: Subject, value: "$(header:From)$(caller)"}]}
  - {name: b, on: both, do: [{regex: Subject, match: "(.)", replace: "$(1)$(0)"}, {remove: Reason}]}
  - {name: c, toward: callee, do: [{set: From.display, value: "$(called)"}, {pass: Supported-X}]}
  - {name: d, on: responses, when: {status: [18x, 4xx]}, do: [{add: X-A, value: "$(status)\r"}]}
"""
POLICIES = st.sampled_from([combine([load_policy(t, "p")]) for t in ("{}", MANIPULATIONS)])
REPAIRS = st.sampled_from([{}, {CALLER: frozenset(QUIRKS), CALLEE: frozenset(QUIRKS)}])


class AnyOrder(RuleBasedStateMachine):
    """One call that everything happens to."""

    @initialize(
        body=BODIES,
        headers=HEADERS,
        a=MODES,
        b=MODES,
        most=st.sampled_from([1, 3, 4, 100]),
        accounts=ACCOUNTS,
        policy=POLICIES,
        repairs=REPAIRS,
    )
    def begin(
        self,
        body: bytes,
        headers: tuple[str, ...],
        a: MediaRules,
        b: MediaRules,
        most: int,
        accounts: tuple[str, ...],
        policy: PolicySet,
        repairs: dict[str, frozenset[Quirk]],
    ) -> None:
        self.ports = FakePorts(most)
        invite = an_invite(body, headers=headers)
        call = a_call(invite, rules=(a, b), candidates=(CALLEE, BACKUP), ports=self.ports)
        call.context.logins.configure((name, Account("acme", "s3cret")) for name in accounts)
        call.context.policy, call.context.repairs = policy, repairs
        self.story = Story(call)
        self.story.begin()

    def live(self) -> bool:
        return self.story.call.state is not State.ENDED

    @precondition(live)
    @rule(
        side=SIDES,
        method=METHODS,
        body=BODIES,
        headers=HEADERS,
        cseq=st.one_of(st.none(), st.integers(1, 2000)),
    )
    def ask(
        self, side: SideName, method: str, body: bytes, headers: tuple[str, ...], cseq: int | None
    ) -> None:
        self.story.ask(side, method, body, headers=headers, cseq=cseq)

    @precondition(lambda self: self.live() and self.story.sent)
    @rule(
        data=st.data(),
        status=STATUSES,
        body=BODIES,
        tag=TAGS,
        headers=HEADERS,
        contact=CONTACTS,
    )
    def reply(
        self,
        data: st.DataObject,
        status: int,
        body: bytes,
        tag: str,
        headers: tuple[str, ...],
        contact: str | None,
    ) -> None:
        to: SendRequest = data.draw(st.sampled_from(self.story.sent))
        self.story.reply(status, body=body, to=to, tag=tag, headers=headers, contact=contact)

    @precondition(lambda self: self.live() and self.story.sent)
    @rule(data=st.data(), challenge=CHALLENGES)
    def challenge(self, data: st.DataObject, challenge: str) -> None:
        """Mostly of the last request, as it would be."""
        sent = self.story.sent
        to: SendRequest = data.draw(st.one_of(st.just(sent[-1]), st.sampled_from(sent)))
        status = 407 if challenge.startswith("Proxy") else 401
        self.story.reply(status, to=to, headers=(challenge,))

    @precondition(lambda self: self.live() and self.story.sent)
    @rule(data=st.data(), why=st.sampled_from(["timeout", "transport"]))
    def fail(self, data: st.DataObject, why: str) -> None:
        self.story.fail(why, to=data.draw(st.sampled_from(self.story.sent)))

    @precondition(live)
    @rule(side=SIDES, body=BODIES, cseq=st.one_of(st.none(), st.integers(1, 600)))
    def ack(self, side: SideName, body: bytes, cseq: int | None) -> None:
        self.story.ack(side, body, cseq=cseq)

    @precondition(live)
    @rule(number=st.integers(0, 3), headers=HEADERS)
    def cancel(self, number: int, headers: tuple[str, ...]) -> None:
        self.story.cancel(key=f"s|{number}" if number else "s|invite", headers=headers)

    @precondition(live)
    @rule(event=st.sampled_from([MediaNoted(SideName.A, "x"), MediaSilent(SideName.B, 60.0)]))
    def media(self, event: MediaNoted | MediaSilent) -> None:
        self.story.tell(event)

    @precondition(lambda self: self.live() and "media" in self.commanded())
    @rule()
    def refuse_media(self) -> None:
        """The relay refuses right after it was commanded, and only then."""
        self.story.tell(MediaRefused("10.0.0.1 is taken"))

    @rule(seconds=st.sampled_from([0.1, 1.0, 40.0, 200.0]))
    def wait(self, seconds: float) -> None:
        told = self.story.wait(seconds)
        assert self.live() or not told or told[-1] == "ended"

    def commanded(self) -> list[str]:
        return words(self.story.commands)

    @invariant()
    def ended_means_nothing_is_left(self) -> None:
        if not self.live():
            self.nothing_is_left()

    def nothing_is_left(self) -> None:
        call = self.story.call
        assert call.state is State.ENDED
        assert not self.ports.out
        assert not call.timers
        assert not call.ack_waits
        assert call.plan is None
        assert call.ending is not None
        assert call.ended_at is not None
        assert call.invite is None

    def teardown(self) -> None:
        if not hasattr(self, "story"):
            return
        told: list[str] = []
        if self.live():
            told += self.story.give_up()
            # What we sent gets no answer any more; the transactions give up after 64*T1.
            for asked in list(self.story.sent):
                if self.live():
                    told += self.story.fail("timeout", to=asked)
            told += self.story.wait(400)
            for asked in list(self.story.sent):
                if self.live():
                    told += self.story.fail("timeout", to=asked)
        self.nothing_is_left()


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=150, stateful_step_count=25, deadline=None)


@given(body=BODIES, answer=BODIES, again=BODIES, a=MODES, b=MODES)
@settings(max_examples=200, deadline=None)
def test_the_plan_is_of_what_both_legs_can_do(
    body: bytes, answer: bytes, again: bytes, a: MediaRules, b: MediaRules
) -> None:
    """However the negotiation goes, a side has both keys or none, and SRTP rules are kept."""
    story = Story(a_call(an_invite(body), rules=(a, b)))
    story.begin()
    if story.call.state is State.ENDED:
        return
    story.reply(200, body=answer)
    story.ack(SideName.A, answer if not body else b"")
    if story.call.state is State.CONFIRMED:
        story.ask(SideName.A, "INVITE", again)
    if story.call.plan is None:
        return
    for stream in story.call.plan.streams:
        for side, rules in ((stream.a, a), (stream.b, b)):
            assert (side.send_keys is None) == (side.receive_keys is None)
            if rules.srtp == "require" and (side.sending or side.receiving):
                assert side.send_keys is not None
            if rules.srtp == "off" or not rules.sdes_in_clear:
                assert side.send_keys is None
