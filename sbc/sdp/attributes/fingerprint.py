"""Certificate fingerprints (`a=fingerprint`).

Spec: RFC 8122 §5.
"""

import re
from dataclasses import dataclass

from sbc.sdp.errors import SdpError

_HASH_BYTES = {
    "md2": 16,
    "md5": 16,
    "sha-1": 20,
    "sha-224": 28,
    "sha-256": 32,
    "sha-384": 48,
    "sha-512": 64,
}
_LONGEST_HASH_BYTES = 64
_FINGERPRINT = re.compile(
    r" *([!#$%&'*+\-.0-9A-Z^_`a-z{|}~]{1,32}) +([0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2})*)"
)


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """The hash of a certificate."""

    hash_function: str
    """Lower case, for example ``"sha-256"``; need not be one we know."""
    digest: bytes

    def __str__(self) -> str:
        return f"{self.hash_function} {self.digest.hex(':').upper()}"


def parse_fingerprint_untrusted(value: str) -> Fingerprint:
    """Read the value of `a=fingerprint`.

    Lower-case digits are accepted: RFC 8122 asks for upper case, yet nobody can mistake them and
    some endpoints send them.

    Raises:
        SdpError: 488, when it is malformed or the digest has not the length of its hash.
    """
    match = _FINGERPRINT.fullmatch(value)
    if match is None:
        raise SdpError("a fingerprint needs a hash function and bytes joined by colons", value)
    hash_function = match.group(1).lower()
    digest = bytes.fromhex(match.group(2).replace(":", ""))
    expected = _HASH_BYTES.get(hash_function)
    if len(digest) > _LONGEST_HASH_BYTES or (expected is not None and len(digest) != expected):
        raise SdpError(f"the fingerprint has not the length of a {hash_function} hash", value)
    return Fingerprint(hash_function, digest)
