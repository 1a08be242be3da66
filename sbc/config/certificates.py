"""Certificate, key and authority files: read, judged, and told in words to act on.

What cannot work is refused before a handshake fails because of it.

Spec: RFC 5280 (certificates), RFC 5922 §6 (certificates of SIP domains), RFC 8996 and RFC 9325 §4
(what is too weak).
"""

import re
import stat
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Literal, NamedTuple

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID

from sbc.document.problem import Severity
from sbc.document.reading import why_unreadable
from sbc.routing.tls import Certificate, Trust
from sbc.transport.tls.contexts import why_unusable
from sbc.transport.tls.identities import MALFORMED, asked_names

MAX_PEM_BYTES = 4_194_304
"""Longest file that is read; the authorities of a whole system are a quarter of a megabyte."""
DAY_S = 86_400.0
EXPIRES_SOON_S = 30 * DAY_S
"""How long before its end a certificate is complained about."""

Use = Literal["server", "client"]

_PRIVATE_KEY = re.compile(rb"-----BEGIN ([A-Z0-9 ]*PRIVATE KEY)-----.*?-----END \1-----", re.DOTALL)
_STRONG_RSA_BITS = 2048
_STRONG_EC_BITS = 224
_BROKEN_DIGESTS = frozenset({"md5", "sha1"})
_USAGES = {
    "server": ExtendedKeyUsageOID.SERVER_AUTH,
    "client": ExtendedKeyUsageOID.CLIENT_AUTH,
}
_PEM_HINT = "a PEM file begins with -----BEGIN CERTIFICATE-----"


class Complaint(NamedTuple):
    """What is wrong with a file."""

    what: Literal["certificate", "key", "ca"]
    """Which of the files."""
    message: str
    hint: str = ""
    severity: Severity = Severity.ERROR


class _Unusable(Exception):
    """There is no going on after this complaint."""

    def __init__(self, complaint: Complaint) -> None:
        super().__init__(complaint.message)
        self.complaint = complaint


