"""The OpenSSL contexts of all networks and peers, replaced part by part.

A handshake uses what was in force when it began; a connection keeps it for its life. So a new
certificate, or a stricter rule, cuts nobody off.

Spec: RFC 5922 §7 (names), RFC 6066 §3 (SNI), RFC 9325 (recommended use of TLS).
"""

import os
import ssl
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from sbc.routing.model import Network, Peer
from sbc.routing.tls import PIN_PREFIX, Certificate, NetworkTls, PeerTls, TlsVersion, Trust
from sbc.sip.errors import ParseError
from sbc.transport.tls.identities import Proof, read_proof_untrusted

_VERSIONS: dict[TlsVersion, ssl.TLSVersion] = {
    "1.2": ssl.TLSVersion.TLSv1_2,
    "1.3": ssl.TLSVersion.TLSv1_3,
}
_CLIENT_MODES = {
    "off": ssl.CERT_NONE,
    "optional": ssl.CERT_OPTIONAL,
    "required": ssl.CERT_REQUIRED,
}
_SHOWN_NAMES = 5


@dataclass(frozen=True, slots=True)
class _Peer:
    rules: PeerTls
    context: ssl.SSLContext


_PeerContext = tuple[Trust | None, Certificate | None, TlsVersion, str]
"""What a context for a peer is made of: peers of equal rules share one."""


class TlsContexts:
    """What handshakes of a process use. Its files were read at load; here nothing waits."""

    __slots__ = ("_networks", "_peer_contexts", "_peers", "_servers")

    def __init__(self, networks: Iterable[Network] = (), peers: Iterable[Peer] = ()) -> None:
        """Contexts for the networks and peers that have TLS rules.

        Raises:
            ssl.SSLError: OpenSSL takes a certificate or cipher not; the load would have said so.
        """
        self._servers: dict[NetworkTls, ssl.SSLContext] = {}
        self._peer_contexts: dict[_PeerContext, ssl.SSLContext] = {}
        self._networks: Mapping[str, ssl.SSLContext] = {}
        self._peers: Mapping[str, _Peer] = {}
        self.replace(networks, peers)

    def replace(self, networks: Iterable[Network], peers: Iterable[Peer]) -> None:
        """Let new handshakes use new rules; open connections live on.

        Contexts whose rules stay as they are stay too, and with them the session tickets.

        Raises:
            ssl.SSLError: as `__init__`; then nothing is replaced.
        """
        servers = {
            one.tls: self._servers.get(one.tls) or server_context(one.tls)
            for one in networks
            if one.tls is not None
        }
        by_peer = {one.name: one.tls for one in peers if one.tls is not None}
        kinds = {_kind(rules): rules for rules in by_peer.values()}
        contexts = {
            kind: self._peer_contexts.get(kind) or client_context(rules)
            for kind, rules in kinds.items()
        }
        self._networks = {one.name: servers[one.tls] for one in networks if one.tls is not None}
        self._peers = {
            name: _Peer(rules, contexts[_kind(rules)]) for name, rules in by_peer.items()
        }
        self._servers, self._peer_contexts = servers, contexts

    def accept(
        self, network: str, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO
    ) -> ssl.SSLObject:
        """Our end of a connection that came to a network; SNI chooses the certificate.

        Raises:
            KeyError: the network has no TLS rules; a bug, since its listeners were checked.
        """
        return self._networks[network].wrap_bio(incoming, outgoing, server_side=True)

    def connect(self, peer: str, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO) -> ssl.SSLObject:
        """Our end of a connection to a peer: asks for its name, shows our certificate.

        After the handshake ask `refusal`, before anything is sent.

        Raises:
            KeyError: the peer is gone, or has no TLS rules any more.
        """
        one = self._peers[peer]
        return one.context.wrap_bio(
            incoming, outgoing, server_hostname=one.rules.server_name or None
        )

    def refusal(self, peer: str, tls: ssl.SSLObject) -> str | None:
        """Why the server that we have shaken hands with is not this peer; None if it is.

        Whether its chain is valid and trusted was decided by the handshake.

        Spec: RFC 5922 §7.3.
        """
        one = self._peers.get(peer)
        if one is None:
            return f"there is no peer {peer!r} with TLS any more"
        if one.rules.trust is not None and tls.context.verify_mode == ssl.CERT_NONE:
            return f"peer {peer!r} needs an authority now, and had none when the handshake began"
        der = tls.getpeercert(binary_form=True)
        if der is None:
            return f"the server of peer {peer!r} showed no certificate"
        try:
            proof = read_proof_untrusted(der)
        except ParseError as error:
            return f"the server of peer {peer!r} showed a {error.reason}"
        return _mismatch(peer, one.rules, proof)

    def names(self, tls: ssl.SSLObject) -> tuple[str, ...]:
        """What the certificate of a client proves, after the handshake; nothing without one.

        Returns:
            Its SIP domain identities and numeric addresses (RFC 5922 §7.1), lower case, and last
            the pin of its key behind `PIN_PREFIX`.
        """
        if tls.context.verify_mode == ssl.CERT_NONE:
            return ()
        der = tls.getpeercert(binary_form=True)
        if der is None:
            return ()
        try:
            proof = read_proof_untrusted(der)
        except ParseError:
            return ()
        return (*proof.names, PIN_PREFIX + proof.pin)


