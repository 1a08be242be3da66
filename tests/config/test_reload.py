"""A file that is read again: what changes live, what needs a restart, and what changes nothing."""

from dataclasses import replace
from pathlib import Path

import pytest

from sbc.config.load import Configuration, load_file
from sbc.config.plan import entries
from sbc.config.reload import Part, diff, reload_file
from sbc.policy.load import combine, load_policy
from tests.config.files import GOOD, POLICIES, FakeMachine, changed, load


def configuration(text: str) -> Configuration:
    result = load(text)
    assert result.configuration is not None, [str(problem) for problem in result.problems]
    return result.configuration


BEFORE = configuration(GOOD)


@pytest.mark.parametrize(
    ("old", "new", "parts", "difference"),
    [
        (
            "  phones: {kind: endpoints, network: outside}\n",
            "  phones: {kind: endpoints, network: outside, media: {srtp: 'off'}}\n",
            [Part.SETTINGS, Part.POLICIES],
            "peers.phones.media.srtp: allow -> off",
        ),
        (
            "    address: 192.168.1.5\n",
            "    address: 192.168.1.5\n    limits: {max_calls: 3}\n",
            [Part.SETTINGS, Part.CALL_LIMITS, Part.POLICIES],
            "peers.pbx.limits.max_calls: nothing -> 3",
        ),
        (
            "    media_ports: 30000-39999\n",
            "    media_ports: 30000-34999\n",
            [Part.MEDIA_PORTS, Part.SETTINGS, Part.POLICIES],
            "networks.outside.media_ports: [30000, 39999] -> [30000, 34999]",
        ),
        (
            "    bind: 203.0.113.10\n",
            "    bind: 203.0.113.10\n    advertise: 203.0.113.99\n",
            [Part.SETTINGS, Part.POLICIES],
            "networks.outside.listeners[0].advertise: 203.0.113.10 -> 203.0.113.99",
        ),
        (
            "  - {from: trunk, to: pbx}\n",
            "  - {from: trunk, to: [pbx, phones]}\n",
            [Part.SETTINGS],
            "routes[0].to: [pbx] -> [pbx, phones]",
        ),
        (
            "    address: 192.168.1.5\n",
            "    address: [{address: 192.168.1.5, drain: true}, 192.168.1.6]\n",
            [Part.SETTINGS, Part.POLICIES],
            "peers.pbx.targets: 1 entries -> 2 entries",
        ),
        (
            "    address: 192.168.1.5\n",
            "    address: 192.168.1.5\n    failover: {codes: [503, 404]}\n",
            [Part.SETTINGS, Part.POLICIES],
            "peers.pbx.failover.codes: nothing -> [404, 503]",
        ),
        (
            "  - {from: trunk, to: pbx}\n",
            "",
            [Part.SETTINGS],
            "routes: 4 entries -> 3 entries",
        ),
        (
            "routes:\n",
            "  more: {kind: pbx, network: inside, address: 192.168.1.6}\nroutes:\n",
            [Part.SETTINGS, Part.CALL_LIMITS, Part.POLICIES],
            "peers.more: missing -> added",
        ),
        (
            "policies: edge.yaml\n",
            "policies: edge.yaml\ntimers: {no_answer: 20}\n",
            [Part.SETTINGS],
            "timers.no_answer_s: 180.0 -> 20.0",
        ),
        (
            "policies: edge.yaml\n",
            "policies: edge.yaml\ndns: {servers: '192.0.2.53:5353', timeout: 3}\n",
            [Part.SETTINGS],
            "dns.timeout_s: 1.5 -> 3.0",
        ),
        (
            "policies: edge.yaml\n",
            "policies: edge.yaml\nuser_agent: ~\n",
            [Part.SETTINGS],
            "user_agent: sbc -> nothing",
        ),
        (
            "policies: edge.yaml\n",
            "policies: same.yaml\n",
            [Part.POLICIES],
            "rules[0].action: allow -> drop",
        ),
    ],
)
def test_what_changes_live_is_named_in_its_order(
    old: str, new: str, parts: list[Part], difference: str
) -> None:
    plan = diff(BEFORE, configuration(changed(old, new)))
    assert plan.restart == ()
    assert [change.part for change in plan.changes] == parts
    assert difference in [str(one) for change in plan.changes for one in change.differences]


