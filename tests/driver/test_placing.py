"""Who calls, and where calls go; as questions to a configuration."""

import pytest

from sbc.driver.callers import Caller, identify
from sbc.driver.in_force import InForce
from sbc.driver.placing import (
    candidates_for,
    flows_to,
    is_loop,
    loop_mark,
    places_of,
    upstreams_for,
)
from sbc.policy.refusal import Refusal
from sbc.registrar.registrar import Registrar
from sbc.routing.location import Destination, Located
from sbc.routing.model import Place
from sbc.sip.message import Request
from sbc.sip.parser import parse_message_untrusted
from tests.kit.switchboard import PBX_FLOW, PHONE_FLOW, a_configuration, a_message, in_force

TEXT = """\
networks:
  outside:
    bind: 203.0.113.10
    listen: [udp/5060, tcp/5060]
    media_ports: 30000-39999
  inside: {trust: trusted, bind: 192.168.1.2, listen: udp/5062, media_ports: 20000-29999}
peers:
  pbx: {kind: pbx, network: inside, address: pbx.example.com, domain: office.example}
  carrier:
    kind: trunk
    network: outside
    address: ["sip.carrier.example:5070;transport=tcp", 192.0.2.30]
  six: {kind: trunk, network: outside, address: six.example}
  phones: {kind: endpoints, network: outside}
  homes: {kind: endpoints, network: outside, domain: home.example}
routes:
  - {name: premium, from: outside, number: "0900*", to: six}
  - {name: in, from: outside, to: pbx}
  - {name: out, from: pbx, number: "+*", to: [carrier, six]}
  - {name: v6, from: pbx, number: "6", to: six}
  - {name: home, from: pbx, domain: home.example, to: homes}
  - {name: ring, from: pbx, number: "1*", to: phones}
policies: ../policies/edge-default.yaml
"""
KNOWN = {
    "pbx.example.com": ("192.168.1.5", "192.168.1.6"),
    "sip.carrier.example": ("192.0.2.9",),
    "six.example": ("2001:db8::6",),
}
FORCE = in_force(a_configuration(TEXT), KNOWN)
BLIND = in_force(a_configuration(TEXT), {})
INSIDE_FLOW = PBX_FLOW._replace(local=("192.168.1.2", 5062))


def a_request(method: str = "INVITE", **rest: object) -> Request:
    message = parse_message_untrusted(a_message(method, **rest))
    assert isinstance(message, Request)
    return message


def registrar() -> Registrar:
    return Registrar(FORCE.settings, b"s" * 32, 1)


def ask(uri: str, flow=INSIDE_FLOW, force=FORCE, phones: Registrar | None = None):
    request = a_request(uri=uri, to="sip:x@y")
    phones = phones or registrar()
    caller = identify(force, phones, request, flow)
    return candidates_for(force, phones, caller, request, flow)


class TestIdentify:
    def test_a_peer_is_known_by_any_address_behind_its_name(self):
        other = INSIDE_FLOW._replace(remote=("192.168.1.6", 5060))
        caller = identify(FORCE, registrar(), a_request(), other)
        assert (caller.peer, caller.decision.allowed) == ("pbx", True)

    def test_a_stranger_is_nobody(self):
        caller = identify(FORCE, registrar(), a_request(), PHONE_FLOW)
        assert (caller.peer, caller.binding, caller.decision.allowed) == ("", None, False)

    def test_a_phone_that_registers_belongs_to_the_peer_of_its_domain(self):
        for host, peer in (("home.example", "homes"), ("office.example", "phones")):
            request = a_request("REGISTER", to=f"sip:alice@{host}")
            assert identify(FORCE, registrar(), request, PHONE_FLOW).peer == peer


