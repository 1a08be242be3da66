"""Rules for headers in what we answer ourselves, and in answers to registrations."""

from dataclasses import replace
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sbc.config.load import Configuration
from sbc.driver.manipulating import Manipulator
from sbc.policy.load import combine, load_policy
from sbc.registrar.registrar import Registrar
from sbc.sip.flow import Flow
from sbc.sip.message import Request, make_response
from sbc.sip.parser import parse_message_untrusted
from tests.kit.switchboard import (
    OFFER,
    OUTSIDE,
    PBX_FLOW,
    PHONE_FLOW,
    ROOT,
    Board,
    FakeLog,
    FakeWire,
    Sent,
    a_configuration,
    a_message,
    a_register,
    in_force,
    register,
    titles,
)

STRANGER = PHONE_FLOW._replace(remote=("198.51.100.66", 40000))
CACHED = "    kind: endpoints\n    registration: {mode: cache}\n"
LOCAL = """\
networks:
  outside: {bind: 203.0.113.10, listen: udp/5060}
  inside: {trust: trusted, bind: 192.168.1.2, listen: udp/5062, media_ports: 20000-29999}
peers:
  pbx: {kind: pbx, network: inside, address: 192.168.1.5}
  phones:
    kind: endpoints
    network: outside
    domain: 203.0.113.10
    authentication: {mode: challenge, users: {alice: s3cret}}
    registration: {mode: local}
routes:
  - {from: outside, to: pbx}
policies: ../policies/edge-default.yaml
"""


def with_rules(rules: str, before: Configuration | None = None) -> Configuration:
    """The shipped configuration with one list of rules for headers."""
    shipped = (ROOT / "policies/edge-default.yaml").read_text()
    loaded = [
        load_policy(shipped, "edge-default.yaml"),
        load_policy(f"headers:\n{rules}", "headers.yaml"),
    ]
    assert [str(one) for policy in loaded for one in policy.problems] == []
    return replace(before or a_configuration(), policies=combine(loaded))


def marked(**keys: str) -> str:
    """A rule that marks responses; the keys are those of the rule."""
    rest = "".join(f", {key.rstrip('_')}: {value}" for key, value in keys.items())
    return f'  - {{name: mark, on: responses{rest}, do: [{{set: X-Mark, value: "$(status)"}}]}}'


def marks(sent: list[Sent]) -> list[tuple[str, str | None]]:
    return [(one.title, one.message.headers.first("x-mark")) for one in sent]


ASKED = [
    (STRANGER, a_message("INVITE", body=OFFER), "403 INVITE"),
    (STRANGER, a_message("OPTIONS", uri=f"sip:{OUTSIDE}"), "200 OPTIONS"),
    (STRANGER, a_message("BYE", to_tag="none"), "481 BYE"),
    (STRANGER, a_message("CANCEL"), "481 CANCEL"),
    (STRANGER, a_message("OPTIONS", max_forwards="many"), "400 OPTIONS"),
    (PBX_FLOW, a_message("OPTIONS", uri="sip:192.168.1.2"), "200 OPTIONS"),
    (PBX_FLOW, a_message("INVITE", uri="sip:nobody@192.168.1.2"), "480 INVITE"),
]


@pytest.mark.parametrize(("flow", "data", "title"), ASKED)
def test_what_we_answer_ourselves_is_changed_like_any_answer(
    flow: Flow, data: bytes, title: str
) -> None:
    board = Board(with_rules(marked()))
    final = board.give(flow, data)[-1]
    assert final.title == title
    assert final.message.headers.first("x-mark") == title[:3]
    assert "answer changed" in board.log.events("debug")


def test_a_100_is_left_alone() -> None:
    board = Board(with_rules(marked()))
    register(board)
    assert marks(board.give(PHONE_FLOW, a_message("INVITE", body=OFFER)))[0] == ("100 INVITE", None)


