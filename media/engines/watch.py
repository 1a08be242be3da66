"""What is looked at once a second for each stream: silence, keep-alives, key errors, quality."""

from media.engines.port import REPORT_S, Port
from media.engines.side import Side
from media.events import KeyErrors, MediaEvent, MediaResumed, MediaTimeout
from media.types import DropReason, Endpoint

KEEPALIVE_S = 15.0
"""After so long without a packet to a leg one is sent to keep the pinhole open.

Spec: RFC 6263 §5 (Tr).
"""
OPENER = b""
"""An empty datagram: it opens a pinhole, uses no sequence number or SRTP index and is no sound.

Spec: RFC 6263 §4.1.
"""


class _SideWatch:
    __slots__ = ("expected", "expected_since", "failures", "opened", "report_after", "sent",
                 "sent_at", "side", "silent_at")  # fmt: skip

    def __init__(self, side: Side) -> None:
        self.side = side
        self.expected = False
        self.expected_since = 0.0
        self.silent_at: float | None = None
        self.failures = 0
        self.report_after = float("-inf")
        self.opened: tuple[Endpoint | None, Endpoint | None] = (None, None)
        self.sent = 0
        self.sent_at = 0.0


class Watch:
    """Watches over both sides of one stream."""

    __slots__ = ("_a", "_b", "_inactivity_s", "_pinholes")

    def __init__(self, a: Side, b: Side) -> None:
        self._a = _SideWatch(a)
        self._b = _SideWatch(b)
        self._inactivity_s: float | None = None
        self._pinholes = False

    def expect(self, inactivity_s: float | None, pinholes: bool, now: float) -> None:
        """Takes note of a new plan: whom to expect packets from, and whom to send an opener.

        Silence counts only when both legs have said where they receive: before that one of them
        has nobody to talk to.
        """
        self._inactivity_s = inactivity_s
        self._pinholes = pinholes
        joined = self._a.side.rtp.remote is not None and self._b.side.rtp.remote is not None
        for watch in (self._a, self._b):
            expected = inactivity_s is not None and joined and watch.side.plan.sending
            if expected != watch.expected:
                watch.expected = expected
                watch.expected_since = now
                watch.silent_at = None
            if pinholes:
                self._open_pinholes(watch, now)

    def look(self, now: float, events: list[MediaEvent]) -> None:
        """Reports what is due, keeps pinholes open, ends a loss interval and rates speech."""
        for watch in (self._a, self._b):
            if watch.expected and self._inactivity_s is not None:
                _look_for_silence(watch, self._inactivity_s, now, events)
            if watch.side.receiver is not None:
                _look_at_keys(watch, now, events)
            if self._pinholes:
                _keep_alive(watch, now)
            watch.side.end_second()

    def _open_pinholes(self, watch: _SideWatch, now: float) -> None:
        side = watch.side
        ports = (_place(side.rtp), _place(side.rtcp))
        if ports != watch.opened:
            if ports[0] is not None and ports[0] != watch.opened[0]:
                _send_opener(side.rtp)
            if ports[1] not in {None, watch.opened[1]} and not side.plan.rtcp_mux:
                _send_opener(side.rtcp)
            watch.opened = ports
            watch.sent_at = now


def _look_for_silence(
    watch: _SideWatch, inactivity_s: float, now: float, events: list[MediaEvent]
) -> None:
    side = watch.side
    if watch.silent_at is not None:
        if side.heard_at > watch.silent_at:
            watch.silent_at = None
            events.append(MediaResumed(side.stream_id, side.name))
        return
    silent_s = now - max(side.heard_at, watch.expected_since)
    if silent_s >= inactivity_s:
        watch.silent_at = now
        events.append(MediaTimeout(side.stream_id, side.name, silent_s))


def _look_at_keys(watch: _SideWatch, now: float, events: list[MediaEvent]) -> None:
    failures = watch.side.counters.drops.get(DropReason.SRTP_AUTHENTICATION, 0)
    if failures > watch.failures and now >= watch.report_after:
        side = watch.side
        events.append(KeyErrors(side.stream_id, side.name, failures - watch.failures))
        watch.failures = failures
        watch.report_after = now + REPORT_S


def _keep_alive(watch: _SideWatch, now: float) -> None:
    side = watch.side
    sent = side.counters.sent_packets
    if sent != watch.sent:
        watch.sent = sent
        watch.sent_at = now
    elif now - watch.sent_at >= KEEPALIVE_S:
        watch.sent_at = now
        if side.rtp.destination is not None:
            _send_opener(side.rtp)


def _place(port: Port) -> Endpoint | None:
    """Where a port sends; the flow label and scope of a learned IPv6 source are no other place."""
    destination = port.destination
    return None if destination is None else Endpoint(destination[0], destination[1])


def _send_opener(port: Port) -> None:
    if port.destination is None or port.loops:
        return
    try:
        port.send(OPENER, port.destination)
    except OSError:
        # Nothing was promised to anybody: the first real packet will say more.
        return
