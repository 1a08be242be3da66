"""The real nft inside of a host."""

from sbc.firewall.nft import Nft
from tests.kit.hosts import Host


def nft_of(host: Host) -> Nft:
    """The real one, in a namespace."""
    # Not by way of Host.command: what that starts dies with the thread that started it.
    return Nft("nsenter", f"--net={host.namespace}", "--")
