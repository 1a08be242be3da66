"""Commands are done as a whole or not at all, and nothing is left behind."""

import os
from dataclasses import replace

import pytest

from media.errors import MediaRefused, UnknownStream
from media.plan import CloseStream, MediaStream, OpenStream, RelayCommand, UpdateStream
from media.types import Endpoint, SrtpSuite
from tests.engine.kit import RELAY_A, RELAY_B, STREAM, Rig, a_call, keys, rtcp, rtp


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - one number, not paths


def a_stream(rig: Rig, index: int = 0) -> MediaStream:
    phone = Endpoint("127.0.0.9", 9)
    return MediaStream(index, "audio", 8000, rig.side(RELAY_A, phone), rig.side(RELAY_B, phone))


def opening(stream: MediaStream, call: str = "call") -> OpenStream:
    return OpenStream((call, stream.index), stream, None, pinholes=False)


async def test_a_port_somebody_holds_refuses_the_whole_list(rig: Rig) -> None:
    good, bad = a_stream(rig), a_stream(rig, 1)
    await rig.phone(bad.b.local_rtcp.host, bad.b.local_rtcp.port)
    before = descriptors()
    with pytest.raises(MediaRefused, match=rf"cannot bind {RELAY_B}:{bad.b.local_rtcp.port}"):
        rig.engine.apply([opening(good), opening(bad)])
    assert rig.engine.streams() == []
    assert descriptors() == before
    rig.engine.apply([opening(good)])
    assert rig.engine.streams() == [STREAM]


async def test_a_refused_list_changes_no_open_stream(rig: Rig) -> None:
    call = await a_call(rig)
    assert rig.stream is not None
    blocked = a_stream(rig, 1)
    await rig.phone(blocked.a.local.host, blocked.a.local.port)
    silent = replace(rig.stream, b=replace(rig.stream.b, remote=None, remote_rtcp=None))
    commands: list[RelayCommand] = [
        UpdateStream(STREAM, silent, None, pinholes=False),
        opening(blocked),
        CloseStream(STREAM),
    ]
    with pytest.raises(MediaRefused):
        rig.engine.apply(commands)
    assert await call.a_says(rtp(1)) == rtp(1)


@pytest.mark.parametrize(
    "wrong",
    [
        {"local": Endpoint("203.0.113.77", 20000)},
        {"local": Endpoint("localhost", 20000)},
        {"local": Endpoint("127.0.0.1", 70000)},
        {"remote": Endpoint("phone.example.com", 4000)},
        {"remote": Endpoint("2001:db8::1", 4000)},
        {"remote": Endpoint("127.0.0.9", 65536)},
        {"remote_rtcp": Endpoint("", 4000)},
        {"dscp": 64},
    ],
    ids=str,
)
async def test_what_cannot_be_used_is_refused_with_nothing_open(
    rig: Rig, wrong: dict[str, object]
) -> None:
    stream = a_stream(rig)
    before = descriptors()
    for side in ("a", "b"):
        bad = replace(getattr(stream, side), **wrong)
        with pytest.raises(MediaRefused):
            rig.engine.apply([opening(replace(stream, **{side: bad}))])
    assert rig.engine.streams() == []
    assert descriptors() == before


async def test_the_same_stream_is_not_opened_twice(rig: Rig) -> None:
    stream = rig.open(rig.side(RELAY_A), rig.side(RELAY_B))
    with pytest.raises(MediaRefused, match="is open already"):
        rig.engine.apply([opening(stream)])
    with pytest.raises(MediaRefused, match="is open already"):
        rig.engine.apply([opening(a_stream(rig))])
    elsewhere = a_stream(rig)
    before = descriptors()
    with pytest.raises(MediaRefused, match="changes a stream twice"):
        rig.engine.apply([opening(elsewhere, "new"), CloseStream(("new", 0))])
    assert descriptors() == before


async def test_a_stream_that_is_not_open_can_be_closed_but_not_changed(rig: Rig) -> None:
    rig.close()
    with pytest.raises(MediaRefused, match="is not open"):
        rig.engine.apply([UpdateStream(STREAM, a_stream(rig), None, pinholes=False)])
    with pytest.raises(UnknownStream):
        rig.engine.counters(STREAM)
    with pytest.raises(UnknownStream):
        rig.engine.latches(STREAM)


async def test_a_side_moves_to_another_port_and_the_call_goes_on(rig: Rig) -> None:
    call = await a_call(rig)
    assert rig.stream is not None
    moved = rig.side(RELAY_A, call.a.endpoint)
    before = descriptors()
    rig.update(a=moved)
    assert descriptors() == before
    await call.a.send(rtp(1), moved.local)
    assert await call.b.hears() == (rtp(1), call.at_b)
    await call.b.send(rtp(2), call.at_b)
    assert await call.a.hears() == (rtp(2), moved.local)
    await call.a.send(rtcp(), moved.local_rtcp)
    old = await rig.phone(RELAY_A, call.at_a.port)
    assert old.endpoint == call.at_a


async def test_closing_gives_every_descriptor_back(rig: Rig) -> None:
    before = descriptors()
    secure = {"receive_keys": keys(), "send_keys": keys(SrtpSuite.AEAD_AES_256_GCM)}
    for index in range(20):
        stream = a_stream(rig, index)
        rig.engine.apply([opening(replace(stream, b=replace(stream.b, **secure)))])
    assert descriptors() == before + 80
    rig.engine.apply([CloseStream(stream_id) for stream_id in rig.engine.streams()])
    assert descriptors() == before


async def test_a_stopped_engine_refuses(rig: Rig) -> None:
    rig.open(rig.side(RELAY_A), rig.side(RELAY_B))
    rig.engine.close()
    assert rig.engine.streams() == []
    with pytest.raises(MediaRefused, match="has stopped"):
        rig.engine.apply([opening(a_stream(rig))])
