"""Placing a new call: who calls, may they, and where to.

Everything here is a question about configuration, policy and bindings; the answers are values.

Spec: RFC 3261 §16.3 (Max-Forwards, loops), RFC 5393 §4.2, RFC 5853 §3.5.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from hashlib import blake2s
from ipaddress import ip_address
from typing import Final

from sbc.b2bua.call import Candidate
from sbc.driver.present import IDLE, Present
from sbc.driver.sharing import flows_in_order, peers_in_order
from sbc.policy.access import BUILT_IN, decide
from sbc.policy.model import Decision, Facts, PolicySet
from sbc.policy.refusal import Refusal
from sbc.registrar.binding import Binding
from sbc.registrar.grants import user_of
from sbc.registrar.registrar import Registrar
from sbc.registrar.relaying import Upstream
from sbc.routing.facing import bracketed, family_of, listener_of, transport_param
from sbc.routing.failover import settled
from sbc.routing.hops import Hop, hop_of
from sbc.routing.model import (
    DEFAULT_PORTS,
    MediaRules,
    Network,
    Peer,
    Place,
    Settings,
    Target,
)
from sbc.routing.table import RoutingTable
from sbc.sip.flow import Flow
from sbc.sip.message import Request
from sbc.sip.uri import Uri

_ANY_MEDIA = MediaRules()
_VISUAL_SEPARATORS = str.maketrans("", "", "-.()")
"""RFC 3966 §5.1.1: what a telephone number may hold for the eye only."""


@dataclass(slots=True)
class InForce:
    """The configuration that new requests are judged by; replaced as one reference."""

    settings: Settings
    table: RoutingTable
    policy: PolicySet
    addresses: Mapping[str, tuple[str, ...]]
    """Numeric addresses of the host names of targets, as resolved last."""
    networks: dict[str, Network] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.networks = {network.name: network for network in self.settings.networks}


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent a request, as far as it is known."""

    peer: str
    """Configured name, ``""`` for a stranger."""
    rules: MediaRules
    binding: Binding | None
    decision: Decision
    known: bool = True
    """Whether its address is a peer's, or its flow a registered phone's."""


PARTICIPANT: Final = Caller("", _ANY_MEDIA, None, Decision("allow", "goes on", BUILT_IN))
"""Whoever sends what belongs to a transaction or dialog that was let in before."""

UNREACHABLE: Final = "the called party cannot be reached now"
"""What is said of anybody who cannot be called, whatever the reason is."""


def identify(force: InForce, registrar: Registrar, request: Request, flow: Flow) -> Caller:
    """Classify the source of a request outside any dialog, and decide on it.

    Raises:
        ParseError: a header that says who sends it is malformed (400).
    """
    network = force.networks[flow.network]
    peer = force.table.classify(flow.network, flow.remote[0])
    binding = _registered(registrar, request, flow)
    facts = Facts(
        network=flow.network,
        trusted=network.trusted,
        host=flow.remote[0],
        method=request.method,
        peer=peer.name if peer is not None else None,
        registered=binding is not None,
        user_agent=request.headers.first("user-agent"),
    )
    known = peer is not None or binding is not None
    if peer is None:
        if request.method == "REGISTER":
            peer = force.table.endpoints(flow.network, request.to.uri.host)
        elif binding is not None:
            peer = force.table.endpoints(flow.network, binding.host)
    return Caller(
        peer=peer.name if peer is not None else "",
        rules=peer.media if peer is not None else _ANY_MEDIA,
        binding=binding,
        decision=decide(force.policy, facts),
        known=known,
    )


