"""Server transactions, one equation per arrow of RFC 6026 Figure 7 and RFC 3261 Figure 8."""

import pytest

from sbc.sip.message import make_response, serialize
from sbc.sip.transaction.events import (
    AckArrived,
    RequestArrived,
    RequestRefused,
    ResponseUnacknowledged,
    Transmit,
)
from sbc.sip.transaction.layer import RETRY_AFTER_S, Counts, TransactionLayer
from tests.kit.transactions import TCP, UDP, a_request

NOTHING_LIVE = Counts(0, 0, 0, 0)


def arrived(request, flow=UDP, now=0.0):
    layer = TransactionLayer()
    [output] = layer.receive(request, flow, now)
    assert isinstance(output, RequestArrived)
    assert output == RequestArrived(output.key, request, flow)
    assert output.key.startswith("s|")
    return layer, output.key


def answer(request, status):
    return make_response(request, status, to_tag="b1")


def sent(response, key, flow=UDP, again=False):
    return Transmit(flow, serialize(response), response, again, key)


def run_out(layer):
    brought = []
    while (at := layer.next_timeout()) is not None:
        brought += [(at, output) for output in layer.handle_timeout(at)]
    return brought


class TestInvite:
    def test_retransmissions_before_any_response_are_absorbed(self):
        layer, _ = arrived(a_request())
        assert layer.receive(a_request(), UDP, 0.5) == []

    def test_provisional_responses_are_sent_and_the_last_one_answers_retransmissions(self):
        invite = a_request()
        layer, key = arrived(invite)
        for status in (100, 180, 183):
            response = answer(invite, status)
            assert layer.respond(key, response, 0.1) == [sent(response, key)]
            assert layer.receive(a_request(), UDP, 0.2) == [sent(response, key, again=True)]
        assert layer.next_timeout() is None

    def test_a_replay_is_the_very_bytes_that_were_sent(self):
        invite = a_request()
        layer, key = arrived(invite)
        [first] = layer.respond(key, answer(invite, 180), 0.1)
        [second] = layer.receive(a_request(), UDP, 0.5)
        assert second.data is first.data

    def test_after_a_2xx_retransmissions_are_absorbed_and_acks_and_2xx_pass(self):
        invite = a_request()
        layer, key = arrived(invite)
        ok = answer(invite, 200)
        assert layer.respond(key, ok, 1.0) == [sent(ok, key)]
        assert layer.receive(a_request(), UDP, 1.5) == []
        assert layer.respond(key, ok, 1.5) == [sent(ok, key, again=True)]
        ack = a_request("ACK")  # some peers use the INVITE's branch again
        assert layer.receive(ack, UDP, 1.6) == [AckArrived(ack, UDP)]
        assert layer.receive(ack, UDP, 1.7) == [AckArrived(ack, UDP)]
        assert layer.next_timeout() == 33.0
        assert run_out(layer) == []
        assert layer.counts == NOTHING_LIVE
        assert layer.respond(key, ok, 33.5) == []

    def test_an_accepted_transaction_keeps_no_message(self):
        invite = a_request()
        layer, key = arrived(invite)
        layer.respond(key, answer(invite, 180), 0.1)
        layer.respond(key, answer(invite, 200), 0.2)
        assert (layer._servers[key].message, layer._servers[key].data) == (None, b"")

    def test_after_a_2xx_no_other_response_is_sent(self):
        invite = a_request()
        layer, key = arrived(invite)
        layer.respond(key, answer(invite, 200), 0.1)
        assert layer.respond(key, answer(invite, 180), 0.2) == []
        assert layer.respond(key, answer(invite, 487), 0.2) == []

    @pytest.mark.parametrize("status", [302, 486, 603])
    def test_another_final_response_is_resent_until_the_ack(self, status):
        invite = a_request()
        layer, key = arrived(invite)
        final = answer(invite, status)
        assert layer.respond(key, final, 0.0) == [sent(final, key)]
        assert layer.next_timeout() == 0.5
        assert layer.handle_timeout(0.5) == [sent(final, key, again=True)]
        assert layer.receive(a_request(), UDP, 0.6) == [sent(final, key, again=True)]
        assert layer.handle_timeout(1.5) == [sent(final, key, again=True)]
        assert layer.receive(a_request("ACK"), UDP, 2.0) == []
        assert (layer._servers[key].message, layer._servers[key].data) == (None, b"")
        assert layer.receive(a_request("ACK"), UDP, 2.1) == []
        assert layer.receive(a_request(), UDP, 2.2) == []
        assert layer.next_timeout() == 7.0
        assert run_out(layer) == []
        assert layer.counts == NOTHING_LIVE

    def test_it_is_resent_up_to_every_4_seconds_until_timer_h_gives_up(self):
        invite = a_request()
        layer, key = arrived(invite)
        final = answer(invite, 486)
        layer.respond(key, final, 0.0)
        times = (0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5)
        assert run_out(layer) == [
            *[(at, sent(final, key, again=True)) for at in times],
            (32.0, ResponseUnacknowledged(key)),
        ]
        assert layer.counts == NOTHING_LIVE

    def test_over_tcp_it_is_not_resent_but_the_ack_is_waited_for(self):
        invite = a_request(transport="TCP")
        layer, key = arrived(invite, TCP)
        final = answer(invite, 486)
        assert layer.respond(key, final, 0.0) == [sent(final, key, TCP)]
        assert run_out(layer) == [(32.0, ResponseUnacknowledged(key))]

    def test_over_tcp_the_ack_ends_it(self):
        invite = a_request(transport="TCP")
        layer, key = arrived(invite, TCP)
        layer.respond(key, answer(invite, 486), 0.0)
        assert layer.receive(a_request("ACK", transport="TCP"), TCP, 0.1) == []
        assert layer.counts == NOTHING_LIVE

    def test_after_a_final_response_no_other_is_sent(self):
        invite = a_request()
        layer, key = arrived(invite)
        layer.respond(key, answer(invite, 486), 0.0)
        for status in (180, 200, 487):
            assert layer.respond(key, answer(invite, status), 0.1) == []

    def test_an_ack_before_any_final_response_is_ignored(self):
        layer, _ = arrived(a_request())
        assert layer.receive(a_request("ACK"), UDP, 0.1) == []

    def test_a_dead_flow_stops_resending_but_a_retransmission_is_still_answered(self):
        invite = a_request()
        layer, key = arrived(invite)
        final = answer(invite, 486)
        layer.respond(key, final, 0.0)
        assert layer.transport_failed(UDP, 0.1) == []
        assert layer.next_timeout() == 32.0
        assert layer.receive(a_request(), UDP, 0.5) == [sent(final, key, again=True)]

    @pytest.mark.parametrize("statuses", [[], [180], [200]])
    def test_a_dead_flow_changes_nothing_else(self, statuses):
        invite = a_request()
        layer, key = arrived(invite)
        for status in statuses:
            layer.respond(key, answer(invite, status), 0.0)
        assert layer.transport_failed(UDP, 0.1) == []
        assert layer.has(key)

    def test_one_that_its_user_abandons_is_gone(self):
        layer, key = arrived(a_request())
        assert layer.abandon(key, 0.1) == []
        assert layer.counts == NOTHING_LIVE

    def test_a_response_that_cannot_be_serialised_changes_nothing(self):
        invite = a_request()
        layer, key = arrived(invite)
        bad = answer(invite, 486)
        bad.reason = "Busy\r\nHere"
        with pytest.raises(ValueError, match="CR or LF"):
            layer.respond(key, bad, 0.1)
        good = answer(invite, 500)
        assert layer.respond(key, good, 0.1) == [sent(good, key)]


