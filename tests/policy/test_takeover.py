"""Who registers as a phone that is registered, and what is held against it."""

from typing import Any

import pytest

from sbc.policy.load import combine, load_policy
from sbc.policy.takeover import (
    ACCEPTED_S,
    MOST_DEVICES,
    MOST_USERS,
    NOTIFY,
    TOLD_AGAIN_S,
    Device,
    TakeoverGuard,
    TakeoverRules,
)

NOW = 1.7e9
AOR = "sip:alice@example.com"
PHONE = Device("198.51.100.7", "outside", "Yealink SIP-T46S 66.85.0.5", "urn:uuid:1", "DE",
               NOW + 600)  # fmt: skip
THIEF = Device("203.0.113.66", "outside", "sipcli/v1.8", "", "DE", NOW + 600)


def guard(*devices: Device) -> TakeoverGuard:
    one = TakeoverGuard()
    for number, device in enumerate(devices or (PHONE,)):
        one.registered(AOR, str(number), device, NOW)
    return one


def test_another_device_from_elsewhere_while_the_own_one_lives_is_a_takeover() -> None:
    finding = guard().judge(AOR, THIEF, NOTIFY, NOW + 60)
    assert finding is not None
    assert finding.holds
    assert finding.why == (
        "'sipcli/v1.8' at 203.0.113.66 (outside) registers as sip:alice@example.com, while "
        "'Yealink SIP-T46S 66.85.0.5' at 198.51.100.7 (outside) is registered"
    )


@pytest.mark.parametrize(
    "device",
    [
        PHONE,
        PHONE._replace(host="203.0.113.66"),
        PHONE._replace(host="203.0.113.66", instance="", agent="Yealink SIP-T46S 66.86.0.15"),
        PHONE._replace(host="203.0.113.66", agent="Other"),
        THIEF._replace(host="198.51.100.99"),
    ],
    ids=["rebooted", "moved", "upgraded and moved", "same instance-id", "a second one at home"],
)
def test_a_phone_that_rebooted_moved_or_was_upgraded_is_none(device: Device) -> None:
    assert guard().judge(AOR, device, NOTIFY, NOW + 60) is None


def test_who_is_not_known_or_not_registered_any_more_cannot_be_taken_over() -> None:
    assert TakeoverGuard().judge(AOR, THIEF, NOTIFY, NOW) is None
    assert guard().judge("sip:bob@example.com", THIEF, NOTIFY, NOW) is None
    assert guard().judge(AOR, THIEF, NOTIFY, NOW + 600) is None
    one = guard()
    one.gone(AOR, "0", NOW + 10)
    one.gone(AOR, "unknown", NOW + 10)
    assert one.judge(AOR, THIEF, NOTIFY, NOW + 20) is None


def test_a_device_that_was_there_before_is_known_for_good() -> None:
    one = guard(PHONE, THIEF)
    one.gone(AOR, "1", NOW + 10)
    assert one.judge(AOR, THIEF._replace(host="192.0.2.9"), NOTIFY, NOW + 60) is None


def test_another_network_of_ours_is_another_place() -> None:
    inside = THIEF._replace(host="198.51.100.99", network="inside")
    assert guard().judge(AOR, inside, NOTIFY, NOW + 60) is not None
    six = guard(PHONE._replace(host="2001:db8:0:1::7"))
    assert six.judge(AOR, THIEF._replace(host="2001:db8:0:1::9"), NOTIFY, NOW) is None
    assert six.judge(AOR, THIEF._replace(host="2001:db8:0:2::9"), NOTIFY, NOW) is not None


@pytest.mark.parametrize(
    ("minutes", "country", "travel_s", "found"),
    [
        (60, "BR", 7200.0, True),
        (119, "BR", 7200.0, True),
        (120, "BR", 7200.0, False),
        (60, "DE", 7200.0, False),
        (60, "", 7200.0, False),
        (60, "BR", 0.0, False),
    ],
)
def test_a_country_that_nobody_reaches_so_soon_is_told_but_never_held_for_a_known_device(
    minutes: float, country: str, travel_s: float, found: bool
) -> None:
    rules = TakeoverRules("hold", travel_s)
    device = PHONE._replace(country=country, host="203.0.113.66")
    finding = guard().judge(AOR, device, rules, NOW + minutes * 60)
    assert (finding is not None) is found
    if finding is not None:
        assert not finding.holds
        assert f"from BR, {minutes} minutes after" in finding.why


def test_an_unknown_device_that_travelled_may_be_held() -> None:
    finding = guard().judge(AOR, THIEF._replace(country="BR"), NOTIFY, NOW + 700)
    assert finding is not None
    assert finding.holds


def test_an_operator_s_word_holds_for_one_new_device_and_an_hour() -> None:
    one = guard()
    assert not one.accept("sip:nobody@example.com", NOW)
    assert one.accept(AOR, NOW)
    assert one.judge(AOR, THIEF, NOTIFY, NOW + 60) is None
    one.registered(AOR, "0", PHONE, NOW + 70)
    assert one.judge(AOR, THIEF, NOTIFY, NOW + 80) is None
    one.registered(AOR, "1", THIEF, NOW + 90)
    other = THIEF._replace(agent="another", host="192.0.2.1")
    assert one.judge(AOR, other, NOTIFY, NOW + 100) is not None
    late = guard()
    late.accept(AOR, NOW)
    stays = PHONE._replace(until=NOW + 2 * ACCEPTED_S)
    late.registered(AOR, "0", stays, NOW)
    assert late.judge(AOR, THIEF, NOTIFY, NOW + ACCEPTED_S) is not None


def test_what_is_held_again_and_again_is_told_now_and_then() -> None:
    one = guard()
    times = [0.0, 1.0, TOLD_AGAIN_S - 1, TOLD_AGAIN_S, TOLD_AGAIN_S + 1]
    assert [one.is_news(AOR, NOW + at) for at in times] == [True, False, False, True, False]


def test_tables_are_bounded() -> None:
    one = TakeoverGuard()
    for number in range(MOST_USERS + 3):
        one.registered(f"sip:{number}@x", "k", PHONE, NOW)
    assert len(one) == MOST_USERS
    for number in range(MOST_DEVICES + 1):
        one.registered(AOR, str(number), PHONE._replace(agent=f"make{chr(97 + number)}"), NOW)
    first = PHONE._replace(agent="makea", host="192.0.2.1", instance="")
    assert one.judge(AOR, first, NOTIFY, NOW) is not None


@pytest.mark.parametrize(
    ("text", "rules"),
    [
        ("rules: []", TakeoverRules("notify", 7200.0)),
        ("registrations: {}", TakeoverRules("notify", 7200.0)),
        ("registrations: {on_takeover: hold, travel: 0}", TakeoverRules("hold", 0.0)),
    ],
)
def test_a_policy_says_what_is_done(text: str, rules: Any) -> None:
    assert combine([load_policy(text, "p")]).takeover == rules


def test_what_a_policy_may_not_say_is_named() -> None:
    policy = load_policy("registrations: {on_takeover: panic, travel: -1}", "p")
    assert policy.broken
    assert len(policy.problems) == 2


def test_how_long_a_user_agent_is_costs_nothing() -> None:
    # Where each parenthesis is looked at once for every other, this takes hours.
    assert PHONE._replace(agent="(" * 500_000).make == PHONE._replace(agent="(" * 600_000).make