class TestCandidates:
    def test_every_address_of_every_target_in_order(self):
        why, found = ask("sip:+49@192.168.1.2")
        assert "out" in why
        assert [c.request_uri for c in found] == [
            "sip:+49@sip.carrier.example:5070;transport=tcp",
            "sip:+49@192.0.2.30",
        ]
        assert [c.flow.transport for c in found] == ["tcp", "udp"]
        assert found[0].flow.local == ("203.0.113.10", 5060)

    def test_a_name_stays_a_name_wherever_it_leads(self):
        carrier = FORCE.table.peer("carrier")
        places = tuple(Place(host, 5071, "tcp") for host in ("192.0.2.8", "192.0.2.9"))
        known = {Destination("outside", carrier.targets[0]): Located(places)}
        force = InForce(FORCE.settings, FORCE.table, FORCE.policy, known)
        _, found = ask("sip:+49@192.168.1.2", force=force)
        assert [(c.flow.remote, c.their_host) for c in found] == [
            (("192.0.2.8", 5071), "sip.carrier.example"),
            (("192.0.2.9", 5071), "sip.carrier.example"),
            (("192.0.2.30", 5060), "192.0.2.30"),
        ]
        assert found[1].request_uri == "sip:+49@sip.carrier.example:5070;transport=tcp"

    def test_a_domain_stands_instead_of_the_address(self):
        _, found = ask("sip:600@203.0.113.10", PHONE_FLOW)
        assert [c.request_uri for c in found] == ["sip:600@office.example"] * 2
        assert [c.flow.remote[0] for c in found] == ["192.168.1.5", "192.168.1.6"]

    def test_peers_without_a_way_are_named_with_the_reason(self):
        refused = ask("sip:6@192.168.1.2", INSIDE_FLOW)
        assert refused.status == 480
        assert "peer 'six': network 'outside' has no udp listener for IPv6" in refused.text
        blind = ask("sip:600@203.0.113.10", PHONE_FLOW, BLIND)
        assert blind.status == 480
        assert "peer 'pbx': pbx.example.com has no known address" in blind.text

    def test_what_the_resolver_found_is_taken_in_its_order_with_its_ports_and_transports(self):
        pbx = FORCE.table.peer("pbx")
        places = (
            Place("192.168.1.7", 5070, "udp", 0, 100),
            Place("192.168.1.8", 5080, "udp", 2, 1),
        )
        known = {Destination("inside", pbx.targets[0]): Located(places)}
        force = InForce(FORCE.settings, FORCE.table, FORCE.policy, known)
        assert places_of(force, pbx, pbx.targets[0]) == places
        assert [flow.remote for flow in flows_to(force, pbx, pbx.targets[0])] == [
            ("192.168.1.7", 5070),
            ("192.168.1.8", 5080),
        ]

    def test_why_a_name_is_not_known_is_told(self):
        pbx = FORCE.table.peer("pbx")
        why = "A of pbx.example.com: no answer from 192.0.2.53 in 3 s (since 2026-01-01 10:04:00)"
        known = {Destination("inside", pbx.targets[0]): Located((), why)}
        force = InForce(FORCE.settings, FORCE.table, FORCE.policy, known)
        told = ask("sip:600@203.0.113.10", PHONE_FLOW, force).text
        assert f"peer 'pbx': pbx.example.com has no known address: {why}" in told

    def test_no_route_is_not_found(self):
        refused = ask("sip:999@192.168.1.2")
        assert refused.status == 404
        assert "'999'" in refused.text

    def test_phones_nobody_registered_are_unavailable(self):
        assert "100 has no reachable registration" in ask("sip:100@192.168.1.2").text

    @pytest.mark.parametrize(
        "uri",
        [
            "sip:0900123@203.0.113.10",
            "sip:%30900123@203.0.113.10",
            "sip:%30%39%30%30123@203.0.113.10",
            "tel:0900-123",
            "tel:0900123;phone-context=+49",
            "sip:0900.123@203.0.113.10;user=phone",
            "sip:(0900)123;isub=1@203.0.113.10;user=phone",
        ],
    )
    def test_no_way_of_writing_a_number_leads_around_its_route(self, uri):
        refused = ask(uri, PHONE_FLOW)
        assert "premium" in refused.text

    @pytest.mark.parametrize("uri", ["tel:600;rn=+88212345", "sip:600;npdi;tgrp=x@h;user=phone"])
    def test_a_stranger_leads_no_call_elsewhere_than_its_number(self, uri):
        _, (candidate, *_) = ask(uri, PHONE_FLOW)
        assert candidate.request_uri.startswith("sip:600@")


class TestUpstream:
    def upstream(self, force=FORCE, **rest: object):
        request = a_request("REGISTER", **rest)
        return upstreams_for(force, identify(force, registrar(), request, PHONE_FLOW), request,
                            PHONE_FLOW)  # fmt: skip

    def test_the_addresses_of_the_registrar_in_order(self):
        upstream, next_one = self.upstream()
        assert (upstream.peer, upstream.host, upstream.port) == ("pbx", "office.example", None)
        assert upstream.flow.remote == ("192.168.1.5", 5060)
        assert next_one.flow.remote == ("192.168.1.6", 5060)

    def test_without_a_domain_it_is_named_as_the_operator_wrote_it(self):
        text = TEXT.replace(", domain: office.example", "")
        for written, named in (
            ("pbx.example.com", ("pbx.example.com", None)),
            ("pbx.example.com:5060", ("pbx.example.com", None)),
            ("pbx.example.com:5070", ("pbx.example.com", 5070)),
            ("192.168.1.5", ("192.168.1.5", None)),
            ("192.168.1.5:5070", ("192.168.1.5", 5070)),
        ):
            given = a_configuration(text.replace("pbx.example.com", f'"{written}"'))
            upstream = self.upstream(in_force(given, KNOWN))[0]
            assert (upstream.host, upstream.port) == named

    def test_one_without_address_is_out_of_service_and_named(self):
        refused = self.upstream(BLIND)
        assert refused.status == 503
        assert "pbx.example.com has no known address" in refused.text

    def test_registrations_that_no_route_takes(self):
        request = a_request("REGISTER", to="sip:a@b")
        caller = Caller("", FORCE.settings.peers[0].media, None, None)  # type: ignore[arg-type]
        refused = upstreams_for(FORCE, caller, request, INSIDE_FLOW)
        assert isinstance(refused, Refusal)
        assert refused.status == 404


