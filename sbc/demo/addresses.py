"""Reading ``host:port`` from a command line."""

import argparse
from ipaddress import ip_address

from sbc.sip.flow import Address


def parse_address(text: str) -> Address:
    """Read ``127.0.0.1:5060`` or ``[::1]:5060``.

    Raises:
        argparse.ArgumentTypeError: it is neither.
    """
    host, colon, port = text.rpartition(":")
    bare = host.removeprefix("[").removesuffix("]")
    try:
        numeric = ip_address(bare).compressed
    except ValueError:
        numeric = ""
    if not colon or not numeric or not port.isdigit() or int(port) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not ADDRESS:PORT")
    return numeric, int(port)
