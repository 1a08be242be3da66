"""A cache answers only what the registrar would not be asked anew by, and never beyond its word."""

import pytest

from sbc.registrar import pending
from sbc.registrar.commands import AnsweredInNeed
from sbc.registrar.relay import GRACE_S
from sbc.registrar.relaying import Upstream
from sbc.routing.registration import Registration
from sbc.sip.user import SendRequest
from tests.kit.registrar import (
    TCP_PHONE,
    UPSTREAM,
    Desk,
    answer,
    assert_told,
    changes,
    life_of,
    only,
    settings,
)
from tests.kit.switchboard import PHONE_FLOW, a_register

CACHE = Registration(mode="cache", phone_expires_s=90, registrar_expires_s=3600)
MOVED = PHONE_FLOW._replace(remote=("198.51.100.7", 40001))
CONTACT = "<sip:alice@10.0.0.7:5060>"


def credentials(nc: int | None = 1, response: str = "aa", **other: str) -> str:
    said = {"username": "alice", "realm": "pbx", "nonce": "n1", "uri": "sip:pbx"} | other
    text = ", ".join(f'{name}="{value}"' for name, value in said.items())
    use = "" if nc is None else f', qop=auth, cnonce="c{nc}", nc={nc:08x}'
    return f'Authorization: Digest {text}, response="{response}{nc or ""}"{use}'


def a_desk(nc: int | None = 1, granted: int = 3600) -> Desk:
    """A phone that registered with credentials, once."""
    desk = Desk(settings(registration=CACHE))
    desk.accept(a_register(headers=(credentials(nc),)), expires=granted)
    return desk


def again(cseq: int = 2, *, nc: int | None = 2, **rest: object) -> bytes:
    """The phone's next REGISTER."""
    rest.setdefault("headers", (credentials(nc),))
    return a_register(cseq=cseq, **rest)  # type: ignore[arg-type]  # as a_register takes it


