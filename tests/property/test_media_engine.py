"""Any datagram at any time, any plan after any other: nothing raised, nothing left behind."""

import os
import struct
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from pylibsrtp import Error, Session

from media.engines.reference import ReferenceEngine
from media.plan import CloseStream, MediaPlan, MediaSide, MediaStream, diff
from media.types import Endpoint
from tests.engine.kit import LIBSRTP_SUITES, RELAY_A, RELAY_B, STREAM, free_pair, keys, protecting
from tests.engine.stepped import Bench

KEYS = keys()


def rtp_like(first: int, second: int, tail: bytes) -> bytes:
    return struct.pack("!BBHII", first, second, 1, 160, 7) + tail


def rtcp_like(first: int, kind: int, words: int, tail: bytes) -> bytes:
    return struct.pack("!BBHI", first, kind, words, 7) + tail


octet = st.integers(0, 255)
short = st.binary(max_size=80)
datagrams = st.one_of(
    short,
    st.binary(min_size=2040, max_size=2060),
    st.builds(rtp_like, st.integers(128, 191), octet, short),
    st.builds(rtcp_like, st.integers(128, 191), st.integers(190, 225), st.integers(0, 9), short),
)
deliveries = st.lists(
    st.tuples(
        datagrams,
        st.sampled_from(["a", "b"]),
        st.sampled_from(["local", "local_rtcp"]),
        st.booleans(),
        st.sampled_from([0.0, 0.02, 20.0]),
    ),
    max_size=20,
)


@settings(deadline=None, max_examples=60)
@given(deliveries, st.booleans(), st.booleans(), st.booleans())
def test_any_datagram_is_relayed_or_counted(
    deliveries: list[tuple[bytes, str, str, bool, float]],
    secure: bool,
    muxed: bool,
    nated: bool,
) -> None:
    bench = Bench()
    side: dict[str, object] = {"rtcp_mux": muxed, "learn_any": nated, "max_kbps": 64}
    if secure:
        side |= {"receive_keys": KEYS, "send_keys": KEYS}
    bench.open(1.0, pinholes=True, **side)
    seal = protecting(KEYS)
    sent = {"a": 0, "b": 0}
    try:
        for data, to, port, sealed, pause in deliveries:
            target = getattr(getattr(bench.stream, to), port)
            bench.send(bench.a, sealed_if_it_can(seal, data) if sealed else data, target)
            bench.after(pause)
            sent[to] += 1
        for name, counters in bench.engine.counters(STREAM).items():
            accepted = counters.packets + counters.rtcp_packets
            drops = sum(counters.drops.values())
            assert accepted <= sent[name.value] <= accepted + drops
            assert counters.lost >= 0
            assert counters.jitter_ticks >= 0
    finally:
        bench.close()


def sealed_if_it_can(seal: Session, data: bytes) -> bytes:
    """Protects what libsrtp takes; what it refuses goes as it is."""
    rtcp = len(data) > 1 and 192 <= data[1] <= 223
    try:
        return seal.protect_rtcp(data) if rtcp else seal.protect(data)
    except (Error, ValueError):
        return data


_local = {index: (free_pair(RELAY_A), free_pair(RELAY_B)) for index in range(8)}


def a_side(pair: tuple[Endpoint, Endpoint], changes: dict[str, object]) -> MediaSide:
    return replace(MediaSide("net", *pair), **changes)  # type: ignore[arg-type]  # by name


@st.composite
def plans(draw: st.DrawFn) -> MediaPlan:
    endpoint = st.builds(Endpoint, st.just("127.0.0.9"), st.sampled_from([0, 9, 4000]))
    secrets = st.none() | st.builds(keys, st.sampled_from(LIBSRTP_SUITES), st.integers(1, 2))
    sides = st.fixed_dictionaries(
        {
            "remote": st.none() | endpoint,
            "remote_rtcp": st.none() | endpoint,
            "rtcp_mux": st.booleans(),
            "learn_any": st.booleans(),
            "receive_keys": secrets,
            "send_keys": secrets,
            "sending": st.booleans(),
            "dscp": st.sampled_from([0, 46]),
            "max_kbps": st.none() | st.just(64),
        }
    )
    indexes = draw(st.sets(st.integers(0, 2)))
    # Three streams on six ports: a change may keep them or move to the other three.
    shift = draw(st.sampled_from([0, 3]))
    streams = tuple(
        MediaStream(
            index,
            "audio",
            8000,
            a_side(_local[index + shift][0], draw(sides)),
            a_side(_local[index + shift][1], draw(sides)),
        )
        for index in sorted(indexes)
    )
    return MediaPlan("call", streams, draw(st.none() | st.just(60.0)), draw(st.booleans()))


@settings(deadline=None, max_examples=60)
@given(st.lists(st.none() | plans(), max_size=8))
def test_any_plan_after_any_other_leaves_just_its_own_ports(
    steps: list[MediaPlan | None],
) -> None:
    engine = ReferenceEngine(lambda: 0.0)
    before = descriptors()
    current: MediaPlan | None = None
    for new in [*steps, None]:
        engine.apply(diff(current, new))
        current = new
        streams = () if new is None else new.streams
        assert sorted(engine.streams()) == [("call", stream.index) for stream in streams]
        assert descriptors() == before + 4 * len(streams)
    engine.apply([CloseStream(STREAM)])
    engine.close()
    assert descriptors() == before - 1


@given(st.none() | plans(), st.none() | plans())
def test_a_difference_is_empty_exactly_when_plans_are_equal(
    old: MediaPlan | None, new: MediaPlan | None
) -> None:
    nothing = MediaPlan("call", (), None, pinholes=False)
    same_streams = (old or nothing).streams == (new or nothing).streams
    if old == new:
        assert diff(old, new) == []
    elif not same_streams:
        assert diff(old, new) != []


@given(plans())
def test_any_plan_survives_being_data(plan: MediaPlan) -> None:
    assert MediaPlan.from_data(plan.to_data()) == plan


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - a number, not paths
