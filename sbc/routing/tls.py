"""The TLS rules of networks and peers, as frozen data.

Certificates and keys are what was read from their files: nobody looks at the files again until the
next load. They are compared by fingerprint and never shown.

Spec: RFC 5922 (names in certificates), RFC 7469 §2.4 (pins).
"""

from dataclasses import dataclass, field
from typing import Literal

TlsVersion = Literal["1.2", "1.3"]
ClientCertificates = Literal["off", "optional", "required"]

DEFAULT_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE+AES:!SHA1:!PSK:!aNULL"
"""For TLS 1.2, in OpenSSL's words: forward secrecy always, and no SHA-1."""

SYSTEM_TRUST = "system"
"""What `ca` says for the authorities that this machine trusts."""

PIN_PREFIX = "sha256/"
"""What stands before the pin of a key among the names that its certificate proves."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """A chain of certificates and the private key of its first."""

    file: str
    key_file: str
    names: tuple[str, ...]
    """Host names and numeric addresses that it is for, lower case: a client may ask for them."""
    expires_at: float
    """Seconds since 1970."""
    fingerprint: str
    """SHA-256 over the whole chain, hexadecimal: another one is another certificate."""
    chain: bytes = field(compare=False, repr=False)
    """PEM, the certificate of the key first."""
    key: bytes = field(compare=False, repr=False)
    """PEM, not encrypted: a secret."""
    where: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Trust:
    """The authorities whose certificates are believed."""

    file: str = SYSTEM_TRUST
    fingerprint: str = ""
    """SHA-256 of the file, hexadecimal; of `SYSTEM_TRUST` none."""
    authorities: bytes = field(default=b"", compare=False, repr=False)
    """PEM; empty for those of the system."""


@dataclass(frozen=True, slots=True)
class NetworkTls:
    """How the TLS listeners of a network answer."""

    certificates: tuple[Certificate, ...]
    """The first is shown to who asks for a name that none has, or for no name."""
    min_version: TlsVersion = "1.2"
    ciphers: str = DEFAULT_CIPHERS
    client_certificates: ClientCertificates = "off"
    trust: Trust = Trust()
    """Who may vouch for clients."""
    must_prove: tuple[str, ...] = ()
    """Host names that the network advertises: some certificate must be for each."""


@dataclass(frozen=True, slots=True)
class PeerTls:
    """How we connect to a peer by TLS, and how its certificate has to look, either way."""

    names: tuple[str, ...]
    """Any of which its certificate must be for: host names, ``"*.example.com"`` meaning only those
    very characters, or numeric addresses."""
    server_name: str = ""
    """What we ask its server for (SNI); empty for nothing."""
    trust: Trust | None = Trust()
    """Who may vouch for its certificate; None: nobody does, its pins decide alone."""
    pins: tuple[str, ...] = ()
    """SHA-256 of public keys, base64; with any, its key must be among them."""
    certificate: Certificate | None = None
    """What we show it of us."""
    min_version: TlsVersion = "1.2"
    ciphers: str = DEFAULT_CIPHERS
    name_required: bool = False
    """Whether requests are this peer's only if a certificate proves it, whatever the address."""

    def __post_init__(self) -> None:
        """Refuses rules that would let anybody be this peer.

        Raises:
            ValueError: neither an authority nor a pin decides.
        """
        if self.trust is None and not self.pins:
            raise ValueError("neither an authority nor a pin vouches for the peer")

    def are_met_by(self, proven: tuple[str, ...]) -> bool:
        """Whether a client whose certificate proves these names, and pins, is the peer.

        Spec: RFC 5922 §7.2, §7.4.
        """
        if not self.pins or any(PIN_PREFIX + pin in proven for pin in self.pins):
            return any(name in proven for name in self.names)
        return False
