"""Offers and answers of one leg, in every order they can come."""

import json
from collections.abc import Callable

import pytest

from sbc.sdp.description import MediaDescription, SessionDescription
from sbc.sdp.errors import OfferAnswerError
from sbc.sdp.offer_answer import (
    TRANSITIONS,
    Negotiation,
    NegotiationEvent,
    NegotiationState,
    Refusal,
)
from tests.sdp.builders import a_description, an_audio, flows, holds

S = NegotiationState
E = NegotiationEvent


def ours(port: int = 4000, version: int = 1) -> SessionDescription:
    return a_description(an_audio(port), version=version, session_id="1")


def theirs(port: int = 5000, version: int = 1) -> SessionDescription:
    return a_description(an_audio(port), version=version, host="192.0.2.9", session_id="2")


def stamped(leg: Negotiation, description: SessionDescription) -> SessionDescription:
    description.origin = leg.next_origin(description)
    return description


def in_a_call() -> Negotiation:
    leg = Negotiation()
    leg.offer_sent(ours())
    leg.answer_received(theirs())
    return leg


def in_state(state: NegotiationState) -> Negotiation:
    """A leg that has an agreement and is in a state."""
    leg = in_a_call()
    if state in {S.OFFER_SENT, S.EARLY_ANSWER_RECEIVED}:
        leg.offer_sent(ours(4002, 2))
    if state in {S.OFFER_RECEIVED, S.EARLY_ANSWER_SENT}:
        leg.offer_received(theirs(5002, 2))
    if state is S.EARLY_ANSWER_RECEIVED:
        leg.answer_received(theirs(5004, 2), early=True)
    if state is S.EARLY_ANSWER_SENT:
        leg.answer_sent(stamped(leg, ours(4004)), early=True)
    assert leg.state is state
    return leg


STEPS: dict[NegotiationEvent, Callable[[Negotiation], object]] = {
    E.SEND_OFFER: lambda leg: leg.offer_sent(stamped(leg, ours(4010))),
    E.RECEIVE_OFFER: lambda leg: leg.offer_received(theirs(5010, 7)),
    E.SEND_EARLY_ANSWER: lambda leg: leg.answer_sent(stamped(leg, ours(4012)), early=True),
    E.RECEIVE_EARLY_ANSWER: lambda leg: leg.answer_received(theirs(5012, 7), early=True),
    E.SEND_ANSWER: lambda leg: leg.answer_sent(stamped(leg, ours(4014))),
    E.RECEIVE_ANSWER: lambda leg: leg.answer_received(theirs(5014, 7)),
    E.END_WITHOUT_ANSWER: lambda leg: leg.ended_without_answer(),
    E.ROLL_BACK: lambda leg: leg.rollback(),
}


# The table.


def test_the_table_is_complete() -> None:
    assert set(TRANSITIONS) == {(state, event) for state in S for event in E}


def test_every_state_is_reached_and_left() -> None:
    moves = {(s, to) for (s, _), to in TRANSITIONS.items() if not isinstance(to, Refusal)}
    for state in S:
        assert any(to is state and s is not state for s, to in moves), f"{state} is never reached"
        assert any(s is state and to is not state for s, to in moves), f"{state} is never left"
        assert TRANSITIONS[state, E.ROLL_BACK] is S.STABLE


@pytest.mark.parametrize("event", list(E))
@pytest.mark.parametrize("state", list(S))
def test_each_step_does_what_the_table_says_and_a_refusal_changes_nothing(
    state: NegotiationState, event: NegotiationEvent
) -> None:
    leg = in_state(state)
    before = leg.to_data()
    expected = TRANSITIONS[state, event]
    if isinstance(expected, Refusal):
        with pytest.raises(OfferAnswerError) as caught:
            STEPS[event](leg)
        assert (caught.value.status, caught.value.retry_after) == (
            expected.status,
            expected.retry_after,
        )
        assert leg.to_data() == before
    else:
        STEPS[event](leg)
        assert leg.state is expected
    assert leg.fault() == ""


