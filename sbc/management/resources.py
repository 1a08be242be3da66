"""What the process takes of its machine: descriptors, and when it looks for garbage."""

import gc
import resource

from sbc.management.log import Log


def raise_descriptor_limit(log: Log) -> None:
    """Take as many descriptors as we may: a call needs six, and 1024 is the usual soft limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (OSError, ValueError) as error:
            log.warning("descriptors", limit=soft, why=str(error))


def settle_garbage_collector() -> None:
    """Collect young objects rarely and old ones hardly ever.

    A call is a few hundred objects that live as long as it does, and leaves no cycles; to walk
    through all calls for nothing stops everything for longer than a retransmission takes. What is
    alive at the start is never garbage at all.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 1000)
