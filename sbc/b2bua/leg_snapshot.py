"""What belongs to one leg of a call as plain data, and back. See `snapshot.py`."""

from typing import TypedDict

from media.types import SideName
from sbc.b2bua.leg import AckWait, Exchange, Leg, LegState, PassedOver, Refused
from sbc.policy.presentation import Presentation, PresentationData, presentation_to_data
from sbc.routing.codecs import CodecRulesData, codec_rules_from_data, codec_rules_to_data
from sbc.routing.model import MediaRules, SrtpMode
from sbc.sdp.offer_answer import Negotiation
from sbc.sip.dialog import Dialog, DialogData
from sbc.sip.flow import FlowData, flow_from_data, flow_to_data
from sbc.sip.message import Message, Request, Response, serialize
from sbc.sip.parser import parse_message_untrusted


class MessageData(TypedDict):
    """A message as JSON has it."""

    bytes: str
    """As on the wire, latin-1."""
    counted: bool
    """Whether Content-Length is among its headers; ours get it when they are sent."""


class RulesData(TypedDict):
    """`MediaRules` as JSON has them."""

    srtp: SrtpMode
    suites: list[str]
    max_kbps: int | None
    rtcp_mux: bool
    mki: bool
    srtp_from: SrtpMode | None
    sdes_in_clear: bool
    codecs: list[CodecRulesData]


class LegData(TypedDict):
    """A `Leg` as JSON has it."""

    side: str
    flow: FlowData
    peer: str
    our_host: str
    their_host: str
    contact: str
    sent_by: str
    rules: RulesData
    uuid: str
    local_tag: str
    call_id: str
    trusted: bool
    registered: str
    presentation: PresentationData
    negotiation: dict[str, str | None]
    dialog: DialogData | None
    state: str
    proofs: list[list[str]]


class ExchangeData(TypedDict):
    """An `Exchange` as JSON has it."""

    ref: str
    method: str
    to: str
    cseq: int
    key: str
    request: MessageData | None
    flags: list[bool]
    """Offers, late, provisional, final, cancel wanted, cancel sent."""
    cancel_reason: str | None
    sent: MessageData | None
    answered: int


class PassedOverData(TypedDict):
    """A `PassedOver` as JSON has it."""

    leg: LegData
    invite: ExchangeData
    give_up_at: float | None
    ack: MessageData | None
    bye_ref: str
    done: bool


class RefusedData(TypedDict):
    """A `Refused` as JSON has it."""

    response: MessageData
    leg: LegData


class AckWaitData(TypedDict):
    """An `AckWait` as JSON has it."""

    key: str
    response: MessageData
    cseq: int
    next_at: float
    interval_s: float
    give_up_at: float
    late_ref: str


def message_to_data(message: Message) -> MessageData:
    """Export a message."""
    counted = message.headers.has("content-length")
    return {"bytes": serialize(message).decode("latin-1"), "counted": counted}


def message_from_data(data: MessageData) -> Request | Response:
    """Restore a message.

    Raises:
        ParseError: it is none; a bug, or a damaged store.
    """
    message = parse_message_untrusted(data["bytes"].encode("latin-1"))
    if not data["counted"]:
        message.headers.remove("content-length")
    return message


def request_from_data(data: MessageData) -> Request:
    """Restore a request."""
    message = message_from_data(data)
    assert isinstance(message, Request)
    return message


def response_from_data(data: MessageData) -> Response:
    """Restore a response."""
    message = message_from_data(data)
    assert isinstance(message, Response)
    return message


def rules_to_data(rules: MediaRules) -> RulesData:
    """Export media rules."""
    return {
        "srtp": rules.srtp,
        "suites": list(rules.suites),
        "max_kbps": rules.max_kbps,
        "rtcp_mux": rules.rtcp_mux,
        "mki": rules.mki,
        "srtp_from": rules.srtp_from,
        "sdes_in_clear": rules.sdes_in_clear,
        "codecs": [codec_rules_to_data(one) for one in rules.codecs],
    }


def rules_from_data(data: RulesData) -> MediaRules:
    """Restore media rules."""
    return MediaRules(
        data["srtp"],
        tuple(data["suites"]),
        data["max_kbps"],
        data["rtcp_mux"],
        data["mki"],
        data["srtp_from"],
        data["sdes_in_clear"],
        tuple(codec_rules_from_data(one) for one in data["codecs"]),
    )


