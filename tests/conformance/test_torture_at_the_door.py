"""Torture messages at the door of every shipped policy: a decision or a clear error."""

from functools import cache
from pathlib import Path

import pytest

from sbc.candidates import in_force
from sbc.driver.in_force import InForce
from sbc.simulation.cases import SECTIONS, read_cases
from sbc.simulation.flows import flow_at, hearing
from sbc.simulation.loading import load_border
from sbc.simulation.simulation import Simulation
from sbc.simulation.testing import NOON
from sbc.sip.flow import Address, Transport

POLICIES = Path(__file__).parents[2] / "policies"
VECTORS = sorted((Path(__file__).parent / "vectors").glob("*/*.dat"))
SHIPPED = sorted(path.name for path in POLICIES.glob("*.yaml"))
WHENCE: list[tuple[str, Transport, Address]] = [
    ("outside", "udp", ("198.51.100.7", 40000)),
    ("outside", "tls", ("198.51.100.7", 40000)),
    ("outside", "udp", ("192.0.2.10", 5060)),
    ("inside", "udp", ("192.168.1.5", 5060)),
    ("inside", "tcp", ("192.168.1.77", 40000)),
]


@cache
def border(name: str) -> InForce:
    """The border that the cases of a policy are asked in."""
    cases, _ = read_cases((POLICIES / "tests" / name).read_text(), name)
    assert cases is not None
    given = {key: getattr(cases, key) for key in SECTIONS}
    sections = {key: value for key, value in given.items() if value is not None}
    loaded = load_border(sections, cases.policies, POLICIES / "tests", NOON, {})
    assert loaded.configuration is not None
    return in_force(loaded.configuration, {})


@pytest.mark.parametrize("name", SHIPPED)
@pytest.mark.parametrize("registered", [False, True])
def test_every_torture_message_is_decided_on_or_refused_with_a_reason(
    name: str, registered: bool
) -> None:
    for network, transport, remote in WHENCE[:2] if registered else WHENCE:
        force = hearing(border(name), network, transport)
        flow = flow_at(force, network, transport, remote)
        for vector in VECTORS:
            simulation = Simulation(force, at=NOON)
            if registered:
                simulation.register("caller", "203.0.113.10", flow)
            outcome = simulation.receive(flow, vector.read_bytes(), NOON)
            told = f"{vector.stem} by {transport} from {remote[0]} on {network}"
            assert simulation.board.tally.faults == 0, told
            assert outcome.lines, told
            if outcome.treatment == "malformed":
                assert outcome.why, told
            elif outcome.treatment == "reject":
                assert 400 <= outcome.status < 700, told
            if outcome.decided is not None:
                assert outcome.rule, told
                assert outcome.where, told
