"""Debian's sipvicious against a border: it finds nobody, guesses nothing, and is heard no more."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.attack.besieged import ATTACKER, BORDER, PASSWORD, USER, Besieged
from tests.kit.hosts import Lab, missing_for_namespaces
from tests.kit.stranger import Stranger

pytestmark = pytest.mark.interop
_TOOL_S = 60


@pytest.fixture(params=[True, False], ids=["by name", "by what it does"])
def siege(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Besieged]:
    missing = missing_for_namespaces("nft", "svmap", "svwar", "svcrack")
    if missing is not None:
        pytest.skip(missing)
    with Lab(tmp_path) as lab:
        made = Besieged(lab, tmp_path, named=request.param)
        yield made
        made.stop()


def runs(siege: Besieged, *command: str) -> str:
    """What one of the tools printed; it is ended when it never gives up."""
    try:
        done = subprocess.run(
            siege.attacker.command("timeout", str(_TOOL_S), *command),
            cwd=siege.directory,
            env={"HOME": str(siege.directory), "PATH": "/usr/bin:/bin:/usr/sbin:/sbin"},
            capture_output=True,
            text=True,
            check=False,
            timeout=_TOOL_S + 20,
        )
    except subprocess.TimeoutExpired as error:
        raise AssertionError(f"{command} hangs") from error
    return done.stdout + done.stderr


def good_phone_is_served(siege: Besieged) -> None:
    phone = Stranger(siege.phone, BORDER)
    assert phone.register(USER, PASSWORD) == 200, siege.sbc.tail()
    phone.close()


def muted(siege: Besieged) -> bool:
    """Whether the attacker was shut up."""
    return f"flow-muted source={ATTACKER}" in siege.sbc.output


def has_names(siege: Besieged) -> bool:
    """Whether the border knows scanners by their names."""
    return "friendly-scanner" in (siege.directory / "policy.yaml").read_text()


def test_a_map_of_the_network_shows_no_border_that_knows_the_scanner(siege: Besieged) -> None:
    said = runs(siege, "svmap", "-p5060", BORDER)
    if has_names(siege):
        assert BORDER not in said
        assert muted(siege), siege.sbc.tail()
    good_phone_is_served(siege)


def test_a_war_dial_for_users_finds_nobody(siege: Besieged) -> None:
    said = runs(siege, "svwar", "--force", "-e100-400", "-mREGISTER", BORDER)
    assert "found nothing" in said, said
    assert muted(siege) or not has_names(siege), siege.sbc.tail()
    good_phone_is_served(siege)


def test_a_password_is_not_found_though_it_is_in_the_dictionary(siege: Besieged) -> None:
    words = [f"guess{number}" for number in range(400)] + [PASSWORD]
    dictionary = siege.directory / "words.txt"
    dictionary.write_text("\n".join(words) + "\n")
    said = runs(siege, "svcrack", f"-u{USER}", f"-d{dictionary}", BORDER)
    assert "found nothing" in said, said
    assert muted(siege), siege.sbc.tail()
    answer = siege.ask("bans")
    assert answer["counters"].get("wrong_password", 0) < 50
    assert answer["counters"]
    good_phone_is_served(siege)
