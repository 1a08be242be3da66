"""Topology hiding: what a message to one leg may carry of a message from the other.

Nothing is copied by default. Headers that describe the path or the far end's machine are made
anew; those that mean the same on both sides are carried; those that no rule knows are carried
only if they name nothing of the leg they come from.

Spec: RFC 5853 §3.1, RFC 7092 §3.1.3 (SDP-modifying signalling B2BUA).
"""

import re
from collections.abc import Iterable
from enum import Enum, auto
from typing import Protocol

from sbc.policy.numbers import is_phone, number_of, user_calling
from sbc.routing.facing import bracketed
from sbc.sip.fields.name_addr import parse_name_addr_untrusted
from sbc.sip.grammar import quote
from sbc.sip.headers import Headers
from sbc.sip.message import Message, Request

NIL_UUID = "0" * 32
"""RFC 7989 §5: the null UUID, for an end that has not said its own."""

ANONYMOUS_HOST = "anonymous.invalid"

_SHORTEST_SECRET = 4
"""Shorter words turn up in any text by chance; no address or host that matters is shorter."""

TRANSPARENT_OPTIONS = frozenset({"timer", "answermode"})
"""Option tags (RFC 3261 §19.2) that work end to end without our help."""

REFUSED_METHODS = frozenset({"REFER", "PRACK", "SUBSCRIBE", "PUBLISH"})
"""Methods a call does not pass on, so Allow must not promise them."""


class Facing(Protocol):
    """A leg, or a phone that registers, as this policy needs to know it."""

    @property
    def trusted(self) -> bool:
        """Whether it is in our trust domain."""

    @property
    def sent_by(self) -> str:
        """Our Via sent-by toward it."""

    def secrets(self) -> Iterable[str]:
        """Addresses, hosts and identifiers of it that the other side must not see."""


class Fate(Enum):
    """What becomes of a header. One without a fate passes if it names no place."""

    MADE_ANEW = auto()
    CARRIED = auto()
    OPTIONS = auto()
    METHODS = auto()
    WARNING = auto()


_PLACE = re.compile(
    r"(?<![0-9.])[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?![0-9.])"  # an IPv4 address
    r"|\[(?=[0-9a-f.]*+:)[0-9a-f:.]*+\]"  # an IPv6 address as URIs have it
    r"|\b[0-9a-f]{1,4}(?:::[0-9a-f]|(?::[0-9a-f]{1,4}){7}\b)"  # one that stands alone
    r"|\bsips?:",
    re.IGNORECASE,
)
"""What no free text from one side may say to the other, whether we know the place or not."""


_MADE_ANEW = """via v from f to t call-id i cseq contact m max-forwards route record-route path
service-route content-length l content-type c user-agent server session-id replaces join
target-dialog in-reply-to timestamp rack rseq proxy-require p-charging-vector
p-charging-function-addresses p-access-network-info p-visited-network-id p-called-party-id
p-served-user p-asserted-identity p-preferred-identity remote-party-id diversion privacy identity y
identity-info n
security-client security-server security-verify history-info refer-to r
referred-by b refer-sub flow-timer encryption response-key organization
p-charge-info cc-diversion p-asserted-service p-preferred-service p-private-network-indication
p-profile-key p-user-database p-dcs-billing-info p-dcs-laes p-dcs-osps p-dcs-redirect
p-dcs-trace-party-id"""
"""The last lines are what carriers believe of each other: who pays, and for what (RFC 8496,
RFC 5503, RFC 6050, RFC 7316)."""

_CARRIED = """accept accept-encoding accept-language accept-contact a reject-contact j
request-disposition d authorization proxy-authorization
www-authenticate proxy-authenticate authentication-info proxy-authentication-info
content-disposition content-encoding e content-language date event o expires min-expires min-se
session-expires x mime-version priority retry-after unsupported
user-to-user p-early-media resource-priority accept-resource-priority info-package recv-info
subscription-state allow-events u"""

_FROM_TRUSTED_ONLY = frozenset(
    {"alert-info", "answer-mode", "call-info", "priv-answer-mode", "x-auto-answer"}
)
"""What a stranger could make a phone inside answer by itself with, or open its microphone."""

_FATES: dict[str, Fate] = {
    **dict.fromkeys(_MADE_ANEW.split(), Fate.MADE_ANEW),
    **dict.fromkeys(_CARRIED.split(), Fate.CARRIED),
    "supported": Fate.OPTIONS,
    "k": Fate.OPTIONS,
    "require": Fate.OPTIONS,
    "allow": Fate.METHODS,
    "warning": Fate.WARNING,
}


