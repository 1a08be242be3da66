"""Placing a new call: where it goes.

Everything here is a question about configuration, policy and bindings; the answers are values.

Spec: RFC 3261 §16.3 (Max-Forwards, loops), RFC 5393 §4.2, RFC 5853 §3.5.
"""

from dataclasses import replace
from hashlib import blake2s
from typing import Final, NamedTuple
from urllib.parse import unquote

from sbc.b2bua.call import Candidate
from sbc.driver.callers import Caller
from sbc.driver.in_force import InForce
from sbc.driver.present import IDLE, Present
from sbc.driver.sharing import flows_in_order, peers_in_order
from sbc.policy.numbers import (
    Rewritten,
    dialled,
    is_global,
    is_phone,
    sent,
    unsteered,
    user_calling,
)
from sbc.policy.refusal import Refusal
from sbc.prefixes import is_numeric
from sbc.registrar.binding import Binding
from sbc.registrar.grants import user_of
from sbc.registrar.registrar import Registrar
from sbc.registrar.relaying import Upstream
from sbc.routing.facing import bracketed, family_of, host_port, listener_of, transport_param
from sbc.routing.failover import settled
from sbc.routing.hops import Hop, hop_of
from sbc.routing.location import (
    UNKNOWN,
    Destination,
    Located,
    numeric_place,
    reach_of,
)
from sbc.routing.model import (
    DEFAULT_PORTS,
    MediaRules,
    Peer,
    Place,
    Route,
    Target,
)
from sbc.routing.numbers import AS_WRITTEN, UriForm
from sbc.routing.registering import Registering, called_uri
from sbc.sip.flow import Flow
from sbc.sip.message import Request
from sbc.sip.uri import Uri

_ANY_MEDIA = MediaRules()


class Course(NamedTuple):
    """Where an INVITE leads, before anybody asks who can be reached there."""

    why: str
    """The route, or that there is none, and what was done to the number."""
    route: Route | None
    """None where there is none."""
    steps: list[tuple[Peer, str]]
    """Peers in the order to try, each with the user that is called there."""


UNREACHABLE: Final = "the called party cannot be reached now"
"""What is said of anybody who cannot be called, whatever the reason is."""


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
            flows = [one for one in registrar.flows_of(uri.user) if one.reachable]
            return f"binding of {called.aor}", [_to_binding(force, one) for one in flows]
    course = course_of(force, caller.peer, request, flow, present)
    if course.route is None:
        return Refusal(404, "no calls are taken for this destination", course.why)
    found: list[Candidate] = []
    missing: list[str] = []
    for peer, user in course.steps:
        places = (
            _to_phones(force, registrar, peer, uri, user, flow)
            if peer.kind == "endpoints"
            else to_peer(force, peer, request, user, flow, present)
        )
        failover = settled(course.route.failover, peer.failover)
        found += [replace(place, failover=failover) for place in places]
        if not places:
            missing.append(why_unreachable(force, peer, user))
    if not found:
        return Refusal(480, UNREACHABLE, f"{course.why}: {'; '.join(missing)}")
    why = "; ".join([course.why, *missing])
    return why, sorted(found, key=lambda one: not present.usable(one.hop))


def course_of(
    force: InForce, caller: str, request: Request, flow: Flow, present: Present = IDLE
) -> Course:
    """The route of an INVITE and its peers in the order to try them, and whom to call there.

    What a DID table says stays in its order: a row is a list, not a share.

    Args:
        caller: The peer that calls; ``""`` for a stranger.

    Raises:
        ParseError: the Request-URI, or a header that a route shares calls by, is malformed (400).
    """
    who = force.table.peer(caller)
    uri = called_uri(request, None if who is None else who.registering)
    rules = AS_WRITTEN if who is None else who.numbers
    dial = dialled(uri, rules, force.world)
    choice = force.table.choose(caller or None, flow.network, dial.number, uri.host)
    why = f"{choice.why}, called {dial.why}" if dial.why else choice.why
    if choice.route is None:
        return Course(why, None, [])
    if choice.users:
        return Course(why, choice.route, list(zip(choice.peers, choice.users, strict=True)))
    peers = peers_in_order(choice.route, choice.peers, request, flow, present)
    return Course(why, choice.route, [(peer, dial.number) for peer in peers])


def by_service_route(binding: Binding | None, candidates: list[Candidate]) -> list[Candidate]:
    """The candidates, those at the caller's registrar by the way that it wants (RFC 3608).

    The way is the registrar's own business: it is never shown to the phone.
    """
    if binding is None or not binding.service_route:
        return candidates
    way = binding.service_route
    return [
        replace(one, routes=way) if one.peer == binding.registrar else one for one in candidates
    ]


def unreachable(called: Binding) -> Refusal:
    """Why a phone that registered is not called."""
    return Refusal(480, UNREACHABLE, f"the phone of {called.aor} does not answer keep-alives")


