"""Client transactions, one equation per arrow of RFC 6026 Figure 5 and RFC 3261 Figure 6."""

import pytest

from sbc.sip.message import serialize
from sbc.sip.transaction.events import RequestFailed, ResponseArrived, StrayResponse, Transmit
from sbc.sip.transaction.layer import Counts, TransactionLayer
from sbc.sip.transaction.machine import make_ack
from tests.kit.transactions import TCP, UDP, a_request, a_response

NOTHING_LIVE = Counts(0, 0, 0, 0)


def started(request, flow=UDP):
    layer = TransactionLayer()
    key, outputs = layer.send_request(request, flow, 0.0)
    assert outputs == [Transmit(flow, serialize(request), request, False, key)]
    assert key.startswith("c|")
    return layer, key


def run_out(layer, until=1000.0):
    """What the timers bring, each with its time."""
    brought = []
    while (at := layer.next_timeout()) is not None and at <= until:
        brought += [(at, output) for output in layer.handle_timeout(at)]
    return brought


def resent(request, flow, key):
    return Transmit(flow, serialize(request), request, True, key)


class TestInvite:
    def test_it_is_resent_at_doubling_intervals_until_timer_b_gives_up(self):
        invite = a_request()
        layer, key = started(invite)
        assert run_out(layer) == [
            *[(at, resent(invite, UDP, key)) for at in (0.5, 1.5, 3.5, 7.5, 15.5, 31.5)],
            (32.0, RequestFailed(key, "timeout")),
        ]
        assert layer.counts == NOTHING_LIVE

    def test_over_tcp_it_is_never_resent(self):
        layer, key = started(a_request(transport="TCP"), TCP)
        assert run_out(layer) == [(32.0, RequestFailed(key, "timeout"))]

    def test_a_provisional_response_stops_everything_and_goes_to_the_user(self):
        invite = a_request()
        layer, key = started(invite)
        trying = a_response(invite, 100)
        assert layer.receive(trying, UDP, 0.1) == [ResponseArrived(key, trying, UDP)]
        assert layer.next_timeout() is None
        ringing = a_response(invite, 180)
        assert layer.receive(ringing, UDP, 0.2) == [ResponseArrived(key, ringing, UDP)]
        assert layer.has(key)

    @pytest.mark.parametrize("provisional", [None, 180])
    def test_each_2xx_goes_to_the_user_for_64_t1(self, provisional):
        invite = a_request()
        layer, key = started(invite)
        if provisional:
            layer.receive(a_response(invite, provisional), UDP, 1.0)
        first = a_response(invite, 200)
        fork = a_response(invite, 200, to_tag="another")
        assert layer.receive(first, UDP, 2.0) == [ResponseArrived(key, first, UDP)]
        assert layer.receive(first, UDP, 2.5) == [ResponseArrived(key, first, UDP)]
        assert layer.receive(fork, UDP, 3.0) == [ResponseArrived(key, fork, UDP)]
        assert layer.next_timeout() == 34.0
        assert run_out(layer) == []
        assert layer.counts == NOTHING_LIVE
        assert layer.receive(first, UDP, 34.1) == [StrayResponse(first, UDP)]

    def test_after_a_2xx_other_responses_are_absorbed(self):
        invite = a_request()
        layer, _ = started(invite)
        layer.receive(a_response(invite, 200), UDP, 0.1)
        assert layer.receive(a_response(invite, 180, to_tag="fork"), UDP, 0.2) == []
        assert layer.receive(a_response(invite, 486, to_tag="fork"), UDP, 0.3) == []

    def test_an_accepted_transaction_keeps_no_message(self):
        invite = a_request()
        layer, key = started(invite)
        layer.receive(a_response(invite, 200), UDP, 0.1)
        assert (layer._clients[key].message, layer._clients[key].data) == (None, b"")

    def test_a_ringing_transaction_keeps_the_request_without_its_bytes(self):
        invite = a_request()
        layer, key = started(invite)
        layer.receive(a_response(invite, 180), UDP, 0.1)
        assert (layer._clients[key].message, layer._clients[key].data) == (invite, b"")

    @pytest.mark.parametrize("provisional", [None, 180])
    @pytest.mark.parametrize("status", [300, 486, 603])
    def test_another_final_response_is_acknowledged_and_told_once(self, provisional, status):
        invite = a_request()
        layer, key = started(invite)
        if provisional:
            layer.receive(a_response(invite, provisional), UDP, 0.1)
        final = a_response(invite, status)
        ack = make_ack(invite, final)
        assert layer.receive(final, UDP, 1.0) == [
            Transmit(UDP, serialize(ack), ack, False, key),
            ResponseArrived(key, final, UDP),
        ]
        assert layer.receive(final, UDP, 1.5) == [Transmit(UDP, serialize(ack), ack, True, key)]
        assert layer.receive(a_response(invite, 180), UDP, 1.6) == []
        assert layer.next_timeout() == 33.0
        assert run_out(layer) == []
        assert layer.counts == NOTHING_LIVE

    def test_over_tcp_it_ends_with_the_ack(self):
        invite = a_request(transport="TCP")
        layer, key = started(invite, TCP)
        final = a_response(invite, 486)
        ack = make_ack(invite, final)
        assert layer.receive(final, TCP, 1.0) == [
            Transmit(TCP, serialize(ack), ack, False, key),
            ResponseArrived(key, final, TCP),
        ]
        assert layer.counts == NOTHING_LIVE

    def test_over_tcp_a_2xx_is_still_waited_for_as_long(self):
        invite = a_request(transport="TCP")
        layer, _ = started(invite, TCP)
        layer.receive(a_response(invite, 200), TCP, 1.0)
        assert layer.next_timeout() == 33.0

    def test_a_forks_2xx_after_the_487_is_a_stray_that_the_user_may_end(self):
        invite = a_request()
        layer, _ = started(invite)
        layer.receive(a_response(invite, 487), UDP, 1.0)
        late = a_response(invite, 200, to_tag="fork")
        assert layer.receive(late, UDP, 1.1) == [StrayResponse(late, UDP)]

    @pytest.mark.parametrize("provisional", [None, 180])
    def test_a_dead_flow_ends_it(self, provisional):
        invite = a_request()
        layer, key = started(invite)
        if provisional:
            layer.receive(a_response(invite, provisional), UDP, 0.1)
        assert layer.transport_failed(UDP, 0.2) == [RequestFailed(key, "transport")]
        assert layer.counts == NOTHING_LIVE

    def test_a_dead_flow_ends_a_completed_one_in_silence(self):
        invite = a_request()
        layer, _ = started(invite)
        layer.receive(a_response(invite, 486), UDP, 0.1)
        assert layer.transport_failed(UDP, 0.2) == []
        assert layer.counts == NOTHING_LIVE

    def test_a_dead_flow_does_not_keep_an_accepted_one_from_more_2xx(self):
        invite = a_request()
        layer, key = started(invite)
        layer.receive(a_response(invite, 200), UDP, 0.1)
        assert layer.transport_failed(UDP, 0.2) == []
        assert layer.has(key)

    @pytest.mark.parametrize("provisional", [None, 180])
    def test_an_abandoned_one_is_gone_without_a_word(self, provisional):
        invite = a_request()
        layer, key = started(invite)
        if provisional:
            layer.receive(a_response(invite, provisional), UDP, 0.1)
        assert layer.abandon(key, 0.2) == []
        assert layer.counts == NOTHING_LIVE
        assert layer.abandon(key, 0.3) == []

    def test_abandoning_changes_nothing_once_there_is_a_final_response(self):
        invite = a_request()
        layer, key = started(invite)
        layer.receive(a_response(invite, 486), UDP, 0.1)
        assert layer.abandon(key, 0.2) == []
        assert layer.has(key)


