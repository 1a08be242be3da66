"""Where RTCP goes when it is not the next port (`a=rtcp`), or the same (`a=rtcp-mux`).

Spec: RFC 3605 §2.1, RFC 5761 §5.1.
"""

from dataclasses import dataclass

from sbc.sdp.connection import Connection, parse_connection_untrusted
from sbc.sdp.errors import SdpError

RTCP = "rtcp"
RTCP_MUX = "rtcp-mux"


@dataclass(frozen=True, slots=True)
class RtcpAddress:
    """The value of `a=rtcp`."""

    port: int
    connection: Connection | None = None
    """None: the address of the media itself."""

    def __str__(self) -> str:
        return str(self.port) if self.connection is None else f"{self.port} {self.connection}"


def parse_rtcp_untrusted(value: str) -> RtcpAddress:
    """Read the value of `a=rtcp`.

    Raises:
        SdpError: 488, when the port or the address is malformed.
    """
    port_text, _, address = value.strip().partition(" ")
    if not (port_text.isascii() and port_text.isdigit() and len(port_text) <= 5):
        raise SdpError("the RTCP port is no number", value)
    port = int(port_text)
    if port > 65535:
        raise SdpError("the RTCP port is above 65535", value)
    if not address.strip():
        return RtcpAddress(port)
    try:
        return RtcpAddress(port, parse_connection_untrusted(address))
    except SdpError as error:
        raise SdpError(error.reason, value) from None
