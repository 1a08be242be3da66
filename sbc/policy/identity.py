"""Who calls, as each side may know it: trust domains, asserted identities and privacy.

Identity headers cross only between peers that are both trusted. There they are read in whatever
shape the sender uses and written in the one that the receiver wants, with our host and in its form
of numbers. Who asks for privacy is anonymous to everybody outside, and to a carrier inside the
trust domain that is told the identity beside From.

Spec: RFC 3325 §5-9, RFC 3323 §4-5, RFC 5876, RFC 5806 (Diversion), RFC 7044 (History-Info).
"""

from dataclasses import dataclass, replace

from sbc.policy.numbers import (
    NumberPlan,
    NumberRole,
    Rewritten,
    is_global,
    number_of,
    passed,
    sent,
)
from sbc.policy.presentation import AS_PRESENTED, Presentation
from sbc.policy.topology import ANONYMOUS_HOST, identity
from sbc.routing.identity import BY_NETWORK, IdentityRules
from sbc.routing.numbers import AS_WRITTEN, NumberRules
from sbc.sip.errors import ParseError
from sbc.sip.fields.name_addr import NameAddr, parse_name_addrs_untrusted
from sbc.sip.grammar import join_params, quote
from sbc.sip.headers import Headers
from sbc.sip.message import Message, Request
from sbc.sip.uri import Uri, escape_user

_ANONYMOUS = f'"Anonymous" <sip:anonymous@{ANONYMOUS_HOST}>'

_PRIVACY = frozenset({"none", "id", "user", "header", "session", "critical", "history"})

_RESTRICTING = frozenset({"id", "user", "header"})
"""Privacy that hides who calls; `session` is what a relay of media gives anyway."""

_KEPT_PARAMS = frozenset(
    {"reason", "counter", "limit", "privacy", "screen", "index", "rc", "mp", "np"}
)
"""Of Diversion and History-Info: what says why and how often, and names no place."""

_TELLING = ("subject", "call-info", "reply-to")
"""What user-level privacy takes away beside what never passes (RFC 3323 §4.1)."""

_CLAIMING = (
    "p-asserted-identity", "remote-party-id", "p-preferred-identity", "diversion", "history-info",
    "identity",
)  # fmt: skip
"""What says who a message is from, or on whose behalf."""

_MOST = 2
"""RFC 3325 §9.1: at most a sip and a tel URI."""

_ASSERTING = frozenset({"INVITE", "UPDATE"})
"""Requests that we make an assertion for."""


@dataclass(frozen=True, slots=True)
class Party:
    """One side of a call, as identities pass from it or to it."""

    trusted: bool
    host: str
    """The host that stands for everybody behind us toward it."""
    rules: IdentityRules = BY_NETWORK
    numbers: NumberRules = AS_WRITTEN
    registered: str = ""
    """The user that it registered, where it is a phone that did; unescaped."""
    presentation: Presentation = AS_PRESENTED
    """What policy says of how it is presented to others."""


@dataclass(frozen=True, slots=True)
class Passage:
    """The way from one party to another."""

    origin: Party
    receiver: Party
    plan: NumberPlan

    @property
    def within_trust(self) -> bool:
        """Whether both are in the trust domain."""
        return self.origin.trusted and self.receiver.trusted

    def number(self, uri: Uri, role: NumberRole) -> Rewritten:
        """The number of a URI as the receiver is told it."""
        origin, receiver = self.origin.numbers, self.receiver.numbers
        return passed(number_of(uri), origin, receiver, role, self.plan)

    def caller(self, address: NameAddr) -> tuple[NameAddr, Rewritten]:
        """Who calls, with the display name and the number that the receiver is told."""
        done = self.origin.presentation
        rewritten = self.number(address.uri, "caller")
        display = address.display
        if done.number:
            # A display name would say the old number too.
            display = ""
            new = sent(done.number, self.receiver.numbers, "caller", self.plan).number
            rewritten = Rewritten(new, f"{number_of(address.uri)} -> {new}, {done.why}")
        if done.tag:
            display = f"{done.tag} {display}".rstrip()
        return replace(address, display=display), rewritten


