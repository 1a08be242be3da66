"""How texts of strangers look: what looks the same to a person is compared as the same."""

from typing import Final
from unicodedata import normalize

_PIECE: Final = 64
"""Characters. The time to order marks that stand upon each other grows by the square of their
number, and nobody reads a letter with more of them (Unicode Standard Annex #15 §13)."""


def plain_form(text: str) -> str:
    """A text in compatibility form, in a time that grows only by its length.

    Returns:
        What may be eighteen times as long as the text.
    """
    if text.isascii():
        return text
    pieces = (text[at : at + _PIECE] for at in range(0, len(text), _PIECE))
    return "".join(normalize("NFKC", piece) for piece in pieces)
