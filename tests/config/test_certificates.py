"""Certificate files: what is complained about, and in which words."""

from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec

from sbc.config.certificates import MAX_PEM_BYTES, Use, read_certificate, read_trust
from sbc.document.problem import Severity
from tests.kit.certificates import (
    FAR_AHEAD,
    LONG_AGO,
    Authority,
    Files,
    Identity,
    der,
    rsa_key,
    self_signed,
)

CA = Authority()
MIDDLE = Authority("Middle", CA)
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
NOW = NOON.timestamp()


def complaints(files: Files, use: Use = "server") -> list[str]:
    """All complaints, warnings marked, files named by their last part."""
    certificate, found = read_certificate(*files, use, NOW)
    broken = any(one.severity is Severity.ERROR for one in found)
    assert (certificate is None) == broken
    told = []
    for one in found:
        mark = "" if one.severity is Severity.ERROR else "warning: "
        hint = f" ({one.hint})" if one.hint else ""
        told.append(f"{mark}{one.what}: {one.message}{hint}")
    return [one.replace(f"{files.key.parent}/", "") for one in told]


def test_a_good_certificate_is_taken_with_its_chain(tmp_path: Path) -> None:
    identity = MIDDLE.issue("SBC.example.com", "192.0.2.1")
    files = identity.write(tmp_path)
    certificate, found = read_certificate(*files, "server", NOW, "sbc.yaml:7")
    assert found == []
    assert certificate is not None
    assert certificate.file == str(files.certificate)
    assert certificate.key_file == str(files.key)
    assert certificate.names == ("sbc.example.com", "192.0.2.1")
    assert certificate.expires_at == datetime(2090, 1, 1, tzinfo=UTC).timestamp()
    assert certificate.chain == identity.chain_pem
    assert certificate.key == identity.key_pem()
    whole = der(identity.certificate) + der(MIDDLE.certificate)
    assert certificate.fingerprint == sha256(whole).hexdigest()
    assert certificate.where == "sbc.yaml:7"


def test_certificate_and_key_may_share_a_file_in_any_order(tmp_path: Path) -> None:
    identity = CA.issue("a.example")
    for parts in (
        identity.key_pem() + identity.chain_pem,
        b"Subject: a\n" + identity.chain_pem + identity.key_pem(),
    ):
        file = tmp_path / "both.pem"
        file.write_bytes(parts)
        file.chmod(0o600)
        assert complaints(Files(file, file)) == []


def old_style_key(identity: Identity) -> bytes:
    return identity.key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )


def test_an_old_style_key_is_read_too(tmp_path: Path) -> None:
    identity = CA.issue("a.example", key=rsa_key())
    files = identity.write(tmp_path)
    files.key.write_bytes(old_style_key(identity))
    assert complaints(files) == []


@pytest.mark.parametrize(
    ("identity", "use", "expected"),
    [
        (
            CA.issue("a.example", ends=LONG_AGO),
            "server",
            ["certificate: it expired on 2021-01-01 (renew it)"],
        ),
        (
            CA.issue("a.example", starts=FAR_AHEAD),
            "server",
            [
                (
                    "certificate: it is not valid before 2089-01-01 (use an older one until "
                    "then, or set this machine's clock)"
                )
            ],
        ),
        (
            CA.issue("a.example", ends=NOON + timedelta(days=29, hours=1)),
            "server",
            [
                "warning: certificate: it expires on 2026-01-30, in 29 days (renew it)",
            ],
        ),
        (CA.issue("a.example", ends=NOON + timedelta(days=31)), "server", []),
        (
            CA.issue("a.example", key=rsa_key(1024)),
            "server",
            ["key: an RSA key of 1024 bits is too weak (2048 bits at least, or ECDSA)"],
        ),
        (
            CA.issue("a.example", key=ec.generate_private_key(ec.SECP192R1())),
            "server",
            ["key: a curve of 192 bits is too weak (use P-256)"],
        ),
        (
            CA.issue("a.example", usages=["client"]),
            "server",
            [
                (
                    "certificate: its extended key usage does not let it be a server's, so clients "
                    "refuse it (let it be issued for serverAuth)"
                )
            ],
        ),
        (
            CA.issue("a.example", usages=["server"]),
            "client",
            [
                (
                    "warning: certificate: its extended key usage does not let it be a client's, "
                    "so most servers refuse it (let it be issued for clientAuth, or ask the peer "
                    "whether it looks)"
                )
            ],
        ),
        (CA.issue("a.example", usages=["server"]), "server", []),
        (CA.issue("a.example", usages=[]), "client", []),
        (self_signed("a.example"), "server", []),
    ],
)
def test_what_cannot_work_is_told(
    tmp_path: Path, identity: Identity, use: Use, expected: list[str]
) -> None:
    assert complaints(identity.write(tmp_path), use) == expected


