"""How long a registration waits: before the next round, before a refresh, for an answer.

Every wait has its share of chance, which is handed in as a number from 0 to 1, so that trunks that
failed together do not come back together.

Spec: RFC 5626 §4.5 (back-off), RFC 3261 §10.2.4 (refresh), §20.33 (Retry-After).
"""

from typing import Final

from sbc.sip.timers import TIMEOUT

FIRST_RETRY_S: Final = 4.0
"""A registrar that restarts is back soon, so the first wait is short."""
BASE_S: Final = 30.0
"""The "base-time if all flows failed" of RFC 5626 §4.5."""
LONGEST_S: Final = 1800.0
"""The "max-time" there. No Retry-After is honoured beyond it either."""
DOUBTED_S: Final = 1800.0
"""After a password was refused: registrars lock accounts that go on trying."""
LASTING_S: Final = 120.0
"""How long a flow must have been registered before its failures are forgotten, and before its loss
is worth another attempt at once: the "flow timer" of RFC 5626 §4.5."""
SETTLED_S: Final = 30.0
"""How long a registration must be in place before a doubt about its flow is looked into."""
ANSWER_S: Final = 8.0
"""How long a target may be silent while another one is left."""
LAST_ANSWER_S: Final = TIMEOUT + 4.0
"""How long the last one may: until Timer F says so. Longer only if nobody told us."""
LEAVE_S: Final = 2.0
"""How long the answer to a withdrawal, and to what is under way before it, is waited for."""
SHORTEST_REFRESH_S: Final = 5.0
SPREAD_S: Final = 0.1
"""Of the start, for each trunk that is to register: so that many do not begin in one burst."""
LONGEST_SPREAD_S: Final = 30.0

_MOST_DOUBLINGS = 16


def retry_in(failures: int, chance: float, least_s: float = 0.0) -> float:
    """Seconds before the next round.

    Args:
        failures: Rounds that failed in a row, at least 1.
        least_s: What the registrar (Retry-After) or the matter asks for; bounded here.
    """
    if failures <= 1:
        upper = FIRST_RETRY_S
    else:
        upper = min(LONGEST_S, BASE_S * 2 ** min(failures - 1, _MOST_DOUBLINGS))
    wanted = min(least_s, LONGEST_S)
    # Never before what was asked for, and not all of a crowd at that very moment.
    return max(upper * (0.5 + chance / 2), wanted * (1 + chance / 10))


def refresh_in(granted_s: int, chance: float) -> float:
    """Seconds before a registration is refreshed: between 60 and 80 % of what was granted."""
    return max(SHORTEST_REFRESH_S, granted_s * (0.6 + chance / 5))


def start_in(trunks: int, chance: float) -> float:
    """Seconds before the first REGISTER of one of so many trunks."""
    return min(LONGEST_SPREAD_S, SPREAD_S * trunks) * chance
