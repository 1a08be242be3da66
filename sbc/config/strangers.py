"""What a configuration lets strangers do: who neither registered nor is a peer."""

from collections.abc import Mapping

from sbc.document.problem import Severity
from sbc.document.text import Document
from sbc.policy.access import decide
from sbc.policy.facts import Facts
from sbc.policy.model import PolicySet
from sbc.routing.model import Network, Peer, Route

ANYWHERE = "0.0.0.1"
"""An address that is in no prefix but that of everybody."""


def warn_of_strangers(
    document: Document,
    networks: tuple[Network, ...],
    peers: tuple[Peer, ...],
    routes: tuple[Route, ...],
    policy: PolicySet,
) -> None:
    """Warn of untrusted networks from which anybody at all may call, and say whom.

    A network whose phones are asked for credentials is none: strangers are asked as well.
    """
    kinds = {peer.name: peer.kind for peer in peers}
    for network in networks:
        phones = {p.name for p in peers if p.kind == "endpoints" and p.network == network.name}
        asked = any(peer.realm is not None for peer in peers if peer.name in phones)
        decision = decide(policy, Facts(network.name, network.trusted, ANYWHERE, "INVITE"))
        if network.trusted or asked or not decision.allowed:
            continue
        called = _called(routes, network.name, phones)
        if called:
            document.report(
                ("policies",),
                f"rule {decision.rule!r} ({decision.where}) lets anybody on {network.name!r} call "
                f"without registering{_where_to(called, kinds)}",
                "add registered: true, known_peer: true or source to its conditions",
                severity=Severity.WARNING,
            )


def _called(routes: tuple[Route, ...], network: str, phones: set[str]) -> list[str]:
    """The peers that calls of a stranger may be routed to."""
    found: dict[str, None] = {}
    for route in routes:
        anyone = not (route.from_peers or route.from_networks)
        ours = network in route.from_networks or phones & set(route.from_peers)
        if (anyone or ours) and (not route.methods or "INVITE" in route.methods):
            found.update(dict.fromkeys(route.to))
    return list(found)


def _where_to(called: list[str], kinds: Mapping[str, str]) -> str:
    text = ", to " + ", ".join(map(repr, called))
    paid = [repr(name) for name in called if kinds[name] == "trunk"]
    return f"{text}; what {' and '.join(paid)} charges is yours to pay" if paid else text
