"""Rules for headers in a file: what is refused, where, and what would be right."""

import pytest

from sbc.policy.library import Library
from sbc.policy.load import combine, load_policy
from sbc.policy.manipulation_guard import PROTECTED
from sbc.policy.manipulation_operations import Set


def complaints(rule: str) -> list[str]:
    policy = load_policy(f"headers:\n- {rule}\n", "p", ("inside",), ("pbx", "trunk"))
    assert policy.headers == () or not policy.broken
    return [str(problem).removeprefix("p:") for problem in policy.problems]


def complaint(operation: str, more: str = "") -> str:
    (found,) = complaints(f"{{name: r, {more}do: [{{{operation}}}]}}")
    return found


@pytest.mark.parametrize("key", sorted(PROTECTED))
@pytest.mark.parametrize("verb", ["set", "add", "remove", "rename", "regex", "move", "pass"])
def test_headers_that_dialogs_and_transactions_need_are_protected(key: str, verb: str) -> None:
    beside = {
        "set": ", value: x",
        "add": ", value: x",
        "rename": ", to: X-A",
        "move": ", to: X-A",
        "regex": ", match: x, replace: y",
    }.get(verb, "")
    told = complaint(f"{verb}: {key}{beside}")
    assert f"{key} is not for rules to change ({PROTECTED[key]})" in told


@pytest.mark.parametrize(
    "to", ["rename: X-A, to: Via", "move: X-A, to: v", "move: X-A, to: Contact.uri"]
)
def test_nothing_becomes_a_protected_header(to: str) -> None:
    assert "is not for rules to change" in complaint(to)


@pytest.mark.parametrize("name", ["From", "To", "f", "t"])
@pytest.mark.parametrize(
    "operation",
    [
        "set: {}, value: x",
        "remove: {}",
        "rename: {}, to: X-A",
        "rename: X-A, to: {}",
        "set: {}.params.tag, value: x",
        "remove: {}.params.tag",
        "set: {}.uri, value: 'sip:a@b'",
        "set: {}.uri.params.x, value: x",
        "pass: {}",
        "move: {}, to: X-A",
        "move: X-A, to: {}",
        "add: {}, value: x",
    ],
)
def test_from_and_to_change_only_in_parts(name: str, operation: str) -> None:
    told = complaint(operation.format(name))
    assert f"change {name}.display, {name}.uri.host, {name}.uri.user" in told


@pytest.mark.parametrize(
    ("operation", "told"),
    [
        ("set: X-A", "2:18: error: headers[0].do[0]: 'set' needs 'value' beside it"),
        (
            "remove: X-A, to: X-B",
            "2:32: error: headers[0].do[0].to: 'remove' has no 'to' (remove it)",
        ),
        (
            "remove: X-A, add: X-B, value: x",
            (
                "2:18: error: headers[0].do[0]: expected one operation, found add and remove "
                "(one of: "
                "set, add, remove, rename, regex, move, pass)"
            ),
        ),
        (
            "value: x",
            (
                "2:18: error: headers[0].do[0]: expected one operation, found nothing (one of: "
                "set, "
                "add, remove, rename, regex, move, pass)"
            ),
        ),
        (
            "set: X A, value: x",
            (
                "2:24: error: headers[0].do[0].set: 'X A' is no name of a header (for example: "
                "X-Foo, "
                "From.display)"
            ),
        ),
        (
            "set: X-A.user, value: x",
            (
                "2:24: error: headers[0].do[0].set: 'user' is no part of an address; parts: "
                "display, "
                "uri, uri.user, uri.host, uri.params.NAME, params.NAME (for example: X-Foo, "
                "From.display)"
            ),
        ),
        (
            "add: X-A.display, value: x",
            "2:24: error: headers[0].do[0].add: 'add' is for whole headers (write X-A)",
        ),
        (
            "add: Expires, value: 1",
            (
                "2:24: error: headers[0].do[0].add: Expires may be there only once (use "
                "`set: Expires`)"
            ),
        ),
        (
            "remove: From.uri.host",
            (
                "2:27: error: headers[0].do[0].remove: no address is without its uri.host (use "
                "set, or "
                "remove the header)"
            ),
        ),
        (
            "rename: X-A, to: X-B.display",
            "2:36: error: headers[0].do[0].to: 'rename' is for whole headers (use move)",
        ),
        (
            "set: X-A, value: $(callr)",
            "2:36: error: headers[0].do[0].value: there is no $(callr): did you mean 'caller'?",
        ),
        (
            "set: X-A, value: $(caller",
            "2:36: error: headers[0].do[0].value: '$(caller' has a $( without its )",
        ),
        (
            "set: X-A, value: $(1)",
            (
                "2:36: error: headers[0].do[0].value: $(1) stands for a capture, which only "
                "`regex` "
                "has"
            ),
        ),
        (
            "set: X-A, value: $(header:Authorization)",
            (
                "2:36: error: headers[0].do[0].value: $(header:Authorization): Authorization "
                "proves "
                "who sends, and is shown to nobody"
            ),
        ),
        (
            "regex: X-A, match: (a)b, replace: $(2)",
            "2:53: error: headers[0].do[0].replace: $(2): the expression has 1 captures",
        ),
        (
            'regex: X-A, match: (a), replace: "\\\\1"',
            "2:52: error: headers[0].do[0].replace: captures are written $(1), not \\1",
        ),
        (
            "regex: X-A, match: '(?=a)', replace: b",
            (
                "2:38: error: headers[0].do[0].match: '(?=a)' is no regular expression of RE2: "
                "invalid "
                "perl operator: (?= (RE2 has no look-around and no backreferences)"
            ),
        ),
    ],
)
def test_an_operation_that_makes_no_sense_is_refused(operation: str, told: str) -> None:
    assert complaint(operation) == told


