"""Inspection of a request outside any dialog: may it be served here at all?

Spec: RFC 3261 §8.2.1 (method), §8.2.2 (headers), §16.3 (Request-URI scheme, Max-Forwards).
"""

from sbc.driver import sips
from sbc.policy.emergency import EmergencyNumbers, is_emergency_service
from sbc.policy.refusal import Refusal
from sbc.policy.topology import unsupported_requirements
from sbc.sip.flow import Flow
from sbc.sip.message import Request
from sbc.sip.parser import METHODS

ALLOW_OUTSIDE = "INVITE, ACK, BYE, CANCEL, OPTIONS, REGISTER"
"""What is served outside calls, as 405 tells."""

_SCHEMES = {
    "INVITE": frozenset({"sip", "sips", "tel"}),
    "OPTIONS": frozenset({"sip", "sips", "tel"}),
    "REGISTER": frozenset({"sip", "sips"}),
}
"""The methods served outside calls, and the Request-URIs that each is served for."""

REGISTRATION_OPTIONS = frozenset({"path", "outbound", "gruu"})
"""What a REGISTER may require (RFC 3327, RFC 5626, RFC 5627)."""

_IN_DIALOG = frozenset({"BYE", "INFO", "NOTIFY", "PRACK", "UPDATE"})
"""Methods that only a dialog, or a subscription, gives a meaning."""


def inspected(request: Request, flow: Flow, emergency: EmergencyNumbers) -> Refusal | None:
    """What stands against serving a request; None if nothing does.

    Args:
        emergency: Says which emergency services may be called by their names.

    Raises:
        ParseError: a header that must be understood is malformed (400).
    """
    method = request.method
    schemes = _SCHEMES.get(method)
    if schemes is None:
        return _not_served(method)
    if request.uri.scheme not in schemes:
        served = method == "INVITE" and emergency.serving(request.uri)
        if not served:
            return _no_such_scheme(request)
    objection = sips.objection(request, flow)
    if objection is not None:
        return objection
    # OPTIONS ends here, so it needs no further hop.
    if request.max_forwards == 0 and method != "OPTIONS":
        return Refusal(483, "Max-Forwards is used up")
    unmet = [] if method == "INVITE" else unsupported_requirements(request)
    if method == "REGISTER":
        unmet = [option for option in unmet if option.lower() not in REGISTRATION_OPTIONS]
    if not unmet:
        return None
    options = ", ".join(unmet)
    said = f"{options} is required, but not supported here"
    return Refusal(420, said, headers=(("Unsupported", options),))


def _no_such_scheme(request: Request) -> Refusal:
    said = f"a {request.uri.scheme}: Request-URI is not served"
    if request.method == "INVITE" and is_emergency_service(request.uri):
        return Refusal(416, said, "`emergency: {services: ...}` of policies has no number for it")
    return Refusal(416, said)


def _not_served(method: str) -> Refusal:
    if method in _IN_DIALOG:
        return Refusal(481, f"{method} outside a call")
    status = 405 if method in METHODS else 501
    said = f"{method} is not served outside a call"
    return Refusal(status, said, headers=(("Allow", ALLOW_OUTSIDE),))
