"""Dialogs: how they are made, what their requests look like, and that they are plain data."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sbc.sip.dialog import Dialog
from sbc.sip.errors import ParseError
from sbc.sip.flow import Flow
from sbc.sip.message import make_response, serialize
from sbc.sip.parser import parse_message_untrusted
from tests.kit.transactions import TCP, UDP, a_request, a_response

SENT_BY = "192.0.2.1:5060"


def callee(*headers, **changes):
    return Dialog.from_request(a_request(headers=headers, **changes), UDP, "b1")


def answered(invite, *headers, status=200, to_tag="b1"):
    response = make_response(invite, status, to_tag=to_tag)
    for line in headers or ("Contact: <sip:600@203.0.113.5:5080>",):
        name, _, value = line.partition(": ")
        response.headers.append(name, value)
    return parse_message_untrusted(serialize(response))


def caller(*headers):
    invite = a_request(cseq=7)
    return Dialog.from_response(invite, answered(invite, *headers), UDP)


class TestOfACallee:
    def test_it_is_made_of_the_request_and_our_tag(self):
        assert callee() == Dialog(
            call_id="call-1",
            local_tag="b1",
            remote_tag="a1",
            local_uri="<sip:600@example.com>",
            remote_uri="Alice <sip:alice@example.com>",
            remote_target="sip:alice@10.0.0.7:5060",
            route_set=[],
            local_cseq=0,
            remote_cseq=1,
            flow=UDP,
            is_uac=False,
        )
        assert callee().dialog_id == ("call-1", "b1", "a1")

    def test_the_route_set_is_record_route_in_order_with_all_parameters(self):
        dialog = callee("Record-Route: <sip:p1;lr;x=1>, <sip:p2;lr>", "Record-Route: <sip:p3;lr>")
        assert dialog.route_set == ["<sip:p1;lr;x=1>", "<sip:p2;lr>", "<sip:p3;lr>"]

    def test_without_a_contact_there_is_none(self):
        invite = a_request()
        invite.headers.remove("contact")
        with pytest.raises(ParseError, match="INVITE without Contact") as caught:
            Dialog.from_request(invite, UDP, "b1")
        assert caught.value.status == 400

    @pytest.mark.parametrize("contact", ["*", "", "<sip:>", "<sip:a@b", "nonsense", ","])
    def test_a_contact_that_nobody_can_be_reached_at_is_refused(self, contact):
        invite = a_request()
        invite.headers.set("Contact", contact)
        with pytest.raises(ParseError):
            Dialog.from_request(invite, UDP, "b1")

    def test_a_malformed_record_route_is_refused_at_once(self):
        with pytest.raises(ParseError):
            callee("Record-Route: <sip:p1;lr>, nonsense")

    def test_a_peer_of_rfc_2543_has_no_tag_and_gets_none(self):
        invite = a_request()
        invite.headers.set("From", "sip:alice@example.com")
        dialog = Dialog.from_request(invite, UDP, "b1")
        assert dialog.remote_tag == ""
        bye = dialog.build_request("BYE", "z9hG4bK-b", SENT_BY)
        assert bye.headers.first("to") == "sip:alice@example.com"

    @pytest.mark.parametrize(
        ("value", "kept"),
        [
            ("sip:a@b;tag=x", "<sip:a@b>"),
            ("sip:a@b;user=phone;tag=x", "<sip:a@b>;user=phone"),
            ('"A, B; C" <sip:a@b;tag=not>;tag=x;y=z', '"A, B; C" <sip:a@b;tag=not>;y=z'),
            ("<sip:a@b>;TAG=x", "<sip:a@b>"),
        ],
    )
    def test_the_peers_address_loses_its_tag_and_nothing_else(self, value, kept):
        invite = a_request()
        invite.headers.set("From", value)
        dialog = Dialog.from_request(invite, UDP, "b1")
        assert (dialog.remote_uri, dialog.remote_tag) == (kept, "x")


class TestOfACaller:
    def test_it_is_made_of_request_and_response(self):
        assert caller() == Dialog(
            call_id="call-1",
            local_tag="a1",
            remote_tag="b1",
            local_uri="Alice <sip:alice@example.com>",
            remote_uri="<sip:600@example.com>",
            remote_target="sip:600@203.0.113.5:5080",
            route_set=[],
            local_cseq=7,
            remote_cseq=None,
            flow=UDP,
            is_uac=True,
        )

    def test_the_route_set_is_record_route_reversed(self):
        dialog = caller("Record-Route: <sip:p1;lr>, <sip:p2;lr>", "Record-Route: <sip:p3;lr>")
        assert dialog.route_set == ["<sip:p3;lr>", "<sip:p2;lr>", "<sip:p1;lr>"]

    def test_a_ringing_without_contact_leaves_the_request_uri_as_target(self):
        invite = a_request()
        dialog = Dialog.from_response(invite, a_response(invite, 180), UDP)
        assert dialog.remote_target == "sip:600@example.com"

    def test_the_2xx_gives_the_early_dialog_its_route_set_and_target(self):
        invite = a_request()
        dialog = Dialog.from_response(invite, a_response(invite, 183), UDP)
        dialog.build_request("PRACK", "z9hG4bK-p", SENT_BY)
        dialog.confirm(answered(invite, "Record-Route: <sip:p1;lr>", "Contact: sip:600@gw"))
        assert dialog.route_set == ["<sip:p1;lr>"]
        assert dialog.remote_target == "sip:600@gw"
        assert dialog.local_cseq == 2

    def test_a_malformed_2xx_changes_nothing(self):
        dialog = caller()
        before = dialog.to_data()
        for bad in (("Contact: <sip:>",), ("Contact: <sip:ok@b>", "Record-Route: nonsense")):
            with pytest.raises(ParseError):
                dialog.confirm(answered(a_request(), *bad))
        assert dialog.to_data() == before


class TestItsRequests:
    def test_they_are_complete_and_in_order(self):
        dialog = callee()
        assert serialize(dialog.build_request("BYE", "z9hG4bK-b", SENT_BY)) == (
            b"BYE sip:alice@10.0.0.7:5060 SIP/2.0\r\n"
            b"Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK-b;rport\r\n"
            b"Max-Forwards: 70\r\n"
            b"From: <sip:600@example.com>;tag=b1\r\n"
            b"To: Alice <sip:alice@example.com>;tag=a1\r\n"
            b"Call-ID: call-1\r\n"
            b"CSeq: 1 BYE\r\n"
            b"Content-Length: 0\r\n\r\n"
        )

    def test_over_tcp_there_is_no_rport(self):
        dialog = Dialog.from_request(a_request(transport="TCP"), TCP, "b1")
        bye = dialog.build_request("BYE", "z9hG4bK-b", SENT_BY)
        assert bye.headers.first("via") == "SIP/2.0/TCP 192.0.2.1:5060;branch=z9hG4bK-b"

    def test_they_count_one_by_one(self):
        dialog = caller()
        numbers = [
            dialog.build_request(method, f"z9hG4bK-{method}", SENT_BY).cseq.number
            for method in ("INFO", "INVITE", "BYE")
        ]
        assert numbers == [8, 9, 10]

    def test_the_ack_of_a_2xx_has_the_number_of_its_invite_and_takes_none(self):
        dialog = caller()
        invite = dialog.build_request("INVITE", "z9hG4bK-i", SENT_BY)
        dialog.build_request("INFO", "z9hG4bK-j", SENT_BY)
        ack = dialog.build_ack(invite.cseq.number, "z9hG4bK-a", SENT_BY)
        assert (ack.method, str(ack.cseq), ack.via.branch) == ("ACK", "8 ACK", "z9hG4bK-a")
        assert ack.uri_text == "sip:600@203.0.113.5:5080"
        assert (ack.from_tag, ack.to_tag) == ("a1", "b1")
        assert dialog.local_cseq == 9

    def test_max_forwards_is_what_the_caller_says(self):
        assert callee().build_request("INFO", "z9hG4bK-x", SENT_BY, 12).max_forwards == 12

    def test_a_loose_router_leaves_the_target_in_the_request_uri(self):
        dialog = callee("Record-Route: <sip:p1;lr>, <sip:p2>")
        bye = dialog.build_request("BYE", "z9hG4bK-b", SENT_BY)
        assert bye.uri_text == "sip:alice@10.0.0.7:5060"
        assert bye.headers.values("route") == ["<sip:p1;lr>", "<sip:p2>"]

    def test_a_strict_router_takes_the_request_uri_as_in_the_rfcs_example(self):
        dialog = callee("Record-Route: <sip:proxy1>, <sip:proxy2>, <sip:proxy3;lr>, <sip:proxy4>")
        dialog.remote_target = "sip:user@remoteua"
        bye = dialog.build_request("BYE", "z9hG4bK-b", SENT_BY)
        assert bye.uri_text == "sip:proxy1"
        assert bye.headers.values("route") == [
            "<sip:proxy2>",
            "<sip:proxy3;lr>",
            "<sip:proxy4>",
            "<sip:user@remoteua>",
        ]

    def test_the_strict_routers_uri_loses_what_a_request_uri_must_not_have(self):
        dialog = callee("Record-Route: <sip:p1;method=INVITE;transport=tcp?Subject=x>")
        bye = dialog.build_request("BYE", "z9hG4bK-b", SENT_BY)
        assert bye.uri_text == "sip:p1;transport=tcp"

    def test_building_does_not_use_up_the_route_set(self):
        dialog = callee("Record-Route: <sip:p1>, <sip:p2;lr>")
        first = dialog.build_request("INFO", "z9hG4bK-1", SENT_BY)
        second = dialog.build_request("INFO", "z9hG4bK-2", SENT_BY)
        assert first.headers.values("route") == second.headers.values("route")


class TestThePeersRequests:
    def test_higher_numbers_are_in_order_also_with_gaps(self):
        dialog = callee()
        assert [dialog.accepts_cseq(number) for number in (2, 3, 10)] == [True, True, True]
        assert dialog.remote_cseq == 10

    def test_lower_and_equal_numbers_are_not_and_change_nothing(self):
        dialog = callee(cseq=5)
        assert [dialog.accepts_cseq(number) for number in (5, 4, 0)] == [False, False, False]
        assert dialog.remote_cseq == 5

    def test_the_first_number_of_a_callee_may_be_any(self):
        for number in (0, 1, 4711):
            assert caller().accepts_cseq(number)

    def test_a_target_refresh_moves_the_target_and_leaves_the_route_set(self):
        dialog = callee("Record-Route: <sip:p1;lr>")
        refresh = a_request(headers=("Record-Route: <sip:other;lr>",))
        refresh.headers.set("Contact", '"A" <sip:alice@10.0.0.9>;expires=1, <sip:b@c>')
        dialog.refresh_target(refresh)
        assert dialog.remote_target == "sip:alice@10.0.0.9"
        assert dialog.route_set == ["<sip:p1;lr>"]

    def test_one_without_contact_moves_nothing(self):
        dialog = callee()
        refresh = a_request()
        refresh.headers.remove("contact")
        dialog.refresh_target(refresh)
        assert dialog.remote_target == "sip:alice@10.0.0.7:5060"

    def test_a_malformed_contact_moves_nothing(self):
        dialog = callee()
        refresh = a_request()
        refresh.headers.set("Contact", "<sip:@>")
        with pytest.raises(ParseError):
            dialog.refresh_target(refresh)
        assert dialog.remote_target == "sip:alice@10.0.0.7:5060"


TEXT = st.text(max_size=20)
ADDRESSES = st.tuples(TEXT, st.integers(0, 65535))
DIALOGS = st.builds(
    Dialog,
    call_id=TEXT,
    local_tag=TEXT,
    remote_tag=TEXT,
    local_uri=TEXT,
    remote_uri=TEXT,
    remote_target=TEXT,
    route_set=st.lists(TEXT, max_size=3),
    local_cseq=st.integers(0, 2**31),
    remote_cseq=st.none() | st.integers(0, 2**32 - 1),
    flow=st.builds(
        Flow,
        TEXT,
        st.sampled_from(["udp", "tcp"]),
        local=ADDRESSES,
        remote=ADDRESSES,
        connection=st.integers(0, 9),
    ),
    is_uac=st.booleans(),
)


@given(DIALOGS)
def test_a_dialog_survives_json(dialog):
    data = json.loads(json.dumps(dialog.to_data()))
    restored = Dialog.from_data(data)
    assert restored == dialog
    assert isinstance(restored.flow, Flow)
    assert hash(restored.flow) == hash(dialog.flow)


def test_an_export_is_not_changed_by_what_happens_later():
    dialog = callee("Record-Route: <sip:p1;lr>")
    data = dialog.to_data()
    dialog.route_set.clear()
    assert data["route_set"] == ["<sip:p1;lr>"]


FIELD = st.text(alphabet='sip:@<>"\\;,=tag abz[]%*?&.1\u00e9\x01\t', max_size=30)


@given(contact=FIELD, record_route=FIELD, from_=FIELD, to=FIELD)
def test_strange_fields_make_a_dialog_that_works_or_a_parse_error(contact, record_route, from_, to):
    request = a_request()
    for name, value in (
        ("Contact", contact),
        ("Record-Route", record_route),
        ("From", from_),
        ("To", to),
    ):
        request.headers.set(name, value)
    try:
        dialog = Dialog.from_request(request, UDP, "b1")
    except ParseError:
        return
    sent = serialize(dialog.build_request("INFO", "z9hG4bK-x", SENT_BY))
    again = parse_message_untrusted(sent)
    assert (again.from_tag, again.to_tag or "") == ("b1", dialog.remote_tag)