class TestAckOfAnotherFinalResponse:
    def test_it_is_what_the_example_in_the_rfc_says(self):
        invite = a_request(sent_by="pc33.atlanta.com", via_params="", branch="z9hG4bKkjshdyff")
        ack = make_ack(invite, a_response(invite, 486, to_tag="99sa0xk"))
        assert serialize(ack) == (
            b"ACK sip:600@example.com SIP/2.0\r\n"
            b"Via: SIP/2.0/UDP pc33.atlanta.com;branch=z9hG4bKkjshdyff\r\n"
            b"Max-Forwards: 70\r\n"
            b"From: Alice <sip:alice@example.com>;tag=a1\r\n"
            b"To: <sip:600@example.com>;tag=99sa0xk\r\n"
            b"Call-ID: call-1\r\n"
            b"CSeq: 1 ACK\r\n"
            b"Content-Length: 0\r\n\r\n"
        )

    def test_it_takes_the_routes_in_order_and_only_the_top_via(self):
        invite = a_request(
            headers=("Route: <sip:p1;lr>, <sip:p2;lr>", "Route: <sip:p3;lr>", "Via: SIP/2.0/UDP b")
        )
        ack = make_ack(invite, a_response(invite, 486))
        assert ack.headers.values("route") == ["<sip:p1;lr>", "<sip:p2;lr>", "<sip:p3;lr>"]
        assert ack.headers.values("via") == ["SIP/2.0/UDP 10.0.0.7:5060;rport;branch=z9hG4bK-1"]


