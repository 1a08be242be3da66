"""Who gets in under the shipped configuration and policies, and what the others are told."""

import pytest

from tests.kit.switchboard import (
    OFFER,
    PBX_FLOW,
    PHONE_FLOW,
    Board,
    a_message,
    register,
    titles,
)

STRANGER = PHONE_FLOW._replace(remote=("192.0.2.66", 5060))
NEIGHBOUR = PHONE_FLOW._replace(remote=("198.51.100.7", 40001))
LAN = PBX_FLOW._replace(remote=("192.168.1.99", 5060))


@pytest.fixture
def board() -> Board:
    return Board()


class TestStrangersOutside:
    def test_a_call_is_refused_once_and_leaves_nothing(self, board):
        (answer,) = board.give(STRANGER, a_message("INVITE", body=OFFER))
        assert answer.title == "403 INVITE"
        assert answer.message.reason == "Register first"
        assert board.leftovers() == {}
        assert board.wait(100) == []

    def test_a_retransmission_gets_the_same_answer_with_the_same_tag(self, board):
        invite = a_message("INVITE", body=OFFER)
        first = board.give(STRANGER, invite)
        board.now += 1.0
        assert board.give(STRANGER, invite) == first
        board.now += 1.0
        other = board.give(STRANGER, a_message("INVITE", branch="z9hG4bK-2", body=OFFER))
        assert (titles(other), other != first) == (["403 INVITE"], True)

    def test_the_ack_of_that_answer_is_nothing(self, board):
        (answer,) = board.give(STRANGER, a_message("INVITE", body=OFFER))
        assert board.give(STRANGER, a_message("ACK", to_tag=answer.message.to_tag)) == []
        assert board.leftovers() == {}

    @pytest.mark.parametrize("agent", ["friendly-scanner", "VaxSIPUserAgent sipvicious", "pplsip"])
    def test_a_scanner_hears_nothing(self, board, agent):
        for method in ("INVITE", "OPTIONS", "REGISTER"):
            sent = board.give(STRANGER, a_message(method, headers=(f"User-Agent: {agent}",)))
            assert sent == []
        assert board.leftovers() == {}
        # After the first its flow is muted.
        tally = board.switchboard.tally
        assert (tally.dropped_policy, tally.dropped_rate) == (1, 2)

    @pytest.mark.parametrize("method", ["PUBLISH", "REFER", "NOTIFY", "INFO", "BYE", "FOO"])
    def test_other_requests_hear_nothing(self, board, method):
        assert board.give(STRANGER, a_message(method)) == []
        assert board.leftovers() == {}

    def test_options_are_answered_here(self, board):
        (answer,) = board.give(STRANGER, a_message("OPTIONS"))
        assert answer.title == "200 OPTIONS"
        assert "INVITE" in answer.message.headers.first("allow")
        board.wait(40)
        assert board.leftovers() == {}

    def test_a_register_goes_to_the_pbx(self, board):
        (relayed,) = board.give(STRANGER, a_message("REGISTER"))
        assert relayed.flow == PBX_FLOW

    def test_a_request_in_a_dialog_that_is_not_is_told_so_at_once(self, board):
        for method in ("BYE", "INVITE", "INFO", "FOO"):
            (answer,) = board.give(STRANGER, a_message(method, to_tag="guess"))
            assert answer.title == f"481 {method}"
            board.now += 1.0
        assert board.leftovers() == {}

    def test_a_cancel_of_nothing_is_told_so(self, board):
        (answer,) = board.give(STRANGER, a_message("CANCEL"))
        assert answer.title == "481 CANCEL"
        assert board.leftovers() == {}


class TestPhones:
    def test_a_registered_phone_may_call(self, board):
        register(board)
        assert titles(board.give(PHONE_FLOW, a_message("INVITE", body=OFFER))) == [
            "100 INVITE",
            "INVITE",
        ]

    @pytest.mark.parametrize("flow", [NEIGHBOUR, STRANGER])
    def test_nobody_else_may_call_in_its_name(self, board, flow):
        register(board)
        (answer,) = board.give(flow, a_message("INVITE", body=OFFER))
        assert answer.title == "403 INVITE"

    def test_not_from_another_socket_of_ours_either(self, board):
        register(board)
        tcp = PHONE_FLOW._replace(transport="tcp", connection=1)
        assert board.give(tcp, a_message("INVITE", body=OFFER))[0].title == "403 INVITE"

    def test_a_phone_that_was_refused_registration_may_not_call(self, board):
        (relayed,) = board.give(PHONE_FLOW, a_message("REGISTER"))
        board.reply(relayed, 401)
        assert board.give(PHONE_FLOW, a_message("INVITE", body=OFFER))[0].title == "403 INVITE"

    def test_a_phone_whose_registration_expired_may_not_call(self, board):
        register(board)
        board.wait(3601)
        assert board.give(PHONE_FLOW, a_message("INVITE", body=OFFER))[0].title == "403 INVITE"

    def test_a_token_means_nothing_outside(self, board):
        register(board)
        token = board.switchboard.registrar.bindings[0].token
        register(board, "bob", NEIGHBOUR)
        sent = board.give(NEIGHBOUR, a_message("INVITE", uri=f"sip:{token}@203.0.113.10"))
        assert [one.flow for one in sent] == [NEIGHBOUR, PBX_FLOW]

    def test_a_phone_that_calls_itself_is_the_pbxs_business(self, board):
        register(board)
        sent = board.give(PHONE_FLOW, a_message("INVITE", uri="sip:alice@203.0.113.10"))
        assert [one.flow for one in sent] == [PHONE_FLOW, PBX_FLOW]


