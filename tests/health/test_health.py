"""Health of hops: signs in, states and probes out.

Spec: RFC 3261 §11, §21.5.4.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sbc.health.health import SOON_S, SPREAD_S, Command, Health
from sbc.health.record import LONGEST_REST_S, MAX_EVIDENCE, HopChanged, HopRests
from sbc.health.states import State
from sbc.routing.hops import HealthRule, Hop
from sbc.routing.model import Listener, Network, NetworkAddress, Peer, Settings
from sbc.sip.flow import Flow
from sbc.sip.message import Response, make_response, serialize
from sbc.sip.parser import parse_message_untrusted
from sbc.sip.user import Abandon, SendRequest

OUTSIDE = Network(
    "outside",
    (Listener("udp", 4, "0.0.0.0", 5060, "203.0.113.10"),),
    (NetworkAddress(4, "0.0.0.0", "203.0.113.10"),),
    (30000, 39999),
)
SETTINGS = Settings((OUTSIDE,), (), ())
FLOW = Flow("outside", "udp", ("0.0.0.0", 5060), ("192.0.2.10", 5070))
HOP = Hop("carrier", FLOW)
OTHER = Hop("carrier", FLOW._replace(remote=("192.0.2.11", 5060)))
PASSIVE = HealthRule(fail_after=3, recover_after=2, interval_s=30)
PROBED = HealthRule("options", 30, 4, 3, 2)


class Watch:
    """Health, and a clock that only moves when told."""

    def __init__(self, rule: HealthRule = PASSIVE, *hops: Hop) -> None:
        self.health = Health(7)
        self.now = 100.0
        self.hops = hops or (HOP,)
        self._numbers = count(1)
        self.configure(rule)

    def configure(self, rule: HealthRule, **peer: object) -> list[str]:
        self.peer = Peer("carrier", "trunk", "outside", health=rule, **peer)  # type: ignore[arg-type]  # a word of the test
        hops = dict.fromkeys(self.hops, self.peer)
        return words(self.health.configure(SETTINGS, hops, self.now))

    def life(self, hop: Hop = HOP) -> list[str]:
        return words(self.health.saw(hop, "INVITE answered 180 Ringing", self.now, alive=True))

    def failure(self, hop: Hop = HOP, wait_s: int = 0) -> list[str]:
        return words(
            self.health.saw(
                hop,
                "INVITE answered 503 Service Unavailable",
                self.now,
                alive=False,
                retry_after_s=wait_s,
            )
        )

    def down(self) -> "Watch":
        for _ in range(3):
            self.failure()
        assert self.state is State.DOWN
        return self

    def wait(self, seconds: float) -> list[str]:
        """Let time pass; what is asked for with the time it is asked at."""
        end, told = self.now + seconds, []
        while (due := self.health.next_timeout()) is not None and due <= end:
            self.now = max(self.now, due)
            branches = (f"z9hG4bKus.-.{n:016x}" for n in self._numbers)
            told += self.took(self.health.handle_timeout(self.now, branches))
        self.now = end
        return told

    def took(self, commands: Sequence[Command]) -> list[str]:
        self.sent = [one for one in commands if isinstance(one, SendRequest)] or self.sent
        return words(commands)

    sent: Sequence[SendRequest] = ()

    def answer(self, status: int = 200, *headers: tuple[str, str], reason: str = "") -> list[str]:
        asked = self.sent[-1]
        response = make_response(asked.request, status, reason or None, "theirs")
        for name, value in headers:
            response.headers.append(name, value)
        parsed = parse_message_untrusted(serialize(response))
        assert isinstance(parsed, Response)
        return words(self.health.reply(asked.ref, parsed, self.now))

    @property
    def state(self) -> State:
        record = self.health.record(self.hops[0])
        assert record is not None
        return record.state

    @property
    def admits(self) -> bool:
        return self.health.admits(self.hops[0], self.now)


def words(commands: Sequence[Command]) -> list[str]:
    told = []
    for one in commands:
        if isinstance(one, SendRequest):
            told.append(one.request.method)
        elif isinstance(one, Abandon):
            told.append("abandon")
        elif isinstance(one, HopRests):
            told.append(f"rests {one.seconds:g}")
        else:
            assert isinstance(one, HopChanged)
            told.append(f"{one.before.value}->{one.after.value}: {one.evidence}")
    return told


class TestSignsOfCalls:
    def test_a_hop_nobody_called_is_used(self) -> None:
        watch = Watch()
        assert (watch.state, watch.admits) == (State.UNKNOWN, True)

    def test_each_change_is_told_once_with_what_caused_it(self) -> None:
        watch = Watch()
        assert watch.life() == ["unknown->up: INVITE answered 180 Ringing"]
        assert watch.life() == []
        assert watch.failure() == ["up->suspect: INVITE answered 503 Service Unavailable"]
        assert watch.failure() == []
        assert watch.failure() == ["suspect->down: INVITE answered 503 Service Unavailable"]
        assert watch.failure() == []

    def test_a_suspect_is_still_used_and_one_sign_of_life_clears_it(self) -> None:
        watch = Watch()
        watch.failure()
        assert (watch.state, watch.admits) == (State.SUSPECT, True)
        assert watch.life() == ["suspect->up: INVITE answered 180 Ringing"]

    def test_failures_count_in_a_row_only(self) -> None:
        watch = Watch()
        for _ in range(5):
            watch.failure()
            watch.failure()
            watch.life()
        assert watch.state is State.UP

    def test_how_long_the_state_before_lasted_is_told(self) -> None:
        watch = Watch()
        watch.now += 5
        watch.life()
        watch.now += 60
        (news,) = watch.health.saw(HOP, "x", watch.now, alive=False)
        assert isinstance(news, HopChanged)
        assert news.lasted_s == 60

    def test_of_a_place_that_is_none_of_ours_nothing_is_kept(self) -> None:
        watch = Watch()
        assert watch.failure(OTHER) == []
        assert watch.health.record(OTHER) is None
        assert watch.health.admits(OTHER, 0)

    def test_a_failed_transport_is_told_in_its_own_words(self) -> None:
        watch = Watch()
        watch.health.flow_failed(FLOW, "connection refused")
        evidence = "INVITE failed: transport"
        assert words(watch.health.saw(HOP, evidence, watch.now, alive=False)) == [
            "unknown->suspect: INVITE failed: transport (connection refused)"
        ]

    def test_of_a_connection_too(self) -> None:
        tls = FLOW._replace(transport="tls", peer="carrier")
        watch = Watch(PASSIVE, Hop("carrier", tls))
        watch.health.flow_failed(tls._replace(connection=9), "certificate has expired")
        (told,) = words(watch.health.saw(watch.hops[0], "INVITE failed: transport", 0, alive=False))
        assert told.endswith("INVITE failed: transport (certificate has expired)")

    def test_what_a_peer_says_is_kept_in_part_only(self) -> None:
        watch = Watch()
        (told,) = words(watch.health.saw(HOP, "x" * 9999, watch.now, alive=True))
        assert told.count("x") == MAX_EVIDENCE


class TestTrials:
    def test_one_call_in_each_interval_tries_a_hop_that_is_down(self) -> None:
        watch = Watch().down()
        assert not watch.admits
        watch.now += 30
        assert [watch.admits, watch.admits] == [True, False]
        watch.failure()
        watch.now += 29
        assert not watch.admits
        watch.now += 1
        assert watch.admits

    def test_life_lets_the_next_one_follow_at_once_until_there_was_enough(self) -> None:
        watch = Watch().down()
        watch.now += 30
        assert watch.admits
        assert watch.life() == []
        assert watch.admits
        assert watch.life() == ["down->up: INVITE answered 180 Ringing"]
        assert [watch.admits, watch.admits] == [True, True]

    def test_where_probes_are_on_no_call_is_a_trial(self) -> None:
        watch = Watch(PROBED).down()
        watch.now += 3600
        assert not watch.admits


class TestRest:
    def test_a_hop_that_says_so_is_left_alone_for_that_time(self) -> None:
        watch = Watch()
        assert watch.failure(wait_s=20)[-1] == "rests 20"
        watch.now += 19
        assert not watch.admits
        watch.now += 1
        assert watch.admits

    def test_nobody_takes_itself_out_of_service_for_days(self) -> None:
        assert Watch().failure(wait_s=999999999)[-1] == f"rests {LONGEST_REST_S:g}"


class TestProbes:
    def probed(self) -> Watch:
        """A watch whose first probe was sent."""
        watch = Watch(PROBED)
        assert watch.wait(SPREAD_S) == ["OPTIONS"]
        return watch

    def test_nobody_is_asked_unless_the_peer_says_so(self) -> None:
        assert Watch().wait(3600) == []
        assert Watch().health.next_timeout() is None

    def test_the_question_names_nobody_and_nothing_inside(self) -> None:
        watch = self.probed()
        request = watch.sent[-1].request
        assert serialize(request).decode() == (
            "OPTIONS sip:192.0.2.10:5070 SIP/2.0\r\n"
            "Via: SIP/2.0/UDP 203.0.113.10:5060;branch=z9hG4bKus.-.0000000000000001;rport\r\n"
            "Max-Forwards: 70\r\n"
            "From: <sip:203.0.113.10>;tag=00000000\r\n"
            "To: <sip:192.0.2.10>\r\n"
            "Call-ID: 00000001\r\n"
            "CSeq: 1 OPTIONS\r\n"
            "Contact: <sip:sbc@203.0.113.10:5060>\r\n"
            "Accept: application/sdp\r\n"
            "User-Agent: sbc\r\n"
            "Content-Length: 0\r\n\r\n"
        )

    def test_a_domain_stands_instead_of_the_address(self) -> None:
        watch = Watch(PROBED)
        watch.configure(PROBED, domain="carrier.example")
        watch.wait(SPREAD_S)
        assert watch.sent[-1].request.uri_text == "sip:carrier.example"
        assert watch.sent[-1].flow == FLOW

    @pytest.mark.parametrize("status", [200, 401, 404, 405, 481, 500, 501, 603])
    def test_any_answer_is_life(self, status: int) -> None:
        watch = self.probed()
        (told,) = watch.answer(status, reason="So")
        assert told == f"unknown->up: OPTIONS answered {status} So"

    @pytest.mark.parametrize("status", [408, 503])
    def test_but_what_says_that_nobody_is_behind_it(self, status: int) -> None:
        watch = self.probed()
        (told,) = watch.answer(status, reason="So")
        assert told == f"unknown->suspect: OPTIONS answered {status} So"

    def test_503_says_for_how_long(self) -> None:
        watch = self.probed()
        assert watch.answer(503, ("Retry-After", "60"))[-1] == "rests 60"

    def test_what_is_no_final_answer_is_waited_past(self) -> None:
        watch = self.probed()
        assert watch.answer(100) == []
        assert watch.state is State.UNKNOWN

    def test_without_an_answer_it_failed_and_its_transaction_ends(self) -> None:
        watch = self.probed()
        late = watch.sent
        told = watch.wait(4)
        assert told[0] == "abandon"
        assert told[1] == "unknown->suspect: OPTIONS got no answer within 4 s"
        watch.sent = late
        assert watch.answer(200) == []

    def test_in_doubt_the_next_follows_soon_until_it_is_down(self) -> None:
        watch = self.probed()
        told = watch.wait(3 * (4 + SOON_S))
        assert told.count("OPTIONS") == 2
        assert told[-1] == "suspect->down: OPTIONS got no answer within 4 s"
        assert watch.wait(26) == []
        assert "OPTIONS" in watch.wait(8)

    def test_a_failed_call_brings_the_next_one_forward(self) -> None:
        watch = self.probed()
        watch.answer()
        watch.now += 2
        watch.failure()
        assert watch.wait(SOON_S) == ["OPTIONS"]

    def test_many_failed_calls_do_not_put_it_off(self) -> None:
        watch = self.probed()
        watch.answer()
        told: list[str] = []
        for _ in range(20):
            watch.failure()
            told += watch.wait(0.1)
        assert "OPTIONS" in told

    def test_one_that_is_down_comes_back_by_probes_within_seconds_of_the_first_answer(self) -> None:
        watch = self.probed().down()
        watch.wait(5)
        while not watch.wait(1):
            pass
        assert watch.answer() == []
        assert watch.wait(SOON_S) == ["OPTIONS"]
        assert watch.answer() == ["down->up: OPTIONS answered 200 OK"]
        assert watch.wait(26) == []

    def test_a_failed_transport_ends_it_at_once(self) -> None:
        watch = self.probed()
        watch.health.flow_failed(FLOW, "port unreachable")
        told = words(watch.health.failed(watch.sent[-1].ref, "transport", watch.now))
        assert told == ["unknown->suspect: OPTIONS failed: transport (port unreachable)"]
        assert watch.wait(SOON_S) == ["OPTIONS"]

    def test_hops_are_not_probed_in_step(self) -> None:
        hops = [Hop("carrier", FLOW._replace(remote=("192.0.2.1", 5000 + n))) for n in range(50)]
        watch = Watch(PROBED, *hops)
        told = [len(watch.wait(PROBED.timeout_s / 8)) for _ in range(8)]
        assert sum(told) > 30
        assert max(told) < 12


class TestConfiguration:
    def test_what_is_known_of_hops_that_stay_is_kept(self) -> None:
        watch = Watch().down()
        watch.configure(replace(PASSIVE, interval_s=5))
        assert watch.state is State.DOWN

    def test_hops_that_go_are_forgotten_with_their_probes(self) -> None:
        watch = Watch(PROBED)
        watch.wait(SPREAD_S)
        watch.hops = ()
        assert watch.configure(PROBED) == ["abandon"]
        assert watch.health.record(HOP) is None
        assert watch.health.next_timeout() is None

    def test_probes_end_and_begin_as_the_peer_says(self) -> None:
        watch = Watch(PROBED)
        watch.wait(SPREAD_S)
        assert watch.configure(PASSIVE) == ["abandon"]
        assert watch.wait(100) == []
        watch.configure(PROBED)
        assert "OPTIONS" in watch.wait(SPREAD_S)

    def test_the_same_again_disturbs_no_probe_under_way(self) -> None:
        watch = Watch(PROBED)
        watch.wait(SPREAD_S)
        assert watch.configure(PROBED) == []
        assert watch.answer() == ["unknown->up: OPTIONS answered 200 OK"]


class OneAtATime(Watch):
    """A watch that knows which probes are under way."""

    def __init__(self) -> None:
        self.open: set[str] = set()
        super().__init__(PROBED)

    def took(self, commands: Sequence[Command]) -> list[str]:
        for one in commands:
            if isinstance(one, SendRequest):
                assert not self.open
                self.open.add(one.ref)
            elif isinstance(one, Abandon):
                self.open.remove(one.ref)
        return super().took(commands)

    def over(self, status: int) -> None:
        """Every probe under way is answered, or fails with status 0."""
        for ref in self.open:
            if status:
                self.answer(status)
            else:
                self.took(self.health.failed(ref, "transport", self.now))
        self.open.clear()


DEEDS: list[Callable[[OneAtATime], object]] = [
    lambda watch: watch.life(),
    lambda watch: watch.failure(),
    lambda watch: watch.failure(wait_s=9),
    lambda watch: watch.over(200),
    lambda watch: watch.over(503),
    lambda watch: watch.over(0),
    lambda watch: watch.wait(0.5),
    lambda watch: watch.wait(4),
    lambda watch: watch.wait(40),
    lambda watch: watch.took(watch.health.configure(SETTINGS, {HOP: watch.peer}, watch.now)),
]


@given(st.lists(st.sampled_from(DEEDS), max_size=60))
def test_whatever_happens_one_probe_is_under_way_or_due(
    deeds: list[Callable[[OneAtATime], object]],
) -> None:
    watch = OneAtATime()
    for deed in deeds:
        deed(watch)
        due = watch.health.next_timeout()
        assert due is not None
        assert due <= watch.now + 1.1 * PROBED.interval_s
