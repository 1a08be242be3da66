"""Which headers rules may not touch, and what would be right in their place."""

from typing import Final

from sbc.policy.facts import SECRET
from sbc.policy.manipulation_parts import HeaderPart

_ENDS: Final = frozenset({"from", "to"})
_END_PARTS: Final = frozenset({"display", "uri.user", "uri.host"})

_IDENTITIES: Final = frozenset(
    {"p-asserted-identity", "p-preferred-identity", "remote-party-id", "privacy"}
)

_TRUST = "write what the peer is told in its `identity`"
_TRANSACTION = "it ties answers to requests; leave it"
_DIALOG = "it ties the messages of a call together; leave it"
_ROUTING = "it says where messages go; write a route, or the peer's address and domain"
_BODY = "it says how the body is read; leave it"
_EXTENSIONS = (
    "it says which extensions are agreed on; use the peer's `repair` for what it does wrong"
)
_PROOF = "it proves who sends; write the peer's `authentication`"

PROTECTED: Final[dict[str, str]] = {
    **dict.fromkeys(("via", "cseq", "timestamp"), _TRANSACTION),
    **dict.fromkeys(
        ("call-id", "contact", "replaces", "join", "target-dialog", "event", "subscription-state",
         "rack", "rseq", "session-id"),
        _DIALOG,
    ),
    **dict.fromkeys(("route", "record-route", "path", "service-route", "max-forwards"), _ROUTING),
    **dict.fromkeys(
        ("content-length", "content-type", "content-encoding", "content-disposition",
         "mime-version"),
        _BODY,
    ),
    **dict.fromkeys(("require", "proxy-require", "supported", "unsupported"), _EXTENSIONS),
    **dict.fromkeys(SECRET, _PROOF),
}  # fmt: skip
"""By lookup key, what to do instead."""


def objection(part: HeaderPart, verb: str) -> tuple[str, str] | None:
    """Why an operation may not touch a header, and what would be right; None if it may."""
    if part.key in PROTECTED:
        return f"{part.name} is not for rules to change", PROTECTED[part.key]
    if verb == "pass" and part.key in _IDENTITIES:
        return f"{part.name} says who calls, whatever privacy was asked for", _TRUST
    if part.key not in _ENDS:
        return None
    if part.part not in _END_PARTS or verb in ("add", "rename", "pass"):
        right = ", ".join(f"{part.name}.{one}" for one in sorted(_END_PARTS))
        return f"{part} is part of the dialog", f"change {right}"
    return None
