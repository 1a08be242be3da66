"""Registrations with trunks: what is said, when, to whom, and what comes of the answers."""

import pytest

from sbc.routing.accounts import Account
from sbc.routing.model import Keepalive
from sbc.sip.digest import parse_credentials_untrusted
from sbc.sip.message import Request
from sbc.sip.user import Ping, SendRequest
from sbc.trunks.table import State
from tests.kit.trunks import CHALLENGE, FIRST, SECOND, STREAM, Office, a_line

CHALLENGED = f"WWW-Authenticate: {CHALLENGE}"
ONE = {"carrier": a_line(flows=(FIRST,))}


def credentials(sent: SendRequest):
    value = sent.request.headers.first("authorization")
    return None if value is None else parse_credentials_untrusted(value)


def title(news) -> tuple[str, str, str]:
    return news.before.value, news.after.value, news.cause


class TestRegister:
    def test_is_said_to_the_first_target_as_the_rfc_wants_it(self):
        office = Office()
        sent = office.until_sent()
        request = sent.request
        assert sent.flow == FIRST
        assert (request.method, request.uri_text) == ("REGISTER", "sip:carrier.example")
        assert request.via.branch == sent.ref
        assert request.headers.first("to") == "<sip:4930123@carrier.example>"
        assert request.from_.uri == request.to.uri
        assert request.from_tag is not None
        assert request.to_tag is None
        assert request.headers.first("contact") == "<sip:4930123@203.0.113.10:5060>;expires=600"
        assert request.headers.first("expires") == "600"
        assert request.headers.first("supported") == "path"
        assert request.max_forwards == 70
        assert office.state == "registering"

    def test_one_call_id_for_all_and_rising_numbers(self):
        office = Office(chance=None)
        first, second = office.register(), office.register()
        assert first.request.call_id == second.request.call_id
        assert first.request.from_tag == second.request.from_tag
        assert (first.request.cseq.number, second.request.cseq.number) == (1, 2)

    def test_a_stream_is_named_in_the_contact(self):
        office = Office({"carrier": a_line(flows=(STREAM,))})
        contact = office.until_sent().request.headers.first("contact")
        assert contact == "<sip:4930123@203.0.113.10:5060;transport=tcp>;expires=600"

    def test_many_trunks_do_not_begin_at_one_moment(self):
        office = Office({f"t{n}": a_line(str(n)) for n in range(100)}, chance=None)
        began = set()
        while len(began) < 100:
            office.until_sent()
            began.add(office.now)
        assert max(began) - min(began) > 5


class TestGranted:
    def test_the_flow_carries_calls_until_the_refresh(self):
        office = Office()
        office.register()
        assert [title(one) for one in office.news] == [("registering", "registered", "")]
        assert office.carrier.home == FIRST
        assert office.carrier.due == office.now + 0.7 * 600

    def test_a_shorter_time_is_heeded(self):
        office = Office()
        office.register(expires=60)
        assert office.carrier.due == office.now + 42
        assert office.until_sent().request.headers.first("expires") == "600"

    def test_a_refresh_keeps_calls_going_on_the_same_flow(self):
        office = Office()
        office.register()
        sent = office.until_sent()
        assert (office.state, sent.flow, office.carrier.home) == ("refreshing", FIRST, FIRST)
        office.reply(sent, 200)
        assert office.state == "registered"

    def test_service_route_and_associated_uris_are_noted(self):
        office = Office()
        office.register(
            "Service-Route: <sip:edge.carrier.example;lr>, <sip:core.carrier.example;lr>",
            "P-Associated-URI: <tel:+4930123>, <sip:4930123@carrier.example>",
        )
        grant = office.carrier.grant
        assert grant is not None
        assert grant.service_route == (
            "<sip:edge.carrier.example;lr>",
            "<sip:core.carrier.example;lr>",
        )
        assert grant.associated == ("<tel:+4930123>", "<sip:4930123@carrier.example>")

    @pytest.mark.parametrize(
        ("answer", "granted"),
        [
            ((), 600),
            (("Expires: 90",), 90),
            (("Contact: <sip:4930123@203.0.113.10>;expires=70",), 70),
            (("Contact: <sip:4930123@10.9.9.9:1024>;expires=70", "Expires: 90"), 70),
            (("Contact: <sip:rewritten@203.0.113.10>;expires=70",), 70),
            (("Contact: <sip:a@x>;expires=5, <sip:4930123@x>;expires=80",), 80),
            (("Contact: <sip:4930123@x>;expires=never", "Expires: 90"), 90),
            (("Contact: <sip:4930123@x>;expires=4000000000",), 604_800),
        ],
    )
    def test_however_the_registrar_says_how_long(self, answer: tuple[str, ...], granted: int):
        office = Office()
        office.reply(office.until_sent(), 200, *answer)
        assert office.carrier.grant is not None
        assert office.carrier.grant.expires_s == granted

    @pytest.mark.parametrize(
        ("answer", "cause"),
        [
            ("Contact: <sip:a@x>, <sip:b@x>", "keeps no contact of ours"),
            ("Contact: <sip:4930123@x>;expires=0", "keeps no contact of ours"),
            ("Contact: <<", "cannot be read"),
            ("Service-Route: <sip:x", "cannot be read"),
            ("Service-Route: " + ", ".join(["<sip:x;lr>"] * 9), "cannot be read"),
        ],
    )
    def test_a_yes_that_is_none_is_a_failure(self, answer: str, cause: str):
        office = Office()
        office.reply(office.until_sent(), 200, answer)
        assert office.state == "backing off"
        assert cause in office.carrier.cause

    def test_associated_uris_that_cannot_be_read_harm_nobody(self):
        office = Office()
        office.register("P-Associated-URI: <<")
        assert office.carrier.grant is not None
        assert office.carrier.grant.associated == ()


