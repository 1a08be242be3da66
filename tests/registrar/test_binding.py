"""Bindings as data, and what a REGISTER shows about NAT."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sbc.registrar.binding import Binding, NatEvidence, nat_evidence
from sbc.sip.flow import Flow, flow_to_data
from sbc.sip.message import Request
from sbc.sip.parser import parse_message_untrusted
from tests.kit.registrar import TCP_PHONE
from tests.kit.switchboard import PHONE_FLOW, a_register


def a_binding(token: str = "t1", flow: Flow = PHONE_FLOW, expires_at: float = 700.0) -> Binding:
    return Binding(
        token=token,
        aor="sip:alice@203.0.113.10",
        user="alice",
        host="203.0.113.10",
        contact="sip:alice@10.0.0.7:5060;ob",
        flow=flow,
        endpoints="phones",
        registrar="pbx",
        expires_at=expires_at,
        nat=NatEvidence(True, False, True),
        user_agent='Phone/1 "x" é',
        missed=2,
    )


def evidence(flow: Flow = PHONE_FLOW, **register: str) -> NatEvidence:
    request = parse_message_untrusted(a_register(**register))
    assert isinstance(request, Request)
    contact = request.contacts[0].uri
    return nat_evidence(request, flow, contact.host, contact.port)


class TestAsData:
    def test_a_binding_survives_json(self):
        for binding in (a_binding(), a_binding(flow=TCP_PHONE), replace(a_binding(), missed=0)):
            data = json.loads(json.dumps(binding.to_data(100.0)))
            assert Binding.from_data(data, 100.0) == binding

    def test_its_life_is_counted_in_seconds_left_since_clocks_differ(self):
        data = a_binding(expires_at=700.0).to_data(100.0)
        assert data["expires_in_s"] == 600.0
        assert Binding.from_data(data, 5.0).expires_at == 605.0

    @given(
        st.dictionaries(
            st.sampled_from(sorted(a_binding().to_data(0.0))),
            st.none() | st.integers() | st.text() | st.lists(st.integers() | st.text(), max_size=5),
        )
    )
    def test_other_data_is_refused_with_value_error_or_read(self, damage):
        data = {**a_binding().to_data(0.0), **damage}
        try:
            assert isinstance(Binding.from_data(data, 0.0), Binding)
        except ValueError:
            pass

    @pytest.mark.parametrize(
        "damage",
        [
            {"contact": "sip:a@b\r\nX: y"},
            {"aor": "nobody"},
            {"path": ["<sip:a;lr>\r\nX: y"]},
            {"service_route": ["x"]},
            {"expires_in_s": float("nan")},
            {"expires_in_s": float("inf")},
            {"pinhole_s": 0},
            {"pinhole_s": float("nan")},
            {"flow": {**flow_to_data(PHONE_FLOW), "connection": float("inf")}},
        ],
    )
    def test_what_no_registration_made_is_refused(self, damage: dict[str, object]):
        with pytest.raises(ValueError, match=r"\S"):
            Binding.from_data({**a_binding().to_data(0.0), **damage}, 0.0)

    def test_a_missing_field_is_named(self):
        data = a_binding().to_data(0.0)
        del data["aor"]
        with pytest.raises(ValueError, match="aor"):
            Binding.from_data(data, 0.0)


class TestNatEvidence:
    def test_a_phone_on_a_public_address_shows_none(self):
        flow = PHONE_FLOW._replace(remote=("198.51.100.7", 5060))
        seen = evidence(flow, sent_by="198.51.100.7", contact="<sip:a@198.51.100.7>")
        assert not seen.behind_nat
        assert str(seen) == "none"

    def test_a_private_contact_from_a_public_source_is_evidence(self):
        seen = evidence(PHONE_FLOW._replace(remote=("8.8.4.4", 40000)))
        assert seen == NatEvidence(True, True, True)
        assert seen.behind_nat
        assert "private address" in str(seen)

    def test_a_mapped_port_is_evidence_over_udp_only(self):
        writes = {"sent_by": "198.51.100.7:5060", "contact": "<sip:a@198.51.100.7:5060>"}
        assert evidence(PHONE_FLOW, **writes).behind_nat
        assert not evidence(TCP_PHONE, **writes).behind_nat

    def test_an_algs_rewritten_contact_with_the_true_via_missing_is_still_seen(self):
        seen = evidence(PHONE_FLOW, sent_by="10.0.0.7", contact="<sip:a@198.51.100.7:40000>")
        assert seen == NatEvidence(False, False, True)

    def test_ipv6_written_another_way_is_no_evidence(self):
        flow = PHONE_FLOW._replace(remote=("2001:db8::7", 5060))
        seen = evidence(flow, sent_by="[2001:DB8:0::7]", contact="<sip:a@[2001:db8:0:0::7]>")
        assert not seen.behind_nat