@pytest.mark.parametrize(
    ("old", "new", "difference"),
    [
        (
            "    bind: 203.0.113.10\n",
            "    bind: 127.0.0.1\n    advertise: 203.0.113.10\n",
            "networks.outside.listeners[0].bind: 203.0.113.10 -> 127.0.0.1",
        ),
        (
            "    listen: [udp/5060, tcp/5060]\n",
            "    listen: [udp/5070, tcp/5060]\n",
            "networks.outside.listeners[0].port: 5060 -> 5070",
        ),
        (
            "    listen: [udp/5060, tcp/5060]\n",
            "    listen: [tcp/5060]\n",
            "networks.outside.listeners: 2 entries -> 1 entries",
        ),
        (
            "    bind: 203.0.113.10\n",
            "    bind: 203.0.113.10\n    dscp: {signalling: 0}\n",
            "networks.outside.signalling_dscp: 24 -> 0",
        ),
        (
            "peers:\n",
            "  third: {bind: 127.0.0.1, trust: trusted}\npeers:\n",
            "networks.third: missing -> added",
        ),
        (
            "policies: edge.yaml\n",
            "policies: edge.yaml\nlimits: {tcp_connections: 5}\n",
            "limits.inbound_connections: 4096 -> 5",
        ),
        (
            "policies: edge.yaml\n",
            "policies: edge.yaml\nlimits: {message_bytes: 2000}\n",
            "limits.message_bytes: 65535 -> 2000",
        ),
        (
            "policies: edge.yaml\n",
            "policies: edge.yaml\nstate_dir: /tmp/x\n",
            "state_dir: /var/lib/sbc -> /tmp/x",
        ),
        (
            "policies: edge.yaml\n",
            "policies: edge.yaml\ncontrol_socket: /tmp/x\n",
            "control_socket: /var/lib/sbc/control.sock -> /tmp/x",
        ),
    ],
)
def test_what_needs_a_restart_is_named(old: str, new: str, difference: str) -> None:
    plan = diff(BEFORE, configuration(changed(old, new)))
    assert difference in [str(one) for one in plan.restart]


def test_rules_for_headers_are_taken_over_live() -> None:
    rule = (
        "headers: [{name: r, when: {header_matches: {X-A: '^a'}}, "
        "do: [{regex: X-B, match: b, replace: c}]}]\n"
    )
    before, same, other = (
        replace(BEFORE, policies=combine([load_policy(text, "p")]))
        for text in (rule, f"# moved\n{rule}", rule.replace("replace: c", "replace: d"))
    )
    assert diff(before, same).changes == ()
    (change,) = diff(before, other).changes
    assert change.part is Part.POLICIES
    assert [str(one) for one in change.differences] == ["headers[0].operations[0].value: c -> d"]
    (entry,) = entries(before, other)
    assert (entry.sign, entry.what) == ("changed", "header rule 'r'")


def test_moved_lines_and_comments_change_nothing() -> None:
    after = configuration("# A comment\n\n" + GOOD.replace("routes:", "\n# more\nroutes:"))
    plan = diff(BEFORE, after)
    assert plan.changes == ()
    assert plan.restart == ()


def test_the_order_of_peers_matters_since_the_first_claims_a_source() -> None:
    phones = "  phones: {kind: endpoints, network: outside}\n"
    moved = GOOD.replace(phones, "").replace("peers:\n", f"peers:\n{phones}")
    plan = diff(BEFORE, configuration(moved))
    assert [change.part for change in plan.changes] == [Part.SETTINGS]


