"""Whatever is sent and signalled in whatever order, the latch keeps its word."""

from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from media.latch import (
    CONFIRM_PACKETS,
    SILENT_S,
    UNANNOUNCED_PACKETS,
    UNANNOUNCED_STREAM_S,
    Announced,
    Evidence,
    Latch,
    LatchState,
    LatchVerdict,
)
from media.types import Endpoint, LatchRank

HOSTS = ["192.0.2.1", "192.0.2.2", "192.0.2.3"]
sources = st.builds(Endpoint, st.sampled_from(HOSTS), st.sampled_from([4000, 4001]))
announcements = st.builds(
    Announced,
    remote=st.none() | sources,
    host=st.none() | st.sampled_from(HOSTS),
    signalling_host=st.none() | st.sampled_from(HOSTS),
    learn_any=st.booleans(),
    secure=st.booleans(),
)
packets = st.tuples(
    sources,
    st.builds(
        Evidence,
        newest=st.booleans(),
        sequence=st.none() | st.integers(0, 6),
        ssrc=st.integers(0, 1),
        companion=st.none() | st.sampled_from(HOSTS),
        silent_s=st.sampled_from([0.0, 0.9, 1.0, 20.0]),
    ),
)
streams = st.tuples(
    packets,
    st.sampled_from([1, CONFIRM_PACKETS, UNANNOUNCED_PACKETS + 5]),
    st.sampled_from([0.0, 0.01, 0.02, 0.06, 0.3]),
)
pauses = st.sampled_from([0.0, 0.02, 0.6, 2.5, 40.0])
steps = st.lists(st.tuples(announcements | streams, pauses), max_size=20)
Packet = tuple[Endpoint, Evidence]
Step = tuple[Announced | tuple[Packet, int, float], float]


def one_by_one(steps: list[Step]) -> Iterator[tuple[float, Announced | Packet]]:
    """When what is signalled and sent, packet by packet."""
    now = 0.0
    for step, pause in steps:
        now += pause
        if isinstance(step, Announced):
            yield now, step
            continue
        (source, evidence), packets, interval = step
        for number in range(packets):
            sequence = None if evidence.sequence is None else evidence.sequence + number
            yield now + number * interval, (source, evidence._replace(sequence=sequence))
        now += (packets - 1) * interval


@given(announcements, steps)
def test_only_what_the_ranks_allow_is_relayed_or_learned(
    first: Announced, steps: list[Step]
) -> None:
    latch, announced = Latch(first, 0.0), first
    for now, step in one_by_one(steps):
        if isinstance(step, Announced):
            announced = step
            latch.signal(step, now)
            continue
        source, evidence = step
        before, rank_before, held = latch.source, latch.rank, latch.state is LatchState.HELD
        verdict = latch.observe(source, evidence, now)
        rank = rank_before if held and source == before else latch.rank_of(source, evidence)
        if verdict is LatchVerdict.LEARN:
            assert (latch.source, latch.rank) == (source, rank)
            assert rank is not LatchRank.NONE
            assert rank >= rank_before
            silent = evidence.silent_s >= SILENT_S
            assert rank > rank_before or announced.secure or held or silent
            assert rank is not LatchRank.OTHER or announced.learn_any
        else:
            assert (latch.source, latch.rank) == (before, rank_before)
        if verdict is LatchVerdict.ACCEPT:
            assert source == before or announced.secure
        assert (latch.source is None) == (latch.rank is LatchRank.NONE)


@given(announcements, steps)
def test_what_is_not_the_announced_address_is_learned_only_from_a_stream(
    first: Announced, steps: list[Step]
) -> None:
    latch, announced = Latch(first, 0.0), first
    shown: list[tuple[float, Endpoint]] = []
    for now, step in one_by_one(steps):
        if isinstance(step, Announced):
            announced = step
            latch.signal(step, now)
            continue
        source, evidence = step
        shown.append((now, source))
        before = latch.source
        verdict = latch.observe(source, evidence, now)
        if verdict is not LatchVerdict.LEARN or source == before or announced.secure:
            continue
        if latch.rank is LatchRank.SDP_EXACT:
            continue
        if evidence.sequence is None:
            assert source.host == evidence.companion
            continue
        times = [at for at, who in shown if who == source]
        if latch.rank is LatchRank.OTHER:
            assert len(times) >= UNANNOUNCED_PACKETS
            assert now - times[0] >= UNANNOUNCED_STREAM_S
        else:
            assert len(times) >= CONFIRM_PACKETS


@given(st.lists(packets, max_size=60))
def test_a_public_leg_hears_only_what_was_announced(
    shown: list[tuple[Endpoint, Evidence]],
) -> None:
    remote = Endpoint(HOSTS[0], 4000)
    latch = Latch(Announced(remote, remote.host, HOSTS[1]), 0.0)
    for source, evidence in shown:
        verdict = latch.observe(source, evidence, 0.0)
        if source.host == HOSTS[2]:
            assert verdict is LatchVerdict.REFUSE
