"""Which attributes belong to ICE, so that none of them crosses the border.

Spec: RFC 8839 §5, RFC 8838 §8 (end-of-candidates). Candidates carry host addresses: one that
slips through undoes topology hiding and lets endpoints send media around the relay.
"""

ICE_ATTRIBUTES = frozenset(
    {
        "candidate",
        "remote-candidates",
        "end-of-candidates",
        "ice-lite",
        "ice-mismatch",
        "ice-options",
        "ice-pacing",
        "ice-pwd",
        "ice-ufrag",
        # Before there was an RFC: X-Lite's address list, and the drafts Microsoft shipped.
        "alt",
        "remote-candidate",
        "cachecandidate",
    }
)
"""Names of ICE attributes, lower case."""


def is_ice_attribute(name: str) -> bool:
    """Whether an attribute is part of ICE, whatever case it is written in.

    Unknown names that start with `ice` count: an extension of ICE is nothing without ICE.
    """
    lower = name.lower()
    return lower in ICE_ATTRIBUTES or lower.startswith(("ice-", "x-ice-", "x-candidate"))
