"""Requests outside any dialog that policy let in: what is served, what is not and why."""

import pytest

from sbc.policy.topology import NIL_UUID
from sbc.sip.transaction.layer import RETRY_AFTER_S
from tests.kit.switchboard import (
    ANSWER,
    OFFER,
    PBX_FLOW,
    PHONE_FLOW,
    Board,
    Sent,
    a_configuration,
    a_message,
    a_register,
    register,
    titles,
)

NEIGHBOUR = PHONE_FLOW._replace(remote=("198.51.100.7", 40001))
TRUNKS = """\
networks:
  outside: {{bind: 203.0.113.10, listen: udp/5060, media_ports: 30000-39999}}
  inside: {{trust: trusted, bind: 192.168.1.2, listen: udp/5062, media_ports: 20000-29999}}
peers:
  pbx: {{kind: pbx, network: inside, address: 192.168.1.5, limits: {{max_calls: {pbx}}}}}
  first: {{kind: trunk, network: outside, address: 192.0.2.10, limits: {{max_calls: {first}}}}}
  second: {{kind: trunk, network: outside, address: "192.0.2.20:5080", limits: {{max_calls: 1}}}}
routes:
  - {{from: pbx, to: [first, second]}}
policies: ../policies/edge-default.yaml
"""
FROM_PBX = PBX_FLOW._replace(local=("192.168.1.2", 5062))


@pytest.fixture
def board() -> Board:
    board = Board()
    register(board)
    return board


def trunks(first: int = 1, pbx: int = 9) -> Board:
    return Board(a_configuration(TRUNKS.format(first=first, pbx=pbx)))


def call(board: Board, number: int = 1, method: str = "INVITE", **rest: object) -> list[Sent]:
    data = a_message(
        method,
        uri="sip:0800@192.168.1.2:5062",
        branch=f"z9hG4bK-{number}",
        call_id=f"c-{number}",
        sent_by="192.168.1.5",
        body=OFFER,
        **rest,
    )
    return board.give(FROM_PBX, data)


def refusals(board: Board) -> list[dict[str, object]]:
    """The fields of every line that told of a refusal."""
    return [fields for _, event, fields in board.log.lines if event == "request refused"]


class TestInspection:
    @pytest.mark.parametrize(
        ("method", "status"),
        [
            ("SUBSCRIBE", 405), ("MESSAGE", 405), ("PUBLISH", 405), ("REFER", 405),
            ("FOO", 501), ("invite", 501),
            ("BYE", 481), ("UPDATE", 481), ("INFO", 481), ("PRACK", 481), ("NOTIFY", 481),
        ],
    )  # fmt: skip
    def test_methods_that_mean_nothing_here_are_refused_each_in_its_way(
        self, board, method, status
    ):
        (answer,) = board.give(PHONE_FLOW, a_message(method))
        assert answer.message.status == status
        allow = answer.message.headers.first("allow")
        assert allow == (None if status == 481 else "INVITE, ACK, BYE, CANCEL, OPTIONS, REGISTER")

    @pytest.mark.parametrize(
        "uri", ["urn:service:counseling", "urn:service:test.sos", "urn:x", "http://x/"]
    )
    def test_request_uris_that_lead_nowhere_from_here(self, board, uri):
        (answer,) = board.give(PHONE_FLOW, a_message("INVITE", uri=uri, to="sip:600@x"))
        assert answer.title == "416 INVITE"

    def test_an_emergency_service_is_only_called(self, board):
        (answer,) = board.give(PHONE_FLOW, a_message("OPTIONS", uri="urn:service:sos"))
        assert answer.title == "416 OPTIONS"

    def test_a_test_of_the_way_to_help_that_has_no_number_says_where_one_is_given(self, board):
        board.give(PHONE_FLOW, a_message("INVITE", uri="urn:service:test.sos", to="sip:600@x"))
        (told,) = refusals(board)
        assert told["why"] == "`emergency: {services: ...}` of policies has no number for it"

    def test_a_telephone_number_is_called_at_the_pbx(self, board):
        sent = board.give(PHONE_FLOW, a_message("INVITE", uri="tel:+4930", to="tel:+4930"))
        assert sent[-1].message.uri_text == "sip:+4930@192.168.1.5;user=phone"

    @pytest.mark.parametrize("method", ["INVITE", "REGISTER"])
    def test_no_hop_left(self, board, method):
        (answer,) = board.give(PHONE_FLOW, a_message(method, max_forwards="0"))
        assert answer.title == f"483 {method}"

    def test_options_need_no_hop(self, board):
        (answer,) = board.give(PHONE_FLOW, a_message("OPTIONS", max_forwards="0"))
        assert answer.title == "200 OPTIONS"

    @pytest.mark.parametrize("method", ["OPTIONS", "REGISTER", "INVITE"])
    def test_what_is_required_and_not_there_is_named(self, board, method):
        sent = board.give(PHONE_FLOW, a_message(method, headers=("Require: x-new",)))
        assert sent[-1].title == f"420 {method}"
        assert sent[-1].message.headers.first("unsupported") == "x-new"

    def test_a_malformed_header_is_a_400_that_says_which(self, board):
        (answer,) = board.give(PHONE_FLOW, a_message("INVITE", max_forwards="300"))
        assert answer.title == "400 INVITE"
        assert "max-forwards" in answer.message.headers.first("warning")


