"""What is held against sources, and what is done about it: never more than they prove."""

import tracemalloc
from dataclasses import replace
from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sbc.policy.ban_data import ban_from_data, ban_to_data
from sbc.policy.ban_rules import BanRules
from sbc.policy.bans import MOST_MUTES, OPERATOR, Bans, Mute, canonical, source_of
from sbc.policy.guard import GUESSES, UNMET, Attacked, Banned, Guard, Lifted, Muted, Refused
from sbc.policy.offences import WEIGHTS, Known, Observation, Offence, Proof, Standing
from sbc.policy.scores import SUBJECTS
from sbc.prefixes import IpNetwork
from sbc.sip.flow import Flow

RULES = BanRules()
WALL = 1.7e9
HOST = "198.51.100.66"


def flow(host: str = HOST, port: int = 5060, transport: str = "udp") -> Flow:
    connection = 0 if transport == "udp" else 1
    return Flow("outside", transport, ("0.0.0.0", 5060), (host, port), connection)


def seen(
    offence: Offence = Offence.MALFORMED,
    proof: Proof = Proof.CONNECTION,
    subject: str = "",
    source: Flow | None = None,
) -> Observation:
    return Observation(offence, source or flow(), proof, "it was so", "call-1", subject)


def guard(
    rules: BanRules | None = RULES,
    standing: Standing = Standing.STRANGER,
    protected: str = "",
    most: int = 64,
) -> Guard:
    def protects(source: IpNetwork) -> str:
        return "peer 'trunk'" if protected and source.overlaps(ip_network(protected)) else ""

    return Guard(
        rules, known=lambda _: Known(standing), protects=protects, wall=lambda: WALL, most=most
    )


def banned(watch: Guard, observation: Observation, now: float = 0.0, most: int = 500) -> Banned:
    """The ban that an observation leads to when it is made often enough at one time."""
    for _ in range(most):
        for measure in watch.observe(observation, now):
            if isinstance(measure, Banned):
                return measure
    raise AssertionError("nobody was banned")


def blocked(
    watch: Guard, now: float, host: str = HOST, port: int = 5060, connection: int = 0
) -> bool:
    flow = (host, port, connection) if connection else (host, port)
    return watch.bans.blocked("outside", flow, now) is not None


def test_a_source_that_proved_where_it_is_gets_banned_at_the_threshold() -> None:
    watch = guard()
    measures = [watch.observe(seen(), 0.0) for _ in range(10)]
    assert measures[:9] == [[]] * 9
    (measure,) = measures[9]
    assert isinstance(measure, Banned)
    ban = measure.ban
    assert (str(ban.source), ban.since, ban.seconds) == ("198.51.100.66/32", WALL, 600.0)
    assert ban.score == 100.0
    assert (ban.evidence[-1].what, ban.evidence[-1].call_id) == ("it was so", "call-1")
    assert ban.evidence[-1].source == "198.51.100.66:5060/udp"
    assert blocked(watch, 599.0)
    assert blocked(watch, 1.0, port=0)
    assert ban.hits == 2
    assert not blocked(watch, 600.0)


def test_what_a_forged_datagram_can_cause_is_a_short_mute_of_one_flow() -> None:
    watch = guard()
    measures = [m for _ in range(1000) for m in watch.observe(seen(proof=Proof.NONE), 0.0)]
    assert measures
    assert all(isinstance(m, Muted) and m.seconds == RULES.mute_s for m in measures)
    assert blocked(watch, 29.0)
    assert not blocked(watch, 29.0, port=5061)
    assert not blocked(watch, 30.0)
    assert len(watch.bans) == 0


@given(
    st.lists(
        st.tuples(
            st.sampled_from(Offence),
            st.sampled_from([HOST, "198.51.100.67", "2001:db8::1"]),
            st.integers(1, 5),
            st.text(max_size=3),
            st.floats(0, 100),
        ),
        max_size=200,
    )
)
def test_no_observation_without_proof_ever_bans(
    events: list[tuple[Offence, str, int, str, float]],
) -> None:
    watch, now = guard(), 0.0
    for offence, host, port, subject, pause in events:
        now += pause
        one = seen(offence, Proof.NONE, subject, flow(host, port))
        for measure in (*watch.observe(one, now), *watch.challenged(one, now)):
            assert isinstance(measure, Muted)
            assert measure.seconds <= RULES.mute_s
            assert measure.flow[1] == host
    assert len(watch.bans) == 0