class TestOtherRequests:
    def test_they_are_resent_up_to_every_4_seconds_until_timer_f_gives_up(self):
        options = a_request("OPTIONS")
        layer, key = started(options)
        times = (0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5)
        assert run_out(layer) == [
            *[(at, resent(options, UDP, key)) for at in times],
            (32.0, RequestFailed(key, "timeout")),
        ]
        assert layer.counts == NOTHING_LIVE

    def test_over_tcp_they_are_never_resent(self):
        layer, key = started(a_request("OPTIONS", transport="TCP"), TCP)
        assert run_out(layer) == [(32.0, RequestFailed(key, "timeout"))]

    def test_a_provisional_response_slows_them_down_to_t2(self):
        options = a_request("OPTIONS")
        layer, key = started(options)
        trying = a_response(options, 100)
        assert layer.receive(trying, UDP, 0.1) == [ResponseArrived(key, trying, UDP)]
        assert layer.receive(trying, UDP, 0.2) == [ResponseArrived(key, trying, UDP)]
        times = (0.5, 4.5, 8.5, 12.5, 16.5, 20.5, 24.5, 28.5)
        assert run_out(layer) == [
            *[(at, resent(options, UDP, key)) for at in times],
            (32.0, RequestFailed(key, "timeout")),
        ]

    @pytest.mark.parametrize("provisional", [None, 100])
    @pytest.mark.parametrize("status", [200, 301, 404, 603])
    def test_the_final_response_is_told_once_and_absorbed_for_t4(self, provisional, status):
        options = a_request("OPTIONS")
        layer, key = started(options)
        if provisional:
            layer.receive(a_response(options, provisional), UDP, 0.1)
        final = a_response(options, status)
        assert layer.receive(final, UDP, 1.0) == [ResponseArrived(key, final, UDP)]
        assert layer.receive(final, UDP, 1.1) == []
        assert layer.receive(a_response(options, 100), UDP, 1.2) == []
        assert (layer._clients[key].message, layer._clients[key].data) == (None, b"")
        assert layer.next_timeout() == 6.0
        assert run_out(layer) == []
        assert layer.counts == NOTHING_LIVE

    def test_over_tcp_the_final_response_ends_them(self):
        options = a_request("OPTIONS", transport="TCP")
        layer, key = started(options, TCP)
        final = a_response(options, 200)
        assert layer.receive(final, TCP, 1.0) == [ResponseArrived(key, final, TCP)]
        assert layer.counts == NOTHING_LIVE
        assert layer.receive(final, TCP, 1.1) == [StrayResponse(final, TCP)]

    @pytest.mark.parametrize("provisional", [None, 100])
    def test_a_dead_flow_ends_them(self, provisional):
        options = a_request("OPTIONS")
        layer, key = started(options)
        if provisional:
            layer.receive(a_response(options, provisional), UDP, 0.1)
        assert layer.transport_failed(UDP, 0.2) == [RequestFailed(key, "transport")]
        assert layer.counts == NOTHING_LIVE

    def test_a_dead_flow_does_not_hurry_an_answered_one(self):
        options = a_request("OPTIONS")
        layer, key = started(options)
        layer.receive(a_response(options, 200), UDP, 0.1)
        assert layer.transport_failed(UDP, 0.2) == []
        assert layer.has(key)

    @pytest.mark.parametrize("provisional", [None, 100])
    def test_abandoned_they_are_gone_without_a_word(self, provisional):
        options = a_request("OPTIONS")
        layer, key = started(options)
        if provisional:
            layer.receive(a_response(options, provisional), UDP, 0.1)
        assert layer.abandon(key, 0.2) == []
        assert layer.counts == NOTHING_LIVE


