"""Whether an answer fits its offer, and an offer what was agreed before.

Spec: RFC 3264 §6 to §8, RFC 6337 §5.2.5.
"""

from sbc.sdp.attributes.direction import is_answer_to
from sbc.sdp.description import MediaDescription, SessionDescription
from sbc.sdp.errors import OfferAnswerError

_FIRST_DYNAMIC_TYPE = 96


def check_answer(offer: SessionDescription, answer: SessionDescription) -> None:
    """Check a peer's answer: same m-lines in the same order, and formats that were offered.

    Two faults that real peers have do no harm and are let pass, since what holds is computed
    from both descriptions: a direction that the offer does not allow (RFC 4317 §3.2 itself
    answers sendonly with sendrecv), and a port for a stream that was offered with none.

    Raises:
        OfferAnswerError: 488, with the first m-line that does not fit.
    """
    if len(answer.media) != len(offer.media):
        raise OfferAnswerError(
            488, f"the answer has {len(answer.media)} m-lines, the offer {len(offer.media)}"
        )
    for index, (offered, answered) in enumerate(zip(offer.media, answer.media, strict=True), 1):
        if answered.kind != offered.kind:
            raise OfferAnswerError(
                488, f"m-line {index} of the answer is {answered.kind}, offered was {offered.kind}"
            )
        # Of a stream that is not used nothing else counts (RFC 3264 §6).
        if answered.rejected or offered.rejected:
            continue
        if answered.protocol.upper() != offered.protocol.upper():
            raise OfferAnswerError(
                488,
                f"m-line {index} of the answer uses {answered.protocol}, "
                f"offered was {offered.protocol}",
            )
        if not have_common_format(offered, answered):
            raise OfferAnswerError(488, f"m-line {index} of the answer has no offered format")


def check_our_answer(offer: SessionDescription, answer: SessionDescription) -> None:
    """Check an answer of ours, which has no excuses.

    Raises:
        OfferAnswerError: 500; the fault is ours and the peer must not see the answer.
    """
    try:
        check_answer(offer, answer)
    except OfferAnswerError as error:
        raise OfferAnswerError(500, error.reason) from None
    for index, (offered, answered) in enumerate(zip(offer.media, answer.media, strict=True), 1):
        if answered.rejected:
            continue
        if offered.rejected:
            raise OfferAnswerError(500, f"m-line {index} was offered without a port")
        if not is_answer_to(offered.direction(offer), answered.direction(answer)):
            raise OfferAnswerError(500, f"m-line {index} of the answer has an impossible direction")


def check_offer(offer: SessionDescription, previous: SessionDescription | None) -> None:
    """Check that an offer keeps a place for every m-line of the session so far.

    Streams may be added at the end, refused ones replaced, kinds changed (audio to fax); the
    identity in `o=` may change too, as third-party call control does (RFC 6337 §5.2.5 leaves
    that open).

    Raises:
        OfferAnswerError: 488, when there are fewer m-lines than before (RFC 3264 §8).
    """
    if previous is not None and len(offer.media) < len(previous.media):
        raise OfferAnswerError(
            488, f"the offer has {len(offer.media)} m-lines, the session {len(previous.media)}"
        )


def have_common_format(offered: MediaDescription, answered: MediaDescription) -> bool:
    """Whether an answered stream has at least one format of the offered one.

    RTP formats are compared as codecs: an answer may use other payload types for them
    (RFC 3264 §5.1) and list more than was offered (§6.1).
    """
    if not offered.is_rtp:
        known = {name.lower() for name in offered.formats}
        return any(name.lower() in known for name in answered.formats)
    if any(
        payload_type in offered.formats and _is_same_codec(offered, answered, payload_type)
        for payload_type in answered.formats
    ):
        return True
    codecs = {offered.codec(payload_type) for payload_type in offered.formats} - {None}
    return any(answered.codec(payload_type) in codecs for payload_type in answered.formats)


def _is_same_codec(offered: MediaDescription, answered: MediaDescription, payload: str) -> bool:
    """Whether a payload type that both list means the same to both.

    Answers that leave the rtpmap of a dynamic type out, against RFC 3264 §6.1, mean the offer's.
    """
    if int(payload) < _FIRST_DYNAMIC_TYPE:
        return True
    ours = answered.codec(payload)
    return ours is None or offered.codec(payload) in {None, ours}
