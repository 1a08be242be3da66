"""Rules for headers: what they change of a message, and what they leave alone."""

import pytest

from sbc.policy.facts import Facts
from sbc.policy.load import load_policy
from sbc.policy.manipulation import begins_dialog, manipulate
from sbc.policy.manipulation_rules import HeaderRules
from sbc.policy.manipulation_values import End, Passing
from sbc.policy.model import Step
from sbc.sip.headers import Headers
from sbc.sip.message import Message, Request, Response, make_response, serialize
from sbc.sip.parser import parse_message_untrusted

TRUNK = End("trunk", "outside")
CALL = (
    ("Via", "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKx"),
    ("Max-Forwards", "70"),
    ("From", '"Bob" <sip:0049301234@a.example;user=phone>;tag=1'),
    ("To", "<sip:600@b.example>"),
    ("Call-ID", "x@y"),
    ("CSeq", "1 INVITE"),
)


def an_invite(*headers: tuple[str, str]) -> Request:
    return Request("INVITE", "sip:600@b.example", Headers((*CALL, *headers)))


def rules(*operations: str, more: str = "") -> HeaderRules:
    listed = "".join(f"      - {{{operation}}}\n" for operation in operations)
    policy = load_policy(f"headers:\n  - name: r\n{more}    do:\n{listed}", "p")
    assert [str(problem) for problem in policy.problems] == []
    return HeaderRules(policy.headers)


def applied(
    to: HeaderRules, message: Message, source: Message | None = None
) -> tuple[list[Step], list[str]]:
    request = message if isinstance(message, Request) else None
    facts = Facts(
        "outside",
        trusted=False,
        host="192.0.2.9",
        method=message.cseq.method,
        peer="trunk",
        request=request,
        message=message,
    )
    passing = Passing(facts, message, TRUNK, End("pbx", "inside"), source)
    outcome = manipulate(to.all, passing)
    assert parse_message_untrusted(serialize(message)).headers == message.headers
    return outcome


def done(message: Message, *operations: str, source: Message | None = None) -> list[str]:
    """What of a message is different after some operations."""
    before = [f"{name}: {value}" for name, value in message.headers.items()]
    _, failures = applied(rules(*operations), message, source)
    assert failures == []
    after = [f"{name}: {value}" for name, value in message.headers.items()]
    return [f"-{line}" for line in before if line not in after] + [
        f"+{line}" for line in after if line not in before
    ]


PAI = ("P-Asserted-Identity", '"Bob" <sip:0049301234@pbx.example>, <tel:0049301234;ext=5>')


