"""Addresses and prefixes as policies write them."""

from ipaddress import ip_network
from typing import Annotated

from pydantic import PlainValidator, WithJsonSchema

from sbc.document.schema import BadValue
from sbc.prefixes import IpNetwork


def parse_prefix(value: object) -> IpNetwork:
    """``192.0.2.0/24``, or a single address.

    Raises:
        BadValue: it is neither, or has bits behind the prefix.
    """
    if not isinstance(value, str):
        raise BadValue("expected an address or a prefix", "for example: 192.0.2.0/24")
    if "%" in value:
        raise BadValue(f"{value!r} has a zone, which no source is known by", "leave out the %")
    try:
        return ip_network(value)
    except ValueError:
        pass
    try:
        wide = ip_network(value, strict=False)
    except ValueError:
        raise BadValue(
            f"{value!r} is neither an address nor a prefix", "for example: 192.0.2.0/24"
        ) from None
    raise BadValue(f"{value} has bits set behind its prefix length", f"did you mean {wide}?")


Prefix = Annotated[
    IpNetwork,
    PlainValidator(parse_prefix),
    WithJsonSchema({"type": "string", "examples": ["192.0.2.0/24"]}),
]
