"""The facts that conditions of a policy may ask for; schema and reference are made of the table.

Cheap facts are handed in; what takes reading (numbers, a description, a database) is found when a
condition first asks for it, and once per request.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from operator import attrgetter
from typing import Any, Final, NamedTuple

from sbc.policy.appearance import plain_form
from sbc.policy.call_facts import CALL_FACTS, NOBODY, Owners
from sbc.policy.emergency import is_emergency_service
from sbc.policy.money_facts import MONEY_FACTS
from sbc.policy.numbers import dialled, number_of, received
from sbc.policy.world import NO_WORLD, World
from sbc.routing.numbers import AS_WRITTEN, NumberRules
from sbc.sip.flow import SECURED, Transport
from sbc.sip.headers import Headers, key_of
from sbc.sip.message import Message, Request, Response
from sbc.sip.uri import Uri

SECRET: Final = frozenset(
    {"authorization", "proxy-authorization", "www-authenticate", "proxy-authenticate",
     "authentication-info", "proxy-authentication-info"}
)  # fmt: skip
"""Headers that prove who sends a message: no rule reads them, so that no explanation shows them."""


@dataclass(slots=True)
class Facts:
    """What is known about a request when it is decided on."""

    network: str
    trusted: bool
    """Whether that network is trusted."""
    host: str
    """Numeric source address."""
    method: str = ""
    peer: str | None = None
    """The PBX or trunk that the source address belongs to, if any."""
    registered: bool = False
    """Whether the request came on the flow of a live binding."""
    aor: str = ""
    """Whose binding that is: canonical ``sip:user@host``."""
    user_agent: str | None = None
    """Value of User-Agent (Server in none of them)."""
    port: int = 0
    transport: Transport = "udp"
    proven: tuple[str, ...] = ()
    """Domains that the client's certificate of the connection proves."""
    tls_version: float = 0.0
    """Of the connection, as 1.3; 0 without TLS."""
    phone: str = ""
    """The user of the live binding whose flow it came on."""
    group: str = ""
    """The peer whose rules hold for that phone."""
    owners: Owners = NOBODY
    """Who may present which numbers, by the policy that decides."""
    user: str = ""
    """Who proved to have sent it by credentials, once that is known."""
    request: Request | None = None
    """None before anything is parsed."""
    message: Message | None = None
    """Whose headers are asked about, where that is not the request."""
    called: Uri | None = None
    """Whom it calls."""
    numbers: NumberRules = AS_WRITTEN
    """In which form its sender sends numbers."""
    world: World = NO_WORLD
    now: float = 0.0
    """Seconds since 1970."""
    found: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)
    """What was found already, by name of the fact."""

    @property
    def trust(self) -> str:
        """``trusted`` or ``untrusted``, as a policy says it."""
        return "trusted" if self.trusted else "untrusted"

    @property
    def known_peer(self) -> bool:
        """Whether it comes from a configured PBX or trunk."""
        return self.peer is not None

    @property
    def secure(self) -> bool:
        """Whether nobody on this hop could read or change it."""
        return self.transport in SECURED

    def once(self, name: str, find: Callable[[], Any]) -> Any:
        """A costly fact: found when first asked for."""
        try:
            return self.found[name]
        except KeyError:
            value = self.found[name] = find()
            return value

    @property
    def called_number(self) -> str:
        """Whom it calls in the form that numbers have inside; ``""`` for nobody."""
        value: str = self.once("called", self._called_number)
        return value

    @property
    def caller_number(self) -> str:
        """Whom From names in the form that numbers have inside; ``""`` for nobody."""
        value: str = self.once("caller", self._caller_number)
        return value

    @property
    def emergency(self) -> bool:
        """Whether it is a call for an emergency service."""
        value: bool = self.once("emergency", self._emergency)
        return value

    def _target(self) -> Uri | None:
        from_request = None if self.request is None else self.request.uri
        return self.called or from_request

    def _called_number(self) -> str:
        uri = self._target()
        # As routes read it, or a context would hide from rules what is called.
        return "" if uri is None else dialled(uri, self.numbers, self.world).number

    def _emergency(self) -> bool:
        if self.method != "INVITE":
            # Or a registration that writes 112 somewhere would pass what only calls may.
            return False
        uri = self._target()
        if uri is not None and is_emergency_service(uri):
            return True
        return self.world.is_emergency(self.called_number)

    def _caller_number(self) -> str:
        return "" if self.request is None else self.presented(self.request.from_.uri)

    def presented(self, uri: Uri) -> str:
        """The number that its sender presents by a URI, in the form that numbers have inside."""
        return received(number_of(uri), self.numbers, "caller", self.world.plan).number