@pytest.mark.parametrize(
    ("headers", "operation", "changes"),
    [
        ([], "set: X-A, value: b", ["+X-A: b"]),
        (
            [("X-A", "1"), ("x-a", "2")],
            "set: X-A, value: b",
            ["-X-A: 1", "-x-a: 2", "+X-A: b"],
        ),
        ([("X-A", "1")], "add: X-A, value: b", ["+X-A: b"]),
        ([("X-A", "1"), ("X-A", "2")], "remove: x-a", ["-X-A: 1", "-X-A: 2"]),
        ([("X-A", "1")], "rename: X-A, to: X-B", ["-X-A: 1", "+X-B: 1"]),
        ([("X-A", "1")], "move: X-A, to: X-B", ["-X-A: 1", "+X-B: 1"]),
        (
            [("X-A", "a1b2")],
            'regex: X-A, match: "([a-z])[0-9]", replace: "<$(1)>"',
            ["-X-A: a1b2", "+X-A: <a><b>"],
        ),
        ([("X-A", "a1b2")], "regex: X-A, match: .*, replace: ''", ["-X-A: a1b2"]),
        ([], "remove: X-A", []),
        ([], "rename: X-A, to: X-B", []),
        ([], "move: X-A, to: X-B", []),
        ([], "regex: X-A, match: a, replace: b", []),
        ([], "set: X-A.display, value: b", []),
        ([("X-A", "no address;x=1")], "set: X-A.params.x, value: 2", []),
        (
            [("Diversion", "<sip:1@x>;reason=busy;counter=2")],
            "set: Diversion.params.reason, value: unknown",
            [
                "-Diversion: <sip:1@x>;reason=busy;counter=2",
                "+Diversion: <sip:1@x>;reason=unknown;counter=2",
            ],
        ),
        (
            [("Diversion", "<sip:1@x>;reason=busy;counter=2")],
            "remove: Diversion.params.counter",
            [
                "-Diversion: <sip:1@x>;reason=busy;counter=2",
                "+Diversion: <sip:1@x>;reason=busy",
            ],
        ),
        (
            [("Diversion", "<sip:1@x>")],
            "set: Diversion.params.text, value: a b",
            ["-Diversion: <sip:1@x>", '+Diversion: <sip:1@x>;text="a b"'],
        ),
        (
            [PAI],
            'regex: P-Asserted-Identity.uri.user, match: "^00", replace: "+"',
            [
                f"-{PAI[0]}: {PAI[1]}",
                f'+{PAI[0]}: "Bob" <sip:+49301234@pbx.example>, <tel:+49301234;ext=5>',
            ],
        ),
        (
            [PAI],
            "set: P-Asserted-Identity.uri.host, value: example.org",
            [
                f"-{PAI[0]}: {PAI[1]}",
                f'+{PAI[0]}: "Bob" <sip:0049301234@example.org>, <tel:0049301234;ext=5>',
            ],
        ),
        (
            [("Reply-To", "<sip:a@[2001:db8::1]:5070;x=1>")],
            "set: Reply-To.uri.host, value: '2001:db8::2'",
            [
                "-Reply-To: <sip:a@[2001:db8::1]:5070;x=1>",
                "+Reply-To: <sip:a@[2001:db8::2]:5070;x=1>",
            ],
        ),
        (
            [("Reply-To", "<sip:a@b;x=1>")],
            "remove: Reply-To.uri.params.x",
            ["-Reply-To: <sip:a@b;x=1>", "+Reply-To: <sip:a@b>"],
        ),
        (
            [("Reply-To", "<sip:a@b>")],
            "set: Reply-To.uri, value: 'tel:+1'",
            ["-Reply-To: <sip:a@b>", "+Reply-To: <tel:+1>"],
        ),
        (
            [],
            'set: From.display, value: Al "the" B',
            [
                f"-From: {CALL[2][1]}",
                '+From: "Al \\"the\\" B" <sip:0049301234@a.example;user=phone>;tag=1',
            ],
        ),
        (
            [],
            "remove: From.display",
            [f"-From: {CALL[2][1]}", "+From: <sip:0049301234@a.example;user=phone>;tag=1"],
        ),
        (
            [],
            "set: To.uri.user, value: a b@c",
            ["-To: <sip:600@b.example>", "+To: <sip:a%20b%40c@b.example>"],
        ),
        (
            [("X-Name", "Bob B")],
            "move: X-Name, to: From.display",
            [
                f"-From: {CALL[2][1]}",
                "-X-Name: Bob B",
                '+From: "Bob B" <sip:0049301234@a.example;user=phone>;tag=1',
            ],
        ),
        (
            [],
            "set: X-A, value: $(peer) $(toward) $(network) $(source) $(method)$(status)",
            ["+X-A: trunk pbx outside 192.0.2.9 INVITE"],
        ),
        ([], "set: X-A, value: $(caller)>$(called)", ["+X-A: 0049301234>600"]),
        (
            [],
            "set: X-A, value: '$(header:from.uri.user) $(header:From.params.tag) $(header:X-No)'",
            ["+X-A: 0049301234 1"],
        ),
        ([], "set: X-A, value: $(header:X-No)", []),
        ([], "add: X-A, value: $(header:X-No)", []),
    ],
)
def test_an_operation_changes_what_it_names(
    headers: list[tuple[str, str]], operation: str, changes: list[str]
) -> None:
    assert done(an_invite(*headers), operation) == changes


