"""A registrar of our own: RFC 3261 §10.3, whole or not at all."""

import pytest

from sbc.registrar import lives
from sbc.registrar.registrar import Registrar
from sbc.routing.registration import Registration
from sbc.sip.errors import ParseError
from tests.kit.registrar import TCP_PHONE, Desk, answer, assert_told, changes, life_of, settings
from tests.kit.switchboard import PHONE_FLOW, a_register

LOCAL = Registration(mode="local", min_expires_s=60, max_expires_s=600, max_contacts=3)
CONTACT = "<sip:alice@10.0.0.7:5060>"
OTHER = "<sip:alice@10.0.0.8>"
MOVED = PHONE_FLOW._replace(remote=("198.51.100.7", 40001))


def a_desk() -> Desk:
    return Desk(settings(registration=LOCAL), upstreams=())


class TestAcceptance:
    def test_a_phone_is_registered_at_once_and_nobody_is_asked(self):
        desk = a_desk()
        out = desk.register(a_register(expires=300))
        assert changes(out) == ["registered"]
        assert_told(answer(out), f"{CONTACT};expires=300")
        binding = desk.binding
        assert (binding.registrar, binding.endpoints) == ("", "phones")
        assert life_of(answer(out).headers.first("contact")) == binding.expires_at - desk.now
        assert desk.registrar.by_user("alice", "outside") == [binding]
        assert desk.registrar.pending == 0

    def test_a_long_life_is_cut_and_one_that_is_not_said_too(self):
        desk = a_desk()
        for cseq, expires in enumerate((7200, None, 2**32 - 1), start=1):
            got = answer(desk.register(a_register(cseq=cseq, expires=expires)))
            assert 540 <= life_of(got.headers.first("contact")) <= 600

    @pytest.mark.parametrize("expires", [1, 59])
    def test_a_short_life_is_refused_with_what_would_be_long_enough(self, expires):
        desk = a_desk()
        got = answer(desk.register(a_register(expires=expires)))
        assert (got.status, got.headers.first("min-expires")) == (423, "60")
        assert desk.registrar.bindings == []

    def test_jitter_goes_not_below_the_minimum(self):
        desk = a_desk()
        for number in range(20):
            got = answer(desk.register(a_register(f"u{number}", expires=60)))
            assert life_of(got.headers.first("contact")) == 60

    def test_a_question_is_answered_with_every_contact_and_changes_nothing(self):
        desk = a_desk()
        desk.register(a_register(contact=f"{CONTACT}, {OTHER}", expires=300))
        got = answer(desk.register(a_register(contact="", expires=None, cseq=2)))
        assert_told(got, f"{CONTACT};expires=300", f"{OTHER};expires=300")
        assert len(desk.registrar.bindings) == 2

    def test_the_most_wanted_contact_is_called_first_and_of_equals_the_newest(self):
        desk = a_desk()
        desk.register(a_register(contact=f"{OTHER};q=0.3", call_id="a"))
        desk.register(a_register(contact=CONTACT, call_id="b"))
        desk.register(a_register(contact="<sip:alice@10.0.0.9>;q=0.3", call_id="c"))
        found = [binding.contact for binding in desk.registrar.by_user("alice", "outside")]
        assert found == ["sip:alice@10.0.0.7:5060", "sip:alice@10.0.0.9", "sip:alice@10.0.0.8"]

    def test_other_users_are_not_told(self):
        desk = a_desk()
        desk.register(a_register("bob"))
        got = answer(desk.register(a_register()))
        assert len(got.headers.all("contact")) == 1

    def test_what_cannot_be_read_changes_nothing(self):
        desk = a_desk()
        with pytest.raises(ParseError):
            desk.register(a_register(contact="*", expires=60))
        assert desk.registrar.bindings == []


class TestLeaving:
    @pytest.mark.parametrize(
        "goodbye",
        [{"expires": 0}, {"contact": f"{CONTACT};expires=0"}, {"contact": "*", "expires": 0}],
    )
    def test_goodbye(self, goodbye):
        desk = a_desk()
        desk.register(a_register())
        out = desk.register(a_register(cseq=2, **goodbye))
        assert changes(out) == ["unregistered"]
        assert answer(out).headers.all("contact") == []
        assert desk.registrar.bindings == []
        assert desk.registrar.next_timeout() is None

    def test_one_goes_while_another_comes(self):
        desk = a_desk()
        desk.register(a_register())
        out = desk.register(a_register(contact=f"{CONTACT};expires=0, {OTHER}", cseq=2))
        assert changes(out) == ["unregistered", "registered"]
        assert desk.binding.contact == "sip:alice@10.0.0.8"

    def test_a_life_that_ends(self):
        desk = a_desk()
        desk.register(a_register(expires=60))
        assert changes(desk.wait(60))[-1] == "expired"


class TestOrder:
    @pytest.mark.parametrize("late", [{}, {"contact": "*", "expires": 0}, {"expires": 0}])
    def test_what_was_overtaken_is_refused_whole(self, late):
        desk = a_desk()
        desk.register(a_register(cseq=5))
        got = answer(desk.register(a_register(cseq=4, **late), MOVED))
        assert got.status == 500
        assert (desk.binding.flow, desk.binding.cseq) == (PHONE_FLOW, 5)

    def test_another_call_id_begins_anew(self):
        desk = a_desk()
        desk.register(a_register(cseq=5))
        assert changes(desk.register(a_register(cseq=1, call_id="rebooted"), MOVED)) == ["moved"]

    def test_one_contact_too_short_refuses_all(self):
        desk = a_desk()
        got = answer(desk.register(a_register(contact=f"{CONTACT}, {OTHER};expires=5")))
        assert got.status == 423
        assert desk.registrar.bindings == []