class TestChallenges:
    def test_credentials_follow_at_once_and_later_requests_carry_them(self):
        office = Office()
        first = office.until_sent()
        assert credentials(first) is None
        office.reply(first, 401, CHALLENGED)
        second = office.last
        assert credentials(second).count == 1
        assert second.request.call_id == first.request.call_id
        assert second.request.cseq.number == first.request.cseq.number + 1
        assert second.request.via.branch == second.ref != first.ref
        office.reply(second, 200)
        assert credentials(office.until_sent()).count == 2

    def test_a_proxy_is_answered_likewise(self):
        office = Office()
        office.reply(office.until_sent(), 407, f"Proxy-Authenticate: {CHALLENGE}")
        assert office.last.request.headers.has("proxy-authorization")

    def test_a_stale_nonce_is_replaced_at_once(self):
        office = Office()
        office.reply(office.until_sent(), 401, CHALLENGED)
        office.reply(office.last, 200)
        stale = CHALLENGED.replace("n1", "n2") + ", stale=true"
        office.reply(office.until_sent(), 401, stale)
        assert office.state == "refreshing"
        assert credentials(office.last).nonce == "n2"

    def test_a_registrar_that_is_never_content_does_not_turn_us_in_circles(self):
        office = Office()
        sent = office.until_sent()
        for number in range(20):
            office.reply(sent, 401, CHALLENGED.replace("n1", f"n{number}") + ", stale=true")
            if not office.sent:
                break
            sent = office.last
        assert office.state == "backing off"
        assert number <= 5

    def test_a_wrong_password_is_not_tried_again_for_long_and_names_account_and_realm(self):
        office = Office()
        office.reply(office.until_sent(), 401, CHALLENGED)
        office.reply(office.last, 401, CHALLENGED.replace("n1", "n2"), reason="Wrong")
        (told,) = office.news
        assert told.doubted
        assert title(told) == (
            "registering",
            "backing off",
            (
                "401 Wrong from 192.0.2.1:5060, realm 'carrier.example': "
                "it refuses the user name 'us' or its password"
            ),
        )
        assert office.carrier.due >= office.now + 1800
        assert "secret" not in repr(office.carrier)

    def test_so_does_a_403_to_credentials_but_not_one_before_them(self):
        office = Office()
        office.reply(office.until_sent(), 401, CHALLENGED)
        office.reply(office.last, 403)
        assert office.news[0].doubted
        assert office.carrier.due >= office.now + 1800
        other = Office()
        other.reply(other.until_sent(), 403)
        assert not other.news[0].doubted
        assert other.carrier.due == other.now + 3

    @pytest.mark.parametrize(
        ("challenge", "realm", "why"),
        [
            (CHALLENGE.replace("=MD5", "=MD5-sess"), None, "no kind of Digest that we know"),
            ('Basic realm="carrier.example"', None, "no kind of Digest that we know"),
            (CHALLENGE, "other.example", "only realm 'other.example' is answered"),
        ],
    )
    def test_a_challenge_that_cannot_be_met_is_not_blamed_on_the_password(
        self, challenge: str, realm: str | None, why: str
    ):
        office = Office(account=Account("us", "secret", realm))
        office.reply(office.until_sent(), 401, f"WWW-Authenticate: {challenge}")
        assert why in office.carrier.cause
        assert "password" not in office.carrier.cause

    def test_a_challenge_without_an_account_says_what_to_configure(self):
        office = Office(account=None)
        office.reply(office.until_sent(), 401, CHALLENGED)
        assert "there are none (key `authentication`)" in office.carrier.cause

    def test_a_new_password_is_tried_at_once(self):
        office = Office()
        office.reply(office.until_sent(), 401, CHALLENGED)
        office.reply(office.last, 403)
        office.account = Account("us", "better")
        office.configure({"carrier": a_line()})
        office.wait(0)
        assert office.state == "registering"
        assert credentials(office.last) is None