@dataclass(frozen=True, slots=True)
class Shown:
    """A From for the receiver."""

    value: str
    why: str = ""
    """What was done to it; empty for nothing but another host."""


def caller_shown(invite: Request, passage: Passage, tag: str) -> Shown:
    """From of the INVITE that the receiver gets.

    Raises:
        ParseError: From is malformed (400).
    """
    receiver, done = passage.receiver, passage.origin.presentation
    if _is_restricted(invite, passage) and not _may_know(invite, passage):
        why = done.why if done.anonymous else "as privacy was asked for"
        return Shown(f"{_ANONYMOUS};tag={tag}", f"the caller is anonymous, {why}")
    if receiver.rules.present == "from":
        asserted = _asserted(invite, passage)
        if asserted:
            told = ", ".join(
                part for part in ("From says who is asserted to call", done.why) if part
            )
            return Shown(f"{asserted[0]};tag={tag}", told)
    if is_anonymous(invite):
        return Shown(identity(invite.headers.first("from") or "", receiver.host, tag))
    address, rewritten = passage.caller(invite.from_)
    notes = [f"caller {rewritten.why}"] if rewritten.why else []
    if done.tag:
        notes.append(f"the caller is tagged, {done.why}")
    value = str(NameAddr(address.display, address.uri))
    return Shown(identity(value, receiver.host, tag, rewritten.number), "; ".join(notes))


def callee_shown(invite: Request, passage: Passage, host: str, called: str) -> str:
    """To of the INVITE that the receiver gets.

    Args:
        called: Its Request-URI, which is To as well where the caller's names a service.

    Raises:
        ParseError: To is malformed (400).
    """
    if invite.to.uri.scheme == "urn":
        return identity(f"<{called}>", host, None)
    number = passage.number(invite.to.uri, "called").number
    return identity(invite.headers.first("to") or "", host, None, number)


def pass_identities(
    source: Message, target: Headers, passage: Passage, *, told: bool = True
) -> None:
    """Give a message what its receiver may know of who sent the one that it stands for.

    Args:
        told: Whether that includes who it says that it is from.
    """
    receiver = passage.receiver
    if not receiver.trusted:
        if source.headers.has("privacy") and _is_restricted(source, passage):
            for name in _TELLING:
                target.remove(name)
        return
    restricted = _is_restricted(source, passage)
    asserted = _asserted(source, passage) if told else []
    party = "calling" if isinstance(source, Request) else "called"
    _assert(asserted, target, receiver.rules, party, restricted=restricted)
    _ask_privacy(source, target, hidden=restricted and bool(asserted))
    if passage.within_trust and told:
        for name in ("Diversion", "History-Info"):
            values = [_told(one, passage) for one in addresses_in(source, name.lower())]
            if values:
                target.append(name, ", ".join(values))
        if not passage.origin.presentation.breaks_signature:
            for value in source.headers.all("identity"):
                target.append("Identity", value)


def _assert(
    asserted: list[str], target: Headers, rules: IdentityRules, party: str, *, restricted: bool
) -> None:
    """Write identities in the shape that the receiver wants."""
    if not asserted:
        return
    if rules.present == "pai":
        target.append("P-Asserted-Identity", ", ".join(asserted))
    elif rules.present == "ppi":
        target.append("P-Preferred-Identity", asserted[0])
    elif rules.present == "rpid":
        privacy = "full" if restricted else "off"
        params = f";party={party};screen=yes;privacy={privacy}"
        target.append("Remote-Party-ID", asserted[0] + params)


def _ask_privacy(source: Message, target: Headers, *, hidden: bool) -> None:
    """Hand on what privacy was asked for; who hides behind From alone gets `id`."""
    wanted = [value for value in _privacy(source) if not (hidden and value == "none")]
    if hidden and "id" not in wanted:
        wanted.append("id")
    if wanted:
        target.append("Privacy", ";".join(wanted))


def _is_restricted(source: Message, passage: Passage) -> bool:
    """Whether whoever sent a message is to stay unknown outside the trust domain."""
    if passage.receiver.rules.privacy == "ignore":
        return False
    if passage.origin.presentation.anonymous:
        return True
    wanted = privacy_of(source)
    if "none" in wanted:
        return False
    if wanted & _RESTRICTING:
        return True
    if isinstance(source, Request) and is_anonymous(source):
        return True
    if not passage.origin.trusted:
        return False
    old = addresses_in(source, "remote-party-id")[:1]
    return any((one.param("privacy") or "off").lower() != "off" for one in old)


