"""Whatever is sent and signalled in whatever order, the latch keeps its word."""

from hypothesis import given
from hypothesis import strategies as st

from media.latch import Announced, Evidence, Latch, LatchState, LatchVerdict
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
    ),
)
steps = st.lists(
    st.tuples(announcements | packets, st.sampled_from([0.0, 0.02, 0.6, 2.5, 40.0])), max_size=40
)


@given(announcements, steps)
def test_only_what_the_ranks_allow_is_relayed_or_learned(
    first: Announced, steps: list[tuple[Announced | tuple[Endpoint, Evidence], float]]
) -> None:
    latch, announced, now = Latch(first, 0.0), first, 0.0
    for step, pause in steps:
        now += pause
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
            assert rank > rank_before or announced.secure or held
            assert rank is not LatchRank.OTHER or announced.learn_any
        else:
            assert (latch.source, latch.rank) == (before, rank_before)
        if verdict is LatchVerdict.ACCEPT:
            assert source == before or announced.secure
        assert (latch.source is None) == (latch.rank is LatchRank.NONE)


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
