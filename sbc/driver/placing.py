"""Placing a new call: who calls, may they, and where to.

Everything here is a question about configuration, policy and bindings; the answers are values.

Spec: RFC 3261 §16.3 (Max-Forwards, loops), RFC 5393 §4.2, RFC 5853 §3.5.
"""

from dataclasses import dataclass, field, replace
from hashlib import blake2s
from typing import Final

from sbc.b2bua.call import Candidate
from sbc.driver.present import IDLE, Present
from sbc.driver.sharing import flows_in_order, peers_in_order
from sbc.numbering import WorldPlan
from sbc.policy.access import BUILT_IN, decide
from sbc.policy.authentication import UNCHALLENGED, credentials_for
from sbc.policy.model import Decision, Facts, PolicySet
from sbc.policy.numbers import (
    NumberPlan,
    Rewritten,
    dialled,
    is_global,
    is_phone,
    sent,
    user_calling,
)
from sbc.policy.refusal import Refusal
from sbc.registrar.binding import Binding
from sbc.registrar.grants import user_of
from sbc.registrar.registrar import Registrar
from sbc.registrar.relaying import Upstream
from sbc.routing.accounts import Realm
from sbc.routing.facing import bracketed, family_of, listener_of, transport_param
from sbc.routing.failover import settled
from sbc.routing.hops import Hop, hop_of
from sbc.routing.location import (
    UNKNOWN,
    Destination,
    Located,
    Locations,
    numeric_place,
    reach_of,
)
from sbc.routing.model import (
    DEFAULT_PORTS,
    MediaRules,
    Network,
    Peer,
    Place,
    Settings,
    Target,
)
from sbc.routing.numbers import AS_WRITTEN, UriForm
from sbc.routing.table import RoutingTable
from sbc.sip.flow import Flow
from sbc.sip.message import Request
from sbc.sip.uri import Uri
from sbc.trunks.registrations import Registrations

_ANY_MEDIA = MediaRules()
_WORLD = WorldPlan()
_PEER = "peer "
"""What no address begins with."""


@dataclass(slots=True)
class InForce:
    """The configuration that new requests are judged by; replaced as one reference."""

    settings: Settings
    table: RoutingTable
    policy: PolicySet
    locations: Locations
    """What is known of the targets that are names."""
    networks: dict[str, Network] = field(default_factory=dict)
    by_credentials: dict[str, tuple[str, list[Peer]]] = field(default_factory=dict)
    """By network: the realm that unknown sources may log in to, and the peers they then are."""
    registrations: Registrations = field(default_factory=Registrations)
    """Ours with trunks, which outlive every configuration."""
    plan: NumberPlan = _WORLD

    def __post_init__(self) -> None:
        self.networks = {network.name: network for network in self.settings.networks}
        for peer in self.settings.peers:
            if peer.realm is not None and peer.realm.tells_peer:
                named = self.by_credentials.setdefault(peer.network, (peer.realm.name, []))
                named[1].append(peer)

    def realm_of(self, peer: str) -> Realm | None:
        """What requests of a peer are challenged for; None where nothing is asked."""
        found = self.table.peer(peer)
        return None if found is None else found.realm


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
    user: str = ""
    """Who proved to have sent it, where its peer is challenged."""


PARTICIPANT: Final = Caller("", _ANY_MEDIA, None, Decision("allow", "goes on", BUILT_IN))
"""Whoever sends what belongs to a transaction or dialog that was let in before."""

UNREACHABLE: Final = "the called party cannot be reached now"
"""What is said of anybody who cannot be called, whatever the reason is."""


def identify(
    force: InForce,
    registrar: Registrar,
    request: Request,
    flow: Flow,
    proven: tuple[str, ...] = (),
) -> Caller:
    """Classify the source of a request outside any dialog, and decide on it.

    Args:
        proven: what the client's certificate of the connection proves.

    Raises:
        ParseError: a header that says who sends it is malformed (400).
    """
    network = force.networks[flow.network]
    trunk = force.registrations.peer_of(request, flow)
    peer = force.table.peer(trunk or "") or force.table.sender(flow, proven)
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
    decision = decide(force.policy, facts)
    if not known:
        peer, decision = _by_credentials(force, request, facts, decision)
    if peer is None:
        if request.method == "REGISTER":
            peer = force.table.endpoints(flow.network, request.to.uri.host)
        elif binding is not None:
            peer = force.table.endpoints(flow.network, binding.host)
    return Caller(
        peer=peer.name if peer is not None else "",
        rules=peer.media if peer is not None else _ANY_MEDIA,
        binding=binding,
        decision=decision,
        known=known,
    )


