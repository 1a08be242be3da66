"""The boundary: the one place where an error that nobody foresaw is caught.

What is handled behind it (one message, one deadline, one call) ends; everything else goes on.
"""

import traceback
from collections.abc import Callable


def contained(work: Callable[[], None]) -> str | None:
    """Do some work; the traceback of what went wrong with it, if anything did."""
    try:
        work()
    except Exception:  # noqa: BLE001 - the boundary itself: a fault of ours stays behind it
        return traceback.format_exc()
    return None
