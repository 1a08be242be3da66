"""What is counted on the way in."""

from dataclasses import dataclass


@dataclass(slots=True)
class Tally:
    """What was counted on the way in; each is a metric."""

    received: int = 0
    dropped_rate: int = 0
    """By a rate limit, a rule of `sources`, a ban or a mute, before parsing."""
    refused_rate: int = 0
    """By a rate limit per user or method, after parsing."""
    malformed: int = 0
    oversize: int = 0
    """Of the malformed, those that were longer than the limits allow."""
    dropped_policy: int = 0
    refused: int = 0
    """Requests answered with a final failure of our own."""
    challenged: int = 0
    """Requests asked for credentials that had none, or whose nonce was too old."""
    unauthenticated: int = 0
    """Requests whose credentials were wrong, or another's."""
    unanswered: int = 0
    """Requests of strangers refused without a word, since they had one in the same second."""
    stray: int = 0
    """Responses and ACKs that nobody waits for."""
    unacknowledged: int = 0
    """Final responses of ours to an INVITE that were never acknowledged."""
    faults: int = 0
    """Errors of ours that ended the handling of one message, deadline or call."""
