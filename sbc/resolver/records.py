"""What is asked of the name service, and what it answers, as values.

Spec: RFC 1035 (A), RFC 3596 (AAAA), RFC 2782 (SRV), RFC 3403 (NAPTR).
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

Kind = Literal["NAPTR", "SRV", "A", "AAAA"]


class Question(NamedTuple):
    """One question to the name service."""

    name: str
    """Lower case, without the final dot."""
    kind: Kind

    def __str__(self) -> str:
        return f"{self.kind} of {self.name}"


class Naptr(NamedTuple):
    """How a domain offers a service."""

    order: int
    preference: int
    flags: str
    service: str
    regexp: str
    replacement: str
    """Name of SRV records; empty for the root."""


class Srv(NamedTuple):
    """One server of a service."""

    priority: int
    weight: int
    port: int
    target: str
    """Empty for the root, which means that there is no such service."""


Record = Naptr | Srv | str
"""An address is its text."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What is known of a question now."""

    records: tuple[Record, ...]
    """Empty when there are none, or nothing is known."""
    until: float
    """When to ask again, on the clock of whoever answered."""
    known: bool = True
    """Whether a server ever said it; else nobody has answered yet."""
    trouble: str = ""
    """Why it may be out of date, or is not known."""
