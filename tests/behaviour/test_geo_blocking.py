"""The example with geography: who is served, what may be called, and what an emergency passes."""

from pathlib import Path

import pytest

from sbc.sip.flow import Flow
from tests.kit.geo import COUNTRIES, written
from tests.kit.switchboard import (
    OFFER,
    PBX,
    PBX_FLOW,
    PHONE_FLOW,
    ROOT,
    Board,
    Sent,
    a_configuration,
    a_message,
    a_register,
    register,
    titles,
)

EXAMPLE = "deploy/examples/geo-blocking.yaml"
HOME = PHONE_FLOW._replace(remote=("203.0.113.20", 40000))
ELSEWHERE = PHONE_FLOW


def a_board(country: Path, more: str = "") -> Board:
    """The example on the machine of the tests, with more policies."""
    text = (ROOT / EXAMPLE).read_text().replace("192.168.10.", "192.168.1.")
    text = text.replace("policies:", f"policies:{more}")
    configuration = a_configuration(text, EXAMPLE, {"COUNTRY_DB": str(country)})
    return Board(configuration, {"sip.carrier.example": ("192.0.2.17",)})


@pytest.fixture
def board(tmp_path: Path) -> Board:
    return a_board(written(tmp_path / "country.mmdb", COUNTRIES))


def dial(board: Board, flow: Flow, number: str) -> list[Sent]:
    """What comes of a call; later than whatever was refused before."""
    board.wait(2)
    uri, branch = f"sip:{number}@203.0.113.10", f"z9hG4bK-{number}"
    invite = a_message("INVITE", uri=uri, branch=branch, call_id=number, body=OFFER)
    return board.give(flow, invite)


def refused(board: Board, flow: Flow, number: str) -> str:
    """With which words a call is refused."""
    (sent,) = dial(board, flow, number)
    return sent.data.partition(b"\r\n")[0].decode()


def test_a_phone_at_home_registers_and_one_elsewhere_does_not(board: Board) -> None:
    (done,) = register(board, flow=HOME)
    assert done.title == "200 REGISTER"
    (answer,) = board.give(ELSEWHERE, a_register("bob"))
    assert answer.data.startswith(b"SIP/2.0 403 Not served where you are\r\n")


def test_a_registered_phone_calls_the_countries_that_are_allowed_and_no_others(
    board: Board,
) -> None:
    register(board, flow=HOME)
    assert titles(dial(board, HOME, "0033142345678")) == ["100 INVITE", "INVITE"]
    assert refused(board, HOME, "0018765551234") == "SIP/2.0 603 Not a country to call from here"
    assert refused(board, HOME, "09001234567") == "SIP/2.0 603 Not a number to call from here"


def test_what_the_pbx_dials_is_judged_too(board: Board) -> None:
    flow = PBX_FLOW._replace(remote=(PBX, 5060))
    assert titles(dial(board, flow, "+33142345678")) == ["100 INVITE", "INVITE"]
    assert refused(board, flow, "+88213300000") == "SIP/2.0 603 Not a number to call from here"


def test_emergency_calls_pass_even_where_the_database_is_missing(tmp_path: Path) -> None:
    board = a_board(tmp_path / "none.mmdb")
    (answer,) = board.give(HOME, a_register())
    assert answer.title == "403 REGISTER"
    flow = PBX_FLOW._replace(remote=(PBX, 5060))
    assert titles(dial(board, flow, "112")) == ["100 INVITE", "INVITE"]
    # Who may call at all is asked all the same.
    assert titles(dial(board, HOME, "112")) == ["403 INVITE"]


@pytest.mark.parametrize(
    ("called", "number"),
    [
        ("urn:service:sos", "112"),
        ("urn:service:sos.fire", "112"),
        ("urn:service:sos.police", "110"),
        ("tel:112;phone-context=+49", "112"),
        ("tel:110;phone-context=+4930", "110"),
        ("sip:112;phone-context=+49@192.168.1.2", "112"),
    ],
)
def test_an_emergency_reaches_the_carrier_whatever_the_pbx_calls_it(
    tmp_path: Path, called: str, number: str
) -> None:
    services = tmp_path / "services.yaml"
    services.write_text("emergency: {services: {sos.police: 110}}")
    board = a_board(tmp_path / "none.mmdb", more=f"\n  - {services}")
    invite = a_message("INVITE", uri=called, to=called, body=OFFER)
    out = board.give(PBX_FLOW, invite)[-1]
    assert out.flow.remote[0] == "192.0.2.17"
    assert out.message.uri_text.startswith(f"sip:{number}@sip.carrier.example")
    to = out.message.headers.first("to")
    assert to.removesuffix(">").removesuffix(";user=phone") == f"<sip:{number}@sip.carrier.example"


def test_whoever_may_not_call_does_not_call_for_help_by_a_name_either(board: Board) -> None:
    invite = a_message("INVITE", uri="urn:service:sos", to="urn:service:sos", body=OFFER)
    assert titles(board.give(ELSEWHERE, invite)) == ["403 INVITE"]


def test_records_say_which_service_was_called(board: Board) -> None:
    invite = a_message("INVITE", uri="urn:service:sos", to="urn:service:sos", body=OFFER)
    board.give(PBX_FLOW, invite)
    (call,) = board.switchboard.calls
    assert call.callee == "urn:service:sos"
    assert call.route.startswith("route 'emergency' (")
    assert call.route.endswith("), called urn:service:sos -> 112 (emergency service)")


def test_the_log_says_which_rule_refused_and_what_it_knew(board: Board) -> None:
    board.give(ELSEWHERE, a_register())
    (why,) = [fields["why"] for _, event, fields in board.log.lines if "refused" in event]
    assert "'source country'" in str(why)
    assert "source_country JM (not AT|CH|DE wanted)" in str(why)


def test_emergency_calls_find_room_where_the_carrier_has_no_more(board: Board) -> None:
    numbers = [f"+3314234567{digit}" for digit in range(10)] + ["+33142345699", "112"]
    answers = []
    for number in numbers:
        invite = a_message(
            "INVITE",
            uri=f"sip:{number}@192.168.1.2",
            branch=f"z9hG4bK-{number}",
            call_id=number,
            body=OFFER,
        )
        answers.append(titles(board.give(PBX_FLOW, invite))[-1])
    assert answers == ["INVITE"] * 10 + ["503 INVITE", "INVITE"]


def test_emergency_calls_pass_a_limit_that_is_used_up(tmp_path: Path) -> None:
    country = written(tmp_path / "country.mmdb", COUNTRIES)
    limit = tmp_path / "limit.yaml"
    limit.write_text(
        "rate_limits: [{name: few calls, when: {method: INVITE}, per: method, rate: 0.1, burst: 1}]"
    )
    board = a_board(country, more=f"\n  - {limit}")
    assert titles(dial(board, PBX_FLOW, "+33142345678"))[-1] == "INVITE"
    assert titles(dial(board, PBX_FLOW, "+33142345679")) == ["503 INVITE"]
    assert titles(dial(board, PBX_FLOW, "112"))[-1] == "INVITE"
