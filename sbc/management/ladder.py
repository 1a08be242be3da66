"""The story of a call as a few lines of text: what of its journal outlives it in its call record.

One line per entry, ``0.021 sip a out 180 Ringing (INVITE)``: seconds since the call began, kind,
leg and direction (``-`` for none), summary. No message is kept, and no secret.
"""

from collections.abc import Sequence

from sbc.b2bua.journal import HEAD_ENTRIES, Journal, JournalEntry
from sbc.management.redaction import without_secrets

MAX_ENTRIES = 2 * HEAD_ENTRIES
"""The beginning and the end of a long story; the middle gives way, as it does in the journal."""

MAX_SUMMARY = 160
"""Longest summary, in characters; a record is at most some 15 kB, and 1 kB as a rule."""


def ladder_text(journal: Journal, began: float) -> str:
    """The story that a journal tells.

    Args:
        began: When the call began, on the journal's clock.
    """
    entries = journal.entries
    left_out = journal.dropped + max(0, len(entries) - MAX_ENTRIES)
    if not left_out:
        return without_secrets(_lines(entries, began))
    end = entries[HEAD_ENTRIES:][-HEAD_ENTRIES:]
    at = end[0].at if end else began
    gap = JournalEntry(at, "note", "", "", f"{left_out} entries in the middle gave way")
    return without_secrets(_lines([*entries[:HEAD_ENTRIES], gap, *end], began))


def read_ladder(text: str) -> list[dict[str, object]]:
    """The entries of a story, as the command ``call`` tells a journal's, but without messages."""
    entries: list[dict[str, object]] = []
    for line in text.splitlines():
        at, kind, side, direction, summary = line.split(" ", 4)
        entries.append(
            {
                "at": float(at),
                "kind": kind,
                "side": side.strip("-"),
                "direction": direction.strip("-"),
                "summary": summary,
            }
        )
    return entries


def _lines(entries: Sequence[JournalEntry], began: float) -> str:
    return "\n".join(
        [
            f"{entry.at - began:.3f} {entry.kind} {entry.side or '-'} {entry.direction or '-'} "
            f"{_printable(entry.summary[:MAX_SUMMARY])}"
            for entry in entries
        ]
    )


def _printable(text: str) -> str:
    if text.isprintable():
        return text
    return "".join([char if char.isprintable() else "?" for char in text])
