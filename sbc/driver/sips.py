"""What ``sips:`` asks for: TLS on every hop, and never less than that.

Spec: RFC 5630 §5 (what a SIPS URI demands of who serves, forwards and registers), RFC 3261 §26.2.2.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from sbc.b2bua.call import Candidate
from sbc.driver.in_force import InForce
from sbc.policy.refusal import Refusal
from sbc.registrar.relaying import Upstream
from sbc.sip.flow import SECURED, Flow
from sbc.sip.message import Request
from sbc.sip.uri import Uri

_SIPS: Final = "sips:"
_NOT_ALLOWED_CODE = 380
"""RFC 5630 §7: the called party is reached by ``sip:`` only."""


def objection(request: Request, flow: Flow) -> Refusal | None:
    """Why a request that begins something is not served as it came; None if it may be.

    Raises:
        ParseError: Contact is malformed (400).

    Spec: RFC 5630 §5.1.2, §5.2.
    """
    wanted = request.uri.scheme == "sips"
    if wanted and flow.transport not in SECURED:
        return Refusal(403, f"a sips: request came by {flow.transport}, where nothing protects it")
    if request.method == "INVITE" and wanted and "sip" in _contact_schemes(request):
        return Refusal(400, "a sips: Request-URI needs a sips: contact")
    if request.method == "REGISTER" and not wanted and "sips" in _contact_schemes(request):
        return Refusal(400, "a sips: contact needs a sips: Request-URI")
    return None


def suited(force: InForce, called: Uri, candidates: Iterable[Candidate]) -> list[Candidate]:
    """The candidates that may be tried for a Request-URI, as it asks to address them.

    For ``sips:`` those that TLS leads to; of phones those that registered so. For ``sip:`` all,
    without promising more than was asked for: a phone that registered ``sips:`` has TLS anyway.

    Spec: RFC 5630 §5.3.
    """
    if called.scheme != "sips":
        return [
            replace(one, request_uri="sip:" + one.request_uri.removeprefix(_SIPS))
            if one.request_uri.startswith(_SIPS)
            else one
            for one in candidates
        ]
    found = []
    for one in candidates:
        uri = one.request_uri if one.request_uri.startswith(_SIPS) else _written(force, one)
        if uri is not None and one.flow.transport in SECURED:
            found.append(replace(one, request_uri=uri))
    return found


def not_allowed(why: str) -> Refusal:
    """The refusal of who can be reached, but not as ``sips:`` demands."""
    text = (
        f"{why}; sips: goes by TLS alone, to peers with ;transport=tls in their address and to "
        "phones that registered a sips: contact. Who called may use sip: with transport=tls"
    )
    return Refusal(480, "SIPS Not Allowed", text, warn_code=_NOT_ALLOWED_CODE)


def leading_safely(request: Request, upstreams: list[Upstream]) -> list[Upstream] | Refusal:
    """The registrars that a REGISTER may be relayed to: those by TLS, if it is a sips: one."""
    if request.uri.scheme != "sips" or not upstreams:
        return upstreams
    safe = [one for one in upstreams if one.flow.transport in SECURED]
    return safe or not_allowed(f"peer {upstreams[0].peer!r} is not reached by TLS")


def _contact_schemes(request: Request) -> set[str]:
    if request.contact_is_star:
        return set()
    return {contact.uri.scheme for contact in request.contacts}


def _written(force: InForce, candidate: Candidate) -> str | None:
    """The ``sips:`` form of a URI that we wrote ourselves; None for a phone's own."""
    peer = force.table.peer(candidate.peer)
    if peer is None or peer.kind == "endpoints":
        return None
    # RFC 5630 §5.1.1: sips: says it all.
    return _SIPS + candidate.request_uri.removeprefix("sip:").removesuffix(";transport=tls")
