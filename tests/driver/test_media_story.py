"""What the relay saw of a call stands in the call's story."""

from media.events import KeyErrors, Latched, RelatchRefused
from media.types import Component, DropReason, Endpoint, LatchRank, Refusal, SideName
from sbc.b2bua.causes import NORMAL_CLEARING, Ending
from sbc.driver.media_story import drops_story, media_story
from sbc.state.cdr import EndedBy
from tests.kit.switchboard import ANSWER, OFFER, PHONE_FLOW, Board, a_message, register

STRANGER = Endpoint("203.0.113.66", 4666)
STREAM = ("call", 0)


def test_a_refused_source_is_named_with_the_reason() -> None:
    event = RelatchRefused(STREAM, SideName.A, STRANGER, Refusal.NOT_ANNOUNCED, Component.RTCP)
    assert media_story(event) == "RTCP from 203.0.113.66:4666 refused: not_announced"


def test_a_learned_source_is_named_with_its_proof_and_the_one_before() -> None:
    before = Endpoint("2001:db8::1", 4000)
    event = Latched(STREAM, SideName.A, STRANGER, LatchRank.SDP_HOST, before)
    assert media_story(event) == (
        "RTP latched to 203.0.113.66:4666 (sdp_host), before [2001:db8::1]:4000"
    )


def test_wrong_keys_are_counted() -> None:
    event = KeyErrors(STREAM, SideName.A, 100)
    assert media_story(event) == "100 packets failed SRTP authentication"


def test_drops_are_told_by_reason_and_the_most_frequent_first() -> None:
    drops = {DropReason.NOT_RTP: 3, DropReason.NO_DESTINATION: 3, DropReason.SRTP_REPLAY: 7}
    assert drops_story(drops) == "not relayed: 7 srtp_replay, 3 not_rtp, 3 no_destination"


def test_what_was_dropped_stands_at_the_end_of_the_story_and_in_the_total() -> None:
    board = Board()
    register(board)
    board.relay.drops = {DropReason.UNKNOWN_SOURCE: 12}
    invite = board.give(PHONE_FLOW, a_message("INVITE", body=OFFER))[-1]
    contact = ("Contact: <sip:600@192.168.1.5>",)
    board.reply(invite, 200, headers=contact, body=ANSWER)
    (call,) = board.switchboard.calls
    board.switchboard.hang_up_all(Ending(503, NORMAL_CLEARING, EndedBy.OPERATOR, "x"), board.now)
    told = [(entry.side, entry.text) for entry in call.journal.entries if entry.kind == "media"]
    assert told == [("a", "not relayed: 12 unknown_source")]
    assert board.switchboard.outbox.dropped == {DropReason.UNKNOWN_SOURCE: 12}
