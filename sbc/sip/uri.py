"""SIP and SIPS URIs, and any other URI as an opaque text.

Spec: RFC 3261 §19.1, §25.1; RFC 5954 (IPv6 comparison).
"""

import re
from dataclasses import dataclass
from ipaddress import IPv6Address

from sbc.remembered import remembered
from sbc.sip.errors import ParseError
from sbc.sip.grammar import (
    HOST,
    Params,
    find_param,
    is_ipv6,
    join_params,
    read_host,
    read_port,
    refuse_twice,
)

# Beyond the grammar, "#" and a few more are let in, because phones dial *21#; they cannot be
# taken for a delimiter. "@" is refused after the userinfo: implementations differ on which of
# two separates the host.
_USER_CHARS = r"A-Za-z0-9\-_.!~*'()&=+$,%#^{}|`\x80-\U0010ffff"
_SIP_URI = re.compile(
    rf"(?>(?:([{_USER_CHARS};?/]++)(?::([{_USER_CHARS}]*+))?@)?)"
    rf"({HOST})"
    r"(?>(?::([0-9]++))?)"
    r'((?>(?:;[^\x00-\x20\x7f;?<>"@=]++(?:=[^\x00-\x20\x7f;?<>"@]*+)?)*))'
    r'(?>(?:\?([^\x00-\x20\x7f<>"@]++))?)'
)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*+")
_OPAQUE = re.compile(r'[^\x00-\x20\x7f<>"]++')
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.!~*'()")
_NOT_IN_USER = re.compile(r"[^A-Za-z0-9\-_.!~*'()&=+$,;?/%]|%(?![0-9A-Fa-f]{2})")
# RFC 3261 §19.1.4: these make two URIs differ even when only one of them has it.
_DECISIVE = ("user", "ttl", "method", "maddr", "transport")


@dataclass(frozen=True, slots=True)
class Uri:
    """A URI, taken apart when its scheme is ``sip`` or ``sips``.

    Escapes stay as written in user, password, parameter values and headers, so that the peer
    who made a URI gets back the one it made.
    """

    scheme: str
    """Lower case."""
    user: str | None
    """Still escaped. For other schemes: everything after the colon."""
    password: str | None
    host: str
    """Lower case; IPv6 without brackets; empty for other schemes."""
    port: int | None = None
    params: Params = ()
    """Names lower case, escapes of letters and digits in names undone."""
    headers: str = ""
    """What stands after ``?``."""

    def param(self, name: str) -> str | None:
        """Find a parameter's value; None when it is absent or has none."""
        return find_param(self.params, name)

    def has_param(self, name: str) -> bool:
        """Whether the parameter is there, with or without a value."""
        return any(candidate == name for candidate, _ in self.params)

    @property
    def address_of_record(self) -> str:
        """The canonical ``sip:user@host`` that names a user.

        Equal for equal users however they are escaped, and printable: what may not stand
        unescaped in a user part is escaped here. ``sips`` names the same user as ``sip``.

        Spec: RFC 3261 §10.3 step 5, §19.1.4; RFC 5630 §3.3.
        """
        if not self.host:
            return str(self)
        host = f"[{self.host}]" if ":" in self.host else self.host
        if self.user is None:
            return f"sip:{host}"
        return f"sip:{escape_user(_normalised(self.user))}@{host}"

    def __str__(self) -> str:
        if not self.host:
            return f"{self.scheme}:{self.user}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        text = f"{self.scheme}:"
        if self.user is not None:
            text += self.user if self.password is None else f"{self.user}:{self.password}"
            text += "@"
        text += host
        if self.port is not None:
            text += f":{self.port}"
        if self.params:
            text += join_params(self.params)
        return f"{text}?{self.headers}" if self.headers else text


