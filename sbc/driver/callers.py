"""Who sends a request outside any dialog, and may they.

Spec: RFC 5853 §3.5 (access control), RFC 5922 (TLS identities).
"""

from dataclasses import dataclass, field, replace
from typing import Final

from sbc.driver.in_force import InForce
from sbc.policy.access import BUILT_IN, decide
from sbc.policy.authentication import UNCHALLENGED, credentials_for
from sbc.policy.facts import Facts
from sbc.policy.model import Decision
from sbc.registrar.binding import Binding
from sbc.registrar.registrar import Registrar
from sbc.routing.model import MediaRules, Peer
from sbc.routing.numbers import AS_WRITTEN
from sbc.routing.registering import called_uri
from sbc.sip.errors import ParseError
from sbc.sip.flow import Flow
from sbc.sip.message import Request

_ANY_MEDIA = MediaRules()
_PEER = "peer "
"""What no address begins with."""


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
    facts: Facts | None = field(default=None, compare=False, repr=False)
    """What was decided on; None for what nobody decides on."""

    @property
    def proven_user(self) -> str:
        """The user that the request is certainly of: by credentials or registration; or ``""``."""
        return self.user or ("" if self.binding is None else self.binding.aor)


PARTICIPANT: Final = Caller("", _ANY_MEDIA, None, Decision("allow", "goes on", BUILT_IN))
"""Whoever sends what belongs to a transaction or dialog that was let in before."""


def identify(
    force: InForce,
    registrar: Registrar,
    request: Request,
    flow: Flow,
    proven: tuple[str, ...] = (),
    wall: float = 0.0,
    tls_version: float = 0.0,
) -> Caller:
    """Classify the source of a request outside any dialog, and decide on it.

    Args:
        proven: what the client's certificate of the connection proves.
        wall: seconds since 1970.
        tls_version: of the connection, as 1.3; 0 without TLS.

    Raises:
        ParseError: a header that says who sends it is malformed (400).
    """
    network = force.networks[flow.network]
    peer = _registered_with(force, request, flow, proven) or force.table.sender(flow, proven)
    binding = registrar.speaker(flow, request)
    known = peer is not None or binding is not None
    speaks_for = peer or _endpoints_of(force, request, flow, binding)
    facts = Facts(
        network=flow.network,
        trusted=network.trusted,
        host=flow.remote[0],
        method=request.method,
        peer=peer.name if peer is not None else None,
        registered=binding is not None,
        aor="" if binding is None else binding.aor,
        user_agent=request.headers.first("user-agent"),
        port=flow.remote[1],
        transport=flow.transport,
        proven=proven,
        tls_version=tls_version,
        phone="" if binding is None else binding.user,
        group="" if binding is None or speaks_for is None else speaks_for.name,
        request=request,
        called=None if peer is None else called_uri(request, peer.registering),
        numbers=AS_WRITTEN if speaks_for is None else speaks_for.numbers,
        world=force.world,
        now=wall,
    )
    decision = decide(force.policy, facts)
    if not known:
        peer, decision = _by_credentials(force, request, facts, decision)
        if peer is not None:
            speaks_for, facts = peer, _as_peer(facts, peer)
    return Caller(
        peer=speaks_for.name if speaks_for is not None else "",
        rules=speaks_for.media.of_calls_from if speaks_for is not None else _ANY_MEDIA,
        binding=binding,
        decision=decision,
        known=known,
        facts=facts,
    )


def sender_of(
    force: InForce, registrar: Registrar, request: Request, flow: Flow, proven: tuple[str, ...]
) -> Peer | None:
    """The peer, or group of phones, that a request comes from on which nobody decides.

    Malformed or not: whose phone it is may then not be known.
    """
    peer = force.table.sender(flow, proven)
    if peer is not None:
        return peer
    try:
        binding = registrar.speaker(flow, request)
        return _endpoints_of(force, request, flow, binding)
    except ParseError:
        return None


def _endpoints_of(
    force: InForce, request: Request, flow: Flow, binding: Binding | None
) -> Peer | None:
    """The group of phones that a stranger registers with, or is registered in."""
    if request.method == "REGISTER":
        return force.table.endpoints(flow.network, request.to.uri.host)
    return None if binding is None else force.table.endpoints(flow.network, binding.host)


def _as_peer(facts: Facts, peer: Peer) -> Facts:
    """The facts, if their sender is a peer; what was found of numbers is found anew.

    Raises:
        ParseError: the Request-URI or To is malformed (400).
    """
    assert facts.request is not None, "it was decided on"
    called = called_uri(facts.request, peer.registering)
    return replace(facts, peer=peer.name, called=called, numbers=peer.numbers, found={})


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


def _registered_with(
    force: InForce, request: Request, flow: Flow, proven: tuple[str, ...]
) -> Peer | None:
    """The trunk that calls us where we are registered with it, unless it would have to prove it.

    Raises:
        ParseError: the Request-URI is malformed (400).
    """
    name = force.registrations.peer_of(request, flow)
    peer = None if name is None or proven else force.table.peer(name)
    if peer is None or flow.peer == peer.name or not peer.must_prove:
        return peer
    return None


def _by_credentials(
    force: InForce, request: Request, facts: Facts, decision: Decision
) -> tuple[Peer | None, Decision]:
    """The peer that an unknown source may be once it has logged in, and what then holds.

    One is proposed where policy would let it in but no stranger, or where credentials come. That
    there is such a peer is all that a challenge tells: a user name that is none is challenged too.

    Raises:
        ParseError: the Request-URI or To is malformed (400).
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
        as_peer = decide(force.policy, _as_peer(facts, peer))
        if as_peer.allowed:
            return peer, as_peer
    return None, decision
