"""How names of peers are looked up: the section `dns`."""

import re
from typing import Annotated

from pydantic import Field, PlainValidator, WithJsonSchema

from sbc.config.values import parse_address, parse_port
from sbc.document.schema import BadValue, OneOrMany, Section
from sbc.resolver.dns import DnsSettings

_SERVER_EXAMPLE = "for example: 192.0.2.53, 192.0.2.53:5353 or [2001:db8::53]:53"
_SERVER = re.compile(
    r"(?P<plain>[0-9.]+|[0-9a-fA-F:]*:[0-9a-fA-F:]*:[0-9a-fA-F:.]*)"
    r"|(?:(?P<ipv4>[0-9.]+)|\[(?P<ipv6>[0-9a-fA-F:.]+)\])(?::(?P<port>[0-9]+))?"
)
_DNS_PORT = 53

Server = tuple[str, int]


def parse_server(value: object) -> Server:
    """A name server: a numeric address, and a port if it is not 53."""
    match = _SERVER.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise BadValue(f"{value!r} is no address of a name server", _SERVER_EXAMPLE)
    host = parse_address(match["plain"] or match["ipv4"] or match["ipv6"])
    port = match["port"]
    return host, _DNS_PORT if port is None else parse_port(port, _SERVER_EXAMPLE)


ServerText = Annotated[
    Server,
    PlainValidator(parse_server),
    WithJsonSchema({"type": "string", "examples": ["192.0.2.53", "[2001:db8::53]:5353"]}),
]


class DnsSection(Section):
    """How names of peers are looked up: in `/etc/hosts`, then in DNS (NAPTR, SRV, A and AAAA).

    That happens beside the calls, again when an answer's time to live is over (at least 5 seconds,
    at most an hour); a call uses what is known and never waits. While no server answers, the last
    answers are used for three days. Of an address without port and transport NAPTR records decide
    (RFC 3263); where a server cannot answer those, write `;transport=`.
    """

    servers: Annotated[tuple[ServerText, ...], OneOrMany()] = Field(
        default=(),
        description="Name servers, tried in this order; without them those of `/etc/resolv.conf`, "
        "which is read again when it changes.",
        examples=["192.0.2.53"],
    )
    timeout: Annotated[float, Field(ge=0.1, le=30)] = Field(
        default=1.5, description="Seconds for one try at one server.", examples=[1.5]
    )
    attempts: Annotated[int, Field(ge=1, le=10)] = Field(
        default=2, description="Tries at each server.", examples=[2]
    )


def build_dns(section: DnsSection) -> DnsSettings:
    """What the resolver wants to know of the section."""
    return DnsSettings(section.servers, section.timeout, section.attempts)
