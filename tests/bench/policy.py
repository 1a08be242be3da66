"""What a decision costs: the policy of a call with few rules or entries, and a hundred thousand.

No sockets: the engine alone, on a parsed INVITE whose numbers are read anew each time. Prints one
JSON line; times are microseconds for one call that all rules let through, medians of several runs.
`sources`, `numbers` and `users` are so many rules that each ask for one of those; `set_networks`
and `set_numbers` two rules that ask for a set of so many entries; `build_s` the seconds that it
takes to make all that. `new_number` is what the numbering plan says of a number that was never
called before, its country and its kind: most of what a rule costs that asks for those first.

    python -m tests.bench.policy
    python -m tests.bench.policy --rules 10 1000 --runs 9
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from ipaddress import ip_network
from pathlib import Path

from sbc.numbering import WorldKinds
from sbc.policy.access import decide, screen
from sbc.policy.conditions import Conditions, asks
from sbc.policy.facts import Facts
from sbc.policy.library import Library
from sbc.policy.load import combine, load_policy
from sbc.policy.model import PolicySet
from sbc.policy.rules import Action, Rule
from sbc.sip.message import Request
from sbc.sip.parser import parse_message_untrusted

_POLICIES = Path(__file__).parents[2] / "policies"
_CALLS = 2000
_INVITE = (
    b"INVITE sip:+4930123456@sbc.example SIP/2.0\r\n"
    b"Via: SIP/2.0/UDP 203.0.113.7:5060;branch=z9hG4bKx\r\nMax-Forwards: 70\r\n"
    b"From: <sip:+498912345@sbc.example>;tag=1\r\nTo: <sip:+4930123456@sbc.example>\r\n"
    b"Call-ID: a@b\r\nCSeq: 1 INVITE\r\nContact: <sip:+498912345@203.0.113.7>\r\n"
    b"User-Agent: Phone/1\r\nContent-Length: 0\r\n\r\n"
)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rules", type=int, nargs="+", default=[10, 1000, 100_000])
    parser.add_argument("--runs", type=int, default=7)
    given = parser.parse_args()
    edge = load_policy((_POLICIES / "edge-default.yaml").read_text(), "edge-default.yaml")
    figures: dict[str, object] = {"edge_default_us": measured(combine([edge]), given.runs)}
    for kind, rule_of in _KINDS.items():
        for count in given.rules:
            sys.stderr.write(f"{kind}: {count} rules\n")
            began = time.perf_counter()
            policy = policy_of(count, rule_of)
            figures[f"{kind}_{count}_build_s"] = round(time.perf_counter() - began, 2)
            figures[f"{kind}_{count}_us"] = measured(policy, given.runs)
    for kind, entry_of in _ENTRIES.items():
        for count in given.rules:
            sys.stderr.write(f"set of {kind}: {count} entries\n")
            began = time.perf_counter()
            policy = policy_with_set(kind, count, entry_of)
            figures[f"set_{kind}_{count}_build_s"] = round(time.perf_counter() - began, 2)
            figures[f"set_{kind}_{count}_us"] = measured(policy, given.runs)
    figures["new_number_us"] = new_number(given.runs)
    sys.stdout.write(json.dumps(figures) + "\n")


def policy_of(count: int, rule_of: Callable[[int], Conditions]) -> PolicySet:
    """A policy of so many rules that reject others, and one that lets our call through."""
    last = Rule("calls", asks(method="INVITE"), Action("allow"), "bench:0")
    rules = [
        Rule(f"r{number}", rule_of(number), Action("reject", 403), f"bench:{number}")
        for number in range(count)
    ]
    return PolicySet([*rules, last], stages={"geo": rules})


def policy_with_set(kind: str, count: int, entry_of: Callable[[int], str]) -> PolicySet:
    """A policy that rejects what is in a set, on arrival and afterwards, and allows the rest."""
    listed = "\n".join(map(entry_of, range(count)))
    asked = {"networks": "source", "numbers": "called"}[kind]
    when = f'when: {{{asked}: "set:feed"}}, then: reject 403'
    text = (
        f"sets: {{feed: {{kind: {kind}, file: feed.txt}}}}\n"
        f"rules: [{{name: listed, {when}}}, {{name: rest, then: allow}}]\n"
        f"geo: [{{name: listed too, {when}}}]\n"
    )
    return combine([load_policy(text, "bench.yaml", library=Library(read=lambda _: listed))])


def new_number(runs: int) -> float:
    """Microseconds for the country and kind of a number that nobody asked about before."""
    times = []
    for run in range(runs):
        kinds = WorldKinds(["DE"])
        began = time.perf_counter()
        for number in range(_CALLS):
            asked = f"+4930{run * _CALLS + number + 10**6}"
            assert kinds.country(asked) == "DE"
            kinds.kind(asked)
        times.append((time.perf_counter() - began) / _CALLS * 1e6)
    return round(statistics.median(times), 1)


def _network(number: int) -> str:
    return f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}/32"


def _number(number: int) -> str:
    return f"+88{number:06}*"


_ENTRIES: dict[str, Callable[[int], str]] = {"networks": _network, "numbers": _number}


def _by_source(number: int) -> Conditions:
    return asks(source=[ip_network(f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}")])


def _by_number(number: int) -> Conditions:
    return asks(called=f"+88{number}*", trust="untrusted")


def _by_user(number: int) -> Conditions:
    return asks(user=f"user{number}", called_country="XX")


_KINDS = {"sources": _by_source, "numbers": _by_number, "users": _by_user}


def measured(policy: PolicySet, runs: int) -> float:
    """Microseconds that both halves of a decision take."""
    request = parse_message_untrusted(_INVITE)
    assert isinstance(request, Request)
    times = []
    for _ in range(runs):
        began = time.perf_counter()
        for _ in range(_CALLS):
            facts = Facts(
                "outside", False, "203.0.113.7", "INVITE", registered=True, request=request
            )
            facts.user = "alice"
            decision = screen(policy, facts, decide(policy, facts))
            assert decision.allowed
        times.append((time.perf_counter() - began) / _CALLS * 1e6)
    return round(statistics.median(times), 1)


if __name__ == "__main__":
    main()
