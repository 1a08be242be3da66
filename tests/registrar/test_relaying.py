"""A REGISTER on its way to the registrar, and the response on its way back."""

import hashlib
import re

import pytest

from sbc.registrar.relaying import Pseudonyms
from sbc.sip.errors import ParseError
from tests.kit.registrar import Desk, answer, assert_told
from tests.kit.switchboard import INSIDE, OUTSIDE, PBX, a_register

CHALLENGE = 'Digest realm="pbx.example", nonce="n1", algorithm=MD5, qop="auth", opaque="o"'


def md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()


def credentials(challenge: str, password: str) -> str:
    """What a phone answers to a challenge; the URI is the one that the phone wrote."""
    realm, nonce, opaque = (
        re.search(f'{name}="([^"]*)"', challenge)[1] for name in ("realm", "nonce", "opaque")
    )
    uri = f"sip:{OUTSIDE}"
    return (
        f'Digest username="alice", realm="{realm}", nonce="{nonce}", uri="{uri}", algorithm=MD5, '
        f'qop=auth, nc=00000001, cnonce="c1", opaque="{opaque}", '
        f'response="{digest(realm, nonce, uri, password)}"'
    )


def digest(realm: str, nonce: str, uri: str, password: str) -> str:
    secret, asked = md5(f"alice:{realm}:{password}"), md5(f"REGISTER:{uri}")
    return md5(f"{secret}:{nonce}:00000001:c1:auth:{asked}")


class TestForward:
    def test_the_registrar_sees_us_and_a_token(self):
        sent = Desk().relayed(a_register(headers=("User-Agent: Phone/1", "Supported: path, timer")))
        headers = sent.request.headers
        assert sent.flow.remote == (PBX, 5060)
        assert sent.request.uri_text == f"sip:{PBX}"
        assert headers.all("via") == [f"SIP/2.0/UDP {INSIDE}:5062;branch={sent.ref};rport"]
        assert headers.first("to") == f"<sip:alice@{PBX}>"
        assert headers.first("from").startswith(f"<sip:alice@{PBX}>;tag=")
        assert re.fullmatch(rf"<sip:[0-9a-f]{{16}}@{INSIDE}:5062>", headers.first("contact"))
        assert headers.first("expires") == "3600"
        assert headers.first("cseq") == "1 REGISTER"
        assert headers.first("max-forwards") == "69"
        assert headers.first("user-agent") == "sbc"
        assert headers.first("supported") == "timer"

    def test_nothing_of_the_phone_is_told(self):
        sent = Desk().relayed(a_register(headers=("X-Phone: at 10.0.0.7",)))
        text = str(list(sent.request.headers.items())) + sent.request.uri_text
        for secret in ("10.0.0.7", "198.51.100.7", OUTSIDE, "reg-alice"):
            assert secret not in text

    def test_expires_and_q_of_each_contact_go_along(self):
        contact = '<sip:alice@10.0.0.7>;expires=60;q=0.5;+sip.instance="<urn:uuid:1>"'
        sent = Desk().relayed(a_register(contact=contact))
        assert sent.request.headers.first("contact").endswith(">;q=0.5;expires=60")

    def test_cseq_order_and_call_id_stay_one_sequence(self):
        desk = Desk()
        first = desk.relayed(a_register(cseq=7)).request
        second = desk.relayed(a_register(cseq=8)).request
        assert first.call_id == second.call_id
        assert first.from_tag == second.from_tag
        assert (first.cseq.number, second.cseq.number) == (7, 8)
        other = desk.relayed(a_register(call_id="other")).request
        assert other.call_id != first.call_id

    def test_tokens_are_stable_for_the_same_contact_and_differ_for_others(self):
        def token(**register: object) -> str:
            return Desk().relayed(a_register(**register)).request.contacts[0].uri.user

        assert token() == token(cseq=9)
        assert token() != token(user="bob", contact="<sip:alice@10.0.0.7:5060>")
        assert token() != token(contact="<sip:alice@10.0.0.7:5061>")
        stranger = Desk(secret=b"another secret..").relayed().request.contacts[0].uri.user
        assert token() != stranger

    def test_a_star_is_a_star(self):
        sent = Desk().relayed(a_register(contact="*", expires=0))
        assert sent.request.contact_is_star
        assert sent.request.expires == 0

    @pytest.mark.parametrize(
        "register",
        [
            {"contact": "*"},
            {"contact": "*, <sip:a@10.0.0.7>", "expires": 0},
            {"contact": "<mailto:alice@example.com>"},
            {"contact": "<sip:alice@[::z]>"},
            {"headers": ("Expires: soon",), "expires": None},
        ],
    )
    def test_what_cannot_be_understood_is_malformed(self, register):
        desk = Desk()
        with pytest.raises(ParseError):
            desk.register(a_register(**register))
        assert desk.registrar.pending == 0


