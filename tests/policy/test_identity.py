"""Who calls, as each side may know it.

Spec: RFC 3325, RFC 3323.
"""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sbc.numbering import WorldPlan
from sbc.policy.identity import Party, Passage, callee_shown, caller_shown, pass_identities
from sbc.policy.presentation import Presentation
from sbc.routing.identity import IdentityRules
from sbc.routing.numbers import NumberRules, Rewriting
from sbc.sip.headers import Headers
from sbc.sip.message import Message, Request, Response

PLAN = WorldPlan()
GERMAN = NumberRules("DE", inbound=Rewriting(format="e164"))
ALICE = "P-Asserted-Identity: <sip:alice@pbx.example>"
ANONYMOUS = '"Anonymous" <sip:anonymous@anonymous.invalid>'


def a_party(name: str, trusted: bool, numbers=None, registered: str = "", **rules) -> Party:
    known = {} if numbers is None else {"numbers": numbers}
    rules = IdentityRules(**rules)
    return Party(trusted, f"{name}.example", rules, registered=registered, **known)


PBX = a_party("pbx", True)
STRANGER = a_party("stranger", False)
CARRIER = a_party("carrier", True)
OUTSIDE = a_party("outside", False)


def an_invite(*lines: str, caller: str = '"Al" <sip:030123456@10.1.1.1>;tag=1') -> Request:
    return Request("INVITE", "sip:x@y", _headers(f"From: {caller}", "To: <sip:600@h>", *lines))


def a_response(*lines: str) -> Response:
    return Response(200, "OK", _headers("From: <sip:a@b>;tag=1", *lines))


def _headers(*lines: str) -> Headers:
    headers = Headers()
    for line in lines:
        name, _, value = line.partition(": ")
        headers.append(name, value)
    return headers


def told(message: Message, origin: Party, receiver: Party, carried=()) -> list[str]:
    target = _headers(*carried)
    pass_identities(message, target, Passage(origin, receiver, PLAN))
    return [f"{name}: {value}" for name, value in target.items()]


def shown(message: Request, origin: Party, receiver: Party) -> str:
    return caller_shown(message, Passage(origin, receiver, PLAN), "t").value


EVERYTHING = (
    ALICE,
    "P-Preferred-Identity: <sip:alice@pbx.example>",
    "Remote-Party-ID: <sip:alice@pbx.example>",
    "Diversion: <sip:bob@pbx.example>;reason=unconditional",
    "History-Info: <sip:bob@pbx.example>;index=1",
    "Identity: ey.jw.t;info=<https://c.example/c.pem>",
)


class TestTrust:
    @pytest.mark.parametrize(
        ("origin", "receiver"), [(PBX, OUTSIDE), (STRANGER, CARRIER), (STRANGER, OUTSIDE)]
    )
    def test_identity_headers_end_at_an_untrusted_edge_both_ways(self, origin, receiver):
        assert told(an_invite(*EVERYTHING), origin, receiver) == []
        assert told(a_response(*EVERYTHING), origin, receiver) == []

    def test_inside_they_pass_with_our_host_and_without_parameters_that_may_tell(self):
        lines = (
            'P-Asserted-Identity: "Al" <sip:al@10.1.1.1:5080;x=y>, <tel:+4930-1>',
            "Diversion: <sip:bob@10.1.1.1>;reason=unconditional;host=10.1.1.1",
            "History-Info: <sip:bob@10.1.1.1>;index=1",
            "Identity: ey.jw.t;info=<https://c.example/c.pem>",
        )
        assert told(an_invite(*lines), PBX, CARRIER) == [
            'P-Asserted-Identity: "Al" <sip:al@carrier.example>, <tel:+49301>',
            "Diversion: <sip:bob@carrier.example>;reason=unconditional",
            "History-Info: <sip:bob@carrier.example>;index=1",
            "Identity: ey.jw.t;info=<https://c.example/c.pem>",
        ]

    def test_of_many_asserted_identities_two_pass(self):
        line = "P-Asserted-Identity: " + ", ".join(f"<sip:{n}@x>" for n in range(9))
        assert told(an_invite(line), PBX, CARRIER) == [
            "P-Asserted-Identity: <sip:0@carrier.example>, <sip:1@carrier.example>"
        ]

    @pytest.mark.parametrize("value", ["", "<<>>", "<sip:a@b", '"', "<sip:a@b>, <>"])
    def test_a_malformed_identity_is_none(self, value):
        assert told(an_invite(f"P-Asserted-Identity: {value}"), PBX, CARRIER) == []

    def test_who_was_reached_is_asserted_too(self):
        assert told(a_response(ALICE), PBX, CARRIER) == [
            "P-Asserted-Identity: <sip:alice@carrier.example>"
        ]


