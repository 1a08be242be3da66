"""Facts about how a request is protected, what media it offers, and who it says that it is from.

The table is part of `sbc.policy.facts.FACTS`.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, Protocol

from sbc.policy.display_numbers import is_same_number, numbers_in
from sbc.policy.identity import (
    addresses_in,
    asserted_by,
    is_anonymous,
    names_nobody,
    privacy_of,
)
from sbc.policy.offers import Offered, offer_of_untrusted
from sbc.sip.errors import ParseError
from sbc.sip.fields.name_addr import NameAddr
from sbc.sip.uri import Uri

if TYPE_CHECKING:
    from sbc.policy.facts import Facts
    from sbc.sip.message import Request

_SHORTEST: Final = 8
"""Digits below which a number has no neighbours: it is an extension or a short code."""

_BLOCK: Final = 4
"""How many last digits neighbours may differ in. Of a number of +1 the rest is its NPA-NXX."""


Ownership = Literal["own", "foreign", "unlisted", "nothing"]
"""Whose numbers are: the sender's, not the sender's, not known, or there are none."""


class Owned(Protocol):
    """The numbers that somebody owns."""

    def matches(self, value: str) -> bool:
        """Whether a number, in the form that it has inside, is one of them."""


class Owners(NamedTuple):
    """Who may present which numbers."""

    peers: Mapping[str, Owned] = {}
    users: Mapping[str, Owned] = {}


NOBODY: Final = Owners()


def _offer(facts: "Facts") -> Offered:
    found: Offered = facts.once("offer", lambda: offer_of_untrusted(facts.request))
    return found


def _is_anonymous(facts: "Facts") -> bool:
    request = facts.request
    if request is None:
        return False
    if is_anonymous(request) or privacy_of(request) & {"id", "user", "header"}:
        return True
    try:
        return request.from_.display.strip().lower() == "anonymous"
    except ParseError:
        return False


def _asserted_numbers(facts: "Facts") -> list[str]:
    """Whom the request asserts to be from, as often as it says so to others; ``""`` for no number.

    In the form that numbers have inside.
    """

    def find() -> list[str]:
        found = [] if facts.request is None else asserted_by(facts.request)
        return [facts.presented(one.uri) for one in found]

    value: list[str] = facts.once("asserted", find)
    return value


def asserted_number(facts: "Facts") -> str:
    """Whom the request asserts to be from first; ``""`` for no number."""
    return next(iter(_asserted_numbers(facts)), "")


def _shown_number(facts: "Facts", request: "Request") -> str:
    """What From presents; what hides has no number, or it shows that all the same."""
    return _unhidden(request.from_.uri, facts.caller_number)


def _unhidden(uri: Uri, number: str) -> str:
    """The number of a URI, unless that hides whose it is; ``""`` then."""
    hides = names_nobody(uri) and not any(char.isdigit() for char in number)
    return "" if hides else number


def _named_numbers(facts: "Facts", address: NameAddr) -> list[str]:
    """The numbers that a display name writes, in the form that numbers have inside."""
    return [facts.presented(Uri("sip", number, None, "")) for number in numbers_in(address.display)]


def _presenters(request: "Request") -> list[NameAddr]:
    """Whoever a request says that it is from."""
    return [request.from_, *asserted_by(request)]


def presents(facts: "Facts") -> Ownership:
    """Whether the numbers that a request presents are its sender's."""
    request = facts.request
    if request is None:
        return "nothing"
    named = [n for one in _presenters(request) for n in _named_numbers(facts, one)]
    return _whose(facts, [_shown_number(facts, request), *_asserted_numbers(facts), *named])


def _is_misnamed(facts: "Facts") -> bool:
    """Whether a display name writes a number that is not the one which it stands with."""
    for address in [] if facts.request is None else _presenters(facts.request):
        number = facts.presented(address.uri)
        if number.removeprefix("+").isdigit():
            # As it is written, too: the caller's country need not be the one of its peer.
            pairs = zip(numbers_in(address.display), _named_numbers(facts, address), strict=True)
            if not all(any(is_same_number(number, one) for one in pair) for pair in pairs):
                return True
    return False