@given(
    st.sampled_from([Standing.NEIGHBOUR, Standing.REGISTERED, Standing.PROTECTED, Standing.SPARED]),
    st.lists(st.tuples(st.sampled_from(Offence), st.sampled_from(Proof)), max_size=100),
)
def test_whoever_is_not_a_stranger_is_never_banned(
    standing: Standing, events: list[tuple[Offence, Proof]]
) -> None:
    watch = guard(standing=standing)
    for offence, proof in events:
        for measure in watch.observe(seen(offence, proof), 0.0):
            assert isinstance(measure, Muted)
            assert measure.throttled is (standing is not Standing.NEIGHBOUR)
            assert standing is not Standing.SPARED
    assert len(watch.bans) == 0


@pytest.mark.parametrize("standing", [Standing.REGISTERED, Standing.PROTECTED, Standing.SPARED])
def test_datagrams_in_the_name_of_a_registered_phone_do_it_no_harm(standing: Standing) -> None:
    watch = guard(standing=standing)
    assert [watch.observe(seen(proof=Proof.NONE), 0.0) for _ in range(99)] == [[]] * 99
    assert not blocked(watch, 0.0)


def test_a_throttled_flow_may_still_bring_a_message_a_second() -> None:
    watch = guard(standing=Standing.REGISTERED)
    for _ in range(10):
        watch.observe(seen(Offence.UNKNOWN_NUMBER, Proof.NONCE, "900"), 0.0)
    for _ in range(10):
        watch.observe(seen(Offence.UNKNOWN_NUMBER, Proof.NONCE, "901"), 0.0)
    assert [blocked(watch, at) for at in (1.0, 1.1, 1.9, 2.0, 2.1)] == [
        False, True, True, False, True,
    ]  # fmt: skip


def test_scores_fade() -> None:
    watch = guard()
    for step in range(200):
        # One in half a half-life: never more than 10 / (1 - 2 ** -0.5), which is 34.
        assert watch.observe(seen(), step * 300.0) == []


def test_a_phone_with_an_old_password_is_muted_ever_longer_and_its_nat_never_banned() -> None:
    watch, now, mutes = guard(), 0.0, []
    while now < 86_400:
        if not blocked(watch, now):
            for measure in watch.observe(
                seen(Offence.WRONG_PASSWORD, Proof.NONCE, "alice", flow(port=40000)), now
            ):
                assert isinstance(measure, Muted)
                mutes.append(measure.seconds)
        now += 5.0
    assert mutes[:3] == [30.0, 60.0, 120.0]
    assert max(mutes) == 3600.0
    assert len(watch.bans) == 0


@pytest.mark.parametrize("new_connection", [False, True])
def test_a_phone_that_tries_an_old_password_every_half_minute_is_left_alone(
    new_connection: bool,
) -> None:
    watch = guard()
    for step in range(3000):
        source = flow(transport="tls")._replace(connection=step if new_connection else 1)
        assert (
            watch.observe(seen(Offence.WRONG_PASSWORD, subject="a", source=source), step * 30.0)
            == []
        )


def test_guessing_the_password_of_one_user_over_ever_new_connections_is_banned() -> None:
    watch = guard()
    guesses = 0
    while not len(watch.bans):
        source = flow(transport="tcp")._replace(connection=guesses)
        watch.observe(seen(Offence.WRONG_PASSWORD, subject="alice", source=source), guesses * 0.1)
        guesses += 1
    assert guesses <= 400


def test_who_guesses_one_password_from_many_sources_is_told_and_locks_nobody_out() -> None:
    watch = guard(standing=Standing.STRANGER)
    told = []
    for number in range(68):
        source = flow(f"198.51.{number}.1", transport="tcp")
        told += watch.observe(seen(Offence.WRONG_PASSWORD, subject="alice", source=source), 0.0)
    assert [(m.user, m.sources) for m in told if isinstance(m, Attacked)] == [
        ("alice", SUBJECTS),
        ("alice", SUBJECTS),
    ]
    assert len(watch.bans) == 0
    forged = seen(Offence.WRONG_PASSWORD, Proof.NONE, "bob")
    assert not any(isinstance(m, Attacked) for _ in range(99) for m in watch.observe(forged, 0.0))