def test_a_broken_file_changes_nothing_and_a_mended_one_is_taken(tmp_path: Path) -> None:
    file = tmp_path / "sbc.yaml"
    (tmp_path / "edge.yaml").write_text(POLICIES["edge.yaml"])
    file.write_text(GOOD)
    current = load_file(file, FakeMachine(), {}).configuration
    assert current is not None

    file.write_text(GOOD.replace("to: pbx", "to: bpx"))
    broken = reload_file(current, FakeMachine(), {})
    assert broken.configuration is None
    assert broken.plan is None
    assert broken.result.errors

    file.write_text(GOOD.replace("udp/5060", "udp/5070"))
    restart = reload_file(current, FakeMachine(), {})
    assert restart.configuration is None
    assert restart.plan is not None
    assert [one.path for one in restart.plan.restart] == ["networks.outside.listeners[0].port"]

    (tmp_path / "edge.yaml").write_text("rules: [{name: x, then: broken}]")
    file.write_text(GOOD)
    assert reload_file(current, FakeMachine(), {}).configuration is None

    (tmp_path / "edge.yaml").write_text("rules: [{name: x, then: drop}]")
    good = reload_file(current, FakeMachine(), {})
    assert good.configuration is not None
    assert good.plan is not None
    assert [change.part for change in good.plan.changes] == [Part.POLICIES]

    file.unlink()
    assert reload_file(current, FakeMachine(), {}).configuration is None


@pytest.mark.parametrize(
    ("before", "after", "difference", "what"),
    [
        (
            "media: [{name: m, codecs: {allow: pcma}}]\n",
            "media: [{name: m, codecs: {allow: [pcma, pcmu]}}]\n",
            "media_rules[0].codecs.allow: [pcma] -> [pcma, pcmu]",
            "media rule 'm'",
        ),
        (
            "owners: {peers: {pbx: 6*}}\n",
            "owners: {peers: {pbx: [6*, 7*]}}\n",
            "owners.peers.pbx.texts: [6*] -> [6*, 7*]",
            "owners.peers.pbx.texts",
        ),
        (
            "owners: {users: {al: 6*}}\n",
            "version: 1\n",
            "owners.users.al: there -> removed",
            "owners.users.al",
        ),
    ],
)
def test_media_rules_and_owners_of_numbers_are_taken_over_live(
    before: str, after: str, difference: str, what: str
) -> None:
    old, same, new = (
        replace(BEFORE, policies=combine([load_policy(text, "p")]))
        for text in (before, f"# moved\n{before}", after)
    )
    assert diff(old, same).changes == ()
    (change,) = diff(old, new).changes
    assert change.part is Part.POLICIES
    assert [str(one) for one in change.differences] == [difference]
    (entry,) = entries(old, new)
    assert entry.what == what


def test_what_policies_define_is_named_when_it_changes(tmp_path: Path) -> None:
    file, policy = tmp_path / "sbc.yaml", tmp_path / "edge.yaml"
    file.write_text(GOOD)
    (tmp_path / "feed.txt").write_text("192.0.2.1\n")
    text = POLICIES["edge.yaml"] + "sets:\n  bad: {kind: networks, file: feed.txt}\n"
    policy.write_text(text)
    current = load_file(file, FakeMachine(), {}).configuration
    assert current is not None

    # What is in a file of a set is no matter of the configuration.
    (tmp_path / "feed.txt").write_text("192.0.2.2\n")
    same = reload_file(current, FakeMachine(), {})
    assert same.plan is not None
    assert same.plan.changes == ()

    policy.write_text(
        text.replace("file: feed.txt", "entries: 192.0.2.1")
        + "  more: {kind: numbers}\nemergency: {numbers: '0112', country: AT}\n"
    )
    file.write_text(GOOD + "geo: {on_failure: open}\n")
    other = reload_file(current, FakeMachine(), {})
    assert other.plan is not None
    (change,) = other.plan.changes
    assert [str(one) for one in change.differences] == [
        "geo.on_failure: closed -> open",
        f"sets.bad: networks of {tmp_path}/feed.txt, 0 in the policy -> networks, 1 in the policy",
        "sets.more: missing -> added",
        "emergency.numbers: [] -> [0112]",
        "emergency.countries: [] -> [AT]",
    ]