def candidates_for(
    force: InForce,
    registrar: Registrar,
    caller: Caller,
    request: Request,
    flow: Flow,
    present: Present = IDLE,
) -> tuple[str, list[Candidate]] | Refusal:
    """Where an INVITE goes: the rule that says so, and the places in the order to try them.

    Whatever is down comes last: only when nothing else is left is it worth a try.

    Raises:
        ParseError: the Request-URI is malformed (400).
    """
    uri = request.uri
    # A token stands for a phone without further questions, so only the side that was told it may
    # use it.
    if force.networks[flow.network].trusted and uri.user is not None:
        called = registrar.by_token(uri.user)
        if called is not None:
            if not called.reachable:
                return unreachable(called)
            return f"binding of {called.aor}", [_to_binding(force, called)]
    choice = force.table.choose(caller.peer or None, flow.network, number_of(uri), uri.host)
    if choice.route is None:
        return Refusal(404, "no calls are taken for this destination", choice.why)
    found: list[Candidate] = []
    missing: list[str] = []
    for peer in peers_in_order(choice.route, choice.peers, request, flow, present):
        places = (
            _to_phones(force, registrar, peer, uri, flow)
            if peer.kind == "endpoints"
            else _to_peer(force, peer, request, flow, present)
        )
        failover = settled(choice.route.failover, peer.failover)
        found += [replace(place, failover=failover) for place in places]
        if not places:
            missing.append(_why_unreachable(force, peer, uri))
    if not found:
        return Refusal(480, UNREACHABLE, f"{choice.why}: {'; '.join(missing)}")
    return choice.why, sorted(found, key=lambda one: not present.usable(one.hop))


def unreachable(called: Binding) -> Refusal:
    """Why a phone that registered is not called."""
    return Refusal(480, UNREACHABLE, f"the phone of {called.aor} does not answer keep-alives")


def upstream_for(
    force: InForce, caller: Caller, request: Request, flow: Flow
) -> Upstream | Refusal:
    """The registrar that a REGISTER goes to.

    Raises:
        ParseError: To is malformed (400).
    """
    to = request.to.uri
    choice = force.table.choose(
        caller.peer or None, flow.network, user_of(to), to.host, method="REGISTER"
    )
    if choice.route is None:
        return Refusal(404, "no registrations are taken for this address", choice.why)
    missing: list[str] = []
    for peer in choice.peers:
        for target in peer.targets:
            for target_flow in flows_to(force, peer, target):
                host = peer.domain or target_flow.remote[0]
                port = target_flow.remote[1]
                if peer.domain or port == DEFAULT_PORTS[target_flow.transport]:
                    return Upstream(peer.name, target_flow, host, None)
                return Upstream(peer.name, target_flow, host, port)
        missing.append(_why_unreachable(force, peer, to))
    said = "the registrar cannot be reached now"
    return Refusal(503, said, f"{choice.why}: {'; '.join(missing)}")


def hops_of(force: InForce) -> dict[Hop, Peer]:
    """Every hop that calls to peers may go to, with whose it is."""
    return {
        hop_of(peer.name, flow): peer
        for peer in force.settings.peers
        for target in peer.targets
        for flow in flows_to(force, peer, target)
    }


def flows_to(force: InForce, peer: Peer, target: Target) -> list[Flow]:
    """The flows to a target: one per place that a listener of ours can reach."""
    return [flow for _, flow in ways_to(force, peer, target)]


def ways_to(force: InForce, peer: Peer, target: Target) -> list[tuple[Place, Flow]]:
    """The places of a target that a listener of ours can reach, each with the flow to it."""
    network = force.networks[peer.network]
    found = []
    for place in places_of(force, target):
        listener = network.listener(place.transport, family_of(place.host))
        if listener is not None:
            local = (listener.bind, listener.port)
            owner = peer.name if place.transport == "tls" else ""
            remote = (place.host, place.port)
            flow = Flow(peer.network, place.transport, local, remote, peer=owner)
            found.append((place, flow))
    return found


def places_of(force: InForce, target: Target) -> list[Place]:
    """The numeric addresses that a target stands for, best first; none while they are unknown."""
    transport = target.transport or "udp"
    port = target.port or DEFAULT_PORTS[transport]
    return [Place(host, port, transport) for host in _hosts_of(force, target)]


def number_of(uri: Uri) -> str:
    """What routes compare: the user part without escapes.

    Of a telephone number its parameters and visual separators are left out too, so that no way
    of writing a number leads around a route (RFC 3966 §5.1.1, RFC 3261 §19.1.6).
    """
    user = user_of(uri)
    if uri.scheme == "tel" or uri.param("user") == "phone":
        return user.partition(";")[0].translate(_VISUAL_SEPARATORS)
    return user


