"""Texts that stand for something: listeners, port ranges, targets, addresses, patterns.

Every parser here raises `BadValue` and nothing else, whatever it is given.
"""

import re
from dataclasses import dataclass
from ipaddress import ip_address

from sbc.document.schema import BadValue
from sbc.routing.model import Target, TargetTransport
from sbc.routing.patterns import parse_number_pattern
from sbc.sip.flow import Transport

NAME_PATTERN = r"^[A-Za-z][A-Za-z0-9_-]{0,62}$"
AGENT_PATTERN = r"^[\x20-\x7e]{0,128}$"

_ZONE = re.compile(r"[A-Za-z0-9_.-]{1,15}")
"""Of an address of one link: the name of an interface (RFC 4007 §11)."""
_HOST_NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?:\.(?!-)[a-z0-9_-]{1,63})*\.?")
_TARGET = re.compile(
    r"(?:\[(?P<ipv6>[^\[\]]+)\]|(?P<host>[^\[\]:;]+))(?::(?P<port>[^;:]+))?(?P<params>;.*)?"
)
_URI = re.compile(r"(?i)sips?:")
_TARGET_PARAMETERS: dict[str, TargetTransport] = {
    "transport=udp": "udp",
    "transport=tcp": "tcp",
    "transport=tls": "tls",
}
TARGET_EXAMPLE = (
    "for example: pbx.example.com, 192.0.2.10:5060 or [2001:db8::10]:5061;transport=tcp"
)
LISTEN_EXAMPLE = "for example: udp/5060 or tls/5061"
TRANSPORTS: tuple[Transport, ...] = ("udp", "tcp", "tls", "ws", "wss")
PORTS_EXAMPLE = "for example: 30000-39999"


@dataclass(frozen=True, slots=True)
class Listen:
    """A transport and a port to listen on."""

    transport: Transport
    port: int

    def __str__(self) -> str:
        return f"{self.transport}/{self.port}"


@dataclass(frozen=True, slots=True)
class PortRange:
    """Ports from `low` to `high`, both included."""

    low: int
    high: int

    def __str__(self) -> str:
        return f"{self.low}-{self.high}"


def parse_port(text: str, example: str) -> int:
    """A port number from 1 to 65535."""
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and 1 <= int(text) <= 65535):
        raise BadValue(f"{text!r} is no port from 1 to 65535", example)
    return int(text)


def parse_listen(value: object) -> Listen:
    """``udp/5060``, ``tcp/5060``, ``tls/5061``, ``ws/80`` or ``wss/443``."""
    word, slash, port = _text(value, LISTEN_EXAMPLE).partition("/")
    if not slash:
        raise BadValue(f"{value!r} is no transport and port", LISTEN_EXAMPLE)
    for transport in TRANSPORTS:
        if word == transport:
            return Listen(transport, parse_port(port, LISTEN_EXAMPLE))
    wanted = ", ".join(TRANSPORTS)
    raise BadValue(f"there is no transport {word!r} to listen on", f"one of: {wanted}")


def parse_port_range(value: object) -> PortRange:
    """``30000-39999``."""
    low_text, dash, high_text = _text(value, PORTS_EXAMPLE).partition("-")
    if not dash:
        raise BadValue(f"{value!r} is no range of ports", PORTS_EXAMPLE)
    low, high = (parse_port(part.strip(), PORTS_EXAMPLE) for part in (low_text, high_text))
    if low > high:
        raise BadValue("the range runs backwards", f"write {high}-{low}")
    if low < 1024:
        raise BadValue("ports below 1024 are not for media", PORTS_EXAMPLE)
    if high - low < 3:
        raise BadValue(
            "the range is too small for one call",
            "four ports a call: two for each side's RTP, RTCP",
        )
    return PortRange(low, high)


