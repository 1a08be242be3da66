"""What the process tells an operator of its rate limits: the command ``limits``.

One row for each limit on each network that it is for, in the order of the policy.
"""

from sbc.management.listing import Row
from sbc.policy.admission import Admission
from sbc.policy.buckets import Buckets
from sbc.policy.usage import ENOUGH, Usage


def limits_listing(admission: Admission, now: float) -> list[Row]:
    """The rows; looks at every bucket, so it is for an operator's asking only."""
    return [_row(network, buckets, now) for network, buckets in admission.buckets()]


def _row(network: str, buckets: Buckets, now: float) -> Row:
    limit, usage = buckets.limit, buckets.learn(now)
    suggestion = usage.suggestion()
    return {
        "limit": limit.name,
        "where": limit.where,
        "network": network,
        "per": limit.per,
        "shadow": limit.shadow,
        "rate": limit.rate,
        "burst": limit.burst,
        "remembered": len(buckets),
        "dropped": 0 if limit.shadow else buckets.denied,
        "would_drop": buckets.denied if limit.shadow else 0,
        "without_place": buckets.crowded,
        "minutes": usage.minutes,
        "at_once": usage.at_once._asdict(),
        "per_minute": usage.per_minute._asdict(),
        "suggested": None if suggestion is None else suggestion._asdict(),
        "advice": advice(buckets, usage),
    }


def limits_counters(admission: Admission) -> Row:
    """What each limit dropped, over all networks, for ``status``."""
    counters: Row = {}
    for _, buckets in admission.buckets():
        word = "would_drop" if buckets.limit.shadow else "dropped"
        kept = counters.setdefault(buckets.limit.name, {word: 0})
        assert isinstance(kept, dict), "it is one of these"
        kept[word] = kept.get(word, 0) + buckets.denied
    return counters


def advice(buckets: Buckets, usage: Usage) -> str:
    """In words, what was used of a limit, and which would suit it."""
    suggestion = usage.suggestion()
    if suggestion is None:
        missing = ENOUGH - usage.minutes
        return f"too little was seen to suggest anything: {missing} minutes of sources more"
    limit, at_once, minute = buckets.limit, usage.at_once, usage.per_minute
    used = (
        f"in 99.9 % of {usage.minutes} minutes of sources at most {at_once.p999} messages came "
        f"at once and {minute.p999} in the minute"
    )
    wanted = f"rate {suggestion.rate:g} and burst {suggestion.burst} would be twice that"
    if at_once.p999 >= limit.burst:
        return (
            f"{used}: the whole burst, so more may be needed; try burst {2 * limit.burst} in a "
            "limit with `shadow: true`"
        )
    if suggestion.rate <= limit.rate and suggestion.burst <= limit.burst:
        return f"{used}; it is wide enough, {wanted}"
    return f"{used}; it is narrow, {wanted}"
