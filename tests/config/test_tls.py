"""TLS rules of networks and peers: what is made of them, and what of them cannot work."""

from pathlib import Path

import pytest

from sbc.config.load import LoadResult, load_text
from sbc.config.reload import Part, diff, reload_certificates
from sbc.config.renewal import certificates_of, files_of, renewed
from sbc.routing.model import Network, Peer
from sbc.routing.tls import DEFAULT_CIPHERS, PeerTls, Trust
from sbc.transport.tls.contexts import TlsContexts
from tests.config.files import POLICIES, Case, FakeMachine, cases
from tests.kit.certificates import LONG_AGO, Authority, self_signed

CA = Authority()
NOW = 1.7e9
PIN = self_signed("pinned.example").pin

FILE = """\
networks:
  outside:
    bind: 203.0.113.10
    advertise: sbc.example.com
    listen: [udp/5060, tls/5061]
    tls:
      certificates:
        - {certificate: sbc.pem, key: sbc.key}
      client_certificates: optional
      ca: ca.pem
  inside:
    trust: trusted
    bind: 192.168.1.2
peers:
  carrier:
    kind: trunk
    network: outside
    address: sip.carrier.example;transport=tls
    tls: {ca: ca.pem, certificate: client.pem, key: client.key}
  pbx: {kind: pbx, network: inside, address: 192.168.1.5}
  phones: {kind: endpoints, network: outside}
routes:
  - {from: pbx, to: carrier}
policies: edge.yaml
"""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    CA.write(tmp_path)
    CA.issue("sbc.example.com").write(tmp_path)
    CA.issue("sbc.example.com").write(tmp_path, "client")
    return tmp_path


def load(directory: Path, text: str = FILE) -> LoadResult:
    rules = POLICIES["open.yaml"]
    file = str(directory / "sbc.yaml")
    return load_text(text, file, FakeMachine(), {}, lambda path: rules)


def test_by_tls_the_advertised_name_is_said_and_elsewhere_its_address(directory: Path) -> None:
    settings = load(directory).settings
    assert settings is not None
    said = {one.transport: one.advertise for one in settings.networks[0].listeners}
    assert said == {"udp": "203.0.113.99", "tls": "sbc.example.com"}
    assert settings.networks[0].media[0].advertise == "203.0.113.99"


def network(result: LoadResult, name: str = "outside") -> Network:
    assert result.settings is not None, result.problems
    return result.settings.network(name)


def peer(result: LoadResult, name: str = "carrier") -> Peer:
    assert result.settings is not None, result.problems
    return result.settings.peer(name)


def peer_rules(directory: Path, section: str, address: str = "sip.carrier.example") -> PeerTls:
    text = FILE.replace("{ca: ca.pem, certificate: client.pem, key: client.key}", section)
    result = load(directory, text.replace("sip.carrier.example", address))
    rules = peer(result).tls
    assert rules is not None
    return rules


def test_the_rules_of_a_network_are_made(directory: Path) -> None:
    rules = network(load(directory)).tls
    assert rules is not None
    (certificate,) = rules.certificates
    assert certificate.file == str(directory / "sbc.pem")
    assert certificate.names == ("sbc.example.com",)
    assert certificate.where == f"{directory}/sbc.yaml:8"
    assert rules.min_version == "1.2"
    assert rules.ciphers == DEFAULT_CIPHERS
    assert rules.client_certificates == "optional"
    assert rules.trust.authorities == CA.pem
    assert rules.must_prove == ("sbc.example.com",)


def test_a_network_without_tls_listener_has_no_rules_and_its_peers_have_none(
    directory: Path,
) -> None:
    result = load(directory)
    assert network(result, "inside").tls is None
    assert peer(result, "pbx").tls is None


def test_phones_have_no_rules(directory: Path) -> None:
    assert peer(load(directory), "phones").tls is None


def test_the_rules_of_a_peer_are_made(directory: Path) -> None:
    rules = peer(load(directory)).tls
    assert rules is not None
    assert rules.names == ("sip.carrier.example",)
    assert rules.server_name == "sip.carrier.example"
    assert rules.trust is not None
    assert rules.trust.authorities == CA.pem
    assert rules.certificate is not None
    assert rules.certificate.key_file == str(directory / "client.key")
    assert not rules.name_required


