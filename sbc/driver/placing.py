"""Placing a new call: who calls, may they, and where to.

Everything here is a question about configuration, policy and bindings; the answers are values.

Spec: RFC 3261 §16.3 (Max-Forwards, loops), RFC 5393 §4.2, RFC 5853 §3.5.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2s
from ipaddress import ip_address

from sbc.b2bua.call import Candidate
from sbc.policy.access import decide
from sbc.policy.model import Decision, Facts, PolicySet
from sbc.registrar.binding import Binding
from sbc.registrar.registrar import Registrar, Upstream
from sbc.routing.facing import bracketed, family_of, listener_of
from sbc.routing.model import MediaRules, Network, Peer, Settings, Target
from sbc.routing.table import RoutingTable
from sbc.sip.flow import Flow
from sbc.sip.message import Request

_ANY_MEDIA = MediaRules()


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


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a call goes nowhere."""

    status: int
    text: str


def identify(force: InForce, registrar: Registrar, request: Request, flow: Flow) -> Caller:
    """Classify the source of a request outside any dialog, and decide on it."""
    network = force.networks[flow.network]
    peer = force.table.classify(flow.network, flow.remote[0])
    binding = registrar.by_flow(flow)
    facts = Facts(
        network=flow.network,
        trusted=network.trusted,
        host=flow.remote[0],
        method=request.method,
        peer=peer.name if peer is not None else None,
        registered=binding is not None,
        user_agent=request.headers.first("user-agent"),
    )
    if peer is None and (binding is not None or request.method == "REGISTER"):
        peer = force.table.endpoints(flow.network, binding.host if binding is not None else None)
    return Caller(
        peer=peer.name if peer is not None else "",
        rules=peer.media if peer is not None else _ANY_MEDIA,
        binding=binding,
        decision=decide(force.policy, facts),
    )


def candidates_for(
    force: InForce, registrar: Registrar, caller: Caller, request: Request, flow: Flow
) -> tuple[str, list[Candidate]] | Refusal:
    """Where an INVITE goes: the rule that says so, and the places in order.

    Raises:
        ParseError: the Request-URI is malformed (400).
    """
    uri = request.uri
    if uri.scheme not in ("sip", "tel"):
        return Refusal(416, f"a {uri.scheme}: Request-URI is not served")
    trusted = force.networks[flow.network].trusted
    if trusted and uri.user is not None:
        called = registrar.by_token(uri.user)
        if called is not None:
            if not called.reachable:
                return Refusal(480, f"the phone of {called.aor} does not answer keep-alives")
            return f"binding of {called.aor}", [_to_binding(force, called)]
    choice = force.table.choose(caller.peer or None, flow.network, uri.user, uri.host)
    if choice.route is None:
        return Refusal(404, choice.why)
    found: list[Candidate] = []
    for peer in choice.peers:
        if peer.kind == "endpoints":
            binding = registrar.by_user(uri.user or "", peer.network)
            if binding is not None:
                found.append(_to_binding(force, binding))
        else:
            found += to_peer(force, peer, request)
    if not found:
        return Refusal(480, f"{choice.why}: no place to send the call to is known")
    return choice.why, found


def upstream_for(
    force: InForce, caller: Caller, request: Request, flow: Flow
) -> Upstream | Refusal:
    """The registrar that a REGISTER goes to.

    Raises:
        ParseError: To is malformed (400).
    """
    to = request.to.uri
    choice = force.table.choose(
        caller.peer or None, flow.network, to.user, to.host, method="REGISTER"
    )
    for peer in choice.peers:
        for target in peer.targets:
            for target_flow in flows_to(force, peer, target):
                host = peer.domain or target_flow.remote[0]
                port = None if peer.domain or target.port == 5060 else target.port
                return Upstream(peer.name, target_flow, host, port)
    return Refusal(404, choice.why if choice.route is None else "no registrar address is known")


def to_peer(force: InForce, peer: Peer, request: Request) -> list[Candidate]:
    """One candidate for each address of each target of a peer."""
    user = request.uri.user
    person = f"{user}@" if user else ""
    phone = request.uri.scheme == "tel" or request.uri.param("user") == "phone"
    found = []
    for target in peer.targets:
        for flow in flows_to(force, peer, target):
            network = force.networks[peer.network]
            listener = listener_of(network, flow)
            host = peer.domain or flow.remote[0]
            port = "" if peer.domain or target.port == 5060 else f":{target.port}"
            suffix = ";user=phone" if phone else ""
            suffix += ";transport=tcp" if target.transport == "tcp" else ""
            found.append(
                Candidate(
                    peer=peer.name,
                    flow=flow,
                    request_uri=f"sip:{person}{bracketed(host)}{port}{suffix}",
                    our_host=peer.domain or listener.advertise,
                    their_host=host,
                    rules=peer.media,
                    trusted=network.trusted,
                )
            )
    return found


def flows_to(force: InForce, peer: Peer, target: Target) -> list[Flow]:
    """The flows to a target: one per numeric address that a listener of ours can reach."""
    network = force.networks[peer.network]
    hosts = (target.host,) if _is_numeric(target.host) else force.addresses.get(target.host, ())
    found = []
    for host in hosts:
        listener = network.listener(target.transport, family_of(host))
        if listener is not None:
            local = (listener.bind, listener.port)
            found.append(Flow(peer.network, target.transport, local, (host, target.port)))
    return found


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


def _to_binding(force: InForce, binding: Binding) -> Candidate:
    peer = force.table.peer(binding.endpoints)
    return Candidate(
        peer=binding.endpoints,
        flow=binding.flow,
        request_uri=binding.contact,
        our_host=binding.host,
        their_host=binding.host,
        rules=peer.media if peer is not None else _ANY_MEDIA,
        trusted=force.networks[binding.flow.network].trusted,
    )


def _is_numeric(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