# Who may offer.


@pytest.mark.parametrize("state", [S.OFFER_SENT, S.EARLY_ANSWER_RECEIVED])
def test_glare_is_refused_with_491(state: NegotiationState) -> None:
    with pytest.raises(OfferAnswerError) as caught:
        in_state(state).offer_received(theirs(5010, 3))
    assert (caught.value.status, caught.value.retry_after) == (491, False)
    assert str(caught.value) == "491 an offer of ours is pending"


@pytest.mark.parametrize("state", [S.OFFER_RECEIVED, S.EARLY_ANSWER_SENT])
def test_a_second_offer_before_the_answer_is_refused_with_500_and_retry_after(
    state: NegotiationState,
) -> None:
    with pytest.raises(OfferAnswerError) as caught:
        in_state(state).offer_received(theirs(5010, 3))
    assert (caught.value.status, caught.value.retry_after) == (500, True)


def test_after_glare_the_own_offer_goes_on() -> None:
    leg = in_state(S.OFFER_SENT)
    with pytest.raises(OfferAnswerError):
        leg.offer_received(theirs(5010, 3))
    assert leg.answer_received(theirs(5020, 3))
    assert leg.remote == theirs(5020, 3)


# The usual exchanges.


def test_an_offer_in_the_invite_is_answered_in_the_2xx() -> None:
    caller, callee = Negotiation(), Negotiation()
    offer, answer = ours(), theirs()
    caller.offer_sent(offer)
    assert caller.local is None
    assert callee.offer_received(offer)
    callee.answer_sent(answer)
    assert caller.answer_received(answer)
    assert (caller.local, caller.remote) == (offer, answer)
    assert (callee.local, callee.remote) == (answer, offer)


def test_a_late_offer_in_the_2xx_is_answered_in_the_ack() -> None:
    caller, callee = Negotiation(), Negotiation()
    callee.offer_sent(ours())
    assert caller.offer_received(ours())
    caller.answer_sent(theirs())
    assert callee.answer_received(theirs())
    assert callee.state is caller.state is S.STABLE


def test_a_late_offer_without_answer_in_the_ack_ends_the_call() -> None:
    leg = Negotiation()
    leg.offer_sent(ours())
    with pytest.raises(OfferAnswerError) as caught:
        leg.ended_without_answer()
    assert caught.value.status == 488


def test_either_side_may_offer_again() -> None:
    leg = in_a_call()
    leg.offer_received(theirs(5002, 2))
    leg.answer_sent(stamped(leg, ours(4002)))
    leg.offer_sent(stamped(leg, ours(4004)))
    leg.answer_received(theirs(5004, 3))
    assert leg.local == ours(4004, 3)
    assert leg.remote == theirs(5004, 3)


def test_a_repeated_offer_says_nothing_new_whatever_its_version() -> None:
    leg = in_a_call()
    assert leg.offer_received(theirs(5000, 9)) is False
    leg.answer_sent(stamped(leg, ours()))
    assert leg.local == ours(4000, 1)


def test_a_changed_offer_is_new_even_with_the_old_version() -> None:
    assert in_a_call().offer_received(theirs(5002, 1)) is True


# Previews.


def test_a_preview_holds_until_the_same_answer_completes_it() -> None:
    leg = Negotiation()
    leg.offer_sent(ours())
    assert leg.answer_received(theirs(), early=True)
    assert leg.state is S.EARLY_ANSWER_RECEIVED
    assert (leg.local, leg.remote) == (ours(), theirs())
    assert leg.agreed_remote is None
    assert leg.answer_received(theirs(), early=True) is False
    assert leg.answer_received(theirs()) is False
    assert leg.state is S.STABLE
    assert leg.agreed_remote == theirs()