def test_without_a_word_the_system_vouches_and_the_name_is_demanded(directory: Path) -> None:
    rules = peer_rules(directory, "{}")
    assert rules == PeerTls(("sip.carrier.example",), "sip.carrier.example", Trust())


@pytest.mark.parametrize(
    ("address", "section", "names", "asked"),
    [
        ("192.0.2.7", "{}", ("192.0.2.7",), ""),
        ("192.0.2.7", "{name: Sip.Carrier.example}", ("sip.carrier.example",),
         "sip.carrier.example"),
        ("a.example", "{name: [192.0.2.7, b.example]}", ("192.0.2.7", "b.example"), "b.example"),
        ("sip.a.example", "{name: '*.a.example'}", ("*.a.example",), "sip.a.example"),
    ],
)  # fmt: skip
def test_what_a_peer_has_to_prove_and_is_asked_for(
    directory: Path, address: str, section: str, names: tuple[str, ...], asked: str
) -> None:
    rules = peer_rules(directory, section, address)
    assert (rules.names, rules.server_name) == (names, asked)


def test_the_domain_of_a_peer_is_its_name(directory: Path) -> None:
    text = FILE.replace("    kind: trunk\n", "    kind: trunk\n    domain: carrier.example\n")
    rules = peer(load(directory, text)).tls
    assert rules is not None
    assert (rules.names, rules.server_name) == (("carrier.example",), "carrier.example")


def test_pins_replace_the_system_unless_an_authority_is_written(directory: Path) -> None:
    assert peer_rules(directory, f"{{pins: {PIN}}}").trust is None
    assert peer_rules(directory, f"{{pins: {PIN}, ca: system}}").trust == Trust()


def test_what_is_made_works_in_contexts(directory: Path) -> None:
    settings = load(directory).settings
    assert settings is not None
    TlsContexts(settings.networks, settings.peers)


CARRIER_TLS = "{ca: ca.pem, certificate: client.pem, key: client.key}"


@pytest.mark.parametrize(
    "case", cases("broken_tls_files.txt"), ids=lambda case: "".join(case.complaints[:1]) or "fine"
)
def test_what_cannot_work_is_told(directory: Path, case: Case) -> None:
    CA.issue("sbc.example.com", ends=LONG_AGO).write(directory, "expired")
    CA.issue("other.example.com").write(directory, "other")
    CA.issue("*.example.com").write(directory, "wild")
    both = CA.issue("sbc.example.com")
    (directory / "both.pem").write_bytes(both.key_pem() + both.chain_pem)
    (directory / "both.pem").chmod(0o600)
    assert FILE.count(case.old) == 1
    found = load(directory, FILE.replace(case.old, case.new)).problems
    told = [str(problem).replace(f"{directory}/", "") for problem in found]
    assert [one.removeprefix("sbc.yaml:") for one in told] == case.complaints


def test_a_peer_cannot_be_known_by_a_name_that_nobody_is_asked_for(directory: Path) -> None:
    text = FILE.replace(CARRIER_TLS, "{client_certificate: required}")
    text = text.replace("client_certificates: optional", "client_certificates: off")
    (problem,) = load(directory, text).problems
    assert (problem.line, problem.path) == (19, "peers.carrier.tls.client_certificate")
    assert problem.message == "network 'outside' (line 2) asks nobody for a certificate"


def test_a_peer_that_has_to_prove_its_name_has_one(directory: Path) -> None:
    text = FILE.replace(CARRIER_TLS, "{client_certificate: required}")
    text = text.replace("address: sip.carrier.example;transport=tls", "sources: 192.0.2.0/28")
    found = [problem.message for problem in load(directory, text).errors]
    assert "nothing says which name its certificate has to prove" in found


def test_a_peer_that_proves_its_name_needs_no_address_to_send_from(directory: Path) -> None:
    text = FILE.replace(CARRIER_TLS, "{client_certificate: required, name: sip.carrier.example}")
    text = text.replace("    address: sip.carrier.example;transport=tls\n", "")
    text = text.replace("{from: pbx, to: carrier}", "{from: carrier, to: pbx}")
    rules = peer(load(directory, text)).tls
    assert rules is not None
    assert rules.name_required


