"""Handshakes without sockets: who is let in, who is refused, and in which words."""

import ssl
from dataclasses import replace
from pathlib import Path

import pytest

from sbc.config.certificates import read_certificate, read_trust
from sbc.routing.model import Network, Peer
from sbc.routing.tls import PIN_PREFIX, Certificate, NetworkTls, PeerTls, Trust
from sbc.transport.tls.contexts import TlsContexts, why_unusable
from tests.kit.certificates import (
    LONG_AGO,
    Authority,
    Ends,
    Identity,
    client_context,
    rsa_key,
    self_signed,
    server_context,
    shake_hands,
)

CA, OTHER_CA = Authority(), Authority("Another Root")
NOW = 1.7e9
TLS_1_1, TLS_1_2 = ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2


def certificate(directory: Path, identity: Identity, stem: str = "ours") -> Certificate:
    """What the configuration makes of an identity."""
    found, complaints = read_certificate(*identity.write(directory, stem), "server", NOW)
    assert found is not None, complaints
    return found


def trust(directory: Path, authority: Authority = CA) -> Trust:
    found, complaints = read_trust(authority.write(directory), NOW)
    assert found is not None, complaints
    return found


def network(rules: NetworkTls, name: str = "outside") -> Network:
    return Network(name, (), (), (30000, 30999), tls=rules)


def peer(rules: PeerTls, name: str = "carrier") -> Peer:
    return Peer(name, "trunk", "outside", tls=rules)


def dial_in(contexts: TlsContexts, client: ssl.SSLContext, name: str | None = None) -> Ends:
    """A client connects to the network ``outside`` and asks for a name."""
    return shake_hands(
        lambda incoming, outgoing: client.wrap_bio(incoming, outgoing, server_hostname=name),
        lambda incoming, outgoing: contexts.accept("outside", incoming, outgoing),
    )


def dial_out(contexts: TlsContexts, server: ssl.SSLContext) -> Ends:
    """We connect to the peer ``carrier``."""
    return shake_hands(
        lambda incoming, outgoing: contexts.connect("carrier", incoming, outgoing),
        lambda incoming, outgoing: server.wrap_bio(incoming, outgoing, server_side=True),
    )


def shown_to(ends: Ends) -> set[str]:
    """The names of the certificate that the client was shown."""
    found = ends.client.getpeercert() or {}
    return {value for _, value in found["subjectAltName"]}


# -- connections that come to us ------------------------------------------------------------------


@pytest.mark.parametrize("newest", [TLS_1_2, ssl.TLSVersion.TLSv1_3])
def test_the_name_that_is_asked_for_chooses_the_certificate(
    tmp_path: Path, newest: ssl.TLSVersion
) -> None:
    contexts = TlsContexts(
        [
            network(
                NetworkTls(
                    (
                        certificate(tmp_path, CA.issue("a.example"), "a"),
                        certificate(tmp_path, CA.issue("b.example", uris=["sip:b.org"]), "b"),
                        certificate(tmp_path, CA.issue("*.c.example"), "c"),
                    )
                )
            )
        ]
    )
    client = client_context(CA, newest=newest)
    assert shown_to(dial_in(contexts, client, "b.example")) == {"b.example", "sip:b.org"}
    assert shown_to(dial_in(contexts, client, "B.ORG")) == {"b.example", "sip:b.org"}
    assert shown_to(dial_in(contexts, client, "x.c.example")) == {"*.c.example"}
    assert shown_to(dial_in(contexts, client, "unknown.example")) == {"a.example"}
    assert shown_to(dial_in(contexts, client)) == {"a.example"}


def test_an_rsa_and_an_ecdsa_certificate_of_one_name_are_both_offered(tmp_path: Path) -> None:
    both = (
        certificate(tmp_path, CA.issue("a.example"), "ec"),
        certificate(tmp_path, CA.issue("a.example", key=rsa_key()), "rsa"),
    )
    contexts = TlsContexts([network(NetworkTls(both))])
    for kind in ("ECDSA", "RSA"):
        client = client_context(CA, newest=TLS_1_2)
        client.set_ciphers(f"ECDHE-{kind}-AES128-GCM-SHA256")
        assert shown_to(dial_in(contexts, client)) == {"a.example"}


