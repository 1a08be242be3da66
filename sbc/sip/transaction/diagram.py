"""Transition tables drawn as Mermaid state diagrams, for the design pages.

Works on any table (state, event) -> (next state, actions) whose members print as their names.
"""

from collections.abc import Mapping, Sequence
from typing import TypeVar

S = TypeVar("S")
E = TypeVar("E")
A = TypeVar("A")


def mermaid(
    table: Mapping[tuple[S, E], tuple[S, Sequence[A]]], initial: S, final: S | None = None
) -> str:
    """Render `table` as the text of a Mermaid ``stateDiagram-v2``.

    Each arrow carries its event over its actions, as the RFC's figures do. `final` becomes the
    diagram's end point. So does `initial` its start point when no row leads back to it; otherwise
    the start point has an arrow to it. A row that changes nothing is not drawn. The text depends
    only on the table, so a page that contains it can be checked against the table.
    """
    lines = ["stateDiagram-v2"]
    returns = any(after == initial for after, _ in table.values())
    if returns:
        lines.append(f"    [*] --> {_identifier(initial)}")
    for (state, event), (after, actions) in table.items():
        if after == state and not actions:
            continue
        source = "[*]" if state == initial and not returns else _identifier(state)
        target = "[*]" if final is not None and after == final else _identifier(after)
        done = ", ".join(_label(action) for action in actions)
        text = f"{_label(event)} / {done}" if done else _label(event)
        lines.append(f"    {source} --> {target} : {text}")
    return "\n".join(lines) + "\n"


def _identifier(state: object) -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in str(state))


def _label(thing: object) -> str:
    """`thing` without the characters that end a Mermaid label."""
    return str(thing).replace(":", " ").replace(";", ",").replace("\n", " ")