def server_context(rules: NetworkTls) -> ssl.SSLContext:
    """A context for a network; certificates beyond the first are chosen by SNI.

    Raises:
        ssl.SSLError: OpenSSL takes a certificate, an authority or the ciphers not.
    """
    by_name: dict[str, ssl.SSLContext] = {}
    first: ssl.SSLContext | None = None
    for names, certificates in _by_names(rules.certificates).items():
        context = _context(ssl.PROTOCOL_TLS_SERVER, rules.min_version, rules.ciphers)
        # Trust and demand go with the certificate when SNI changes the context.
        context.verify_mode = _CLIENT_MODES[rules.client_certificates]
        if rules.client_certificates != "off":
            _trust(context, rules.trust)
        for certificate in certificates:
            _load(context, certificate)
        for name in names:
            by_name.setdefault(name, context)
        first = first or context
    assert first is not None, "a listener without a certificate was refused at load"
    first.sni_callback = _choose_by(by_name)
    return first


def client_context(rules: PeerTls) -> ssl.SSLContext:
    """A context for connections to a peer. Names are compared by `TlsContexts.refusal`.

    Raises:
        ssl.SSLError: as `server_context`.
    """
    context = _context(ssl.PROTOCOL_TLS_CLIENT, rules.min_version, rules.ciphers)
    context.check_hostname = False
    if rules.trust is None:
        context.verify_mode = ssl.CERT_NONE
    else:
        _trust(context, rules.trust)
    if rules.certificate is not None:
        _load(context, rules.certificate)
    return context


def why_unusable(certificate: Certificate) -> str | None:
    """What OpenSSL has against a certificate or its key, in its words; None if it takes them."""
    try:
        _load(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), certificate)
    except ssl.SSLError as error:
        return (error.reason or str(error)).lower().replace("_", " ")
    return None


def _kind(rules: PeerTls) -> _PeerContext:
    return (rules.trust, rules.certificate, rules.min_version, rules.ciphers)


def _by_names(
    certificates: tuple[Certificate, ...],
) -> dict[tuple[str, ...], list[Certificate]]:
    """Certificates that are for the same names, of different kinds of key, belong together."""
    found: dict[tuple[str, ...], list[Certificate]] = {}
    for certificate in certificates:
        found.setdefault(tuple(sorted(certificate.names)), []).append(certificate)
    return found


SniCallback = Callable[[ssl.SSLObject, str | None, ssl.SSLContext], None]


def _choose_by(by_name: Mapping[str, ssl.SSLContext]) -> SniCallback:
    """A callback that shows who asks for a name the certificate for it, or else the first."""

    def choose(tls: ssl.SSLObject, asked: str | None, _: ssl.SSLContext) -> None:
        name = (asked or "").lower().removesuffix(".")
        found = by_name.get(name) or by_name.get("*." + name.partition(".")[2])
        if found is not None:
            tls.context = found

    return choose


def _context(protocol: int, oldest: TlsVersion, ciphers: str) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = _VERSIONS[oldest]
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.set_ciphers(ciphers)
    return context


def _trust(context: ssl.SSLContext, trust: Trust) -> None:
    if not trust.authorities:
        context.load_default_certs(
            ssl.Purpose.SERVER_AUTH
            if context.protocol == ssl.PROTOCOL_TLS_CLIENT
            else ssl.Purpose.CLIENT_AUTH
        )
        return
    # Who names an intermediate authority trusts that one and not all that its root vouches for.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_verify_locations(cadata=trust.authorities.decode("ascii"))


def _load(context: ssl.SSLContext, certificate: Certificate) -> None:
    """Give a context a chain and key. `ssl` takes only files, so for a moment there is one that
    has no name and no place on a disk."""
    descriptor = os.memfd_create("certificate")
    with os.fdopen(descriptor, "wb") as file:
        file.write(certificate.key + certificate.chain)
        file.flush()
        context.load_cert_chain(f"/proc/self/fd/{descriptor}")


def _mismatch(peer: str, rules: PeerTls, proof: Proof) -> str | None:
    if rules.pins and proof.pin not in rules.pins:
        return (
            f"the key of the server's certificate ({_shown(proof.names)}) is not among the pins of "
            f"peer {peer!r}: its pin is {proof.pin}; if the peer announced a new key, add it to "
            f"peers.{peer}.tls.pins"
        )
    if rules.trust is None or not set(rules.names).isdisjoint(proof.names):
        return None
    return (
        f"the server's certificate is for {_shown(proof.names)}, not for "
        f"{' or '.join(rules.names)}, which peer {peer!r} must prove; if that is its name, write "
        f"it to peers.{peer}.tls.name"
    )


def _shown(names: tuple[str, ...]) -> str:
    """Names that a stranger chose, fit for a log."""
    if not names:
        return "no name"
    shown = [ascii(name[:100])[1:-1] for name in names[:_SHOWN_NAMES]]
    more = len(names) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")
