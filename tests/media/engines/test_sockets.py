"""Addresses that media may go to, and ports that cannot be had."""

import socket

import pytest

from media.engines.sockets import canonical_host, is_unicast, open_socket
from media.errors import MediaRefused
from media.types import Endpoint


@pytest.mark.parametrize(
    ("host", "unicast"),
    [
        ("192.0.2.1", True),
        ("10.0.0.1", True),
        ("223.255.255.255", True),
        ("0.0.0.0", False),
        ("0.1.2.3", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("2001:db8::1", True),
        ("fd00::1", True),
        ("::1", True),
        ("::", False),
        ("ff02::1", False),
        ("fe80::1", False),
        ("febf::1", False),
        ("::ffff:192.0.2.1", False),
    ],
)
def test_media_goes_to_one_host_only(host: str, unicast: bool) -> None:
    assert is_unicast(host) is unicast


def test_one_address_has_one_spelling() -> None:
    assert canonical_host("2001:DB8:0:0::1", "::1") == "2001:db8::1"
    assert canonical_host("192.0.2.1", "127.0.0.1") == "192.0.2.1"


@pytest.mark.parametrize(
    ("host", "like"),
    [("::1", "127.0.0.1"), ("127.0.0.1", "::1"), ("localhost", "127.0.0.1"), ("\0", "::1")],
)
def test_names_and_the_other_family_are_refused(host: str, like: str) -> None:
    with pytest.raises(MediaRefused):
        canonical_host(host, like)


def test_a_port_is_not_shared() -> None:
    with open_socket(Endpoint("127.0.0.1", 0), 46) as held:
        port = held.getsockname()[1]
        with pytest.raises(MediaRefused, match=f"127.0.0.1:{port}: Address already in use"):
            open_socket(Endpoint("127.0.0.1", port), 0)


def test_an_ipv6_port_takes_no_ipv4() -> None:
    with open_socket(Endpoint("::1", 0), 46) as held:
        assert held.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY) == 1
        assert held.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS) == 46 << 2