class TestTooBrief:
    def test_the_time_that_the_registrar_insists_on_is_asked_for_now_and_later(self):
        office = Office()
        first = office.until_sent()
        office.reply(first, 423, "Min-Expires: 1800")
        second = office.last.request
        assert second.headers.first("expires") == "1800"
        assert second.headers.first("contact") == "<sip:4930123@203.0.113.10:5060>;expires=1800"
        office.reply(office.last, 200)
        assert office.until_sent().request.headers.first("expires") == "1800"

    def test_who_insists_on_ever_more_is_not_asked_at_once_for_ever(self):
        office = Office()
        office.reply(office.until_sent(), 423, "Min-Expires: 1800")
        office.reply(office.last, 423, "Min-Expires: 1801")
        assert office.state == "backing off"

    @pytest.mark.parametrize(
        "header", ["X: y", "Min-Expires: 600", "Min-Expires: 99999999", "Min-Expires: x"]
    )
    def test_one_that_makes_no_sense_is_a_refusal(self, header: str):
        office = Office()
        office.reply(office.until_sent(), 423, header)
        assert office.state == "backing off"

    def test_credentials_are_said_again(self):
        office = Office()
        office.reply(office.until_sent(), 401, CHALLENGED)
        office.reply(office.last, 423, "Min-Expires: 900")
        assert credentials(office.last).count == 2


class TestFailover:
    @pytest.mark.parametrize("status", [408, 500, 503, 504])
    def test_a_target_that_fails_is_left_for_the_next_at_once(self, status: int):
        office = Office()
        office.reply(office.until_sent(), status, reason="Down")
        assert office.last.flow == SECOND
        assert [title(one) for one in office.news] == [
            ("registering", "registering", f"{status} Down from 192.0.2.1:5060")
        ]

    @pytest.mark.parametrize("why", ["timeout", "transport"])
    def test_so_is_one_that_says_nothing(self, why: str):
        office = Office()
        office.fail(office.until_sent(), why)
        assert office.last.flow == SECOND

    def test_a_silent_one_is_given_up_early_while_another_is_left(self):
        office = Office()
        first = office.until_sent()
        office.wait(8)
        assert office.abandoned == [first.ref]
        assert office.last.flow == SECOND
        office.wait(32)
        assert (office.sent, office.abandoned) == ([], [])

    def test_even_the_last_is_not_waited_for_beyond_its_transaction(self):
        office = Office(ONE)
        sent = office.until_sent()
        office.wait(36)
        assert (office.abandoned, office.state) == ([sent.ref], "backing off")

    @pytest.mark.parametrize("status", [400, 403, 404, 600, 302])
    def test_what_speaks_of_the_account_is_asked_of_nobody_else(self, status: int):
        office = Office()
        office.reply(office.until_sent(), status)
        assert (office.sent, office.state) == ([], "backing off")

    def test_the_next_round_begins_with_the_first_again(self):
        office = Office()
        office.fail(office.until_sent())
        office.fail(office.last)
        assert office.state == "backing off"
        assert office.until_sent().flow == FIRST

    def test_rounds_that_fail_wait_longer_each_time(self):
        office = Office(ONE)
        waits = []
        for _ in range(8):
            office.fail(office.until_sent())
            waits.append(office.carrier.due - office.now)
        assert waits == pytest.approx([3, 45, 90, 180, 360, 720, 1350, 1350])

    def test_retry_after_is_waited_for_within_reason(self):
        office = Office(ONE)
        office.reply(office.until_sent(), 503, "Retry-After: 100 (busy);duration=5")
        assert office.carrier.due == office.now + 105
        office.reply(office.until_sent(), 503, "Retry-After: 99999999")
        assert office.carrier.due == office.now + 1890

    def test_whoever_registered_with_the_second_stays_there(self):
        office = Office()
        office.fail(office.until_sent())
        office.reply(office.last, 200)
        assert office.carrier.home == SECOND
        assert office.until_sent().flow == SECOND

    def test_a_refresh_that_fails_goes_elsewhere_and_calls_wait(self):
        office = Office()
        office.register()
        office.fail(office.until_sent())
        assert (office.state, office.carrier.home, office.last.flow) == (
            "registering",
            None,
            SECOND,
        )

    def test_success_that_lasted_makes_earlier_failures_forgotten(self):
        office = Office(ONE)
        for _ in range(4):
            office.fail(office.until_sent())
        office.register()
        office.fail(office.until_sent())
        assert office.carrier.due == office.now + 3