def test_a_client_of_an_old_version_is_refused(tmp_path: Path) -> None:
    rules = NetworkTls((certificate(tmp_path, CA.issue("a.example")),))
    with pytest.raises(ssl.SSLError, match="UNSUPPORTED_PROTOCOL"):
        dial_in(TlsContexts([network(rules)]), client_context(CA, newest=TLS_1_1))
    only_13 = replace(rules, min_version="1.3")
    with pytest.raises(ssl.SSLError, match="UNSUPPORTED_PROTOCOL"):
        dial_in(TlsContexts([network(only_13)]), client_context(CA, newest=TLS_1_2))


def test_a_client_with_other_ciphers_is_refused(tmp_path: Path) -> None:
    rules = NetworkTls((certificate(tmp_path, CA.issue("a.example", key=rsa_key())),))
    client = client_context(CA, newest=TLS_1_2)
    client.set_ciphers("AES128-GCM-SHA256")  # no forward secrecy
    with pytest.raises(ssl.SSLError, match="NO_SHARED_CIPHER"):
        dial_in(TlsContexts([network(rules)]), client)


def mutual(directory: Path, demand: str = "required") -> TlsContexts:
    ours = certificate(directory, CA.issue("a.example"))
    rules = NetworkTls((ours,), client_certificates="required", trust=trust(directory))
    return TlsContexts([network(replace(rules, client_certificates=demand))])


@pytest.mark.parametrize("newest", [TLS_1_2, ssl.TLSVersion.TLSv1_3])
def test_a_client_proves_the_names_of_its_certificate(
    tmp_path: Path, newest: ssl.TLSVersion
) -> None:
    contexts = mutual(tmp_path)
    theirs = CA.issue("Sip.Carrier.example", "192.0.2.7")
    client = client_context(CA, theirs.write(tmp_path, "theirs"), newest=newest)
    server = dial_in(contexts, client).server
    assert contexts.names(server) == (
        "sip.carrier.example",
        "192.0.2.7",
        PIN_PREFIX + theirs.pin,
    )


def test_a_client_without_certificate_is_refused_where_one_is_required(tmp_path: Path) -> None:
    with pytest.raises(ssl.SSLError, match="PEER_DID_NOT_RETURN_A_CERTIFICATE"):
        dial_in(mutual(tmp_path), client_context(CA))


def test_a_client_without_certificate_proves_nothing_where_one_is_optional(tmp_path: Path) -> None:
    contexts = mutual(tmp_path, "optional")
    assert contexts.names(dial_in(contexts, client_context(CA)).server) == ()


def test_a_client_is_not_asked_where_certificates_are_off(tmp_path: Path) -> None:
    contexts = mutual(tmp_path, "off")
    client = client_context(CA, CA.issue("x.example").write(tmp_path, "theirs"))
    assert contexts.names(dial_in(contexts, client).server) == ()


@pytest.mark.parametrize("demand", ["optional", "required"])
@pytest.mark.parametrize(
    "theirs",
    [OTHER_CA.issue("x.example"), CA.issue("x.example", ends=LONG_AGO), self_signed("x.example")],
    ids=["wrong authority", "expired", "self-signed"],
)
def test_a_client_whose_certificate_is_not_valid_is_refused(
    tmp_path: Path, demand: str, theirs: Identity
) -> None:
    client = client_context(CA, theirs.write(tmp_path, "theirs"))
    with pytest.raises(ssl.SSLError, match="CERTIFICATE_VERIFY_FAILED"):
        dial_in(mutual(tmp_path, demand), client)


def test_the_demand_for_a_certificate_holds_whatever_name_is_asked_for(tmp_path: Path) -> None:
    ours = tuple(certificate(tmp_path, CA.issue(name), name) for name in ("a.example", "b.example"))
    rules = NetworkTls(ours, client_certificates="required", trust=trust(tmp_path))
    contexts = TlsContexts([network(rules)])
    for name in ("a.example", "b.example"):
        with pytest.raises(ssl.SSLError, match="PEER_DID_NOT_RETURN_A_CERTIFICATE"):
            dial_in(contexts, client_context(CA), name)
        stranger = client_context(CA, OTHER_CA.issue("x.example").write(tmp_path, "theirs"))
        with pytest.raises(ssl.SSLError, match="CERTIFICATE_VERIFY_FAILED"):
            dial_in(contexts, stranger, name)


# -- connections that we open ---------------------------------------------------------------------


def carrier(directory: Path, **changes: object) -> TlsContexts:
    rules = PeerTls(("sip.carrier.example",), "sip.carrier.example", trust(directory))
    return TlsContexts((), [peer(replace(rules, **changes))])


def refusal(directory: Path, contexts: TlsContexts, theirs: Identity) -> str | None:
    server = server_context(theirs.write(directory, "theirs"))
    return contexts.refusal("carrier", dial_out(contexts, server).client)


