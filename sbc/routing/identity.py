"""What an operator says of callers' identities toward one peer, as frozen data.

Spec: RFC 3325 (asserted identity), RFC 3323 (privacy).
"""

from dataclasses import dataclass
from typing import Literal

Presentation = Literal["pai", "ppi", "rpid", "from"]
"""P-Asserted-Identity, P-Preferred-Identity, Remote-Party-ID, or From alone."""
Assertion = Literal["keep", "make", "drop"]
PrivacyCare = Literal["honour", "ignore"]


@dataclass(frozen=True, slots=True)
class IdentityRules:
    """The identity rules of a peer."""

    trust: bool | None = None
    """Whether it is in our trust domain; None for whether its network is trusted."""
    present: Presentation = "pai"
    """How it is told who calls. Headers are for trusted peers only."""
    asserted: Assertion = "keep"
    """What becomes of identities that it asserts. `make`: where it asserts none we do, of a phone
    the user that it registered, of a trusted peer its From."""
    privacy: PrivacyCare = "honour"
    """Whether who wants to be anonymous is so toward it; `ignore` is for emergency services."""


BY_NETWORK = IdentityRules()
"""The rules of a peer that has none, and of a stranger."""
