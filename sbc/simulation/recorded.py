"""Recorded calls as cases: what a record says of a call, and what must be assumed.

A record says who called whom, from where, when, and on whose account. Of the rest it says what the
rules that decided had looked at, in its explanation.
"""

from collections.abc import Container, Iterable, Mapping
from datetime import UTC, datetime
from typing import Final

from sbc.driver.in_force import InForce
from sbc.management.replay import explained
from sbc.policy.conditions import Evidence
from sbc.policy.model import PolicySet
from sbc.policy.money_facts import COUNTS
from sbc.simulation.cases import Case
from sbc.state.cdr import CdrRecord

_OFFER: Final = "one stream of G.711 in plain RTP"
_HEADERS: Final = "no header but those that every call has"
_FROM: Final = "From alone says who calls"
_NOT_FORWARDED: Final = "not forwarded"

ASSUMED: Final[Mapping[str, str]] = {
    "transport": "the first transport of its network",
    "secure": "the first transport of its network",
    "tls_version": "TLS 1.3 where it came by TLS",
    "certificate": "a peer proves the names that it has",
    "client_certificate": "a peer proves the names that it has",
    "user_agent": "no User-Agent",
    "user_agent_matches": "no User-Agent",
    "header": _HEADERS,
    "header_matches": _HEADERS,
    "domain": "our own domain",
    "sdp": _OFFER,
    "media": _OFFER,
    "codecs": _OFFER,
    "srtp": _OFFER,
    "asserted": _FROM,
    "anonymous": _FROM,
    "presents": _FROM,
    "neighbour": _FROM,
    "misnamed": _FROM,
    "forwards": _NOT_FORWARDED,
    "forwards_from": _NOT_FORWARDED,
    "new_country": "no call before it",
    "calls_back": "no call before it",
    **dict.fromkeys(COUNTS, "no call before it"),
}
"""By the facts that a record does not say, how they are taken to be."""

_NO_VALUE: Final = ("", "none")


def case_of(record: CdrRecord, force: InForce) -> Case:
    """The message that began a call, as far as its record says.

    Raises:
        ValueError: no message of ours could have its numbers, its address or its time.
    """
    peer = force.table.peer(record.a.peer)
    known = explained(record)
    transport = known.get("transport", force.networks[record.a.network].listeners[0].transport)
    agent = known.get("user_agent_matches", known.get("user_agent", ""))
    return Case.model_validate(
        {
            "name": record.call,
            "from": record.a.address,
            "network": record.a.network,
            "transport": transport,
            "certificate": list(() if peer is None or peer.tls is None else peer.tls.names),
            "registered": peer is not None and peer.kind == "endpoints",
            "user": _user(record),
            "time": _time(record),
            "caller": record.from_number,
            "called": record.to_number,
            "user_agent": None if agent in _NO_VALUE else agent,
            "expect": {},
        }
    )


def assumed(record: CdrRecord, tested: Iterable[Evidence]) -> frozenset[str]:
    """What was assumed of a call, of all that a decision looked at."""
    return _assumptions((one.fact for one in tested), explained(record))


def assumed_under(policies: PolicySet) -> frozenset[str]:
    """What is assumed of calls that any rule of a policy asks about."""
    rules = (rule for found in policies.stages.values() for rule in found)
    return _assumptions((test.name for rule in rules for test in rule.when.tests), ())


def _assumptions(names: Iterable[str], said: Container[str]) -> frozenset[str]:
    """What is assumed of facts; those of one header have its name behind theirs."""
    facts = {name.partition(" ")[0] for name in names}
    return frozenset(ASSUMED[one] for one in facts if one in ASSUMED and one not in said)


def _user(record: CdrRecord) -> str:
    """Who logged in; of records that do not say who paid, whoever it said to be."""
    if record.account is None:
        return record.from_number
    kind, _, name = record.account.partition(" ")
    return name if kind == "user" else ""


def _time(record: CdrRecord) -> str:
    try:
        return datetime.fromtimestamp(record.started_at, UTC).isoformat()
    except (OverflowError, OSError) as error:
        raise ValueError(str(error)) from None
