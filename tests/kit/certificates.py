"""Certificates of a small authority, made in the test: good ones, and each kind of bad one.

Validity is a fixed span of years, so that OpenSSL, which looks at the real clock, finds the same in
every run.
"""

import base64
import hashlib
import ssl
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

STARTS = datetime(2020, 1, 1, tzinfo=UTC)
ENDS = datetime(2090, 1, 1, tzinfo=UTC)
LONG_AGO = datetime(2021, 1, 1, tzinfo=UTC)
"""As `ends`: expired."""
FAR_AHEAD = datetime(2089, 1, 1, tzinfo=UTC)
"""As `starts`: not yet valid."""

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
USAGES = {"server": ExtendedKeyUsageOID.SERVER_AUTH, "client": ExtendedKeyUsageOID.CLIENT_AUTH}


class Files(NamedTuple):
    """Where an identity was written."""

    certificate: Path
    key: Path


@dataclass(frozen=True)
class Identity:
    """A private key, its certificate, and the certificates above it up to below the root."""

    key: PrivateKey
    certificate: x509.Certificate
    above: tuple[x509.Certificate, ...] = ()

    @property
    def chain_pem(self) -> bytes:
        """The certificate and what is above it, in the order that TLS wants."""
        return b"".join(pem(one) for one in (self.certificate, *self.above))

    @property
    def pin(self) -> str:
        """SHA-256 of the public key, base64."""
        public = self.certificate.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return base64.b64encode(hashlib.sha256(public).digest()).decode()

    def key_pem(self, password: bytes | None = None) -> bytes:
        return self.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(password)
            if password
            else serialization.NoEncryption(),
        )

    def write(self, directory: Path, stem: str = "sbc") -> Files:
        """Write ``STEM.pem`` and ``STEM.key``; what stood there is replaced, as renewals do it."""
        files = Files(directory / f"{stem}.pem", directory / f"{stem}.key")
        for path, data, mode in (
            (files.key, self.key_pem(), 0o600),
            (files.certificate, self.chain_pem, 0o644),
        ):
            fresh = path.with_suffix(path.suffix + ".new")
            fresh.write_bytes(data)
            fresh.chmod(mode)
            fresh.replace(path)
        return files


class Authority:
    """Issues certificates; by default a root that signed itself."""

    def __init__(self, name: str = "Test Root", parent: "Authority | None" = None) -> None:
        self.key = a_key()
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.parent = parent
        signer = parent or self
        builder = (
            _builder(self.name, signer.name, self.key, STARTS, ENDS)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(_CA_USAGE, critical=True)
        )
        self.certificate = builder.sign(signer.key, hashes.SHA256())

    @property
    def pem(self) -> bytes:
        """Its certificate, for those who trust it."""
        return pem(self.certificate)

    def write(self, directory: Path, stem: str = "ca") -> Path:
        path = directory / f"{stem}.pem"
        path.write_bytes(self.pem)
        return path

    def issue(
        self,
        *names: str,
        uris: Sequence[str] = (),
        common_name: str | None = None,
        starts: datetime = STARTS,
        ends: datetime = ENDS,
        usages: Sequence[str] = ("server", "client"),
        key: PrivateKey | None = None,
        digest: hashes.HashAlgorithm | None = None,
    ) -> Identity:
        """A certificate for host names and addresses (dNSName, iPAddress) and for URIs.

        Args:
            common_name: by default the first name; with no names and no URIs there is no SAN.
            usages: extended key usages; empty for a certificate that does not restrict them.
        """
        key = key or a_key()
        alternatives = [_alternative(name) for name in names]
        alternatives += [x509.UniformResourceIdentifier(uri) for uri in uris]
        common_name = common_name or (names[0] if names else "nobody")
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        builder = _builder(subject, self.name, key, starts, ends).add_extension(
            x509.BasicConstraints(ca=False, path_length=None), critical=True
        )
        if alternatives:
            builder = builder.add_extension(
                x509.SubjectAlternativeName(alternatives), critical=False
            )
        if usages:
            oids = [USAGES[usage] for usage in usages]
            builder = builder.add_extension(x509.ExtendedKeyUsage(oids), critical=False)
        above: list[x509.Certificate] = []
        authority = self
        while authority.parent is not None:
            above.append(authority.certificate)
            authority = authority.parent
        return Identity(key, builder.sign(self.key, digest or hashes.SHA256()), tuple(above))


def a_key() -> ec.EllipticCurvePrivateKey:
    """A fresh key; of elliptic curves, since those cost nothing to make."""
    return ec.generate_private_key(ec.SECP256R1())


def rsa_key(bits: int = 2048) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def self_signed(*names: str) -> Identity:
    """A certificate that nobody but a pin vouches for."""
    key = a_key()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    builder = _builder(subject, subject, key, STARTS, ENDS).add_extension(
        x509.SubjectAlternativeName([_alternative(name) for name in names]), critical=False
    )
    return Identity(key, builder.sign(key, hashes.SHA256()))


def pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.DER)


def client_context(
    authority: Authority,
    files: Files | None = None,
    *,
    oldest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2,
    newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
) -> ssl.SSLContext:
    """What a phone or a carrier connects with, that trusts an authority and checks no name."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(cadata=authority.pem.decode())
    return _versions(context, files, oldest, newest)


def server_context(
    files: Files,
    clients: Authority | None = None,
    *,
    oldest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2,
    newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
) -> ssl.SSLContext:
    """What a PBX or a carrier listens with; with `clients` it demands a certificate of theirs."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if clients is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=clients.pem.decode())
    return _versions(context, files, oldest, newest)


Wrap = Callable[[ssl.MemoryBIO, ssl.MemoryBIO], ssl.SSLObject]


class Ends(NamedTuple):
    """Both ends of a connection in memory, after their handshake."""

    client: ssl.SSLObject
    server: ssl.SSLObject


def shake_hands(client: Wrap, server: Wrap) -> Ends:
    """Let two ends do their handshake, without a socket.

    Raises:
        ssl.SSLError: one of them refused the other.
    """
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = Ends(client(down, up), server(up, down))
    done = [False, False]
    for _ in range(20):
        for number, end in enumerate(ends):
            try:
                if done[number]:
                    end.read(1)
                else:
                    end.do_handshake()
                    done[number] = True
            except ssl.SSLWantReadError:
                continue
        # In TLS 1.3 the client is done before the server has looked at its certificate.
        if all(done) and not up.pending and not down.pending:
            return ends
    raise AssertionError("the handshake never ends")


def _versions(
    context: ssl.SSLContext, files: Files | None, oldest: ssl.TLSVersion, newest: ssl.TLSVersion
) -> ssl.SSLContext:
    if newest < ssl.TLSVersion.TLSv1_2:
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
    with warnings.catch_warnings():
        # To show that an old version is refused, somebody has to speak it.
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = min(oldest, newest)
        context.maximum_version = newest
    if files is not None:
        context.load_cert_chain(*files)
    return context


def _builder(
    subject: x509.Name, issuer: x509.Name, key: PrivateKey, starts: datetime, ends: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(starts)
        .not_valid_after(ends)
    )


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


_CA_USAGE = x509.KeyUsage(
    digital_signature=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)