def counted_as(force: InForce, flow: Flow, proven: tuple[str, ...]) -> str:
    """What the rate of messages on a flow is counted by.

    Returns:
        The peer that the connection proves, wherever it comes from, or the address.
    """
    if proven or flow.peer:
        peer = force.table.sender(flow, proven)
        if peer is not None:
            return _PEER + peer.name
    return flow.remote[0]


def known_peer(force: InForce, network: str, counted: str) -> str | None:
    """The peer that something `counted_as` belongs to."""
    if counted.startswith(_PEER):
        peer = force.table.peer(counted.removeprefix(_PEER))
    else:
        peer = force.table.classify(network, counted)
    return peer.name if peer is not None else None


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
    who = force.table.peer(caller.peer)
    rules = AS_WRITTEN if who is None else who.numbers
    dial = dialled(uri, rules, force.plan)
    choice = force.table.choose(caller.peer or None, flow.network, dial.number, uri.host)
    if choice.route is None:
        return Refusal(404, "no calls are taken for this destination", choice.why)
    found: list[Candidate] = []
    missing: list[str] = []
    for peer in peers_in_order(choice.route, choice.peers, request, flow, present):
        places = (
            _to_phones(force, registrar, peer, dial.number, flow)
            if peer.kind == "endpoints"
            else _to_peer(force, peer, request, dial.number, flow, present)
        )
        failover = settled(choice.route.failover, peer.failover)
        found += [replace(place, failover=failover) for place in places]
        if not places:
            missing.append(_why_unreachable(force, peer, dial.number))
    why = f"{choice.why}, called {dial.why}" if dial.why else choice.why
    if not found:
        return Refusal(480, UNREACHABLE, f"{why}: {'; '.join(missing)}")
    why = "; ".join([why, *missing])
    return why, sorted(found, key=lambda one: not present.usable(one.hop))


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
        missing.append(_why_unreachable(force, peer, user_of(to)))
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
    return [flow for _, flow in _ways_to(force, peer, target)]


def _ways_to(force: InForce, peer: Peer, target: Target) -> list[tuple[Place, Flow]]:
    """The places of a target that a listener of ours can reach, each with the flow to it."""
    network = force.networks[peer.network]
    found = []
    for place in places_of(force, peer, target):
        listener = network.listener(place.transport, family_of(place.host))
        if listener is not None:
            local = (listener.bind, listener.port)
            owner = peer.name if place.transport == "tls" else ""
            remote = (place.host, place.port)
            flow = Flow(peer.network, place.transport, local, remote, peer=owner)
            found.append((place, flow))
    return found


def places_of(force: InForce, peer: Peer, target: Target) -> tuple[Place, ...]:
    """The numeric addresses that a target of a peer stands for, best first.

    None while they are not known; `located` says why.
    """
    return located(force, peer, target).places


def located(force: InForce, peer: Peer, target: Target) -> Located:
    """What is known now of where a target of a peer is; nobody waits for more."""
    place = numeric_place(target, reach_of(force.networks[peer.network]))
    if place is not None:
        return Located((place,))
    return force.locations.get(Destination(peer.network, target), UNKNOWN)


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


