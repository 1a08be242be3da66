import pytest

from sbc.transport.addresses import canonical_host, canonical_socket_address


def test_a_mapped_address_is_the_ipv4_address_that_it_is() -> None:
    assert canonical_host("::ffff:192.0.2.1") == "192.0.2.1"
    assert canonical_socket_address(("::ffff:192.0.2.1", 5060, 0, 0)) == ("192.0.2.1", 5060)


def test_ipv6_has_one_spelling() -> None:
    assert canonical_host("2001:0DB8:0:0::1") == "2001:db8::1"


def test_a_link_local_source_keeps_its_scope_so_that_it_can_be_answered() -> None:
    assert canonical_socket_address(("fe80::1", 5060, 0, 3)) == ("fe80::1%3", 5060)
    assert canonical_socket_address(("fe80::1%3", 5060, 0, 3)) == ("fe80::1%3", 5060)


def test_a_name_has_no_canonical_spelling() -> None:
    with pytest.raises(ValueError, match=r"pbx\.example"):
        canonical_host("pbx.example")
