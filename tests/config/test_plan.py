"""What a candidate would change, in the words of whoever wrote both files."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sbc.config.load import Configuration, load_text
from sbc.config.plan import Entry, entries, moved
from sbc.config.reload import ReloadPlan, diff
from tests.config.files import GOOD, FakeMachine, changed, read_policy

POLICY = "rules:\n{}"
RULES = [
    "  - {name: one, when: {method: INVITE}, then: allow}\n",
    "  - {name: two, when: {registered: true}, then: allow}\n",
    "  - {name: three, when: {peer: pbx}, then: drop}\n",
]


def configuration(text: str, rules: list[str] | None = None) -> Configuration:
    def read(path: Path) -> str:
        return read_policy(path) if rules is None else POLICY.format("".join(rules))

    result = load_text(text, "sbc.yaml", FakeMachine(), {}, read)
    assert result.configuration is not None, result.problems
    return result.configuration


BEFORE = configuration(GOOD)


def test_between_equal_ones_nothing_differs() -> None:
    assert entries(BEFORE, configuration(GOOD)) == ()


def test_another_place_of_the_same_is_no_difference() -> None:
    assert entries(BEFORE, configuration("# a remark\n" + GOOD)) == ()


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "    address: 192.168.1.5\n",
            "    address: 192.168.1.5\n    limits: {max_calls: 3}\n",
            Entry(
                "changed",
                "peer 'pbx'",
                "sbc.yaml:10",
                "sbc.yaml:10",
                ("limits.max_calls: nothing -> 3",),
            ),
        ),
        (
            "routes:\n",
            "  more: {kind: pbx, network: inside, address: 192.168.1.6}\nroutes:\n",
            Entry("added", "peer 'more'", after="sbc.yaml:20"),
        ),
        (
            '  - {name: out, from: pbx, number: "+*", to: trunk}\n',
            "",
            Entry("removed", "route 'out'", before="sbc.yaml:23"),
        ),
        (
            "    media_ports: 30000-39999\n",
            "    media_ports: 30000-34999\n",
            Entry(
                "changed",
                "network 'outside'",
                "sbc.yaml:2",
                "sbc.yaml:2",
                ("media_ports: [30000, 39999] -> [30000, 34999]",),
            ),
        ),
        (
            "    listen: [udp/5060, tcp/5060]\n",
            "    listen: [udp/5060, tcp/5060, udp/5070]\n",
            Entry(
                "changed",
                "network 'outside'",
                "sbc.yaml:2",
                "sbc.yaml:2",
                ("listeners: 2 entries -> 3 entries",),
                needs_restart=True,
            ),
        ),
        (
            "policies: edge.yaml\n",
            "policies: edge.yaml\ntimers: {no_answer: 20}\n",
            Entry("setting", "timers.no_answer_s", details=("180.0 -> 20.0",)),
        ),
        (
            "policies: edge.yaml\n",
            "policies: edge.yaml\ngeo: {on_failure: open}\n",
            Entry("setting", "geo.on_failure", details=("closed -> open",)),
        ),
        (
            "policies: edge.yaml\n",
            "policies: edge.yaml\ncontrol_socket: /run/x\n",
            Entry(
                "setting",
                "control_socket",
                details=("/var/lib/sbc/control.sock -> /run/x",),
                needs_restart=True,
            ),
        ),
    ],
)
def test_one_difference_is_one_entry(old: str, new: str, expected: Entry) -> None:
    assert entries(BEFORE, configuration(changed(old, new))) == (expected,)


def test_routes_without_a_name_are_known_again_by_what_they_say() -> None:
    new = configuration(changed("routes:\n", "routes:\n  - {from: pbx, number: 112, to: trunk}\n"))
    assert entries(BEFORE, new) == (Entry("added", "route 'routes[0]'", after="sbc.yaml:21"),)


def test_a_rule_that_stands_elsewhere_was_moved() -> None:
    one, two, three = RULES
    found = entries(configuration(GOOD, [one, two, three]), configuration(GOOD, [three, one, two]))
    assert found == (Entry("moved", "rule 'three'", "edge.yaml:4", "edge.yaml:2"),)


def test_a_rule_that_asks_for_something_else_says_both() -> None:
    new = [*RULES[:2], RULES[2].replace("pbx", "trunk").replace("drop", "reject 404")]
    assert entries(configuration(GOOD, RULES), configuration(GOOD, new)) == (
        Entry(
            "changed",
            "rule 'three'",
            "edge.yaml:4",
            "edge.yaml:4",
            ("when: peer pbx -> peer trunk", "action: drop -> reject 404"),
        ),
    )


def test_rows_of_a_did_table_are_told_one_by_one() -> None:
    def with_dids(*rows: str) -> Configuration:
        table = f"dids:\n  ours: {{numbers: {{{', '.join(rows)}}}}}\n"
        return configuration(
            changed("  - {from: trunk, to: pbx}\n", "  - {from: trunk, dids: ours, to: pbx}\n")
            + table
        )

    old = with_dids('"+491": {user: alice}', '"+492": {user: bob}')
    new = with_dids('"+491": {user: carol}', '"+493": {user: bob}')
    assert [(one.sign, one.what, one.details) for one in entries(old, new)] == [
        ("removed", "DID +492 of 'ours'", ()),
        ("changed", "DID +491 of 'ours'", ("user: alice -> carol",)),
        ("added", "DID +493 of 'ours'", ()),
    ]


@given(st.permutations("abcdefg"))
def test_what_was_not_moved_stands_in_its_old_order(names: list[str]) -> None:
    found = moved(names, dict.fromkeys("abcdefg"))
    rest = [name for name in names if name not in found]
    assert rest == sorted(rest)
    assert bool(found) is (names != sorted(names))


ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("path", sorted((ROOT / "policies").glob("*.yaml")), ids=lambda p: p.name)
def test_a_shipped_policy_that_is_read_again_differs_in_nothing(path: Path) -> None:
    text = path.read_text().replace("peer: teams", "peer: trunk")

    def read_file(file: Path) -> str:
        return text if file.name == "edge.yaml" else (path.parent / file).read_text()

    def read() -> Configuration:
        found = load_text(GOOD, "sbc.yaml", FakeMachine(), {}, read_file)
        assert found.configuration is not None, found.problems
        return found.configuration

    old, new = read(), read()
    assert entries(old, new) == ()
    assert diff(old, new) == ReloadPlan()


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "headers: [{name: h, do: [{remove: Server}]}]\n",
            "",
            [("removed", "header rule 'h'")],
        ),
        (
            "",
            "media: [{name: m, codecs: {allow: [PCMA]}}]\n",
            [("added", "media rule 'm'")],
        ),
        (
            "media: [{name: m, codecs: {allow: [PCMA]}}]\n",
            "media: [{name: m, codecs: {allow: [PCMU]}}]\n",
            [("changed", "media rule 'm'")],
        ),
        (
            "",
            "sources: [{name: s, when: {source: 192.0.2.1}, then: block}]\n",
            [("added", "sources rule 's'")],
        ),
        (
            "geo: [{name: g, then: pass}]\n",
            "geo: [{name: g, then: drop}]\n",
            [("changed", "geo rule 'g'")],
        ),
        ("", "emergency: {numbers: ['112']}\n", [("setting", "emergency.numbers")]),
    ],
)
def test_every_section_of_a_policy_is_compared(
    old: str, new: str, expected: list[tuple[str, str]]
) -> None:
    def read(more: str) -> Configuration:
        text = POLICY.format(RULES[0]) + more
        found = load_text(GOOD, "sbc.yaml", FakeMachine(), {}, lambda _: text)
        assert found.configuration is not None, found.problems
        return found.configuration

    found = entries(read(old), read(new))
    assert [(one.sign, one.what) for one in found] == expected
    assert diff(read(old), read(new)).changes
