"""Home routers: hosts that translate addresses the way real ones do.

Spec: RFC 4787 (mapping and filtering behaviour; the kinds here are its "endpoint-independent
mapping" and "address and port-dependent mapping", both with address and port-dependent filtering).
"""

from enum import Enum

from tests.kit.hosts import Host

INSIDE = "inside"
"""Interface name of the private side of a router."""
OUTSIDE = "outside"
"""Interface name of the public side of a router."""


class NatKind(Enum):
    """How a router picks the public port of a private one."""

    PORT_RESTRICTED = "masquerade persistent"
    """The same public port towards everybody, kept equal to the private one if it is free."""
    SYMMETRIC = "masquerade fully-random"
    """Another public port for every destination."""


# Unsolicited packets are dropped at `input`, before connection tracking confirms an entry for
# them: such an entry would occupy the public port and a later flow would be mapped elsewhere.
_RULES = """
table ip router {{
  chain translate {{
    type nat hook postrouting priority srcnat; policy accept;
    oifname "{outside}" {translation}
  }}
  chain forwarded {{
    type filter hook forward priority filter; policy drop;
    ct state established,related accept
    iifname "{inside}" accept
  }}
  chain received {{
    type filter hook input priority filter; policy accept;
    iifname "{outside}" ct state established,related accept
    iifname "{outside}" drop
  }}
}}
"""


def make_router(host: Host, kind: NatKind, *, pinhole_s: int = 30) -> None:
    """Turn a host with interfaces `INSIDE` and `OUTSIDE` into a NAT router.

    `pinhole_s` is how long a UDP mapping lives without a packet, answered or not.
    """
    host.set_kernel("net/ipv4/ip_forward", 1)
    rules = _RULES.format(inside=INSIDE, outside=OUTSIDE, translation=kind.value)
    host.run("nft", "-f", "-", text=rules)
    for timeout in ("udp_timeout", "udp_timeout_stream"):
        host.set_kernel(f"net/netfilter/nf_conntrack_{timeout}", pinhole_s)
