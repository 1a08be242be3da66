"""TLS of networks and peers: what sbc.yaml says, and what of it cannot work.

Spec: RFC 5922 (names), RFC 9325 (what is fit for use).
"""

import binascii
import ssl
from base64 import b64decode
from pathlib import Path as FilePath
from typing import Annotated, Any, Literal

from pydantic import Field, PlainValidator, WithJsonSchema

from sbc.config.certificates import Complaint, Use, read_certificate, read_trust
from sbc.config.values import parse_domain_pattern
from sbc.document.problem import Path, Severity
from sbc.document.schema import BadValue, OneOrMany, Section
from sbc.document.text import Document
from sbc.prefixes import single_host
from sbc.routing.model import Network, Target
from sbc.routing.tls import (
    DEFAULT_CIPHERS,
    SYSTEM_TRUST,
    Certificate,
    ClientCertificates,
    NetworkTls,
    PeerTls,
    TlsVersion,
    Trust,
)
from sbc.sip.flow import SECURED

_PIN_BYTES = 32


def parse_ciphers(value: object) -> str:
    """A list of ciphers in OpenSSL's words, none of which leaves anything open."""
    text = value.strip() if isinstance(value, str) else ""
    hint = f"for example: {DEFAULT_CIPHERS}"
    if "@" in text:
        raise BadValue("the security level is not for a list of ciphers to change", hint)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.set_ciphers(text)
    except (ssl.SSLError, ValueError):
        raise BadValue(f"{text[:60]!r} names no cipher that OpenSSL has", hint) from None
    for cipher in context.get_ciphers():
        if cipher["strength_bits"] == 0 or cipher["auth"] in ("auth-null", "auth-psk"):
            raise BadValue(
                f"with {cipher['name']} nothing is encrypted, or nobody proves who they are", hint
            )
    return text


def parse_pin(value: object) -> str:
    """SHA-256 of a public key, base64."""
    text = value.strip() if isinstance(value, str) else ""
    hint = (
        "44 characters: openssl x509 -in FILE -noout -pubkey | openssl pkey -pubin -outform der | "
        "openssl dgst -sha256 -binary | base64"
    )
    try:
        digest = b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        digest = b""
    if len(digest) != _PIN_BYTES:
        raise BadValue(f"{text[:60]!r} is no SHA-256 in base64", hint)
    return text


def _string(*examples: str) -> WithJsonSchema:
    schema: dict[str, Any] = {"type": "string", "examples": list(examples)}
    return WithJsonSchema(schema)


_Ciphers = Annotated[str, PlainValidator(parse_ciphers), _string(DEFAULT_CIPHERS)]
_Pin = Annotated[
    str, PlainValidator(parse_pin), _string("47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=")
]
_ProvenName = Annotated[str, PlainValidator(parse_domain_pattern), _string("sip.carrier.example")]
_File = Annotated[str, Field(min_length=1)]
_MIN_VERSION = "The oldest version of TLS that is spoken."
_CIPHERS = (
    "Ciphers of TLS 1.2, in OpenSSL's words; those of TLS 1.3 are all good and not chosen from."
)


class CertificateSection(Section):
    """A certificate of ours. The files are looked at every few seconds: new ones are taken as they
    come, without cutting anybody off."""

    certificate: _File = Field(
        description="PEM file, relative to this file: the certificate, after it the one of its "
        "issuer, and so on.",
        examples=["/etc/sbc/fullchain.pem"],
    )
    key: _File | None = Field(
        default=None,
        description="PEM file of the private key, not encrypted; without it the key is in the file "
        "of the certificate.",
        examples=["/etc/sbc/privkey.pem"],
    )


class NetworkTlsSection(Section):
    """What listeners for tls and wss show and demand."""

    certificates: tuple[CertificateSection, ...] = Field(
        default=(),
        description="Certificates. A client sees the one for the name that it asks for (SNI), or "
        "else the first. One must be for each name in `advertise`.",
        examples=[[{"certificate": "/etc/sbc/fullchain.pem", "key": "/etc/sbc/privkey.pem"}]],
    )
    min_version: TlsVersion = Field(default="1.2", description=_MIN_VERSION, examples=["1.3"])
    ciphers: _Ciphers = Field(default=DEFAULT_CIPHERS, description=_CIPHERS)
    client_certificates: ClientCertificates = Field(
        default="off",
        description="`off`: clients are not asked for one; `optional`: they are, and who shows one "
        "is the peer whose `tls.name` it proves, whatever the address; `required`: nobody connects "
        "without one.",
        examples=["optional"],
    )
    ca: _File = Field(
        default=SYSTEM_TRUST,
        description="PEM file of the authorities that may vouch for clients, or `system` for "
        "those that this machine trusts.",
        examples=["/etc/sbc/carriers.pem"],
    )


