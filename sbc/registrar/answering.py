"""What a phone hears from us about its registration, whoever decided on it.

Spec: RFC 3261 §10.3 step 8, RFC 3327 §5.3, RFC 5626 §5.4 and §6, RFC 5627 §5.3.
"""

from collections.abc import Iterable
from dataclasses import replace

from sbc.policy.refusal import Refusal, answered, refused
from sbc.registrar.binding import Binding
from sbc.registrar.claims import Claim, keeps_flow, routes_of, supports
from sbc.registrar.commands import Command, RegisterRefused
from sbc.registrar.pending import Pending
from sbc.registrar.relaying import Pseudonyms
from sbc.routing.facing import sent_by, transport_param
from sbc.routing.model import Listener
from sbc.sip.errors import ParseError
from sbc.sip.fields.name_addr import NameAddr
from sbc.sip.flow import Flow
from sbc.sip.grammar import Params, quote, unquote
from sbc.sip.message import Request
from sbc.sip.uri import parse_uri_untrusted

FLOW_TIMER_S = 120
"""How often a phone shall show on a stream that it is there (RFC 5626 §4.4.1)."""
BUSY_S = 15
"""How soon a phone may try again that found no room; some wait twice as long."""

_GRUUS = ("pub-gruu", "temp-gruu")

NO_OUTBOUND = Refusal(439, "a hop between this phone and us does not keep its flow")


def refuse(
    asked: Pending, refusal: Refusal, *, names: Pseudonyms, server_header: str | None
) -> list[Command]:
    """Refuse a REGISTER, and have it logged."""
    request = asked.request
    tag = names.of("to", request.call_id)
    response = refused(request, refusal, tag, asked.phone.sent_by, server_header)
    return [*asked.answer(response), RegisterRefused(request, asked.flow, refusal)]


def accept(
    asked: Pending,
    contacts: Iterable[NameAddr],
    extras: Iterable[tuple[str, str]],
    *,
    names: Pseudonyms,
    server_header: str | None,
) -> list[Command]:
    """A 200 of our own to a REGISTER, with the contacts that are registered now."""
    request = asked.request
    response = answered(request, 200, names.of("to", request.call_id), server_header)
    for contact in contacts:
        response.headers.append("Contact", str(contact))
    for name, value in extras:
        response.headers.append(name, value)
    return asked.answer(response)


def lacks_outbound(request: Request, claims: Iterable[Claim]) -> bool:
    """Whether a phone wants a flow kept that nobody keeps (RFC 5626 §6).

    Raises:
        ParseError: Path is malformed (400).
    """
    return any(claim.reg_id for claim in claims) and not keeps_flow(request)


def success_extras(request: Request, flow: Flow, claims: Iterable[Claim]) -> list[tuple[str, str]]:
    """What our 200 says besides contacts: the Path that is kept, and whether a flow is."""
    extras: list[tuple[str, str]] = []
    if supports(request, "path"):
        extras += [("Path", route) for route in routes_of(request, "path")]
    if any(claim.reg_id for claim in claims):
        extras.append(("Require", "outbound"))
        if flow.reliable:
            extras.append(("Flow-Timer", str(FLOW_TIMER_S)))
    return extras


def contact_told(binding: Binding, expires_s: int, more: Params = ()) -> NameAddr:
    """A contact as its phone wrote it, with what the phone is to know of its registration."""
    uri = parse_uri_untrusted(binding.contact)
    params: list[tuple[str, str | None]] = [("expires", str(expires_s))]
    if binding.instance:
        params.append(("+sip.instance", quote(f"<{binding.instance}>")))
    if binding.reg_id:
        params.append(("reg-id", str(binding.reg_id)))
    return NameAddr("", uri, (*params, *more))


def gruus_told(contact: NameAddr, host: str) -> Params:
    """The GRUUs that a registrar gave a contact, as they stand on the phone's side.

    What calls one of them comes to us, and goes on with its user and its `gr`: only the host,
    which may name a machine behind us, is ours to say.
    """
    told: list[tuple[str, str | None]] = []
    for name in _GRUUS:
        text = contact.param(name)
        if text is None:
            continue
        try:
            uri = parse_uri_untrusted(unquote(text))
        except ParseError:
            continue
        if uri.scheme not in ("sip", "sips"):
            continue
        kept = tuple(one for one in uri.params if one[0] == "gr")
        ours = replace(uri, host=host, port=None, params=kept, headers="", password=None)
        told.append((name, quote(str(ours))))
    return tuple(told)


def our_path(token: str, listener: Listener, *, ob: bool) -> str:
    """A Path through us to one contact (RFC 3327 §5.1); `ob` when it is over a flow we keep."""
    ours = f"{token}@{sent_by(listener)}{transport_param(listener.transport)}"
    return f"<sip:{ours};lr{';ob' if ob else ''}>"
