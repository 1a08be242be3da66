"""Everything the registrar can ask for besides what every transaction user asks."""

from typing import NamedTuple

from sbc.policy.model import Step
from sbc.policy.refusal import Refusal
from sbc.registrar.binding import Binding
from sbc.sip.flow import Flow
from sbc.sip.message import Request
from sbc.sip.user import Ping, Respond, SendRequest

GONE = frozenset({"unregistered", "expired", "replaced", "homeless"})
"""What `BindingChanged` says of a binding that is no more."""


class BindingChanged(NamedTuple):
    """Something to log: a phone registered, refreshed, moved, vanished or went away."""

    what: str
    """``"registered" "refreshed" "moved" "restored"`` of one that is there; ``"unregistered"
    "expired" "replaced" "homeless"`` of one that is gone; ``"unreachable" "reachable"``."""
    binding: Binding
    previous: Flow | None = None
    """Where a phone that moved was reached before."""


class RegisterRefused(NamedTuple):
    """Something to log: a REGISTER was refused by us, and its response made."""

    request: Request
    flow: Flow
    refusal: Refusal


class AnsweredInNeed(NamedTuple):
    """Something to log: a phone was answered from what its silent registrar granted before."""

    binding: Binding
    registrar: str


class HeadersChanged(NamedTuple):
    """Something to log: what rules for headers did on the way of a REGISTER or of its answer."""

    request: Request
    flow: Flow
    steps: list[Step]
    failures: list[str]
    """What could not be done, and why."""


News = BindingChanged | RegisterRefused | AnsweredInNeed | HeadersChanged
"""What is nobody's to execute but worth a line in the log."""

Command = Respond | SendRequest | Ping | News
