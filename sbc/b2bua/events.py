"""Everything a Call can be told."""

from typing import NamedTuple

from media.types import SideName
from sbc.b2bua.causes import Ending
from sbc.sip.flow import Flow
from sbc.sip.message import Request, Response


class RequestReceived(NamedTuple):
    """A request in one of the call's dialogs; never ACK or CANCEL."""

    side: SideName
    key: str
    request: Request
    flow: Flow


class CancelReceived(NamedTuple):
    """A CANCEL for an INVITE that a leg sent; `invite_key` names that INVITE's transaction."""

    side: SideName
    key: str
    request: Request
    invite_key: str


class AckReceived(NamedTuple):
    """An ACK to a 2xx of ours."""

    side: SideName
    request: Request
    flow: Flow


class ReplyReceived(NamedTuple):
    """A response to a request of ours, named by that request's branch."""

    ref: str
    response: Response
    flow: Flow


class RequestFailed(NamedTuple):
    """A request of ours got no final response."""

    ref: str
    why: str
    """``"timeout"`` or ``"transport"``."""
    detail: str = ""
    """What the transport said."""


class MediaNoted(NamedTuple):
    """Something the relay saw that belongs into the call's story."""

    side: SideName
    text: str


class MediaSilent(NamedTuple):
    """A side that should be sending has been silent too long."""

    side: SideName
    silent_s: float


class MediaRefused(NamedTuple):
    """The relay did not take the call's plan."""

    reason: str


class GaveUp(NamedTuple):
    """The call must end for a reason of ours: operator, drain, internal error, limits."""

    ending: Ending


Event = (
    RequestReceived
    | CancelReceived
    | AckReceived
    | ReplyReceived
    | RequestFailed
    | MediaNoted
    | MediaSilent
    | MediaRefused
    | GaveUp
)