class PeerTlsSection(Section):
    """How its certificate has to look, either way, and what we show it. A valid chain is not
    enough: the certificate must be for the peer's name."""

    name: Annotated[tuple[_ProvenName, ...], OneOrMany()] = Field(
        default=(),
        description="The names, or addresses, any of which its certificate must be for; without it "
        "`domain`, or else the hosts of `address`. `*.example.com` means a certificate that says "
        "just that: no wildcard stands for anything else (RFC 5922).",
        examples=["sip.carrier.example"],
    )
    ca: _File | None = Field(
        default=None,
        description="PEM file of the authorities that may vouch for it when we connect, or "
        "`system` for those that this machine trusts. Without it: `system`, or nobody where there "
        "are `pins`.",
        examples=["/etc/sbc/carrier-ca.pem"],
    )
    pins: Annotated[tuple[_Pin, ...], OneOrMany()] = Field(
        default=(),
        description="SHA-256 of public keys, base64; its key must be one of them. Without `ca` "
        "they replace authority and name when we connect, for a peer that signed its certificate "
        "itself.",
        examples=["47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="],
    )
    certificate: _File | None = Field(
        default=None,
        description="PEM file, relative to this file, of the certificate that we show it.",
        examples=["/etc/sbc/client.pem"],
    )
    key: _File | None = Field(
        default=None,
        description="PEM file of its private key, not encrypted; without it the key is in the file "
        "of the certificate.",
        examples=["/etc/sbc/client.key"],
    )
    min_version: TlsVersion = Field(default="1.2", description=_MIN_VERSION, examples=["1.3"])
    ciphers: _Ciphers = Field(default=DEFAULT_CIPHERS, description=_CIPHERS)
    client_certificate: Literal["optional", "required"] = Field(
        default="optional",
        description="`required`: requests are this peer's only on a connection that proves its "
        "name, by the certificate of who connected to us or by its own when we connected; its "
        "address is not enough, on any transport. `optional`: its address is enough.",
        examples=["required"],
    )