def test_operations_see_what_those_before_them_did() -> None:
    invite = an_invite(("X-A", "1"))
    assert done(invite, "move: X-A, to: X-B", "set: X-C, value: '$(header:X-B)2'") == [
        "-X-A: 1",
        "+X-B: 1",
        "+X-C: 12",
    ]


def test_what_topology_hiding_withholds_can_be_let_through() -> None:
    theirs = an_invite(("User-Agent", "PBX/1"), ("X-Where", "10.0.0.1"), ("X-Where", "2"))
    ours = an_invite(("User-Agent", "sbc"))
    passed = ("pass: User-Agent", "pass: X-Where", "pass: X-No")
    assert done(ours, *passed, source=theirs) == [
        "-User-Agent: sbc",
        "+User-Agent: PBX/1",
        "+X-Where: 10.0.0.1",
        "+X-Where: 2",
    ]
    assert done(an_invite(), *passed) == []


def test_a_rule_that_changed_something_is_a_step_with_the_lines_that_differ() -> None:
    steps, failures = applied(
        rules("set: X-A, value: b", "remove: X-B", more="    when: {method: INVITE}\n"),
        an_invite(("X-B", "c"), ("X-C", "d")),
    )
    assert failures == []
    assert [step.explanation for step in steps] == [
        "change -X-B: c; +X-A: b by rule 'r' (p:2): method INVITE (INVITE wanted)"
    ]
    assert steps[0].stage == "headers"


def test_a_rule_that_changed_nothing_is_no_step() -> None:
    assert applied(rules("set: X-A, value: b"), an_invite(("X-A", "b"))) == ([], [])


def test_a_difference_is_short_and_printable_however_long_the_lines_are() -> None:
    many = [(f"X-{number}", "v" * 1000) for number in range(20)]
    steps, _ = applied(rules(*(f"remove: {name}" for name, _ in many)), an_invite(*many))
    text = steps[0].action.text
    assert len(text) < 2500
    assert text.endswith("; and 8 more")
    steps, _ = applied(rules("remove: X-A"), an_invite(("X-A", "\udcff\u202e")))
    assert steps[0].action.text.isprintable()


@pytest.mark.parametrize(
    ("headers", "operation", "why"),
    [
        ([], 'set: X-A, value: "a\\r\\nX-Evil: 1"', "holds a line break"),
        ([], 'add: X-A, value: "a\\nb"', "holds a line break"),
        ([], 'set: X-A, value: "a\\0b"', "holds a line break"),
        ([], 'set: From.display, value: "a\\r\\nb"', "holds a line break"),
        ([], 'set: To.uri.user, value: "a\\0b"', "holds a line break"),
        ([("X-A", "a")], 'regex: X-A, match: a, replace: "\\r\\n"', "holds a line break"),
        ([], "set: P-Asserted-Identity, value: nobody", "is no address"),
        ([], "set: Reply-To, value: <sip:a@b", "is no address"),
        ([("X-A", "x y")], "rename: X-A, to: Diversion", "is no address"),
        ([], "set: From.uri.host, value: a b", "'a b' is no host"),
        ([], "set: From.uri.host, value: '[::g]'", "is no host"),
        ([("Reply-To", "<sip:a@b>")], "set: Reply-To.uri, value: nothing", "is no URI"),
        ([("Reply-To", "<tel:1>")], "set: Reply-To.uri.user, value: a b", "is no URI"),
        (
            [("Reply-To", "<sip:a@b>")],
            "set: Reply-To.uri.params.x, value: a;b",
            "is no value of a URI parameter",
        ),
        ([("Reply-To", "<sip:a@b>")], "regex: Reply-To.uri.host, match: b, replace: ''", "is no"),
        ([], "set: Expires, value: soon", "'soon' is no number of seconds"),
        ([("X-A", "1"), ("X-A", "2")], "rename: X-A, to: Expires", "Expires would be there twice"),
        ([("X-A", "\udcff")], "regex: X-A, match: a, replace: b", "is no UTF-8"),
        ([("X-A", "a" * 5000)], "regex: X-A, match: a, replace: b", "longer than 4096"),
        (
            [("X-A", "a" * 2000)],
            "regex: X-A, match: 'a??', replace: 0123456789",
            "longer than 8192 bytes",
        ),
        ([("X-A", "a" * 2040)], "set: X-B, value: '$(header:X-A)0123456789'", "longer than 2048"),
        ([("X-A", "a")] * 241, "add: X-A, value: b", "more than 248 headers"),
        ([("X-A", "a" * 7000)] * 4, "add: X-B, value: '" + "b" * 700 + "'", "longer than 28672"),
    ],
)
def test_what_cannot_be_said_is_not_applied_and_the_reason_is_told(
    headers: list[tuple[str, str]], operation: str, why: str
) -> None:
    invite = an_invite(*headers)
    before = invite.headers.copy()
    steps, failures = applied(rules(operation, "set: X-Other, value: x"), invite)
    assert steps == []
    assert invite.headers == before
    assert len(failures) == 1
    assert failures[0].startswith("rule 'r' (p:2) was not applied: ")
    assert why in failures[0]


