"""Which names a certificate proves, and that a stranger's bytes prove nothing."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sbc.sip.errors import ParseError
from sbc.transport.tls.identities import asked_names, identities, pin_of, read_proof_untrusted
from tests.kit.certificates import Authority, Identity, der, self_signed

CA = Authority()


@pytest.mark.parametrize(
    ("identity", "names"),
    [
        (CA.issue("SIP.Example.com"), ("sip.example.com",)),
        (CA.issue("a.example", "b.example"), ("a.example", "b.example")),
        # RFC 5922 §7.1: host names count only if there is no URI that names a domain.
        (CA.issue("host.example", uris=["sip:example.com"]), ("example.com",)),
        (CA.issue("host.example", uris=["SIP:Example.com;x=y"]), ("example.com",)),
        (CA.issue("host.example", uris=["sip:alice@example.com"]), ("host.example",)),
        (CA.issue("host.example", uris=["sips:example.com"]), ("host.example",)),
        (CA.issue("host.example", uris=["https://example.com"]), ("host.example",)),
        (CA.issue("host.example", uris=["sip:"]), ("host.example",)),
        (CA.issue("192.0.2.1", "2001:db8::1"), ("192.0.2.1", "2001:db8::1")),
        (CA.issue("192.0.2.1", uris=["sip:example.com"]), ("example.com", "192.0.2.1")),
        (CA.issue("*.example.com"), ("*.example.com",)),
        (CA.issue("a.example", common_name="cn.example"), ("a.example",)),
        (CA.issue(common_name="CN.example"), ("cn.example",)),
        (CA.issue(uris=["https://x.example"], common_name="cn.example"), ()),
        (CA.issue(common_name="192.0.2.1"), ()),
        (CA.issue(common_name="SIP gateway 7"), ()),
    ],
    ids=lambda value: "/".join(value) if isinstance(value, tuple) else "",
)
def test_a_certificate_proves_the_names_that_rfc_5922_finds(
    identity: Identity, names: tuple[str, ...]
) -> None:
    assert identities(identity.certificate) == names


def test_a_client_may_ask_for_any_name_of_a_certificate() -> None:
    identity = CA.issue("host.example", "192.0.2.1", uris=["sip:example.com"])
    assert asked_names(identity.certificate) == ("example.com", "host.example", "192.0.2.1")


def test_a_pin_belongs_to_the_key_and_not_to_the_certificate() -> None:
    first = self_signed("a.example")
    second = CA.issue("b.example", key=first.key)
    assert pin_of(first.certificate) == pin_of(second.certificate) == second.pin


def test_what_a_certificate_proves_is_read_from_its_bytes() -> None:
    identity = CA.issue("a.example")
    assert read_proof_untrusted(der(identity.certificate)) == (("a.example",), identity.pin)


GOOD = der(CA.issue("a.example", "192.0.2.1", uris=["sip:example.com"]).certificate)


@given(st.integers(0, len(GOOD) - 1), st.binary(max_size=4), st.integers(0, 4))
def test_a_broken_certificate_is_malformed_and_nothing_else(
    at: int, inserted: bytes, removed: int
) -> None:
    with suppress(ParseError):
        read_proof_untrusted(GOOD[:at] + inserted + GOOD[at + removed :])


@given(st.binary(max_size=200))
def test_bytes_that_are_no_certificate_are_malformed(data: bytes) -> None:
    with pytest.raises(ParseError):
        read_proof_untrusted(data)
