"""Hold in every form, answered with every wish, and taken back."""

import pytest

from sbc.sdp.attributes.direction import Direction, answer_direction
from sbc.sdp.description import SessionDescription
from sbc.sdp.offer_answer import Negotiation
from sbc.sdp.parser import parse_sdp_untrusted
from tests.sdp.builders import a_description, an_audio, flows, holds

D = Direction

# form of the offer -> the direction it says, what the offerer really does, whether it is hold
FORMS: dict[str, tuple[tuple[str, ...], tuple[str, ...], Direction, Direction, bool]] = {
    "sendrecv": ((), ("a=sendrecv",), D.SENDRECV, D.SENDRECV, False),
    "nothing said": ((), (), D.SENDRECV, D.SENDRECV, False),
    "sendonly": ((), ("a=sendonly",), D.SENDONLY, D.SENDONLY, True),
    "inactive": ((), ("a=inactive",), D.INACTIVE, D.INACTIVE, True),
    "recvonly": ((), ("a=recvonly",), D.RECVONLY, D.RECVONLY, False),
    "session sendonly": (("a=sendonly",), (), D.SENDONLY, D.SENDONLY, True),
    "session inactive": (("a=inactive",), (), D.INACTIVE, D.INACTIVE, True),
    "session inactive, stream sendrecv": (
        ("a=inactive",),
        ("a=sendrecv",),
        D.SENDRECV,
        D.SENDRECV,
        False,
    ),
    "0.0.0.0": ((), ("c=IN IP4 0.0.0.0",), D.SENDRECV, D.SENDONLY, True),
    "::": ((), ("c=IN IP6 ::",), D.SENDRECV, D.SENDONLY, True),
    "name under invalid": ((), ("c=IN IP6 x.invalid",), D.SENDRECV, D.SENDONLY, True),
    "0.0.0.0 sendonly": ((), ("c=IN IP4 0.0.0.0", "a=sendonly"), D.SENDONLY, D.SENDONLY, True),
    "0.0.0.0 recvonly": ((), ("c=IN IP4 0.0.0.0", "a=recvonly"), D.RECVONLY, D.INACTIVE, True),
    "0.0.0.0 inactive": ((), ("c=IN IP4 0.0.0.0", "a=inactive"), D.INACTIVE, D.INACTIVE, True),
    ":: inactive": ((), ("c=IN IP6 ::", "a=inactive"), D.INACTIVE, D.INACTIVE, True),
    "trailing blank": ((), ("a=sendonly ",), D.SENDONLY, D.SENDONLY, True),
    "upper case": ((), ("a=INACTIVE",), D.INACTIVE, D.INACTIVE, True),
}


def offer_of(form: str, version: int) -> SessionDescription:
    session_lines, media_lines, _, _, _ = FORMS[form]
    lines = [
        "v=0",
        f"o=- 1 {version} IN IP4 192.0.2.9",
        "s=-",
        "c=IN IP4 192.0.2.9",
        "t=0 0",
        *session_lines,
        "m=audio 5000 RTP/AVP 8",
        *media_lines,
        "",
    ]
    return parse_sdp_untrusted("\r\n".join(lines).encode())


def in_a_call() -> Negotiation:
    leg = Negotiation()
    leg.offer_received(offer_of("sendrecv", 1))
    leg.answer_sent(a_description(an_audio(formats="8"), version=1))
    return leg


def answered(leg: Negotiation, wanted: Direction) -> Direction:
    """Answer the pending offer as a party that wants a direction; what is then agreed."""
    offer = leg.pending_offer
    assert offer is not None
    direction = answer_direction(offer.media[0].direction(offer), wanted)
    answer = a_description(an_audio(formats="8", direction=direction))
    answer.origin = leg.next_origin(answer)
    leg.answer_sent(answer)
    return flows(leg, 0)


@pytest.mark.parametrize("form", FORMS)
def test_each_form_of_hold_is_known(form: str) -> None:
    _, _, said, effective, hold = FORMS[form]
    offer = offer_of(form, 1)
    media = offer.media[0]
    assert media.direction(offer) is said
    assert offer.effective_direction(media) is effective
    assert holds(offer) is hold


@pytest.mark.parametrize("wanted", list(Direction))
@pytest.mark.parametrize("form", FORMS)
def test_each_form_meets_each_wish(form: str, wanted: Direction) -> None:
    _, _, said, effective, hold = FORMS[form]
    leg = in_a_call()
    leg.offer_received(offer_of(form, 2))
    agreed = answered(leg, wanted)
    # We send only if we want to and the peer really listens; a null address alone silences us.
    assert agreed.sends == (wanted.sends and effective.receives)
    # We hear only if we want to and the peer sends; null addresses do not stop the peer.
    assert agreed.receives == (wanted.receives and said.sends)
    assert holds(leg.remote) is hold


@pytest.mark.parametrize("resumed", [form for form, spec in FORMS.items() if not spec[4]])
@pytest.mark.parametrize("held", [form for form, spec in FORMS.items() if spec[4]])
def test_each_form_of_hold_is_taken_back_by_each_form_of_resume(held: str, resumed: str) -> None:
    leg = in_a_call()
    assert leg.offer_received(offer_of(held, 2))
    answered(leg, D.SENDRECV)
    assert holds(leg.remote)
    assert leg.offer_received(offer_of(resumed, 3))
    assert answered(leg, D.SENDRECV).sends
    assert not holds(leg.remote)


def test_both_hold_and_each_takes_back_its_own() -> None:
    # RFC 6337 §5.3: UA1 (peer) holds, UA2 (we) holds too, UA1 resumes, then UA2.
    leg = in_a_call()
    leg.offer_received(offer_of("sendonly", 2))
    assert answered(leg, D.SENDRECV) is D.RECVONLY

    ours = a_description(an_audio(formats="8", direction=D.SENDONLY))
    ours.origin = leg.next_origin(ours)
    leg.offer_sent(ours)
    leg.answer_received(offer_of("inactive", 3))
    assert flows(leg, 0) is D.INACTIVE
    assert holds(leg.local)
    assert holds(leg.remote)

    leg.offer_received(offer_of("sendrecv", 4))
    assert answered(leg, D.SENDONLY) is D.SENDONLY
    assert not holds(leg.remote)
    assert holds(leg.local)

    back = a_description(an_audio(formats="8", direction=D.SENDRECV))
    back.origin = leg.next_origin(back)
    leg.offer_sent(back)
    leg.answer_received(offer_of("sendrecv", 4))
    assert flows(leg, 0) is D.SENDRECV
    assert not holds(leg.local)


def test_one_of_two_streams_on_hold_is_no_held_call() -> None:
    leg = Negotiation()
    leg.offer_received(
        a_description(an_audio(5000, direction=D.SENDONLY), an_audio(5002), session_id="9")
    )
    leg.answer_sent(a_description(an_audio(4000, direction=D.RECVONLY), an_audio(4002)))
    assert not holds(leg.remote)
    assert [flows(leg, index) for index in (0, 1)] == [D.RECVONLY, D.SENDRECV]


def test_a_rejected_stream_is_not_on_hold() -> None:
    media = an_audio(0, direction=D.INACTIVE)
    session = a_description(media)
    assert not holds(session)
    assert session.effective_direction(media) is D.INACTIVE
