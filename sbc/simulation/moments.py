"""Moments as people write them."""

from datetime import datetime

from sbc.document.schema import BadValue


def moment(text: str) -> float:
    """``2026-03-02 22:30``, here or with an offset, as seconds since 1970.

    Raises:
        BadValue: it is none.
    """
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError, OSError):
        raise BadValue(f"{text!r} is no moment", "for example: 2026-03-02 22:30") from None
