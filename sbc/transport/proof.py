"""What our own messages tell of the stream that they leave by.

Sans-IO.
"""

import re

_ANYBODYS = re.compile(rb"\r\ncseq:[ \t]*\d+[ \t]+(?:options|cancel)[ \t]*\r\n", re.IGNORECASE)
"""The CSeq of what succeeds for strangers too."""


def shows_acceptance(data: bytes) -> bool:
    """Whether a message of ours says that something from its receiver was accepted.

    A request goes only to who belongs to a peer, a call or a binding, and nothing rings or
    succeeds for a stranger, except OPTIONS and CANCEL. 100 says no more than that we listen.
    """
    if not data.startswith(b"SIP/2.0 "):
        return True
    status = data[8:11]
    if status.startswith(b"18"):
        return True
    return status.startswith(b"2") and _ANYBODYS.search(data) is None
