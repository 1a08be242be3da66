"""What a candidate would change, in the words of whoever wrote both files."""

import re
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol, TypeVar

from sbc.config.load import Configuration
from sbc.config.reload import Difference, ReloadPlan, diff, differences, key_of_stage
from sbc.policy.model import SOURCES, STAGES, PolicySet
from sbc.routing.did import DidTable

Sign = Literal["added", "removed", "moved", "changed", "setting"]

_STAGES = (SOURCES, *STAGES)

_BY_NAME = frozenset(
    (
        *("networks", "peers", "peer order", "routes", "dids", "rate_limits", "headers"),
        *("media_rules", "admission"),
        *(key_of_stage(stage.name) for stage in _STAGES),
    )
)
"""What is compared by the names of its entries."""


_NAMELESS = re.compile(r"routes\[\d+\]")
"""The name of a route that was given none."""


class Named(Protocol):
    """What operators give a name and a place: a peer, a route, a rule."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def where(self) -> str:
        """``file:line``."""


N = TypeVar("N", bound=Named)


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that a candidate would change."""

    sign: Sign
    what: str
    """``peer 'trunk'``, ``route 'out'``; for a setting its key."""
    before: str = ""
    """``file:line`` in the configuration in force; empty where it is not there."""
    after: str = ""
    """``file:line`` in the candidate; empty where it is not there."""
    details: tuple[str, ...] = ()
    """Values that differ: ``limits.max_calls: 3 -> 5``."""
    needs_restart: bool = False


def entries(old: Configuration, new: Configuration) -> tuple[Entry, ...]:
    """Everything that differs: networks, peers, tables, routes, policies, then settings."""
    before, after = old.settings, new.settings
    plan = diff(old, new)
    restart = frozenset(one.path for one in plan.restart)
    return (
        *_ordered("network", before.networks, after.networks, restart),
        *_ordered("peer", before.peers, after.peers),
        *_dids(before.dids, after.dids),
        *_ordered("route", before.routes, after.routes),
        *_policies(old.policies, new.policies),
        *_settings(plan),
    )


def _policies(old: PolicySet, new: PolicySet) -> list[Entry]:
    return [
        *_ordered("rate limit", old.rate_limits, new.rate_limits),
        *(
            entry
            for stage in _STAGES
            for entry in _ordered(
                "rule" if stage.name == "rules" else f"{stage.name} rule",
                old.stage(stage.name).all,
                new.stage(stage.name).all,
            )
        ),
        *_ordered("header rule", old.headers.all, new.headers.all),
        *_ordered("media rule", old.media.all, new.media.all),
        *_ordered("call limit", old.admission, new.admission),
    ]


def _dids(old: Sequence[DidTable], new: Sequence[DidTable]) -> list[Entry]:
    """Rows of DID tables, whose order says nothing."""
    rows = {(table.name, row.number): row for table in old for row in table.rows}
    found: list[Entry] = []
    for table in new:
        for row in table.rows:
            what = f"DID {row.number} of {table.name!r}"
            known = rows.pop((table.name, row.number), None)
            if known is None:
                found.append(Entry("added", what, after=row.where))
            elif known[:-1] != row[:-1]:
                details = tuple(
                    f"{key}: {_text(before)} -> {_text(after)}"
                    for key, before, after in zip(row._fields[:-1], known, row, strict=False)
                    if before != after
                )
                found.append(Entry("changed", what, known.where, row.where, details))
    gone = [
        Entry("removed", f"DID {row.number} of {table!r}", before=row.where)
        for (table, _), row in rows.items()
    ]
    return gone + found


def _text(value: str | Sequence[str]) -> str:
    return (value if isinstance(value, str) else ", ".join(value)) or "nothing"


def _settings(plan: ReloadPlan) -> list[Entry]:
    live = [one for change in plan.changes for one in change.differences]
    return [
        Entry("setting", one.path, details=(f"{one.old} -> {one.new}",), needs_restart=restart)
        for restart, found in ((False, live), (True, plan.restart))
        for one in dict.fromkeys(found)
        if one.path.partition(".")[0].partition("[")[0] not in _BY_NAME
    ]


def _ordered(
    kind: str, old: Sequence[N], new: Sequence[N], restart: frozenset[str] = frozenset()
) -> list[Entry]:
    """What differs between two lists of named things, in which the order counts."""
    before = {_key(one): one for one in old}
    after = {_key(one): one for one in new}
    elsewhere = moved([name for name in after if name in before], before)
    found = [
        Entry("removed", f"{kind} {one.name!r}", before=one.where)
        for name, one in before.items()
        if name not in after
    ]
    for name, one in after.items():
        what = f"{kind} {one.name!r}"
        known = before.get(name)
        if known is None:
            found.append(Entry("added", what, after=one.where))
            continue
        # Entries without a name are known again by all they say, and only their place differs.
        details = [] if name != one.name else differences("", known, one)
        if details:
            found.append(_changed(what, kind, known, one, details, restart))
        if name in elsewhere:
            found.append(Entry("moved", what, known.where, one.where))
    return found


def _key(one: Named) -> str:
    """By what an entry is known again: its name, or all it says where its name is its place."""
    if not _NAMELESS.fullmatch(one.name):
        return one.name
    return repr(replace(one, name="", where=""))  # type: ignore[type-var]  # they are dataclasses


def _changed(
    what: str,
    kind: str,
    old: Named,
    new: Named,
    details: Sequence[Difference],
    restart: frozenset[str],
) -> Entry:
    texts = tuple(str(one).removeprefix(".") for one in details)
    needs_restart = any(f"{kind}s.{new.name}{one.path}" in restart for one in details)
    return Entry("changed", what, old.where, new.where, texts, needs_restart)


def moved(names: Sequence[str], before: Mapping[str, object]) -> frozenset[str]:
    """As few names as possible of those that stand in another order than before.

    All but those of a longest increasing run of their old positions, found by patience sorting.
    """
    position = {name: number for number, name in enumerate(before)}
    tops: list[int] = []
    top_names: list[str] = []
    below: dict[str, str | None] = {}
    for name in names:
        pile = bisect_left(tops, position[name])
        below[name] = top_names[pile - 1] if pile else None
        tops[pile : pile + 1] = [position[name]]
        top_names[pile : pile + 1] = [name]
    kept: set[str] = set()
    last = top_names[-1] if top_names else None
    while last is not None:
        kept.add(last)
        last = below[last]
    return frozenset(names) - kept
