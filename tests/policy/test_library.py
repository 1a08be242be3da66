"""What policy files define and include: sets, calendars, variables, other files."""

from pathlib import Path

import pytest

from sbc.policy.access import decide, screen
from sbc.policy.facts import Facts
from sbc.policy.library import Library
from sbc.policy.load import LoadedPolicy, combine, load_policy
from sbc.policy.model import Decision


def reader(files: dict[str, str]) -> Library:
    def read(path: Path) -> str:
        if str(path) not in files:
            raise FileNotFoundError(2, "No such file or directory")
        return files[str(path)]

    return Library(read, {"HOME_NET": "192.0.2.0/24"})


def load(text: str, files: dict[str, str]) -> LoadedPolicy:
    return load_policy(text, "etc/p.yaml", None, None, reader(files))


def problems(policy: LoadedPolicy) -> list[str]:
    return [str(problem) for problem in policy.problems]


def decided(policy: LoadedPolicy, host: str, method: str = "INVITE") -> Decision:
    assert problems(policy) == []
    return decide(combine([policy]), Facts("outside", False, host, method))


SETS = """\
sets:
  bad: {kind: networks, file: bad.txt, entries: [198.51.100.1]}
rules:
  - {name: bad hosts, when: {source: "set:bad"}, then: drop}
  - {name: others, then: allow}
"""


def test_a_set_has_the_entries_of_its_file_and_those_of_the_policy() -> None:
    policy = load(SETS, {"etc/bad.txt": "# feed\r\n192.0.2.0/24\r\n\r\n"})
    for host, rule in (
        ("192.0.2.9", "bad hosts"),
        ("198.51.100.1", "bad hosts"),
        ("198.51.100.2", "others"),
    ):
        assert decided(policy, host).rule == rule
    (bad,) = combine([policy]).sets
    assert (bad.name, bad.file, bad.where, bad.hits) == ("bad", "etc/bad.txt", "etc/p.yaml:2", 2)
    assert decided(policy, "192.0.2.9").explanation == (
        "drop by rule 'bad hosts' (etc/p.yaml:4): source 192.0.2.9 (set:bad 192.0.2.0/24 wanted)"
    )