class TestPresentation:
    @pytest.mark.parametrize(
        ("present", "line"),
        [
            ("pai", "P-Asserted-Identity: <sip:alice@c.example>"),
            ("ppi", "P-Preferred-Identity: <sip:alice@c.example>"),
            ("rpid", "Remote-Party-ID: <sip:alice@c.example>;party=calling;screen=yes;privacy=off"),
        ],
    )
    @pytest.mark.parametrize(
        "given",
        [
            ALICE,
            "Remote-Party-ID: <sip:alice@x>;party=calling",
            "P-Preferred-Identity: <sip:alice@x>",
        ],
    )
    def test_each_shape_is_turned_into_the_one_that_the_peer_wants(self, given, present, line):
        assert told(an_invite(given), PBX, a_party("c", True, present=present)) == [line]

    @pytest.mark.parametrize("trusted", [True, False])
    def test_an_asserted_identity_can_stand_in_from(self, trusted):
        receiver = a_party("c", trusted, present="from")
        assert shown(an_invite(ALICE), PBX, receiver) == "<sip:alice@c.example>;tag=t"
        assert told(an_invite(ALICE), PBX, receiver) == []

    def test_without_an_asserted_identity_from_stays(self):
        receiver = a_party("c", False, present="from")
        assert shown(an_invite(ALICE), STRANGER, receiver) == '"Al" <sip:030123456@c.example>;tag=t'

    def test_a_peer_whose_assertions_are_dropped_asserts_nothing(self):
        origin = a_party("pbx", True, asserted="drop")
        assert told(an_invite(ALICE), origin, CARRIER) == []


class TestMaking:
    def test_a_phone_is_asserted_as_who_it_registered_whatever_it_says(self):
        phone = a_party("phones", False, registered="6001", asserted="make")
        invite = an_invite(ALICE, caller="<sip:ceo@x>;tag=1")
        assert told(invite, phone, CARRIER) == ["P-Asserted-Identity: <sip:6001@carrier.example>"]
        assert shown(invite, phone, a_party("c", False, present="from")) == (
            "<sip:6001@c.example>;tag=t"
        )

    def test_a_trusted_peer_is_asserted_as_its_from_says_if_it_says_no_more(self):
        pbx = a_party("pbx", True, asserted="make", numbers=GERMAN)
        assert told(an_invite(), pbx, CARRIER) == [
            'P-Asserted-Identity: "Al" <sip:+4930123456@carrier.example>'
        ]
        assert told(an_invite(ALICE), pbx, CARRIER) == [
            "P-Asserted-Identity: <sip:alice@carrier.example>"
        ]

    def test_nothing_is_made_of_nobody(self):
        pbx = a_party("pbx", True, asserted="make")
        assert told(an_invite(caller=f"{ANONYMOUS};tag=1"), pbx, CARRIER) == []
        assert told(an_invite(caller="<sip:pbx.example>;tag=1"), pbx, CARRIER) == []
        assert told(an_invite(), a_party("s", False, asserted="make"), CARRIER) == []
        assert told(a_response(), pbx, CARRIER) == []
        assert told(Request("BYE", "sip:x@y", an_invite().headers), pbx, CARRIER) == []