class TestOtherRequests:
    @pytest.mark.parametrize("status", [200, 302, 404, 603])
    def test_the_final_response_answers_retransmissions_for_64_t1(self, status):
        options = a_request("OPTIONS")
        layer, key = arrived(options)
        assert layer.receive(a_request("OPTIONS"), UDP, 0.5) == []
        final = answer(options, status)
        assert layer.respond(key, final, 1.0) == [sent(final, key)]
        assert layer.receive(a_request("OPTIONS"), UDP, 1.5) == [sent(final, key, again=True)]
        assert layer.respond(key, answer(options, 500), 1.6) == []
        assert layer.next_timeout() == 33.0
        assert run_out(layer) == []
        assert layer.counts == NOTHING_LIVE

    def test_over_tcp_the_final_response_ends_them(self):
        options = a_request("OPTIONS", transport="TCP")
        layer, key = arrived(options, TCP)
        final = answer(options, 200)
        assert layer.respond(key, final, 1.0) == [sent(final, key, TCP)]
        assert layer.counts == NOTHING_LIVE

    def test_an_answered_one_keeps_the_response_and_not_the_request(self):
        options = a_request("OPTIONS")
        layer, key = arrived(options)
        assert layer._servers[key].message is options
        final = answer(options, 200)
        layer.respond(key, final, 0.1)
        assert layer._servers[key].message is final

    def test_a_100_is_sent_when_the_user_has_not_answered_in_time(self):
        options = a_request("OPTIONS")
        layer, key = arrived(options)
        trying = make_response(options, 100)
        assert layer.next_timeout() == 3.5
        assert layer.handle_timeout(3.5) == [sent(trying, key)]
        assert layer.receive(a_request("OPTIONS"), UDP, 4.0) == [sent(trying, key, again=True)]
        final = answer(options, 200)
        assert layer.respond(key, final, 5.0) == [sent(final, key)]
        assert layer.next_timeout() == 37.0

    def test_the_late_100_is_due_over_tcp_too(self):
        options = a_request("OPTIONS", transport="TCP")
        layer, key = arrived(options, TCP)
        assert layer.handle_timeout(3.5) == [sent(make_response(options, 100), key, TCP)]

    def test_over_udp_the_users_100_waits_for_that_time(self):
        options = a_request("OPTIONS")
        layer, key = arrived(options)
        assert layer.respond(key, answer(options, 100), 0.1) == []
        layer.handle_timeout(3.5)
        again = answer(options, 100)
        assert layer.respond(key, again, 4.0) == [sent(again, key)]

    def test_over_tcp_the_users_100_may_come_at_any_time(self):
        options = a_request("OPTIONS", transport="TCP")
        layer, key = arrived(options, TCP)
        trying = answer(options, 100)
        assert layer.respond(key, trying, 0.1) == [sent(trying, key, TCP)]

    @pytest.mark.parametrize("status", [180, 183, 199, 408])
    @pytest.mark.parametrize("late", [False, True])
    def test_what_rfc_4320_forbids_is_never_sent(self, status, late):
        options = a_request("OPTIONS")
        layer, key = arrived(options)
        if late:
            layer.handle_timeout(3.5)
        assert layer.respond(key, answer(options, status), 4.0) == []
        final = answer(options, 504)
        assert layer.respond(key, final, 4.1) == [sent(final, key)]

    @pytest.mark.parametrize("transport", ["UDP", "TCP"])
    def test_one_that_is_never_answered_expires_without_a_final_response(self, transport):
        options = a_request("OPTIONS", transport=transport)
        flow = UDP if transport == "UDP" else TCP
        layer, key = arrived(options, flow)
        assert run_out(layer) == [(3.5, sent(make_response(options, 100), key, flow))]
        assert layer.counts == NOTHING_LIVE
        assert layer.respond(key, answer(options, 200), 32.1) == []

    @pytest.mark.parametrize("statuses", [[], [200]])
    def test_a_dead_flow_changes_nothing(self, statuses):
        options = a_request("OPTIONS")
        layer, key = arrived(options)
        for status in statuses:
            layer.respond(key, answer(options, status), 0.0)
        assert layer.transport_failed(UDP, 0.1) == []
        assert layer.has(key)

    def test_one_that_its_user_abandons_is_gone(self):
        layer, key = arrived(a_request("OPTIONS"))
        assert layer.abandon(key, 0.1) == []
        assert layer.counts == NOTHING_LIVE

    def test_an_unknown_method_is_one_of_them(self):
        layer, key = arrived(a_request("FROBNICATE"))
        layer.respond(key, answer(a_request("FROBNICATE"), 501), 0.0)
        assert run_out(layer) == []
        assert layer.counts == NOTHING_LIVE


