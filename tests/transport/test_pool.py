from dataclasses import dataclass

from sbc.sip.flow import Flow
from sbc.transport.limits import TransportLimits, TransportStatistics
from sbc.transport.pool import Pool, unnumbered

LOCAL = ("192.0.2.254", 5060)


@dataclass(eq=False)
class Stream:
    flow: Flow
    opened_by_us: bool = False
    proven: bool = False
    engaged: bool = False
    displaced: bool = False

    def displace(self) -> None:
        self.displaced = True


def pool(limits: TransportLimits | None = None) -> Pool[Stream]:
    return Pool(limits or TransportLimits(), TransportStatistics(), frozenset({"inside"}))


def stream(
    pool: Pool[Stream],
    host: str,
    port: int = 40000,
    *,
    network: str = "public",
    ours: bool = False,
    proven: bool = False,
) -> Stream:
    flow = Flow(network, "tcp", LOCAL, (host, port), pool.next_number())
    added = Stream(flow, ours, proven or ours or network == "inside")
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
    first = stream(connections, "192.0.2.1", 1, proven=True)
    stream(connections, "192.0.2.1", 2, proven=True)
    assert not connections.may_accept("public", "192.0.2.1", 0.0)
    assert connections.may_accept("public", "192.0.2.2", 0.0)
    connections.remove(first)
    connections.remove(first)
    assert connections.may_accept("public", "192.0.2.1", 0.0)
    assert statistics.refused_source_cap == 1


def test_of_one_source_fewer_may_be_unproven_and_the_oldest_makes_room() -> None:
    statistics = TransportStatistics()
    connections: Pool[Stream] = Pool(TransportLimits(unproven_per_source=2), statistics)
    proven, oldest, newer = (stream(connections, "192.0.2.1", port) for port in (1, 2, 3))
    connections.proved(proven)
    connections.proved(proven)
    other = stream(connections, "192.0.2.2")
    assert connections.may_accept("public", "192.0.2.1", 0.0)
    assert [one.displaced for one in (proven, oldest, newer, other)] == [False, True, False, False]
    assert connections.find(oldest.flow) is None
    assert connections.may_accept("public", "192.0.2.1", 0.0)
    assert statistics.displaced_unproven == 1


def test_who_brought_nothing_makes_room_before_who_shook_hands() -> None:
    connections = pool(TransportLimits(unproven_per_source=3))
    engaged, idle, idler = (stream(connections, "192.0.2.1", port) for port in (1, 2, 3))
    engaged.engaged = True
    for displaced in ([idle], [idle, idler]):
        assert connections.may_accept("public", "192.0.2.1", 0.0)
        assert [one for one in (engaged, idle, idler) if one.displaced] == displaced
        stream(connections, "192.0.2.1", 4).engaged = True
    assert connections.may_accept("public", "192.0.2.1", 0.0)
    assert engaged.displaced


def test_a_source_that_is_full_makes_room_with_an_unproven_connection() -> None:
    statistics = TransportStatistics()
    connections: Pool[Stream] = Pool(TransportLimits(connections_per_source=2), statistics)
    proven, unproven = (stream(connections, "192.0.2.1", port) for port in (1, 2))
    connections.proved(proven)
    assert connections.may_accept("public", "192.0.2.1", 0.0)
    assert (proven.displaced, unproven.displaced) == (False, True)
    stream(connections, "192.0.2.1", 3, proven=True)
    assert not connections.may_accept("public", "192.0.2.1", 0.0)
    assert statistics.refused_source_cap == 1


def test_a_network_that_is_full_makes_room_with_its_oldest_unproven_connection() -> None:
    statistics = TransportStatistics()
    connections: Pool[Stream] = Pool(TransportLimits(inbound_connections=3), statistics)
    proven = stream(connections, "192.0.2.1")
    oldest = stream(connections, "192.0.2.2")
    newer = stream(connections, "192.0.2.3")
    connections.proved(proven)
    assert connections.may_accept("public", "192.0.2.4", 0.0)
    assert oldest.displaced
    assert not newer.displaced
    assert not proven.displaced
    assert connections.find(oldest.flow) is None
    connections.remove(oldest)
    assert len(connections) == 2
    assert statistics.displaced_unproven == 1


def test_a_network_full_of_proven_connections_takes_no_more() -> None:
    statistics = TransportStatistics()
    connections: Pool[Stream] = Pool(TransportLimits(inbound_connections=1), statistics)
    stream(connections, "192.0.2.1", proven=True)
    assert not connections.may_accept("public", "192.0.2.2", 0.0)
    assert statistics.refused_total_cap == 1
    assert connections.may_open()


def test_one_network_has_room_when_another_is_full_and_trusted_ones_displace_nobody() -> None:
    limits = TransportLimits(inbound_connections=1, unproven_per_source=1, arrivals_burst=1)
    connections = pool(limits)
    outside = stream(connections, "192.0.2.1", proven=True)
    assert not connections.may_accept("public", "192.0.2.2", 0.0)
    assert all(connections.may_accept("inside", "10.0.0.1", 0.0) for _ in range(50))
    stream(connections, "10.0.0.1", network="inside")
    assert not connections.may_accept("inside", "10.0.0.1", 0.0)
    assert not outside.displaced
    assert connections.source("inside", "10.0.0.1") is None


def test_who_connects_faster_than_its_budget_is_refused_what_is_above_it() -> None:
    statistics = TransportStatistics()
    limits = TransportLimits(arrivals_per_second=1, arrivals_burst=2)
    connections: Pool[Stream] = Pool(limits, statistics)
    accepted = [connections.may_accept("public", "192.0.2.1", 0.0) for _ in range(4)]
    assert accepted == [True, True, False, False]
    assert connections.may_accept("public", "192.0.2.2", 0.0)
    assert [connections.may_accept("public", "192.0.2.1", 1.0) for _ in range(2)] == [True, False]
    assert statistics.refused_rate == 3


def test_who_overdrew_what_it_may_bring_may_still_connect() -> None:
    connections = pool(TransportLimits(stranger_burst=1))
    source = connections.source("public", "192.0.2.1")
    assert source is not None
    assert not source.stranger.spend(2, 0.0)
    assert connections.may_accept("public", "192.0.2.1", 0.0)


def test_our_own_connections_have_their_own_cap() -> None:
    statistics = TransportStatistics()
    limits = TransportLimits(outbound_connections=1, inbound_connections=1)
    connections: Pool[Stream] = Pool(limits, statistics)
    ours = stream(connections, "192.0.2.1", ours=True)
    assert not connections.may_open()
    assert connections.may_accept("public", "192.0.2.1", 0.0)
    assert statistics.open_refused_cap == 1
    connections.remove(ours)
    assert connections.may_open()