@pytest.mark.parametrize(("flow", "data", "title"), ASKED)
def test_only_answers_toward_those_that_a_rule_names_are_changed(
    flow: Flow, data: bytes, title: str
) -> None:
    for toward, meant in (
        ("outside", STRANGER), ("inside", PBX_FLOW), ("pbx", PBX_FLOW), ("phones", PHONE_FLOW),
    ):  # fmt: skip
        board = Board(with_rules(marked(toward=toward)))
        final = board.give(flow, data)[-1]
        assert final.message.headers.has("x-mark") is (flow == meant), (toward, title)


def test_a_registered_phone_is_of_its_group_whatever_is_refused() -> None:
    board = Board(with_rules(marked(toward="phones")))
    register(board)
    assert marks(board.give(PHONE_FLOW, a_message("BYE", to_tag="none"))) == [("481 BYE", "481")]
    assert marks(board.give(PHONE_FLOW, a_message("OPTIONS", uri=f"sip:{OUTSIDE}"))) == [
        ("200 OPTIONS", "200")
    ]


def test_what_we_answer_ourselves_comes_from_nobody() -> None:
    for from_ in ("pbx", "phones", "outside", "inside"):
        configuration = with_rules(marked(from_=from_))
        for flow, data, _ in ASKED:
            board = Board(configuration)
            assert not board.give(flow, data)[-1].message.headers.has("x-mark")


@pytest.mark.parametrize(
    ("when", "holds"),
    [
        ("{status: 4xx}", True),
        ("{status: 200}", False),
        ("{method: INVITE, source: 198.51.100.66}", True),
        ("{source: 192.168.1.5}", False),
        ("{user_agent: scanner}", True),
        ("{network: outside, trust: untrusted, registered: false}", True),
        ("{header: Warning, called: '600'}", True),
        ("{tls_version: {above: 1}}", False),
    ],
)
def test_conditions_ask_about_the_request_that_is_answered(when: str, holds: bool) -> None:
    board = Board(with_rules(marked(when=when)))
    message = a_message("INVITE", headers=("User-Agent: some-scanner",), body=OFFER)
    (refused,) = board.give(STRANGER, message)
    assert refused.message.headers.has("x-mark") is holds


def test_a_challenge_stays_one_and_is_changed() -> None:
    board = Board(with_rules(marked(toward="phones"), a_configuration(LOCAL)))
    (challenge,) = board.give(PHONE_FLOW, a_register())
    assert marks([challenge]) == [("401 REGISTER", "401")]
    assert challenge.message.headers.has("www-authenticate")


def test_an_answer_says_the_same_each_time_it_is_made() -> None:
    board = Board(with_rules(marked()))
    bye = a_message("BYE", to_tag="none")
    (first,) = board.give(PBX_FLOW, bye)
    (again,) = board.give(PBX_FLOW, bye)
    assert first.data == again.data


# -- registrations ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "holds"),
    [
        ({}, True),
        ({"from_": "pbx", "toward": "phones"}, True),
        ({"from_": "inside", "when": "{network: inside, source: 192.168.1.5, peer: pbx}"}, True),
        ({"from_": "phones"}, False),
        ({"toward": "pbx"}, False),
        ({"when": "{method: REGISTER, caller: alice, status: 200}"}, True),
    ],
)
def test_a_registrar_s_answer_is_changed_as_one_from_the_registrar(
    keys: dict[str, str], holds: bool
) -> None:
    board = Board(with_rules(marked(**keys)))
    (answer,) = register(board)
    assert answer.title == "200 REGISTER"
    assert answer.message.headers.has("x-mark") is holds
    assert ("registration changed" in board.log.events("debug")) is holds
    assert board.switchboard.registrar.pending == 0


def test_a_registrar_s_answer_is_changed_as_it_comes_too() -> None:
    rule = "  - {name: r, on: responses, direction: in, from: pbx, do: [{set: X-In, value: a}]}"
    board = Board(with_rules(rule + "\n" + marked(when="{header: X-In}")))
    (answer,) = register(board)
    assert (answer.message.headers.has("x-mark"), answer.message.headers.first("x-in")) == (
        True,
        "a",
    )


