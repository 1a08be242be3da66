"""Everything that the registrations with trunks can ask for and tell."""

from typing import NamedTuple

from sbc.sip.flow import Flow
from sbc.sip.user import Abandon, Ping, SendRequest
from sbc.trunks.table import State


class TrunkChanged(NamedTuple):
    """Something to log: a registration went into another state, or on to another target."""

    peer: str
    aor: str
    before: State
    after: State
    cause: str
    """Why, in words; empty when the states say all."""
    flow: Flow | None
    """The one that registered or is tried now."""
    doubted: bool
    """Whether the registrar refused our user name or password, which only people can mend."""


Command = SendRequest | Abandon | Ping | TrunkChanged
