"""Path, Service-Route and GRUUs: who is told which way, and what stays hidden."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sbc.registrar.bindings import Bindings
from sbc.registrar.claims import MAX_ROUTES, claims_of, routes_of
from sbc.registrar.relaying import Pseudonyms
from sbc.routing.registration import Registration
from sbc.sip.errors import ParseError
from sbc.sip.headers import Headers
from sbc.sip.message import Request
from tests.kit.registrar import TCP_PHONE, Desk, answer, pings, settings
from tests.kit.switchboard import INSIDE, a_register

PROXIES = ("Path: <sip:p2.example;lr>, <sip:flow7@p1.example;lr;ob>", "Supported: path")
PATH = ("<sip:p2.example;lr>", "<sip:flow7@p1.example;lr;ob>")


class TestPath:
    def test_the_way_to_a_phone_is_kept_and_the_phone_told_of_it(self):
        desk = Desk()
        got = answer(desk.accept(a_register(headers=PROXIES)))
        assert desk.binding.path == PATH
        assert tuple(got.headers.all("path")) == PATH

    def test_a_phone_that_knows_no_path_is_not_told(self):
        desk = Desk()
        assert answer(desk.accept(a_register(headers=PROXIES[:1]))).headers.all("path") == []
        assert desk.binding.path == PATH

    def test_the_registrar_is_not_told_of_it(self):
        sent = Desk().relayed(a_register(headers=PROXIES))
        assert sent.request.headers.all("path") == []
        assert "p1.example" not in str(list(sent.request.headers.items()))

    def test_keep_alives_go_that_way(self):
        desk = Desk()
        desk.accept(a_register(headers=PROXIES))
        (ping,) = pings(desk.wait(25))
        assert tuple(ping.request.headers.all("route")) == PATH

    @pytest.mark.parametrize(
        "path",
        [
            "sip:p.example",
            "<tel:1>",
            "<<>",
            "<sip:p.example;lr;x=" + 600 * "y" + ">",
            ", ".join(["<sip:p.example;lr>"] * (MAX_ROUTES + 1)),
        ],
    )
    def test_what_is_no_way_is_malformed(self, path):
        desk = Desk()
        with pytest.raises(ParseError):
            desk.register(a_register(headers=(f"Path: {path}",)))
        assert desk.registrar.pending == 0

    def test_a_registrar_that_wants_one_gets_a_path_through_us(self):
        desk = Desk(settings(registration=Registration(path=True)))
        sent = desk.relayed()
        token = sent.request.contact.uri.user
        assert sent.request.headers.first("path") == f"<sip:{token}@{INSIDE}:5062;lr>"
        assert "path" in sent.request.headers.values("supported")

    def test_a_flow_that_we_keep_is_said_to_be_kept(self):
        desk = Desk(settings(registration=Registration(path=True)))
        contact = '<sip:alice@10.0.0.7>;reg-id=1;+sip.instance="<urn:uuid:1>"'
        data = a_register(contact=contact, headers=("Supported: outbound",))
        assert desk.relayed(data, TCP_PHONE).request.headers.first("path").endswith(";lr;ob>")


@given(
    st.text(max_size=60), st.text(max_size=60), st.text(alphabet='<>sip:;="q,*@a1.', max_size=60)
)
def test_whatever_stands_in_a_register_it_is_served_or_malformed(path, contact, more):
    request = Request("REGISTER", "sip:x", Headers())
    for name, value in (
        ("Via", "SIP/2.0/UDP 10.0.0.7;branch=z9hG4bK1"),
        ("From", "<sip:a@x>;tag=1"),
        ("To", "<sip:a@x>"),
        ("Call-ID", "1"),
        ("CSeq", "1 REGISTER"),
        ("Supported", "outbound, path"),
        ("Path", path),
        ("Contact", f"<sip:a@b>;reg-id=1;+sip.instance={more}"),
        ("Contact", contact),
    ):
        request.headers.append(name, value)
    with suppress(ParseError):
        claims_of(request, Bindings(), Pseudonyms(b"s" * 32))
    with suppress(ParseError):
        routes_of(request, "path")


@pytest.mark.parametrize("long", [{"contact": f"<sip:{'a' * 1100}@b>"}, {"call_id": "c" * 600}])
def test_what_is_kept_is_bounded(long):
    with pytest.raises(ParseError):
        Desk().register(a_register(**long))


class TestServiceRoute:
    def test_it_is_kept_and_hidden(self):
        desk = Desk()
        sent = desk.relayed()
        ours = sent.request.headers.first("contact")
        way = ("Service-Route", "<sip:orig@scscf.inside.example;lr>")
        got = answer(desk.reply(sent, 200, ("Contact", ours), way))
        assert desk.binding.service_route == (way[1],)
        assert got.headers.first("service-route") is None
        assert "scscf" not in str(list(got.headers.items()))

    def test_one_that_cannot_be_read_is_a_bad_gateway(self):
        desk = Desk()
        sent = desk.relayed()
        ours = sent.request.headers.first("contact")
        got = answer(desk.reply(sent, 200, ("Contact", ours), ("Service-Route", "<<>")))
        assert got.status == 502
        assert desk.registrar.bindings == []


class TestGruu:
    CONTACT = '<sip:alice@10.0.0.7>;+sip.instance="<urn:uuid:f81d>"'
    SUPPORTED = ("Supported: gruu",)

    def test_the_phone_gets_its_gruus_without_the_registrar_s_host(self):
        desk = Desk()
        sent = desk.relayed(a_register(contact=self.CONTACT, headers=self.SUPPORTED))
        ours = sent.request.headers.first("contact")
        assert '+sip.instance="<urn:uuid:f81d>"' in ours
        assert "gruu" in sent.request.headers.values("supported")
        given = (
            f'{ours};pub-gruu="sip:alice@192.168.1.5;gr=urn:uuid:f81d"'
            ';temp-gruu="sip:tgruu.7hs@192.168.1.5:5060;gr;maddr=192.168.1.9"'
        )
        (told,) = answer(desk.reply(sent, 200, ("Contact", given))).headers.all("contact")
        assert ';pub-gruu="sip:alice@203.0.113.10;gr=urn:uuid:f81d"' in told
        assert ';temp-gruu="sip:tgruu.7hs@203.0.113.10;gr"' in told
        assert "192.168" not in told

    def test_a_phone_that_knows_none_keeps_its_instance_to_itself(self):
        sent = Desk().relayed(a_register(contact=self.CONTACT))
        assert "urn:uuid" not in str(list(sent.request.headers.items()))

    @pytest.mark.parametrize("odd", ['"tel:1"', '"<<>"', '""'])
    def test_what_is_no_gruu_is_left_out(self, odd):
        desk = Desk()
        sent = desk.relayed(a_register(contact=self.CONTACT, headers=self.SUPPORTED))
        given = f"{sent.request.headers.first('contact')};pub-gruu={odd}"
        (told,) = answer(desk.reply(sent, 200, ("Contact", given))).headers.all("contact")
        assert "pub-gruu" not in told

    def test_a_cache_tells_them_again(self):
        desk = Desk(settings(registration=Registration(mode="cache")))
        sent = desk.relayed(a_register(contact=self.CONTACT, headers=self.SUPPORTED))
        given = f'{sent.request.headers.first("contact")};pub-gruu="sip:alice@pbx;gr=urn:uuid:f81d"'
        first = answer(desk.reply(sent, 200, ("Contact", given))).headers.first("contact")
        out = desk.register(a_register(contact=self.CONTACT, headers=self.SUPPORTED, cseq=2))
        again = answer(out).headers.first("contact")
        assert ';pub-gruu="sip:alice@203.0.113.10;gr=urn:uuid:f81d"' in again
        assert first.count("pub-gruu") == again.count("pub-gruu") == 1