def test_many_users_count_more_than_one() -> None:
    watch = guard(replace(RULES, weights={**WEIGHTS, Offence.UNKNOWN_USER: 1.0}))
    users = 0
    while not len(watch.bans):
        watch.observe(seen(Offence.UNKNOWN_USER, subject=str(users)), 0.0)
        users += 1
    assert GUESSES < users < GUESSES + 6
    assert watch.counters[Offence.MANY_USERS] > 0


def test_challenges_that_are_met_are_no_offence_and_unmet_ones_of_many_users_are() -> None:
    watch = guard()
    many = Offence.MANY_USERS
    for number in range(200):
        assert watch.challenged(seen(many, Proof.NONE, str(number)), 0.0) == []
        watch.succeeded(("outside", HOST, 5060), str(number))
    assert watch.counters[many] == 0
    measures = [
        m for n in range(40) for m in watch.challenged(seen(many, Proof.NONE, f"x{n}"), 0.0)
    ]
    assert isinstance(measures[0], Muted)
    assert watch.counters[many] == 40 - UNMET


def test_a_login_takes_back_what_the_same_user_did_wrong_before_and_nothing_else() -> None:
    # A registrar that forgets its nonces says 401 to the first try of every refresh.
    watch = guard()
    for step in range(200):
        wrong = seen(Offence.WRONG_PASSWORD, Proof.NONCE, "alice")
        assert watch.observe(wrong, float(step)) == []
        watch.succeeded(("outside", HOST, 5060), "alice")
    for number in range(9):
        assert watch.observe(seen(Offence.UNKNOWN_USER, Proof.NONCE, f"u{number}"), 300.0) == []
        watch.succeeded(("outside", HOST, 5060), "alice")
    assert isinstance(watch.observe(seen(Offence.UNKNOWN_USER, Proof.NONCE), 300.0)[0], Banned)


def test_datagrams_with_the_port_of_a_connection_do_it_no_harm() -> None:
    watch = guard(standing=Standing.NEIGHBOUR)
    for _ in range(10):
        watch.observe(seen(proof=Proof.NONE), 0.0)
    assert blocked(watch, 1.0)
    assert not blocked(watch, 1.0, connection=1)
    for _ in range(10):
        watch.observe(seen(source=flow(transport="tcp")), 0.0)
    assert blocked(watch, 1.0, connection=1)


def test_each_further_ban_of_a_source_is_longer() -> None:
    watch = guard()
    first = banned(watch, seen(), 0.0).ban
    second = banned(watch, seen(), 700.0).ban
    third = banned(watch, seen(), 700.0 + 2400.0).ban
    assert [(ban.number, ban.seconds) for ban in (first, second, third)] == [
        (1, 600.0), (2, 2400.0), (3, 9600.0),
    ]  # fmt: skip
    later = 700.0 + 2400.0 + 9600.0 + RULES.longest_s + 1
    watch.expire(later)
    assert banned(watch, seen(), later).ban.number == 1


def test_lifting_a_ban_holds_nothing_against_the_source_any_more() -> None:
    watch = guard()
    ban = banned(watch, seen()).ban
    watch.observe(seen(proof=Proof.NONE), 0.0)
    assert watch.lift(source_of(HOST), "an operator said so") == [
        Lifted(ban, "an operator said so")
    ]
    assert not blocked(watch, 1.0)
    assert [watch.observe(seen(), 1.0) for _ in range(9)] == [[]] * 9
    assert banned(watch, seen(), 1.0).ban.number == 1


def test_in_the_shadow_everything_is_reported_and_nobody_shut_out() -> None:
    watch = guard(replace(RULES, shadow=True))
    ban = banned(watch, seen()).ban
    assert ban.shadow
    assert not blocked(watch, 1.0)
    assert ban.hits == 1
    assert watch.observe(seen(), 1.0) == []
    measures = [m for _ in range(99) for m in watch.observe(seen(proof=Proof.NONE), 0.0)]
    assert all(isinstance(m, Muted) and m.shadow for m in measures)
    assert not blocked(watch, 1.0)


def test_without_a_word_in_the_policies_offences_are_only_counted() -> None:
    watch = guard(None)
    assert [watch.observe(seen(), 0.0) for _ in range(99)] == [[]] * 99
    assert watch.counters[Offence.MALFORMED] == 99