class TestBack:
    def test_the_phone_sees_its_own_contact(self):
        desk = Desk()
        contact = '"Al" <sip:alice@10.0.0.7:5060;ob>;expires=60;+sip.instance="<urn:uuid:1>"'
        sent = desk.relayed(a_register(contact=contact))
        ours = sent.request.headers.first("contact")
        got = answer(desk.reply(sent, 200, ("Contact", ours.replace("=60", "=50"))))
        assert_told(
            got, '"Al" <sip:alice@10.0.0.7:5060;ob>;expires=50;+sip.instance="<urn:uuid:1>"'
        )
        assert got.headers.first("call-id") == "reg-alice"
        assert got.headers.first("cseq") == "1 REGISTER"
        assert got.to_tag

    @pytest.mark.parametrize("status", [401, 407])
    def test_a_challenge_passes_untouched(self, status):
        desk = Desk()
        name = "WWW-Authenticate" if status == 401 else "Proxy-Authenticate"
        got = answer(desk.reply(desk.relayed(), status, (name, CHALLENGE), (name, "Digest x=1")))
        assert got.status == status
        assert got.headers.all(name.lower()) == [CHALLENGE, "Digest x=1"]
        assert desk.registrar.bindings == []

    def test_credentials_computed_for_what_the_phone_wrote_still_verify(self):
        desk = Desk()
        got = answer(desk.reply(desk.relayed(), 401, ("WWW-Authenticate", CHALLENGE)))
        answered = credentials(got.headers.first("www-authenticate"), "secret")
        again = desk.relayed(a_register(cseq=2, headers=(f"Authorization: {answered}",)))
        arrived = again.request.headers.first("authorization")
        assert arrived == answered
        realm, nonce, uri, response = (
            re.search(f'{name}="([^"]*)"', arrived)[1]
            for name in ("realm", "nonce", "uri", "response")
        )
        assert again.request.method == "REGISTER"
        assert response == digest(realm, nonce, uri, "secret")
        assert response != digest(realm, nonce, uri, "wrong")

    def test_a_short_interval_comes_back_with_the_shortest_allowed(self):
        desk = Desk()
        got = answer(desk.reply(desk.relayed(), 423, ("Min-Expires", "300")))
        assert (got.status, got.headers.first("min-expires")) == (423, "300")

    @pytest.mark.parametrize(
        ("said", "told"),
        [
            ("No such account", "No such account"),
            (f"Denied by {PBX}", "Forbidden"),
            ("Ask sip:admin@pbx", "Forbidden"),
        ],
    )
    def test_a_reason_passes_unless_it_names_a_place(self, said, told):
        desk = Desk()
        assert answer(desk.reply(desk.relayed(), 403, reason=said)).reason == told

    def test_nothing_of_the_registrar_is_told(self):
        desk = Desk()
        sent = desk.relayed()
        got = answer(
            desk.reply(
                sent,
                200,
                ("Contact", f"{sent.request.headers.first('contact')};expires=60"),
                ("Contact", "<sip:alice@192.168.1.77:5060>;expires=60"),
                ("Service-Route", f"<sip:{PBX};lr>"),
                ("X-Node", f"at {PBX}"),
                ("Server", "PBX 1.0"),
            )
        )
        text = str(list(got.headers.items()))
        for secret in ("192.168.", "PBX", INSIDE):
            assert secret not in text


def test_pseudonyms_depend_on_every_part_and_the_secret():
    names = Pseudonyms(b"s" * 16)
    assert names.of("a", "b") == names.of("a", "b")
    assert len({names.of("a", "b"), names.of("ab"), names.of("b", "a")}) == 3
    assert names.of("a") != Pseudonyms(b"t" * 16).of("a")