def test_previews_of_other_forks_replace_each_other_and_the_answer_has_the_last_word() -> None:
    leg = Negotiation()
    leg.offer_sent(ours())
    for port in (5000, 5002, 5004):
        assert leg.answer_received(theirs(port), early=True)
        assert leg.remote == theirs(port)
    assert leg.answer_received(theirs(5002))
    assert leg.agreed_remote == theirs(5002)


def test_a_2xx_without_description_after_a_preview_completes_it() -> None:
    leg = in_state(S.EARLY_ANSWER_RECEIVED)
    leg.ended_without_answer()
    assert (leg.state, leg.agreed_remote) == (S.STABLE, theirs(5004, 2))


def test_descriptions_after_a_reliable_answer_are_ignored() -> None:
    leg = in_a_call()
    assert leg.answer_received(theirs(5999, 2)) is False
    assert leg.answer_received(theirs(5999, 2), early=True) is False
    assert leg.remote == theirs()


def test_our_preview_holds_and_may_be_replaced() -> None:
    leg = Negotiation()
    leg.offer_received(theirs())
    leg.answer_sent(ours(), early=True)
    assert (leg.local, leg.remote) == (ours(), theirs())
    assert leg.agreed_local is None
    leg.answer_sent(stamped(leg, ours(4002)), early=True)
    leg.answer_sent(stamped(leg, ours(4002)))
    assert leg.agreed_local == ours(4002, 2)


def test_a_preview_that_does_not_fit_changes_nothing() -> None:
    leg = in_state(S.EARLY_ANSWER_RECEIVED)
    before = leg.to_data()
    wrong = a_description(an_audio(kind="video"))
    for early in (True, False):
        with pytest.raises(OfferAnswerError) as caught:
            leg.answer_received(wrong, early=early)
        assert caught.value.status == 488
    assert leg.to_data() == before


# Failure.


@pytest.mark.parametrize("state", list(S))
def test_a_failed_offer_leaves_what_was_agreed(state: NegotiationState) -> None:
    leg = in_state(state)
    leg.rollback()
    assert leg.state is S.STABLE
    assert (leg.local, leg.remote) == (ours(), theirs())
    leg.offer_sent(stamped(leg, ours(4020)))


def test_a_failed_first_offer_leaves_nothing_agreed() -> None:
    leg = Negotiation()
    leg.offer_sent(ours())
    leg.answer_received(theirs(), early=True)
    leg.rollback()
    assert leg.local is leg.remote is None
    # The same INVITE again, now with credentials: nothing changed, nor has the version.
    assert leg.next_origin(ours()) == ours().origin
    leg.offer_sent(ours())


# m-lines.


def test_lines_cannot_be_taken_away() -> None:
    leg = Negotiation()
    leg.offer_sent(a_description(an_audio(), an_audio(4002), session_id="1"))
    leg.answer_received(a_description(an_audio(5000), an_audio(0), session_id="2"))
    with pytest.raises(OfferAnswerError) as peer:
        leg.offer_received(theirs())
    with pytest.raises(OfferAnswerError) as us:
        leg.offer_sent(ours(4000, 2))
    assert (peer.value.status, us.value.status) == (488, 500)
    assert leg.state is S.STABLE


def test_the_place_of_a_refused_stream_is_used_again() -> None:
    leg = Negotiation()
    leg.offer_sent(a_description(an_audio(), an_audio(4002, kind="video"), session_id="1"))
    leg.answer_received(a_description(an_audio(5000), an_audio(0, kind="video"), session_id="2"))
    fax = MediaDescription("image", 5002, "udptl", ["t38"])
    leg.offer_received(a_description(an_audio(5000), fax, session_id="2", version=2))
    answer = a_description(an_audio(), MediaDescription("image", 4002, "udptl", ["t38"]))
    answer.origin = leg.next_origin(answer)
    leg.answer_sent(answer)
    assert flows(leg, 1).sends