class TestAbsorption:
    def test_the_phone_is_told_a_short_life_and_the_registrar_asked_for_a_long_one(self):
        desk = Desk(settings(registration=CACHE))
        sent = desk.relayed(a_register(expires=120))
        ours = sent.request.headers.first("contact")
        assert ours.endswith(";expires=3600")
        got = answer(desk.reply(sent, 200, ("Contact", ours)))
        assert_told(got, f"{CONTACT};expires=90")
        assert desk.binding.kept_until == desk.now + 3600
        assert 81 + GRACE_S <= desk.binding.expires_at - desk.now <= 90 + GRACE_S

    def test_a_refresh_is_answered_here(self):
        desk = a_desk()
        desk.wait(60)
        out = desk.register(again())
        assert changes(out) == ["refreshed"]
        assert_told(answer(out), f"{CONTACT};expires=90")
        assert desk.registrar.absorbed == 1
        assert desk.registrar.pending == 0
        assert desk.binding.kept_until == desk.now - 60 + 3600

    @pytest.mark.parametrize(
        ("before", "after"),
        [
            pytest.param(1, {"headers": ()}, id="no credentials"),
            pytest.param(1, {"nc": 9}, id="the nonce used again"),
            pytest.param(1, {"nc": 1}, id="the identical value"),
            pytest.param(None, {"nc": None}, id="the identical value without a count"),
            pytest.param(1, {"expires": 60}, id="another life"),
            pytest.param(1, {"expires": 30000}, id="a life beyond what was granted"),
        ],
    )
    def test_what_continues_is_absorbed(self, before, after):
        desk = a_desk(before)
        desk.wait(30)
        got = answer(desk.register(again(**after)))
        assert (got.status, desk.registrar.pending) == (200, 0)
        assert life_of(got.headers.first("contact")) <= min(90, after.get("expires", 90))

    @pytest.mark.parametrize(
        ("before", "after"),
        [
            pytest.param(1, {"headers": (credentials(2, nonce="n2"),)}, id="another nonce"),
            pytest.param(1, {"headers": (credentials(2, realm="x"),)}, id="another realm"),
            pytest.param(1, {"headers": (credentials(2, username="bob"),)}, id="another user"),
            pytest.param(1, {"headers": (credentials(2, uri="sip:x"),)}, id="another URI"),
            pytest.param(
                1, {"headers": (credentials(2, algorithm="SHA-256"),)}, id="another algorithm"
            ),
            pytest.param(2, {"nc": 1}, id="a count that falls"),
            pytest.param(1, {"headers": (credentials(1, "bb"),)}, id="same count, other response"),
            pytest.param(None, {"headers": (credentials(None, "bb"),)}, id="another response"),
            pytest.param(1, {"headers": (credentials(None),)}, id="a count that is gone"),
            pytest.param(1, {"headers": ("Authorization: Basic YTpi",)}, id="another scheme"),
            pytest.param(1, {"headers": (credentials(2), credentials(3))}, id="two of them"),
            pytest.param(1, {"headers": (credentials(2).replace("Auth", "Proxy-Auth", 1),)},
                         id="another header"),
            pytest.param(1, {"call_id": "other"}, id="another Call-ID"),
            pytest.param(1, {"cseq": 1, "branch": "z9hG4bKx"}, id="a CSeq that was"),
            pytest.param(1, {"contact": "<sip:alice@10.0.0.9>"}, id="another contact"),
            pytest.param(1, {"contact": f"{CONTACT};q=0.1"}, id="another q"),
            pytest.param(1, {"contact": f"{CONTACT}, <sip:alice@10.0.0.9>"}, id="a contact more"),
            pytest.param(1, {"contact": ""}, id="a question"),
            pytest.param(1, {"domain": "other.example"}, id="another domain"),
            pytest.param(1, {"expires": 0}, id="a goodbye"),
            pytest.param(1, {"contact": "*", "expires": 0}, id="a goodbye of all"),
            pytest.param(1, {"headers": (credentials(2), "Path: <sip:p;lr>")}, id="another path"),
        ],
    )  # fmt: skip
    def test_anything_else_goes_to_the_registrar(self, before, after):
        desk = a_desk(before)
        desk.wait(30)
        assert only(SendRequest, desk.register(again(**after))).request.method == "REGISTER"
        assert desk.registrar.absorbed == 0

    def test_credentials_that_come_where_none_were_accepted_go_to_the_registrar(self):
        desk = Desk(settings(registration=CACHE))
        desk.accept()
        assert only(SendRequest, desk.register(again()))

    @pytest.mark.parametrize("flow", [MOVED, TCP_PHONE])
    def test_another_flow_goes_to_the_registrar(self, flow):
        desk = a_desk()
        assert only(SendRequest, desk.register(again(), flow))

    def test_another_registrar_is_asked(self):
        desk = a_desk()
        desk.upstreams = [_elsewhere()]
        assert only(SendRequest, desk.register(again()))

    def test_a_cseq_is_good_once(self):
        desk = a_desk()
        assert answer(desk.register(again(2))).status == 200
        assert only(SendRequest, desk.register(again(2, nc=3, branch="z9hG4bKother")))

    def test_a_count_is_good_once(self):
        desk = a_desk()
        desk.register(again(2, nc=5))
        assert only(SendRequest, desk.register(again(3, nc=5, headers=(credentials(5, "zz"),))))

    def test_half_of_what_was_granted_is_renewed_by_the_phone_itself(self):
        desk = a_desk(granted=600)
        for number in range(2, 6):
            desk.wait(70)
            assert answer(desk.register(again(number, nc=number))).status == 200
        desk.wait(70)
        sent = only(SendRequest, desk.register(again(6, nc=6)))
        assert sent.request.headers.first("authorization")
        desk.reply(sent, 200, ("Contact", sent.request.headers.first("contact")))
        assert desk.binding.kept_until == desk.now + 3600

    def test_nobody_is_told_more_than_is_left(self):
        desk = a_desk(granted=100)
        desk.wait(40)
        assert life_of(answer(desk.register(again())).headers.first("contact")) <= 60

    def test_a_phone_that_does_not_come_back_is_gone_long_before_the_grant_ends(self):
        desk = a_desk()
        assert changes(desk.wait(90 + GRACE_S))[-1] == "expired"

    def test_a_phone_in_relay_mode_is_never_answered_here(self):
        desk = Desk()
        desk.accept()
        assert only(SendRequest, desk.register(again()))


