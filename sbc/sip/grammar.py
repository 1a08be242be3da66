"""The lexical pieces that URIs and header fields share.

The patterns use possessive quantifiers throughout: none of them can backtrack, so a stranger
cannot make matching slower than linear.

Spec: RFC 3261 §25.1.
"""

import re

from sbc.sip.errors import ParseError

Params = tuple[tuple[str, str | None], ...]
"""Parameters in order: a lower-case name, and the value as written (quoted strings with their
quotes), None when there is no ``=``."""

TCHARS = r"A-Za-z0-9\-.!%*_+`'~"
"""The inside of a character class: token."""

WSP = r"[ \t]*+"
"""Optional white space; folding was undone before."""

QUOTED = r'"(?>(?:[^"\\]++|\\.)*)"'
"""quoted-string, with its quotes."""

HOST = r"\[[0-9A-Fa-f:.]++\]|(?>(?:[A-Za-z0-9_\-]++\.?+)+)"
"""host. A label may hold digits anywhere and, as names in private networks do, ``_``; whether
the inside of brackets is an IPv6 address is for `read_host`."""

PARAMS = (
    rf"(?>(?:{WSP};{WSP}[{TCHARS}]++"
    rf'(?:{WSP}={WSP}(?:{QUOTED}|[^\x00-\x20\x7f";,<>]++))?)*)'
)
"""*( SEMI generic-param ). A value may hold more than token and host allow, as long as it cannot
be taken for a delimiter: real tags end in ``==``."""

_TOKEN = re.compile(rf"[{TCHARS}]++")
_QUOTED_OR_SEMICOLON = re.compile(rf"(?>(?:[^\";]++|{QUOTED})*)", re.DOTALL)
_ELEMENT = re.compile(rf'(?>(?:[^",<]++|{QUOTED}|<[^>]*+>)*)', re.DOTALL)
_QUOTED_PAIR = re.compile(r"\\(.)", re.DOTALL)
_NEEDS_PAIR = re.compile(r'["\\\x00-\x08\x0b\x0c\x0e-\x1f\x7f]')
_BREAKS = str.maketrans("\r\n", "  ")
_DECIMAL = re.compile(r"0*+([0-9]++)?")
_HEX4 = re.compile(r"[0-9A-Fa-f]{1,4}")
_IPV4 = re.compile(r"(?:(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])(?:\.(?=[0-9])|$)){4}")


def is_token(text: str) -> bool:
    """Whether the text is a token: a method, a header name, a parameter name."""
    return _TOKEN.fullmatch(text) is not None


def is_ipv4(text: str) -> bool:
    """Whether the text is a dotted quad with every number at most 255."""
    return _IPV4.fullmatch(text) is not None


def is_ipv6(text: str) -> bool:
    """Whether the text (no brackets, no zone) is an IPv6 address.

    Spec: RFC 4291 §2.2.
    """
    left, gap, right = text.partition("::")
    if "::" in right:
        return False
    groups = left.split(":") if left else []
    if right:
        groups += right.split(":")
    room = 8
    if groups and "." in groups[-1]:
        if not is_ipv4(groups.pop()):
            return False
        room = 6
    if not all(_HEX4.fullmatch(group) for group in groups):
        return False
    return len(groups) < room if gap else len(groups) == room


def read_host(text: str) -> str | None:
    """Normalise what the `HOST` pattern matched: lower case, IPv6 without brackets.

    A superfluous third colon before an embedded IPv4 address is dropped, as RFC 5118 §4.10 asks.

    Returns:
        The host, or None when the brackets do not hold an IPv6 address.
    """
    if text[0] != "[":
        return text.lower()
    inside = text[1:-1].lower().replace(":::", "::")
    return inside if is_ipv6(inside) else None


def read_decimal(text: str, maximum: int) -> int | None:
    """Read 1*DIGIT with any number of leading zeros; None when it is not one or above maximum."""
    match = _DECIMAL.fullmatch(text)
    if match is None or not text:
        return None
    digits = match[1]
    if digits is None:
        return 0
    if len(digits) > 10:  # int() of a huge string is slow, and refuses by raising
        return None
    number = int(digits)
    return number if number <= maximum else None


def read_port(text: str) -> int | None:
    """Read a port, 1 to 65535; None when it is not one."""
    return read_decimal(text, 65535) or None


def quote(text: str) -> str:
    """Make a quoted-string of any text; CR and LF, which none can hold, become spaces."""
    return '"' + _NEEDS_PAIR.sub(r"\\\g<0>", text.translate(_BREAKS)) + '"'


def unquote(text: str) -> str:
    """Take the quotes and quoted-pairs from a quoted-string; any other text stays as it is."""
    if len(text) < 2 or text[0] != '"' or text[-1] != '"':
        return text
    inside = text[1:-1]
    return _QUOTED_PAIR.sub(r"\1", inside) if "\\" in inside else inside


def split_commas(text: str) -> list[str]:
    """Split a comma-separated list, minding quoted strings and ``<>``; elements are stripped.

    Total: after an unterminated quote or bracket the rest is one element, which whoever parses
    elements will refuse. A blank text has no elements; blanks between commas are elements.
    """
    if "," not in text:
        stripped = text.strip(" \t")
        return [stripped] if stripped else []
    if '"' not in text and "<" not in text:
        return [element.strip(" \t") for element in text.split(",")]
    elements: list[str] = []
    start = 0
    while True:
        match = _ELEMENT.match(text, start)
        end = start if match is None else match.end()
        if end == len(text) or text[end] != ",":
            elements.append(text[start:].strip(" \t"))
            return elements
        elements.append(text[start:end].strip(" \t"))
        start = end + 1


def split_params(text: str) -> Params:
    """Take apart what the `PARAMS` pattern matched: ``;name=value;name``.

    Raises:
        ParseError: A parameter is there twice (RFC 3261 §7.3.1).
    """
    if not text:
        return ()
    pieces = text.split(";") if '"' not in text else _split_semicolons(text)
    params: list[tuple[str, str | None]] = []
    for piece in pieces[1:]:
        name, equals, value = piece.partition("=")
        name = name.strip(" \t").lower()
        params.append((name, value.strip(" \t") if equals else None))
    if len(params) > 1:
        refuse_twice(params, 0)
    return tuple(params)


def refuse_twice(params: list[tuple[str, str | None]], offset: int) -> None:
    """Raise ParseError, pointing at offset, when a parameter name occurs more than once."""
    seen: set[str] = set()
    for name, _ in params:
        if name in seen:
            raise ParseError("a parameter is there twice", offset)
        seen.add(name)


def join_params(params: Params) -> str:
    """Write parameters: ``;name=value;name``."""
    return "".join([f";{name}" if value is None else f";{name}={value}" for name, value in params])


def find_param(params: Params, name: str) -> str | None:
    """Find a parameter's value by its lower-case name; None when absent or without value."""
    for candidate, value in params:
        if candidate == name:
            return value
    return None


def replace_param(params: Params, name: str, value: str | None) -> Params:
    """Set a parameter where it stands, or append it."""
    if any(candidate == name for candidate, _ in params):
        return tuple([(each, value if each == name else before) for each, before in params])
    return (*params, (name, value))


def _split_semicolons(text: str) -> list[str]:
    pieces: list[str] = []
    start = 0
    while True:
        match = _QUOTED_OR_SEMICOLON.match(text, start)
        end = len(text) if match is None else match.end()
        if end == len(text) or text[end] != ";":
            pieces.append(text[start:])
            return pieces
        pieces.append(text[start:end])
        start = end + 1