class TestBounds:
    def test_a_user_with_too_many_contacts_loses_the_one_that_would_end_first(self):
        desk = a_desk()
        for number in range(4):
            contact = f"<sip:alice@10.0.1.{number}>"
            out = desk.register(a_register(contact=contact, expires=600 - number, cseq=number + 1))
        assert changes(out) == ["registered", "replaced"]
        assert len(desk.registrar.bindings) == LOCAL.max_contacts

    def test_too_many_at_once_are_refused(self):
        many = ", ".join(f"<sip:a@10.0.0.{n}>" for n in range(4))
        assert answer(a_desk().register(a_register(contact=many))).status == 403

    def test_a_full_house(self, monkeypatch):
        monkeypatch.setattr("sbc.registrar.local.MAX_BINDINGS", 1)
        desk = a_desk()
        desk.register(a_register())
        got = answer(desk.register(a_register("bob")))
        assert got.status == 503
        assert got.headers.first("retry-after")
        assert lives.MAX_BINDINGS > 1


def test_only_the_peers_that_say_so_are_decided_on_here():
    registrar = Registrar(settings(registration=LOCAL), b"s" * 32, 7)
    assert registrar.decides("phones")
    assert not registrar.decides("")


class TestFlows:
    """RFC 5626: a phone with two flows is one contact, and is reached by the flow that works."""

    SECOND = TCP_PHONE._replace(connection=9, remote=("198.51.100.7", 42000))

    def flow(self, desk: Desk, reg_id: int, flow, cseq: int = 1, expires: int = 300, **rest):
        contact = f'<sip:alice@10.0.0.7;ob>;reg-id={reg_id};+sip.instance="<urn:uuid:1>"'
        return desk.register(
            a_register(
                contact=contact,
                cseq=cseq,
                call_id=f"flow-{reg_id}",
                expires=expires,
                headers=("Supported: outbound, path",),
                **rest,
            ),
            flow,
        )

    def test_each_flow_is_a_binding_and_the_phone_is_told_that_it_is_kept(self):
        desk = a_desk()
        got = answer(self.flow(desk, 1, TCP_PHONE))
        assert got.headers.first("require") == "outbound"
        assert got.headers.first("flow-timer") == "120"
        self.flow(desk, 2, self.SECOND)
        one, two = desk.registrar.bindings
        assert (one.token, one.key != two.key) == (two.token, True)
        assert desk.registrar.flows_of(one.token) == [two, one]

    def test_udp_has_no_flow_timer(self):
        got = answer(self.flow(a_desk(), 1, PHONE_FLOW))
        assert got.headers.first("require") == "outbound"
        assert got.headers.first("flow-timer") is None

    def test_a_flow_that_broke_is_passed_over_and_replaced(self):
        desk = a_desk()
        self.flow(desk, 1, TCP_PHONE)
        self.flow(desk, 2, self.SECOND)
        token = desk.registrar.bindings[0].token
        desk.registrar.flow_closed(self.SECOND)
        assert [one.reg_id for one in desk.registrar.flows_of(token)] == [1, 2]
        assert [one.reg_id for one in desk.registrar.by_user("alice", "outside")] == [1]
        third = self.SECOND._replace(connection=10)
        assert changes(self.flow(desk, 2, third, cseq=2)) == ["moved"]
        assert len(desk.registrar.bindings) == 2

    def test_a_contact_that_changed_is_the_same_phone(self):
        desk = a_desk()
        self.flow(desk, 1, TCP_PHONE)
        contact = '<sip:alice@10.9.9.9>;reg-id=1;+sip.instance="<urn:uuid:1>"'
        supported = ("Supported: outbound",)
        desk.register(a_register(contact=contact, cseq=2, headers=supported), TCP_PHONE)
        assert desk.binding.contact == "sip:alice@10.9.9.9"

    def test_one_flow_leaves_the_others(self):
        desk = a_desk()
        self.flow(desk, 1, TCP_PHONE)
        self.flow(desk, 2, self.SECOND)
        assert changes(self.flow(desk, 1, TCP_PHONE, cseq=2, expires=0)) == ["unregistered"]
        assert desk.binding.reg_id == 2

    def test_a_phone_that_does_not_support_it_has_one_contact(self):
        desk = a_desk()
        contact = '<sip:alice@10.0.0.7>;reg-id=1;+sip.instance="<urn:uuid:1>"'
        got = answer(desk.register(a_register(contact=contact)))
        assert got.headers.first("require") is None
        assert desk.binding.reg_id == 0

    def test_a_reg_id_without_an_instance_is_ignored(self):
        desk = a_desk()
        supported = ("Supported: outbound",)
        desk.register(a_register(contact="<sip:a@10.0.0.7>;reg-id=1", headers=supported))
        assert desk.binding.reg_id == 0

    def test_a_hop_between_that_keeps_no_flow_is_told(self):
        got = answer(self.flow(a_desk(), 1, TCP_PHONE, via_params=";rport,SIP/2.0/TCP 10.9.9.9"))
        assert (got.status, got.reason) == (439, "First Hop Lacks Outbound Support")

    def test_two_flows_in_one_request_are_malformed(self):
        one = '<sip:a@10.0.0.7>;reg-id=1;+sip.instance="<urn:uuid:1>"'
        two = one.replace("=1;", "=2;")
        for contact in (f"{one}, {two}", f"{one}, <sip:a@10.0.0.8>"):
            data = a_register(contact=contact, headers=("Supported: outbound",))
            with pytest.raises(ParseError):
                a_desk().register(data)
