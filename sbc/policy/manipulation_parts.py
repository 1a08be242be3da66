"""Typed access to headers: a header's whole value, or one part of an address in it.

``From.display``, ``P-Asserted-Identity.uri.user``, ``Diversion.params.reason``, ``X-Foo``. A value
that is no address has no parts: reading them gives None, and writing them leaves it as it is.

Spec: RFC 3261 §20.10, §25.1 (name-addr).
"""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Final, Literal, NamedTuple

from sbc.sip.errors import ParseError
from sbc.sip.fields.name_addr import NameAddr, parse_name_addr_untrusted
from sbc.sip.grammar import HOST, Params, is_token, quote, read_host, replace_param, split_commas
from sbc.sip.headers import Headers, key_of
from sbc.sip.uri import Uri, escape_user, parse_uri_untrusted

PartName = Literal["", "display", "uri", "uri.user", "uri.host", "uri.params", "params"]

PARTS: Final = ("display", "uri", "uri.user", "uri.host", "uri.params.NAME", "params.NAME")
"""What an address has, as a file writes it."""

ADDRESSES: Final = frozenset(
    {"from", "to", "p-asserted-identity", "p-preferred-identity", "remote-party-id", "diversion",
     "history-info", "referred-by", "refer-to", "reply-to", "p-called-party-id"}
)  # fmt: skip
"""Headers that must stay addresses."""

_CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_HOST = re.compile(HOST)
_URI_PARAM = re.compile(r'[^\x00-\x20\x7f;?<>"@=&]+')
_PARAM = re.compile(r'[^\x00-\x20\x7f";,<>\\]+')
_PLAIN: Final[dict[str, PartName]] = {
    "display": "display",
    "uri": "uri",
    "uri.user": "uri.user",
    "uri.host": "uri.host",
}
_NAMED: Final[dict[str, PartName]] = {"uri.params.": "uri.params", "params.": "params"}


class IllegalValue(ValueError):
    """What a header cannot say; the text says why."""


class HeaderPart(NamedTuple):
    """A header, or a part of the addresses in it."""

    name: str
    """The header as it is written."""
    key: str
    """As it is looked up."""
    part: PartName = ""
    """What of an address; empty for the whole value."""
    param: str = ""
    """Of ``params`` and ``uri.params``, which one, in lower case."""

    def __str__(self) -> str:
        pieces = (self.name, self.part, self.param)
        return ".".join(piece for piece in pieces if piece)

    def read(self, headers: Headers) -> str | None:
        """What the first value that has the part says; None where there is none."""
        for value in headers.all(self.key):
            found = value if not self.part else self._first(value)
            if found is not None:
                return found
        return None

    def edit(self, headers: Headers, change: Callable[[str | None], str | None]) -> None:
        """Give the part another text wherever there is a value that can have it.

        Args:
            change: Of the text before, or None where an address lacks the part, makes the text
                after; None for no such part, or for no such header.

        Raises:
            IllegalValue: the header cannot say that.
        """
        headers.change(self.key, change if not self.part else lambda v: self._edited(v, change))

    def _first(self, value: str) -> str | None:
        for element in split_commas(value):
            address = _address(element)
            found = None if address is None else self._of(address)
            if found is not None:
                return found
        return None

    def _edited(self, value: str, change: Callable[[str | None], str | None]) -> str:
        return ", ".join(self._changed(element, change) for element in split_commas(value))

    def _changed(self, element: str, change: Callable[[str | None], str | None]) -> str:
        address = _address(element)
        if address is None or not self._may_have(address):
            return element
        before = self._of(address)
        after = change(before)
        if after == before:
            return element
        if after is not None:
            check_text(after)
        return str(self._with(address, after))

    def _may_have(self, address: NameAddr) -> bool:
        within_sip = self.part in ("uri.host", "uri.params")
        return bool(address.uri.host) or not within_sip

    def _of(self, address: NameAddr) -> str | None:
        uri = address.uri
        if self.part == "display":
            return address.display or None
        if self.part == "uri":
            return str(uri)
        if self.part == "uri.user":
            return (uri.user if uri.host else _number(uri)) or None
        if self.part == "uri.host":
            return uri.host or None
        params = address.params if self.part == "params" else uri.params
        return next((value or "" for name, value in params if name == self.param), None)

    def _with(self, address: NameAddr, text: str | None) -> NameAddr:
        if self.part == "display":
            return replace(address, display=text or "")
        if self.part == "params":
            return replace(address, params=_set(address.params, self.param, _param(text)))
        return replace(address, uri=self._uri_with(address.uri, text))

    def _uri_with(self, uri: Uri, text: str | None) -> Uri:
        if self.part == "uri":
            return _uri(text or "")
        if self.part == "uri.host":
            return replace(uri, host=_host(text or ""))
        if self.part == "uri.params":
            if text and not _URI_PARAM.fullmatch(text):
                raise IllegalValue(f"{text!r} is no value of a URI parameter")
            return replace(uri, params=_set(uri.params, self.param, text))
        if uri.host:
            return replace(uri, user=escape_user(text) if text else None)
        rest = (uri.user or "").partition(";")
        return _uri(f"{uri.scheme}:{text or ''}{rest[1]}{rest[2]}")


def parse_part(text: str) -> HeaderPart:
    """Read ``X-Foo`` or ``From.uri.user``.

    Raises:
        ValueError: it is neither; the text says what would be right.
    """
    name, dot, rest = text.strip().partition(".")
    if not is_token(name):
        raise ValueError(f"{name!r} is no name of a header")
    key = key_of(name)
    if not dot:
        return HeaderPart(name, key)
    if rest in _PLAIN:
        return HeaderPart(name, key, _PLAIN[rest])
    for beginning, part in _NAMED.items():
        param = rest.removeprefix(beginning)
        if rest.startswith(beginning) and is_token(param):
            return HeaderPart(name, key, part, param.lower())
    raise ValueError(f"{rest!r} is no part of an address; parts: {', '.join(PARTS)}")


def check_text(text: str) -> None:
    """Make sure that a text can stand in a header.

    Raises:
        IllegalValue: it holds a control character, or what is no UTF-8.
    """
    if _CONTROLS.search(text):
        raise IllegalValue(f"{text!a} holds a line break or another control character")
    try:
        text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise IllegalValue(f"{text!a} is no text") from None


def _address(element: str) -> NameAddr | None:
    try:
        return parse_name_addr_untrusted(element)
    except ParseError:
        return None


def _number(uri: Uri) -> str:
    return (uri.user or "").partition(";")[0]


def _uri(text: str) -> Uri:
    try:
        return parse_uri_untrusted(text)
    except ParseError as error:
        raise IllegalValue(f"{text!a} is no URI: {error.reason}") from None


def _host(text: str) -> str:
    bracketed = f"[{text}]" if ":" in text and not text.startswith("[") else text
    host = read_host(bracketed) if _HOST.fullmatch(bracketed) else None
    if host is None:
        raise IllegalValue(f"{text!a} is no host")
    return host


def _param(text: str | None) -> str | None:
    if not text or _PARAM.fullmatch(text):
        return text
    return text if text.startswith('"') else quote(text)


def _set(params: Params, name: str, value: str | None) -> Params:
    """The parameters with one of them; without it for None, and without a value for empty."""
    if value is None:
        return tuple(one for one in params if one[0] != name)
    return replace_param(params, name, value or None)
