"""Our table as text: nothing that comes from outside is more than an address in it."""

from ipaddress import ip_network

import pytest

from sbc.firewall.ruleset import (
    Guarded,
    ban,
    change_lines,
    mute_flow,
    prefix_lines,
    table_script,
)

ZONE = "fe80::1%a } ; flush ruleset"
"""What the standard library takes for an address."""


def test_no_zone_of_an_address_is_a_command() -> None:
    single, wide = ip_network(f"{ZONE};/64", strict=False), ip_network(f"{ZONE};/128")
    text = "\n".join(
        [
            table_script("t", [Guarded("udp", ZONE, 5060)], None, [wide]),
            *change_lines("t", [ban(single, 9), mute_flow(ZONE, 5060, 9)]),
            *prefix_lines("t", {wide: 9}),
        ]
    )
    assert "ruleset" not in text
    assert "%" not in text
    assert "fe80::1 . 5060" in text


@pytest.mark.parametrize("source", ["192.0.2.0/24", "2001:db8::/48"])
def test_a_prefix_is_said_as_a_whole(source: str) -> None:
    prefix = ip_network(source)
    assert f"{{ {source} timeout 9s }}" in "\n".join(prefix_lines("t", {prefix: 9}))
