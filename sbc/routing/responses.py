"""What an operator says of final statuses and Q.850 causes toward one peer, as frozen data."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ResponseRule:
    """Says a final failure otherwise: SIP status, reason phrase, Q.850 cause."""

    becomes: int
    """SIP status, 400 to 699."""
    status: int | None = None
    """The SIP status that it is for; None for any."""
    q850: int | None = None
    """The Q.850 cause that it is for; None for any, and for none."""
    reason: str = ""
    """Reason phrase; empty for the registered one."""
    becomes_q850: int | None = None
    """Q.850 cause; None for the one that stands for `becomes`."""
    where: str = ""


@dataclass(frozen=True, slots=True)
class ResponseRules:
    """The response rules of a peer; of each list the first that matches is applied."""

    received: tuple[ResponseRule, ...] = ()
    """For what it answers to our INVITE."""
    sent: tuple[ResponseRule, ...] = ()
    """For what it is answered to its INVITE, whoever said it."""


AS_ANSWERED = ResponseRules()
"""The rules of a peer that has none, and of a stranger."""