@pytest.mark.parametrize(
    "name", ["P-Asserted-Identity", "P-Preferred-Identity", "Remote-Party-ID", "Privacy"]
)
def test_who_calls_is_not_passed_around_privacy(name: str) -> None:
    told = complaint(f"pass: {name}")
    assert f"{name} says who calls, whatever privacy was asked for" in told
    assert complaints(f"{{name: r, do: [{{set: {name}, value: x}}]}}") == []


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        (
            "{name: r, from: pxb, do: [{remove: X-A}]}",
            "2:19: error: headers[0].from: there is no peer or network 'pxb' (did you mean 'pbx'?)",
        ),
        (
            "{name: r, toward: [pbx, insid], do: [{remove: X-A}]}",
            (
                "2:27: error: headers[0].toward[1]: there is no peer or network 'insid' (did you "
                "mean "
                "'inside'?)"
            ),
        ),
        (
            "{name: r, direction: in, toward: pbx, do: [{remove: X-A}]}",
            (
                "2:28: error: headers[0].toward: a message that comes in has no destination yet "
                "(use "
                "`from`, or `direction: out`)"
            ),
        ),
        (
            "{name: r, direction: in, do: [{pass: X-A}]}",
            (
                "2:40: error: headers[0].do[0].pass: nothing is hidden of a message that comes in "
                "(write `direction: out`)"
            ),
        ),
        (
            "{name: r, on: responses, do: [{remove: To.display}]}",
            (
                "2:42: error: headers[0].do[0].remove: a response repeats To of its request (write "
                "`on: requests`)"
            ),
        ),
        (
            "{name: r, when: {status: 486}, do: [{remove: X-A}]}",
            "2:20: error: headers[0].when.status: requests have no status (add `on: responses`)",
        ),
        (
            "{name: r, on: responses, when: {status: [486, 7xx]}, do: [{remove: X-A}]}",
            (
                "2:49: error: headers[0].when.status[1]: '7xx' is no status of a response (for "
                "example: 486, 18x, 4xx)"
            ),
        ),
        (
            "{name: r, when: {header_matches: {X-A: '('}}, do: [{remove: X-A}]}",
            (
                "2:42: error: headers[0].when.header_matches.X-A: '(' is no regular expression of "
                "RE2: missing ): ( (RE2 has no look-around and no backreferences)"
            ),
        ),
        (
            "{name: r, when: {header_matches: {Authorization: a}}, do: [{remove: X-A}]}",
            (
                "2:37: error: headers[0].when.header_matches.Authorization: Authorization proves "
                "who "
                "sends, and is shown to nobody (ask for `user`)"
            ),
        ),
        (
            "{name: r, do: []}",
            (
                "2:17: error: headers[0].do: expected at least one entry, found an empty list (for "
                "example: [{set: X-Trunk, value: $(peer)}])"
            ),
        ),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(rule: str, told: str) -> None:
    assert complaints(rule) == [told]


def test_the_status_of_a_response_is_nothing_that_access_control_may_ask() -> None:
    policy = load_policy("rules: [{name: r, when: {status: 486}, then: drop}]", "p")
    assert "unknown key 'status'" in str(policy.problems[0])


def test_names_of_rules_differ_across_sections() -> None:
    text = "rules: [{name: r, then: drop}]\nheaders: [{name: r, do: [{remove: X-A}]}]"
    assert "the name 'r' is taken" in str(load_policy(text, "p").problems[0])


def test_variables_of_the_file_and_of_messages_stand_side_by_side_and_rules_are_included() -> None:
    files = {"inner.yaml": 'headers: [{name: inner, do: [{set: X-I, value: "$(peer)"}]}]'}
    text = """\
include: inner.yaml
variables: {company: Acme, sales: "^(sales|support)$"}
headers:
  - name: outer
    when: {header_matches: {X-Department: "${sales}"}}
    do: [{set: X-C, value: "${company} $(peer) $(header:From.display)"}]
"""
    library = Library(lambda path: files[path.name])
    policy = load_policy(text, "p.yaml", library=library)
    assert [str(problem) for problem in policy.problems] == []
    inner, outer = combine([policy]).headers.all
    assert (inner.name, inner.where) == ("inner", "inner.yaml:1")
    (operation,) = outer.operations
    assert isinstance(operation, Set)
    assert str(operation.value) == "Acme $(peer) $(header:From.display)"