class TestPrivacy:
    @pytest.mark.parametrize("wanted", ["id", "user", "header", "id;critical", "session, ID"])
    def test_who_asks_for_privacy_is_anonymous_outside(self, wanted):
        invite = an_invite(ALICE, f"Privacy: {wanted}")
        for receiver in (OUTSIDE, a_party("c", False, present="from")):
            assert shown(invite, PBX, receiver) == f"{ANONYMOUS};tag=t"
            assert told(invite, PBX, receiver) == []

    @pytest.mark.parametrize("wanted", ["none", "session", "critical", "none;id"])
    def test_who_asks_for_none_or_for_what_we_give_anyway_is_not(self, wanted):
        invite = an_invite(f"Privacy: {wanted}")
        assert shown(invite, PBX, OUTSIDE) == '"Al" <sip:030123456@outside.example>;tag=t'

    def test_a_trusted_carrier_is_told_beside_from_and_asked_to_keep_it(self):
        invite = an_invite(ALICE, "Privacy: id")
        assert shown(invite, PBX, CARRIER) == f"{ANONYMOUS};tag=t"
        assert told(invite, PBX, CARRIER) == [
            "P-Asserted-Identity: <sip:alice@carrier.example>",
            "Privacy: id",
        ]

    def test_what_only_from_says_is_not_lost_inside(self):
        invite = an_invite("Privacy: id")
        assert shown(invite, STRANGER, PBX) == '"Al" <sip:030123456@pbx.example>;tag=t'
        assert told(invite, STRANGER, PBX) == ["Privacy: id"]

    def test_who_hides_in_from_alone_is_not_given_away_by_what_is_asserted(self):
        invite = an_invite(ALICE, caller=f"{ANONYMOUS};tag=1")
        assert shown(invite, PBX, a_party("c", False, present="from")) == f"{ANONYMOUS};tag=t"
        assert told(invite, PBX, CARRIER)[1:] == ["Privacy: id"]

    def test_the_privacy_of_an_old_header_counts(self):
        line = "Remote-Party-ID: <sip:alice@x>;privacy=full"
        assert shown(an_invite(line), PBX, OUTSIDE) == f"{ANONYMOUS};tag=t"
        assert told(an_invite(line), PBX, a_party("c", True, present="rpid")) == [
            "Remote-Party-ID: <sip:alice@c.example>;party=calling;screen=yes;privacy=full",
            "Privacy: id",
        ]
        assert shown(an_invite(line), STRANGER, OUTSIDE) != f"{ANONYMOUS};tag=t"

    def test_what_tells_the_user_goes_with_the_user(self):
        carried = ("Subject: me", "Call-Info: <http://x/me.png>", "Priority: urgent")
        invite = an_invite("Privacy: user")
        assert told(invite, PBX, OUTSIDE, carried) == ["Priority: urgent"]
        assert told(invite, STRANGER, PBX, carried)[:3] == list(carried)

    def test_an_emergency_service_sees_who_calls(self):
        service = a_party("psap", True, privacy="ignore")
        invite = an_invite(ALICE, "Privacy: id")
        assert shown(invite, PBX, service) == '"Al" <sip:030123456@psap.example>;tag=t'


class TestNumbers:
    def test_callers_numbers_take_the_form_that_the_peer_wants(self):
        pbx = a_party("pbx", True, numbers=GERMAN)
        national = NumberRules("DE", outbound=Rewriting(format="international-00"))
        carrier = a_party("c", True, numbers=national)
        invite = an_invite("P-Asserted-Identity: <tel:030-123456;phone-context=+49>")
        assert told(invite, pbx, carrier) == [
            "P-Asserted-Identity: <sip:004930123456@c.example;user=phone>"
        ]
        way = Passage(pbx, carrier, PLAN)
        caller = caller_shown(invite, way, "t")
        assert caller.value == '"Al" <sip:004930123456@c.example>;tag=t'
        assert caller.why == (
            "caller 030123456 -> +4930123456 (e164 DE); "
            "+4930123456 -> 004930123456 (international-00 DE)"
        )

    def test_who_calls_a_service_is_put_through_to_its_number(self):
        invite = an_invite()
        invite.headers.set("To", "<urn:service:sos>")
        way = Passage(a_party("p", True, numbers=GERMAN), CARRIER, PLAN)
        called = "sip:112@192.0.2.1:5070;transport=tcp"
        assert callee_shown(invite, way, "carrier.example", called) == "<sip:112@carrier.example>"

    def test_whom_it_is_to_is_written_so_too(self):
        invite = an_invite()
        invite.headers.set("To", "<sip:030999999@h>")
        way = Passage(a_party("p", True, numbers=GERMAN), CARRIER, PLAN)
        shown = callee_shown(invite, way, "192.0.2.1", "sip:1@192.0.2.1")
        assert shown == "<sip:+4930999999@192.0.2.1>"


HEADER = st.sampled_from(
    ["P-Asserted-Identity", "Remote-Party-ID", "Privacy", "Diversion", "History-Info", "Identity"]
)
VALUE = st.one_of(
    st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40),
    st.sampled_from(["<sip:secret@10.9.8.7>", "10.9.8.7;id", "id", "none"]),
    st.just("<tel:+49301>;privacy=full"),
)


@given(st.lists(st.tuples(HEADER, VALUE), max_size=6), st.booleans(), st.booleans())
def test_whatever_is_asserted_nothing_raises_and_no_host_leaks(lines, origin, receiver):
    invite = an_invite(*(f"{name}: {value}" for name, value in lines))
    passage = Passage(a_party("a", origin, asserted="make"), a_party("b", receiver), PLAN)
    target = Headers()
    pass_identities(invite, target, passage)
    written = [value for name, value in target.items() if name != "Identity"]
    assert "10.9.8.7" not in caller_shown(invite, passage, "t").value
    if any("10.9.8.7" in value for value in written):
        raise AssertionError(written)
    assert receiver or not written