SHA_1 = b"""\
-----BEGIN CERTIFICATE-----
MIIB0DCBuQIBATANBgkqhkiG9w0BAQUFADAMMQowCAYDVQQDDAFyMCAXDTI2MTEy
NzE1NDIyMVoYDzIwODEwODMwMTU0MjIxWjAaMRgwFgYDVQQDDA9zYmMuZXhhbXBs
ZS5jb20wWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAS0mp1Y7XfqcAKkCYt85RF9
8rkJpe7bqmDdpHQQ9oPFhgYPLTJOWApACjeGpjhBrrzlfcHB5Womb5TDEKG934Uc
MA0GCSqGSIb3DQEBBQUAA4IBAQBfkKw+09+d8GG1exVvL9yTXmnaVc1Yj8gPN3eu
XO4n/Ry0uCkOk1XUs53Zja48+37QFrDUoZ9wL/zfxCX+2OrkL58DbM8HhCq0N2L2
udKtyg2sASHSRZOidRDbfFdBQNmI7TPCEEx4xZDf+CZP22nfW3Qdi/FbTujaviLr
SKZrurWPL9J31Q2YzJzXfKReZcJlTRf2pG/4UnxnuTRmO2c7rkKuRCTDUDtmb+hK
HvpxR+WBe12Cf5kocol2n1veN/CNKrkzpGpelii1FBkr/SAesWTe0I6gUbSU2HQl
PZKZ40zZNRIpQsgufnCpRXjS8eR9HPxbaldzMGLnU6D78MrI
-----END CERTIFICATE-----
"""
"""Issued by OpenSSL, since what makes the others refuses to sign with SHA-1."""


def test_sha_1_is_told(tmp_path: Path) -> None:
    identity = CA.issue("a.example")
    files = identity.write(tmp_path)
    files.certificate.write_bytes(identity.chain_pem + SHA_1)
    assert (
        "certificate: certificate number 2 in the file is signed with SHA1, which no peer "
        "believes (let it be issued again with SHA-256)"
    ) in complaints(files)


def test_files_that_are_not_there_or_no_files_are_told(tmp_path: Path) -> None:
    files = CA.issue("a.example").write(tmp_path)
    assert complaints(Files(tmp_path / "none.pem", files.key)) == [
        "certificate: none.pem: cannot be read: no such file or directory"
    ]
    assert complaints(Files(files.certificate, tmp_path / "none.key")) == [
        "key: none.key: cannot be read: no such file or directory"
    ]
    (tmp_path / "directory").mkdir()
    assert complaints(Files(tmp_path / "directory", files.key)) == [
        "certificate: directory: is no file"
    ]
    assert complaints(Files(Path("a\0b"), files.key)) == [
        "certificate: a\0b: cannot be read: embedded null byte"
    ]


