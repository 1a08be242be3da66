"""A simulation treats what arrives as a border in production does, and leaves nothing behind."""

from hypothesis import given, settings
from hypothesis import strategies as st

from sbc.simulation.simulation import Simulation
from sbc.sip.flow import Flow
from sbc.sip.message import Response
from sbc.sip.parser import parse_message_untrusted
from tests.kit.switchboard import (
    OFFER,
    OUTSIDE,
    PBX_FLOW,
    PHONE_FLOW,
    Board,
    a_configuration,
    a_message,
    a_register,
    in_force,
)

CONFIGURATION = a_configuration()
BASE = 1.7e9


def a_simulation(*, agrees: bool = True) -> Simulation:
    return Simulation(in_force(CONFIGURATION), at=BASE, agrees=agrees)


def test_a_stranger_is_refused_and_told_so() -> None:
    outcome = a_simulation().receive(PHONE_FLOW, a_message("INVITE", body=OFFER), BASE)
    assert (outcome.treatment, outcome.status, outcome.rule) == ("reject", 403, "not registered")
    assert outcome.sent[0].startswith("SIP/2.0 403")
    assert outcome.title == "INVITE alice -> 600"


def test_who_registered_in_the_simulation_may_call() -> None:
    simulation = a_simulation()
    assert simulation.receive(PHONE_FLOW, a_register(), BASE).treatment == "allow"
    outcome = simulation.receive(PHONE_FLOW, a_message("INVITE", body=OFFER), BASE + 1)
    assert (outcome.treatment, outcome.rule) == ("allow", "registered phones may call")
    assert outcome.call is not None
    assert any(line.step == "candidate" for line in outcome.lines)


def test_who_registered_by_declaration_may_call() -> None:
    simulation = a_simulation()
    simulation.register("alice", OUTSIDE, PHONE_FLOW)
    outcome = simulation.receive(PHONE_FLOW, a_message("INVITE", body=OFFER), BASE)
    assert outcome.rule == "registered phones may call"


def test_a_registration_that_the_capture_saw_refused_is_none() -> None:
    simulation = a_simulation(agrees=False)
    simulation.receive(PHONE_FLOW, a_register(), BASE)
    simulation.answered(answer_to(a_register(), 403))
    outcome = simulation.receive(PHONE_FLOW, a_message("INVITE", body=OFFER), BASE + 1)
    assert outcome.treatment == "reject"


def test_a_registration_that_the_capture_saw_accepted_counts() -> None:
    simulation = a_simulation(agrees=False)
    simulation.receive(PHONE_FLOW, a_register(), BASE)
    simulation.answered(answer_to(a_register(), 200))
    outcome = simulation.receive(PHONE_FLOW, a_message("INVITE", body=OFFER), BASE + 1)
    assert outcome.treatment == "allow"


def answer_to(request: bytes, status: int) -> Response:
    text = request.decode().split("\r\n", 1)[1]
    answer = parse_message_untrusted(f"SIP/2.0 {status} X\r\n{text}".encode())
    assert isinstance(answer, Response)
    return answer


def test_a_call_ends_when_the_capture_says_bye() -> None:
    simulation = a_simulation()
    simulation.register("alice", OUTSIDE, PHONE_FLOW)
    simulation.receive(PHONE_FLOW, a_message("INVITE", body=OFFER), BASE)
    assert len(simulation.board.calls) == 1
    bye = a_message("BYE", to_tag="captured", cseq=2, branch="z9hG4bK-2")
    outcome = simulation.receive(PHONE_FLOW, bye, BASE + 5)
    assert outcome.treatment == "none"
    again = simulation.receive(PHONE_FLOW, bye, BASE + 60)
    assert again.status == 481


def test_a_clock_that_leaps_is_no_trap() -> None:
    simulation = a_simulation()
    simulation.register("alice", OUTSIDE, PHONE_FLOW)
    outcome = simulation.receive(PHONE_FLOW, a_message("OPTIONS"), BASE + 1e9)
    assert outcome.treatment == "allow"


def test_a_clock_that_goes_back_is_no_trap() -> None:
    simulation = a_simulation()
    simulation.receive(PHONE_FLOW, a_message("OPTIONS"), BASE + 100)
    assert simulation.receive(PHONE_FLOW, a_message("OPTIONS"), BASE - 100).at == BASE - 100


def test_given_counters_and_logins_are_of_one_message() -> None:
    simulation = a_simulation()
    outcome = simulation.receive(
        PHONE_FLOW, a_message("OPTIONS"), BASE, user="alice", counters={"calls_today": 3}
    )
    assert outcome.treatment == "allow"


STRANGER = PHONE_FLOW._replace(remote=("203.0.113.77", 5060))
ODD = PHONE_FLOW._replace(network="moon")
messages = st.builds(
    a_message,
    st.sampled_from(["INVITE", "OPTIONS", "MESSAGE", "NOTIFY", "BYE", "CANCEL", "FANCY"]),
    branch=st.sampled_from(["z9hG4bK-1", "z9hG4bK-2"]),
    call_id=st.sampled_from(["c1", "c2"]),
    to_tag=st.sampled_from([None, "x"]),
    max_forwards=st.sampled_from(["70", "0"]),
    headers=st.sampled_from([(), ("User-Agent: sipvicious",), ("Require: x",)]),
    body=st.sampled_from([b"", OFFER]),
)
arrivals = st.tuples(
    st.sampled_from([PHONE_FLOW, PBX_FLOW, STRANGER, ODD]), messages | st.binary(max_size=40)
)


@settings(max_examples=60, deadline=None)
@given(st.lists(arrivals, max_size=8))
def test_a_simulation_answers_as_production_does(traffic: list[tuple[Flow, bytes]]) -> None:
    simulation, board = a_simulation(agrees=False), Board(CONFIGURATION)
    simulation.register("alice", OUTSIDE, PHONE_FLOW)
    board.now = BASE
    data = [binding.to_data(BASE) for binding in simulation.board.registrar.bindings]
    board.switchboard.restore(data, board.now)
    for number, (flow, message) in enumerate(traffic):
        at = BASE + number * 2
        board.wait(at - board.now)
        sent = board.give(flow, message)
        outcome = simulation.receive(flow, message, at)
        assert [line.partition(" to ")[0] for line in outcome.sent] == [
            one.data.partition(b"\r\n")[0].decode() for one in sent
        ]
        if outcome.treatment in ("reject", "drop") and outcome.decided is not None:
            assert outcome.decided.decision.trail
            assert outcome.lines
