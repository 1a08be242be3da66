"""What is counted of whoever makes calls, as conditions may ask for it."""

from typing import Final, NamedTuple


class Count(NamedTuple):
    """One counter; its value is that before the call which is decided on."""

    description: str
    example: float


COUNTS: Final[dict[str, Count]] = {
    "spend_hour": Count(
        "What the sender's calls cost in the last hour, by `tariffs`: ended ones, live ones so far "
        "and their next minute, and one minute of those that still ring.",
        10,
    ),
    "spend_day": Count("What the sender's calls cost in the last 24 hours, likewise.", 50),
    "calls_hour": Count("How many calls the sender began in the last hour.", 60),
    "live_calls": Count("How many other calls of the sender are live, ringing ones too.", 5),
    "risky_calls": Count("How many of those go to destinations with a class of risk.", 1),
    "risky_numbers": Count(
        "How many different numbers with a class of risk the sender called in the last hour.", 3
    ),
    "short_calls": Count(
        "How many of the sender's calls of the last hour were answered and over within 10 seconds.",
        20,
    ),
    "failed_calls": Count("How many of the sender's calls of the last hour nobody answered.", 30),
    "diverter_calls": Count(
        "How many calls are live that the same party forwarded, by Diversion or History-Info.", 2
    ),
    "diverter_spend_hour": Count(
        "What calls that the same party forwarded cost in the last hour.", 10
    ),
}
"""By the name of the fact."""
