"""What this machine says of itself."""

from ipaddress import ip_address

import pytest

from sbc.config.machine import ThisMachine
from sbc.routing.model import ALL_SUITES

MACHINE = ThisMachine()


def test_interfaces_have_numeric_addresses_without_link_local_ones() -> None:
    interfaces = MACHINE.interfaces()
    assert "127.0.0.1" in interfaces["lo"]
    for addresses in interfaces.values():
        for text in addresses:
            assert not (ip_address(text).version == 6 and ip_address(text).is_link_local)


def test_loopback_is_reached_from_loopback() -> None:
    assert MACHINE.address_towards("127.0.0.1") == "127.0.0.1"


def test_a_host_that_cannot_be_reached_has_no_address_of_ours() -> None:
    assert MACHINE.address_towards("255.255.255.255") is None


def test_numeric_names_resolve_to_themselves_and_nonsense_to_nothing() -> None:
    assert MACHINE.resolve("192.0.2.1") == ("192.0.2.1",)
    assert MACHINE.resolve("::1") == ("::1",)
    assert MACHINE.resolve("a" * 70 + ".example") == ()
    assert MACHINE.resolve("..") == ()


@pytest.mark.parametrize("native", [False, True])
def test_every_media_engine_can_do_the_suites_that_are_offered_by_default(native: bool) -> None:
    assert set(ALL_SUITES) <= {suite.value for suite in MACHINE.srtp(native).suites}


def test_the_engine_in_python_knows_no_key_identifiers() -> None:
    assert not MACHINE.srtp(False).mki