class TestTwinsAndLoops:
    def test_an_invite_that_comes_another_way_too_is_merged(self, board):
        board.give(PHONE_FLOW, a_message("INVITE", body=OFFER))
        (answer,) = board.give(PHONE_FLOW, a_message("INVITE", branch="z9hG4bK-b", body=OFFER))
        assert answer.title == "482 INVITE"
        assert len(board.switchboard.calls) == 1

    def test_the_next_request_with_a_higher_cseq_is_another(self, board):
        board.give(PHONE_FLOW, a_message("INVITE", body=OFFER))
        sent = board.give(PHONE_FLOW, a_message("INVITE", branch="z9hG4bK-b", cseq=2, body=OFFER))
        assert titles(sent) == ["100 INVITE", "INVITE"]

    def test_once_it_ended_it_may_come_again(self, board):
        invite = board.give(PHONE_FLOW, a_message("INVITE", body=OFFER))[-1]
        board.reply(invite, 486)
        sent = board.give(PHONE_FLOW, a_message("INVITE", branch="z9hG4bK-b", body=OFFER))
        assert titles(sent) == ["100 INVITE", "INVITE"]

    def test_a_call_that_comes_back_to_us_is_a_loop(self):
        board = trunks()
        sent = call(board)[-1]
        mark = sent.message.via.branch
        vias = (f"Via: SIP/2.0/UDP 203.0.113.10;branch={mark}",)
        (answer,) = call(board, 2, headers=vias)
        assert answer.title == "482 INVITE"


class TestOptions:
    def test_the_phones_state_is_the_answer_to_the_pbxs_question(self, board):
        binding = board.switchboard.registrar.bindings[0]
        ask = {"uri": f"sip:{binding.token}@192.168.1.2:5062", "sent_by": "192.168.1.5"}
        assert titles(board.give(PBX_FLOW, a_message("OPTIONS", **ask))) == ["200 OPTIONS"]
        binding.reachable = False
        again = a_message("OPTIONS", branch="z9hG4bK-2", **ask)
        (answer,) = board.give(PBX_FLOW, again)
        assert answer.title == "480 OPTIONS"

    def test_a_draining_border_says_so(self, board):
        board.switchboard.reception.draining = True
        (answer,) = board.give(PHONE_FLOW, a_message("OPTIONS"))
        assert answer.title == "503 OPTIONS"


class TestDraining:
    def test_new_calls_are_sent_elsewhere_and_registrations_go_on(self, board):
        board.switchboard.reception.draining = True
        (answer,) = board.give(PHONE_FLOW, a_message("INVITE", body=OFFER))
        assert answer.title == "503 INVITE"
        assert answer.message.headers.first("retry-after") == str(RETRY_AFTER_S)
        assert titles(board.give(PHONE_FLOW, a_register(cseq=2))) == ["REGISTER"]


class TestCaps:
    def test_the_callers_cap(self):
        board = trunks(pbx=1, first=9)
        call(board)
        (answer,) = call(board, 2)
        assert answer.title == "503 INVITE"
        assert answer.message.headers.first("retry-after") == str(RETRY_AFTER_S)
        (line,) = refusals(board)
        assert "max_calls of peer pbx" in str(line["why"])

    def test_a_full_trunk_overflows_into_the_next(self):
        board = trunks()
        assert call(board, 1)[-1].flow.remote == ("192.0.2.10", 5060)
        assert call(board, 2)[-1].flow.remote == ("192.0.2.20", 5080)
        assert titles(call(board, 3)) == ["503 INVITE"]

    def test_a_call_that_ends_makes_room(self):
        board = trunks()
        board.reply(call(board, 1)[-1], 486)
        assert call(board, 2)[-1].flow.remote == ("192.0.2.10", 5060)

    def test_a_call_that_moves_to_the_next_trunk_counts_there(self):
        board = trunks(first=9)
        sent = board.reply(call(board, 1)[-1], 503)
        assert sent[-1].flow.remote == ("192.0.2.20", 5080)
        again = board.reply(call(board, 2)[-1], 503)
        assert [one.title for one in again] == ["ACK", "503 INVITE"]
        assert again[-1].flow == FROM_PBX

    def test_no_refusal_leaves_a_count_behind(self):
        board = trunks(pbx=1)
        for number in range(5):
            bad = call(board, number, contact="<sip:pbx@192.168.1.5>", from_user="%zz")
            assert bad[-1].title[0] == "4"
        assert call(board, 9)[-1].title == "INVITE"

    def test_answered_calls_count_until_they_end(self):
        board = trunks(first=1, pbx=1)
        invite = call(board, 1)[-1]
        answered = board.reply(
            invite, 200, headers=("Contact: <sip:t@192.0.2.10>",),
            body=ANSWER.replace(b"192.168.1.5", b"192.0.2.10"),
        )  # fmt: skip
        assert titles(call(board, 2)) == ["503 INVITE"]
        tag = answered[-1].message.to_tag
        call(board, 1, "ACK", to_tag=tag)
        ended = board.give(
            FROM_PBX,
            a_message("BYE", uri="sip:0800@192.168.1.2", branch="z9hG4bK-bye", call_id="c-1",
                      cseq=2, to_tag=tag, sent_by="192.168.1.5"),
        )  # fmt: skip
        board.reply(next(one for one in ended if one.title == "BYE"), 200)
        assert call(board, 3)[-1].title == "INVITE"


