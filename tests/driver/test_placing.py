"""Who calls, and where calls go; as questions to a configuration."""

import pytest

from sbc.driver.placing import (
    Caller,
    Refusal,
    candidates_for,
    flows_to,
    identify,
    is_loop,
    loop_mark,
    number_of,
    upstreams_for,
)
from sbc.registrar.registrar import Registrar
from sbc.sip.message import Request
from sbc.sip.parser import parse_message_untrusted
from sbc.sip.uri import parse_uri_untrusted
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
            "sip:+49@192.0.2.9:5070;transport=tcp",
            "sip:+49@192.0.2.30",
        ]
        assert [c.flow.transport for c in found] == ["tcp", "udp"]
        assert found[0].flow.local == ("203.0.113.10", 5060)

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


@pytest.mark.parametrize(
    ("uri", "number"),
    [
        ("sip:alice@x", "alice"),
        ("sip:%61lice@x", "alice"),
        ("sip:a;b@x", "a;b"),
        ("sip:+49-30@x", "+49-30"),
        ("sip:+49-30;ext=1@x;user=phone", "+4930"),
        ("tel:+49-(30).1;ext=1", "+49301"),
        ("sip:x", ""),
    ],
)
def test_numbers_as_routes_compare_them(uri, number):
    assert number_of(parse_uri_untrusted(uri)) == number


def test_a_loop_is_the_same_request_on_the_same_network():
    request = a_request()
    mark = loop_mark(request, PHONE_FLOW)
    again = a_request(headers=(f"Via: SIP/2.0/UDP us;branch=z9hG4bKme.{mark}.1",))
    assert is_loop(again, "me", mark)
    assert not is_loop(again, "other", mark)
    assert not is_loop(again, "me", loop_mark(again, INSIDE_FLOW))
    assert not is_loop(request, "me", mark)