# -- reload and renewal ---------------------------------------------------------------------------


def test_a_certificate_that_was_renewed_is_a_live_change(directory: Path) -> None:
    old = load(directory).configuration
    CA.issue("sbc.example.com").write(directory)
    new = load(directory).configuration
    assert old is not None
    assert new is not None
    plan = diff(old, new)
    assert plan.restart == ()
    assert [change.part for change in plan.changes] == [Part.SETTINGS, Part.POLICIES]
    (difference,) = plan.changes[0].differences
    assert difference.path == "networks.outside.tls.certificates[0].fingerprint"


def test_secrets_are_not_shown_by_a_reload(directory: Path) -> None:
    old = load(directory).configuration
    bare = FILE.replace(CARRIER_TLS, "{}").replace("[udp/5060, tls/5061]", "[udp/5060]")
    bare = bare.replace("address: sip.carrier.example;transport=tls", "address: 192.0.2.7")
    new = load(directory, bare.replace("    tls: {}\n", "")).configuration
    assert old is not None
    assert new is not None
    for plan in (diff(old, new), diff(new, old)):
        told = [str(one) for change in plan.changes for one in change.differences]
        assert "networks.outside.tls: " in "\n".join(told + [str(one) for one in plan.restart])
        assert "PRIVATE" not in "".join(told)


def test_new_files_are_taken_and_nothing_else_changes(directory: Path) -> None:
    settings = load(directory).settings
    assert settings is not None
    assert renewed(settings, NOW) == (settings, ())
    ours, theirs = CA.issue("sbc.example.com"), CA.issue("sbc.example.com")
    ours.write(directory)
    theirs.write(directory, "client")
    other = Authority("Another")
    other.write(directory)
    new, found = renewed(settings, NOW)
    assert found == ()
    assert [one.key for one in certificates_of(new)] == [ours.key_pem(), theirs.key_pem()]
    (outside, _) = new.networks
    assert outside.tls is not None
    assert outside.tls.trust.authorities == other.pem
    assert new.routes is settings.routes


def test_a_bad_new_file_keeps_the_one_before_and_takes_the_others(directory: Path) -> None:
    settings = load(directory).settings
    assert settings is not None
    CA.issue("sbc.example.com", ends=LONG_AGO).write(directory)
    theirs = CA.issue("sbc.example.com")
    theirs.write(directory, "client")
    new, found = renewed(settings, NOW)
    assert [str(one) for one in found] == [
        f"{directory}/sbc.pem:1:1: error: it expired on 2021-01-01 (renew it)"
    ]
    before, _ = certificates_of(settings)
    assert [one.key for one in certificates_of(new)] == [before.key, theirs.key_pem()]


def test_a_new_certificate_for_another_name_keeps_the_one_before(directory: Path) -> None:
    settings = load(directory).settings
    assert settings is not None
    CA.issue("other.example.com").write(directory)
    new, found = renewed(settings, NOW)
    assert new == settings
    assert [one.message for one in found] == [
        "none is for the advertised name sbc.example.com, but for other.example.com"
    ]


def test_a_file_that_vanished_keeps_what_was_in_it(directory: Path) -> None:
    settings = load(directory).settings
    assert settings is not None
    for file in files_of(settings):
        file.unlink()
    new, found = renewed(settings, NOW)
    assert new == settings
    # Of a certificate and its key only the first is told.
    assert [one.file for one in found] == [
        str(directory / file) for file in ("sbc.pem", "ca.pem", "client.pem", "ca.pem")
    ]


def test_certificates_are_reloaded_alone_and_only_when_they_differ(directory: Path) -> None:
    configuration = load(directory).configuration
    assert configuration is not None
    assert reload_certificates(configuration, NOW).configuration is None
    CA.issue("sbc.example.com").write(directory)
    again = reload_certificates(configuration, NOW)
    assert again.configuration is not None
    assert again.configuration.policies is configuration.policies
    assert again.plan is not None
    assert again.plan.restart == ()
    CA.issue("sbc.example.com", ends=LONG_AGO).write(directory)
    bad = reload_certificates(configuration, NOW)
    assert (bad.configuration, bad.plan) == (None, None)
    assert [one.message for one in bad.result.problems] == ["it expired on 2021-01-01"]