def loop_mark(request: Request, flow: Flow) -> str:
    """What makes an INVITE the same one when it comes again (RFC 5393 §4.2)."""
    # From and Call-ID change at every passage through a B2BUA; where it came in and what it asks
    # for do not.
    text = f"{flow.network}\0{request.uri_text}"
    return blake2s(text.encode("utf-8", "surrogateescape"), digest_size=4).hexdigest()


def is_loop(request: Request, instance: str, mark: str) -> bool:
    """Whether a Via of ours says that this very request passed here before."""
    if instance not in "".join(request.headers.all("via")):
        return False
    return any(f"{instance}.{mark}." in via for via in request.headers.values("via"))


def _registered(registrar: Registrar, request: Request, flow: Flow) -> Binding | None:
    """The binding that a request comes from; of the lines of one phone that of its From."""
    bindings = registrar.by_flow(flow)
    if len(bindings) < 2:
        return bindings[0] if bindings else None
    user = user_of(request.from_.uri)
    for binding in reversed(bindings):
        if binding.user == user:
            return binding
    return bindings[-1]


def _to_peer(
    force: InForce, peer: Peer, request: Request, flow: Flow, present: Present
) -> list[Candidate]:
    """One candidate for each place of each target of a peer that takes new calls."""
    targets = [
        (target, ways_to(force, peer, target)) for target in peer.targets if not target.drain
    ]
    flows = flows_in_order(peer, targets, request, flow, present)
    return [_candidate(force, peer, request.uri, to) for to in dict.fromkeys(flows)]


def _candidate(force: InForce, peer: Peer, uri: Uri, flow: Flow) -> Candidate:
    """A peer at the end of a flow, as whom a URI calls."""
    person = f"{uri.user}@" if uri.user else ""
    phone = uri.scheme == "tel" or uri.param("user") == "phone"
    network = force.networks[peer.network]
    host = peer.domain or flow.remote[0]
    usual = flow.remote[1] == DEFAULT_PORTS[flow.transport]
    port = "" if peer.domain or usual else f":{flow.remote[1]}"
    suffix = (";user=phone" if phone else "") + transport_param(flow.transport)
    return Candidate(
        peer=peer.name,
        flow=flow,
        request_uri=f"sip:{person}{bracketed(host)}{port}{suffix}",
        our_host=peer.domain or listener_of(network, flow).advertise,
        their_host=host,
        rules=peer.media,
        trusted=network.trusted,
    )


def _to_phones(
    force: InForce, registrar: Registrar, peer: Peer, uri: Uri, flow: Flow
) -> list[Candidate]:
    """The phones of the called user, newest registration first; never the phone that calls."""
    return [
        _to_binding(force, binding)
        for binding in registrar.by_user(user_of(uri), peer.network)
        if binding.flow != flow and force.table.endpoints(peer.network, binding.host) is peer
    ]


def _to_binding(force: InForce, binding: Binding) -> Candidate:
    peer = force.table.endpoints(binding.flow.network, binding.host)
    return Candidate(
        peer=peer.name if peer is not None else "",
        flow=binding.flow,
        request_uri=binding.contact,
        our_host=binding.host,
        their_host=binding.host,
        rules=peer.media if peer is not None else _ANY_MEDIA,
        trusted=force.networks[binding.flow.network].trusted,
    )


def _why_unreachable(force: InForce, peer: Peer, uri: Uri) -> str:
    """Why there is no way to a peer, in words that an operator can act on."""
    if peer.kind == "endpoints":
        user = user_of(uri) or "nobody"
        return f"{user} has no reachable registration on network {peer.network!r}"
    reasons = []
    for target in peer.targets:
        hosts = _hosts_of(force, target)
        if target.drain:
            reasons.append(f"{target.host} is being drained")
        elif not hosts:
            reasons.append(f"{target.host} has no known address")
        else:
            families = "/".join(sorted({f"IPv{family_of(host)}" for host in hosts}))
            reasons.append(
                f"network {peer.network!r} has no {target.transport or 'udp'} listener"
                f" for {families}"
            )
    return f"peer {peer.name!r}: " + (", ".join(reasons) or "it has no address")


def _hosts_of(force: InForce, target: Target) -> tuple[str, ...]:
    if _is_numeric(target.host):
        return (target.host,)
    return force.addresses.get(target.host, ())


def _is_numeric(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