def test_a_header_that_hiding_withholds_of_a_registrar_may_be_let_through() -> None:
    rule = "  - {name: r, on: responses, toward: phones, do: [{pass: Server}]}"
    board = Board(with_rules(rule))
    (relayed,) = board.give(PHONE_FLOW, a_register())
    contact = f"Contact: {relayed.message.headers.first('contact')};expires=3600"
    (answer,) = board.reply(relayed, 200, headers=(contact, "Server: Asterisk 18"))
    assert answer.message.headers.all("server") == ["Asterisk 18"]


def test_a_refresh_that_a_cache_answers_is_answered_by_us() -> None:
    text = (ROOT / "deploy/sbc.yaml").read_text()
    text = text.replace("    kind: endpoints ", f"{CACHED}    # ")
    for keys, of_registrar, of_ours in (
        ({"from_": "pbx"}, "200", None),
        ({"toward": "phones"}, "200", "200"),
    ):
        board = Board(with_rules(marked(**keys), a_configuration(text)))
        (relayed,) = board.give(PHONE_FLOW, a_register())
        contact = f"Contact: {relayed.message.headers.first('contact')}"
        answer = board.reply(relayed, 200, headers=(contact,))
        assert marks(answer) == [("200 REGISTER", of_registrar)]
        again = board.give(PHONE_FLOW, a_register(cseq=2))
        assert marks(again) == [("200 REGISTER", of_ours)]


def test_the_answer_in_place_of_a_registrar_out_of_reach_is_ours() -> None:
    quiet = "  - {name: quiet, on: responses, do: [{remove: Warning}]}"
    board = Board(with_rules(marked(from_="pbx") + "\n" + quiet))
    (relayed,) = board.give(PHONE_FLOW, a_register())
    board.switchboard.flow_failed(relayed.flow, "no route to host", board.now)
    (answer,) = board.wire.take()
    assert answer.title == "503 REGISTER"
    assert not answer.message.headers.has("x-mark")
    assert not answer.message.headers.has("warning")


# -- what may not be ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "operation",
    [
        "{remove: Min-Expires}",
        "{rename: Min-Expires, to: X-Least}",
        "{move: Min-Expires, to: X-Least}",
        "{set: Min-Expires, value: soon}",
        "{set: Min-Expires, value: '10'}",
        "{regex: Min-Expires, match: '.*', replace: ''}",
    ],
)
def test_what_an_answer_means_nothing_without_stays(operation: str) -> None:
    board = Board(with_rules(f"  - {{name: r, on: responses, do: [{operation}]}}"))
    (relayed,) = board.give(PHONE_FLOW, a_register())
    (answer,) = board.reply(relayed, 423, headers=("Min-Expires: 600",))
    assert answer.message.headers.all("min-expires") == ["600"]
    assert "registration changed" in board.log.events("warning")


def test_an_answer_may_say_less_but_not_nothing() -> None:
    for operation, allow in (
        ("{remove: Allow}", "INVITE, ACK, BYE, CANCEL, OPTIONS, REGISTER"),
        ("{regex: Allow, match: ', REGISTER', replace: ''}", "INVITE, ACK, BYE, CANCEL, OPTIONS"),
    ):
        board = Board(with_rules(f"  - {{name: r, on: responses, do: [{operation}]}}"))
        (refused,) = board.give(PBX_FLOW, a_message("PUBLISH", uri="sip:192.168.1.2"))
        assert (refused.title, refused.message.headers.all("allow")) == ("405 PUBLISH", [allow])


@pytest.mark.parametrize(
    "header", ["Via", "CSeq", "Call-ID", "Contact", "WWW-Authenticate", "Unsupported", "From", "To"]
)
def test_what_any_answer_needs_is_not_for_rules_to_change(header: str) -> None:
    rule = f"headers: [{{name: r, on: responses, do: [{{remove: {header}}}]}}]"
    assert load_policy(rule, "p").broken


