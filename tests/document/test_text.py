"""YAML text to values and places."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sbc.document import text
from sbc.document.problem import Place, Problem, Severity, did_you_mean, path_text
from sbc.document.text import MAX_DEPTH, Document, read_document

TEXT = """\
networks:
  outside:
    listen: [udp/5060, "tcp/5060"]
    trust: off
    number: 0049
    nothing:
    text: ""
list:
  - a: ~
    b: 12:30
"""


def test_scalars_stay_text_and_nothing_is_none() -> None:
    document = read_document(TEXT, "a.yaml")
    assert document.problems == []
    assert document.data == {
        "networks": {
            "outside": {
                "listen": ["udp/5060", "tcp/5060"],
                "trust": "off",
                "number": "0049",
                "nothing": None,
                "text": "",
            }
        },
        "list": [{"a": None, "b": "12:30"}],
    }


NOT_SET = "the environment variable NAME is not set (set it: NAME=... sbc run)"


def test_every_value_and_key_has_its_place() -> None:
    document = read_document(TEXT, "a.yaml")
    listen = ("networks", "outside", "listen")
    assert document.place((*listen, 1)) == Place("a.yaml", 3, 24)
    assert document.place(listen) == Place("a.yaml", 3, 13)
    assert document.place(listen, key=True) == Place("a.yaml", 3, 5)
    assert document.place(("list", 0, "b")) == Place("a.yaml", 10, 8)
    assert document.place(listen).where == "a.yaml:3"


def test_a_place_that_is_not_there_is_the_key_around_it() -> None:
    document = read_document(TEXT, "a.yaml")
    assert document.place(("networks", "outside", "bind")) == Place("a.yaml", 2, 3)
    assert document.place(("list", 0, "c")) == Place("a.yaml", 9, 5)
    assert document.place(("other",)) == Place("a.yaml", 1, 1)
    assert Document("b.yaml").place(("x", "y")) == Place("b.yaml", 1, 1)


@pytest.mark.parametrize(
    ("text", "complaints"),
    [
        (
            "a: 1\nb: 2\na: 3\n",
            ["f:3:1: error: a: the key 'a' is repeated (it stands in line 1 too)"],
        ),
        (
            "n:\n  a: {x: 1}\n  a: {x: 1, x: 2}\n  a: {x: 1}\n",
            [
                "f:3:3: error: n.a: the key 'a' is repeated (it stands in line 2 too)",
                "f:3:13: error: n.?.x: the key 'x' is repeated (it stands in line 3 too)",
                "f:4:3: error: n.a: the key 'a' is repeated (it stands in line 2 too)",
            ],
        ),
        (
            "a: &x 1\nb: *x\n",
            ["f:2:4: error: b: the alias *x is not understood (write the value out)"],
        ),
        (
            "&x a: 1\n*x : 2\n",
            ["f:2:1: error: the alias *x is not understood (write the value out)"],
        ),
        (
            "a: !!int 5\n",
            ["f:1:4: error: a: the tag tag:yaml.org,2002:int is not understood (remove it)"],
        ),
        ("a: [1,\n  !x 5]\n", ["f:2:3: error: a[1]: the tag !x is not understood (remove it)"]),
        (
            "? [a, b]\n: 1\nc: 2\n",
            ["f:1:3: error: a list or mapping cannot be a key (write a plain word)"],
        ),
        ("'': 1\n", ["f:1:1: error: a key is missing before the colon"]),
        (
            "a: 1\n---\nb: 2\n",
            ["f:2:1: error: a second document in the file (remove everything from '---' on)"],
        ),
        ("a: [1, 2\nb: 3\n", ["f:2:2: error: not valid YAML: expected ',' or ']', but got ':'"]),
        ("a: 'x\n", ["f:2:1: error: not valid YAML: found unexpected end of stream"]),
        (
            "a:\n\t- 1\n",
            ["f:2:1: error: not valid YAML: found character '\\t' that cannot start any token"],
        ),
        ("a: 1\nb: \x07\n", ["f:2:4: error: not valid YAML: the character U+0007 is not allowed"]),
        ('a: "\\UFFFFFFFF"\n', ["f:1:1: error: not valid YAML: "]),
        ("[" * 40, [f"f:1:{MAX_DEPTH + 1}: error: {'[0]' * 32}: more than 32 levels of nesting"]),
    ],
)
def test_what_is_wrong_is_named_with_line_and_column(text: str, complaints: list[str]) -> None:
    found = [str(problem) for problem in read_document(text, "f").problems]
    assert len(found) == len(complaints)
    for complaint, start in zip(found, complaints, strict=True):
        assert complaint.startswith(start)


def test_of_repeated_keys_the_first_stays() -> None:
    document = read_document("a: 1\na: {b: [2]}\nc: 3\n? [x]\n: 4\nd: 5\n", "f")
    assert document.data == {"a": "1", "c": "3", "d": "5"}
    assert document.place(("a",)) == Place("f", 1, 4)


def test_variables_are_replaced_where_an_environment_is_given() -> None:
    text = 'a: ${PBX}\nb: "sip:${HOST}:${PORT}"\n${PBX}: c\n'
    environment = {"PBX": "192.0.2.1:5060", "HOST": "h", "PORT": "1"}
    document = read_document(text, "f", environment)
    assert document.data == {"a": "192.0.2.1:5060", "b": "sip:h:1", "${PBX}": "c"}
    assert read_document("a: ${PBX}", "f").data == {"a": "${PBX}"}


def test_what_a_variable_holds_is_a_value_and_never_yaml() -> None:
    document = read_document("a: ${X}\n", "f", {"X": "[1]\nb: 2"})
    assert document.data == {"a": "[1]\nb: 2"}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (
            "p:\n  a: [x, '${PBX}']\n",
            "f:2:10: error: p.a[1]: " + NOT_SET.replace("NAME", "PBX"),
        ),
        (
            "a: ${EMPTY}",
            "f:1:4: error: a: " + NOT_SET.replace("NAME", "EMPTY"),
        ),
        ("a: ${P-Q}", "f:1:4: error: a: '${P-Q}' names no variable (write ${NAME})"),
        ("a: x${PBX", "f:1:4: error: a: '${PBX' names no variable (write ${NAME})"),
    ],
)
def test_a_variable_that_is_not_set_is_named(text: str, complaint: str) -> None:
    found = read_document(text, "f", {"EMPTY": ""}).problems
    assert [str(problem) for problem in found] == [complaint]


YAML_LIKE = st.lists(
    st.sampled_from(
        [
            "a",
            "b",
            ": ",
            "\n",
            "  ",
            "- ",
            "[",
            "]",
            "{",
            "}",
            ",",
            "'",
            '"',
            "&x ",
            "*x",
            "!t ",
            "? ",
            "---\n",
            "|",
            ">",
            "#",
            "%YAML 1.1\n",
            "${X}",
            "\\U",
            "\t",
            "~",
            "<<",
            "1",
            "\x85",
        ]
    ),
    max_size=30,
).map("".join)


@given(st.text() | YAML_LIKE | st.binary().map(lambda b: b.decode("utf-8", "surrogateescape")))
def test_any_text_is_a_document(text: str) -> None:
    document = read_document(text, "f", {})
    lines = text.count("\n") + text.count("\r") + text.count("\x85") + 2
    for problem in document.problems:
        assert 1 <= problem.line <= lines + text.count("\u2028") + text.count("\u2029")
        assert problem.column >= 1


def test_hints_name_the_closest_word() -> None:
    assert did_you_mean("lissten", ["listen", "bind"], "keys") == "did you mean 'listen'?"
    assert did_you_mean("aes_80", ["AES_80", "GCM"], "suites") == "did you mean 'AES_80'?"
    assert did_you_mean("zzz", ["listen", "bind"], "keys") == "keys: bind, listen"
    assert did_you_mean("zzz", [], "peers") == "there are no peers"


def test_paths_and_problems_read_like_compilers_write_them() -> None:
    assert path_text(("networks", "a", "listen", 0, "x")) == "networks.a.listen[0].x"
    problem = Problem(Severity.WARNING, "f", 3, 4, "", "odd")
    assert str(problem) == "f:3:4: warning: odd"
    assert not problem.is_error


_PIECES = st.sampled_from(
    [
        "a", "b", ": ", ":", "- ", "\n", "\n  ", "\n    ", "[", "]", "{", "}", ", ", "'", '"', "~",
        "null", "0049", "12:30", "#", " # x", "|\n", ">\n", "&x ", "*x", "!t ", "---\n", "?", "é",
        "\t", "\\", "%", "@", "`", "\x00", "\u2028", "😀",
    ]
)  # fmt: skip


@example("?\n  a")
@given(st.lists(_PIECES, max_size=14).map("".join))
@settings(max_examples=400)
def test_it_does_not_matter_which_of_the_two_parsers_reads(written: str) -> None:
    fast = read_document(written, "f")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text, "_FAST", text.yaml.SafeLoader)
        slow = read_document(written, "f")
    # libyaml takes a little more: a tab behind a value, for example. Of a text with nothing in it
    # they disagree about the place.
    if not slow.broken and slow.data is not None:
        assert (fast.data, fast.values, fast.keys) == (slow.data, slow.values, slow.keys)


def test_a_text_that_nobody_wrote_is_read_only_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "MOST_VALUES", 10)
    long = read_document(f"[{'a,' * 100}]", "f")
    assert [str(one) for one in long.problems] == [
        "f:1:20: error: [10]: more than 10 values (put long lists into files of sets)"
    ]
    monkeypatch.undo()
    monkeypatch.setattr(text, "MOST_PROBLEMS", 10)
    faulty = read_document(f"[{'*a,' * 100}]", "f")
    assert len(faulty.problems) == 12
    assert faulty.problems[-1].message == "more than 10 problems; the rest of the file is not read"