def leg_to_data(leg: Leg) -> LegData:
    """Export a leg."""
    return {
        "side": leg.side.value,
        "flow": flow_to_data(leg.flow),
        "peer": leg.peer,
        "our_host": leg.our_host,
        "their_host": leg.their_host,
        "contact": leg.contact,
        "sent_by": leg.sent_by,
        "rules": rules_to_data(leg.rules),
        "uuid": leg.uuid,
        "local_tag": leg.local_tag,
        "call_id": leg.call_id,
        "trusted": leg.trusted,
        "registered": leg.registered,
        "presentation": presentation_to_data(leg.presentation),
        "negotiation": leg.negotiation.to_data(),
        "dialog": None if leg.dialog is None else leg.dialog.to_data(),
        "state": leg.state.value,
        "proofs": [[name, value] for name, value in leg.proofs],
    }


def leg_from_data(data: LegData) -> Leg:
    """Restore a leg."""
    dialog = data["dialog"]
    return Leg(
        side=SideName(data["side"]),
        flow=flow_from_data(data["flow"]),
        peer=data["peer"],
        our_host=data["our_host"],
        their_host=data["their_host"],
        contact=data["contact"],
        sent_by=data["sent_by"],
        rules=rules_from_data(data["rules"]),
        uuid=data["uuid"],
        local_tag=data["local_tag"],
        call_id=data["call_id"],
        trusted=data["trusted"],
        registered=data["registered"],
        presentation=Presentation(**data["presentation"]),
        negotiation=Negotiation.from_data(data["negotiation"]),
        dialog=None if dialog is None else Dialog.from_data(dialog),
        state=LegState(data["state"]),
        proofs=tuple((name, value) for name, value in data["proofs"]),
    )


def exchange_to_data(exchange: Exchange) -> ExchangeData:
    """Export an exchange."""
    request, sent = exchange.request, exchange.sent
    return {
        "ref": exchange.ref,
        "method": exchange.method,
        "to": exchange.to.value,
        "cseq": exchange.cseq,
        "key": exchange.key,
        "request": None if request is None else message_to_data(request),
        "flags": [
            exchange.offers,
            exchange.late,
            exchange.provisional,
            exchange.final,
            exchange.cancel_wanted,
            exchange.cancel_sent,
        ],
        "cancel_reason": exchange.cancel_reason,
        "sent": None if sent is None else message_to_data(sent),
        "answered": exchange.answered,
    }


def exchange_from_data(data: ExchangeData) -> Exchange:
    """Restore an exchange."""
    offers, late, provisional, final, cancel_wanted, cancel_sent = data["flags"]
    return Exchange(
        ref=data["ref"],
        method=data["method"],
        to=SideName(data["to"]),
        cseq=data["cseq"],
        key=data["key"],
        request=None if data["request"] is None else request_from_data(data["request"]),
        offers=offers,
        late=late,
        provisional=provisional,
        final=final,
        cancel_wanted=cancel_wanted,
        cancel_sent=cancel_sent,
        cancel_reason=data["cancel_reason"],
        sent=None if data["sent"] is None else request_from_data(data["sent"]),
        answered=data["answered"],
    )


def passed_over_to_data(passed: PassedOver) -> PassedOverData:
    """Export a candidate that was passed over."""
    return {
        "leg": leg_to_data(passed.leg),
        "invite": exchange_to_data(passed.invite),
        "give_up_at": passed.give_up_at,
        "ack": None if passed.ack is None else message_to_data(passed.ack),
        "bye_ref": passed.bye_ref,
        "done": passed.done,
    }


def passed_over_from_data(data: PassedOverData) -> PassedOver:
    """Restore a candidate that was passed over."""
    return PassedOver(
        leg=leg_from_data(data["leg"]),
        invite=exchange_from_data(data["invite"]),
        give_up_at=data["give_up_at"],
        ack=None if data["ack"] is None else request_from_data(data["ack"]),
        bye_ref=data["bye_ref"],
        done=data["done"],
    )


def refused_to_data(refused: Refused) -> RefusedData:
    """Export what a candidate answered."""
    return {"response": message_to_data(refused.response), "leg": leg_to_data(refused.leg)}


def refused_from_data(data: RefusedData) -> Refused:
    """Restore what a candidate answered."""
    return Refused(response_from_data(data["response"]), leg_from_data(data["leg"]))


def ack_wait_to_data(wait: AckWait) -> AckWaitData:
    """Export a 2xx that waits for its ACK."""
    return {
        "key": wait.key,
        "response": message_to_data(wait.response),
        "cseq": wait.cseq,
        "next_at": wait.next_at,
        "interval_s": wait.interval_s,
        "give_up_at": wait.give_up_at,
        "late_ref": wait.late_ref,
    }


def ack_wait_from_data(data: AckWaitData) -> AckWait:
    """Restore a 2xx that waits for its ACK."""
    return AckWait(
        key=data["key"],
        response=response_from_data(data["response"]),
        cseq=data["cseq"],
        next_at=data["next_at"],
        interval_s=data["interval_s"],
        give_up_at=data["give_up_at"],
        late_ref=data["late_ref"],
    )