def test_audio_turns_to_fax_and_back() -> None:
    leg = in_a_call()
    fax = MediaDescription("image", 5002, "udptl", ["t38"])
    leg.offer_received(a_description(fax, session_id="2", version=2))
    leg.answer_sent(stamped(leg, a_description(MediaDescription("image", 4002, "udptl", ["t38"]))))
    leg.offer_received(theirs(5000, 3))
    leg.answer_sent(stamped(leg, ours()))
    assert flows(leg, 0).sends


# Versions.


def test_the_version_grows_by_one_when_something_changes_and_else_stays() -> None:
    leg = in_a_call()
    assert leg.next_origin(ours()).version == "1"
    assert leg.next_origin(ours(4002)).version == "2"
    leg.offer_sent(stamped(leg, ours(4002)))
    leg.rollback()
    # The refused version was seen by the peer and is not used for anything else.
    assert leg.next_origin(ours(4000)).version == "3"
    assert leg.next_origin(ours(4002)).version == "2"


def test_the_identity_in_the_origin_never_changes() -> None:
    leg = in_a_call()
    other = a_description(an_audio(4002), session_id="999", version=77)
    assert leg.next_origin(other) == ours(4002, 2).origin


def test_a_wrong_version_is_a_fault_of_ours() -> None:
    for version in (1, 3):
        leg = in_a_call()
        with pytest.raises(OfferAnswerError, match="does not follow") as caught:
            leg.offer_sent(ours(4002, version))
        assert caught.value.status == 500
        leg.offer_received(theirs(5002, 2))
        with pytest.raises(OfferAnswerError, match="does not follow"):
            leg.answer_sent(ours(4002, version))
    first = a_description()
    first.origin = first.origin._replace(version="x")
    with pytest.raises(OfferAnswerError, match="no number"):
        Negotiation().offer_sent(first)


# What is agreed.


def test_rtcp_mux_needs_both() -> None:
    for offered in (False, True):
        for answered in (False, True):
            offer, answer = ours(), theirs()
            if offered:
                offer.media[0].attributes.append(("rtcp-mux", None))
            if answered:
                answer.media[0].attributes.append(("rtcp-mux", None))
            leg = Negotiation()
            leg.offer_sent(offer)
            assert not leg.agreed_rtcp_mux(0)
            leg.answer_received(answer)
            assert leg.agreed_rtcp_mux(0) is (offered and answered)
            assert not leg.agreed_rtcp_mux(1)


def test_nothing_flows_before_anything_is_agreed() -> None:
    leg = Negotiation()
    leg.offer_sent(ours())
    assert not flows(leg, 0).sends
    assert not holds(leg.remote)
    assert not holds(leg.local)
    assert not flows(in_a_call(), 1).receives


# Plain data.


@pytest.mark.parametrize("state", list(S))
def test_a_negotiation_survives_as_json(state: NegotiationState) -> None:
    for leg in (Negotiation(), in_state(state)):
        assert Negotiation.from_data(json.loads(json.dumps(leg.to_data()))) == leg


@pytest.mark.parametrize(
    "change",
    [
        {"state": "nonsense"},
        {"state": "offer-sent"},
        {"state": "early-answer-sent"},
        {"agreed_local": None},
        {"agreed_local": "nonsense"},
        {"last_sent": None},
        {"early_answer": "v=0\r\no=- 1 1 IN IP4 h\r\n"},
        {"agreed_remote": "v=0\r\no=- 1 1 IN IP4 h\r\n"},
    ],
)
def test_what_no_negotiation_can_be_in_is_not_restored(change: dict[str, str | None]) -> None:
    data = in_a_call().to_data() | change
    with pytest.raises(ValueError, match="not a negotiation"):
        Negotiation.from_data(data)
    with pytest.raises(ValueError, match="not a negotiation"):
        Negotiation.from_data({"state": "stable"})
