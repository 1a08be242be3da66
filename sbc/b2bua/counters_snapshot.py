"""What the relay counted of a call that has ended, as plain data, and back."""

from dataclasses import astuple
from typing import TypedDict

from media.types import (
    BurstLoss,
    DropReason,
    FlowCounters,
    IntervalLoss,
    PeerView,
    SpeechQuality,
)


class FlowCountersData(TypedDict):
    """`FlowCounters` as JSON has them; what is a value of its own there is a list in its order."""

    totals: list[int]
    """Packets, octets, RTCP packets, sent packets, lost."""
    jitter_ticks: float
    drops: dict[str, int]
    """By the reason's number."""
    interval: tuple[int, int, int]
    bursts: tuple[int, int, float]
    speech: tuple[float, float, float, int, str] | None
    peer: tuple[int, int, int, int] | None
    round_trip_ms: float | None


def flow_counters_to_data(counters: FlowCounters) -> FlowCountersData:
    """Export the counters of one side."""
    return {
        "totals": [
            counters.packets,
            counters.octets,
            counters.rtcp_packets,
            counters.sent_packets,
            counters.lost,
        ],
        "jitter_ticks": counters.jitter_ticks,
        "drops": {str(reason.value): count for reason, count in counters.drops.items()},
        "interval": astuple(counters.interval),
        "bursts": astuple(counters.bursts),
        "speech": None if counters.speech is None else astuple(counters.speech),
        "peer": None if counters.peer is None else astuple(counters.peer),
        "round_trip_ms": counters.round_trip_ms,
    }


def flow_counters_from_data(data: FlowCountersData) -> FlowCounters:
    """Restore what `flow_counters_to_data` exported."""
    packets, octets, rtcp_packets, sent_packets, lost = data["totals"]
    return FlowCounters(
        packets=packets,
        octets=octets,
        rtcp_packets=rtcp_packets,
        sent_packets=sent_packets,
        lost=lost,
        jitter_ticks=data["jitter_ticks"],
        drops={DropReason(int(number)): count for number, count in data["drops"].items()},
        interval=IntervalLoss(*data["interval"]),
        bursts=BurstLoss(*data["bursts"]),
        speech=None if data["speech"] is None else SpeechQuality(*data["speech"]),
        peer=None if data["peer"] is None else PeerView(*data["peer"]),
        round_trip_ms=data["round_trip_ms"],
    )