def test_files_that_are_no_pem_are_told(tmp_path: Path) -> None:
    files = CA.issue("a.example").write(tmp_path)
    key = files.key.read_bytes()
    for data, complaint in (
        (b"", "holds no certificate in PEM (a PEM file begins with -----BEGIN CERTIFICATE-----)"),
        (
            der(CA.certificate),
            (
                "holds no certificate in PEM (it looks like DER: openssl x509 -inform der -in "
                "sbc.pem -out sbc.pem.pem)"
            ),
        ),
        (b" " * (MAX_PEM_BYTES + 1), f"longer than {MAX_PEM_BYTES} bytes"),
    ):
        files.certificate.write_bytes(data)
        assert complaints(files) == [f"certificate: sbc.pem: {complaint}"]
    files.certificate.write_bytes(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    (complaint,) = complaints(files)
    assert complaint.startswith("certificate: sbc.pem: not valid PEM: ")
    files.certificate.write_bytes(CA.pem)
    files.key.write_bytes(key.replace(b"PRIVATE", b"PUBLIC"))
    assert complaints(files) == [
        (
            "key: sbc.key: holds no private key in PEM (a PEM file begins with "
            "-----BEGIN PRIVATE KEY-----)"
        )
    ]
    files.key.write_bytes(b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    assert complaints(files) == ["key: sbc.key: the private key is malformed"]


def test_an_encrypted_key_is_told(tmp_path: Path) -> None:
    identity = CA.issue("a.example")
    files = identity.write(tmp_path)
    files.key.write_bytes(identity.key_pem(b"secret"))
    assert complaints(files) == [
        (
            "key: sbc.key: the key is encrypted, and nobody is there to type its password "
            "(openssl pkey -in sbc.key -out NEW.key, readable by the user of the SBC alone)"
        )
    ]


def test_a_key_that_tls_has_no_use_for_is_told(tmp_path: Path) -> None:
    files = CA.issue("a.example").write(tmp_path)
    files.key.write_bytes(
        dsa.generate_private_key(1024).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    assert complaints(files) == [
        "key: sbc.key: TLS has no use for this kind of key (use RSA or ECDSA)"
    ]


def test_a_key_that_others_may_read_is_told(tmp_path: Path) -> None:
    files = CA.issue("a.example").write(tmp_path)
    files.key.chmod(0o640)
    assert complaints(files) == []
    files.key.chmod(0o644)
    assert complaints(files) == [
        (
            "warning: key: sbc.key: everybody on this machine may read the private key "
            "(chmod o= sbc.key)"
        )
    ]


def test_a_key_of_another_certificate_is_told(tmp_path: Path) -> None:
    files = CA.issue("a.example").write(tmp_path)
    other = CA.issue("a.example").write(tmp_path, "other")
    assert complaints(Files(files.certificate, other.key)) == [
        "key: other.key: this key does not belong to the certificate"
    ]


def test_a_chain_in_the_wrong_order_is_told(tmp_path: Path) -> None:
    lowest = Authority("Lowest", MIDDLE)
    identity = lowest.issue("a.example")
    files = identity.write(tmp_path)
    own, low, middle = identity.chain_pem.split(b"-----END CERTIFICATE-----\n")[:3]
    end = b"-----END CERTIFICATE-----\n"
    files.certificate.write_bytes(own + end + middle + end + low + end)
    assert complaints(files) == [
        (
            "warning: certificate: certificate number 1 in the file was not issued by number 2 "
            "(after each certificate comes the one of who issued it; some peers insist)"
        )
    ]
    files.certificate.write_bytes(low + end + own + end + middle + end)
    assert complaints(files) == [
        (
            "certificate: the certificate of the key is number 2 in the file "
            "(put it first, and after each certificate the one of who issued it)"
        )
    ]


def test_an_expired_certificate_above_ours_is_told(tmp_path: Path) -> None:
    key = MIDDLE.key
    above = CA.issue("x", key=key, ends=LONG_AGO).certificate
    identity = CA.issue("a.example")
    files = Identity(identity.key, identity.certificate, (above,)).write(tmp_path)
    assert (
        "warning: certificate: certificate number 2 in the file expired on 2021-01-01 "
        "(get the issuer's current chain)"
    ) in complaints(files)


def test_a_chain_that_lacks_what_is_between_is_told(tmp_path: Path) -> None:
    identity = CA.issue("a.example")
    access = x509.AuthorityInformationAccess(
        [
            x509.AccessDescription(
                x509.AuthorityInformationAccessOID.CA_ISSUERS,
                x509.UniformResourceIdentifier("http://ca.example/middle.der"),
            )
        ]
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(identity.certificate.subject)
        .issuer_name(MIDDLE.name)
        .public_key(identity.key.public_key())
        .serial_number(7)
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2090, 1, 1, tzinfo=UTC))
        .add_extension(access, critical=False)
        .sign(MIDDLE.key, hashes.SHA256())
    )
    files = Identity(identity.key, certificate).write(tmp_path)
    assert complaints(files) == [
        (
            "warning: certificate: the file holds the certificate alone, without those between it "
            "and its root (append them (often called chain.pem, or use fullchain.pem): most peers "
            "need them)"
        )
    ]


def test_a_file_of_authorities_is_taken(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_bytes(b"# ours\n" + CA.pem + MIDDLE.pem)
    trust, found = read_trust(file, NOW)
    assert found == []
    assert trust is not None
    assert trust.authorities == CA.pem + MIDDLE.pem
    assert trust.file == str(file)


def test_authorities_that_cannot_work_are_told(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    assert read_trust(file, NOW)[1][0].message == (
        f"{file}: cannot be read: no such file or directory"
    )
    file.write_bytes(b"")
    assert read_trust(file, NOW)[1][0].message == f"{file}: holds no certificate in PEM"
    file.write_bytes(CA.issue("a.example", ends=LONG_AGO).chain_pem)
    assert read_trust(file, NOW) == (
        None,
        [("ca", f"{file}: every authority in it has expired", "get a newer file", Severity.ERROR)],
    )