def presented(**done: object) -> Party:
    """A trusted PBX whose caller policy presents in another way."""
    return replace(PBX, numbers=GERMAN, presentation=Presentation(**done, why="by rule 'x' (p:1)"))


class TestPolicy:
    """What an identity rule says is done to everything that tells who calls."""

    CALLER = '"Al" <sip:030123456@10.1.1.1>;tag=1'
    LINES = (
        'P-Asserted-Identity: "Al" <sip:030123456@10.1.1.1>, <tel:+4930123456>',
        "Diversion: <sip:030999999@10.1.1.1>;reason=unconditional",
        "Identity: ey.jw.t;info=<https://c.example/c.pem>",
    )

    @pytest.mark.parametrize("receiver", [OUTSIDE, CARRIER])
    def test_a_number_is_replaced_with_its_display_name_in_from(self, receiver):
        origin = presented(number="+49301000")
        told_ = caller_shown(an_invite(), Passage(origin, receiver, PLAN), "t")
        assert told_.value == f"<sip:+49301000@{receiver.host}>;tag=t"
        assert told_.why == "caller 030123456 -> +49301000, by rule 'x' (p:1)"

    def test_a_replaced_number_has_the_form_that_the_receiver_wants(self):
        receiver = a_party(
            "carrier", True, NumberRules("DE", outbound=Rewriting(format="national"))
        )
        origin = presented(number="+49301000000")
        assert shown(an_invite(), origin, receiver) == "<sip:0301000000@carrier.example>;tag=t"

    def test_asserted_identities_are_replaced_too_and_what_was_signed_is_gone(self):
        assert told(an_invite(*self.LINES), presented(number="+49301000"), CARRIER) == [
            "P-Asserted-Identity: <sip:+49301000@carrier.example>, <tel:+49301000>",
            "Diversion: <sip:+4930999999@carrier.example>;reason=unconditional",
        ]

    def test_a_tag_stands_in_front_of_the_display_name_everywhere(self):
        origin = presented(tag="[spam?]")
        told_ = caller_shown(an_invite(), Passage(origin, OUTSIDE, PLAN), "t")
        assert told_.value == '"[spam?] Al" <sip:+4930123456@outside.example>;tag=t'
        assert told_.why.endswith("the caller is tagged, by rule 'x' (p:1)")
        without = an_invite(caller="<sip:030123456@x>;tag=1")
        assert shown(without, origin, OUTSIDE).startswith('"[spam?]" <sip:+49')
        assert told(an_invite(*self.LINES), origin, CARRIER) == [
            (
                'P-Asserted-Identity: "[spam?] Al" <sip:+4930123456@carrier.example>, '
                '"[spam?]" <tel:+4930123456>'
            ),
            "Diversion: <sip:+4930999999@carrier.example>;reason=unconditional",
            "Identity: ey.jw.t;info=<https://c.example/c.pem>",
        ]

    def test_who_is_made_anonymous_is_so_even_where_nothing_else_would_say_who_it_is(self):
        origin = presented(anonymous=True)
        for receiver in (OUTSIDE, CARRIER):
            told_ = caller_shown(an_invite(), Passage(origin, receiver, PLAN), "t")
            assert told_.value == f"{ANONYMOUS};tag=t"
            assert told_.why == "the caller is anonymous, by rule 'x' (p:1)"

    def test_a_trusted_peer_is_told_who_was_made_anonymous_and_to_keep_it(self):
        assert told(an_invite(ALICE, "Privacy: none"), presented(anonymous=True), CARRIER) == [
            "P-Asserted-Identity: <sip:alice@carrier.example>",
            "Privacy: id",
        ]

    def test_emergency_services_see_who_it_is_all_the_same(self):
        receiver = a_party("e112", True, privacy="ignore")
        assert "123456" in shown(an_invite(), presented(anonymous=True), receiver)

    def test_who_hides_already_stays_hidden_whatever_is_replaced(self):
        invite = an_invite(caller="<sip:anonymous@anonymous.invalid>;tag=1")
        assert "1000" not in shown(invite, presented(number="+49301000"), OUTSIDE)
        assert "1000" not in shown(invite, presented(number="+49301000"), CARRIER)

    def test_what_the_other_side_answers_is_not_touched(self):
        assert told(a_response(ALICE), CARRIER, presented(number="+49301000")) == [
            "P-Asserted-Identity: <sip:alice@pbx.example>"
        ]
