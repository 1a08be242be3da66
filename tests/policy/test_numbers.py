"""Numbers on their way through: E.164 inside, as each peer wants it outside."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sbc.numbering import WorldKinds, WorldPlan
from sbc.policy.numbers import (
    NoPlan,
    Rewritten,
    dialled,
    format_number,
    number_of,
    passed,
    rewrite,
    unsteered,
    user_calling,
)
from sbc.policy.world import World
from sbc.routing.numbers import AS_IS, AS_WRITTEN, NumberRules, PrefixRule, Rewriting
from sbc.routing.patterns import parse_number_pattern
from sbc.sip.uri import Uri, parse_uri_untrusted

PLAN = WorldPlan()
WORLD = World(plan=PLAN, numbers=WorldKinds(["DE"]))
GERMAN = NumberRules("DE", inbound=Rewriting(format="e164"))
DIALLED = st.text("+0123456789*#-. ()a", max_size=24)


def a_rule(match: str, strip: int = 0, add: str = "") -> PrefixRule:
    return PrefixRule(parse_number_pattern(match), strip, add, "sbc.yaml:7")


@pytest.mark.parametrize(
    ("uri", "number"),
    [
        ("sip:alice@x", "alice"),
        ("sip:%61lice@x", "alice"),
        ("sip:a;b@x", "a;b"),
        ("sip:+49-30@x", "+4930"),
        ("sip:+49(900)12-3;npdi;x=y@x", "+49900123"),
        ("sip:%2B49-900-1%3Bx=y@x", "+499001"),
        ("sip:0900-1234-56@x", "0900123456"),
        ("sip:0900123456;x=y@x", "0900123456"),
        ("sip:%20%2B49%20900%201@x", "+499001"),
        ("sip:100-1@x", "100-1"),
        ("sip:1-2-3-4-5-6-7@x", "1-2-3-4-5-6-7"),
        ("sip:+alice-b@x", "+alice-b"),
        ("sip:+49-30;ext=1@x;user=phone", "+4930"),
        ("tel:+49-(30).1;ext=1", "+49301"),
        ("tel:0301;phone-context=+49", "0301"),
        ("sip:x", ""),
    ],
)
def test_numbers_as_routes_compare_them(uri, number):
    assert number_of(parse_uri_untrusted(uri)) == number


@pytest.mark.parametrize(
    ("form", "number"),
    [
        ("as-is", "030 1"),
        ("e164", "030 1"),
        ("national", "030 1"),
        ("international", "112"),
        ("international-00", "alice"),
        ("e164", "6001"),
    ],
)
def test_what_is_no_number_of_the_plan_stays_as_it_is(form, number):
    assert format_number(number, form, "DE", PLAN) == number


@pytest.mark.parametrize(
    ("form", "number"),
    [
        ("as-is", "03012345678"),
        ("e164", "+493012345678"),
        ("international", "493012345678"),
        ("international-00", "00493012345678"),
        ("national", "03012345678"),
    ],
)
def test_a_number_takes_the_form_that_a_trunk_wants(form, number):
    assert format_number("03012345678", form, "DE", PLAN) == number


def test_a_number_abroad_is_dialled_abroad_in_a_national_form():
    assert format_number("+12025550123", "national", "DE", PLAN) == "0012025550123"
    assert format_number("+493012345678", "national", "US", PLAN) == "011493012345678"


def test_the_first_rule_that_matches_is_applied_before_and_after_the_form():
    rewriting = Rewriting(
        before=(a_rule("9*", 1), a_rule("90*", 2)), format="e164", after=(a_rule("+49*", 0, "88"),)
    )
    assert rewrite("903012345678", rewriting, "DE", PLAN) == Rewritten(
        "88+493012345678",
        "903012345678 -> 88+493012345678 (rule sbc.yaml:7, e164 DE, rule sbc.yaml:7)",
    )


def test_a_number_that_no_rule_changes_has_nothing_to_tell():
    assert rewrite("600", Rewriting(format="e164"), "DE", PLAN) == Rewritten("600")


def test_a_number_goes_through_the_rules_of_both_peers():
    trunk = NumberRules("DE", outbound=Rewriting(format="international"))
    both = passed("03012345678", GERMAN, trunk, "called", PLAN)
    assert both.number == "493012345678"
    assert both.why == (
        "03012345678 -> +493012345678 (e164 DE); +493012345678 -> 493012345678 (international DE)"
    )


def test_what_is_told_of_a_number_is_one_short_line():
    rewriting = Rewriting(before=(a_rule("*", 0, "0"),))
    assert rewrite("a\nb", rewriting, "", PLAN).why == "'a\\nb' -> '0a\\nb' (rule sbc.yaml:7)"
    assert len(rewrite("6" * 60_000, rewriting, "", PLAN).why) < 120


@pytest.mark.parametrize("role", ["called", "caller"])
def test_rules_for_one_kind_of_number_leave_the_other_alone(role):
    inbound = Rewriting(format="e164", called=role == "called", caller=role == "caller")
    rules = NumberRules("DE", inbound=inbound)
    changed = {one for one in ("called", "caller") if _changed(rules, one)}
    assert changed == {role}


def _changed(rules, role):
    return passed("03012345678", rules, AS_WRITTEN, role, PLAN).number != "03012345678"


@pytest.mark.parametrize(
    ("uri", "number"),
    [
        ("tel:2530000;phone-context=+1-650", "+16502530000"),
        ("tel:030-12345678;phone-context=+49", "+493012345678"),
        ("sip:030.12345678;phone-context=%2B49@x;user=phone", "+493012345678"),
        ("tel:03012345678;phone-context=example.com", "+493012345678"),
        ("tel:600;phone-context=+49", "600"),
        ("tel:+12025550123;phone-context=+49", "+12025550123"),
        ("sip:600;phone-context=+49301@x", "+49301600"),
        ("sip:600;Phone%2DContext=+49301@x", "+49301600"),
        ("sip:600;phone-context=other@x", "600"),
        ("sip:600;isub=1@x", "600;isub=1"),
        ("tel:112;phone-context=+4930", "112"),
        ("tel:112;phone-context=+88213123", "112"),
    ],
)
def test_a_context_is_understood_where_it_makes_a_number_of_the_plan(uri, number):
    assert dialled(parse_uri_untrusted(uri), GERMAN, WORLD).number == number


def test_a_context_leads_around_no_route_where_numbers_are_taken_as_written():
    uri = parse_uri_untrusted("tel:0900123;phone-context=+49")
    assert dialled(uri, AS_WRITTEN, WORLD) == Rewritten("0900123")


@pytest.mark.parametrize(
    ("uri", "number", "user"),
    [
        ("sip:%61lice@x", "alice", "%61lice"),
        ("sip:alice@x", "bob smith", "bob%20smith"),
        ("sip:alice@x", "%41", "%2541"),
        ("tel:030-1;phone-context=+49;isub=2", "0301", "0301;isub=2"),
        ("sip:030-1;phone-context=+49@x;user=phone", "+49301", "+49301"),
        ("sip:112;phone-context=+882@x", "112", "112"),
        ("tel:112;phone%2Dcontext=+882", "112", "112"),
        ("sip:x", "", ""),
        ("sip:*21#@x", "*21#", "*21#"),
        ("tel:112;isub=1;;a@evil.example", "112", "112;isub=1;a%40evil.example"),
        ("urn:service:sos.x;phone-context=+1;rn=+88212345;a@evil.example", "112", "112"),
        ("urn:x:a@evil.example", "x:a@evil.example", "x%3Aa%40evil.example"),
        ("mailto:a@evil.example;user=phone", "a@evil.example", "a%40evil.example"),
    ],
)
def test_a_user_part_calls_the_new_number_and_keeps_what_else_it_says(uri, number, user):
    assert user_calling(parse_uri_untrusted(uri), number) == user


@pytest.mark.parametrize(
    ("uri", "left"),
    [
        ("sip:+49301234567;rn=+88212345;npdi@x", "sip:+49301234567@x"),
        ("tel:112;R%6E=+882;isub=1;cic=+1-6789", "tel:112;isub=1"),
        ("sip:112;tgrp=a;trunk-context=b;ext=1@x;user=phone", "sip:112;ext=1@x;user=phone"),
        ("sip:alice@x;rn=1", "sip:alice@x;rn=1"),
        ("sip:x", "sip:x"),
    ],
)
def test_nothing_leads_a_call_elsewhere_than_its_number(uri: str, left: str) -> None:
    assert str(unsteered(parse_uri_untrusted(uri))) == left


SIP_USERS = "abc0123456789+;@?:=%41.-"


@given(st.sampled_from(["urn:service:sos.", "tel:+4930", "mailto:"]), st.text(SIP_USERS))
def test_no_uri_of_another_scheme_says_a_host_where_it_becomes_a_user(scheme, text):
    uri = Uri(scheme.partition(":")[0], scheme.partition(":")[2] + text, None, "")
    user = user_calling(uri, number_of(uri))
    assert "@" not in user
    assert user.count(":") == 0


@given(DIALLED, st.sampled_from(["", "DE", "US", "IT", "GB", "RU", "AR", "AU"]))
def test_normalising_twice_is_normalising_once_and_gives_e164_or_nothing(number, country):
    once = format_number(number, "e164", country, PLAN)
    assert format_number(once, "e164", country, PLAN) == once
    if once != number:
        assert once[0] == "+"
        assert once[1:].isdigit()
        assert len(once) <= 16


@given(st.text(max_size=40), st.sampled_from(["", "DE", "US", "XX"]))
def test_whatever_is_called_no_form_raises(number, country):
    for form in ("e164", "international", "international-00", "national"):
        assert isinstance(format_number(number, form, country, PLAN), str)


@given(DIALLED)
def test_without_rules_and_without_a_plan_nothing_changes(number):
    assert rewrite(number, AS_IS, "DE", PLAN) == Rewritten(number)
    assert rewrite(number, Rewriting(format="e164"), "DE", NoPlan()) == Rewritten(number)
    assert NoPlan().national("+" + number, "DE") == number


@pytest.mark.parametrize("text", ["(" * 500_000 + "12345678x", "(" * 300_000 + "+" + ")" * 300_000])
def test_numbers_of_any_length_are_read_in_a_time_that_ends(text):
    # Where each character is looked at once for every other, this takes hours.
    assert number_of(Uri("sip", text, None, "x")) == text
