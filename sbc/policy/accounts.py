"""Who pays for a call: the account that it is counted for."""

from typing import Final
from urllib.parse import unquote

from sbc.policy.facts import Facts
from sbc.prefixes import source_key
from sbc.sip.fields.name_addr import parse_name_addr_untrusted
from sbc.sip.message import Request

STRANGER: Final = "source "
"""What accounts of addresses begin with, and no other."""
FORWARDING: Final = " forwarding "
"""What stands between who sends a call and the user that forwarded it."""
LONGEST_NAME: Final = 128


def account_of(facts: Facts) -> str:
    """Who sends a request: user, registered phone, peer or address, the first that is known."""
    if facts.user:
        return f"user {facts.user}"[:LONGEST_NAME]
    if facts.registered and facts.aor:
        return f"phone {facts.aor.removeprefix('sip:')}"[:LONGEST_NAME]
    if facts.peer is not None:
        return f"peer {facts.peer}"
    return STRANGER + str(source_key(facts.host))


def diverter_of(facts: Facts) -> str:
    """The account of whoever forwarded a call last; ``""`` where nobody says to have done so.

    It is told apart by who says it, so that nobody spends what another may.

    Raises:
        ParseError: Diversion or History-Info is malformed (400).
    """
    user: str = facts.once("diverter", lambda: _diverting_user(facts.request))
    return f"{account_of(facts)}{FORWARDING}{user}"[:LONGEST_NAME] if user else ""


def _diverting_user(request: Request | None) -> str:
    """The newest Diversion is the first (RFC 5806 §5.1); History-Info ends with the call itself."""
    if request is None:
        return ""
    diversions = request.headers.values("diversion")
    if diversions:
        return _user_of(diversions[0])
    history = request.headers.values("history-info")
    return _user_of(history[-2]) if len(history) > 1 else ""


def _user_of(value: str) -> str:
    user = parse_name_addr_untrusted(value).uri.user or "anonymous"
    return unquote(user).partition(";")[0]
