"""What is said to a registrar, and what its answers say.

Spec: RFC 3261 §10.2, RFC 3327 (Path is understood), RFC 3608 (Service-Route), RFC 7315 §4.1.
"""

from typing import Final

from sbc.routing.facing import bracketed, contact_of, sent_by
from sbc.routing.model import Listener
from sbc.sip.errors import ParseError
from sbc.sip.fields.name_addr import NameAddr, parse_name_addrs_untrusted
from sbc.sip.grammar import read_decimal
from sbc.sip.headers import Headers
from sbc.sip.message import Request, Response
from sbc.trunks.registration import Grant, Registration

LONGEST_EXPIRES_S: Final = 604_800
"""A week: a registrar that insists on more is not understood, and one that grants more is asked
again all the same."""

MOST_ROUTES: Final = 8
"""Values of Service-Route; more of them would not fit into a request anyway."""
MOST_ASSOCIATED: Final = 100
_LONGEST_VALUE: Final = 512
_LONGEST_TEXT: Final = 120


def register(
    registration: Registration, listener: Listener, expires_s: int, server_header: str | None
) -> Request:
    """A REGISTER, as yet without Via and CSeq; see `number`."""
    line = registration.line.registering
    aor = f"<{registration.aor}>"
    headers = Headers()
    headers.append("Max-Forwards", "70")
    headers.append("From", f"{aor};tag={registration.tag}")
    headers.append("To", aor)
    headers.append("Call-ID", registration.call_id)
    headers.append("Contact", f"{contact_of(listener, line.contact)};expires={expires_s}")
    # Twice, for registrars read the one or the other.
    headers.append("Expires", str(expires_s))
    headers.append("Supported", "path")
    if server_header:
        headers.append("User-Agent", server_header)
    return Request("REGISTER", f"sip:{bracketed(line.registrar)}", headers)


def options(
    registration: Registration,
    listener: Listener,
    tag: str,
    call_id: str,
    server_header: str | None,
) -> Request:
    """A keep-alive, as yet without Via and CSeq, of which any answer is welcome."""
    line = registration.line.registering
    ours = sent_by(listener)
    headers = Headers()
    headers.append("Max-Forwards", "70")
    headers.append("From", f"<sip:keepalive@{ours}>;tag={tag}")
    headers.append("To", f"<sip:{bracketed(line.registrar)}>")
    headers.append("Call-ID", call_id)
    headers.append("Contact", contact_of(listener))
    if server_header:
        headers.append("User-Agent", server_header)
    return Request("OPTIONS", f"sip:{bracketed(line.registrar)}", headers)


def number(request: Request, listener: Listener, branch: str, cseq: int) -> Request:
    """A request with what every attempt has of its own: a Via with its branch, and a CSeq."""
    via = f"SIP/2.0/{listener.transport.upper()} {sent_by(listener)};branch={branch};rport"
    headers = Headers([("Via", via), *request.headers.items()])
    headers.append("CSeq", f"{cseq} {request.method}")
    return Request(request.method, request.uri_text, headers)


def read_grant_untrusted(response: Response, contact: str, asked_s: int) -> Grant | None:
    """What a 2xx grants to our contact; None when it lists contacts of others only.

    Registrars behind NAT rewrite the host of a contact, and small ones list none at all (RFC 3261
    §10.3 step 8 would have them all listed).

    Args:
        contact: Its user part.

    Raises:
        ParseError: a header that says it is malformed.
    """
    said = response.expires
    usual = asked_s if said is None else said
    listed = response.contacts
    ours = [one for one in listed if one.uri.user == contact] or listed
    if len(ours) > 1 and all(one.uri.user != contact for one in ours):
        return None
    # The newest is ours: what a registrar still lists of an older address of ours runs out.
    expires_s = max((_expires_of(one, usual) for one in ours), default=usual)
    if expires_s == 0:
        return None
    return Grant(
        expires_s=min(expires_s, LONGEST_EXPIRES_S),
        service_route=_values_untrusted(response, "service-route", MOST_ROUTES),
        associated=_associated(response),
    )


def min_expires(response: Response) -> int | None:
    """What a 423 insists on (RFC 3261 §20.23); None when it does not say, or what cannot be."""
    return read_decimal(response.headers.first("min-expires") or "", LONGEST_EXPIRES_S)


def status_line(response: Response) -> str:
    """Status and reason phrase for people; a stranger wrote it, so it is cut."""
    return f"{response.status} {response.reason}"[:_LONGEST_TEXT].strip()


def realm_of(response: Response) -> str:
    """The realm of a challenge as written, for people; empty when it names none."""
    for name in ("www-authenticate", "proxy-authenticate"):
        for value in response.headers.all(name):
            _, found, rest = value.partition('realm="')
            if found:
                return rest.partition('"')[0][:_LONGEST_TEXT]
    return ""


def _expires_of(contact: NameAddr, usual: int) -> int:
    seconds = read_decimal(contact.param("expires") or "", 2**32 - 1)
    return usual if seconds is None else seconds


def _associated(response: Response) -> tuple[str, ...]:
    """P-Associated-URI, which nothing depends on: one that cannot be read is none."""
    try:
        return _values_untrusted(response, "p-associated-uri", MOST_ASSOCIATED)
    except ParseError:
        return ()


def _values_untrusted(response: Response, name: str, most: int) -> tuple[str, ...]:
    """The values of a header, each of which is a good address.

    Raises:
        ParseError: one is malformed, or there are too many.
    """
    texts = response.headers.all(name)
    if sum(len(text) for text in texts) > most * _LONGEST_VALUE:
        raise ParseError(f"{name} is too long")
    found = [str(one) for text in texts for one in parse_name_addrs_untrusted(text)]
    if len(found) > most:
        raise ParseError(f"more than {most} values of {name}")
    return tuple(found)
