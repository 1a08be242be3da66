"""The offer/answer state of one leg.

One `Negotiation` belongs to one dialog. It knows what is agreed, what is pending and whose turn
it is; which SIP message carries a description is the caller's business. The table says all there
is to the order of events; the methods add the checks of content.

Spec: RFC 3264, RFC 6337, RFC 3261 §13.2.1 and §14, RFC 3311 §5.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from sbc.sdp.attributes.rtcp import RTCP_MUX
from sbc.sdp.description import MediaDescription, Origin, SessionDescription
from sbc.sdp.errors import OfferAnswerError, SdpError
from sbc.sdp.matching import check_answer, check_offer, check_our_answer
from sbc.sdp.parser import parse_sdp_untrusted, serialize_sdp


class NegotiationState(Enum):
    """Whose turn it is."""

    STABLE = "stable"
    """Nothing is pending: nothing was exchanged yet, or the last exchange is over."""
    OFFER_SENT = "offer-sent"
    """The peer owes an answer."""
    EARLY_ANSWER_RECEIVED = "early-answer-received"
    """The peer previewed its answer in an unreliable 18x; media may follow it, no new offer may
    be made (RFC 6337 §3.1.1)."""
    OFFER_RECEIVED = "offer-received"
    """We owe an answer."""
    EARLY_ANSWER_SENT = "early-answer-sent"
    """We previewed our answer in an unreliable 18x."""


class NegotiationEvent(Enum):
    """What can happen to a negotiation."""

    SEND_OFFER = "send offer"
    RECEIVE_OFFER = "receive offer"
    SEND_EARLY_ANSWER = "send early answer"
    RECEIVE_EARLY_ANSWER = "receive early answer"
    SEND_ANSWER = "send answer"
    RECEIVE_ANSWER = "receive answer"
    END_WITHOUT_ANSWER = "end without answer"
    """The message that had to carry the answer came without a description."""
    ROLL_BACK = "roll back"
    """The offer was refused, or the request that carried it failed."""


class Refusal(NamedTuple):
    """Why an event is not possible in a state."""

    status: int
    reason: str
    retry_after: bool = False


_GLARE = Refusal(491, "an offer of ours is pending")
_WAIT = Refusal(491, "an offer is pending")
_PEER_IS_EARLY = Refusal(500, "an earlier offer of the peer is not answered yet", retry_after=True)
_NOT_ASKED = Refusal(500, "there is no offer of the peer to answer")
_NO_OFFER_OF_OURS = Refusal(488, "an answer came while an offer of the peer is pending")
_NO_ANSWER = Refusal(488, "the peer accepted an offer without answering it")
_WE_OWE = Refusal(500, "the answer is ours to give")

_S = NegotiationState
_E = NegotiationEvent

TRANSITIONS: dict[tuple[NegotiationState, NegotiationEvent], NegotiationState | Refusal] = {
    (_S.STABLE, _E.SEND_OFFER): _S.OFFER_SENT,
    (_S.STABLE, _E.RECEIVE_OFFER): _S.OFFER_RECEIVED,
    (_S.STABLE, _E.SEND_EARLY_ANSWER): _NOT_ASKED,
    # Once answered reliably, more descriptions for the same offer say nothing (RFC 6337 §3.1.1).
    (_S.STABLE, _E.RECEIVE_EARLY_ANSWER): _S.STABLE,
    (_S.STABLE, _E.SEND_ANSWER): _NOT_ASKED,
    (_S.STABLE, _E.RECEIVE_ANSWER): _S.STABLE,
    (_S.STABLE, _E.END_WITHOUT_ANSWER): _S.STABLE,
    (_S.STABLE, _E.ROLL_BACK): _S.STABLE,
    (_S.OFFER_SENT, _E.SEND_OFFER): _WAIT,
    (_S.OFFER_SENT, _E.RECEIVE_OFFER): _GLARE,
    (_S.OFFER_SENT, _E.SEND_EARLY_ANSWER): _NOT_ASKED,
    (_S.OFFER_SENT, _E.RECEIVE_EARLY_ANSWER): _S.EARLY_ANSWER_RECEIVED,
    (_S.OFFER_SENT, _E.SEND_ANSWER): _NOT_ASKED,
    (_S.OFFER_SENT, _E.RECEIVE_ANSWER): _S.STABLE,
    (_S.OFFER_SENT, _E.END_WITHOUT_ANSWER): _NO_ANSWER,
    (_S.OFFER_SENT, _E.ROLL_BACK): _S.STABLE,
    (_S.EARLY_ANSWER_RECEIVED, _E.SEND_OFFER): _WAIT,
    (_S.EARLY_ANSWER_RECEIVED, _E.RECEIVE_OFFER): _GLARE,
    (_S.EARLY_ANSWER_RECEIVED, _E.SEND_EARLY_ANSWER): _NOT_ASKED,
    # Another fork, or a PBX that changes its mind: the newer preview replaces the older.
    (_S.EARLY_ANSWER_RECEIVED, _E.RECEIVE_EARLY_ANSWER): _S.EARLY_ANSWER_RECEIVED,
    (_S.EARLY_ANSWER_RECEIVED, _E.SEND_ANSWER): _NOT_ASKED,
    # RFC 6337 §3.1.1 would keep the preview where the answer differs; peers that connect the call
    # elsewhere than they played the ringing tone from mean the answer.
    (_S.EARLY_ANSWER_RECEIVED, _E.RECEIVE_ANSWER): _S.STABLE,
    # A 2xx without a description after a preview is wrong (RFC 3261 §13.2.1) and frequent.
    (_S.EARLY_ANSWER_RECEIVED, _E.END_WITHOUT_ANSWER): _S.STABLE,
    (_S.EARLY_ANSWER_RECEIVED, _E.ROLL_BACK): _S.STABLE,
    (_S.OFFER_RECEIVED, _E.SEND_OFFER): _WAIT,
    (_S.OFFER_RECEIVED, _E.RECEIVE_OFFER): _PEER_IS_EARLY,
    (_S.OFFER_RECEIVED, _E.SEND_EARLY_ANSWER): _S.EARLY_ANSWER_SENT,
    (_S.OFFER_RECEIVED, _E.RECEIVE_EARLY_ANSWER): _NO_OFFER_OF_OURS,
    (_S.OFFER_RECEIVED, _E.SEND_ANSWER): _S.STABLE,
    (_S.OFFER_RECEIVED, _E.RECEIVE_ANSWER): _NO_OFFER_OF_OURS,
    (_S.OFFER_RECEIVED, _E.END_WITHOUT_ANSWER): _WE_OWE,
    (_S.OFFER_RECEIVED, _E.ROLL_BACK): _S.STABLE,
    (_S.EARLY_ANSWER_SENT, _E.SEND_OFFER): _WAIT,
    (_S.EARLY_ANSWER_SENT, _E.RECEIVE_OFFER): _PEER_IS_EARLY,
    (_S.EARLY_ANSWER_SENT, _E.SEND_EARLY_ANSWER): _S.EARLY_ANSWER_SENT,
    (_S.EARLY_ANSWER_SENT, _E.RECEIVE_EARLY_ANSWER): _NO_OFFER_OF_OURS,
    (_S.EARLY_ANSWER_SENT, _E.SEND_ANSWER): _S.STABLE,
    (_S.EARLY_ANSWER_SENT, _E.RECEIVE_ANSWER): _NO_OFFER_OF_OURS,
    (_S.EARLY_ANSWER_SENT, _E.END_WITHOUT_ANSWER): _WE_OWE,
    (_S.EARLY_ANSWER_SENT, _E.ROLL_BACK): _S.STABLE,
}
"""What each event leads to in each state; complete."""

_OURS_PENDING = frozenset({_S.OFFER_SENT, _S.EARLY_ANSWER_RECEIVED})


@dataclass(slots=True)
class Negotiation:
    """What one leg has agreed on and is agreeing on.

    A description that was handed in belongs to the negotiation and must not be changed. Every
    method that can be refused raises `OfferAnswerError` and has then changed nothing.
    """

    state: NegotiationState = NegotiationState.STABLE
    agreed_local: SessionDescription | None = None
    """Our half of the last exchange that was completed."""
    agreed_remote: SessionDescription | None = None
    """The peer's half of it; None exactly when `agreed_local` is."""
    pending_offer: SessionDescription | None = None
    """The offer that is not finally answered; ours or the peer's by `state`."""
    early_answer: SessionDescription | None = None
    """The preview of its answer, if there was one."""
    last_sent: SessionDescription | None = None
    """The last description the peer has from us, even if it was refused: versions go on."""

    @property
    def local(self) -> SessionDescription | None:
        """Our half of what holds now: a previewed exchange counts."""
        if self.early_answer is None:
            return self.agreed_local
        return self.pending_offer if self.state in _OURS_PENDING else self.early_answer

    @property
    def remote(self) -> SessionDescription | None:
        """The peer's half of what holds now: a previewed exchange counts."""
        if self.early_answer is None:
            return self.agreed_remote
        return self.early_answer if self.state in _OURS_PENDING else self.pending_offer

    def offer_sent(self, offer: SessionDescription) -> None:
        """We are about to send an offer.

        Raises:
            OfferAnswerError: 491 while another offer is pending either way (it must wait);
                500 when the offer has lost m-lines or a wrong version (a fault of ours).
        """
        following = self._following(NegotiationEvent.SEND_OFFER)
        try:
            check_offer(offer, self.agreed_local)
        except OfferAnswerError as error:
            raise OfferAnswerError(500, error.reason) from None
        self._check_version(offer)
        self.pending_offer = self.last_sent = offer
        self.state = following

    def offer_received(self, offer: SessionDescription) -> bool:
        """The peer made an offer.

        Returns:
            Whether it says anything new; session refreshes repeat what holds. The content is
            compared, for there are peers that change it and keep the version.

        Raises:
            OfferAnswerError: 491 when an offer of ours is pending (glare, RFC 3261 §14.2), 500
                with Retry-After when one of the peer's is, 488 when it has lost m-lines.
        """
        following = self._following(NegotiationEvent.RECEIVE_OFFER)
        check_offer(offer, self.agreed_remote)
        self.pending_offer = offer
        self.state = following
        return _differ(self.agreed_remote, offer)

    def answer_sent(self, answer: SessionDescription, *, early: bool = False) -> None:
        """We are about to send an answer, or with `early` its preview in an unreliable 18x.

        Raises:
            OfferAnswerError: 500 when there is nothing to answer, the answer does not fit the
                offer, or its version is wrong (faults of ours).
        """
        event = NegotiationEvent.SEND_EARLY_ANSWER if early else NegotiationEvent.SEND_ANSWER
        following = self._following(event)
        offer = self._pending()
        check_our_answer(offer, answer)
        self._check_version(answer)
        self.last_sent = answer
        if early:
            self.early_answer = answer
        else:
            self._agree(local=answer, remote=offer)
        self.state = following

    def answer_received(self, answer: SessionDescription, *, early: bool = False) -> bool:
        """The peer answered, or with `early` previewed its answer in an unreliable 18x.

        A preview replaces the one before it, whichever fork it comes from. The same description
        again in the 2xx completes the exchange and is nothing new. After the exchange is complete
        further descriptions are ignored, as RFC 6337 §3.1.1 wants.

        Returns:
            Whether `remote` says something new now.

        Raises:
            OfferAnswerError: 488 when it does not fit the offer or none of ours is pending.
        """
        event = NegotiationEvent.RECEIVE_EARLY_ANSWER if early else NegotiationEvent.RECEIVE_ANSWER
        following = self._following(event)
        if self.state is NegotiationState.STABLE:
            return False
        offer = self._pending()
        check_answer(offer, answer)
        before = self.remote
        if early:
            self.early_answer = answer
        else:
            self._agree(local=offer, remote=answer)
        self.state = following
        return _differ(before, answer)

    def ended_without_answer(self) -> None:
        """The message that had to bring the answer (2xx, or ACK after a late offer) had none.

        A preview, if there was one, becomes the answer.

        Raises:
            OfferAnswerError: 488 when there was none: the call cannot go on (RFC 6337 §2.3);
                500 when the answer is ours to give (a fault of ours).
        """
        following = self._following(NegotiationEvent.END_WITHOUT_ANSWER)
        if self.early_answer is not None:
            self._agree(local=self._pending(), remote=self.early_answer)
        self.state = following

    def rollback(self) -> None:
        """The pending offer was refused or its request failed: what was agreed before holds.

        An exchange that a reliable provisional response completed stays agreed even if the
        re-INVITE then fails; the caller offers the old session anew (RFC 6141 §3.4).
        """
        self.state = self._following(NegotiationEvent.ROLL_BACK)
        self.pending_offer = self.early_answer = None

    def next_origin(self, description: SessionDescription) -> Origin:
        """The `o=` that a description must have to be sent next.

        The first one keeps its own. Later ones keep the identity that was sent first; the version
        grows by one if anything else differs from what was sent last, else it stays.

        Spec: RFC 3264 §8, RFC 6337 §5.2.5.
        """
        last = self.last_sent
        if last is None:
            return description.origin
        if description.equals_apart_from_origin(last):
            return last.origin
        return last.origin._replace(version=str(int(last.origin.version) + 1))

    def agreed_rtcp_mux(self, index: int) -> bool:
        """Whether both halves want RTCP on the RTP port of an m-line (RFC 5761 §5.1.1)."""
        pair = self._media_pair(index)
        return pair is not None and pair[0].has(RTCP_MUX) and pair[1].has(RTCP_MUX)

    def to_data(self) -> dict[str, str | None]:
        """Everything as texts, fit for JSON; `from_data` brings it back."""
        return {
            "state": self.state.value,
            "agreed_local": _to_text(self.agreed_local),
            "agreed_remote": _to_text(self.agreed_remote),
            "pending_offer": _to_text(self.pending_offer),
            "early_answer": _to_text(self.early_answer),
            "last_sent": _to_text(self.last_sent),
        }

    @classmethod
    def from_data(cls, data: Mapping[str, str | None]) -> "Negotiation":
        """Bring back what `to_data` gave.

        Raises:
            ValueError: It is something else, or says what no negotiation can be in.
        """
        try:
            restored = cls(
                NegotiationState(data["state"]),
                _from_text(data["agreed_local"]),
                _from_text(data["agreed_remote"]),
                _from_text(data["pending_offer"]),
                _from_text(data["early_answer"]),
                _from_text(data["last_sent"]),
            )
        except (KeyError, ValueError, SdpError) as error:
            raise ValueError(f"not a negotiation: {error}") from error
        fault = restored.fault()
        if fault:
            raise ValueError(f"not a negotiation: {fault}")
        return restored

    def fault(self) -> str:
        """Which of the rules that always hold does not; empty when all do."""
        pending = self.state is not NegotiationState.STABLE
        early = self.state in {
            NegotiationState.EARLY_ANSWER_RECEIVED,
            NegotiationState.EARLY_ANSWER_SENT,
        }
        if (self.pending_offer is not None) != pending:
            return "an offer is kept exactly while one is pending"
        if (self.early_answer is not None) != early:
            return "a preview is kept exactly while one holds"
        if (self.agreed_local is None) != (self.agreed_remote is None):
            return "half an agreement"
        if self.agreed_local is not None and self.agreed_remote is not None:
            if len(self.agreed_local.media) != len(self.agreed_remote.media):
                return "the halves of the agreement have not the same m-lines"
            if self.last_sent is None:
                return "agreed without having sent anything"
        return ""

    def _following(self, event: NegotiationEvent) -> NegotiationState:
        following = TRANSITIONS[self.state, event]
        if isinstance(following, Refusal):
            raise OfferAnswerError(
                following.status, following.reason, retry_after=following.retry_after
            )
        return following

    def _pending(self) -> SessionDescription:
        if self.pending_offer is None:
            raise ValueError(self.fault())
        return self.pending_offer

    def _agree(self, *, local: SessionDescription, remote: SessionDescription) -> None:
        self.agreed_local = local
        self.agreed_remote = remote
        self.pending_offer = self.early_answer = None

    def _check_version(self, description: SessionDescription) -> None:
        if description.origin != self.next_origin(description):
            raise OfferAnswerError(500, "the version in o= does not follow the last one sent")
        if not description.origin.version.isdecimal():
            raise OfferAnswerError(500, "the version in o= is no number")

    def _media_pair(self, index: int) -> tuple[MediaDescription, MediaDescription] | None:
        local, remote = self.local, self.remote
        if local is None or remote is None or not 0 <= index < len(local.media):
            return None
        return local.media[index], remote.media[index]


def _differ(before: SessionDescription | None, after: SessionDescription) -> bool:
    return before is None or not after.equals_apart_from_origin(before)


def _to_text(description: SessionDescription | None) -> str | None:
    if description is None:
        return None
    return serialize_sdp(description).decode("utf-8", "surrogateescape")


def _from_text(text: str | None) -> SessionDescription | None:
    return None if text is None else parse_sdp_untrusted(text.encode("utf-8", "surrogateescape"))
