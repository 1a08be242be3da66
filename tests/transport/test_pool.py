from dataclasses import dataclass

from sbc.sip.flow import Flow
from sbc.transport.limits import TransportLimits, TransportStatistics
from sbc.transport.pool import Pool, unnumbered

LOCAL = ("192.0.2.254", 5060)


@dataclass(frozen=True)
class Stream:
    flow: Flow
    opened_by_us: bool = False


def pool(limits: TransportLimits | None = None) -> Pool[Stream]:
    return Pool(limits or TransportLimits(), TransportStatistics())


def stream(pool: Pool[Stream], host: str, port: int = 40000, *, ours: bool = False) -> Stream:
    flow = Flow("public", "tcp", LOCAL, (host, port), pool.next_number())
    added = Stream(flow, ours)
    pool.add(added)
    return added


def test_a_numbered_flow_finds_its_connection_and_no_other() -> None:
    connections = pool()
    first = stream(connections, "192.0.2.1")
    assert connections.find(first.flow) is first
    assert connections.find(first.flow._replace(remote=("192.0.2.9", 40000))) is None
    assert connections.find(first.flow._replace(connection=7)) is None


def test_a_flow_without_number_finds_the_newest_connection_to_its_remote() -> None:
    connections = pool()
    old = stream(connections, "192.0.2.1")
    new = stream(connections, "192.0.2.1")
    assert connections.find(unnumbered(old.flow)) is new
    connections.remove(old)
    assert connections.find(unnumbered(old.flow)) is new
    connections.remove(new)
    assert connections.find(unnumbered(old.flow)) is None
    assert len(connections) == 0


def test_a_network_with_the_same_addresses_is_another_place() -> None:
    connections = pool()
    inside = stream(connections, "10.0.0.1")
    assert connections.find(unnumbered(inside.flow)._replace(network="other")) is None


def test_one_source_cannot_take_more_than_its_share() -> None:
    statistics = TransportStatistics()
    connections: Pool[Stream] = Pool(TransportLimits(connections_per_source=2), statistics)
    first = stream(connections, "192.0.2.1", 1)
    stream(connections, "192.0.2.1", 2)
    assert not connections.may_accept("192.0.2.1")
    assert connections.may_accept("192.0.2.2")
    connections.remove(first)
    connections.remove(first)
    assert connections.may_accept("192.0.2.1")
    assert statistics.refused_source_cap == 1


def test_all_sources_together_cannot_take_more_than_the_total() -> None:
    statistics = TransportStatistics()
    connections: Pool[Stream] = Pool(TransportLimits(inbound_connections=1), statistics)
    stream(connections, "192.0.2.1")
    assert not connections.may_accept("192.0.2.2")
    assert statistics.refused_total_cap == 1
    assert connections.may_open()


def test_our_own_connections_have_their_own_cap() -> None:
    statistics = TransportStatistics()
    limits = TransportLimits(outbound_connections=1, inbound_connections=1)
    connections: Pool[Stream] = Pool(limits, statistics)
    stream(connections, "192.0.2.1", ours=True)
    assert not connections.may_open()
    assert connections.may_accept("192.0.2.1")
    assert statistics.open_refused_cap == 1