class TestTheRegistrarsWord:
    def test_nothing_is_absorbed_while_something_of_the_user_is_under_way(self):
        desk = a_desk()
        leaving = desk.relayed(a_register(cseq=2, expires=0))
        assert only(SendRequest, desk.register(again(3)))
        desk.reply(leaving)
        assert desk.registrar.bindings == []

    def test_a_refused_password_ends_no_binding_but_the_next_is_asked_again(self):
        desk = a_desk()
        wrong = desk.relayed(again(2, headers=(credentials(1, nonce="n2"),)))
        assert answer(desk.reply(wrong, 401)).status == 401
        assert desk.binding.reachable
        assert only(SendRequest, desk.register(again(3, headers=(credentials(2, nonce="n2"),))))

    def test_a_contact_that_the_registrar_does_not_list_any_more_has_no_credit(self):
        desk = a_desk()
        other = "<sip:alice@10.0.0.9>"
        sent = desk.relayed(a_register(call_id="second", contact=other), MOVED)
        desk.reply(sent, 200, ("Contact", sent.request.headers.first("contact")))
        assert only(SendRequest, desk.register(again()))

    def test_other_devices_are_told_as_far_as_they_are_known(self):
        desk = a_desk()
        other = "<sip:alice@10.0.0.9>"
        sent = desk.relayed(a_register(call_id="second", contact=other), MOVED)
        mine = f"<sip:{desk.binding.token}@192.168.1.2:5062>;expires=3000"
        desk.reply(sent, 200, ("Contact", sent.request.headers.first("contact")), ("Contact", mine))
        told = answer(desk.register(again())).headers.all("contact")
        assert [one.partition(";")[0] for one in told] == [CONTACT, other]

    def test_a_device_that_the_registrar_forgot_is_not_told(self):
        desk = a_desk()
        other = "<sip:alice@10.0.0.9>"
        sent = desk.relayed(a_register(call_id="second", contact=other), MOVED)
        ours = sent.request.headers.first("contact")
        desk.reply(sent, 200, ("Contact", ours))
        out = desk.register(a_register(call_id="second", contact=other, cseq=2), MOVED)
        assert_told(answer(out), f"{other};expires=90")

    def test_a_phone_that_was_silent_is_reachable_when_it_speaks(self):
        desk = a_desk()
        assert changes(desk.wait(105)) == ["unreachable"]
        assert changes(desk.register(again())) == ["refreshed"]
        assert desk.registrar.by_user("alice", "outside") == [desk.binding]

    def test_the_credit_survives_a_restart_and_shows_no_password(self):
        desk = a_desk()
        exported = desk.registrar.export(desk.now)
        assert "aa1" not in str(exported)
        heir = Desk(settings(registration=CACHE))
        heir.registrar.restore(exported, heir.now)
        assert heir.registrar.export(heir.now) == exported
        assert answer(heir.register(again())).status == 200
        assert heir.registrar.absorbed == 1

    def test_what_was_said_and_not_answered_is_asked_about(self):
        desk = a_desk()
        leaving = desk.relayed(a_register(cseq=2, expires=0))
        desk.registrar.failed(leaving.ref, "timeout", desk.now)
        sent = desk.relayed(again(3))
        assert answer(desk.registrar.failed(sent.ref, "timeout", desk.now)).status == 504

    def test_a_stranger_s_unanswered_word_takes_no_help_away(self):
        desk = a_desk()
        strange = desk.relayed(a_register(call_id="x", contact="*", expires=0), MOVED)
        desk.registrar.failed(strange.ref, "timeout", desk.now)
        sent = desk.relayed(again(2))
        assert answer(desk.registrar.failed(sent.ref, "timeout", desk.now)).status == 200


class TestInNeed:
    def late(self) -> tuple[Desk, SendRequest]:
        """A refresh that goes to the registrar, since half of the grant is gone."""
        desk = a_desk(granted=100)
        desk.wait(60)
        return desk, desk.relayed(again())

    @pytest.mark.parametrize("why", ["timeout", "transport"])
    def test_an_unreachable_registrar_does_not_end_what_it_granted(self, why):
        desk, sent = self.late()
        out = desk.registrar.failed(sent.ref, why, desk.now)
        assert answer(out).status == 200
        assert life_of(answer(out).headers.first("contact")) <= 40
        assert only(AnsweredInNeed, out).registrar == "pbx"
        assert desk.registrar.pending == 0

    def test_a_silent_one_neither_and_the_phone_does_not_wait_for_its_timeout(self):
        desk, _ = self.late()
        assert answer(desk.wait(pending.TRY_S)).status == 200

    def test_an_overloaded_one_neither(self):
        desk, sent = self.late()
        assert answer(desk.reply(sent, 503)).status == 200

    def test_its_late_answer_is_nobodys(self):
        desk, sent = self.late()
        desk.wait(pending.TRY_S)
        assert desk.reply(sent, 200) == []
        assert desk.registrar.failed(sent.ref, "timeout", desk.now) == []

    def test_a_grant_that_ended_meanwhile_is_no_grant(self):
        desk = a_desk(granted=70)
        desk.wait(69)
        sent = desk.relayed(again())
        assert answer(desk.registrar.failed(sent.ref, "transport", desk.now)).status == 503

    def test_no_room_for_a_question_is_a_need_too(self, monkeypatch):
        desk = a_desk(granted=100)
        desk.wait(60)
        monkeypatch.setattr(pending, "MAX_PENDING", 0)
        assert answer(desk.register(again())).status == 200
        assert answer(desk.register(again(3, nc=3, call_id="new"))).status == 503

    def test_new_credentials_are_never_answered_in_need(self):
        desk = a_desk()
        sent = desk.relayed(again(2, headers=(credentials(1, nonce="n2"),)))
        assert answer(desk.registrar.failed(sent.ref, "transport", desk.now)).status == 503


