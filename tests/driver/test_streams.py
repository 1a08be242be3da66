"""What the switchboard does for streams: those of calls live on, and their ends are told."""

from tests.kit.switchboard import OFFER, PBX_FLOW, PHONE_FLOW, Board, a_message, register

STREAM = PHONE_FLOW._replace(transport="tcp", connection=3)


def test_the_stream_of_a_call_lives_on_before_anything_rings():
    board = Board()
    register(board, flow=STREAM)
    board.give(STREAM, a_message("INVITE", transport="TCP", body=OFFER))
    assert board.wire.proven == [STREAM]


def test_a_stream_whose_request_was_refused_proves_nothing():
    board = Board()
    board.give(STREAM, a_message("INVITE", transport="TCP", from_user="mallory", body=OFFER))
    board.give(STREAM, a_message("BYE", transport="TCP", to_tag="none", call_id="none"))
    assert board.wire.proven == []


def test_why_a_flow_failed_is_in_the_story_of_the_call_and_told_to_neither_leg():
    board = Board()
    register(board)
    invite = board.give(PHONE_FLOW, a_message("INVITE", body=OFFER))[-1]
    (call,) = board.switchboard.calls
    why = "the certificate is refused: the server's certificate is for other.example.com"
    board.switchboard.flow_failed(invite.flow, why, board.now)
    told = board.wire.take()
    assert invite.flow == PBX_FLOW
    assert any(why in entry.text for entry in call.journal.entries)
    assert not any(b"other.example.com" in sent.data for sent in told)
    assert call.ending is not None
    assert why in call.ending.text
