"""Media ports by network and by the call that holds them."""

from dataclasses import replace

import pytest

from media.errors import PortsExhausted
from sbc.driver.ports import QUARANTINE_S, NetworkPorts
from tests.kit.registrar import a_network

ONE = replace(a_network("one", "192.0.2.1", 5060), media_ports=(30000, 30007))
TWO = replace(a_network("two", "192.0.2.2", 5060), media_ports=(40000, 40003))


def test_ports_come_from_the_networks_own_range():
    ports = NetworkPorts((ONE, TWO), 1)
    assert {ports.take("one", 0.0) for _ in range(4)} == {30000, 30002, 30004, 30006}
    assert ports.in_use() == {"one": 4, "two": 0}
    with pytest.raises(PortsExhausted):
        ports.take("one", 0.0)
    assert ports.take("two", 0.0) in (40000, 40002)


def test_a_port_given_back_rests_first():
    ports = NetworkPorts((TWO,), 1)
    port = ports.take("two", 0.0)
    ports.take("two", 0.0)
    ports.give_back("two", port, 1.0)
    with pytest.raises(PortsExhausted):
        ports.take("two", QUARANTINE_S)
    assert ports.take("two", 1.0 + QUARANTINE_S) == port


def test_what_a_call_left_behind_is_found():
    ports = NetworkPorts((ONE, TWO), 1)
    ports.serving = "a"
    first = ports.take("one", 0.0)
    ports.take("two", 0.0)
    ports.serving = "b"
    ports.take("one", 0.0)
    ports.give_back("one", first, 0.0)
    assert ports.give_back_all("a", 0.0) == 1
    assert ports.give_back_all("a", 0.0) == 0
    assert ports.in_use() == {"one": 1, "two": 0}


def test_a_port_that_nobody_took_is_a_bug_of_whoever_gives_it_back():
    with pytest.raises(KeyError):
        NetworkPorts((ONE,), 1).give_back("one", 30000, 0.0)


def test_a_reload_changes_ranges_adds_networks_and_loses_no_port():
    ports = NetworkPorts((ONE,), 1)
    held = ports.take("one", 0.0)
    ports.resize((TWO,), 0.0)
    ports.resize((replace(ONE, media_ports=(31000, 31001)), TWO), 0.0)
    assert ports.take("one", 0.0) == 31000
    ports.take("two", 0.0)
    ports.give_back("one", held, 0.0)
    assert ports.in_use() == {"one": 1, "two": 1}
