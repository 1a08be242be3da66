"""What the Contacts of a REGISTER claim, each with the name that it has for the registrar.

A contact is known by its URI. One of a phone that keeps several flows is known by the phone's
instance-id instead, and by the number of the flow: then a contact that changed is still the same
one, and a flow that failed is replaced by its successor.

Spec: RFC 3261 §10.3, RFC 5626 §4.1, §4.2 and §6, RFC 5627 §3.1.
"""

from typing import NamedTuple

from sbc.registrar.bindings import Bindings
from sbc.registrar.grants import asked_s, user_of
from sbc.registrar.relaying import Pseudonyms
from sbc.sip.errors import ParseError
from sbc.sip.fields.name_addr import NameAddr, parse_name_addr_untrusted
from sbc.sip.grammar import split_commas, unquote
from sbc.sip.message import Message, Request

MAX_ROUTES = 8
"""Values of one Path or Service-Route, above which it is refused."""
_LONGEST_ROUTE = 512
_LONGEST_CONTACT = 1024
_LONGEST_CALL_ID = 512
_LONGEST_INSTANCE = 200
_LONGEST_REG_ID = 10


class Claim(NamedTuple):
    """One contact that a phone wants to be reached at, or no longer."""

    token: str
    """User part of the Contact that the registrar has or will have for it."""
    contact: NameAddr
    asked_s: int
    """How long the phone wants it to be kept; 0 to be forgotten."""
    instance: str = ""
    reg_id: int = 0

    @property
    def key(self) -> str:
        """As `Binding.key`."""
        return f"{self.token}.{self.reg_id}" if self.reg_id else self.token

    @property
    def q(self) -> float:
        """How much it wants to be called, 0 to 1; malformed counts as most (RFC 3261 §20.10)."""
        text = self.contact.param("q") or ""
        try:
            return min(max(float(text), 0.0), 1.0) if len(text) <= 5 else 1.0
        except ValueError:
            return 1.0


def claims_of(request: Request, bindings: Bindings, names: Pseudonyms) -> dict[str, Claim]:
    """The phone's contacts by the token that the registrar has or will have for each.

    Raises:
        ParseError: a Contact is malformed, or they contradict each other (400).
    """
    expires = request.expires
    # What is kept of each phone is bounded, or a few thousand could fill the memory.
    if len(request.call_id) > _LONGEST_CALL_ID:
        raise ParseError(f"a Call-ID of more than {_LONGEST_CALL_ID} characters")
    if request.contact_is_star:
        if expires != 0:
            raise ParseError("Contact * without Expires 0 (RFC 3261 §10.3 step 6)")
        return {}
    outbound = supports(request, "outbound")
    claims = [_claim(request, one, outbound, bindings, names) for one in request.contacts]
    flows = sum(claim.reg_id > 0 for claim in claims)
    living = sum(claim.asked_s > 0 for claim in claims)
    if flows > 1 or (flows and living > 1):
        raise ParseError("a flow is registered alone (RFC 5626 §6)")
    return {claim.token: claim for claim in claims}


def _claim(
    request: Request, contact: NameAddr, outbound: bool, bindings: Bindings, names: Pseudonyms
) -> Claim:
    """A contact with the token it has, which may come from another process' secret."""
    uri = contact.uri
    if uri.scheme not in ("sip", "sips"):
        raise ParseError(f"cannot relay a {uri.scheme}: contact")
    instance = instance_of(contact)
    reg_id = _reg_id(contact) if outbound and instance else 0
    aor = request.to.uri
    name = aor.address_of_record
    text = str(uri)
    if len(text) > _LONGEST_CONTACT:
        raise ParseError(f"a contact of more than {_LONGEST_CONTACT} characters")
    life_s = asked_s(request, contact)
    for binding in bindings.of_user(user_of(aor)):
        same = binding.instance == instance if reg_id else binding.contact == text
        if same and bool(binding.reg_id) == bool(reg_id) and binding.aor == name:
            return Claim(binding.token, contact, life_s, instance, reg_id)
    kind, known_by = ("instance", instance) if reg_id else ("token", text)
    return Claim(names.of(kind, name, known_by), contact, life_s, instance, reg_id)


def instance_of(contact: NameAddr) -> str:
    """The instance-id of a contact, as it is compared; empty when there is none."""
    value = unquote(contact.param("+sip.instance") or "").strip("<>")
    return value if len(value) <= _LONGEST_INSTANCE else ""


def _reg_id(contact: NameAddr) -> int:
    """The number of a flow; 0 when there is none or it is none."""
    text = contact.param("reg-id") or ""
    plain = text.isascii() and text.isdigit() and len(text) <= _LONGEST_REG_ID
    return int(text) if plain else 0


def supports(request: Request, option: str) -> bool:
    """Whether a phone says that it knows an extension."""
    headers = request.headers
    said = headers.values("supported") + headers.values("require")
    return option in [one.lower() for one in said]


def keeps_flow(request: Request) -> bool:
    """Whether the first hop of a REGISTER keeps the flow that it came on (RFC 5626 §6).

    We do, when the phone spoke to us; proxies between us say so by `ob` in a Path.

    Raises:
        ParseError: Path is malformed (400).
    """
    if len(request.headers.values("via")) < 2:
        return True
    path = routes_of(request, "path")
    return any(parse_name_addr_untrusted(route).uri.has_param("ob") for route in path)


def routes_of(message: Message, header: str) -> tuple[str, ...]:
    """The values of Path or Service-Route, the nearest hop first.

    Raises:
        ParseError: one is no SIP URI in angle brackets, or there are too many (400).
    """
    texts = message.headers.all(header)
    if not texts:
        return ()
    values = [value for text in texts for value in split_commas(text)]
    if len(values) > MAX_ROUTES:
        raise ParseError(f"more than {MAX_ROUTES} values of {header}")
    for value in values:
        uri = parse_name_addr_untrusted(value).uri
        if "<" not in value or uri.scheme not in ("sip", "sips") or len(value) > _LONGEST_ROUTE:
            raise ParseError(f"{header} is no route")
    return tuple(values)