def _may_know(invite: Request, passage: Passage) -> bool:
    """Whether From may say who wants to be unknown: inside, where nothing else would say it."""
    receiver = passage.receiver
    if not receiver.trusted or receiver.rules.present == "from":
        return False
    if passage.origin.presentation.anonymous:
        return False
    return not _asserted(invite, passage)


def _privacy(source: Message) -> list[str]:
    """The registered privacy values of a message, each once (RFC 3323 §4.2)."""
    text = ";".join(source.headers.all("privacy")).replace(",", ";").lower()
    values = dict.fromkeys(value.strip() for value in text.split(";"))
    return [value for value in values if value in _PRIVACY]


def _asserted(source: Message, passage: Passage) -> list[str]:
    """What the origin asserts of itself, or we of it, as the receiver gets it."""
    origin = passage.origin
    if origin.rules.asserted == "drop":
        return []
    if origin.trusted:
        found = asserted_by(source)
        if found:
            return list(dict.fromkeys(_presented(one, passage) for one in found))
    if origin.rules.asserted != "make" or not isinstance(source, Request):
        return []
    if source.method not in _ASSERTING:
        return []
    if origin.registered:
        uri = Uri("sip", escape_user(origin.registered.replace("%", "%25")), None, "registered")
        return [_presented(NameAddr("", uri), passage)]
    if origin.trusted and not is_anonymous(source) and source.from_.uri.user:
        return [_presented(source.from_, passage)]
    return []


def asserted_by(source: Message) -> list[NameAddr]:
    """Who a message asserts to be from, in whatever shape, believed or not."""
    for name in ("p-asserted-identity", "remote-party-id", "p-preferred-identity"):
        found = addresses_in(source, name)[:_MOST]
        if found:
            return found
    return []


def claims_anybody(source: Message, rules: IdentityRules) -> bool:
    """Whether a message of somebody trusted says anything that `pass_identities` would tell."""
    made = rules.asserted == "make" and isinstance(source, Request)
    return (made and source.cseq.method in _ASSERTING) or any(map(source.headers.has, _CLAIMING))


def privacy_of(source: Message) -> frozenset[str]:
    """The registered privacy values of a message (RFC 3323 §4.2)."""
    return frozenset(_privacy(source))


def is_anonymous(request: Request) -> bool:
    """Whether From already says nothing (RFC 3323 §4.1.1.3)."""
    try:
        uri = request.from_.uri
    except ParseError:
        return False
    return names_nobody(uri)


def names_nobody(uri: Uri) -> bool:
    """Whether a URI stands for somebody who is not to be known (RFC 3323 §4.1.1.3)."""
    return uri.host == ANONYMOUS_HOST or (uri.user or "").lower() == "anonymous"


def addresses_in(source: Message, name: str) -> list[NameAddr]:
    """The addresses in a header, named in lower case; none if any is malformed.

    What is none here is passed on to nobody.
    """
    found: list[NameAddr] = []
    try:
        for value in source.headers.all(name):
            found += parse_name_addrs_untrusted(value)
    except ParseError:
        return []
    return found


def _told(address: NameAddr, passage: Passage) -> str:
    """Who diverted a call, with our host, the number as the receiver wants it, and why it was."""
    number = passage.number(address.uri, "caller").number
    params = join_params(tuple(one for one in address.params if one[0] in _KEPT_PARAMS))
    return _written(address, number, passage) + params


def _presented(address: NameAddr, passage: Passage) -> str:
    """An asserted identity of who calls, with our host, as policy has it presented."""
    shown, rewritten = passage.caller(address)
    return _written(shown, rewritten.number, passage)


def _written(address: NameAddr, number: str, passage: Passage) -> str:
    if address.uri.scheme == "tel" and is_global(number):
        display = f"{quote(address.display)} " if address.display else ""
        return f"{display}<tel:{number}>"
    plain = str(NameAddr(address.display, address.uri))
    return identity(plain, passage.receiver.host, None, number)