def matches(first, second, second_flow=UDP):
    """Whether the second request is taken for a retransmission of the first."""
    layer = TransactionLayer()
    layer.receive(first, UDP, 0.0)
    return not layer.receive(second, second_flow, 0.1)


class TestMatchingRequests:
    def test_branch_sent_by_and_method_make_the_transaction(self):
        assert matches(a_request(), a_request())
        assert not matches(a_request(), a_request(branch="z9hG4bK-2"))
        assert not matches(a_request(), a_request(sent_by="10.0.0.8:5060"))
        assert not matches(a_request(), a_request(sent_by="10.0.0.7:5062"))
        assert not matches(a_request("OPTIONS"), a_request("INFO"))

    def test_nothing_else_is_looked_at(self):
        assert matches(a_request(), a_request(cseq=2, uri="sip:601@example.com"))

    def test_sent_by_compares_as_hosts_do(self):
        named = a_request(sent_by="Phone.Example.com")
        assert matches(named, a_request(sent_by="phone.example.COM:5060"))
        assert matches(a_request(sent_by="[2001:DB8::1]"), a_request(sent_by="[2001:db8::1]:5060"))

    def test_the_cookie_compares_as_tokens_do(self):
        same = {"branch": "Z9HG4BK-1"}
        assert matches(a_request(**same), a_request(**same, cseq=2))

    def test_a_retransmission_may_come_from_another_port(self):
        moved = UDP._replace(remote=(UDP.remote[0], 40009))
        assert matches(a_request(), a_request(), moved)

    def test_another_network_is_another_world(self):
        assert not matches(a_request(), a_request(), UDP._replace(network="inside"))

    def test_an_ack_to_a_2xx_has_its_own_branch_and_goes_to_the_user(self):
        layer = TransactionLayer()
        ack = a_request("ACK", branch="z9hG4bK-9")
        assert layer.receive(ack, UDP, 0.0) == [AckArrived(ack, UDP)]
        assert layer.counts == NOTHING_LIVE

    def test_a_merged_request_is_a_transaction_of_its_own(self):
        """The same request by another way; the TU sees From tag, Call-ID and CSeq (§8.2.2.2)."""
        assert not matches(a_request(), a_request(branch="z9hG4bK-fork"))