def read_certificate(
    file: Path, key_file: Path, use: Use, now: float, where: str = ""
) -> tuple[Certificate | None, list[Complaint]]:
    """Read a chain and the key of its first certificate.

    Args:
        use: as whose certificate we show it.
        now: seconds since 1970.

    Returns:
        The certificate, None if it cannot work; and all complaints.
    """
    complaints: list[Complaint] = []
    try:
        chain = _read_chain(file)
        key = _read_key(key_file, complaints)
        _check_pair(chain, key, key_file)
        complaints += _check_validity(chain, now)
        complaints += _check_strength(chain, key)
        complaints += _check_use(chain[0], use)
        complaints += _check_order(chain)
        names = asked_names(chain[0])
    except _Unusable as error:
        return None, [*complaints, error.complaint]
    except MALFORMED as error:
        return None, [*complaints, Complaint("certificate", f"{file}: malformed: {error}")]
    if any(complaint.severity is Severity.ERROR for complaint in complaints):
        return None, complaints
    certificate = Certificate(
        file=str(file),
        key_file=str(key_file),
        names=names,
        expires_at=chain[0].not_valid_after_utc.timestamp(),
        fingerprint=_fingerprint(chain),
        chain=b"".join(one.public_bytes(Encoding.PEM) for one in chain),
        key=key.private_bytes(
            Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
        where=where,
    )
    why = why_unusable(certificate)
    if why is not None:
        return None, [*complaints, Complaint("certificate", f"{file}: OpenSSL refuses it: {why}")]
    return certificate, complaints


def read_trust(file: Path, now: float) -> tuple[Trust | None, list[Complaint]]:
    """Read a file of authorities; None if it cannot work."""
    try:
        authorities = _certificates(_read(file, "ca"), file, "ca")
        ended = [one for one in authorities if one.not_valid_after_utc.timestamp() <= now]
    except _Unusable as error:
        return None, [error.complaint]
    except MALFORMED as error:
        return None, [Complaint("ca", f"{file}: malformed: {error}")]
    if len(ended) == len(authorities):
        return None, [
            Complaint("ca", f"{file}: every authority in it has expired", "get a newer file")
        ]
    pem = b"".join(one.public_bytes(Encoding.PEM) for one in authorities)
    return Trust(str(file), _fingerprint(authorities), pem), []


def date_of(seconds: float) -> str:
    """A day, as people write it: ``2026-03-01``."""
    return datetime.fromtimestamp(seconds, UTC).date().isoformat()


PrivateKey = (
    rsa.RSAPrivateKey
    | ec.EllipticCurvePrivateKey
    | ed25519.Ed25519PrivateKey
    | ed448.Ed448PrivateKey
)


def _read(file: Path, what: Literal["certificate", "key", "ca"]) -> bytes:
    try:
        if not stat.S_ISREG(file.stat().st_mode):
            raise _Unusable(Complaint(what, f"{file}: is no file"))
        with file.open("rb") as opened:
            data = opened.read(MAX_PEM_BYTES + 1)
    except (OSError, ValueError) as error:
        why = why_unreadable(error)
        hint = "the user that runs the SBC must be able to read it" if "permission" in why else ""
        raise _Unusable(Complaint(what, f"{file}: cannot be read: {why}", hint)) from None
    if len(data) > MAX_PEM_BYTES:
        raise _Unusable(Complaint(what, f"{file}: longer than {MAX_PEM_BYTES} bytes"))
    return data


def _read_chain(file: Path) -> list[x509.Certificate]:
    return _certificates(_read(file, "certificate"), file, "certificate")


def _certificates(
    data: bytes, file: Path, what: Literal["certificate", "ca"]
) -> list[x509.Certificate]:
    if b"-----BEGIN CERTIFICATE-----" not in data:
        hint = _PEM_HINT
        if data[:1] == b"\x30":
            hint = f"it looks like DER: openssl x509 -inform der -in {file} -out {file}.pem"
        raise _Unusable(Complaint(what, f"{file}: holds no certificate in PEM", hint))
    try:
        return x509.load_pem_x509_certificates(data)
    except MALFORMED as error:
        raise _Unusable(Complaint(what, f"{file}: not valid PEM: {error}", _PEM_HINT)) from None


def _read_key(file: Path, complaints: list[Complaint]) -> PrivateKey:
    found = _PRIVATE_KEY.search(_read(file, "key"))
    if found is None:
        hint = "a PEM file begins with -----BEGIN PRIVATE KEY-----"
        raise _Unusable(Complaint("key", f"{file}: holds no private key in PEM", hint))
    try:
        # Proving an RSA key's primes would stop every thread for 60 ms, in a running border too;
        # the key is compared with its certificate, and OpenSSL looks at both.
        key = serialization.load_pem_private_key(
            found[0], None, unsafe_skip_rsa_key_validation=True
        )
    except TypeError:
        raise _Unusable(
            Complaint(
                "key",
                f"{file}: the key is encrypted, and nobody is there to type its password",
                f"openssl pkey -in {file} -out NEW.key, readable by the user of the SBC alone",
            )
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise _Unusable(Complaint("key", f"{file}: the private key is malformed")) from None
    if not isinstance(key, PrivateKey):
        raise _Unusable(
            Complaint("key", f"{file}: TLS has no use for this kind of key", "use RSA or ECDSA")
        )
    if file.stat().st_mode & stat.S_IRWXO:
        complaints.append(
            Complaint(
                "key",
                f"{file}: everybody on this machine may read the private key",
                f"chmod o= {file}",
                Severity.WARNING,
            )
        )
    return key


def _check_pair(chain: Sequence[x509.Certificate], key: PrivateKey, key_file: Path) -> None:
    ours = _public(key.public_key())
    matches = [number for number, one in enumerate(chain, 1) if _public(one.public_key()) == ours]
    if matches[:1] == [1]:
        return
    if matches:
        raise _Unusable(
            Complaint(
                "certificate",
                f"the certificate of the key is number {matches[0]} in the file",
                "put it first, and after each certificate the one of who issued it",
            )
        )
    raise _Unusable(
        Complaint("key", f"{key_file}: this key does not belong to the certificate", "")
    )


def _public(key: PublicKeyTypes) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _check_validity(chain: Sequence[x509.Certificate], now: float) -> Iterator[Complaint]:
    starts = chain[0].not_valid_before_utc.timestamp()
    ends = chain[0].not_valid_after_utc.timestamp()
    if ends <= now:
        yield Complaint("certificate", f"it expired on {date_of(ends)}", "renew it")
    elif starts > now:
        yield Complaint(
            "certificate",
            f"it is not valid before {date_of(starts)}",
            "use an older one until then, or set this machine's clock",
        )
    elif ends <= now + EXPIRES_SOON_S:
        days = int((ends - now) // DAY_S)
        yield Complaint(
            "certificate",
            f"it expires on {date_of(ends)}, in {days} {'day' if days == 1 else 'days'}",
            "renew it",
            Severity.WARNING,
        )
    for number, one in enumerate(chain[1:], 2):
        if one.not_valid_after_utc.timestamp() <= now:
            yield Complaint(
                "certificate",
                f"certificate number {number} in the file expired on "
                f"{date_of(one.not_valid_after_utc.timestamp())}",
                "get the issuer's current chain",
                Severity.WARNING,
            )


def _check_strength(chain: Sequence[x509.Certificate], key: PrivateKey) -> Iterator[Complaint]:
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size < _STRONG_RSA_BITS:
        yield Complaint(
            "key",
            f"an RSA key of {key.key_size} bits is too weak",
            f"{_STRONG_RSA_BITS} bits at least, or ECDSA",
        )
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.key_size < _STRONG_EC_BITS:
        yield Complaint("key", f"a curve of {key.key_size} bits is too weak", "use P-256")
    for number, one in enumerate(chain, 1):
        digest = one.signature_hash_algorithm
        if one.issuer != one.subject and digest is not None and digest.name in _BROKEN_DIGESTS:
            yield Complaint(
                "certificate",
                f"certificate number {number} in the file is signed with {digest.name.upper()}, "
                "which no peer believes",
                "let it be issued again with SHA-256",
            )


def _check_use(certificate: x509.Certificate, use: Use) -> Iterator[Complaint]:
    try:
        usages = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return
    if _USAGES[use] in usages or ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE in usages:
        return
    if use == "server":
        yield Complaint(
            "certificate",
            "its extended key usage does not let it be a server's, so clients refuse it",
            "let it be issued for serverAuth",
        )
    else:
        yield Complaint(
            "certificate",
            "its extended key usage does not let it be a client's, so most servers refuse it",
            "let it be issued for clientAuth, or ask the peer whether it looks",
            Severity.WARNING,
        )


def _check_order(chain: Sequence[x509.Certificate]) -> Iterator[Complaint]:
    for number, (one, above) in enumerate(pairwise(chain), 1):
        if not _issued_by(one, above):
            yield Complaint(
                "certificate",
                f"certificate number {number} in the file was not issued by number {number + 1}",
                "after each certificate comes the one of who issued it; some peers insist",
                Severity.WARNING,
            )
            return
    if len(chain) == 1 and chain[0].issuer != chain[0].subject and _names_its_issuer(chain[0]):
        yield Complaint(
            "certificate",
            "the file holds the certificate alone, without those between it and its root",
            "append them (often called chain.pem, or use fullchain.pem): most peers need them",
            Severity.WARNING,
        )


def _issued_by(certificate: x509.Certificate, above: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(above)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _names_its_issuer(certificate: x509.Certificate) -> bool:
    """Whether it says where the issuer's certificate is fetched, as those of public CAs do."""
    try:
        access = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess)
    except x509.ExtensionNotFound:
        return False
    wanted = AuthorityInformationAccessOID.CA_ISSUERS
    return any(one.access_method == wanted for one in access.value)


def _fingerprint(chain: Sequence[x509.Certificate]) -> str:
    return sha256(b"".join(one.public_bytes(Encoding.DER) for one in chain)).hexdigest()
