"""Regular expressions of policies, by RE2: the time of a match is linear in the text."""

from collections.abc import Iterable
from typing import Any

import re2

from sbc.policy.matchers import Regular


def regular(texts: Iterable[str]) -> Regular:
    """Regular expressions as one matcher.

    Raises:
        ValueError: one of them is none that RE2 knows, or too large; the text says why.
    """
    all_texts = tuple(texts)
    options = re2.Options()
    options.log_errors = False
    options.max_mem = 1 << 20
    for text in all_texts:
        _compiled(text, options)
    whole = "|".join(f"(?:{text})" for text in all_texts)
    return Regular(all_texts, _compiled(whole, options))


def _compiled(text: str, options: Any) -> Any:
    try:
        return re2.compile(text, options)
    except re2.error as error:
        why = error.args[0] if error.args else error
        why = why.decode() if isinstance(why, bytes) else str(why)
        raise ValueError(f"{text!r} is no regular expression of RE2: {why}") from None