class TestNextRegistrar:
    def test_a_silent_registrar_is_followed_by_the_next_while_the_phone_listens(self):
        desk = Desk(upstreams=[UPSTREAM, _elsewhere()])
        first = desk.relayed()
        second = only(SendRequest, desk.wait(pending.TRY_S))
        assert (second.flow, second.ref != first.ref) == (_elsewhere().flow, True)
        out = desk.reply(second, 200, ("Contact", second.request.headers.first("contact")))
        assert answer(out).status == 200
        assert desk.binding.registrar == "spare"
        assert desk.registrar.failed(first.ref, "timeout", desk.now) == []
        assert desk.registrar.next_timeout() is not None
        assert desk.registrar.pending == 0

    def test_one_that_answers_late_is_heard_if_it_is_the_first_to_answer(self):
        desk = Desk(upstreams=[UPSTREAM, _elsewhere()])
        first = desk.relayed()
        second = only(SendRequest, desk.wait(pending.TRY_S))
        out = desk.reply(first, 200, ("Contact", first.request.headers.first("contact")))
        assert answer(out).status == 200
        assert desk.binding.registrar == "pbx"
        assert desk.reply(second, 200) == []

    def test_one_that_is_unreachable_or_overloaded_too(self):
        for status in (503, None):
            desk = Desk(upstreams=[UPSTREAM, _elsewhere()])
            sent = desk.relayed()
            out = (
                desk.registrar.failed(sent.ref, "transport", desk.now)
                if status is None
                else desk.reply(sent, status)
            )
            assert only(SendRequest, out).flow == _elsewhere().flow

    def test_one_on_a_network_that_was_removed_meanwhile_is_passed_over(self):
        far = _elsewhere()
        gone = Upstream("gone", far.flow._replace(network="inside2"), "x", None)
        desk = Desk(upstreams=[UPSTREAM, gone, far])
        first = desk.relayed()
        out = desk.registrar.failed(first.ref, "transport", desk.now)
        assert only(SendRequest, out).flow == far.flow
        answered = desk.reply(only(SendRequest, out), 200)
        assert answer(answered).status == 200
        assert desk.binding.registrar == "spare"

    def test_a_challenge_is_an_answer(self):
        desk = Desk(upstreams=[UPSTREAM, _elsewhere()])
        assert answer(desk.reply(desk.relayed(), 401)).status == 401

    def test_when_all_failed_the_last_failure_is_told(self):
        desk = Desk(upstreams=[UPSTREAM, _elsewhere()])
        out = desk.registrar.failed(desk.relayed().ref, "transport", desk.now)
        out = desk.registrar.failed(only(SendRequest, out).ref, "timeout", desk.now)
        assert answer(out).status == 504
        assert desk.registrar.pending == 0

    def test_an_overloaded_registrar_s_wait_is_spread(self):
        waits = set()
        desk = Desk()
        for number in range(50):
            sent = desk.relayed(a_register(f"u{number}"))
            got = answer(desk.reply(sent, 503, ("Retry-After", "20")))
            (wait,) = got.headers.all("retry-after")
            waits.add(int(wait))
        assert 20 <= min(waits) <= max(waits) <= 40
        assert len(waits) > 5


def _elsewhere() -> Upstream:
    flow = UPSTREAM.flow._replace(remote=("192.168.1.6", 5060))
    return Upstream("spare", flow, "192.168.1.6", None)