class TestLostFlows:
    def test_a_flow_that_lasted_is_replaced_at_once_by_the_next(self):
        office = Office()
        office.register()
        office.wait(130)
        office.take(office.trunks.flow_failed(FIRST, "connection closed", office.now))
        assert [title(one) for one in office.news] == [
            ("registered", "registering", "connection closed")
        ]
        assert office.last.flow == SECOND
        assert office.carrier.home is None

    def test_the_lost_one_is_tried_again_when_the_others_fail(self):
        office = Office()
        office.register()
        office.wait(130)
        office.take(office.trunks.flow_failed(FIRST, "gone", office.now))
        office.fail(office.last)
        assert office.last.flow == FIRST
        office.fail(office.last)
        assert office.state == "backing off"

    def test_the_number_of_a_connection_does_not_matter(self):
        office = Office({"carrier": a_line(flows=(STREAM,))})
        office.register()
        office.wait(130)
        office.take(office.trunks.flow_failed(STREAM._replace(connection=7), "closed", office.now))
        assert office.last.flow == STREAM

    def test_a_flow_that_fails_again_and_again_is_not_hammered(self):
        office = Office(ONE)
        waits = []
        for _ in range(4):
            office.register()
            office.take(office.trunks.flow_failed(FIRST, "reset", office.now))
            assert office.sent == []
            waits.append(office.carrier.due - office.now)
        assert waits == pytest.approx([3, 45, 90, 180])

    def test_flows_of_others_are_none_of_ours(self):
        office = Office()
        office.register()
        office.wait(130)
        assert office.trunks.flow_failed(SECOND, "gone", office.now) == []
        assert office.trunks.flow_failed(STREAM, "gone", office.now) == []

    def test_a_doubt_is_looked_into_at_once_but_not_again_and_again(self):
        office = Office()
        office.register()
        assert office.trunks.doubt(FIRST, "a call got no answer", office.now) == []
        office.wait(40)
        assert office.trunks.doubt(SECOND, "a call got no answer", office.now) == []
        office.take(office.trunks.doubt(FIRST, "a call got no answer", office.now))
        assert (office.state, office.carrier.home) == ("refreshing", FIRST)
        assert office.last.flow == FIRST


class TestKeepAlives:
    def office(self, method: str = "options", **rest: object) -> Office:
        return Office({"carrier": a_line(**rest)}, keepalive=Keepalive(method, 25.0))

    def ping(self, office: Office) -> SendRequest:
        office.register()
        sent = office.until_sent()
        assert sent.request.method == "OPTIONS"
        return sent

    def test_options_keep_a_udp_flow_open(self):
        office = self.office()
        ping = self.ping(office)
        assert ping.flow == FIRST
        assert ping.request.uri_text == "sip:carrier.example"
        assert ping.request.via.branch == ping.ref
        office.reply(ping, 404)
        assert office.state == "registered"
        office.wait(25)
        assert office.last.request.method == "OPTIONS"

    def test_one_waits_for_the_other(self):
        office = self.office()
        self.ping(office)
        office.wait(100)
        assert office.sent == []

    @pytest.mark.parametrize(("method", "flow"), [("crlf", FIRST), ("options", STREAM)])
    def test_crlf_where_that_is_enough(self, method, flow):
        office = self.office(method, flows=(flow,))
        office.register()
        assert Ping(flow) in office.wait(30)

    def test_none_where_they_are_off(self):
        office = Office()
        office.register()
        assert office.wait(400) == []

    def test_a_dead_machine_is_left_at_once(self):
        office = self.office()
        ping = self.ping(office)
        office.now += 200
        office.fail(ping, "transport")
        assert office.last.flow == SECOND

    def test_silence_is_doubted_and_a_registrar_that_is_there_is_asked_no_more(self):
        office = self.office()
        ping = self.ping(office)
        office.fail(ping, "timeout")
        assert office.state == "refreshing"
        office.reply(office.last, 200)
        commands = office.wait(100)
        assert commands
        assert set(commands) == {Ping(FIRST)}


