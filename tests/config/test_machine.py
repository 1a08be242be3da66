"""What this machine says of itself."""

from ipaddress import ip_address

from sbc.config.machine import ThisMachine

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
