"""What a configuration may say and nobody should mean: warnings, with place and cure."""

from collections.abc import Iterable, Iterator
from itertools import pairwise

from sbc.config.strangers import ANYWHERE, warn_of_strangers
from sbc.document.problem import Problem, Severity
from sbc.document.text import Document
from sbc.policy.conditions import Conditions
from sbc.policy.facts import AFTER_ARRIVAL, Facts
from sbc.policy.matchers import OneOf, within
from sbc.policy.model import ARRIVAL, SOURCES, STAGES, PolicySet, Stage
from sbc.policy.rules import STOPS, Rule
from sbc.policy.shadows import shadowed
from sbc.routing.model import Network, Peer, Route

_EXPENSIVE = ("called", "called_type", "called_country")
"""What a rule asks for that keeps calls from expensive numbers."""

_UNKNOWN_ON_ARRIVAL = {name: False if name == "authenticated" else "" for name in AFTER_ARRIVAL}
"""What a request says of the facts that are not known yet when it comes."""


def lint(
    document: Document,
    networks: tuple[Network, ...],
    peers: tuple[Peer, ...],
    routes: tuple[Route, ...],
    policy: PolicySet,
) -> None:
    """Warn of rules that can never match, of too wide trust and of limits that are missing."""
    warn_of_strangers(document, networks, peers, routes, policy)
    if document.broken:
        return
    _warn_of_missing_limits(document, networks, policy)
    _warn_of_open_trunks(document, networks, peers, routes, policy)
    document.problems += _too_wide(networks, policy)
    document.problems += _impossible(networks, peers, policy)
    document.problems += _known_of_nobody(policy)
    document.problems += _challenges_of_nobody(peers, policy)
    document.problems += _shadowed_across_files(policy)


def _warn_of_missing_limits(
    document: Document, networks: tuple[Network, ...], policy: PolicySet
) -> None:
    if not any(policy.stages.values()):
        return  # everything is denied, and another warning says so
    for network in networks:
        stranger = Facts(network.name, network.trusted, ANYWHERE)
        limited = any(limit.when.hold(stranger) for limit in policy.rate_limits)
        if not network.trusted and not limited:
            _warn(
                document,
                ("networks", network.name),
                f"nothing limits what strangers may send to {network.name!r}",
                "add a rate limit to a policy: {name: strangers, when: {trust: untrusted}, "
                "rate: 20, burst: 60}",
            )


def _warn_of_open_trunks(
    document: Document,
    networks: tuple[Network, ...],
    peers: tuple[Peer, ...],
    routes: tuple[Route, ...],
    policy: PolicySet,
) -> None:
    """Whoever has the password of one phone has all calls of the trunk, to wherever he likes."""
    untrusted = {network.name for network in networks if not network.trusted}
    phones = {p.name for p in peers if p.kind == "endpoints" and p.network in untrusted}
    restricted = any(
        rule.action.verb in {*STOPS, "cap"} and any(rule.when.asks(fact) for fact in _EXPENSIVE)
        for rules in policy.stages.values()
        for rule in rules
    )
    for peer in peers:
        ways = [
            route for route in routes if peer.name in route.to and _open(route, phones, untrusted)
        ]
        if peer.kind != "trunk" or not ways:
            continue
        way = f"phones may call through it by route {ways[0].name!r} ({ways[0].where})"
        if peer.limits.max_calls is None:
            _warn(
                document,
                ("peers", peer.name),
                f"{way}, and nothing limits how many calls at once",
                "for example: limits: {max_calls: 30}",
            )
        if not restricted and any(not route.numbers for route in ways):
            _warn(
                document,
                ("peers", peer.name),
                f"{way}, and no rule keeps them from expensive numbers",
                "add a fraud rule: {name: premium, when: {called_type: [premium, satellite]}, "
                "then: reject 403}",
            )


def _open(route: Route, phones: set[str], untrusted: set[str]) -> bool:
    """Whether calls of phones out there take a route, that of calls only."""
    if route.methods and "INVITE" not in route.methods:
        return False
    return bool(phones & set(route.from_peers) or untrusted & set(route.from_networks))


def _too_wide(networks: tuple[Network, ...], policy: PolicySet) -> Iterator[Problem]:
    """Rules that let strangers by every limit and every ban."""
    for rule in policy.stage("sources").all:
        exempt = [
            network.name
            for network in networks
            if not network.trusted
            and rule.action.verb == "allow"
            and rule.when.hold(Facts(network.name, network.trusted, ANYWHERE))
        ]
        if exempt:
            yield _of_rule(
                rule,
                f"{rule.name!r} lets anybody on {', '.join(map(repr, exempt))} by all limits "
                "and bans",
                "name the sources that need it: source: 192.0.2.0/24",
            )


