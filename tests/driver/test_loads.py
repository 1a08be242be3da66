"""How many calls are live at a hop is never anything but how many there are."""

from hypothesis import given
from hypothesis import strategies as st

from sbc.driver.loads import Loads
from sbc.routing.hops import Hop
from sbc.sip.flow import Flow

HOPS = [
    Hop("carrier", Flow("outside", "udp", ("0.0.0.0", 5060), (f"192.0.2.{n}", 5060)))
    for n in range(3)
]

deeds = st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from([*HOPS, None])), max_size=40)


@given(deeds)
def test_the_counts_are_those_of_the_live_calls(deeds: list[tuple[str, Hop | None]]) -> None:
    loads, live = Loads(), dict[str, Hop]()
    for call, hop in deeds:
        if hop is None:
            loads.end(call)
            live.pop(call, None)
        else:
            loads.put(call, hop)
            live[call] = hop
        assert [loads.calls(hop) for hop in HOPS] == [
            sum(1 for at in live.values() if at == hop) for hop in HOPS
        ]