class TestSeveralLines:
    def test_the_line_that_calls_is_told_by_its_from(self, board):
        register(board, "bob")
        for user in ("alice", "bob"):
            sent = board.give(
                PHONE_FLOW,
                a_message("INVITE", from_user=user, call_id=user, branch=f"z9hG4bK-{user}",
                          body=OFFER),
            )  # fmt: skip
            assert sent[-1].message.from_.uri.user == user

    def test_a_user_with_two_phones_is_tried_at_the_newest_first(self, board):
        (relayed,) = board.give(
            NEIGHBOUR,
            a_register(contact="<sip:alice@10.0.0.8>", call_id="two", branch="z9hG4bK-two"),
        )
        board.reply(relayed, 200)
        invite = board.give(PBX_FLOW, a_message("INVITE", uri="sip:alice@192.168.1.2:5062"))[-1]
        assert invite.flow == NEIGHBOUR
        again = board.reply(invite, 503)
        assert (again[-1].title, again[-1].flow) == ("INVITE", PHONE_FLOW)


def test_the_rule_that_let_a_call_in_is_in_its_journal(board):
    board.give(PHONE_FLOW, a_message("INVITE", body=OFFER))
    (one,) = board.switchboard.calls
    texts = [entry.text for entry in one.journal.entries if entry.kind == "decision"]
    assert any("registered phones may call" in text for text in texts)
    assert any("phones to the PBX" in text for text in texts)


class TestLog:
    def test_every_refusal_is_one_line_that_says_whose_and_why(self, board):
        board.give(PHONE_FLOW, a_message("INVITE", max_forwards="0"))
        assert refusals(board) == [
            {
                "method": "INVITE",
                "call_id": "call-1",
                "caller": "alice",
                "callee": "600",
                "source": PHONE_FLOW.remote,
                "network": "outside",
                "status": 483,
                "why": "Max-Forwards is used up",
            }
        ]
        assert board.switchboard.tally.refused == 1

    def test_of_a_phone_that_may_not_register_too(self, board):
        contacts = ", ".join(f"<sip:alice@10.0.0.{n}>" for n in range(11))
        (answer,) = board.give(PHONE_FLOW, a_register(cseq=2, contact=contacts))
        assert answer.title == "403 REGISTER"
        (line,) = refusals(board)
        assert (line["status"], line["callee"]) == (403, "alice")
        assert "more than 10 contacts" in str(line["why"])

    def test_of_a_registrar_that_cannot_be_had_it_says_which(self, board):
        (relayed,) = board.give(PHONE_FLOW, a_register(cseq=2))
        board.switchboard.flow_failed(relayed.flow, "refused", board.now)
        assert titles(board.wire.take()) == ["503 REGISTER"]
        (line,) = refusals(board)
        assert "peer 'pbx' at 192.168.1.5" in str(line["why"])

    def test_what_cannot_be_read_is_left_empty(self, board):
        uri = "sip:600@203.0.113.10"
        bad = a_message("INVITE", uri=uri, to=uri).replace(
            b"From: <sip:alice@", b"From: <sip:alice@["
        )
        board.give(PHONE_FLOW, bad)
        bad = a_message("FOO", branch="z9hG4bK-2").replace(b"FOO sip:600@", b"FOO sip:600@[::z]")
        board.give(PHONE_FLOW, bad)
        assert board.switchboard.tally.faults == 0
        assert all(line["caller"] in ("", "alice") for line in refusals(board))

    def test_options_that_are_answered_are_no_refusal(self, board):
        board.give(PHONE_FLOW, a_message("OPTIONS"))
        assert refusals(board) == []
        assert board.switchboard.tally.refused == 0


class TestSessionId:
    UUID = "0123456789abcdef" * 2

    @pytest.mark.parametrize("method", ["FOO", "OPTIONS", "INVITE"])
    def test_our_own_answers_carry_the_senders(self, board, method):
        session = (f"Session-ID: {self.UUID};remote={NIL_UUID}",)
        board.switchboard.reception.draining = method == "INVITE"
        (answer,) = board.give(PHONE_FLOW, a_message(method, headers=session))
        assert answer.message.headers.first("session-id") == f"{NIL_UUID};remote={self.UUID}"

    def test_a_caller_without_one_gets_a_version_4_uuid(self, board):
        invite = board.give(PHONE_FLOW, a_message("INVITE", body=OFFER))[-1]
        uuid = invite.message.headers.first("session-id").partition(";")[0]
        assert (uuid[12], len(uuid)) == ("4", 32)
        assert uuid[16] in "89ab"