def test_a_server_that_proves_the_peers_name_is_the_peer(tmp_path: Path) -> None:
    theirs = CA.issue("SIP.carrier.example")
    assert refusal(tmp_path, carrier(tmp_path), theirs) is None


def test_the_server_is_asked_for_the_peers_name_and_shown_our_certificate(tmp_path: Path) -> None:
    ours = CA.issue("sbc.example")
    contexts = carrier(tmp_path, certificate=certificate(tmp_path, ours))
    asked: list[str | None] = []
    server = server_context(CA.issue("sip.carrier.example").write(tmp_path, "theirs"), clients=CA)
    server.sni_callback = lambda tls, name, context: asked.append(name)
    ends = dial_out(contexts, server)
    assert asked == ["sip.carrier.example"]
    assert ends.server.getpeercert()["subjectAltName"] == (("DNS", "sbc.example"),)


@pytest.mark.parametrize(
    ("theirs", "names"),
    [
        (CA.issue("other.example"), "other.example"),
        (CA.issue("carrier.example"), "carrier.example"),
        (CA.issue("*.carrier.example"), "*.carrier.example"),
        (CA.issue("192.0.2.1"), "192.0.2.1"),
        (CA.issue("sip.carrier.example", uris=["sip:other.example"]), "other.example"),
        (CA.issue(common_name="Carrier GmbH"), "no name"),
        (
            CA.issue("evil\x1b[2J.example", *(f"x{n}.example" for n in range(6))),
            "evil\\x1b[2j.example, x0.example, x1.example, x2.example, x3.example and 2 more",
        ),
    ],
    ids=["other", "suffix", "wildcard", "address", "uri first", "no name", "control characters"],
)
def test_a_chain_that_is_valid_for_another_name_is_refused(
    tmp_path: Path, theirs: Identity, names: str
) -> None:
    assert refusal(tmp_path, carrier(tmp_path), theirs) == (
        f"the server's certificate is for {names}, not for sip.carrier.example, which peer "
        "'carrier' must prove; if that is its name, write it to peers.carrier.tls.name"
    )


def test_a_wildcard_that_the_operator_wrote_is_taken_as_it_stands(tmp_path: Path) -> None:
    contexts = carrier(tmp_path, names=("*.carrier.example",))
    assert refusal(tmp_path, contexts, CA.issue("*.carrier.example")) is None
    assert refusal(tmp_path, contexts, CA.issue("sip.carrier.example")) is not None


def test_a_numeric_peer_proves_its_address(tmp_path: Path) -> None:
    contexts = carrier(tmp_path, names=("192.0.2.1",), server_name="")
    assert refusal(tmp_path, contexts, CA.issue("192.0.2.1")) is None
    assert refusal(tmp_path, contexts, CA.issue("192.0.2.2")) is not None


@pytest.mark.parametrize(
    ("theirs", "why"),
    [
        (OTHER_CA.issue("sip.carrier.example"), "unable to get local issuer"),
        (CA.issue("sip.carrier.example", ends=LONG_AGO), "expired"),
        (self_signed("sip.carrier.example"), "self-signed"),
        (CA.issue("sip.carrier.example", usages=["client"]), "purpose"),
    ],
    ids=["wrong authority", "expired", "self-signed", "for clients only"],
)
def test_a_server_that_nobody_vouches_for_is_refused(
    tmp_path: Path, theirs: Identity, why: str
) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match=why):
        refusal(tmp_path, carrier(tmp_path), theirs)


def test_a_server_of_an_old_version_is_refused(tmp_path: Path) -> None:
    files = CA.issue("sip.carrier.example").write(tmp_path, "theirs")
    with pytest.raises(ssl.SSLError, match=r"UNSUPPORTED_PROTOCOL|PROTOCOL_VERSION"):
        dial_out(carrier(tmp_path), server_context(files, newest=TLS_1_1))


def test_a_pin_alone_stands_for_authority_and_name(tmp_path: Path) -> None:
    theirs = self_signed("whatever.example")
    contexts = carrier(tmp_path, trust=None, pins=(theirs.pin,))
    assert refusal(tmp_path, contexts, theirs) is None
    stranger = self_signed("sip.carrier.example")
    assert refusal(tmp_path, contexts, stranger) == (
        "the key of the server's certificate (sip.carrier.example) is not among the pins of peer "
        f"'carrier': its pin is {stranger.pin}; if the peer announced a new key, add it to "
        "peers.carrier.tls.pins"
    )