def test_an_escaped_line_break_of_a_stranger_does_not_become_one() -> None:
    invite = an_invite()
    invite.headers.set("From", "<sip:a%0d%0aX-Evil:%201@b>;tag=1")
    operation = "set: X-A, value: '$(caller)|$(header:From.uri.user)'"
    steps, failures = applied(rules(operation), invite)
    assert not invite.headers.has("x-evil")
    assert len(steps) + len(failures) == 1


def test_an_escaped_delimiter_of_a_stranger_makes_no_second_address() -> None:
    invite = an_invite()
    invite.headers.set("From", "<sip:1%3E%2C%3Csip%3A110@b>;tag=1")
    operation = "set: P-Charge-Info, value: '<sip:$(caller)@x>'"
    assert done(invite, operation) == ["+P-Charge-Info: <sip:1%3E,%3Csip%3A110@x>"]


def test_a_rule_that_fails_does_not_keep_the_next_from_being_applied() -> None:
    text = (
        'headers:\n  - {name: a, do: [{set: X-A, value: "\\n"}]}\n'
        "  - {name: b, do: [{set: X-B, value: b}]}"
    )
    invite = an_invite()
    steps, failures = applied(HeaderRules(load_policy(text, "p").headers), invite)
    assert [step.rule for step in steps] == ["b"]
    assert len(failures) == 1


@pytest.mark.parametrize("method", ["BYE", "INVITE"])
def test_from_and_to_stay_as_they_are_within_a_dialog(method: str) -> None:
    request = Request(method, "sip:600@b.example", Headers(CALL))
    request.headers.set("To", "<sip:600@b.example>;tag=2")
    request.headers.set("CSeq", f"2 {method}")
    assert done(request, "set: From.display, value: x", "set: X-A, value: b") == ["+X-A: b"]


@pytest.mark.parametrize("method", ["ACK", "CANCEL"])
def test_from_and_to_stay_as_they_are_in_what_belongs_to_an_invite(method: str) -> None:
    request = Request(method, "sip:600@b.example", Headers(CALL))
    request.headers.set("CSeq", f"1 {method}")
    assert not begins_dialog(request)
    assert done(request, "set: To.uri.user, value: x", "move: From.display, to: X-A") == []


def test_responses_repeat_from_and_to_of_their_request() -> None:
    response = make_response(an_invite(), 180, to_tag="t")
    more = "    on: both\n"
    steps, _ = applied(
        rules("set: From.display, value: x", "set: X-A, value: b", more=more), response
    )
    assert [step.action.text for step in steps] == ["+X-A: b"]


def test_conditions_ask_the_message_itself() -> None:
    more = "    on: responses\n    when: {status: [486, 6xx], header_matches: {Warning: [^399]}}\n"
    wanted = rules("remove: Warning", more=more)
    results = []
    for status, text in ((486, "399 x"), (603, "399 y"), (486, "370 x"), (180, "399 x")):
        response = make_response(an_invite(), status, to_tag="t")
        response.headers.append("Warning", text)
        applied(wanted, response)
        results.append(response.headers.has("warning"))
    assert results == [False, False, True, True]


