"""Which answers fit an offer."""

import pytest

from sbc.sdp.attributes.direction import Direction
from sbc.sdp.description import MediaDescription
from sbc.sdp.errors import OfferAnswerError
from sbc.sdp.matching import check_answer, check_offer, check_our_answer, have_common_format
from tests.sdp.builders import a_description, an_audio


def mapped(formats: str, **rtpmap: str) -> MediaDescription:
    media = MediaDescription("audio", 4000, "RTP/AVP", formats.split())
    media.attributes = [("rtpmap", f"{name[1:]} {codec}") for name, codec in rtpmap.items()]
    return media


def refusal(offer: MediaDescription, answer: MediaDescription) -> OfferAnswerError:
    with pytest.raises(OfferAnswerError) as caught:
        check_answer(a_description(offer), a_description(answer))
    with pytest.raises(OfferAnswerError) as ours:
        check_our_answer(a_description(offer), a_description(answer))
    assert (caught.value.status, ours.value.status) == (488, 500)
    return caught.value


def test_an_answer_has_as_many_m_lines_as_the_offer() -> None:
    for count in (0, 1, 3):
        answer = a_description()
        answer.media = [an_audio() for _ in range(count)]
        with pytest.raises(OfferAnswerError, match="m-lines") as caught:
            check_answer(a_description(an_audio(), an_audio()), answer)
        assert caught.value.status == 488


def test_an_answer_keeps_kind_and_protocol() -> None:
    assert "video" in refusal(an_audio(), an_audio(kind="video")).reason
    assert "RTP/SAVP" in refusal(an_audio(), an_audio(protocol="RTP/SAVP")).reason
    check_answer(a_description(an_audio()), a_description(an_audio(protocol="rtp/avp")))


def test_the_order_of_kinds_counts() -> None:
    offer = a_description(an_audio(), an_audio(kind="video"))
    answer = a_description(an_audio(kind="video"), an_audio())
    with pytest.raises(OfferAnswerError, match="m-line 1"):
        check_answer(offer, answer)


def test_a_rejected_stream_needs_nothing_but_its_kind() -> None:
    offer = a_description(an_audio(formats="8"))
    check_our_answer(offer, a_description(an_audio(0, "3", protocol="RTP/SAVP")))
    assert "video" in refusal(an_audio(), an_audio(0, kind="video")).reason


@pytest.mark.parametrize(
    ("offered", "answered", "fits"),
    [
        (mapped("0 8"), mapped("8"), True),
        (mapped("0 8"), mapped("3"), False),
        (mapped("0 8"), mapped("3 8"), True),
        (mapped("96", _96="opus/48000/2"), mapped("96", _96="opus/48000/2"), True),
        (mapped("96", _96="opus/48000/2"), mapped("96"), True),
        (mapped("96"), mapped("96", _96="opus/48000/2"), True),
        (mapped("96", _96="opus/48000/2"), mapped("107", _107="OPUS/48000/2"), True),
        (mapped("96", _96="opus/48000/2"), mapped("96", _96="iLBC/8000"), False),
        (mapped("96", _96="L16/8000"), mapped("96", _96="L16/16000"), False),
        (mapped("96 97", _96="a/1", _97="b/1"), mapped("96 97", _96="b/1", _97="c/1"), True),
        (mapped("0"), mapped("100", _100="pcmu/8000"), True),
        (mapped("96"), mapped("97"), False),
    ],
)
def test_rtp_formats_are_compared_as_codecs(
    offered: MediaDescription, answered: MediaDescription, fits: bool
) -> None:
    assert have_common_format(offered, answered) is fits
    if not fits:
        assert "no offered format" in refusal(offered, answered).reason


def test_other_formats_are_compared_as_words() -> None:
    fax = MediaDescription("image", 4000, "udptl", ["t38"])
    assert have_common_format(fax, MediaDescription("image", 4000, "udptl", ["T38"]))
    assert not have_common_format(fax, MediaDescription("image", 4000, "udptl", ["t39"]))


def test_a_peer_may_answer_a_direction_that_was_not_offered_but_we_may_not() -> None:
    offer = a_description(an_audio(direction=Direction.SENDONLY))
    answer = a_description(an_audio(direction=Direction.SENDRECV))
    check_answer(offer, answer)
    with pytest.raises(OfferAnswerError, match="impossible direction") as caught:
        check_our_answer(offer, answer)
    assert caught.value.status == 500


def test_a_peer_may_answer_a_stream_that_was_offered_without_a_port_but_we_may_not() -> None:
    offer, answer = a_description(an_audio(0)), a_description(an_audio())
    check_answer(offer, answer)
    with pytest.raises(OfferAnswerError, match="without a port"):
        check_our_answer(offer, answer)
    check_our_answer(offer, a_description(an_audio(0)))


def test_an_offer_may_add_replace_and_drop_streams_but_not_lines() -> None:
    previous = a_description(an_audio(), an_audio(0, kind="video"))
    check_offer(a_description(an_audio()), None)
    check_offer(a_description(an_audio(0), an_audio(kind="text")), previous)
    check_offer(a_description(an_audio(), an_audio(), an_audio()), previous)
    check_offer(a_description(MediaDescription("image", 1, "udptl", ["t38"]), an_audio()), previous)
    with pytest.raises(OfferAnswerError) as caught:
        check_offer(a_description(an_audio()), previous)
    assert caught.value.status == 488