class TestConfiguration:
    def test_what_is_gone_is_withdrawn(self):
        office = Office()
        office.register()
        office.configure({})
        sent = office.last
        assert sent.flow == FIRST
        assert sent.request.headers.first("expires") == "0"
        assert sent.request.headers.first("contact").endswith(";expires=0")
        assert office.carrier.home is None
        office.reply(sent, 200)
        assert len(office.trunks.registrations) == 0
        assert office.trunks.next_timeout() is None

    def test_a_withdrawal_answers_challenges_too(self):
        office = Office()
        office.register()
        office.configure({})
        office.reply(office.last, 401, CHALLENGED)
        assert office.last.request.headers.first("expires") == "0"
        assert credentials(office.last) is not None

    def test_a_withdrawal_that_nobody_answers_is_over_soon(self):
        office = Office()
        office.register()
        office.configure({})
        ref = office.last.ref
        office.wait(2)
        assert office.abandoned == [ref]
        assert len(office.trunks.registrations) == 0

    def test_a_register_under_way_is_waited_for_and_then_withdrawn(self):
        office = Office()
        sent = office.until_sent()
        office.configure({})
        assert (office.sent, office.state) == ([], "unregistering")
        office.reply(sent, 200)
        assert office.last.request.headers.first("expires") == "0"
        office.reply(office.last, 200)
        assert len(office.trunks.registrations) == 0

    def test_calls_have_no_way_as_soon_as_it_leaves(self):
        office = Office()
        office.register()
        office.until_sent()
        office.configure({})
        assert (office.state, office.carrier.home) == ("unregistering", None)

    def test_another_account_begins_when_the_one_before_has_left(self):
        office = Office()
        office.register()
        office.configure({"carrier": a_line("4930999")})
        assert office.last.request.to.uri.user == "4930123"
        office.reply(office.last, 200)
        sent = office.until_sent()
        assert sent.request.to.uri.user == "4930999"
        assert sent.request.headers.first("expires") == "600"

    def test_who_comes_back_while_leaving_begins_anew(self):
        office = Office()
        office.register()
        withdrawal = (office.configure({}), office.last)[1]
        office.configure({"carrier": a_line()})
        assert office.sent == []
        office.reply(withdrawal, 200)
        assert office.until_sent().request.headers.first("expires") == "600"

    def test_nothing_new_changes_nothing(self):
        office = Office()
        office.register()
        due = office.carrier.due
        office.configure({"carrier": a_line()})
        assert (office.sent, office.news, office.carrier.due) == ([], [], due)

    def test_a_registered_target_that_is_removed_is_left_at_once(self):
        office = Office()
        office.register()
        office.configure({"carrier": a_line(flows=(SECOND,))})
        office.wait(0)
        assert office.last.flow == SECOND
        office.reply(office.last, 200)
        assert office.carrier.home == SECOND

    def test_the_end_withdraws_all(self):
        office = Office({f"t{n}": a_line(str(n)) for n in range(3)}, chance=None)
        for _ in range(3):
            office.until_sent()
            office.reply(office.last, 200)
        office.take(office.trunks.leave(office.now))
        assert [one.request.headers.first("expires") for one in office.sent] == ["0"] * 3
        office.wait(2)
        assert len(office.trunks.registrations) == 0

    def test_who_waits_is_gone_at_once(self):
        office = Office()
        office.reply(office.until_sent(), 404)
        office.configure({})
        assert (office.sent, len(office.trunks.registrations)) == ([], 0)