class TlsBuilder:
    """Makes TLS rules of sections; what is wrong with them is reported in the document."""

    __slots__ = ("_base", "_document", "_now")

    def __init__(self, document: Document, now: float) -> None:
        self._document = document
        self._base = FilePath(document.file).parent
        self._now = now

    def network(
        self,
        section: NetworkTlsSection,
        path: Path,
        transports: set[str],
        advertised: tuple[str, ...],
    ) -> NetworkTls | None:
        """The rules of a network, if it has a listener for them.

        Args:
            path: of the network.
            transports: of its listeners.
            advertised: host names that it advertises.
        """
        secured = sorted(SECURED & transports)
        given: Path = (*path, "tls", "certificates")
        if section.certificates and not secured:
            self._document.report(
                given,
                "no listener of this network shows a certificate",
                "add tls/5061 to its listen, or remove them",
                severity=Severity.WARNING,
                key=True,
            )
        if secured and not section.certificates:
            self._document.report(
                given if given[:-1] in self._document.values else (*path, "listen"),
                f"a {secured[0]} listener needs a certificate",
                "for example: tls: {certificates: [{certificate: /etc/sbc/fullchain.pem, key: "
                "/etc/sbc/privkey.pem}]}",
            )
        read = [
            self._certificate(one.certificate, one.key, (*given, number), "server")
            for number, one in enumerate(section.certificates)
        ]
        trust = self._trust(section.ca, (*path, "tls", "ca"))
        certificates = tuple(one for one in read if one is not None)
        if trust is None or not certificates or len(certificates) < len(read) or not secured:
            return None
        rules = NetworkTls(
            certificates,
            section.min_version,
            section.ciphers,
            section.client_certificates,
            trust,
            advertised,
        )
        self.tell(uncovered(rules), given)
        return rules

    def peer(
        self,
        section: PeerTlsSection,
        path: Path,
        network: Network | None,
        domain: str | None,
        targets: tuple[Target, ...],
    ) -> PeerTls | None:
        """The rules of a PBX or trunk, if its network has a listener for them."""
        here: Path = (*path, "tls")
        self._check_demand(section, here, network)
        if network is None or SECURED.isdisjoint(one.transport for one in network.listeners):
            return None
        hosts = tuple(dict.fromkeys(target.host for target in targets))
        names = section.name or ((domain,) if domain else hosts)
        if section.client_certificate == "required" and not names:
            self._document.report(
                (*here, "client_certificate"),
                "nothing says which name its certificate has to prove",
                "write tls.name",
            )
        trust: Trust | None = None
        if section.ca is not None or not section.pins:
            trust = self._trust(section.ca or SYSTEM_TRUST, (*here, "ca"))
            if trust is None:
                return None
        certificate = None
        if section.certificate is not None:
            certificate = self._certificate(section.certificate, section.key, here, "client")
        elif section.key is not None:
            self._document.report(
                (*here, "key"), "there is a key without certificate", "add certificate", key=True
            )
        return PeerTls(
            names=names,
            server_name=_server_name(names, hosts),
            trust=trust,
            pins=section.pins,
            certificate=certificate,
            min_version=section.min_version,
            ciphers=section.ciphers,
            name_required=section.client_certificate == "required",
        )

    def tell(self, complaints: list[Complaint], path: Path) -> None:
        """Report what is wrong with files at the keys that name them."""
        for one in complaints:
            place = (*path, one.what)
            there = place if place in self._document.values else path
            self._document.report(there, one.message, one.hint, severity=one.severity)

    def _certificate(self, file: str, key: str | None, path: Path, use: Use) -> Certificate | None:
        where = self._document.place((*path, "certificate")).where
        certificate, complaints = read_certificate(
            self._base / file, self._base / (key or file), use, self._now, where
        )
        self.tell(complaints, path)
        return certificate

    def _trust(self, ca: str, path: Path) -> Trust | None:
        if ca == SYSTEM_TRUST:
            return Trust()
        trust, complaints = read_trust(self._base / ca, self._now)
        self.tell(complaints, path[:-1])
        return trust

    def _check_demand(self, section: PeerTlsSection, path: Path, network: Network | None) -> None:
        if network is None or not section.model_fields_set:
            return
        transports = {listener.transport for listener in network.listeners}
        line = self._document.place(("networks", network.name), key=True).line
        if SECURED.isdisjoint(transports) and network.listeners:
            self._document.report(
                path,
                f"network {network.name!r} (line {line}) has no tls listener to reach it from",
                "add tls/5061 to its listen, or remove these rules",
                key=True,
            )
        elif (
            section.client_certificate == "required"
            and network.tls is not None
            and network.tls.client_certificates == "off"
        ):
            self._document.report(
                (*path, "client_certificate"),
                f"network {network.name!r} (line {line}) asks nobody for a certificate",
                "write tls.client_certificates: optional there",
            )


def uncovered(rules: NetworkTls) -> list[Complaint]:
    """What is wrong where the certificates of a network are not for the names it advertises."""
    proven = {name for certificate in rules.certificates for name in certificate.names}
    complaints: list[Complaint] = []
    for name in rules.must_prove:
        if name in proven:
            continue
        if "*." + name.partition(".")[2] in proven:
            message = f"only a wildcard is for the advertised name {name}: strict peers refuse it"
            hint, severity = "let it be issued for the name itself", Severity.WARNING
        else:
            message = f"none is for the advertised name {name}, but for {', '.join(sorted(proven))}"
            hint, severity = "let one be issued for it, or advertise another name", Severity.ERROR
        complaints.append(Complaint("certificate", message, hint, severity))
    return complaints


def _server_name(names: tuple[str, ...], hosts: tuple[str, ...]) -> str:
    """What to ask a server for: a name that it may prove, else the host; never an address."""
    for name in (*names, *hosts):
        if not name.startswith("*.") and single_host(name) is None:
            return name
    return ""