@pytest.mark.parametrize("branch", [None, "1", "aaaaaaa7", "z9hG4b"])
class TestMatchingRequestsOfRfc2543:
    def test_the_request_as_a_whole_makes_the_transaction(self, branch):
        first = {"branch": branch}
        assert matches(a_request(**first), a_request(**first))
        assert not matches(a_request(**first), a_request(**first, cseq=2))
        assert not matches(a_request(**first), a_request(**first, uri="sip:601@example.com"))
        assert not matches(a_request(**first), a_request(**first, sent_by="10.0.0.8"))

    def test_its_ack_is_found_whatever_tag_it_has(self, branch):
        layer = TransactionLayer()
        invite = a_request(branch=branch)
        [output] = layer.receive(invite, UDP, 0.0)
        layer.respond(output.key, answer(invite, 486), 0.1)
        assert layer.receive(a_request("ACK", branch=branch, to_tag="b1"), UDP, 0.2) == []
        assert layer.next_timeout() == 5.2

    def test_its_cancel_finds_the_invite(self, branch):
        layer = TransactionLayer()
        [invite] = layer.receive(a_request(branch=branch), UDP, 0.0)
        [cancel] = layer.receive(a_request("CANCEL", branch=branch), UDP, 0.1)
        assert cancel.cancels == invite.key


