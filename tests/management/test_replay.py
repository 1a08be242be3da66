"""Recent calls asked again of two configurations."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from sbc.candidates import in_force, treated
from sbc.driver.in_force import InForce
from sbc.management.replay import replay, routed
from sbc.state.cdr import CdrRecord, LegRecord
from tests.config.files import GOOD, changed, load

OUT = '  - {name: out, from: pbx, number: "+*", to: trunk}\n'


def force(text: str) -> InForce:
    configuration = load(text).configuration
    assert configuration is not None
    return in_force(configuration, {})


def a_record(
    number: str, *, peer: str = "pbx", network: str = "inside", at: float = 1.0
) -> CdrRecord:
    a = LegRecord(peer, network)
    return CdrRecord(f"c{at}", "", at, None, None, "100", number, a, LegRecord())


BEFORE = force(GOOD)


def test_under_the_same_configuration_no_call_goes_elsewhere() -> None:
    found = replay([a_record("+491"), a_record("200")], BEFORE, BEFORE, routed)
    assert (found.calls, found.differences) == (2, ())


def test_calls_that_go_elsewhere_are_counted_by_how() -> None:
    after = force(changed(OUT, OUT.replace("+*", "+49*")))
    records = [a_record("+491", at=1), a_record("+331", at=2), a_record("+331", at=3)]
    found = replay(records, BEFORE, after, routed)
    assert found.calls == 3
    (one,) = found.differences
    assert one.calls == 2
    assert one.example.started_at == 3
    assert one.before.text == "by route 'out' to +331 at trunk"
    assert one.after.text == "by route 'routes[3]' to +331 at phones"


def test_what_concerns_most_calls_comes_first() -> None:
    after = force(changed(OUT, OUT.replace("+*", "+49*")))
    records = [a_record("+1"), a_record("+2"), a_record("+2"), a_record("+2"), a_record("+1")]
    assert [one.calls for one in replay(records, BEFORE, after, routed).differences] == [3, 2]


def test_a_call_of_a_peer_or_network_that_goes_is_not_taken() -> None:
    assert routed(BEFORE, a_record("1", network="gone")).why == "there is no network 'gone'"
    assert routed(BEFORE, a_record("1", peer="gone")).why == "there is no peer 'gone'"


def test_a_number_that_is_none_is_told_and_hurts_nothing() -> None:
    assert routed(BEFORE, a_record("sip:")).text == "not taken"
    assert routed(BEFORE, a_record("a b\r\nc")).text != ""


def test_a_stranger_is_one_again() -> None:
    told = routed(BEFORE, a_record("600", peer="", network="outside"))
    assert told.text == "by route 'routes[1]' to 600 at pbx"


def test_a_call_that_policy_would_stop_is_told_by_its_rule() -> None:
    stopping = force(GOOD.replace("policies: edge.yaml", "policies: same.yaml"))
    record = replace(a_record("+491"), a=LegRecord("pbx", "inside", "192.168.1.5:5060"))
    told = treated(stopping, record)
    assert told.text == "drop by rule 'all'"
    assert "same.yaml:1" in told.why


def test_a_call_that_policy_lets_through_is_told_by_its_route() -> None:
    allowing = force(GOOD.replace("policies: edge.yaml", "policies: allow.yaml"))
    record = replace(a_record("+491"), a=LegRecord("pbx", "inside", "192.168.1.5:5060"))
    assert treated(allowing, record) == routed(allowing, record)


@given(st.text(max_size=8), st.text(max_size=8))
def test_no_record_is_too_strange_to_be_asked(number: str, address: str) -> None:
    record = replace(a_record(number), a=LegRecord("pbx", "inside", address))
    assert treated(BEFORE, record).text
