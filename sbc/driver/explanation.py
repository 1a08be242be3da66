"""The explanation of a request: every step that it took through the border, in words and in order.

Of a live call, of one that ended lately, of a request that was turned away; as far as each went.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from media.types import SideName
from sbc.b2bua.call import Call, Candidate
from sbc.b2bua.journal import JournalEntry
from sbc.b2bua.manipulating import HEADERS, REPAIRED
from sbc.driver.refused import RefusedRequest
from sbc.policy.facts import Facts
from sbc.policy.matchers import shown
from sbc.routing.facing import host_port
from sbc.sip.errors import ParseError
from sbc.sip.message import Message
from sbc.sip.parser import parse_message_untrusted

_HIDDEN: Final = frozenset({"authorization", "proxy-authorization"})
_UNTOLD: Final = frozenset({"via", "call-id", "content-length"})
"""Headers that always differ, and whose values tell nothing."""

_CHANGES: Final = {REPAIRED: "repair", HEADERS: "header rule"}
"""How entries of a journal begin that tell what was changed, and the step that they are."""


class Line(NamedTuple):
    """One step."""

    step: str
    """``source``, the name of a stage, ``authentication``, ``route``, ``headers``, ..."""
    text: str
    where: str = ""
    """``file:line`` of what decided; empty where no file did."""


def lines_of_call(call: Call) -> list[Line]:
    """What a call went through until now."""
    lines: list[Line] = []
    decided = call.decided
    if decided is not None:
        lines += lines_of_sender(decided.facts)
        lines += lines_of_explanation(decided.to_data())
        if decided.facts.user:
            lines.append(Line("authentication", f"logged in as {decided.facts.user!r}"))
    lines.append(Line("route", call.route))
    lines += candidate_lines(call.candidates)
    entries = call.journal.entries
    lines += change_lines(entries)
    lines += header_lines(_first(entries, "a", "in"), _first(entries, "b", "out"))
    lines += media_lines(call)
    if call.ending is not None:
        lines.append(Line("end", f"{call.ending.text} (by {call.ending.by})"))
    return lines


def lines_of_refused(refused: RefusedRequest) -> list[Line]:
    """What a request went through until it was turned away."""
    whose = f", peer {refused.peer!r}" if refused.peer else ""
    source = f"{refused.transport} {refused.source} on network {refused.network!r}{whose}"
    said = f"{refused.status}" if refused.status else "no answer"
    return [
        Line("source", source),
        *lines_of_explanation(refused.explanation),
        Line("answer", f"{said}: {refused.why}" if refused.why else said),
    ]


def lines_of_sender(facts: Facts) -> list[Line]:
    """Who sent a request, as far as it was known when policy was asked, and whom it calls."""
    lines = [_source(facts)]
    if facts.method == "INVITE":
        caller = facts.caller_number or "nobody"
        lines.append(Line("numbers", f"{caller} calls {facts.called_number or 'nobody'}"))
    return lines


def _source(facts: Facts) -> Line:
    address = host_port(facts.host, facts.port)
    parts = [f"{facts.transport} {address} on {facts.trust} network {facts.network!r}"]
    if facts.peer is not None:
        parts.append(f"peer {facts.peer!r}")
    if facts.registered:
        parts.append("a registered phone")
    return Line("source", ", ".join(parts))


def lines_of_explanation(data: Mapping[str, Any]) -> list[Line]:
    """The steps of a decision, as `Decided.to_data` gave them, and what was nearest."""
    lines = [Line(one["stage"], _said(one), one["where"]) for one in data.get("steps", ())]
    if data.get("nearest"):
        lines.append(Line("nearest", data["nearest"]))
    return lines


def _said(step: Mapping[str, Any]) -> str:
    tested = ", ".join(
        f"{one['fact']} {one['value']} ({one['wanted']} wanted)" for one in step["tested"]
    )
    return f"{step['action']} by rule {step['rule']!r}" + (f": {tested}" if tested else "")


def candidate_lines(candidates: Iterable[Candidate]) -> list[Line]:
    """Where a call is tried, in order."""
    return [
        Line(
            "candidate",
            f"{number}. {one.peer or 'a phone'} at {one.flow.transport} "
            f"{host_port(*one.flow.remote)}, called {one.request_uri}"
            + (f"; {one.note}" if one.note else ""),
        )
        for number, one in enumerate(candidates, 1)
    ]


def change_lines(entries: Iterable[JournalEntry]) -> list[Line]:
    """What repairs and rules for headers did to the messages of a call, and what they could not."""
    return [
        Line(step, entry.text.removeprefix(beginning))
        for entry in entries
        for beginning, step in _CHANGES.items()
        if entry.text.startswith(beginning)
    ]


def header_lines(before: bytes, after: bytes) -> list[Line]:
    """What differs between a message that came and what we made of it."""
    try:
        came, left = (parse_message_untrusted(data) for data in (before, after))
    except ParseError:
        return []
    theirs, ours = _headers(came), _headers(left)
    lines = []
    for name in dict.fromkeys([*theirs, *ours]):
        old, new = theirs.get(name, []), ours.get(name, [])
        if old != new and name not in _UNTOLD:
            lines.append(Line("headers", f"{name}: {_values(name, old)} -> {_values(name, new)}"))
    return lines


def _headers(message: Message) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in message.headers.items():
        found.setdefault(name.lower(), []).append(value)
    return found


def _values(name: str, values: list[str]) -> str:
    if not values:
        return "absent"
    return "(hidden)" if name in _HIDDEN else shown(" | ".join(values))


def media_lines(call: Call) -> list[Line]:
    """Each m-line, with what each leg has of it."""
    lines = []
    for line in call.lines:
        sides = []
        for side in SideName:
            leg, port = call.leg(side), line.port(side)
            local = leg.negotiation.local
            known = local is not None and line.index < len(local.media)
            said = f" {local.media[line.index].protocol}" if local is not None and known else ""
            sides.append(f"{side.value}{said} at {host_port(port.advertise, port.port)}")
        lines.append(Line("media", f"{line.kind}: {', '.join(sides)}"))
    return lines


def _first(entries: Iterable[JournalEntry], side: str, direction: str) -> bytes:
    for entry in entries:
        if entry.kind == "sip" and (entry.side, entry.direction) == (side, direction):
            return entry.raw
    return b""
