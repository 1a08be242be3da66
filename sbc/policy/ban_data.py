"""Bans as JSON has them: for the operator, and for the process after this one."""

from collections.abc import Mapping
from ipaddress import ip_network

from sbc.policy.bans import Ban
from sbc.policy.offences import Evidence, Offence, Proof

Data = dict[str, object]


def ban_to_data(ban: Ban) -> Data:
    """A ban with its evidence; times in seconds since 1970."""
    return {
        "source": str(ban.source),
        "why": ban.why,
        "by": ban.by,
        "since": round(ban.since, 3),
        "until": round(ban.since + ban.seconds, 3),
        "score": ban.score,
        "number": ban.number,
        "hits": ban.hits,
        "shadow": ban.shadow,
        "evidence": [evidence_to_data(one) for one in ban.evidence],
    }


def evidence_to_data(evidence: Evidence) -> Data:
    """One thing that was seen."""
    return {
        "at": round(evidence.at, 3),
        "offence": evidence.offence.key,
        "what": evidence.what,
        "call_id": evidence.call_id,
        "source": evidence.source,
        "proof": evidence.proof.name.lower(),
        "score": evidence.score,
    }


def ban_from_data(data: Mapping[str, object], now: float, wall: float) -> Ban:
    """A ban that `ban_to_data` gave, perhaps one whose time is over.

    Args:
        now: on the clock that decisions are made by.
        wall: the same moment, in seconds since 1970.

    Raises:
        ValueError, KeyError, TypeError: the data is no such export.
    """
    since, until = _number(data["since"]), _number(data["until"])
    evidence = data["evidence"]
    if not isinstance(evidence, list):
        raise TypeError("evidence is a list")
    return Ban(
        source=ip_network(str(data["source"])),
        why=str(data["why"]),
        by=str(data["by"]),
        since=since,
        seconds=until - since,
        until=now + until - wall,
        score=_number(data["score"]),
        evidence=tuple(_evidence(one) for one in evidence),
        shadow=data["shadow"] is True,
        number=int(_number(data["number"])),
        hits=int(_number(data["hits"])),
    )


def _evidence(data: Mapping[str, object]) -> Evidence:
    return Evidence(
        _number(data["at"]),
        Offence[str(data["offence"]).upper()],
        str(data["what"]),
        str(data["call_id"]),
        str(data["source"]),
        Proof[str(data["proof"]).upper()],
        _number(data["score"]),
    )


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{value!r} is no number")
    return float(value)