@remembered
def parse_uri_untrusted(text: str) -> Uri:
    """Read a URI; of schemes other than ``sip`` and ``sips`` only the scheme is looked at.

    Raises:
        ParseError: 400; the offset is into the text.

    Spec: RFC 3261 §25.1.
    """
    scheme, colon, rest = text.partition(":")
    if scheme != "sip":
        scheme = scheme.lower()
        if scheme not in {"sip", "sips"}:
            return _parse_other(scheme, colon, rest)
    match = _SIP_URI.fullmatch(rest)
    if match is None:
        raise ParseError("malformed SIP URI", _stop(rest, len(scheme) + 1))
    user, password, host_text, port_text, params_text, headers = match.groups()
    host = read_host(host_text)
    if host is None:
        raise ParseError("malformed IPv6 address in URI", len(scheme) + 1 + match.start(3))
    port = None
    if port_text is not None:
        port = read_port(port_text)
        if port is None:
            raise ParseError("port out of range in URI", len(scheme) + 1 + match.start(4))
    if "%" in rest:
        bad = _BAD_ESCAPE.search(rest)
        if bad is not None:
            raise ParseError("malformed %-escape in URI", len(scheme) + 1 + bad.start())
    params: Params = ()
    if params_text:
        params = _split_uri_params(params_text, len(scheme) + 1 + match.start(5))
    return Uri(scheme, user, password, host, port, params, headers or "")


def uris_equal(a: Uri, b: Uri) -> bool:
    """Compare two URIs as SIP does.

    Spec: RFC 3261 §19.1.4; IPv6 hosts by address, RFC 5954 §4.2. URIs of other schemes are
    equal when their texts are.
    """
    if a.scheme != b.scheme or a.port != b.port or not _hosts_equal(a.host, b.host):
        return False
    if not a.host:
        return a.user == b.user
    if _normalised(a.user) != _normalised(b.user):
        return False
    if _normalised(a.password) != _normalised(b.password):
        return False
    return _params_equal(a.params, b.params) and _header_set(a.headers) == _header_set(b.headers)


def _parse_other(scheme: str, colon: str, rest: str) -> Uri:
    if not colon or _SCHEME.fullmatch(scheme) is None:
        raise ParseError("URI without a scheme")
    if _OPAQUE.fullmatch(rest) is None:
        raise ParseError("malformed URI", len(scheme) + 1)
    return Uri(scheme, rest, None, "")


def _stop(rest: str, base: int) -> int:
    match = _SIP_URI.match(rest)
    return base if match is None else base + match.end()


def _split_uri_params(text: str, offset: int) -> Params:
    params: list[tuple[str, str | None]] = []
    for piece in text[1:].split(";"):
        name, equals, value = piece.partition("=")
        if "%" in name:
            name = _normalised(name) or name
        params.append((name.lower(), value if equals else None))
    if len(params) > 1:
        refuse_twice(params, offset)
    return tuple(params)


def _normalised(text: str | None) -> str:
    """Undo the escapes that need not be, and write the others in upper case."""
    if text is None:
        return ""
    return _ESCAPE.sub(_normalise_escape, text) if "%" in text else text


def _normalise_escape(match: re.Match[str]) -> str:
    char = chr(int(match[1], 16))
    return char if char in _UNRESERVED else match[0].upper()


def escape_user(text: str) -> str:
    """Escape what may not stand in a user part; what is escaped already stays so."""
    return _NOT_IN_USER.sub(_escape_char, text)


def _escape_char(match: re.Match[str]) -> str:
    return "".join([f"%{byte:02X}" for byte in match[0].encode("utf-8", "surrogateescape")])


def _hosts_equal(a: str, b: str) -> bool:
    if a == b:
        return True
    return is_ipv6(a) and is_ipv6(b) and IPv6Address(a) == IPv6Address(b)


def _params_equal(a: Params, b: Params) -> bool:
    ours = {name: _normalised(value).lower() for name, value in a}
    theirs = {name: _normalised(value).lower() for name, value in b}
    for name in ours.keys() & theirs.keys():
        if ours[name] != theirs[name]:
            return False
    return all((name in ours) == (name in theirs) for name in _DECISIVE)


def _header_set(text: str) -> list[tuple[str, str]]:
    headers: list[tuple[str, str]] = []
    for piece in text.split("&"):
        name, _, value = piece.partition("=")
        headers.append((_normalised(name).lower(), _normalised(value)))
    headers.sort()
    return headers
