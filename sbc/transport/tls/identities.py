"""What a certificate proves about whoever has its key.

Spec: RFC 5922 §7.1, §7.2 (SIP domain identities), RFC 2818 §3.1 (numeric addresses), RFC 7469 §2.4
(pins).
"""

import re
from base64 import b64encode
from collections.abc import Iterator
from hashlib import sha256
from typing import NamedTuple

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from sbc.prefixes import is_numeric
from sbc.sip.errors import ParseError
from sbc.sip.uri import parse_uri_untrusted

MAX_NAMES = 100
"""Names of one certificate that are looked at: carriers with many domains have some dozens."""

_DNS_NAME = re.compile(r"(?:\*\.)?[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})+")
MALFORMED = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
"""What cryptography raises for certificates that it cannot read."""


class Proof(NamedTuple):
    """What a certificate proves, once the handshake has proved that its owner has the key."""

    names: tuple[str, ...]
    """SIP domain identities and numeric addresses, lower case, each once."""
    pin: str
    """SHA-256 of the public key, base64."""


def read_proof_untrusted(der: bytes) -> Proof:
    """What the certificate of a stranger proves.

    Raises:
        ParseError: it is malformed, or of a kind that nobody knows.
    """
    try:
        certificate = x509.load_der_x509_certificate(der)
        return Proof(identities(certificate), pin_of(certificate))
    except MALFORMED:
        raise ParseError("malformed certificate") from None


def identities(certificate: x509.Certificate) -> tuple[str, ...]:
    """The SIP domains that a certificate is for, and the numeric addresses.

    A wildcard is an identity of its own, equal to nothing but itself (RFC 5922 §7.2).

    Raises:
        ValueError and others: the certificate is malformed.
    """
    names = _alternative_names(certificate)
    if names is None:
        return tuple(_common_names(certificate))
    domains = list(_uri_domains(names)) or list(_dns_names(names))
    return tuple(dict.fromkeys([*domains, *_addresses(names)]))[:MAX_NAMES]


def asked_names(certificate: x509.Certificate) -> tuple[str, ...]:
    """Every name that a client may ask for (SNI) when it wants to see this certificate.

    Raises:
        ValueError and others: the certificate is malformed.
    """
    names = _alternative_names(certificate)
    if names is None:
        return tuple(_common_names(certificate))
    found = [*_uri_domains(names), *_dns_names(names), *_addresses(names)]
    return tuple(dict.fromkeys(found))[:MAX_NAMES]


def pin_of(certificate: x509.Certificate) -> str:
    """SHA-256 of the public key (SubjectPublicKeyInfo), base64."""
    key = certificate.public_key()
    public = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return b64encode(sha256(public).digest()).decode()


def _alternative_names(certificate: x509.Certificate) -> x509.SubjectAlternativeName | None:
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return None


def _uri_domains(names: x509.SubjectAlternativeName) -> Iterator[str]:
    """Hosts of the URIs that name a domain: of scheme sip and without a user."""
    for text in names.get_values_for_type(x509.UniformResourceIdentifier):
        try:
            uri = parse_uri_untrusted(text)
        except ParseError:
            continue
        if uri.scheme == "sip" and "@" not in text and uri.host:
            yield uri.host.lower().removesuffix(".")


def _dns_names(names: x509.SubjectAlternativeName) -> Iterator[str]:
    for text in names.get_values_for_type(x509.DNSName):
        name = text.lower().removesuffix(".")
        if not is_numeric(name):
            yield name


def _addresses(names: x509.SubjectAlternativeName) -> Iterator[str]:
    for address in names.get_values_for_type(x509.IPAddress):
        yield str(address)


def _common_names(certificate: x509.Certificate) -> Iterator[str]:
    """The common name where it is a DNS name, for certificates older than the extension."""
    found = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    for attribute in found[-1:]:
        name = str(attribute.value).lower().removesuffix(".")
        if _DNS_NAME.fullmatch(name) and not is_numeric(name):
            yield name
