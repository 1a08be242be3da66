"""What a registrar granted, and to which REGISTER: all that a refresh may be answered from.

We cannot check a password, so we answer only what the registrar would not be asked anew by: the
same phone, over the same flow, saying the same again within a life that was granted. Credentials
must be none, or a continuation of those that were accepted for this very binding. Whatever else
comes goes to the registrar. A phone whose password changed while its nonce did not may thus hear
us once or twice more, but never beyond half of what was granted.

Spec: RFC 3261 §10.2.4, RFC 7616 §3.4 (nc).
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2s
from typing import NamedTuple, Self, cast

from sbc.sip.digest import parse_credentials_untrusted
from sbc.sip.errors import ParseError
from sbc.sip.fields.name_addr import NameAddr
from sbc.sip.grammar import Params, join_params
from sbc.sip.message import Request

ENOUGH = 0.5
"""Share of a granted life that must be left for a refresh to be answered by us: with less, the
phone's own REGISTER renews it in time."""

_HEADERS = ("authorization", "proxy-authorization")
_MOST_PROOFS = 4


class Proof(NamedTuple):
    """One value of Authorization or Proxy-Authorization, without what proves a password."""

    header: str
    identity: str
    """A digest of user, realm, nonce, URI and algorithm."""
    uses: int
    """How often the nonce was used; 0 where that is not counted."""
    whole: str
    """A digest of the value as it was."""

    def continues(self, before: "Proof") -> bool:
        """Whether this may come from who made the other: the very same, or the next use."""
        if (self.header, self.identity) != (before.header, before.identity):
            return False
        return self.whole == before.whole or self.uses > before.uses > 0


def proofs_of(request: Request) -> tuple[Proof, ...] | None:
    """The credentials of a REGISTER; None when they cannot be read, or are too many."""
    values = [(name, value) for name in _HEADERS for value in request.headers.all(name)]
    if len(values) > _MOST_PROOFS:
        return None
    with suppress(ParseError):
        return tuple(_proof(name, value) for name, value in values)
    return None


def _proof(header: str, value: str) -> Proof:
    one = parse_credentials_untrusted(value)
    identity = (one.username, one.realm, one.nonce, one.uri, one.algorithm, one.qop, one.opaque)
    return Proof(header, _digest(*identity), one.count, _digest(value))


def _digest(*parts: str) -> str:
    text = "\0".join(parts).encode("utf-8", "surrogateescape")
    return blake2s(text, digest_size=16).hexdigest()


@dataclass(slots=True)
class Credit:
    """What was granted for one binding."""

    until: float
    """When the registrar forgets the contact."""
    granted_s: int
    call_id: str
    cseq: int
    """The highest that we have answered for."""
    asked: str
    """A digest of the contact's parameters besides expires."""
    told: Params
    """The registrar's parameters for it that the phone is told, besides expires."""
    proofs: tuple[Proof, ...]
    doubtful: bool = False
    """Whether the registrar may have changed its mind, since something said to it of this user
    was never answered: then it is asked, if it can be."""

    def covers(self, request: Request, contact: NameAddr, now: float) -> bool:
        """Whether a REGISTER says the same again, within the life that was granted."""
        if self.until <= now + 1 or self.call_id != request.call_id:
            return False
        if request.cseq.number <= self.cseq or self.asked != asked_besides_expires(contact):
            return False
        return self._continued_by(proofs_of(request))

    def has_enough(self, now: float) -> bool:
        """Whether so much is left that the registrar need not be asked."""
        return not self.doubtful and self.until - now > self.granted_s * ENOUGH

    def use(self, request: Request) -> None:
        """A REGISTER that is covered was answered: only later ones are, from now on."""
        self.cseq = request.cseq.number
        self.proofs = proofs_of(request) or self.proofs

    def _continued_by(self, proofs: tuple[Proof, ...] | None) -> bool:
        if not proofs:
            return proofs is not None
        return len(proofs) == len(self.proofs) and all(
            after.continues(before) for after, before in zip(proofs, self.proofs, strict=True)
        )

    def to_data(self, now: float) -> dict[str, object]:
        """As plain data that JSON can carry; the life as seconds left at `now`."""
        return {
            "in_s": self.until - now,
            "granted_s": self.granted_s,
            "call_id": self.call_id,
            "cseq": self.cseq,
            "asked": self.asked,
            "told": [list(one) for one in self.told],
            "proofs": [list(proof) for proof in self.proofs],
            "doubtful": self.doubtful,
        }

    @classmethod
    def from_data(cls, data: Mapping[str, object], now: float) -> Self:
        """What `to_data` exported.

        Raises:
            KeyError, TypeError, ValueError: the data is no such export.
        """
        told = cast("list[tuple[str, str | None]]", data["told"])
        proofs = cast("list[tuple[str, str, int, str]]", data["proofs"])
        return cls(
            until=now + float(str(data["in_s"])),
            granted_s=int(str(data["granted_s"])),
            call_id=str(data["call_id"]),
            cseq=int(str(data["cseq"])),
            asked=str(data["asked"]),
            told=tuple((str(name), value) for name, value in told),
            proofs=tuple(Proof(*proof) for proof in proofs),
            doubtful=bool(data["doubtful"]),
        )


def asked_besides_expires(contact: NameAddr) -> str:
    """A digest of the parameters of a phone's contact, but for how long it wants to be kept."""
    return _digest(join_params(tuple(one for one in contact.params if one[0] != "expires")))
