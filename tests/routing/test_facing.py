"""What an address is, and how it is written."""

import pytest

from sbc.prefixes import is_numeric
from sbc.routing.facing import family_of, host_port, is_private


@pytest.mark.parametrize(
    "host",
    [
        *("10.1.2.3", "172.31.0.1", "192.168.0.9", "100.64.0.1", "169.254.1.1", "127.0.0.1"),
        *("fd00::1", "fe80::1", "fe80::1%eth0", "::1"),
    ],
)
def test_an_address_that_others_may_have_too_is_private(host: str) -> None:
    assert is_private(host)


@pytest.mark.parametrize(
    "host", ["8.8.8.8", "172.32.0.1", "203.0.113.7", "2001:db8::1", "10.example", "pbx.example"]
)
def test_public_addresses_examples_and_names_are_not(host: str) -> None:
    assert not is_private(host)


def test_a_host_and_a_port_are_written_with_brackets_where_they_are_needed() -> None:
    assert host_port("192.0.2.1", 5060) == "192.0.2.1:5060"
    assert host_port("2001:db8::1", 5060) == "[2001:db8::1]:5060"
    assert host_port("pbx.example", 5060) == "pbx.example:5060"


@pytest.mark.parametrize(
    ("host", "numeric"),
    [
        *(("192.0.2.1", True), ("2001:db8::1", True), ("fe80::1%3", True), ("::", True)),
        *(("1.2.3.4/32", False), ("01.2.3.4", False), ("1.2.3.4 ", False), ("+1.2.3.4", False)),
        *(("1.2.3", False), ("256.1.1.1", False), ("pbx", False), ("", False), ("[::1]", False)),
    ],
)
def test_names_are_told_from_addresses(host: str, numeric: bool) -> None:
    assert is_numeric(host) is numeric


def test_the_family_of_an_address_is_seen_from_its_colons() -> None:
    assert family_of("2001:db8::1") == 6
    assert family_of("192.0.2.1") == 4
