"""What decisions may look up: whose short codes and emergency numbers are known."""

from sbc.driver.world import world_of
from sbc.policy.emergency import NO_EMERGENCY, Emergency
from tests.config.files import GOOD, load

TEXT = GOOD.replace(
    "    address: 192.168.1.5\n", "    address: 192.168.1.5\n    numbers: {country: DE}\n"
)


def peers():
    configuration = load(TEXT).configuration
    assert configuration is not None
    return configuration.settings.peers


def test_the_countries_of_the_peers_say_what_an_emergency_is() -> None:
    world = world_of(peers(), NO_EMERGENCY)
    assert [world.numbers.kind(number) for number in ("110", "112", "999")] == [
        "emergency",
        "emergency",
        "",
    ]


def test_unless_a_policy_names_others() -> None:
    world = world_of(peers(), Emergency(("0112",), ("GB",)))
    assert [world.numbers.kind(number) for number in ("110", "999")] == ["", "emergency"]
    assert "0112" in world.emergency
    assert "112" not in world.emergency


def test_numbers_are_understood_by_the_plans_of_the_world() -> None:
    assert world_of(peers(), NO_EMERGENCY).plan.e164("030123456", "DE") == "+4930123456"