def test_a_name_that_nobody_was_asked_to_vouch_for_proves_nothing(tmp_path: Path) -> None:
    """The pin gives way to an authority while a handshake is under way."""
    theirs = self_signed("sip.carrier.example")
    contexts = carrier(tmp_path, trust=None, pins=(theirs.pin,))
    ends = dial_out(contexts, server_context(theirs.write(tmp_path, "theirs")))
    rules = PeerTls(("sip.carrier.example",), "sip.carrier.example", trust(tmp_path))
    contexts.replace((), [peer(rules)])
    assert "needs an authority now" in str(contexts.refusal("carrier", ends.client))


def test_a_pin_beside_an_authority_replaces_neither_authority_nor_name(tmp_path: Path) -> None:
    good, other = CA.issue("sip.carrier.example"), CA.issue("other.example")
    contexts = carrier(tmp_path, pins=(good.pin, other.pin))
    assert refusal(tmp_path, contexts, good) is None
    assert "not for sip.carrier.example" in str(refusal(tmp_path, contexts, other))
    unpinned = CA.issue("sip.carrier.example")
    assert "not among the pins" in str(refusal(tmp_path, contexts, unpinned))


def test_rules_by_which_anybody_would_be_the_peer_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="neither an authority nor a pin"):
        PeerTls(("a.example",), trust=None)


def test_an_intermediate_authority_may_be_the_one_that_is_trusted(tmp_path: Path) -> None:
    middle = Authority("Middle", CA)
    contexts = carrier(tmp_path, trust=trust(tmp_path, middle))
    assert refusal(tmp_path, contexts, middle.issue("sip.carrier.example")) is None
    with pytest.raises(ssl.SSLCertVerificationError):
        refusal(tmp_path, contexts, CA.issue("sip.carrier.example"))


def test_a_peer_that_is_gone_refuses_every_server(tmp_path: Path) -> None:
    contexts = carrier(tmp_path)
    server = server_context(CA.issue("sip.carrier.example").write(tmp_path, "theirs"))
    ends = dial_out(contexts, server)
    contexts.replace((), ())
    assert contexts.refusal("carrier", ends.client) == (
        "there is no peer 'carrier' with TLS any more"
    )


# -- replacing ------------------------------------------------------------------------------------


def test_new_handshakes_use_new_certificates_and_open_connections_live_on(tmp_path: Path) -> None:
    old = NetworkTls((certificate(tmp_path, CA.issue("old.example")),))
    contexts = TlsContexts([network(old)])
    before = dial_in(contexts, client_context(CA))
    new = NetworkTls((certificate(tmp_path, CA.issue("new.example")),))
    contexts.replace([network(new)], ())
    assert shown_to(dial_in(contexts, client_context(CA))) == {"new.example"}
    assert shown_to(before) == {"old.example"}


def test_equal_rules_keep_their_context_and_equal_peers_share_one(tmp_path: Path) -> None:
    rules = PeerTls(("a.example",), "a.example", trust(tmp_path))
    peers = [peer(rules), peer(replace(rules, names=("b.example",)), "second")]
    contexts = TlsContexts((), peers)

    def context(name: str) -> ssl.SSLContext:
        return contexts.connect(name, ssl.MemoryBIO(), ssl.MemoryBIO()).context

    first = context("carrier")
    assert context("second") is first
    contexts.replace((), [peer(replace(rules, trust=trust(tmp_path)))])
    assert context("carrier") is first


def test_a_replacement_that_openssl_refuses_replaces_nothing(tmp_path: Path) -> None:
    good = NetworkTls((certificate(tmp_path, CA.issue("a.example")),))
    contexts = TlsContexts([network(good)])
    with pytest.raises(ssl.SSLError):
        contexts.replace([network(replace(good, ciphers="no such cipher"))], ())
    assert shown_to(dial_in(contexts, client_context(CA))) == {"a.example"}


def test_secrets_are_not_shown(tmp_path: Path) -> None:
    ours = certificate(tmp_path, CA.issue("a.example"))
    assert "PRIVATE" in ours.key.decode()
    assert "PRIVATE" not in repr(network(NetworkTls((ours,))))


def test_what_openssl_has_against_a_certificate_is_told(tmp_path: Path) -> None:
    ours = certificate(tmp_path, CA.issue("a.example"))
    assert why_unusable(ours) is None
    other = CA.issue("a.example")
    assert why_unusable(replace(ours, key=other.key_pem())) == "key values mismatch"
