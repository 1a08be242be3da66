"""sbc.yaml: what good files give, and what is said about bad ones."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sbc.config.load import load_file, load_text
from sbc.policy.caps import CallLimits
from sbc.routing.balance import Balance, Rank
from sbc.routing.failover import FailoverRule
from sbc.routing.hops import HealthRule
from sbc.routing.model import (
    Keepalive,
    Limits,
    Listener,
    MediaRules,
    NetworkAddress,
    Route,
    Target,
    Timers,
)
from tests.config.files import GOOD, POLICIES, FakeMachine, changed, load, read_policy
from tests.kit.certificates import Authority
from tests.kit.geo import COUNTRIES, written

ROOT = Path(__file__).parents[2]


def test_a_good_file_becomes_what_the_cores_run_on() -> None:
    result = load(GOOD)
    assert result.problems == ()
    settings = result.settings
    assert settings is not None
    outside, inside = settings.networks
    assert outside.listeners == (
        Listener("udp", 4, "203.0.113.10", 5060, "203.0.113.10"),
        Listener("tcp", 4, "203.0.113.10", 5060, "203.0.113.10"),
    )
    assert outside.media == (NetworkAddress(4, "203.0.113.10", "203.0.113.10"),)
    assert (outside.media_ports, outside.trusted, outside.where) == (
        (30000, 39999),
        False,
        "sbc.yaml:2",
    )
    assert (outside.media_dscp, outside.signalling_dscp) == (46, 24)
    assert outside.keepalive == Keepalive("options", 25.0)
    assert inside.trusted
    pbx, trunk, phones = settings.peers
    assert (pbx.kind, pbx.targets, pbx.sources_given) == (
        "pbx",
        (Target("192.168.1.5"),),
        False,
    )
    assert [str(source) for source in pbx.sources] == ["192.168.1.5/32"]
    assert pbx.media == MediaRules(mki=True)
    assert pbx.limits == Limits()
    assert pbx.where == "sbc.yaml:10"
    assert trunk.targets == (Target("sip.carrier.example", 5070, "tcp"),)
    assert [str(source) for source in trunk.sources] == ["198.51.100.0/28"]
    assert trunk.sources_given
    assert (phones.kind, phones.targets, phones.sources) == ("endpoints", (), ())
    assert settings.routes == (
        Route("routes[0]", ("pbx",), ("trunk",), where="sbc.yaml:21"),
        Route("routes[1]", ("pbx",), (), ("outside",), where="sbc.yaml:22"),
        Route("out", ("trunk",), ("pbx",), numbers=("+*",), where="sbc.yaml:23"),
        Route("routes[3]", ("phones",), ("pbx",), where="sbc.yaml:24"),
    )
    assert settings.timers == Timers(60.0, 180.0, 14400.0, 60.0)
    assert settings.server_header == "sbc"


def test_the_rest_of_a_configuration_has_safe_defaults() -> None:
    configuration = load(GOOD).configuration
    assert configuration is not None
    assert [rule.where for rule in configuration.policies.rules] == ["edge.yaml:1"]
    assert configuration.trust == {"outside": False, "inside": True}
    assert configuration.call_limits["trunk"] == CallLimits(where="sbc.yaml:14")
    assert configuration.message_limits.message_bytes == 65535
    assert configuration.transport_limits.inbound_connections == 4096
    assert configuration.state_dir == Path("/var/lib/sbc")
    assert configuration.control_socket == Path("/var/lib/sbc/control.sock")
    table = configuration.routing_table()
    assert table.choose("pbx", "inside", "+49", "x").peers == (configuration.settings.peers[1],)


def test_everything_that_can_be_written_arrives() -> None:
    text = (
        changed(
            "    listen: [udp/5060, tcp/5060]\n",
            "    advertise: [sbc.example.com]\n    dscp: {signalling: 40, media: 34}\n"
            "    keepalive: {method: crlf, interval: 12.5}\n",
        ).replace(
            "    sources: [198.51.100.0/28]\n",
            "    domain: Carrier.Example\n"
            "    media: {srtp: off, suites: AEAD_AES_128_GCM, max_kbps: 200, rtcp_mux: no}\n"
            "    limits: {max_calls: 3, calls_per_second: 0.5, burst: 2}\n",
        )
        + "timers: {ring: 20, no_answer: 30, max_duration: 60, media_inactivity: 0}\n"
        "limits: {message_bytes: 4000, header_bytes: 3000, headers: 40, tcp_connections: 7,\n"
        "         tcp_connections_per_source: 3, tcp_idle: 5, tcp_first_message: 2,\n"
        "         tcp_message: 4, tcp_unproven: 6, tcp_unproven_per_source: 9, tcp_pings: 8}\n"
        "state_dir: run\ncontrol_socket: x/c.sock\nuser_agent: ~\n"
    )
    result = load_text(text, "etc/sbc.yaml", FakeMachine(), {}, read_policy)
    assert result.problems == ()
    configuration, settings = result.configuration, result.settings
    assert configuration is not None
    assert settings is not None
    outside = settings.networks[0]
    assert {listener.advertise for listener in outside.listeners} == {"203.0.113.99"}
    assert (outside.signalling_dscp, outside.media_dscp) == (40, 34)
    assert outside.keepalive == Keepalive("crlf", 12.5)
    trunk = settings.peers[1]
    assert trunk.domain == "carrier.example"
    assert trunk.media == MediaRules("off", ("AEAD_AES_128_GCM",), 200, False, True)
    assert trunk.limits == Limits(3, 0.5, 2)
    assert (trunk.sources, trunk.sources_given) == ((), False)
    assert configuration.call_limits["trunk"] == CallLimits(3, 0.5, 2, trunk.where)
    assert settings.timers == Timers(20.0, 30.0, 60.0, 0.0)
    read = configuration.message_limits
    assert (read.message_bytes, read.head_bytes, read.header_count) == (4000, 3000, 40)
    limits = configuration.transport_limits
    assert (limits.inbound_connections, limits.connections_per_source) == (7, 3)
    assert (limits.idle_s, limits.first_message_s, limits.message_s) == (5.0, 2.0, 4.0)
    assert (limits.unproven_s, limits.unproven_per_source) == (6.0, 9)
    assert limits.pings_per_second == 8
    assert settings.server_header is None
    assert configuration.state_dir == Path("etc/run")
    assert configuration.control_socket == Path("etc/x/c.sock")


@pytest.mark.parametrize(
    ("network", "listeners", "warned"),
    [
        ("bind: 0.0.0.0\n    advertise: auto", ["192.168.1.2"], False),
        ("bind: 0.0.0.0\n    advertise: 192.168.1.77", ["192.168.1.77"], False),
        ("bind: 0.0.0.0", ["192.168.1.2"], True),
        ("interface: eth1", ["192.168.1.2"], False),
        ("interface: eth0", ["203.0.113.10", "2001:db8::10"], False),
        ("bind: 127.0.0.2", ["127.0.0.2"], False),
        ("bind: [192.168.1.2, '::']\n    advertise: auto", ["192.168.1.2", "2001:db8::10"], False),
        (
            "bind: [192.168.1.2, '::']\n    advertise: [auto, '2001:db8::99']",
            ["192.168.1.2", "2001:db8::99"],
            False,
        ),
    ],
)
def test_what_a_network_binds_and_advertises(
    network: str, listeners: list[str], warned: bool
) -> None:
    text = changed("bind: 192.168.1.2", f"{network}\n    listen: udp/5062")
    text = text.replace("media_ports: 30000-39999", "media_ports: 20000-29999")
    result = load(text)
    assert result.settings is not None, [str(problem) for problem in result.problems]
    assert [one.advertise for one in result.settings.networks[1].listeners] == listeners
    assert [one.advertise for one in result.settings.networks[1].media] == listeners
    assert bool(result.problems) is warned


def test_a_machine_without_default_route_advertises_what_it_has() -> None:
    text = "networks: {a: {bind: 0.0.0.0, advertise: auto, trust: trusted}}\nroutes: []\n"
    machine = FakeMachine(lo=("127.0.0.1",), lan=("192.168.7.1",))
    result = load_text(text, "f", machine, {}, read_policy)
    assert result.settings is not None
    assert result.settings.networks[0].media[0].advertise == "192.168.7.1"
    alone = load_text(text, "f", FakeMachine(lo=("127.0.0.1",)), {}, read_policy)
    assert alone.settings is not None
    assert alone.settings.networks[0].media[0].advertise == "127.0.0.1"
    bare = load_text(text, "f", FakeMachine(lo=()), {}, read_policy)
    assert [problem.message for problem in bare.errors] == [
        "no IPv4 address of this machine is left to advertise for 0.0.0.0"
    ]


def test_the_file_that_make_run_uses_loads_wherever_the_pbx_is() -> None:
    for pbx, inside in (
        ("192.168.1.5:5060", "192.168.1.2"),
        ("127.0.0.1:5070", "127.0.0.1"),
        ("pbx.local", "192.168.1.2"),
    ):
        result = load_file(ROOT / "deploy/sbc.yaml", FakeMachine(), {"PBX": pbx})
        assert [str(problem) for problem in result.problems] == []
        settings = result.settings
        assert settings is not None
        assert [one.port for one in settings.networks[0].listeners] == [5060, 5060]
        assert settings.networks[0].media[0] == NetworkAddress(4, "0.0.0.0", "203.0.113.10")
        assert settings.networks[1].media[0] == NetworkAddress(4, "0.0.0.0", inside)


def test_without_a_pbx_it_says_which_variable_is_missing() -> None:
    result = load_file(ROOT / "deploy/sbc.yaml", FakeMachine(), {})
    assert [problem.message for problem in result.problems] == [
        "the environment variable PBX is not set"
    ]


def test_a_pbx_on_this_machine_must_not_be_the_sbc_itself() -> None:
    for pbx in ("127.0.0.1:5060", "192.168.1.2", "203.0.113.10:5062"):
        result = load_file(ROOT / "deploy/sbc.yaml", FakeMachine(), {"PBX": pbx})
        assert "is this SBC itself" in result.problems[0].message
        assert result.configuration is None


@pytest.mark.parametrize(
    ("engine", "rules"),
    [
        ("native", MediaRules(suites=("AES_256_CM_HMAC_SHA1_80", "AEAD_AES_128_GCM"), mki=True)),
        ("python", MediaRules(suites=("AEAD_AES_128_GCM",))),
    ],
)
def test_a_peer_is_offered_what_the_media_engine_can_do(engine: str, rules: MediaRules) -> None:
    text = changed(
        "    address: 192.168.1.5\n",
        "    address: 192.168.1.5\n"
        "    media: {suites: [AES_256_CM_HMAC_SHA1_80, AEAD_AES_128_GCM]}\n",
    )
    result = load_text(f"{text}media: {{engine: {engine}}}\n", "f", FakeMachine(), {}, read_policy)
    assert result.settings is not None
    assert result.settings.peers[0].media == rules


def test_a_transport_may_be_written_in_capitals() -> None:
    result = load(changed("    address: 192.168.1.5\n", "    address: 192.168.1.5;transport=TCP\n"))
    assert result.settings is not None
    assert result.settings.peers[0].targets == (Target("192.168.1.5", None, "tcp"),)


EXAMPLE_MACHINE = FakeMachine(eth0=("203.0.113.10",), eth1=("192.168.10.2",))


@pytest.mark.parametrize("path", sorted((ROOT / "deploy/examples").glob("*.yaml")), ids=str)
def test_every_example_loads_clean(path: Path, tmp_path: Path) -> None:
    authority = Authority()
    files = authority.issue("sbc.example.com").write(tmp_path)
    environment = {f"{name}_PASSWORD": name for name in ("FIRST", "SECOND", "ALICE", "BOB")}
    environment |= {
        "CERTIFICATE": str(files.certificate),
        "KEY": str(files.key),
        "COUNTRY_DB": str(written(tmp_path / "country.mmdb", COUNTRIES)),
        **dict.fromkeys(("CARRIER_CA", "TEAMS_CA"), str(authority.write(tmp_path))),
    }
    result = load_file(path, EXAMPLE_MACHINE, environment)
    assert [str(problem) for problem in result.problems] == []


def test_the_example_routes_emergency_and_outside_numbers_to_the_carrier() -> None:
    path = ROOT / "deploy/examples/pbx-phones-trunk.yaml"
    configuration = load_file(path, EXAMPLE_MACHINE, {}).configuration
    assert configuration is not None
    table = configuration.routing_table()
    for number, expected in (
        ("112", "emergency"),
        ("+4930123", "calls to the carrier"),
        ("030123", "calls to the carrier"),
        ("201", "PBX to the phones"),
    ):
        choice = table.choose("pbx", "inside", number, "x")
        assert choice.route is not None
        assert choice.route.name == expected
    incoming = table.classify("outside", "198.51.100.9")
    assert incoming is not None
    choice = table.choose(incoming.name, "outside", "4930123", "x")
    assert choice.route is not None
    assert choice.route.name == "calls from the carrier"


def test_a_file_that_cannot_be_read_is_a_problem(tmp_path: Path) -> None:
    missing = load_file(tmp_path / "none.yaml", FakeMachine(), {})
    assert str(missing.problems[0]) == (
        f"{tmp_path}/none.yaml:1:1: error: cannot be read: no such file or directory"
    )
    latin = tmp_path / "latin.yaml"
    latin.write_bytes(b"a: \xe4\n")
    assert load_file(latin, FakeMachine(), {}).problems[0].message == (
        "cannot be read: not UTF-8 at byte 3"
    )


def test_a_byte_order_mark_does_not_matter(tmp_path: Path) -> None:
    (tmp_path / "edge.yaml").write_text(POLICIES["edge.yaml"])
    path = tmp_path / "sbc.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + GOOD.encode())
    assert load_file(path, FakeMachine(), {}).problems == ()


YAML_LIKE = st.lists(
    st.sampled_from(
        [
            "networks", "peers", "routes", "policies", "a", "bind", "listen", "to", "from", "kind",
            "pbx", "network", "address", ": ", ":\n", "\n", "  ", "    ", "- ", "[", "]", "{", "}",
            ", ", "udp/5060", "0.0.0.0", "::", "*", "'", "edge.yaml", "\x00", "..", "~", "5", "-1",
        ]
    ),
    max_size=40,
).map("".join)  # fmt: skip


@given(st.text() | YAML_LIKE)
def test_any_text_gives_a_result_and_never_an_exception(text: str) -> None:
    result = load(text)
    assert (result.configuration is None) is bool(result.errors)
    assert all(problem.line >= 1 and problem.column >= 1 for problem in result.problems)


LEAVES = st.none() | st.sampled_from(
    ["a", "b", "udp/5060", "5060", "0.0.0.0", "::", "auto", "30000-30100", "pbx", "x y", "-", "nan"]
)
KEYS = st.sampled_from(
    [
        "networks", "peers", "routes", "policies", "timers", "limits", "a", "b", "bind", "trust",
        "listen", "interface", "advertise", "media_ports", "kind", "network", "address", "sources",
        "media", "from", "to", "number", "domain", "name", "srtp", "dscp", "state_dir", "version",
    ]
)  # fmt: skip
TREES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=20,
)


def as_yaml(tree: object) -> str:
    if tree is None:
        return "~"
    if isinstance(tree, dict):
        return "{" + ", ".join(f"{key}: {as_yaml(value)}" for key, value in tree.items()) + "}"
    if isinstance(tree, list):
        return "[" + ", ".join(as_yaml(value) for value in tree) + "]"
    return f'"{tree}"'


@given(st.dictionaries(KEYS, TREES, max_size=5))
def test_any_shape_of_values_gives_a_result_and_never_an_exception(tree: object) -> None:
    result = load(as_yaml(tree))
    assert (result.configuration is None) is bool(result.errors)


def test_how_peers_and_targets_share_calls() -> None:
    text = changed(
        "    address: 192.168.1.5\n",
        "    address: [192.168.1.5, {address: pbx.local:5070, priority: 2, weight: 3,"
        " drain: true}]\n"
        "    balance: hash\n    hash_on: called\n"
        "    failover: {codes: [404, 503], timeout: 2, budget: 9}\n"
        "    health: {probe: options, interval: 10, timeout: 3, fail_after: 2, recover_after: 1}\n",
    ).replace("to: trunk}", "to: [trunk, {peer: pbx, priority: 1}], balance: weight}")
    settings = load(text).settings
    assert settings is not None
    pbx, route = settings.peer("pbx"), settings.routes[2]
    assert pbx.targets == (
        Target("192.168.1.5"),
        Target("pbx.local", 5070, rank=Rank(2, 3), drain=True),
    )
    assert pbx.balance == Balance("hash", "called")
    assert pbx.failover == FailoverRule(frozenset({404, 503}), 2.0, 9.0)
    assert pbx.health == HealthRule("options", 10.0, 3.0, 2, 1)
    assert (route.to, route.ranks) == (("trunk", "pbx"), (Rank(), Rank(1, 1)))
    assert route.balance == Balance("weight")
    assert settings.routes[0].ranks == ()