def test_flows_need_a_listener_of_the_family():
    six = FORCE.settings.peer("six")
    assert flows_to(FORCE, six, six.targets[0]) == []


def test_a_loop_is_the_same_request_on_the_same_network():
    request = a_request()
    mark = loop_mark(request, PHONE_FLOW)
    again = a_request(headers=(f"Via: SIP/2.0/UDP us;branch=z9hG4bKme.{mark}.1",))
    assert is_loop(again, "me", mark)
    assert not is_loop(again, "other", mark)
    assert not is_loop(again, "me", loop_mark(again, INSIDE_FLOW))
    assert not is_loop(request, "me", mark)


NUMBERS = TEXT.replace(
    "domain: office.example}",
    "domain: office.example, numbers: {country: DE}}",
).replace(
    'address: ["sip.carrier.example:5070;transport=tcp", 192.0.2.30]\n',
    "address: 192.0.2.30\n    numbers: {country: DE, outbound: {format: FORM, uri: URI}}\n",
)


def _dial(form: str, uri: str, number: str):
    text = NUMBERS.replace("FORM", form).replace("URI", uri)
    return ask(number, force=in_force(a_configuration(text), KNOWN))


class TestNumbers:
    def test_a_number_is_routed_as_e164_and_told_as_the_trunk_wants_it(self):
        why, found = _dial("international", "keep", "sip:03012345678@x")
        assert ", called 03012345678 -> +493012345678 (e164 DE)" in why
        assert found[0].request_uri == "sip:493012345678@192.0.2.30"
        assert found[0].note == (
            "peer 'carrier' is told +493012345678 -> 493012345678 (international DE)"
        )

    @pytest.mark.parametrize(
        ("form", "request_uri"),
        [
            ("keep", "sip:+493012345678@192.0.2.30;user=phone"),
            ("sip", "sip:+493012345678@192.0.2.30"),
            ("phone", "sip:+493012345678@192.0.2.30;user=phone"),
            ("tel", "tel:+493012345678"),
        ],
    )
    def test_a_trunk_gets_the_kind_of_uri_that_it_wants(self, form, request_uri):
        _, found = _dial("as-is", form, "tel:030-12345678;phone-context=+49")
        assert found[0].request_uri == request_uri

    def test_a_local_number_is_no_tel_uri(self):
        _, found = _dial("national", "tel", "sip:03012345678@x")
        assert found[0].request_uri == "sip:03012345678@192.0.2.30;user=phone"

    def test_an_extension_is_routed_as_it_is(self):
        refused = _dial("e164", "keep", "sip:1001@x")
        assert isinstance(refused, Refusal)
        assert refused.text.endswith("1001 has no reachable registration on network 'outside'")


DIDS = TEXT.replace(
    "routes:\n",
    """dids:
  main:
    numbers:
      "+4930600": {peer: [pbx, phones], user: "1001", failover: "+4930601"}
      "+4930601": {user: "0"}
routes:
  - {name: numbers, from: outside, dids: main, to: pbx}
""",
)


class TestDids:
    force = in_force(a_configuration(DIDS), KNOWN)

    def test_a_number_of_the_table_goes_where_its_row_says_then_to_its_failover(self):
        why, found = ask("sip:+4930600@203.0.113.10", PHONE_FLOW, self.force)
        assert why.startswith("route 'numbers' (")
        assert ", DID main +4930600 (" in why
        assert ", failover +4930601 (" in why
        assert [one.request_uri.partition("@")[0] for one in found] == [
            "sip:1001",
            "sip:1001",
            "sip:0",
            "sip:0",
        ]

    def test_any_other_number_goes_by_the_next_route(self):
        why, found = ask("sip:+4930602@203.0.113.10", PHONE_FLOW, self.force)
        assert why.startswith("route 'in' (")
        assert found[0].request_uri.startswith("sip:+4930602@")


def test_a_name_that_stands_for_ourselves_leads_nowhere_and_says_so() -> None:
    """Or whoever answers for the name could send our calls back to us as the carrier's."""
    known = {**KNOWN, "six.example": ("203.0.113.10", "192.168.1.2", "192.0.2.66")}
    force = in_force(a_configuration(TEXT), known)
    six = force.table.peer("six")
    assert six is not None
    # The second is ours too, but nothing of ours listens at that port.
    places = [place.host for place in places_of(force, six, six.targets[0])]
    assert places == ["192.168.1.2", "192.0.2.66"]
    alone = in_force(a_configuration(TEXT), {**KNOWN, "six.example": ("203.0.113.10",)})
    refused = ask("sip:6@office.example", force=alone)
    assert isinstance(refused, Refusal)
    assert "it stands for this SBC itself" in refused.explanation