def test_no_text_of_a_stranger_breaks_out_of_an_answer() -> None:
    value = "'a $(called), $(caller) $(source)'"
    board = Board(with_rules(f"  - {{name: r, on: responses, do: [{{set: X-A, value: {value}}}]}}"))
    message = a_message(
        "INVITE", uri="sip:6%0d%0aX-Evil:1@203.0.113.10", from_user="a%0d%0aX-Evil:%201", body=OFFER
    )
    (refused,) = board.give(STRANGER, message)
    assert refused.title == "403 INVITE"
    assert b"\r\nX-Evil" not in refused.data
    assert refused.data.count(b"\r\n\r\n") == 1


def test_what_a_rule_cannot_read_leaves_the_answer_as_it_is() -> None:
    rules = [
        "  - {name: first, on: responses, do: [{set: X-Mark, value: a}]}",
        "  - {name: r, on: responses, when: {caller: '1*'}, do: [{set: X-Mark, value: b}]}",
    ]
    board = Board(with_rules("\n".join(rules)))
    message = a_message("OPTIONS").replace(b"From: <sip:alice@203.0.113.10>", b"From: <<<>")
    (refused,) = board.give(STRANGER, message)
    assert refused.title == "400 OPTIONS"
    assert b"X-Mark" not in refused.data
    assert "answer changed" in board.log.events("warning")
    assert "internal error" not in board.log.events("error")


EVERYTHING = "\n".join(
    [
        *(
            f"  - {{name: r{number}, on: both, when: {{{when}}}, do: [{{set: X-Mark, value: "
            "'$(caller) $(called) $(header:Warning) $(source)'}]}"
            for number, when in enumerate(
                ["forwards: {below: 9}", "anonymous: false", "presents: unlisted", "srtp: none",
                 "emergency: false", "asserted: '*'", "neighbour: false", "domain: example.com"]
            )
        ),
        "  - {name: w, on: responses, do: [{regex: Warning, match: '[a-z]+', replace: '$(0),'}]}",
    ]
)  # fmt: skip
SPOILT = st.sampled_from(
    [b"From", b"To", b"sip:", b"<", b">", b"SIP/2.0", b"600", b"Call-ID", b"CSeq", b"OPTIONS", b"@"]
)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from([data for _, data, _ in ASKED] + [a_register()]),
    SPOILT,
    st.binary(max_size=6),
)
def test_whatever_comes_the_answer_is_legal(data: bytes, spoilt: bytes, by: bytes) -> None:
    board = Board(BROADLY)
    for sent in board.give(STRANGER, data.replace(spoilt, by)):
        if sent.data.startswith(b"SIP/2.0"):
            head, _, body = sent.data.partition(b"\r\n\r\n")
            assert body == b""
            assert b"\n" not in head.replace(b"\r\n", b"")
    assert "internal error" not in board.log.events("error")


BROADLY = with_rules(EVERYTHING)


def test_a_refusal_costs_no_look_up_where_no_rule_fits() -> None:
    rules = [marked(toward="pbx"), marked(from_="outside").replace("mark,", "other,")]
    configuration = with_rules("\n".join(rules))
    log = FakeLog()
    nobody = cast("Any", None)
    manipulator = Manipulator(
        in_force(configuration),
        registrar=cast("Registrar", nobody),
        wire=cast("FakeWire", nobody),
        log=log,
        wall=nobody,
    )
    request = parse_message_untrusted(a_message("INVITE"))
    assert isinstance(request, Request)
    response = make_response(request, 403, None, "tag")
    before = response.headers.copy()
    manipulator.answer(response, request, STRANGER)
    assert (response.headers, log.lines) == (before, [])


def test_other_rules_hold_for_answers_from_a_reload_on() -> None:
    board = Board(with_rules(marked()))
    assert board.switchboard.configure(in_force(a_configuration()), board.now)
    assert marks(board.give(STRANGER, a_message("INVITE", body=OFFER))) == [("403 INVITE", None)]
    assert titles(board.give(PBX_FLOW, a_message("OPTIONS", uri="sip:192.168.1.2"))) == [
        "200 OPTIONS"
    ]