def parse_target(value: object) -> Target:
    """``host[:port][;transport=udp|tcp|tls]``, IPv6 in brackets."""
    text = _text(value, TARGET_EXAMPLE)
    if (uri := _URI.match(text)) is not None:
        raise BadValue(
            f"{text!r} is a URI, and only host, port and transport are wanted",
            TARGET_EXAMPLE if "@" in text else f"write {text[uri.end() :]}",
        )
    if text.count(":") > 1 and "[" not in text:
        raise BadValue(f"{text!r}: IPv6 is written in brackets", TARGET_EXAMPLE)
    match = _TARGET.fullmatch(text)
    if match is None:
        raise BadValue(f"{text!r} is no address", TARGET_EXAMPLE)
    if match["ipv6"] is not None:
        host = parse_address(match["ipv6"])
        if ":" not in host:
            raise BadValue(f"{host} in brackets is not IPv6", TARGET_EXAMPLE)
    else:
        host = parse_host(match["host"])
    port = None if match["port"] is None else parse_port(match["port"], TARGET_EXAMPLE)
    parameters = (match["params"] or "")[1:].lower()
    transport = _TARGET_PARAMETERS.get(parameters)
    if parameters and transport is None:
        wanted = ", ".join(_TARGET_PARAMETERS)
        raise BadValue(f"{parameters!r} is not understood", f"one of: {wanted}")
    return Target(host, port, transport)


def parse_host(value: object) -> str:
    """A numeric address or a host name, in lower case."""
    text = _text(value, "for example: 192.0.2.1 or sbc.example.com").lower()
    try:
        return parse_address(text)
    except BadValue:
        looks_numeric = re.fullmatch(r"[0-9.]+", text) is not None
        if looks_numeric or not _HOST_NAME.fullmatch(text) or len(text) > 253:
            raise BadValue(
                f"{text!r} is neither an address nor a host name",
                "for example: 192.0.2.1 or sbc.example.com",
            ) from None
        return text.removesuffix(".")


def parse_address(value: object) -> str:
    """A numeric address, in its usual spelling."""
    text = _text(value, "for example: 192.0.2.1 or 2001:db8::1")
    try:
        address = ip_address(text)
    except ValueError:
        raise BadValue(
            f"{text!r} is no numeric address", "for example: 192.0.2.1 or 2001:db8::1"
        ) from None
    if address.is_multicast:
        raise BadValue(f"{text} is a multicast address", "write an address of one machine")
    if "%" in text and not _ZONE.fullmatch(text.partition("%")[2]):
        raise BadValue(f"{text!r} has a zone that is no interface", "for example: fe80::1%eth0")
    return str(address)


def parse_domain(value: object) -> str:
    """A SIP domain: a host name or a numeric address."""
    return parse_host(value)


def parse_domain_pattern(value: object) -> str:
    """``example.com``, or ``*.example.com`` for everything below it."""
    text = _text(value, "for example: example.com or *.example.com")
    if text.startswith("*."):
        return "*." + parse_host(text[2:])
    return parse_host(text)


def check_name(text: str) -> str:
    """The name of a network or peer."""
    if not re.fullmatch(NAME_PATTERN, text):
        raise BadValue(
            f"{text[:60]!r} is no name", "a letter, then letters, digits, - and _; 63 at most"
        )
    return text


def check_agent(text: str) -> str:
    """The value of User-Agent."""
    if not re.fullmatch(AGENT_PATTERN, text):
        raise BadValue(
            "it has characters that no header may have", "128 printable ASCII characters"
        )
    return text


def parse_number(value: object) -> str:
    """A number pattern; stays text, since the routing table compiles it."""
    text = _text(value, "for example: 600, +49* or 600-699")
    try:
        parse_number_pattern(text)
    except ValueError as error:
        raise BadValue(str(error), "for example: 600, +49* or 600-699") from None
    return text


def _text(value: object, example: str) -> str:
    if not isinstance(value, str):
        found = "nothing" if value is None else "a list or mapping"
        raise BadValue(f"expected a text, found {found}", example)
    return value.strip()