@pytest.mark.parametrize(
    ("text", "files", "found"),
    [
        (
            SETS,
            {},
            ("etc/p.yaml:2:31: error: sets.bad.file: bad.txt: cannot be read: no such file or "
            "directory (looked at etc/bad.txt; `optional: true` starts without it)"),
        ),
        (
            SETS,
            {"etc/bad.txt": "192.0.2.1\n192.0.2.1/24\n"},
            "etc/bad.txt:2:1: error: sets.bad: 192.0.2.1/24 has bits set behind its prefix length",
        ),
        (
            "sets: {n: {kind: numbers, entries: ['600', '6 0']}}",
            {},
            ("etc/p.yaml:1:44: error: sets.n.entries[1]: '6 0' is not ENTRY [until TIME] "
            "[# comment]"),
        ),
        (
            "sets: {n: {kind: numbers, entries: x, expires: 5}}",
            {},
            "etc/p.yaml:1:48: error: sets.n.expires: without a file nothing expires (remove it)",
        ),
        (
            "sets: {n: {entries: x}}",
            {},
            ("etc/p.yaml:1:8: error: sets.n.kind: the key 'kind' is missing (for example: "
            "networks)"),
        ),
        (
            "sets: {n: {kind: numbers}}\nrules: [{name: r, when: {source: 'set:n'}, then: drop}]",
            {},
            ("etc/p.yaml:2:34: error: rules[0].when.source: 'n' is a set of numbers (a set of "
            "networks is wanted)"),
        ),
        (
            "rules: [{name: r, when: {called: ['+49*', 'set:n']}, then: drop}]",
            {},
            ("etc/p.yaml:1:43: error: rules[0].when.called[1]: there is no set 'n' (there are no "
            "sets)"),
        ),
        (
            "sets: {n: {kind: numbers}}\nrules: [{name: r, when: {user: 'set:n'}, then: drop}]",
            {},
            ("etc/p.yaml:2:32: error: rules[0].when.user: 'n' is a set of numbers (write the "
            "values out)"),
        ),
        (
            "rules: [{name: r, when: {time: office}, then: drop}]",
            {},
            ("etc/p.yaml:1:32: error: rules[0].when.time: there is no calendar 'office' (there are "
            "no calendars)"),
        ),
        (
            "sets: {'?': {kind: numbers}}",
            {},
            "etc/p.yaml:1:8: error: sets.?: '?' is no name (letters, digits, _ and -, up to 62)",
        ),
        (
            "emergency: {numbers: ['*']}",
            {},
            ("etc/p.yaml:1:23: error: emergency.numbers[0]: '*' would make too much an emergency "
            "(for example: 112, or 0112)"),
        ),
        (
            "emergency: {services: {counseling: '112'}}",
            {},
            ("etc/p.yaml:1:24: error: emergency.services.counseling: 'counseling' is no emergency "
            "service (for example: sos, or sos.police)"),
        ),
        (
            "emergency: {services: {sos: '11*'}}",
            {},
            ("etc/p.yaml:1:29: error: emergency.services.sos: '11*' is no number (for example: "
            "112, or 0112; one number, no pattern)"),
        ),
        (
            "emergency: {country: D}",
            {},
            ("etc/p.yaml:1:22: error: emergency.country: 'D' is no country (two letters of ISO "
            "3166, as DE)"),
        ),
        (
            "rules: [{name: r, when: {source_asn: ASX}, then: drop}]",
            {},
            ("etc/p.yaml:1:38: error: rules[0].when.source_asn: 'ASX' is no autonomous system (for "
            "example: 64500, or unknown)"),
        ),
        (
            "include: other.yaml",
            {},
            ("etc/p.yaml:1:10: error: include: other.yaml: cannot be read: no such file or "
            "directory (looked at etc/other.yaml)"),
        ),
        (
            "include: [p.yaml]",
            {},
            ("etc/p.yaml:1:11: error: include[0]: etc/p.yaml includes itself (remove one of the "
            "includes)"),
        ),
        (
            "include: [a/b.yaml]",
            {"etc/a/b.yaml": "\n\ninclude: ../../etc/p.yaml"},
            ("etc/a/b.yaml:3:10: error: include: etc/a/../../etc/p.yaml includes itself (remove "
            "one of the includes)"),
        ),
        (
            "include: [a.yaml, b.yaml]",
            dict.fromkeys(("etc/a.yaml", "etc/b.yaml"), "sets: {n: {kind: numbers}}"),
            "etc/b.yaml:1:8: error: sets.n: the name 'n' is taken (by etc/a.yaml:1)",
        ),
        (
            "include: [a.yaml]",
            {"etc/a.yaml": "rules: [{name: r, then: alow}]"},
            ("etc/a.yaml:1:25: error: rules[0].then: 'alow' is not understood (one of: allow, "
            "reject 403 Some text, drop)"),
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_where_it_stands(
    text: str, files: dict[str, str], found: str
) -> None:
    policy = load(text, files)
    assert found in problems(policy)
    assert policy.broken


def test_with_an_optional_file_that_is_missing_or_broken_the_rest_counts() -> None:
    text = SETS.replace("file: bad.txt", "file: bad.txt, optional: true")
    for files, count in (({}, 1), ({"etc/bad.txt": "x\n192.0.2.1\n"}, 2)):
        policy = load(text, files)
        (problem,) = policy.problems
        assert not problem.is_error
        (bad,) = combine([policy]).sets
        assert (bad.entries, bool(bad.trouble)) == (count, True)


def test_rules_of_an_included_file_come_first_and_what_it_defines_is_known() -> None:
    policy = load(
        """\
include: lists/common.yaml
rules:
  - {name: home, when: {source: "${home}"}, then: allow}
  - {name: bad here too, when: {source: "set:bad", time: night}, then: reject}
""",
        {
            "etc/lists/common.yaml": """\
variables: {home: ["${HOME_NET}", 198.51.100.0/24]}
sets: {bad: {kind: networks, file: bad.txt}}
calendars: {night: {timezone: UTC, hours: "22:00-06:00"}}
rules: [{name: bad, when: {source: "set:bad", method: REGISTER}, then: drop}]
""",
            "etc/lists/bad.txt": "203.0.113.0/24",
        },
    )
    assert [rule.name for rule in combine([policy]).rules] == ["bad", "home", "bad here too"]
    assert decided(policy, "203.0.113.1", "REGISTER").where == "etc/lists/common.yaml:4"
    assert decided(policy, "192.0.2.1").rule == "home"
    assert decided(policy, "198.51.100.1").where == "etc/p.yaml:3"
    assert decided(policy, "203.0.113.1").rule == "bad here too"


def test_a_file_that_two_files_include_is_read_once() -> None:
    files = {
        "etc/a.yaml": "include: c.yaml\nrules: [{name: a, then: allow}]",
        "etc/b.yaml": "include: ./x/../c.yaml\nrules: [{name: b, then: allow}]",
        "etc/c.yaml": "rules: [{name: c, when: {method: BYE}, then: allow}]",
    }
    policy = load("include: [a.yaml, b.yaml]", files)
    assert [rule.name for rule in combine([policy]).rules] == ["c", "a", "b"]


def test_files_are_not_included_without_an_end() -> None:
    files = {f"etc/f{n}.yaml": f"include: f{n + 1}.yaml" for n in range(20)}
    (problem,) = load("include: f0.yaml", files).problems
    assert str(problem) == ("etc/f6.yaml:1:10: error: include: files are included more than 8 deep")


def test_a_list_that_a_variable_stands_for_may_be_wrong_where_it_is_used() -> None:
    text = """\
variables: {who: [192.0.2.0/24, 192.0.2.1/24]}
rules:
  - name: r
    when: {source: ["${who}"]}
    then: drop
"""
    (problem,) = problems(load(text, {}))
    assert problem.startswith("etc/p.yaml:4:21: error: rules[0].when.source[1]: 192.0.2.1/24 has")


def test_emergency_numbers_of_all_files_count() -> None:
    files = {"etc/a.yaml": "emergency: {numbers: '0112', country: [de, at]}"}
    policy = load("include: a.yaml\nemergency: {numbers: ['0110', '0112']}", files)
    found = combine([policy]).emergency
    assert (found.numbers, found.countries) == (("0112", "0110"), ("DE", "AT"))


def test_conditions_name_sets_in_any_stage() -> None:
    text = """\
sets: {blocked: {kind: numbers, entries: ["+4930666*"]}}
rules: [{name: all, then: allow}]
geo: [{name: blocked callee, when: {called: "set:blocked"}, then: reject 603 Blocked}]
"""
    policy = combine([load(text, {})])
    facts = Facts("outside", False, "192.0.2.1", "INVITE")
    facts.found["called"] = "+4930666123"
    decision = screen(policy, facts, decide(policy, facts))
    assert (decision.status, decision.text) == (603, "Blocked")
