"""Responses of our own: what is refused and why, said once for the operator and once for others.

Spec: RFC 3261 §8.2 (UAS behaviour), §20.33 (Retry-After), §20.43 (Warning), RFC 7989 §7
(Session-ID of a response that an intermediary makes).
"""

import re
from dataclasses import dataclass

from sbc.policy.model import Decision
from sbc.policy.topology import NIL_UUID, session_id, session_uuid
from sbc.sip.fields.warning import MISCELLANEOUS, warning
from sbc.sip.message import Request, Response, make_response
from sbc.sip.transaction.layer import RETRY_AFTER_S

_REMOTE_UUID = re.compile(r";[ \t]*remote=([0-9a-f]{32})(?![0-9a-z])", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is not served."""

    status: int
    said: str
    """One sentence for whoever sent the request, however little it is trusted: it names nothing
    that is ours or another's. Empty when the status says enough."""
    text: str = ""
    """One sentence for the operator, where there is more to know; it never leaves."""
    reason: str | None = None
    """The reason phrase; the registered one when None."""
    headers: tuple[tuple[str, str], ...] = ()
    """Headers that this status asks for, by name and value."""
    warn_code: int = MISCELLANEOUS
    """Said with `said`."""
    retry_after_s: int = RETRY_AFTER_S
    """Said with 503."""
    rule: str = ""
    """The rule of the policy that refuses it; empty where none does."""

    @property
    def explanation(self) -> str:
        """The sentence for the operator."""
        return self.text or self.said


def refusal_of(decision: Decision, *, told: bool) -> Refusal:
    """How a decision that refuses is said: in the words of whoever wrote the rule.

    Args:
        told: Whether the sender may know the rule's name. Others learn that it was a rule.
    """
    said = f"refused by the rule {decision.rule!r}" if told else "refused by policy"
    text, reason = decision.explanation, decision.text or None
    return Refusal(decision.status or 403, said, text, reason=reason, rule=decision.rule)


def refused(
    request: Request, refusal: Refusal, tag: str, agent: str, server_header: str | None
) -> Response:
    """The response that refuses a request.

    Args:
        request: Anything that a response can be made of, malformed or not.
        tag: Of To, where it has none.
        agent: Who warns: our sent-by toward the sender.
    """
    response = answered(request, refusal.status, tag, server_header, refusal.reason)
    headers = response.headers
    if refusal.said:
        headers.append("Warning", warning(agent, refusal.said, refusal.warn_code))
    if refusal.status == 503:
        headers.append("Retry-After", str(refusal.retry_after_s))
    for name, value in refusal.headers:
        headers.append(name, value)
    return response


def answered(
    request: Request, status: int, tag: str, server_header: str | None, reason: str | None = None
) -> Response:
    """A final response that nobody behind us had a part in."""
    response = make_response(request, status, reason, tag)
    session = _session_of(request)
    if session is not None:
        response.headers.append("Session-ID", session)
    if server_header:
        response.headers.append("Server", server_header)
    return response


def _session_of(request: Request) -> str | None:
    """Session-ID toward whoever sent a request; None if it sent none itself.

    The other end is the one that the sender knows, if it knows one already.
    """
    theirs = session_uuid(request)
    if theirs is None:
        return None
    known = _REMOTE_UUID.search(request.headers.first("session-id") or "")
    return session_id(known[1].lower() if known is not None else NIL_UUID, theirs)