class TestHurry:
    def test_who_waits_is_registered_at_once_and_waits_less_the_next_time(self):
        office = Office(ONE)
        for _ in range(5):
            office.fail(office.until_sent())
        assert office.trunks.hurry("carrier", office.now)
        office.wait(0)
        office.fail(office.last)
        assert office.carrier.due == office.now + 3

    def test_a_registration_that_stands_is_refreshed(self):
        office = Office()
        office.register()
        assert office.trunks.hurry("carrier", office.now)
        office.wait(0)
        assert office.state == "refreshing"

    def test_what_is_under_way_or_unknown_cannot_be_hurried(self):
        office = Office()
        office.until_sent()
        assert not office.trunks.hurry("carrier", office.now)
        assert not office.trunks.hurry("nobody", office.now)


class TestNames:
    def test_without_an_address_there_is_nothing_to_ask(self):
        office = Office({"carrier": a_line(flows=())})
        office.wait(1)
        assert (office.sent, office.state) == ([], "backing off")
        assert office.carrier.cause == "no target has a known address that we can reach"

    def test_an_address_that_is_found_is_used_at_once(self):
        office = Office({"carrier": a_line(flows=())})
        office.wait(1)
        office.trunks.locate({"carrier": (FIRST,)})
        office.wait(0)
        assert office.last.flow == FIRST

    def test_others_are_used_from_the_next_refresh_on(self):
        office = Office()
        office.register()
        office.trunks.locate({"carrier": (SECOND,)})
        assert office.carrier.home == FIRST
        assert office.until_sent().flow == SECOND
        office.reply(office.last, 200)
        assert office.carrier.home == SECOND

    def test_when_all_are_forgotten_in_the_middle_of_a_round_it_ends(self):
        office = Office()
        sent = office.until_sent()
        office.trunks.locate({})
        office.fail(sent)
        assert (office.sent, office.state) == ([], "backing off")

    def test_a_name_that_is_known_no_more_costs_no_registration(self):
        office = Office()
        office.register()
        office.trunks.locate({})
        assert office.until_sent().flow == FIRST


class TestCallers:
    def request(self, uri: str) -> Request:
        return Request("INVITE", uri)

    def test_whoever_comes_from_the_registered_flow_is_that_trunk(self):
        office = Office()
        ask = office.trunks.registrations.peer_of
        assert ask(self.request("sip:x@y"), FIRST) is None
        office.register()
        assert ask(self.request("sip:x@y"), FIRST) == "carrier"
        assert ask(self.request("sip:x@y"), SECOND) is None
        assert ask(self.request("sip:x@y"), FIRST._replace(network="inside")) is None

    def test_our_contact_is_called_from_any_port_of_that_machine_only(self):
        office = Office()
        office.register()
        ask = office.trunks.registrations.peer_of
        other_port = FIRST._replace(remote=("192.0.2.1", 9999))
        assert ask(self.request("sip:4930123@203.0.113.10"), other_port) == "carrier"
        assert ask(self.request("sip:x@203.0.113.10"), other_port) is None
        assert ask(self.request("sip:4930123@203.0.113.10"), SECOND) is None

    def test_the_contact_tells_two_accounts_with_one_machine_apart(self):
        office = Office({"a": a_line("1"), "b": a_line("2")}, chance=None)
        for _ in range(2):
            office.reply(office.until_sent(), 200)
        ask = office.trunks.registrations.peer_of
        assert ask(self.request("sip:1@x"), FIRST) == "a"
        assert ask(self.request("sip:2@x"), FIRST) == "b"
        assert ask(self.request("sip:3@x"), FIRST) is None

    def test_who_is_not_registered_any_more_is_nobody(self):
        office = Office()
        office.register()
        office.fail(office.until_sent())
        assert office.trunks.registrations.peer_of(self.request("sip:x@y"), FIRST) is None


class TestStrays:
    def test_what_nobody_asked_for_is_ignored(self):
        office = Office()
        sent = office.until_sent()
        assert office.trunks.failed("z9hG4bK-other", "timeout", office.now) == []
        office.reply(sent, 100)
        assert office.state == "registering"
        office.reply(sent, 200)
        assert office.reply(sent, 200) == []

    def test_an_answer_after_its_target_was_left_is_late(self):
        office = Office()
        first = office.until_sent()
        office.wait(8)
        assert office.reply(first, 200) == []
        assert office.carrier.state is State.REGISTERING
