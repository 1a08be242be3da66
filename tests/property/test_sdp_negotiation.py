"""Negotiations under any order of events, alone and against each other."""

from collections import deque
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sbc.sdp.attributes.direction import Direction, answer_direction, reverse
from sbc.sdp.description import SessionDescription
from sbc.sdp.errors import OfferAnswerError
from sbc.sdp.offer_answer import Negotiation, NegotiationState
from tests.sdp.builders import a_description, an_audio, flows, holds

S = NegotiationState

KINDS = st.sampled_from(["audio", "video"])
PORTS = st.sampled_from([0, 4000, 4002])
DIRECTIONS = st.sampled_from([None, *Direction])
HOSTS = st.sampled_from(["192.0.2.1", "0.0.0.0", "::"])


@st.composite
def descriptions(draw: st.DrawFn) -> SessionDescription:
    """Any description with a few streams."""
    streams = draw(st.lists(st.tuples(KINDS, PORTS, DIRECTIONS), max_size=3))
    description = a_description(
        host=draw(HOSTS), version=draw(st.integers(1, 3)), direction=draw(DIRECTIONS)
    )
    description.media = [
        an_audio(port, draw(st.sampled_from(["0", "8", "0 8"])), kind=kind, direction=direction)
        for kind, port, direction in streams
    ]
    return description


STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ["send offer", "receive offer", "send answer", "receive answer", "end", "roll back"]
        ),
        descriptions(),
        st.booleans(),
        st.booleans(),
    ),
    max_size=12,
)


def step(leg: Negotiation, what: str, description: SessionDescription, early: bool) -> None:
    steps: dict[str, Callable[[], object]] = {
        "send offer": lambda: leg.offer_sent(description),
        "receive offer": lambda: leg.offer_received(description),
        "send answer": lambda: leg.answer_sent(description, early=early),
        "receive answer": lambda: leg.answer_received(description, early=early),
        "end": leg.ended_without_answer,
        "roll back": leg.rollback,
    }
    steps[what]()


@given(STEPS)
def test_no_order_of_events_leads_to_an_impossible_state(
    steps: list[tuple[str, SessionDescription, bool, bool]],
) -> None:
    leg = Negotiation()
    versions = []
    for what, description, early, stamp in steps:
        if stamp and what.startswith("send"):
            description.origin = leg.next_origin(description)
        before = leg.to_data()
        try:
            step(leg, what, description, early)
        except OfferAnswerError as error:
            refusal: OfferAnswerError | None = error
        else:
            refusal = None
        if refusal is not None:
            assert refusal.status in {488, 491, 500}
            assert leg.to_data() == before
        assert leg.fault() == ""
        assert Negotiation.from_data(leg.to_data()) == leg
        if leg.last_sent is not None:
            versions.append(int(leg.last_sent.origin.version))
        for index in range(4):
            agreed = flows(leg, index)
            assert not agreed.sends or (leg.remote and not leg.remote.media[index].rejected)
    assert all(later - earlier in {0, 1} for earlier, later in pairwise(versions))
    leg.rollback()
    assert leg.state is S.STABLE


class Party:
    """One end: a negotiation, its wishes, and requests of its own that wait for a response."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.leg = Negotiation()
        self.wish = Direction.SENDRECV
        self.port = 4000
        self.outbox: deque[tuple[str, SessionDescription | None]] = deque()

    def describe(self, direction: Direction, formats: str) -> SessionDescription:
        description = a_description(
            an_audio(self.port, formats, direction=direction), session_id=self.name
        )
        description.origin = self.leg.next_origin(description)
        return description

    def offer(self) -> None:
        offer = self.describe(self.wish, "0 8")
        if self.leg.state is S.STABLE:
            self.leg.offer_sent(offer)
            self.outbox.append(("offer", offer))
        else:
            with pytest.raises(OfferAnswerError, match=r"^491 "):
                self.leg.offer_sent(offer)

    def answer(self, *, early: bool) -> None:
        offer = self.leg.pending_offer
        if self.leg.state not in {S.OFFER_RECEIVED, S.EARLY_ANSWER_SENT} or offer is None:
            return
        direction = answer_direction(offer.media[0].direction(offer), self.wish)
        answer = self.describe(direction, "8")
        self.leg.answer_sent(answer, early=early)
        self.outbox.append(("preview" if early else "answer", answer))

    def refuse(self) -> None:
        if self.leg.state in {S.OFFER_RECEIVED, S.EARLY_ANSWER_SENT}:
            self.leg.rollback()
            self.outbox.append(("refusal", None))

    def take(self, what: str, description: SessionDescription | None) -> None:
        if what == "refusal":
            self.leg.rollback()
            return
        assert description is not None
        if what == "offer":
            if self.leg.state is S.STABLE:
                self.leg.offer_received(description)
            else:
                # Messages come in order, so that only glare can refuse a good offer.
                with pytest.raises(OfferAnswerError, match=r"^491 "):
                    self.leg.offer_received(description)
                self.outbox.append(("refusal", None))
        else:
            self.leg.answer_received(description, early=what == "preview")


ACTIONS = st.lists(
    st.tuples(
        st.booleans(),
        st.sampled_from(["offer", "preview", "answer", "refuse", "hold", "move", "deliver"]),
        DIRECTIONS.filter(bool),
    ),
    max_size=40,
)


def act(one: Party, other: Party, what: str, wish: Direction) -> None:
    if what == "offer":
        one.offer()
    elif what in {"preview", "answer"}:
        one.answer(early=what == "preview")
    elif what == "refuse":
        one.refuse()
    elif what == "hold":
        one.wish = wish
    elif what == "move":
        one.port += 2
    elif one.outbox:
        other.take(*one.outbox.popleft())


def settle(a: Party, b: Party) -> None:
    """Answer what is pending and deliver what is under way."""
    while a.outbox or b.outbox or a.leg.state is not S.STABLE or b.leg.state is not S.STABLE:
        for one, other in ((a, b), (b, a)):
            while one.outbox:
                other.take(*one.outbox.popleft())
            one.answer(early=False)


@given(ACTIONS)
def test_two_ends_agree_whatever_crosses_and_fails(
    actions: list[tuple[bool, str, Direction]],
) -> None:
    a, b = Party("1"), Party("2")
    for by_a, what, wish in actions:
        one, other = (a, b) if by_a else (b, a)
        act(one, other, what, wish)
        assert a.leg.fault() == b.leg.fault() == ""
    settle(a, b)
    assert (a.leg.local, a.leg.remote) == (b.leg.remote, b.leg.local)
    assert flows(a.leg, 0) is reverse(flows(b.leg, 0))
    assert holds(a.leg.remote) == holds(b.leg.local)
