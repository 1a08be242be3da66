"""name-addr and addr-spec with parameters: From, To, Contact, Route and their like.

Spec: RFC 3261 §20.10, §25.1.
"""

import re
from dataclasses import dataclass, replace

from sbc.remembered import remembered
from sbc.sip.errors import ParseError
from sbc.sip.grammar import (
    PARAMS,
    QUOTED,
    TCHARS,
    WSP,
    Params,
    find_param,
    join_params,
    quote,
    replace_param,
    split_commas,
    split_params,
    unquote,
)
from sbc.sip.uri import Uri, parse_uri_untrusted

# Unquoted display names: the grammar's tokens, with the missing space before "<" forgiven
# (RFC 4475 §3.1.1.6) and letters beyond ASCII let in.
# Without "<>" all parameters are the field's, and "," ";" "?" cannot be the URI's (§20.10).
_NAME_ADDR = re.compile(
    rf"(?:({QUOTED}{WSP}|[{TCHARS} \t\x80-\U0010ffff]*+)"
    r'<([^\x00-\x20\x7f<>"]++)>'
    r'|([A-Za-z][A-Za-z0-9+.\-]*+:[^\x00-\x20\x7f<>",;?]++))'
    rf"({PARAMS}){WSP}",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class NameAddr:
    """A display name, a URI and the field's parameters."""

    display: str
    """Without quotes and quoted-pairs; empty when there is none."""
    uri: Uri
    params: Params = ()

    @property
    def tag(self) -> str | None:
        """The tag that makes a dialog identifier."""
        return find_param(self.params, "tag")

    def param(self, name: str) -> str | None:
        """Find a parameter's value as written; None when it is absent or has none."""
        return find_param(self.params, name)

    def with_param(self, name: str, value: str | None) -> "NameAddr":
        """Copy with a parameter set or replaced."""
        return replace(self, params=replace_param(self.params, name, value))

    def __str__(self) -> str:
        display = f"{quote(self.display)} " if self.display else ""
        return f"{display}<{self.uri}>{join_params(self.params)}"


@remembered
def split_name_addr_untrusted(text: str) -> tuple[str, str, str]:
    """Take one value apart without reading its URI.

    Returns:
        The display name as written, the URI's text, the parameters' text.

    Raises:
        ParseError: 400; neither name-addr nor addr-spec.
    """
    match = _NAME_ADDR.fullmatch(text)
    if match is None:
        stop = _NAME_ADDR.match(text)
        raise ParseError("malformed address", 0 if stop is None else stop.end())
    display, bracketed, bare, params = match.groups()
    if bare is not None:
        return "", bare, params
    return display.rstrip(" \t"), bracketed, params


def tag_of(params_text: str) -> str | None:
    """Find the tag in the parameters' text that `split_name_addr_untrusted` returned.

    Raises:
        ParseError: 400; a parameter is there twice.
    """
    if params_text.startswith(";tag=") and params_text.find(";", 5) < 0:
        return params_text[5:].strip(" \t")
    return find_param(split_params(params_text), "tag")


@remembered
def parse_name_addr_untrusted(text: str) -> NameAddr:
    """Read one value, with or without angle brackets.

    Raises:
        ParseError: 400.
    """
    display, uri_text, params = split_name_addr_untrusted(text)
    return NameAddr(
        unquote(display.lstrip(" \t")), parse_uri_untrusted(uri_text), split_params(params)
    )


def parse_name_addrs_untrusted(text: str) -> list[NameAddr]:
    """Read a comma-separated list of values; a blank text is an empty list.

    Raises:
        ParseError: 400.
    """
    return [parse_name_addr_untrusted(element) for element in split_commas(text)]
