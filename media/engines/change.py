"""What a side becomes, made ready before anything that runs is touched.

Everything that can fail (sockets, addresses, keys) happens while a change is prepared; adopting
it cannot fail, so a list of commands is done as a whole or not at all.
"""

import socket
from dataclasses import dataclass

from media.engines.handshakes import HandshakeLimit
from media.engines.port import Port
from media.engines.side import Side
from media.engines.sockets import canonical_host, mark, open_socket
from media.engines.srtp import SrtpReceiver, SrtpSender
from media.errors import MediaRefused
from media.events import MediaEvent
from media.latch import Announced
from media.plan import MediaSide, MediaStream
from media.statistics import BitRateLimit
from media.types import Component, Endpoint, SideName, StreamId


@dataclass(slots=True)
class SideChange:
    """A prepared change of one side."""

    plan: MediaSide
    rtp: socket.socket | None
    """A new socket for RTP; None to keep the one there is."""
    rtcp: socket.socket | None
    remote: Endpoint | None
    """The SDP's RTP address in canonical spelling."""
    remote_rtcp: Endpoint | None
    announced: Announced
    announced_rtcp: Announced
    receiver: SrtpReceiver | None
    sender: SrtpSender | None

    def sockets(self) -> list[socket.socket]:
        """The sockets that this change opened."""
        return [opened for opened in (self.rtp, self.rtcp) if opened is not None]


def prepare_change(plan: MediaSide, before: Side | None) -> SideChange:
    """Opens and makes what a side needs that it has not got.

    Args:
        plan: What the side shall be.
        before: What it is; None for a new one.

    Raises:
        MediaRefused: Something cannot be had; nothing is left open.
    """
    host = plan.local.host
    if not 0 <= plan.dscp <= 63:
        raise MediaRefused(f"{plan.dscp} is no DSCP: it has six bits")
    remote = _canonical(plan.remote, host)
    remote_rtcp = remote if plan.rtcp_mux else _canonical(plan.remote_rtcp, host)
    signalling_host = plan.signalling_host
    if signalling_host is not None and (":" in signalling_host) == (":" in host):
        signalling_host = canonical_host(signalling_host, host)
    receiver, sender = _srtp(plan, before)
    change = SideChange(
        plan=plan,
        rtp=None,
        rtcp=None,
        remote=remote,
        remote_rtcp=remote_rtcp,
        announced=_announced(plan, remote, remote, signalling_host),
        announced_rtcp=_announced(plan, remote_rtcp, remote_rtcp or remote, signalling_host),
        receiver=receiver,
        sender=sender,
    )
    try:
        if before is None or before.plan.local != plan.local:
            change.rtp = open_socket(plan.local, plan.dscp)
        if before is None or before.plan.local_rtcp != plan.local_rtcp:
            change.rtcp = open_socket(plan.local_rtcp, plan.dscp)
    except MediaRefused:
        for opened in change.sockets():
            opened.close()
        raise
    return change


def new_side(
    stream_id: StreamId,
    name: SideName,
    change: SideChange,
    *,
    own: dict[Endpoint, tuple[Side, Port]],
    handshakes: HandshakeLimit,
    events: list[MediaEvent],
) -> Side:
    """A side on the sockets of a change that was prepared for a new one."""
    rtp, rtcp = change.sockets()
    return Side(
        stream_id,
        name,
        change.plan,
        rtp=Port(rtp, stream_id, name, Component.RTP),
        rtcp=Port(rtcp, stream_id, name, Component.RTCP),
        own=own,
        handshakes=handshakes,
        events=events,
    )


def adopt_change(side: Side, change: SideChange, stream: MediaStream, now: float) -> None:
    """Makes a side what was prepared for it; its sockets are the caller's to replace."""
    before, plan = side.plan, change.plan
    side.plan = plan
    side.clock_hz = stream.clock_hz
    side.speech = stream.is_speech
    if change.receiver is not side.receiver:
        side.rekey(change.receiver, now)
    side.sender = change.sender
    if plan.max_kbps is None:
        side.limit = None
    elif side.limit is None or before.max_kbps != plan.max_kbps:
        side.limit = BitRateLimit(plan.max_kbps, now)
    if before.dscp != plan.dscp:
        mark(side.rtp.socket, plan.local, plan.dscp)
        mark(side.rtcp.socket, plan.local_rtcp, plan.dscp)
    side.rtp.signal(change.announced, change.remote, now)
    side.rtcp.signal(change.announced_rtcp, change.remote_rtcp, now)


def _canonical(endpoint: Endpoint | None, like: str) -> Endpoint | None:
    if endpoint is None:
        return None
    if not 0 <= endpoint.port <= 65535:
        raise MediaRefused(f"{endpoint.port} is no port")
    return Endpoint(canonical_host(endpoint.host, like), endpoint.port)


def _announced(
    plan: MediaSide,
    remote: Endpoint | None,
    sdp: Endpoint | None,
    signalling_host: str | None,
) -> Announced:
    return Announced(
        remote=remote,
        host=None if sdp is None else sdp.host,
        signalling_host=signalling_host,
        learn_any=plan.learn_any,
        secure=plan.receive_keys is not None,
    )


def _srtp(plan: MediaSide, before: Side | None) -> tuple[SrtpReceiver | None, SrtpSender | None]:
    """The contexts of a side; one whose key stays goes on, with its rollover counter."""
    receiver = sender = None
    if plan.receive_keys is not None:
        if before is not None and plan.receive_keys.is_same_key(before.plan.receive_keys):
            receiver = before.receiver
        else:
            receiver = SrtpReceiver(plan.receive_keys)
    if plan.send_keys is not None:
        if before is not None and plan.send_keys.is_same_key(before.plan.send_keys):
            sender = before.sender
        else:
            sender = SrtpSender(plan.send_keys)
    return receiver, sender
