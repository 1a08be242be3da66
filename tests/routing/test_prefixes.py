"""Longest-prefix match and the key under which a source is counted."""

from ipaddress import IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sbc.prefixes import PrefixMap, single_host, source_key

ADDRESSES = st.ip_addresses(v=4) | st.ip_addresses(v=6)


@given(
    st.lists(st.tuples(st.ip_addresses(), st.integers(0, 32)), max_size=8),
    st.ip_addresses(),
    st.integers(0, 128),
)
def test_the_longest_prefix_that_holds_the_address_wins(
    entries: list[tuple[object, int]], address: object, keep: int
) -> None:
    prefixes = [ip_network(f"{base}/{length}", strict=False) for base, length in entries]
    prefixes.append(ip_network(f"{address}/{keep % 33}", strict=False))
    holding = [prefix for prefix in prefixes if address in prefix]
    expected = max(holding, key=lambda prefix: prefix.prefixlen)
    found = PrefixMap((prefix, prefix) for prefix in prefixes).find(str(address))
    assert found == expected


@pytest.mark.parametrize(
    "host", ["", "a.b.c.d", "1.2.3", "1.2.3.4.5", "300.1.1.1", "::g", ":::", "x"]
)
def test_text_that_is_no_address_is_in_no_prefix(host: str) -> None:
    everything = PrefixMap([(ip_network("0.0.0.0/0"), "4"), (ip_network("::/0"), "6")])
    assert everything.find(host) is None
    assert everything.find("1.2.3.4") == "4"
    assert everything.find("1::") == "6"


def test_an_empty_map_is_false() -> None:
    assert not PrefixMap[int]([])
    assert PrefixMap([(ip_network("192.0.2.0/24"), 1)])


@given(st.ip_addresses(v=6), st.integers(0, 2**64 - 1))
def test_all_addresses_of_one_64_are_one_source(address: IPv6Address, other: int) -> None:
    prefix = int(address) >> 64 << 64
    assert source_key(str(IPv6Address(prefix | other))) == source_key(str(address))
    neighbour = IPv6Address(int(address) ^ 1 << 64)
    assert source_key(str(neighbour)) != source_key(str(address))


def test_an_ipv4_address_is_its_own_source_and_a_zone_does_not_matter() -> None:
    assert source_key("192.0.2.1") == "192.0.2.1"
    assert source_key("fe80::1%eth0") == source_key("fe80::2")


@given(ADDRESSES)
def test_a_single_host_is_the_prefix_of_one_address(address: object) -> None:
    prefix = single_host(str(address))
    assert prefix is not None
    assert prefix.num_addresses == 1
    assert ip_address(str(address)) in prefix
    assert single_host("pbx.example.com") is None
