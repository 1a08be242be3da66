"""What an operator says of the codecs and kinds of media of a call, as frozen data."""

from dataclasses import dataclass
from typing import TypedDict


@dataclass(frozen=True, slots=True)
class CodecRules:
    """Which codecs and kinds of media may pass, and which come first.

    Codecs are named in lower case as in ``a=rtpmap``, perhaps with their clock: ``opus``,
    ``l16/44100``.
    """

    allow: tuple[str, ...] = ()
    """The only ones that pass; empty for all. telephone-event and comfort noise need no naming."""
    remove: tuple[str, ...] = ()
    """Those that do not pass, telephone-event included if it is named."""
    prefer: tuple[str, ...] = ()
    """Those that are offered first, in this order."""
    kinds: tuple[str, ...] = ()
    """The only kinds of media that pass (``audio``, ``video``); empty for all."""
    where: str = ""
    """The rule that says so, with its place, for whoever asks why."""

    def __str__(self) -> str:
        words = (
            ("kinds", self.kinds),
            ("allow", self.allow),
            ("remove", self.remove),
            ("prefer", self.prefer),
        )
        return ", ".join(f"{word} {'|'.join(names)}" for word, names in words if names)


class CodecRulesData(TypedDict):
    """`CodecRules` as JSON has them."""

    allow: list[str]
    remove: list[str]
    prefer: list[str]
    kinds: list[str]
    where: str


def codec_rules_to_data(rules: CodecRules) -> CodecRulesData:
    """Export codec rules."""
    return {
        "allow": list(rules.allow),
        "remove": list(rules.remove),
        "prefer": list(rules.prefer),
        "kinds": list(rules.kinds),
        "where": rules.where,
    }


def codec_rules_from_data(data: CodecRulesData) -> CodecRules:
    """Restore codec rules."""
    return CodecRules(
        tuple(data["allow"]),
        tuple(data["remove"]),
        tuple(data["prefer"]),
        tuple(data["kinds"]),
        data["where"],
    )