def _impossible(
    networks: tuple[Network, ...], peers: tuple[Peer, ...], policy: PolicySet
) -> Iterator[Problem]:
    """Rules whose conditions contradict each other, or what is configured."""
    for stage in (SOURCES, *STAGES):
        for rule in policy.stage(stage.name).all:
            why = (
                _contradiction(rule.when)
                or _at_no_place(rule.when, networks, peers)
                or _too_early(rule.when, stage)
            )
            if why:
                yield _of_rule(
                    rule, f"{rule.name!r} can never match: {why}", "remove it or mend it"
                )


def _known_of_nobody(policy: PolicySet) -> Iterator[Problem]:
    """Conditions that hold for everybody, for what they must not be is not known yet."""
    for name in ARRIVAL:
        for rule in policy.stage(name).all:
            for fact, unknown in _UNKNOWN_ON_ARRIVAL.items():
                if rule.when.asks(fact) and rule.when.possible(**{fact: unknown}):
                    yield _of_rule(
                        rule,
                        f"{rule.name!r} asks for {fact}, which is not known before the stages "
                        "after authentication: that holds for everybody",
                        f"ask for {fact} in geo, identity or fraud",
                    )


def _challenges_of_nobody(peers: tuple[Peer, ...], policy: PolicySet) -> Iterator[Problem]:
    """Only who is asked for credentials when it comes can have proved who it is."""
    if any(peer.realm is not None for peer in peers):
        return
    for rule in policy.stage("identity").all:
        if rule.action.verb == "challenge":
            yield _of_rule(
                rule,
                f"{rule.name!r} refuses with 403 whom it matches, for no peer has a realm to ask "
                "for credentials",
                "add authentication: {mode: challenge, ...} to a peer, or write reject 403",
            )


def _contradiction(when: Conditions) -> str:
    wanted = [test for test in when.tests if not test.negated]
    for unwanted in (test for test in when.tests if test.negated):
        for test in wanted:
            if test.name == unwanted.name and within(test.matcher, unwanted.matcher):
                return f"it wants {test} and {unwanted}"
    return ""


def _at_no_place(when: Conditions, networks: tuple[Network, ...], peers: tuple[Peer, ...]) -> str:
    """Why no network, and no peer on it, is as the rule wants that names them.

    What names none is meant for more than one site: where nothing is trusted, the rules for what is
    trusted are no mistake.
    """
    if when.matcher("network") is None and when.matcher("peer") is None:
        return ""
    fitting = [
        network
        for network in networks
        if when.possible(network=network.name, trust=_trust(network))
        and any(when.possible(transport=one.transport) for one in network.listeners)
    ]
    if not fitting:
        return "no network is as its conditions want it"
    asked = when.matcher("peer")
    if not isinstance(asked, OneOf):
        return ""
    there = {peer.name for peer in peers if peer.network in {one.name for one in fitting}}
    return "" if asked.words & there else "its peers are on no network that it wants"


def _trust(network: Network) -> str:
    return "trusted" if network.trusted else "untrusted"


def _too_early(when: Conditions, stage: Stage) -> str:
    if stage.name in ARRIVAL:
        for name, unknown in _UNKNOWN_ON_ARRIVAL.items():
            if not when.possible(**{name: unknown}):
                return f"{name} is not known before the stages after authentication"
    if stage.calls_only and not when.possible(method="INVITE"):
        return f"in {stage.name} only calls are asked about, which are INVITEs"
    return ""


def _shadowed_across_files(policy: PolicySet) -> Iterator[Problem]:
    """Within one file they are found when it is read."""
    for stage in (SOURCES, *STAGES):
        rules = policy.stage(stage.name).all
        if not _several_files(rules):
            continue
        for below, above in shadowed([rule.when for rule in rules]):
            narrow, wide = rules[below], rules[above]
            if _file(narrow) != _file(wide):
                yield _of_rule(
                    narrow,
                    f"{narrow.name!r} can never match: {wide.name!r} ({wide.where}) takes all of "
                    "it",
                    "name this file before that one, or narrow that rule",
                )


def _several_files(rules: Iterable[Rule]) -> bool:
    return any(_file(one) != _file(other) for one, other in pairwise(rules))


def _file(rule: Rule) -> str:
    return rule.where.rpartition(":")[0]


def _of_rule(rule: Rule, message: str, hint: str) -> Problem:
    file, _, line = rule.where.rpartition(":")
    return Problem(Severity.WARNING, file, int(line), 1, "", message, hint)


def _warn(document: Document, path: tuple[str, ...], message: str, hint: str) -> None:
    document.report(path, message, hint, severity=Severity.WARNING, key=True)
