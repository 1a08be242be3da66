"""Twins: one request that arrives by two ways, as two transactions.

Spec: RFC 3261 §8.2.2.2 (merged requests).
"""

from sbc.sip.message import Request

TwinKey = tuple[str, str, int]
"""Call-ID, From tag and CSeq number."""


def twin_key(request: Request) -> TwinKey:
    """What a request outside a dialog has in common with its twins, and with nothing else.

    Raises:
        ParseError: 400; one of the headers is malformed.
    """
    return request.call_id, request.from_tag or "", request.cseq.number