class TestCancel:
    def test_it_is_a_transaction_of_its_own_and_names_the_invites(self):
        layer = TransactionLayer()
        invite = a_request()
        [first] = layer.receive(invite, UDP, 0.0)
        cancel = a_request("CANCEL")
        [second] = layer.receive(cancel, UDP, 0.1)
        assert second == RequestArrived(second.key, cancel, UDP, cancels=first.key)
        assert second.key != first.key
        ok, terminated = answer(cancel, 200), answer(invite, 487)
        assert layer.respond(second.key, ok, 0.2) == [sent(ok, second.key)]
        assert layer.respond(first.key, terminated, 0.2) == [sent(terminated, first.key)]
        assert layer.receive(a_request("CANCEL"), UDP, 0.3) == [sent(ok, second.key, again=True)]
        assert layer.receive(a_request("ACK"), UDP, 0.4) == []
        assert run_out(layer) == []
        assert layer.counts == NOTHING_LIVE

    def test_one_that_matches_nothing_names_nothing(self):
        layer = TransactionLayer()
        layer.receive(a_request(), UDP, 0.0)
        [output] = layer.receive(a_request("CANCEL", branch="z9hG4bK-2"), UDP, 0.1)
        assert output.cancels is None

    def test_an_answered_invite_is_named_too(self):
        layer = TransactionLayer()
        invite = a_request()
        [first] = layer.receive(invite, UDP, 0.0)
        layer.respond(first.key, answer(invite, 200), 0.1)
        [output] = layer.receive(a_request("CANCEL"), UDP, 0.2)
        assert output.cancels == first.key

    def test_nobody_cancels_from_another_network(self):
        layer = TransactionLayer()
        layer.receive(a_request(), UDP, 0.0)
        [output] = layer.receive(a_request("CANCEL"), UDP._replace(network="inside"), 0.1)
        assert output.cancels is None


class TestTheWayBack:
    """RFC 3261 §18.2, RFC 3581 §4."""

    def test_rport_is_answered_and_responses_go_to_the_source(self):
        options = a_request("OPTIONS")
        layer, key = arrived(options)
        top = "SIP/2.0/UDP 10.0.0.7:5060;rport=40000;branch=z9hG4bK-1;received=198.51.100.7"
        assert options.headers.all("via") == [top]
        final = answer(options, 200)
        assert final.headers.all("via") == [top]
        assert layer.respond(key, final, 0.1) == [sent(final, key, UDP)]

    def test_without_rport_responses_go_to_the_source_address_and_the_sent_by_port(self):
        options = a_request("OPTIONS", via_params="", sent_by="198.51.100.7:5070")
        layer, key = arrived(options)
        assert options.via.received is None
        final = answer(options, 200)
        back = UDP._replace(remote=("198.51.100.7", 5070))
        assert layer.respond(key, final, 0.1) == [sent(final, key, back)]

    def test_without_rport_and_port_they_go_to_5060(self):
        options = a_request("OPTIONS", via_params="", sent_by="198.51.100.7")
        layer, key = arrived(options)
        [transmit] = layer.respond(key, answer(options, 200), 0.1)
        assert transmit.flow.remote == ("198.51.100.7", 5060)

    @pytest.mark.parametrize("sent_by", ["10.0.0.7:5070", "10.0.0.7", "phone.example.com", "[::7]"])
    def test_a_sender_behind_a_nat_is_answered_at_its_source_port_without_asking(self, sent_by):
        options = a_request("OPTIONS", via_params="", sent_by=sent_by)
        layer, key = arrived(options)
        assert (options.via.received, options.via.has_rport) == ("198.51.100.7", False)
        [transmit] = layer.respond(key, answer(options, 200), 0.1)
        assert transmit.flow == UDP

    def test_ipv6_written_another_way_is_still_the_source(self):
        flow = UDP._replace(remote=("2001:db8::7", 40000))
        options = a_request("OPTIONS", via_params="", sent_by="[2001:DB8:0:0::0007]:5070")
        layer, key = arrived(options, flow)
        assert options.via.received is None
        [transmit] = layer.respond(key, answer(options, 200), 0.1)
        assert transmit.flow.remote == ("2001:db8::7", 5070)

    def test_a_true_sent_by_needs_no_received(self):
        options = a_request("OPTIONS", via_params="", sent_by="198.51.100.7")
        arrived(options)
        assert options.headers.all("via") == ["SIP/2.0/UDP 198.51.100.7;branch=z9hG4bK-1"]

    def test_rport_gets_received_even_when_it_says_nothing_new(self):
        options = a_request("OPTIONS", sent_by="198.51.100.7:40000")
        arrived(options)
        assert (options.via.received, options.via.rport) == ("198.51.100.7", 40000)

    def test_over_tcp_responses_go_back_on_the_connection(self):
        options = a_request("OPTIONS", via_params="", transport="TCP")
        layer, key = arrived(options, TCP)
        assert options.via.received == "198.51.100.7"
        final = answer(options, 200)
        assert layer.respond(key, final, 0.1) == [sent(final, key, TCP)]

    def test_what_the_sender_wrote_itself_is_not_believed(self):
        options = a_request("OPTIONS", via_params=";received=203.0.113.9;rport=53")
        layer, key = arrived(options)
        assert (options.via.received, options.via.rport) == ("198.51.100.7", 40000)
        [transmit] = layer.respond(key, answer(options, 200), 0.1)
        assert transmit.flow == UDP

    def test_maddr_sends_nothing_elsewhere(self):
        options = a_request("OPTIONS", via_params=";maddr=203.0.113.9")
        layer, key = arrived(options)
        [transmit] = layer.respond(key, answer(options, 200), 0.1)
        assert transmit.flow == UDP

    def test_ipv6_is_written_without_brackets_in_received(self):
        flow = UDP._replace(remote=("2001:db8::7", 40000))
        options = a_request("OPTIONS", sent_by="[fd00::7]:5060")
        arrived(options, flow)
        assert options.headers.all("via") == [
            "SIP/2.0/UDP [fd00::7]:5060;rport=40000;branch=z9hG4bK-1;received=2001:db8::7"
        ]

    def test_the_vias_below_stay_as_they_are(self):
        options = a_request("OPTIONS", headers=("Via: SIP/2.0/UDP b ;branch=z9hG4bKb",))
        arrived(options)
        assert options.headers.all("via")[1:] == ["SIP/2.0/UDP b ;branch=z9hG4bKb"]