class Fact(NamedTuple):
    """One fact that conditions may ask for."""

    kind: str
    """What its values are and how they are asked for: a key of `conditions.KINDS`."""
    read: Callable[[Facts], Any]
    description: str
    example: Any
    parsed: bool = True
    """Whether it is known only once a message was parsed."""
    answers: bool = False
    """Whether it is something of responses, which only rules for messages see."""


def _headers(facts: Facts) -> Headers:
    message = facts.message or facts.request
    return Headers() if message is None else message.headers


def _header_names(facts: Facts) -> frozenset[str]:
    """As they are written and, of compact ones, what they stand for (RFC 3261 §7.3.3)."""
    names = [name for name, _ in _headers(facts).items()]
    return frozenset((*map(str.lower, names), *map(key_of, names)))


def header_fact(name: str) -> Fact:
    """The fact of what one header says: all its values, as one list (RFC 3261 §7.3.1)."""
    return Fact("regex", _Said(key_of(name)), f"What {name} says.", None)


@dataclass(frozen=True, slots=True)
class _Said:
    """Reads a header; equal for the same one, so that rules of two loads can be compared."""

    key: str

    def __call__(self, facts: Facts) -> str:
        return _text(", ".join(_headers(facts).all(self.key)))


def _status(facts: Facts) -> str:
    return str(facts.message.status) if isinstance(facts.message, Response) else ""


def _text(value: str | None) -> str:
    """A header's text as it is compared: what looks the same is the same."""
    return "" if value is None else plain_form(value)


def _domain(facts: Facts) -> str:
    if facts.request is None:
        return ""
    # With a dot at its end, a name is the same (RFC 1034 §3.1).
    return (facts.called or facts.request.uri).host.lower().removesuffix(".")


def _diversions(facts: Facts) -> float:
    request = facts.request
    if request is None:
        return 0.0
    found = request.headers.values("diversion"), request.headers.values("history-info")
    # The first entry of History-Info is the call itself (RFC 7044 §7.1).
    return float(max(len(found[0]), len(found[1]) - 1, 0))