def _forwards_from(facts: "Facts") -> Ownership:
    """Whether the number that a call was forwarded from last is its sender's.

    The newest Diversion is the first (RFC 5806 §5.1). History-Info ends with the call itself, or
    with who forwarded it where that did not add whom it called.
    """
    request = facts.request
    if request is None:
        return "nothing"
    history = addresses_in(request, "history-info")[-2:]
    if history and is_same_number(facts.presented(history[-1].uri), facts.called_number):
        history.pop()
    last = addresses_in(request, "diversion")[:1] + history[-1:]
    return _whose(facts, [_unhidden(one.uri, facts.presented(one.uri)) for one in last])


def _whose(facts: "Facts", presented: list[str]) -> Ownership:
    numbers = [number for number in presented if number]
    if not numbers:
        return "nothing"
    owned = _owned(facts)
    if owned is None:
        return "unlisted"
    return "own" if all(owned.matches(number) for number in numbers) else "foreign"


def _owned(facts: "Facts") -> Owned | None:
    """The list that holds for a sender: its user's, else that of its peer or group of phones."""
    owners = facts.owners
    for user in (facts.user, facts.phone):
        if user in owners.users:
            return owners.users[user]
    return owners.peers.get(facts.peer or facts.group)


def _is_neighbour(facts: "Facts") -> bool:
    caller, called = (
        number.removeprefix("+") for number in (facts.caller_number, facts.called_number)
    )
    if len(caller) != len(called) or len(caller) < _SHORTEST:
        return False
    if not (caller + called).isdigit() or caller[:-_BLOCK] != called[:-_BLOCK]:
        return False
    return presents(facts) != "own"


CALL_FACTS: Final[dict[str, tuple[str, Callable[["Facts"], Any], str, Any]]] = {
    "tls_version": (
        "amount",
        lambda facts: facts.tls_version,
        "Version of TLS that it came by; 0 without TLS.",
        {"below": 1.3},
    ),
    "client_certificate": (
        "flag",
        lambda facts: bool(facts.proven),
        "Whether its sender showed a certificate that the network's `tls` accepts.",
        None,
    ),
    "sdp": (
        "flag",
        lambda facts: _offer(facts).is_there,
        "Whether it carries a session description that can be read.",
        None,
    ),
    "media": (
        "names",
        lambda facts: _offer(facts).media,
        "Kinds of media, any of which it offers.",
        ["audio", "video"],
    ),
    "codecs": (
        "names",
        lambda facts: _offer(facts).codecs,
        "Codecs, any of which it offers.",
        ["g729"],
    ),
    "srtp": (
        "protections",
        lambda facts: _offer(facts).srtp,
        (
            "How media that it offers is protected: `none`, `sdes` (keys in SIP), `dtls`; an offer "
            "may have several."
        ),
        "none",
    ),
    "asserted": (
        "numbers",
        asserted_number,
        (
            "Numbers of P-Asserted-Identity (or what stands for it), in the form that they have "
            "inside; patterns as in `called`."
        ),
        "+49301234*",
    ),
    "anonymous": (
        "flag",
        _is_anonymous,
        "Whether its sender hides: From is anonymous, or Privacy asks for it.",
        None,
    ),
    "presents": (
        "ownership",
        presents,
        (
            "Whether the numbers of From and P-Asserted-Identity, and those that their display "
            "names write, are in the list that `owners` has for its sender: `own`, `foreign`, "
            "`unlisted` (no list), `nothing` (no number)."
        ),
        "foreign",
    ),
    "forwards_from": (
        "ownership",
        _forwards_from,
        (
            "Whether the number that the call was forwarded from last, by Diversion or "
            "History-Info, is in that list, likewise; `nothing` for a call that was not forwarded."
        ),
        "foreign",
    ),
    "misnamed": (
        "flag",
        _is_misnamed,
        (
            "Whether a display name of From or P-Asserted-Identity writes another telephone number "
            "than the one that it stands with."
        ),
        None,
    ),
    "neighbour": (
        "flag",
        _is_neighbour,
        (
            "Whether From's number differs from the called one in the last four digits at most, as "
            "spoofed ones do, and is not the sender's `own`."
        ),
        None,
    ),
}
"""Kind, how it is read, description, example. None is asked before a message is parsed."""