class TestTooMany:
    def full(self, limit=4):
        layer = TransactionLayer(server_limit=limit)
        for number in range(limit):
            layer.receive(a_request(branch=f"z9hG4bK-{number}"), UDP, 0.0)
        return layer

    def test_new_requests_are_refused_with_nothing_kept(self):
        layer = self.full()
        before = layer.counts
        invite = a_request(branch="z9hG4bK-x")
        assert layer.receive(invite, UDP, 0.1) == [RequestRefused(invite, UDP, RETRY_AFTER_S)]
        assert layer.counts == before
        assert make_response(invite, 503).via.rport == UDP.remote[1]

    def test_the_refusal_names_where_the_response_goes(self):
        layer = self.full()
        options = a_request(
            "OPTIONS", branch="z9hG4bK-x", via_params="", sent_by="198.51.100.7:5070"
        )
        [refused] = layer.receive(options, UDP, 0.1)
        assert refused.flow.remote == ("198.51.100.7", 5070)

    def test_retransmissions_and_acks_still_find_their_transaction(self):
        layer = self.full()
        assert layer.receive(a_request(branch="z9hG4bK-0"), UDP, 0.1) == []
        ack = a_request("ACK", branch="z9hG4bK-y")
        assert layer.receive(ack, UDP, 0.1) == [AckArrived(ack, UDP)]

    def test_what_ends_calls_has_a_reserve_that_ends_too(self):
        layer = self.full()
        [cancel] = layer.receive(a_request("CANCEL", branch="z9hG4bK-0"), UDP, 0.1)
        assert isinstance(cancel, RequestArrived)
        bye = a_request("BYE", branch="z9hG4bK-x", to_tag="b1")
        assert layer.receive(bye, UDP, 0.1) == [RequestRefused(bye, UDP, RETRY_AFTER_S)]

    def test_there_is_room_again_when_transactions_end(self):
        layer = self.full()
        [key, *_] = layer._servers
        layer.abandon(key, 0.1)
        [output] = layer.receive(a_request(branch="z9hG4bK-x"), UDP, 0.2)
        assert isinstance(output, RequestArrived)


def test_an_unknown_key_is_answered_with_nothing():
    layer = TransactionLayer()
    assert layer.respond("s|no such", answer(a_request(), 200), 0.0) == []
    assert layer.abandon("s|no such", 0.0) == []
    assert not layer.has("s|no such")