def test_an_ipv6_subscriber_is_banned_with_the_whole_of_its_prefix() -> None:
    watch = guard()
    measure = banned(watch, seen(source=flow("2001:db8:1:2::9", transport="tcp")))
    assert str(measure.ban.source) == "2001:db8:1:2::/64"
    assert blocked(watch, 1.0, "2001:db8:1:2:ffff::1")
    assert not blocked(watch, 1.0, "2001:db8:1:3::9")


def test_an_ipv4_address_is_the_same_however_it_is_written() -> None:
    assert source_of("::ffff:198.51.100.66") == source_of(HOST)
    assert canonical(ip_network("::ffff:198.51.100.0/120")) == ip_network("198.51.100.0/24")
    assert str(canonical(ip_network("fe80::%zone/64"))) == "fe80::/64"
    watch = guard()
    watch.add(canonical(ip_network("::ffff:198.51.100.66")), 60.0, "seen elsewhere", 0.0)
    assert blocked(watch, 1.0)


def test_an_operator_bans_prefixes_but_nobody_who_must_be_reached() -> None:
    watch = guard(protected="203.0.113.7")
    watch.add(ip_network("198.51.100.0/24"), 3600.0, "the whole rack", 0.0)
    assert blocked(watch, 3599.0, "198.51.100.200")
    with pytest.raises(Refused, match="peer 'trunk'"):
        watch.add(ip_network("203.0.113.0/24"), 3600.0, "", 0.0)
    with pytest.raises(Refused, match=r"sbc bans --lift 198\.51\.100\.0/24"):
        watch.add(ip_network("198.51.100.64/26"), 3600.0, "", 0.0)
    watch.add(ip_network("198.51.100.0/24"), 60.0, "less", 0.0)
    assert not blocked(watch, 60.0, "198.51.100.200")
    watch.lift(source_of("198.51.100.9"), "an operator said so")
    assert len(watch.bans) == 0


def test_other_rules_lift_what_they_would_not_have_banned() -> None:
    watch = guard()
    banned(watch, seen())
    watch.add(ip_network("192.0.2.0/24"), 60.0, "by hand", 0.0)
    measures = watch.configure(None, ())
    assert [(m.ban.by == OPERATOR, m.why) for m in measures if isinstance(m, Lifted)] == [
        (False, "the policies say nothing of bans any more")
    ]
    assert [ban.by for ban in watch.bans] == [OPERATOR]


def test_on_trusted_networks_nobody_is_banned() -> None:
    watch = guard()
    banned(watch, seen())
    watch.configure(RULES, ["inside"])
    assert watch.bans.blocked("inside", (HOST, 5060), 1.0) is None
    assert watch.bans.blocked("outside", (HOST, 5060), 1.0) is not None


def test_bans_survive_the_process_with_their_evidence() -> None:
    ban = banned(guard(), seen(Offence.SCANNER_NAME)).ban
    later = guard()
    again = ban_from_data(ban_to_data(ban), 5000.0, WALL + 100.0)
    assert ban_to_data(again) == ban_to_data(ban)
    later.restore([again], 5000.0)
    assert blocked(later, 5499.0)
    assert not blocked(later, 5500.0)
    assert banned(later, seen(), 5500.0).ban.number == 2
    gone = guard()
    gone.restore([ban_from_data(ban_to_data(ban), 0.0, WALL + 601.0)], 0.0)
    assert len(gone.bans) == 0


def test_a_million_invented_sources_cost_no_memory_and_forget_nobody_who_proved_itself() -> None:
    watch = guard(most=256)
    for _ in range(9):
        watch.observe(seen(), 0.0)
    tracemalloc.start()
    for number in range(20_000):
        host = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
        watch.observe(seen(Offence.SCANNER_NAME, Proof.NONE, source=flow(host)), 0.0)
        if number == 17_000:
            before = tracemalloc.get_traced_memory()[0]
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert watch.bans.mutes == MOST_MUTES
    assert after - before < 200_000
    assert isinstance(watch.observe(seen(), 0.0)[0], Banned)


def test_what_is_over_is_forgotten() -> None:
    bans = Bans()
    bans.mute(("outside", HOST, 1), Mute(10.0, "", throttled=False))
    assert [key for key, _ in bans.muted(9.0)] == [("outside", HOST, 1)]
    assert list(bans.muted(10.0)) == []
    bans.expire(10.0)
    assert bans.mutes == 0
