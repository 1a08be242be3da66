"""What an operator can do about a process that does not start."""

import os

from sbc.firewall.nftables import FirewallUnusable
from sbc.management.control import ControlUnusable
from sbc.state.database import StoreDamaged, StoreUnusable


def advice(error: BaseException, file: str) -> str | None:
    """What helps; None where the error says it.

    Args:
        file: the configuration.
    """
    if isinstance(error, StoreDamaged):
        return "move that file away, and those beside it whose names go on: a new one is begun"
    if isinstance(error, FirewallUnusable):
        return f"let `firewall` in {file} say `nftables: auto` to do without, or mend that"
    if isinstance(error, StoreUnusable):
        key, wanted = "state_dir", "a directory"
    elif isinstance(error, ControlUnusable):
        key, wanted = "control_socket", "a path in a directory"
    else:
        return None
    return (
        f"let the key `{key}` in {file} name {wanted} that the user of this process"
        f" (uid {os.geteuid()}) may write to"
    )