class TestTrustedNetwork:
    def test_a_machine_that_is_no_peer_is_refused(self, board):
        (answer,) = board.give(LAN, a_message("INVITE", body=OFFER))
        assert (answer.title, answer.message.reason) == ("403 INVITE", "Not a configured peer")
        assert board.leftovers() == {}

    def test_the_pbx_reaches_a_phone_by_its_token_through_its_flow(self, board):
        register(board)
        token = board.switchboard.registrar.bindings[0].token
        sent = board.give(PBX_FLOW, a_message("INVITE", uri=f"sip:{token}@192.168.1.2:5062"))
        assert [one.flow for one in sent] == [PBX_FLOW, PHONE_FLOW]
        assert sent[1].message.uri_text == "sip:alice@10.0.0.7:5060"

    def test_and_by_the_number_that_registered(self, board):
        register(board)
        sent = board.give(PBX_FLOW, a_message("INVITE", uri="sip:alice@192.168.1.2:5062"))
        assert [one.flow for one in sent] == [PBX_FLOW, PHONE_FLOW]

    def test_a_number_that_nobody_registered_is_unavailable_and_says_why(self, board):
        (answer,) = board.give(PBX_FLOW, a_message("INVITE", uri="sip:alice@192.168.1.2:5062"))
        assert answer.title == "480 INVITE"
        assert "cannot be reached now" in answer.message.headers.first("warning")
        (line,) = [fields for _, event, fields in board.log.lines if event == "request refused"]
        assert "alice has no reachable registration" in str(line["why"])

    def test_a_phone_that_lost_its_connection_is_unavailable(self, board):
        flow = PHONE_FLOW._replace(transport="tcp", connection=9)
        register(board, flow=flow)
        token = board.switchboard.registrar.bindings[0].token
        board.switchboard.flow_closed(flow, "closed by the peer", board.now)
        ask = f"sip:{token}@192.168.1.2:5062"
        assert board.give(PBX_FLOW, a_message("INVITE", uri=ask))[0].title == "480 INVITE"
        options = a_message("OPTIONS", uri=ask, branch="z9hG4bK-o")
        assert board.give(PBX_FLOW, options)[0].title == "480 OPTIONS"


def forged(number: int) -> bytes:
    """A call from an invented person, and every third a request in an invented dialog."""
    return a_message(
        "BYE" if number % 3 == 2 else "INVITE",
        branch=f"z9hG4bK-{number}",
        call_id=f"c{number}",
        to_tag="made-up" if number % 3 else None,
    )


class TestFloods:
    def test_who_forges_sixty_requests_at_once_has_one_answer_sent_to_their_victim(self, board):
        sent = [one for n in range(60) for one in board.give(STRANGER, forged(n))]
        assert titles(sent) == ["403 INVITE"]
        assert board.switchboard.tally.unanswered == 19
        assert board.log.events("info") == ["stranger refused"]
        board.now += 1.0
        assert titles(board.give(STRANGER, forged(61))) == ["481 INVITE"]
        assert board.leftovers() == {}

    @pytest.mark.parametrize("flow", [PHONE_FLOW, PBX_FLOW, LAN])
    def test_whom_we_know_is_told_every_time(self, board, flow):
        register(board)
        sent = [board.give(flow, forged(n)) for n in range(1, 60) if n % 3]
        assert [titles(answer)[0][:3] for answer in sent] == ["481"] * 40

    def test_a_source_above_its_rate_is_dropped_unread(self, board):
        sent = [
            board.give(STRANGER, a_message("OPTIONS", branch=f"z9hG4bK-{n}")) for n in range(100)
        ]
        assert 15 < sum(1 for one in sent if one) < 30
        assert board.switchboard.tally.dropped_rate == sum(1 for one in sent if not one)

    def test_a_phones_neighbour_behind_the_same_nat_keeps_its_budget_when_the_phone_leaves(
        self, board
    ):
        register(board)
        register(board, "bob", NEIGHBOUR)
        board.wait(2)
        (relayed,) = board.give(
            PHONE_FLOW, a_message("REGISTER", contact="*", cseq=2, headers=("Expires: 0",),
                                  call_id="bye", uri="sip:203.0.113.10",
                                  to="sip:alice@203.0.113.10")
        )  # fmt: skip
        board.reply(relayed, 200)
        assert [b.user for b in board.switchboard.registrar.bindings] == ["bob"]
        sent = [
            board.give(NEIGHBOUR, a_message("OPTIONS", branch=f"z9hG4bK-{n}")) for n in range(250)
        ]
        assert all(sent)
