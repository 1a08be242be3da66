"""Via: the way a response takes.

Spec: RFC 3261 §20.42, §18.2; RFC 3581 (rport).
"""

import re
from dataclasses import dataclass, replace

from sbc.remembered import remembered
from sbc.sip.errors import ParseError
from sbc.sip.grammar import (
    HOST,
    PARAMS,
    TCHARS,
    WSP,
    Params,
    find_param,
    join_params,
    read_host,
    read_port,
    replace_param,
    split_params,
)

_VIA = re.compile(
    rf"([{TCHARS}]++){WSP}/{WSP}([{TCHARS}]++){WSP}/{WSP}([{TCHARS}]++)[ \t]++"
    rf"({HOST})(?>(?:{WSP}:{WSP}([0-9]++))?)({PARAMS}){WSP}",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Via:
    """One Via value: who sent, over what, and how the answer finds back."""

    transport: str
    """Upper case: ``UDP``, ``TCP``, … or one we never heard of."""
    host: str
    """Lower case; IPv6 without brackets."""
    port: int | None = None
    params: Params = ()
    protocol: str = "SIP/2.0"
    """Protocol name and version; anything else only in messages that are refused."""

    @property
    def branch(self) -> str | None:
        """The transaction identifier; None from RFC 2543 peers."""
        return find_param(self.params, "branch")

    @property
    def received(self) -> str | None:
        """The source address that a server wrote in; IPv6 without brackets (RFC 5118 §4.5)."""
        value = find_param(self.params, "received")
        return None if value is None else value.strip("[]")

    @property
    def rport(self) -> int | None:
        """The source port that a server wrote in; None when absent, empty or no port."""
        value = find_param(self.params, "rport")
        return None if value is None else read_port(value)

    @property
    def has_rport(self) -> bool:
        """Whether rport is there, as a question or answered."""
        return any(name == "rport" for name, _ in self.params)

    def with_param(self, name: str, value: str | None) -> "Via":
        """Copy with a parameter set or replaced."""
        return replace(self, params=replace_param(self.params, name, value))

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port is None else f":{self.port}"
        return f"{self.protocol}/{self.transport} {host}{port}{join_params(self.params)}"


@remembered
def parse_via_untrusted(text: str) -> Via:
    """Read one Via value (not a list).

    Raises:
        ParseError: 400.
    """
    match = _VIA.fullmatch(text)
    if match is None:
        stop = _VIA.match(text)
        raise ParseError("malformed Via", 0 if stop is None else stop.end())
    return _via_of(match)


def salvage_via(text: str) -> Via | None:
    """Read the sound beginning of a malformed Via, to have something to answer by; total."""
    match = _VIA.match(text)
    try:
        return None if match is None else _via_of(match)
    except ParseError:
        return None


def _via_of(match: re.Match[str]) -> Via:
    name, version, transport, host_text, port_text, params = match.groups()
    host = read_host(host_text)
    if host is None:
        raise ParseError("malformed IPv6 address in Via", match.start(4))
    port = None
    if port_text is not None:
        port = read_port(port_text)
        if port is None:
            raise ParseError("port out of range in Via", match.start(5))
    return Via(transport.upper(), host, port, split_params(params), f"{name.upper()}/{version}")
