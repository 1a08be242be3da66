"""What the relay measured of a call, in the units of its record."""

from collections.abc import Iterable
from typing import TypeVar

from media.types import FlowCounters
from sbc.state.cdr import RtpTotals

_Number = TypeVar("_Number", int, float)


def rtp_totals(heard: FlowCounters, other: FlowCounters, clock_hz: int) -> RtpTotals:
    """What one side of a stream sent us, and what it says of what it got.

    Args:
        heard: The counters of this side.
        other: Those of the side whose packets are relayed to it.
        clock_hz: The RTP clock.
    """
    speech, peer = heard.speech, heard.peer
    return RtpTotals(
        packets=heard.packets,
        octets=heard.octets,
        lost=heard.lost,
        jitter_ms=_milliseconds(heard.jitter_ticks, clock_hz),
        longest_burst=heard.bursts.longest,
        worst_loss_percent=heard.interval.worst_permille / 10,
        mos=None if speech is None else round(speech.mean, 2),
        worst_mos=None if speech is None else round(speech.worst, 2),
        mos_codec=None if speech is None else speech.codec,
        round_trip_ms=None if heard.round_trip_ms is None else round(heard.round_trip_ms, 1),
        reported_lost=None if peer is None else peer.lost,
        reported_jitter_ms=None if peer is None else _milliseconds(peer.jitter_ticks, clock_hz),
        lost_behind_us=_lost_behind_us(heard, other),
    )


def all_streams(totals: Iterable[RtpTotals]) -> RtpTotals:
    """What one side sent in all its streams: sums of what is counted, the worst of the rest."""
    each = list(totals)
    if len(each) <= 1:
        return each[0] if each else RtpTotals()
    rated = [one for one in each if one.mos is not None]
    worst = min(rated, key=lambda one: (one.worst_mos or 0.0, one.mos or 0.0), default=RtpTotals())
    return RtpTotals(
        packets=sum(one.packets for one in each),
        octets=sum(one.octets for one in each),
        lost=sum(one.lost for one in each),
        jitter_ms=max(one.jitter_ms for one in each),
        longest_burst=_greatest(one.longest_burst for one in each),
        worst_loss_percent=_greatest(one.worst_loss_percent for one in each),
        mos=worst.mos,
        worst_mos=worst.worst_mos,
        mos_codec=worst.mos_codec,
        round_trip_ms=_greatest(one.round_trip_ms for one in each),
        reported_lost=_sum(one.reported_lost for one in each),
        reported_jitter_ms=_greatest(one.reported_jitter_ms for one in each),
        lost_behind_us=_sum(one.lost_behind_us for one in each),
    )


def _lost_behind_us(to: FlowCounters, heard: FlowCounters) -> int | None:
    """Packets that left here for a side and did not get there, by its own report.

    It counts from the sequence numbers, so what we never had and what we did not send on is lost
    to it too, and neither is a fault of the way behind us. A listener that changes its mind about
    where to begin counts less, never more.
    """
    if to.peer is None:
        return None
    held_back = max(0, heard.packets - to.sent_packets)
    return max(0, to.peer.lost - heard.lost - held_back)


def _milliseconds(ticks: float, clock_hz: int) -> float:
    return round(ticks * 1000 / clock_hz, 3)


def _greatest(values: Iterable[_Number | None]) -> _Number | None:
    return max((value for value in values if value is not None), default=None)


def _sum(values: Iterable[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None