def _by_credentials(
    force: InForce, request: Request, facts: Facts, decision: Decision
) -> tuple[Peer | None, Decision]:
    """The peer that an unknown source may be once it has logged in, and what then holds.

    One is proposed where policy would let it in but no stranger, or where credentials come. That
    there is such a peer is all that a challenge tells: a user name that is none is challenged too.
    """
    named = force.by_credentials.get(facts.network)
    if named is None or request.method == "REGISTER" or request.method in UNCHALLENGED:
        return None, decision
    realm, peers = named
    given = credentials_for(request, realm)
    if given is None and decision.allowed:
        return None, decision
    user = "" if given is None else given.username
    for peer in sorted(peers, key=lambda peer: peer.realm is None or user not in peer.realm.users):
        as_peer = decide(force.policy, facts._replace(peer=peer.name))
        if as_peer.allowed:
            return peer, as_peer
    return None, decision


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
    force: InForce, peer: Peer, request: Request, number: str, flow: Flow, present: Present
) -> list[Candidate]:
    """One candidate for each place of each target of a peer that takes new calls.

    Of a trunk that we register with only the flow that registered: nobody knows us elsewhere.
    """
    targets = [
        (target, _ways_to(force, peer, target)) for target in peer.targets if not target.drain
    ]
    flows = flows_in_order(peer, targets, request, flow, present)
    if peer.registering is not None:
        flows = force.registrations.ways_to(peer.name)
    told = sent(number, peer.numbers, "called", force.plan)
    return [_candidate(force, peer, request.uri, told, to) for to in dict.fromkeys(flows)]


def _candidate(force: InForce, peer: Peer, uri: Uri, told: Rewritten, flow: Flow) -> Candidate:
    """A peer at the end of a flow, as whom a URI calls."""
    network = force.networks[peer.network]
    host = peer.domain or flow.remote[0]
    usual = flow.remote[1] == DEFAULT_PORTS[flow.transport]
    port = "" if peer.domain or usual else f":{flow.remote[1]}"
    where = bracketed(host) + port
    return Candidate(
        peer=peer.name,
        flow=flow,
        request_uri=_request_uri(uri, told.number, peer.numbers.uri, where, flow),
        our_host=peer.domain or listener_of(network, flow).advertise,
        their_host=host,
        rules=peer.media,
        trusted=peer.is_trusted(network),
        note=f"peer {peer.name!r} is told {told.why}" if told.why else "",
        contact_user="sbc" if peer.registering is None else peer.registering.contact,
        service_route=force.registrations.service_route(peer.name),
    )


def _request_uri(uri: Uri, number: str, form: UriForm, where: str, flow: Flow) -> str:
    """The Request-URI for a number at a host and port, made of the one that was called."""
    if form == "tel" and is_global(number):
        return f"tel:{number}"
    user = user_calling(uri, number)
    phone = form in ("phone", "tel") or (form == "keep" and is_phone(uri))
    person = f"{user}@" if user else ""
    suffix = ";user=phone" if phone and user else ""
    return f"sip:{person}{where}{suffix}{transport_param(flow.transport)}"


def _to_phones(
    force: InForce, registrar: Registrar, peer: Peer, number: str, flow: Flow
) -> list[Candidate]:
    """The phones of the called user, newest registration first; never the phone that calls."""
    return [
        _to_binding(force, binding)
        for binding in registrar.by_user(number, peer.network)
        if binding.flow != flow and force.table.endpoints(peer.network, binding.host) is peer
    ]


def _to_binding(force: InForce, binding: Binding) -> Candidate:
    peer = force.table.endpoints(binding.flow.network, binding.host)
    network = force.networks[binding.flow.network]
    return Candidate(
        peer=peer.name if peer is not None else "",
        flow=binding.flow,
        request_uri=binding.contact,
        our_host=binding.host,
        their_host=binding.host,
        rules=peer.media if peer is not None else _ANY_MEDIA,
        trusted=network.trusted if peer is None else peer.is_trusted(network),
    )


def _why_unreachable(force: InForce, peer: Peer, number: str) -> str:
    """Why there is no way to a peer, in words that an operator can act on."""
    if peer.kind == "endpoints":
        user = number or "nobody"
        return f"{user} has no reachable registration on network {peer.network!r}"
    if peer.registering is not None:
        return force.registrations.trouble_with(peer.name)
    reasons = []
    for target in peer.targets:
        known = located(force, peer, target)
        if target.drain:
            reasons.append(f"{target.host} is being drained")
        elif not known.places:
            reasons.append(f"{target.host} has no known address: {known.trouble}")
        else:
            families = "/".join(sorted({f"IPv{family_of(one.host)}" for one in known.places}))
            transport = known.places[0].transport
            reasons.append(f"network {peer.network!r} has no {transport} listener for {families}")
    return f"peer {peer.name!r}: " + (", ".join(reasons) or "it has no address")