class TestMatchingResponses:
    def test_a_response_belongs_to_branch_and_method(self):
        invite = a_request()
        layer, key = started(invite)
        cancel = a_request("CANCEL")
        cancel_key, _ = layer.send_request(cancel, UDP, 0.1)
        assert cancel_key != key
        ok = a_response(cancel, 200)
        assert layer.receive(ok, UDP, 0.2) == [ResponseArrived(cancel_key, ok, UDP)]
        terminated = a_response(invite, 487)
        assert layer.receive(terminated, UDP, 0.3)[-1] == ResponseArrived(key, terminated, UDP)

    def test_another_branch_is_a_stray(self):
        layer, _ = started(a_request())
        other = a_response(a_request(branch="z9hG4bK-2"), 200)
        assert layer.receive(other, UDP, 0.1) == [StrayResponse(other, UDP)]

    def test_the_right_branch_from_another_network_is_a_stray(self):
        invite = a_request()
        layer, _ = started(invite)
        elsewhere = UDP._replace(network="inside")
        forged = a_response(invite, 200)
        assert layer.receive(forged, elsewhere, 0.1) == [StrayResponse(forged, elsewhere)]

    def test_a_response_without_a_branch_is_a_stray(self):
        layer, _ = started(a_request())
        bare = a_response(a_request(branch=None), 200)
        assert layer.receive(bare, UDP, 0.1) == [StrayResponse(bare, UDP)]

    def test_the_response_may_come_from_another_address(self):
        invite = a_request()
        layer, key = started(invite)
        elsewhere = UDP._replace(remote=("198.51.100.9", 5060))
        ringing = a_response(invite, 180)
        assert layer.receive(ringing, elsewhere, 0.1) == [ResponseArrived(key, ringing, elsewhere)]


class TestMistakesOfTheUser:
    def test_a_branch_in_use_is_refused_and_the_first_goes_on(self):
        invite = a_request()
        layer, key = started(invite)
        with pytest.raises(ValueError, match="in use"):
            layer.send_request(a_request(), UDP, 0.1)
        assert layer.has(key)

    def test_no_branch_and_an_ack_are_refused(self):
        layer = TransactionLayer()
        for request in (a_request(branch=None), a_request("ACK")):
            with pytest.raises(ValueError, match="needs a branch"):
                layer.send_request(request, UDP, 0.0)
        assert layer.counts == NOTHING_LIVE

    def test_what_cannot_be_serialised_leaves_nothing_behind(self):
        layer = TransactionLayer()
        invite = a_request()
        invite.headers.append("X", "a\r\nInjected: yes")
        with pytest.raises(ValueError, match="CR or LF"):
            layer.send_request(invite, UDP, 0.0)
        assert layer.counts == NOTHING_LIVE


def test_the_users_ack_is_sent_outside_of_any_transaction():
    layer = TransactionLayer()
    ack = a_request("ACK")
    assert layer.send_ack(ack, UDP) == [Transmit(UDP, serialize(ack), ack, False)]
    assert layer.counts == NOTHING_LIVE


class TestDeadConnections:
    def test_only_transactions_on_that_flow_fail(self):
        layer = TransactionLayer()
        other_remote = UDP._replace(remote=("198.51.100.8", 5060))
        other_socket = UDP._replace(local=("192.0.2.1", 5062))
        key, _ = layer.send_request(a_request(branch="z9hG4bK-1"), UDP, 0.0)
        layer.send_request(a_request(branch="z9hG4bK-2"), other_remote, 0.0)
        layer.send_request(a_request(branch="z9hG4bK-3"), other_socket, 0.0)
        assert layer.transport_failed(UDP, 0.1) == [RequestFailed(key, "transport")]
        assert layer.counts.clients == 2

    def test_a_request_that_reused_whatever_connection_there_was_fails_with_it(self):
        layer = TransactionLayer()
        any_connection = TCP._replace(connection=0)
        other_connection = TCP._replace(connection=8)
        first, _ = layer.send_request(a_request(branch="z9hG4bK-1"), any_connection, 0.0)
        second, _ = layer.send_request(a_request(branch="z9hG4bK-2"), TCP, 0.0)
        layer.send_request(a_request(branch="z9hG4bK-3"), other_connection, 0.0)
        assert layer.transport_failed(TCP, 0.1) == [
            RequestFailed(first, "transport"),
            RequestFailed(second, "transport"),
        ]

    def test_nothing_on_a_flow_means_nothing_happens(self):
        assert TransactionLayer().transport_failed(UDP, 0.0) == []