def upstreams_for(
    force: InForce, caller: Caller, request: Request, flow: Flow
) -> list[Upstream] | Refusal:
    """The registrars that a REGISTER goes to, the next one where the one before is silent.

    Raises:
        ParseError: To is malformed (400).
    """
    to = request.to.uri
    choice = force.table.choose(
        caller.peer or None, flow.network, user_of(to), to.host, method="REGISTER"
    )
    if choice.route is None:
        return Refusal(404, "no registrations are taken for this address", choice.why)
    found = [
        Upstream(peer.name, to, *_server_of(peer, target, to))
        for peer in choice.peers
        for target in peer.targets
        for to in flows_to(force, peer, target)
    ]
    if found:
        return found
    missing = "; ".join(why_unreachable(force, peer, user_of(to)) for peer in choice.peers)
    return Refusal(503, "the registrar cannot be reached now", f"{choice.why}: {missing}")


def _server_of(peer: Peer, target: Target, flow: Flow) -> tuple[str, int | None]:
    """Host and port by which requests to a target over a flow name it; no port for the usual one.

    That is the peer's domain, or else what the operator wrote: where a name leads is found out for
    a copy (RFC 3263 §4).
    """
    if peer.domain:
        return peer.domain, None
    host, port = flow.remote if is_numeric(target.host) else (target.host, target.port)
    return host, None if port == DEFAULT_PORTS[flow.transport] else port


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
    destination = Destination(peer.network, target)
    known = force.located.get(destination)
    if known is None:
        place = numeric_place(target, reach_of(force.networks[peer.network]))
        known = Located((place,)) if place else _of_others(force, destination)
        force.located[destination] = known
    return known


def _of_others(force: InForce, destination: Destination) -> Located:
    """What is known of a name, without ourselves: calls would come back to us as the peer's."""
    known = force.locations.get(destination, UNKNOWN)
    places = tuple(place for place in known.places if (place.host, place.port) not in force.ours)
    if len(places) == len(known.places):
        return known
    return replace(known, places=places, trouble=known.trouble or "it stands for this SBC itself")


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


def to_peer(
    force: InForce, peer: Peer, request: Request, number: str, flow: Flow, present: Present
) -> list[Candidate]:
    """One candidate for each place of each target of a peer that takes new calls."""
    told = sent(number, peer.numbers, "called", force.plan)
    uri = request.uri if force.networks[flow.network].trusted else unsteered(request.uri)
    if peer.registering is not None:
        return _by_registration(force, peer, peer.registering, uri, told)
    targets = [
        (target, ways_to(force, peer, target)) for target in peer.targets if not target.drain
    ]
    found: dict[Flow, Target] = {}
    for target, to in flows_in_order(peer, targets, request, flow, present):
        found.setdefault(to, target)
    return [_candidate(force, peer, target, uri, told, to) for to, target in found.items()]


def _candidate(
    force: InForce, peer: Peer, target: Target, uri: Uri, told: Rewritten, flow: Flow
) -> Candidate:
    """A peer's target at the end of a flow, as whom a URI calls."""
    network = force.networks[peer.network]
    host, port = _server_of(peer, target, flow)
    where = bracketed(host) if port is None else host_port(host, port)
    return Candidate(
        peer=peer.name,
        flow=flow,
        request_uri=_request_uri(uri, told.number, peer.numbers.uri, where, flow),
        our_host=peer.domain or listener_of(network, flow).advertise,
        their_host=host,
        rules=peer.media,
        trusted=peer.is_trusted(network),
        note=f"peer {peer.name!r} is told {told.why}" if told.why else "",
    )


def _by_registration(
    force: InForce, peer: Peer, registering: Registering, uri: Uri, told: Rewritten
) -> list[Candidate]:
    """The flow that registered with a trunk, and no other: nobody knows us there."""
    registration = force.registrations.of_peer(peer.name)
    if registration is None or registration.home is None:
        return []
    route = registration.grant.service_route if registration.grant is not None else ()
    candidate = _candidate(force, peer, peer.targets[0], uri, told, registration.home)
    return [replace(candidate, contact_user=registering.contact, routes=route)]


def _request_uri(uri: Uri, number: str, form: UriForm, where: str, flow: Flow) -> str:
    """The Request-URI for a number at a host and port, made of the one that was called."""
    if form == "tel" and is_global(number):
        return f"tel:{number}"
    user = user_calling(uri, number)
    phone = form in ("phone", "tel") or (form == "keep" and is_phone(uri))
    person = f"{user}@" if user else ""
    suffix = ";user=phone" if phone and user else ""
    return f"sip:{person}{where}{suffix}{transport_param(flow.transport)}{_gruu_param(uri)}"


def _gruu_param(uri: Uri) -> str:
    """The `gr` of a GRUU: one phone of a user, or a name that only its registrar can tell."""
    if not uri.has_param("gr"):
        return ""
    value = uri.param("gr")
    return ";gr" if value is None else f";gr={value}"


def _to_phones(
    force: InForce, registrar: Registrar, peer: Peer, uri: Uri, number: str, flow: Flow
) -> list[Candidate]:
    """The phones of the called user, newest registration first; never the phone that calls."""
    wanted = _instance_of(uri)
    return [
        _to_binding(force, binding)
        for binding in registrar.by_user(number, peer.network)
        if binding.flow != flow
        and force.table.endpoints(peer.network, binding.host) is peer
        and wanted in (None, binding.instance)
    ]


def _instance_of(uri: Uri) -> str | None:
    """The one phone of a user that a GRUU means; None for all of them (RFC 5627 §3.2)."""
    instance = uri.param("gr")
    return unquote(instance) if instance else None


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
        routes=binding.path,
    )


def why_unreachable(force: InForce, peer: Peer, number: str) -> str:
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
