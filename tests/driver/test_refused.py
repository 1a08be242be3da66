"""What is kept of requests that were turned away, and what their senders hear of it."""

from functools import cache

import pytest

from sbc.driver.callers import PARTICIPANT
from sbc.driver.refused import MAX_STRANGERS, RefusedRequest, RefusedRequests, TurnedAway
from sbc.sip.flow import Flow
from sbc.sip.message import Request
from sbc.sip.parser import parse_message_untrusted
from tests.driver.test_refusals import CONFIGURATION, PBX_ADDRESS, STRANGER, TRUNK, invite
from tests.kit.switchboard import Board, a_configuration, a_message

STRICT = """\
networks:
  wide-net: {bind: 203.0.113.10, listen: udp/5060, media_ports: 30000-39999}
  office-net: {trust: trusted, bind: 192.168.1.2, listen: udp/5062, media_ports: 20000-29999}
peers:
  carrier-one: {kind: trunk, network: wide-net, address: 192.0.2.10}
policies: ../tests/policy/only_options.yaml
"""
OFFICE = STRANGER._replace(
    network="office-net", local=("192.168.1.2", 5062), remote=("192.168.1.77", 5060)
)


@pytest.fixture
def board() -> Board:
    return Board(CONFIGURATION, PBX_ADDRESS)


def only(board: Board) -> RefusedRequest:
    (one,) = board.switchboard.refused
    return one


class TestOfAStranger:
    def test_a_refused_call_is_kept_with_its_explanation(self, board: Board) -> None:
        (answer,) = board.give(STRANGER, invite("100"))
        kept = only(board)
        assert kept.id == answer.message.to_tag
        assert (kept.call_id, kept.source, kept.status) == ("c-1", "198.51.100.66:40000", 403)
        assert kept.explanation["rule"] == "not registered"
        assert kept.explanation["nearest"].startswith(
            "would be allowed by rule 'registered phones may call'"
        )
        assert board.switchboard.refused.find("c-1") == [kept]
        assert board.switchboard.refused.find(kept.id) == [kept]

    def test_it_hears_that_it_was_policy_and_no_more(self, board: Board) -> None:
        (answer,) = board.give(STRANGER, invite("100"))
        headers = answer.message.headers
        assert headers.first("warning") == '399 203.0.113.10:5060 "refused by policy"'
        assert headers.first("reason") is None

    def test_there_is_no_record_of_it(self, board: Board) -> None:
        board.give(STRANGER, invite("100"))
        assert board.records.refused == []

    def test_silence_is_kept_too(self, board: Board) -> None:
        assert board.give(STRANGER, a_message("NOTIFY")) == []
        assert (only(board).status, only(board).explanation["outcome"]) == (0, "drop")

    def test_one_request_in_a_second_is_kept_of_a_source(self, board: Board) -> None:
        for number in range(5):
            board.give(STRANGER, invite("100", number))
        assert [one.call_id for one in board.switchboard.refused] == ["c-0"]
        assert board.switchboard.refused.unkept == 4
        board.now += 1.5
        board.give(STRANGER, invite("100", 9))
        assert [one.call_id for one in board.switchboard.refused] == ["c-0", "c-9"]


class TestOfAPeer:
    @pytest.fixture
    def strict(self) -> Board:
        return Board(a_configuration(STRICT))

    def test_it_hears_which_rule_refused_it(self, strict: Board) -> None:
        (answer,) = strict.give(TRUNK, invite("100"))
        headers = answer.message.headers
        assert headers.first("warning") == (
            "399 203.0.113.10:5060 \"refused by the rule 'no calls'\""
        )
        assert headers.first("reason") == "Q.850;cause=21"

    def test_so_does_a_stranger_on_a_trusted_network(self, strict: Board) -> None:
        (answer,) = strict.give(OFFICE, invite("100"))
        assert "no calls" in (answer.message.headers.first("warning") or "")

    def test_its_refused_call_has_a_record(self, strict: Board) -> None:
        strict.give(TRUNK, invite("100"))
        (record,) = strict.records.refused
        assert (record.peer, record.status) == ("carrier-one", 603)
        assert record.explanation["steps"][0]["where"].endswith("only_options.yaml:7")

    def test_a_call_that_is_sent_again_is_the_same_call(self, strict: Board) -> None:
        for _ in range(3):
            strict.give(TRUNK, invite("100"))
        assert only(strict).method == "INVITE"
        assert len(strict.records.refused) == 1

    def test_a_call_that_leads_nowhere_has_one_too(self, board: Board) -> None:
        board.give(TRUNK, invite("900"))
        (record,) = board.records.refused
        assert record.status == 404
        assert "from peer 'carrier-one' to '900'" in record.why
        assert record.explanation["outcome"] == "allow"

    def test_what_is_no_call_has_none(self, strict: Board) -> None:
        strict.give(TRUNK, a_message("SUBSCRIBE"))
        assert only(strict).method == "SUBSCRIBE"
        assert strict.records.refused == []


@cache
def a_request() -> Request:
    request = parse_message_untrusted(a_message("INVITE", headers=("User-Agent: " + "x" * 900,)))
    assert isinstance(request, Request)
    return request


def a_turned_away(host: str, known: bool = False, **changes: object) -> TurnedAway:
    flow = Flow("outside", "udp", ("0.0.0.0", 5060), (host, 5060))
    turned = TurnedAway(a_request(), flow, host, 403, "why", None, PARTICIPANT, known)
    return turned._replace(**changes)  # type: ignore[arg-type]  # names are the fields'


def test_a_flood_from_many_sources_costs_a_ration_and_hides_nobody_we_know() -> None:
    refused = RefusedRequests(lambda: 1.7e9, lambda _: None)
    refused.turned_away(a_turned_away("192.0.2.10", known=True), 0.0)
    for number in range(20_000):
        host = f"198.{number >> 8 & 255}.{number & 255}.1"
        refused.turned_away(a_turned_away(host), number / 200)
    assert len(list(refused)) == MAX_STRANGERS + 1
    assert [one.id for one in refused if one.id == "192.0.2.10"] == ["192.0.2.10"]
    assert refused.unkept > 17_000


def test_no_text_of_a_stranger_is_kept_at_any_length() -> None:
    refused = RefusedRequests(lambda: 1.7e9, lambda _: None)
    refused.turned_away(a_turned_away("192.0.2.10"), 0.0)
    (kept,) = refused
    assert len(kept.user_agent) == 256


def test_a_challenge_is_a_question_and_not_kept() -> None:
    refused = RefusedRequests(lambda: 1.7e9, lambda _: None)
    refused.turned_away(a_turned_away("192.0.2.10", status=401, why=""), 0.0)
    refused.turned_away(a_turned_away("192.0.2.11", status=401, why="the password is wrong"), 0.0)
    assert [one.why for one in refused] == ["the password is wrong"]