def carry(source: Message, target: Headers, origin: Facing, receiver: Facing) -> list[str]:
    """Copy what may pass from a leg's message into headers for the other leg.

    Returns:
        The names of headers that were held back because they named something of `origin`.
    """
    withheld: list[str] = []
    secrets: tuple[str, ...] | None = None
    for name, value in source.headers.items():
        fate = _FATES.get(name.lower())
        if fate is Fate.CARRIED:
            target.append(name, value)
        elif fate is Fate.MADE_ANEW:
            continue
        elif fate is None:
            if secrets is None:
                secrets = _secrets(origin, source)
            forbidden = not origin.trusted and name.lower() in _FROM_TRUSTED_ONLY
            if forbidden or _names_a_place(value, secrets):
                withheld.append(name)
            else:
                target.append(name, value)
        else:
            if fate is Fate.WARNING and secrets is None:
                secrets = _secrets(origin, source)
            for edited in _edited(fate, value, receiver, secrets or ()):
                target.append(name, edited)
    return withheld


def may_say(text: str, source: Message, origin: Facing) -> bool:
    """Whether a free text of a leg's message, as its reason phrase, may be repeated to the other.

    It may not when it names an address, host or identifier of the leg.
    """
    return not _names_a_place(text, _secrets(origin, source))


def unsupported_requirements(request: Request) -> list[str]:
    """Option tags of Require and Proxy-Require that we cannot honour: 420 (RFC 3261 §8.2.2.3)."""
    headers = request.headers
    if not (headers.has("require") or headers.has("proxy-require")):
        return []
    wanted = headers.values("require") + headers.values("proxy-require")
    return [option for option in wanted if option.lower() not in TRANSPARENT_OPTIONS]


def identity(value: str, host: str, tag: str | None, number: str | None = None) -> str:
    """A From or To value with display name and user kept, host replaced, and our tag.

    The host of somebody anonymous says nothing and stays (RFC 3323 §4.1.1.3).

    Args:
        number: What the user part says instead; None for the same.

    Raises:
        ParseError: the value is no name-addr (400).
    """
    address = parse_name_addr_untrusted(value)
    uri = address.uri
    user = user_calling(uri, number_of(uri) if number is None else number)
    if uri.host == ANONYMOUS_HOST:
        host = ANONYMOUS_HOST
    parameters = ";user=phone" if is_phone(uri) else ""
    person = f"{user}@" if user else ""
    display = f"{quote(address.display)} " if address.display else ""
    suffix = f";tag={tag}" if tag else ""
    return f"{display}<sip:{person}{bracketed(host)}{parameters}>{suffix}"


def session_id(ours: str, theirs: str) -> str:
    """The Session-ID value: the sender's end first (RFC 7989 §5)."""
    return f"{ours};remote={theirs}"


def uuid_of(random: str) -> str:
    """A version 4 UUID as Session-ID writes it, of 32 random hexadecimal digits (RFC 7989 §4)."""
    return f"{random[:12]}4{random[13:16]}a{random[17:32]}"


def session_uuid(message: Message) -> str | None:
    """The sender's UUID of a message, if it gave a usable one."""
    value = message.headers.first("session-id")
    if value is None:
        return None
    uuid = value.partition(";")[0].strip().lower()
    if len(uuid) != 32 or uuid == NIL_UUID or set(uuid) - set("0123456789abcdef"):
        return None
    return uuid


def _edited(fate: Fate, value: str, receiver: Facing, secrets: Iterable[str]) -> list[str]:
    """What may pass of a value: nothing, or one value."""
    if fate is Fate.OPTIONS:
        return _joined(o for o in _split(value) if o.lower() in TRANSPARENT_OPTIONS)
    if fate is Fate.METHODS:
        return _joined(m for m in _split(value) if m not in REFUSED_METHODS)
    code, _, rest = value.partition(" ")
    text = rest.partition(" ")[2]
    usable = code.isdigit() and text.startswith('"') and not _names_a_place(text, secrets)
    return [f"{code} {receiver.sent_by} {text}"] if usable else []


def _names_a_place(text: str, secrets: Iterable[str]) -> bool:
    """Whether a text holds an address, a host, or an identifier of the leg it comes from."""
    if _PLACE.search(text):
        return True
    lowered = text.lower()
    return any(secret in lowered for secret in secrets)


def _secrets(leg: Facing, message: Message) -> tuple[str, ...]:
    """What a text may not name, in lower case."""
    found = {secret.lower() for secret in leg.secrets()}
    found.add(message.call_id.lower())
    for name in ("via", "contact", "record-route"):
        for value in message.headers.values(name):
            found.update(host.lower() for host in _hosts_in(value))
    return tuple(secret for secret in found if len(secret) >= _SHORTEST_SECRET)


def _hosts_in(value: str) -> Iterable[str]:
    """Host-like pieces of a Via, Contact or Record-Route value."""
    body = value.partition("<")[2].partition(">")[0] or value.rpartition(" ")[2]
    hostport = body.partition(";")[0].rpartition("@")[2]
    hostport = hostport.removeprefix("sip:").removeprefix("sips:")
    if hostport.startswith("["):
        host = hostport[1:].partition("]")[0]
    else:
        host = hostport.partition(":")[0]
    if host:
        yield host


def _joined(items: Iterable[str]) -> list[str]:
    kept = ", ".join(items)
    return [kept] if kept else []


def _split(value: str) -> list[str]:
    return [item.strip() for item in value.split(",")]
