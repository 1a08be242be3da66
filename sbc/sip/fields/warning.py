"""The Warning header: why something was refused, in words for whoever reads a trace.

Spec: RFC 3261 §20.43.
"""

from typing import Final

MAX_TEXT_LENGTH: Final = 200


MISCELLANEOUS: Final = 399


def warning(agent: str, text: str, code: int = MISCELLANEOUS) -> str:
    """The value of a Warning.

    Args:
        agent: Who warns: our sent-by toward the receiver.
        text: It may quote what a stranger sent; what cannot stand between quotes is replaced, and
            what is beyond `MAX_TEXT_LENGTH` characters is cut off.
        code: What it is about, for programs.
    """
    return f'{code} {agent} "{quotable(text)}"'


def quotable(text: str) -> str:
    """A text that can stand between quotes in a header: printable, short, without quotes."""
    text = text[:MAX_TEXT_LENGTH]
    if text.isascii() and text.isprintable() and '"' not in text and "\\" not in text:
        return text
    return "".join(c if c.isprintable() and c not in '"\\' else "'" for c in text)