FACTS: Final[dict[str, Fact]] = {
    "network": Fact(
        "networks", attrgetter("network"), "Names of networks it came on.", "outside", False
    ),
    "trust": Fact("trust", attrgetter("trust"), "Trust of the network it came on.", None, False),
    "source": Fact(
        "prefixes",
        attrgetter("host"),
        "Addresses or prefixes of the source, or `set:NAME` for those of a set.",
        "192.0.2.0/24",
        False,
    ),
    "transport": Fact(
        "transports", attrgetter("transport"), "Transports it came by.", ["tls", "wss"], False
    ),
    "peer": Fact(
        "peers",
        attrgetter("peer"),
        "Names of peers, known by source address, certificate or credentials.",
        "pbx",
        False,
    ),
    "known_peer": Fact(
        "flag",
        attrgetter("known_peer"),
        "Whether the source belongs to any PBX or trunk.",
        None,
        False,
    ),
    "registered": Fact(
        "flag",
        attrgetter("registered"),
        "Whether it came from a phone with a live registration, on that registration's flow.",
        None,
        False,
    ),
    "secure": Fact("flag", attrgetter("secure"), "Whether it came by TLS or WSS.", None, False),
    "certificate": Fact(
        "domains",
        attrgetter("proven"),
        "Domains that the client's certificate proves; `*.example.com` for all below it.",
        "trunk.example.com",
        False,
    ),
    "source_country": Fact(
        "countries",
        lambda facts: facts.once("source_country", partial(facts.world.places.country, facts.host)),
        "Countries (ISO 3166 letters) of the source address; `unknown` for none.",
        ["DE", "AT"],
        False,
    ),
    "source_asn": Fact(
        "asns",
        lambda facts: facts.once("source_asn", partial(facts.world.places.asn, facts.host)),
        "Autonomous systems that announce the source address; `unknown` for none.",
        ["64500"],
        False,
    ),
    "method": Fact("methods", attrgetter("method"), "Methods, in capitals.", "REGISTER"),
    "user_agent": Fact(
        "pieces",
        lambda facts: _text(facts.user_agent).lower(),
        "Pieces of the User-Agent header, any of which it contains; case is ignored.",
        "friendly-scanner",
    ),
    "user_agent_matches": Fact(
        "regex",
        lambda facts: _text(facts.user_agent),
        "Regular expressions (RE2) for the User-Agent header, any of which it matches somewhere.",
        "^Cisco-CP[0-9]+",
    ),
    "header": Fact(
        "names", _header_names, "Names of headers, any of which it has.", ["P-Asserted-Identity"]
    ),
    "header_matches": Fact(
        "headers",
        _headers,
        "By the name of a header, regular expressions (RE2), any of which what it says matches "
        "somewhere; several values are one text with commas. All headers named must match.",
        {"X-Department": "^(sales|support)$"},
    ),
    "status": Fact(
        "statuses",
        _status,
        "Statuses of a response: `486`, or `4xx` for a class.",
        ["486", "6xx"],
        answers=True,
    ),
    "domain": Fact(
        "domains",
        lambda facts: (_domain(facts),),
        "Domains that it is for (Request-URI); `*.example.com` for all below it.",
        "example.com",
    ),
    "called": Fact(
        "numbers",
        attrgetter("called_number"),
        "Called numbers, in the form that they have inside: exact, `+49*`, `600-699`, `6??`, or "
        "`set:NAME`.",
        ["+49*", "set:premium"],
    ),
    "called_country": Fact(
        "countries",
        lambda facts: facts.once(
            "called_country", lambda: facts.world.numbers.country(facts.called_number)
        ),
        "Countries of the called number, members of +1 told apart; `unknown` for none.",
        ["DE", "AT"],
    ),
    "called_type": Fact(
        "number_kinds",
        lambda facts: facts.once(
            "called_type", lambda: facts.world.numbers.kind(facts.called_number)
        ),
        "What the called number is.",
        ["premium", "satellite"],
    ),
    "emergency": Fact(
        "flag",
        attrgetter("emergency"),
        "Whether it is for an emergency service, by its number or as `urn:service:sos`.",
        None,
    ),
    "caller": Fact(
        "numbers",
        attrgetter("caller_number"),
        "Numbers of From, in the form that they have inside; patterns as in `called`.",
        "+49301234*",
    ),
    "caller_country": Fact(
        "countries",
        lambda facts: facts.once(
            "caller_country", lambda: facts.world.numbers.country(facts.caller_number)
        ),
        "Countries of From's number; `unknown` for none.",
        ["DE"],
    ),
    "caller_type": Fact(
        "number_kinds",
        lambda facts: facts.once(
            "caller_type", lambda: facts.world.numbers.kind(facts.caller_number)
        ),
        "What From's number is.",
        ["invalid"],
    ),
    "forwards": Fact(
        "amount",
        lambda facts: facts.once("forwards", partial(_diversions, facts)),
        "How often the call was forwarded before, by Diversion or History-Info.",
        {"above": 2},
    ),
    "authenticated": Fact(
        "flag",
        lambda facts: bool(facts.user),
        "Whether its sender proved to be a user by credentials. Known from `geo` on.",
        None,
    ),
    "user": Fact(
        "words",
        attrgetter("user"),
        "Users that its sender proved to be by credentials. Known from `geo` on.",
        "alice",
    ),
    "time": Fact(
        "calendars",
        attrgetter("now"),
        "Names of `calendars`, any of which the present moment lies in.",
        "office hours",
        False,
    ),
    **{name: Fact(*told) for name, told in CALL_FACTS.items()},
    **{name: Fact(*told) for name, told in MONEY_FACTS.items()},
}
"""By the key that a condition has in a file."""

AFTER_ARRIVAL: Final = ("authenticated", "user")
"""The facts that are not known on arrival, before passwords are checked."""
