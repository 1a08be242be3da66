"""Bindings come, move and go by the far registrar's word alone."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sbc.registrar import lives, pending, relay
from sbc.registrar.commands import BindingChanged
from sbc.routing.model import Settings
from sbc.sip.user import Respond, SendRequest
from tests.kit.registrar import TCP_PHONE, Desk, answer, assert_told, changes, life_of, only, pings
from tests.kit.registrar import settings as configured
from tests.kit.switchboard import PHONE_FLOW, a_register

MOVED = PHONE_FLOW._replace(remote=("198.51.100.7", 40001))
STRANGER = PHONE_FLOW._replace(remote=("192.0.2.66", 666))


class TestAcceptance:
    def test_a_binding_begins_with_the_registrars_2xx_and_lasts_as_long_as_it_says(self):
        desk = Desk()
        sent = desk.relayed()
        assert desk.registrar.bindings == []
        ours = sent.request.headers.first("contact")
        out = desk.reply(sent, 200, ("Contact", f"{ours};expires=600"))
        assert changes(out) == ["registered"]
        binding = desk.binding
        assert (binding.aor, binding.user) == ("sip:alice@203.0.113.10", "alice")
        assert binding.contact == "sip:alice@10.0.0.7:5060"
        assert binding.flow == PHONE_FLOW
        assert binding.expires_at == desk.now + 600
        assert binding.token == sent.request.contacts[0].uri.user
        assert (binding.endpoints, binding.registrar) == ("phones", "pbx")
        assert desk.registrar.by_token(binding.token) is binding
        assert desk.registrar.speaker(PHONE_FLOW, desk.relayed().request) is binding
        assert desk.registrar.by_user("alice", "outside") == [binding]
        assert desk.registrar.by_user("alice", "inside") == []

    @pytest.mark.parametrize("status", [301, 401, 403, 407, 423, 500, 603])
    def test_no_other_answer_begins_one(self, status):
        desk = Desk()
        assert answer(desk.reply(desk.relayed(), status)).status == status
        assert desk.registrar.bindings == []
        assert desk.registrar.pending == 0

    def test_a_provisional_response_is_waited_over(self):
        desk = Desk()
        sent = desk.relayed()
        assert desk.reply(sent, 100) == []
        assert desk.registrar.pending == 1

    def test_the_answer_goes_to_the_transaction_that_asked(self):
        desk = Desk()
        first, second = desk.relayed(), desk.relayed(a_register("bob"))
        assert only(Respond, desk.reply(second)).key == "key-2"
        assert only(Respond, desk.reply(first)).key == "key-1"

    def test_a_second_answer_to_the_same_request_is_nobodys(self):
        desk = Desk()
        sent = desk.relayed()
        desk.reply(sent)
        assert desk.reply(sent) == []

    def test_a_registrar_that_lists_nothing_means_what_was_asked(self):
        desk = Desk()
        got = answer(desk.reply(desk.relayed(a_register(expires=120))))
        assert_told(got, "<sip:alice@10.0.0.7:5060>;expires=120")
        assert desk.binding.expires_at == desk.now + 120

    def test_an_unreadable_answer_is_a_bad_gateway(self):
        desk = Desk()
        got = answer(desk.reply(desk.relayed(), 200, ("Contact", "<<>")))
        assert got.status == 502
        assert desk.registrar.bindings == []

    def test_escaped_users_are_the_same_user(self):
        desk = Desk()
        desk.accept(a_register("%61lice"))
        assert desk.binding.user == "alice"
        assert desk.binding.aor == "sip:alice@203.0.113.10"


class TestSeveralContacts:
    TWO = "<sip:alice@10.0.0.7:5060>, <sip:alice@10.0.0.7:5070>"

    def test_each_contact_is_a_binding(self):
        desk = Desk()
        out = desk.accept(a_register(contact=self.TWO))
        assert changes(out) == ["registered", "registered"]
        contacts = [binding.contact for binding in desk.registrar.bindings]
        assert contacts == ["sip:alice@10.0.0.7:5060", "sip:alice@10.0.0.7:5070"]
        assert len(answer(out).headers.all("contact")) == 2

    def test_what_the_registrar_did_not_take_is_no_binding(self):
        desk = Desk()
        sent = desk.relayed(a_register(contact=self.TWO))
        first = sent.request.headers.all("contact")[0]
        got = answer(desk.reply(sent, 200, ("Contact", f"{first};expires=60")))
        assert_told(got, "<sip:alice@10.0.0.7:5060>;expires=60")
        assert desk.binding.contact == "sip:alice@10.0.0.7:5060"

    def test_contacts_of_the_users_other_phones_come_back_as_those_wrote_them(self):
        desk = Desk()
        desk.accept(a_register(contact="<sip:alice@10.9.9.9>"), MOVED)
        other = desk.binding.token
        sent = desk.relayed()
        ours = sent.request.headers.first("contact")
        got = answer(
            desk.reply(
                sent,
                200,
                ("Contact", f"{ours};expires=60"),
                ("Contact", f"<sip:{other}@192.168.1.2:5062>;expires=30"),
                ("Contact", "<sip:desk@192.168.1.77>;expires=30"),
            )
        )
        assert_told(got, "<sip:alice@10.0.0.7:5060>;expires=60", "<sip:alice@10.9.9.9>;expires=30")

    def test_asking_what_is_registered_changes_nothing(self):
        desk = Desk()
        desk.accept()
        before = desk.binding
        sent = desk.relayed(a_register(contact="", expires=None, cseq=2))
        assert sent.request.headers.all("contact") == []
        got = answer(
            desk.reply(sent, 200, ("Contact", f"<sip:{before.token}@192.168.1.2>;expires=44"))
        )
        assert got.headers.all("contact") == ["<sip:alice@10.0.0.7:5060>;expires=44"]
        assert desk.binding is before

    def test_too_many_in_one_request_are_refused(self):
        many = ", ".join(f"<sip:a@10.0.0.{n}>" for n in range(relay.MAX_CONTACTS + 1))
        desk = Desk()
        assert answer(desk.register(a_register(contact=many))).status == 403
        assert desk.registrar.pending == 0

    def test_a_user_with_too_many_loses_the_one_that_would_end_first(self):
        desk = Desk()
        for number in range(lives.MAX_CONTACTS_OF_USER + 1):
            data = a_register(contact=f"<sip:alice@10.0.1.{number}>", cseq=number + 1)
            out = desk.accept(data, expires=600 - 100 * (number == 3))
        assert changes(out) == ["registered", "replaced"]
        contacts = [binding.contact for binding in desk.registrar.bindings]
        assert len(contacts) == lives.MAX_CONTACTS_OF_USER
        assert "sip:alice@10.0.1.3" not in contacts


class TestLeaving:
    @pytest.mark.parametrize(
        "goodbye",
        [
            {"expires": 0},
            {"contact": "<sip:alice@10.0.0.7:5060>;expires=0"},
            {"contact": "*", "expires": 0},
        ],
    )
    def test_a_phone_that_says_goodbye_is_unbound_after_the_2xx(self, goodbye):
        desk = Desk()
        desk.accept()
        sent = desk.relayed(a_register(cseq=2, **goodbye))
        assert desk.binding.user == "alice"
        out = desk.reply(sent)
        assert changes(out) == ["unregistered"]
        assert desk.registrar.bindings == []
        assert desk.registrar.next_timeout() is None

    def test_a_refused_goodbye_changes_nothing(self):
        desk = Desk()
        desk.accept()
        desk.reply(desk.relayed(a_register(cseq=2, contact="*", expires=0), STRANGER), 401)
        assert desk.binding.flow == PHONE_FLOW

    def test_a_star_takes_all_contacts_of_the_user_at_that_registrar_and_nobody_elses(self):
        desk = Desk()
        desk.accept(a_register(contact=TestSeveralContacts.TWO))
        desk.accept(a_register(domain="sbc.example.com", contact="<sip:alice@10.0.0.9>"))
        desk.accept(a_register("bob"))
        out = desk.reply(desk.relayed(a_register(contact="*", expires=0, cseq=2)))
        assert changes(out) == ["unregistered"] * 3
        assert desk.binding.user == "bob"

    def test_a_binding_expires_when_the_registrar_said(self):
        desk = Desk(configured())
        desk.accept(expires=10)
        assert changes(desk.wait(9.9)) == []
        out = desk.wait(0.1)
        assert changes(out) == ["expired"]
        assert desk.registrar.bindings == []
        assert desk.registrar.next_timeout() is None

    def test_a_refresh_lengthens_its_life(self):
        desk = Desk()
        desk.accept(expires=60)
        desk.wait(50)
        assert changes(desk.accept(a_register(cseq=2), expires=60)) == ["refreshed"]
        assert changes(desk.wait(59)) == []
        assert changes(desk.wait(1)) == ["expired"]


class TestMoving:
    def test_a_nat_that_changed_its_port_moves_the_binding(self):
        desk = Desk()
        desk.accept()
        token = desk.binding.token
        out = desk.accept(a_register(cseq=2), MOVED)
        change = only(BindingChanged, out)
        assert (change.what, change.previous) == ("moved", PHONE_FLOW)
        assert (desk.binding.flow, desk.binding.token) == (MOVED, token)
        assert desk.registrar.speaker(PHONE_FLOW, desk.relayed().request) is None

    @pytest.mark.parametrize("status", [401, 403, 500])
    def test_nobody_moves_it_without_the_registrars_word(self, status):
        desk = Desk()
        desk.accept()
        before = desk.binding
        sent = desk.relayed(a_register(cseq=9), STRANGER)
        desk.reply(sent, status)
        assert desk.binding is before
        assert before.flow == PHONE_FLOW
        desk.registrar.failed(desk.relayed(a_register(cseq=10), STRANGER).ref, "timeout", 0.0)
        assert desk.binding is before

    def test_lines_of_one_phone_share_its_flow(self):
        desk = Desk()
        desk.accept()
        desk.accept(a_register("bob"))
        for user in ("alice", "bob"):
            asked = desk.relayed(a_register(user, cseq=7)).request
            assert desk.registrar.speaker(PHONE_FLOW, asked).user == user
        stranger = desk.relayed(a_register("carol")).request
        assert desk.registrar.speaker(PHONE_FLOW, stranger).user == "bob"
        assert desk.registrar.has_source(MOVED)


class TestConnections:
    def test_a_lost_connection_makes_its_phones_unreachable(self):
        desk = Desk()
        desk.accept(flow=TCP_PHONE)
        out = desk.registrar.flow_closed(TCP_PHONE)
        assert changes(out) == ["unreachable"]
        assert not desk.binding.reachable
        assert desk.registrar.by_user("alice", "outside") == []
        assert desk.registrar.flow_closed(TCP_PHONE) == []
        assert pings(desk.wait(300)) == []

    def test_one_lost_before_the_answer_counts_too(self):
        desk = Desk()
        sent = desk.relayed(flow=TCP_PHONE)
        desk.registrar.flow_closed(TCP_PHONE)
        desk.reply(sent)
        assert not desk.binding.reachable

    def test_registering_again_on_a_new_one_makes_the_phone_reachable(self):
        desk = Desk()
        desk.accept(flow=TCP_PHONE)
        desk.registrar.flow_closed(TCP_PHONE)
        desk.accept(a_register(cseq=2), TCP_PHONE._replace(connection=4))
        assert desk.binding.reachable
        assert desk.registrar.flow_closed(TCP_PHONE) == []


class TestSilence:
    @pytest.mark.parametrize(("why", "status"), [("timeout", 504), ("transport", 503)])
    def test_the_phone_is_told_that_the_registrar_cannot_be_had(self, why, status):
        desk = Desk()
        got = answer(desk.registrar.failed(desk.relayed().ref, why, 0.0))
        assert got.status == status
        assert "registrar" in got.headers.first("warning")
        assert (got.headers.first("retry-after") is not None) == (status == 503)
        assert desk.registrar.pending == 0

    def test_what_nobody_answers_or_fails_is_forgotten_all_the_same(self):
        desk = Desk()
        desk.relayed()
        desk.wait(pending.PENDING_S)
        assert desk.registrar.pending == 0
        assert desk.registrar.next_timeout() is None

    def test_failures_and_answers_to_nothing_are_nothing(self):
        desk = Desk()
        assert desk.registrar.failed("z9hG4bKunknown", "timeout", 0.0) == []


class TestTwins:
    def test_a_register_that_came_another_way_is_merged(self):
        desk = Desk()
        sent = desk.relayed()
        assert answer(desk.register(a_register(branch="z9hG4bK-other"))).status == 482
        desk.reply(sent)
        assert only(SendRequest, desk.register(a_register(branch="z9hG4bK-later")))


class TestBounds:
    def test_a_flood_of_registers_allocates_no_binding_and_a_bounded_rest(self, monkeypatch):
        monkeypatch.setattr(pending, "MAX_PENDING", 100)
        desk = Desk()
        statuses = []
        for number in range(80):
            flow = PHONE_FLOW._replace(remote=("192.0.2.1", 1024 + number))
            out = desk.register(a_register(f"u{number}"), flow)
            statuses += [c.response.status for c in out if isinstance(c, Respond)]
        assert statuses == [503] * 30
        assert desk.registrar.pending == 50
        assert desk.registrar.bindings == []
        desk.wait(pending.PENDING_S)
        assert desk.registrar.pending == 0

    def test_a_flood_from_invented_sources_keeps_no_known_phone_out(self, monkeypatch):
        monkeypatch.setattr(pending, "MAX_PENDING", 10)
        desk = Desk()
        desk.accept()
        for number in range(20):
            flow = PHONE_FLOW._replace(remote=("192.0.2.1", 1024 + number))
            desk.register(a_register(f"u{number}"), flow)
        assert desk.registrar.pending == 5
        assert changes(desk.accept(a_register(cseq=2))) == ["refreshed"]

    def test_phones_that_are_turned_away_come_back_at_different_times(self, monkeypatch):
        monkeypatch.setattr(pending, "MAX_PENDING", 0)
        desk = Desk()
        waits = [
            answer(desk.register(a_register(f"u{number}"))).headers.first("retry-after")
            for number in range(100)
        ]
        assert len(set(waits)) > 10

    def test_lives_that_are_told_differ_and_never_exceed_what_was_granted(self):
        desk = Desk()
        lives = set()
        for number in range(100):
            got = answer(desk.accept(a_register(f"u{number}")))
            lives.add(life_of(got.headers.first("contact")))
            assert desk.registrar.bindings[-1].expires_at == desk.now + 600
        assert 540 <= min(lives) <= max(lives) <= 600
        assert len(lives) > 20

    def test_a_full_house_still_refreshes_but_takes_nobody_new(self, monkeypatch):
        monkeypatch.setattr(relay, "MAX_BINDINGS", relay.MAX_CONTACTS)
        desk = Desk()
        desk.accept()
        got = answer(desk.register(a_register("bob")))
        assert got.status == 503
        assert 15 <= int(got.headers.first("retry-after")) <= 30
        assert changes(desk.accept(a_register(cseq=2))) == ["refreshed"]
        assert changes(desk.reply(desk.relayed(a_register(cseq=3, expires=0)))) == ["unregistered"]

    @settings(deadline=None, max_examples=60)
    @given(
        st.lists(
            st.tuples(
                st.sampled_from(["alice", "bob", "*alice"]),
                st.sampled_from([PHONE_FLOW, MOVED, TCP_PHONE]),
                st.sampled_from([0, 30, 600]),
                st.sampled_from(["accept", "401", "silence", "lose", "close", "wait"]),
            ),
            max_size=25,
        )
    )
    def test_whatever_happens_everything_runs_out(self, steps):
        desk = Desk()
        for number, (user, flow, expires, end) in enumerate(steps, start=1):
            star = user.startswith("*")
            data = a_register(
                user.lstrip("*"),
                cseq=number,
                contact="*" if star else None,
                expires=0 if star else expires,
            )
            sent = desk.relayed(data, flow)
            if end == "accept":
                desk.reply(sent)
            elif end == "401":
                desk.reply(sent, 401)
            elif end == "lose":
                desk.registrar.failed(sent.ref, "transport", 0.0)
            elif end == "close" and flow.reliable:
                desk.registrar.flow_closed(flow)
            elif end == "wait":
                desk.wait(20)
            assert len(desk.registrar.bindings) <= 2
        desk.wait(700)
        assert desk.registrar.bindings == []
        assert desk.registrar.pending == 0
        assert desk.registrar.next_timeout() is None


class TestRestart:
    def test_the_whole_registrar_survives_as_json(self):
        desk = Desk()
        desk.accept()
        desk.accept(a_register("bob"), MOVED, expires=60)
        desk.wait(10)
        exported = json.loads(json.dumps(desk.registrar.export(desk.now)))
        heir = Desk(secret=b"of another process")
        heir.now = 5.0
        out = heir.registrar.restore(exported, heir.now)
        assert changes(out) == ["restored", "restored"]
        assert heir.registrar.export(heir.now) == exported
        assert changes(heir.wait(49)) == []
        assert changes(heir.wait(1)) == ["expired"]
        assert pings(heir.wait(40))

    def test_a_restored_phone_keeps_the_token_that_the_registrar_knows(self):
        desk = Desk()
        desk.accept()
        token = desk.binding.token
        heir = Desk(secret=b"of another process")
        heir.registrar.restore(desk.registrar.export(desk.now), heir.now)
        assert changes(heir.accept(a_register(cseq=2))) == ["refreshed"]
        assert heir.binding.token == token

    def test_phones_on_connections_of_the_old_process_are_unreachable(self):
        desk = Desk()
        desk.accept(flow=TCP_PHONE)
        heir = Desk()
        heir.registrar.restore(desk.registrar.export(desk.now), heir.now)
        assert not heir.binding.reachable
        asked = desk.relayed(a_register(cseq=9)).request
        assert heir.registrar.speaker(TCP_PHONE, asked) is None
        assert changes(heir.accept(a_register(cseq=9), TCP_PHONE)) == ["moved"]
        assert heir.registrar.by_user("alice", "outside") == [heir.binding]

    def test_the_expired_and_the_homeless_are_left_out(self):
        desk = Desk()
        desk.accept(expires=60)
        exported = desk.registrar.export(desk.now)
        late = [{**data, "expires_in_s": -1} for data in exported]
        heir = Desk()
        assert heir.registrar.restore(late, heir.now) == []
        elsewhere = [{**data, "flow": {**data["flow"], "network": "gone"}} for data in exported]
        assert heir.registrar.restore(elsewhere, heir.now) == []


class TestReload:
    def test_a_network_that_vanished_takes_its_phones_along(self):
        desk = Desk()
        desk.accept()
        (_, inside) = configured().networks
        out = desk.registrar.configure(Settings((inside,), (), ()), desk.now)
        assert changes(out) == ["homeless"]
        assert desk.registrar.next_timeout() is None

    def test_an_answer_that_comes_after_its_network_vanished_makes_no_binding(self):
        desk = Desk()
        sent = desk.relayed()
        (_, inside) = configured().networks
        desk.registrar.configure(Settings((inside,), (), ()), desk.now)
        assert answer(desk.reply(sent)).status == 200
        assert desk.registrar.bindings == []
