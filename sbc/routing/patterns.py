"""Patterns for numbers and domains, as an operator writes them in a route.

A number pattern is one of

=================  ==========================================================
``600``            exactly this user part
``+49*``           everything that begins so
``600-699``        a range: same length, digits only (a leading ``+`` on both)
``6??``, ``*#9*``  a glob: ``?`` is one character, ``*`` any run of them
``\\*97``           a backslash makes ``*``, ``?`` and ``-`` ordinary
=================  ==========================================================

There are no regular expressions: every match takes a time bounded by the two lengths.
"""

import re
from dataclasses import dataclass

_RANGE = re.compile(r"(\+?)([0-9]+)-(\+?)([0-9]+)")

_REGULAR = re.compile(r"[\^\[\]{}|]|(?<!\\)\$$|^\+?[0-9]+\.[*+]|\\d")
"""What only regular expressions have; as a pattern it would be accepted and never match."""

_PLAIN = re.compile(r"\+?[A-Za-z0-9_.]+")
"""What most patterns are: no wildcard, no range."""

ANY_CHARACTER = "?"
ANY_RUN = "*"


@dataclass(frozen=True, slots=True)
class Exact:
    """One user part."""

    text: str


@dataclass(frozen=True, slots=True)
class Prefix:
    """Every user part that begins with `text`; with an empty text every user part at all."""

    text: str


@dataclass(frozen=True, slots=True)
class Range:
    """Every number from `low` to `high`, which have the same length and the same sign."""

    low: str
    high: str

    def holds(self, user: str) -> bool:
        """Whether a user part is a number in the range."""
        if len(user) != len(self.low) or not self.low <= user <= self.high:
            return False
        digits = user[1:] if user[0] == "+" else user
        return digits.isascii() and digits.isdigit()


@dataclass(frozen=True, slots=True)
class Glob:
    """A mixture of literal characters, `ANY_CHARACTER` and `ANY_RUN`."""

    tokens: tuple[str, ...]
    """Literal characters carry a leading backslash, so that they are told from the wildcards."""

    def holds(self, user: str) -> bool:
        """Whether a user part matches; at most ``len(tokens) * len(user)`` steps."""
        tokens = self.tokens
        position = token = 0
        star, star_position = -1, 0
        while position < len(user):
            wanted = tokens[token] if token < len(tokens) else ""
            if wanted == ANY_RUN:
                star, star_position = token, position
                token += 1
            elif wanted == ANY_CHARACTER or wanted == "\\" + user[position]:
                position += 1
                token += 1
            elif star >= 0:
                star_position += 1
                position, token = star_position, star + 1
            else:
                return False
        return all(rest == ANY_RUN for rest in tokens[token:])


NumberPattern = Exact | Prefix | Range | Glob


def parse_number_pattern(text: str) -> NumberPattern:
    """Read a number pattern.

    Raises:
        ValueError: it is no pattern; the text says why and what would be one.
    """
    if _PLAIN.fullmatch(text) is not None:
        return Exact(text)
    if not text or any(character.isspace() for character in text):
        raise ValueError("a number pattern has at least one character and no blanks")
    if not text.isprintable() or any(one.isdigit() and not one.isascii() for one in text):
        raise ValueError("it holds characters that cannot be dialled, though they may look like it")
    if _REGULAR.search(text) is not None:
        raise ValueError("a number pattern is no regular expression")
    if (match := _RANGE.fullmatch(text)) is not None:
        return _range(match[1] + match[2], match[3] + match[4])
    tokens = _tokens(text)
    wildcards = [token for token in tokens if len(token) == 1]
    literal = "".join(token[1:] for token in tokens)
    if not wildcards:
        return Exact(literal)
    if wildcards == [ANY_RUN] and tokens[-1] == ANY_RUN:
        return Prefix(literal)
    return Glob(tokens)


def _range(low: str, high: str) -> Range:
    if len(low) != len(high) or (low[0] == "+") != (high[0] == "+"):
        raise ValueError("both ends of a range have the same length, like 600-699")
    if low > high:
        raise ValueError(f"the range runs backwards: write {high}-{low}")
    return Range(low, high)


def _tokens(text: str) -> tuple[str, ...]:
    tokens: list[str] = []
    escaped = False
    for character in text:
        if escaped:
            tokens.append("\\" + character)
            escaped = False
        elif character == "\\":
            escaped = True
        elif character in (ANY_CHARACTER, ANY_RUN):
            tokens.append(character)
        else:
            tokens.append("\\" + character)
    if escaped:
        raise ValueError("the backslash at the end escapes nothing")
    return tuple(tokens)


def number_matches(pattern: NumberPattern, user: str) -> bool:
    """Whether a user part matches a pattern."""
    if isinstance(pattern, Exact):
        return user == pattern.text
    if isinstance(pattern, Prefix):
        return user.startswith(pattern.text)
    return pattern.holds(user)


def number_covers(wide: NumberPattern, narrow: NumberPattern) -> bool:
    """Whether everything that matches `narrow` surely matches `wide`.

    Errs towards no: two globs are compared only for equality.
    """
    if wide == narrow:
        return True
    if isinstance(narrow, Exact):
        return number_matches(wide, narrow.text)
    if isinstance(wide, Prefix):
        return literal_start(narrow)[0].startswith(wide.text)
    if isinstance(wide, Range) and isinstance(narrow, Range):
        same_shape = len(wide.low) == len(narrow.low) and (wide.low[0] == "+") == (
            narrow.low[0] == "+"
        )
        return same_shape and wide.low <= narrow.low and narrow.high <= wide.high
    return False


def literal_start(pattern: NumberPattern) -> tuple[str, bool]:
    """What every match begins with, and whether that is all there is."""
    if isinstance(pattern, (Exact, Prefix)):
        return pattern.text, isinstance(pattern, Exact)
    start: list[str] = []
    if isinstance(pattern, Range):
        for low, high in zip(pattern.low, pattern.high, strict=True):
            if low != high:
                break
            start.append(low)
    else:
        for token in pattern.tokens:
            if len(token) == 1:
                break
            start.append(token[1])
    return "".join(start), isinstance(pattern, Range) and pattern.low == pattern.high


def domain_matches(pattern: str, domain: str) -> bool:
    """Whether a lower-case domain is the pattern, or lies below it for ``"*.example.com"``."""
    if pattern.startswith("*."):
        return domain.endswith(pattern[1:]) and len(domain) > len(pattern) - 1
    return domain == pattern


def domain_covers(wide: str, narrow: str) -> bool:
    """Whether every domain that matches `narrow` matches `wide`."""
    if narrow.startswith("*."):
        return wide.startswith("*.") and narrow[1:].endswith(wide[1:])
    return domain_matches(wide, narrow)