def test_a_condition_on_a_header_tells_what_it_says() -> None:
    more = "    when: {header_matches: {X-A: '^b'}, not: {header_matches: {X-C: .}}}\n"
    steps, _ = applied(
        rules("set: X-B, value: b", more=more), an_invite(("X-A", "bc"), ("x-a", "d"))
    )
    assert [tuple(one) for one in steps[0].tested] == [
        ("header_matches x-a", "bc, d", "/^b/"),
        ("header_matches x-c", "none", "not /./"),
    ]
    assert applied(rules("remove: X-A", more=more), an_invite(("X-A", "b"), ("X-C", "d")))[0] == []


def test_rules_are_found_by_kind_direction_and_ends() -> None:
    text = """
headers:
  - {name: all, on: both, do: [{remove: X}]}
  - {name: answers, on: responses, do: [{remove: X}]}
  - {name: in, direction: in, from: trunk, do: [{remove: X}]}
  - {name: to pbx, toward: [pbx, spare], do: [{remove: X}]}
  - {name: from outside to pbx, from: outside, toward: pbx, do: [{remove: X}]}
"""
    policy = HeaderRules(load_policy(text, "p").headers)
    trunk, pbx, phone = End("trunk", "outside"), End("pbx", "inside"), End("", "outside")
    request, response = an_invite(), Response(200, "OK")

    def names(direction: str, message: Message, sender: End, receiver: End | None) -> list[str]:
        found = policy.fitting(direction, message, sender, receiver)  # type: ignore[arg-type]  # a word
        return [rule.name for rule in found]

    for _ in range(2):
        assert names("out", request, trunk, pbx) == ["all", "to pbx", "from outside to pbx"]
        assert names("out", request, pbx, trunk) == ["all"]
        assert names("out", request, phone, End("spare", "inside")) == ["all", "to pbx"]
        assert names("out", response, phone, pbx) == ["all", "answers"]
        assert names("in", request, trunk, None) == ["in"]
        assert names("in", request, phone, None) == []
        assert names("in", response, trunk, None) == []


def test_no_rules_find_nothing() -> None:
    assert HeaderRules().fitting("out", an_invite(), End("", "a"), None) == ()


@pytest.mark.parametrize(
    ("value", "said", "becomes"),
    [
        ("<sip:$(header:X)@us.example>", "600", "<sip:600@us.example>"),
        ("<sip:$(header:X)@us.example>", "1@evil.example>, <sip:2", None),
        ("sip:$(header:X)@us.example", "1@evil.example, sip:2", None),
        ('"$(header:X)" <sip:1@us.example>', "Smith, Bob; at home", "Smith, Bob; at home"),
        ('"$(header:X)" <sip:1@us.example>', 'a" <sip:2@evil.example>, "b', None),
        ('"$(header:X)" <sip:1@us.example>', "a\\", None),
        ("<sip:1@us.example>;why=$(header:X)", "no, <sip:2@evil.example>", None),
        ("<sip:1@us.example>;why=$(header:X)", "no, sip:2@evil.example", None),
        ("$(header:X)", "<sip:1@a.example>, <sip:2@b.example>", "<sip:1@a.example>, <sip:2@b"),
        ("$(header:X);why=a", '"A" <sip:1@a.example>', '"A" <sip:1@a.example>;why=a'),
    ],
)
def test_no_header_says_another_address_than_its_place_has(
    value: str, said: str, becomes: str | None
) -> None:
    for verb in ("set", "add"):
        message = an_invite(("X", said))
        written = value.replace("'", "''")
        _, failures = applied(rules(f"{verb}: Reply-To, value: '{written}'"), message)
        found = message.headers.first("reply-to")
        assert (found is None) is (becomes is None), (found, failures)
        assert found is None or becomes in found
        assert bool(failures) is (becomes is None)


def test_a_header_that_is_no_address_may_say_anything_of_another() -> None:
    message = an_invite(("X", 'a" <b>, c'))
    assert done(message, "set: Subject, value: 'of $(header:X)'") == ['+Subject: of a" <b>, c']
