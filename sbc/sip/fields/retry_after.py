"""Retry-After: how long somebody wants to be left alone.

Spec: RFC 3261 §20.33.
"""

import re

from sbc.sip.message import Response

_SECONDS = re.compile(r"[ \t]*([0-9]{1,9})")


def retry_after_of(response: Response) -> int:
    """Seconds; 0 where it says none, or nothing that can be read."""
    found = _SECONDS.match(response.headers.first("retry-after") or "")
    return int(found[1]) if found is not None else 0
