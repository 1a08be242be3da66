"""Moments as people write them."""

from datetime import UTC, datetime

from sbc.document.schema import BadValue


def moment(text: str) -> float:
    """``2026-03-02 22:30``, in UTC unless it has an offset, as seconds since 1970.

    Raises:
        BadValue: it is none.
    """
    try:
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError, OSError):
        raise BadValue(f"{text!r} is no moment", "for example: 2026-03-02 22:30") from None
