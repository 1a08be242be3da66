"""Crowds of honest users behind one address with an attacker: nobody of them loses anything."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.attack.neighbourhood import Neighbourhood
from tests.kit.crowd import Crowd, Line
from tests.kit.hosts import Lab, missing_for_namespaces
from tests.kit.patience import PATIENCE_S

pytestmark = pytest.mark.interop
STARTS_PER_S = 12.0
"""Phones that start in a second. They send twice as many messages, and strangers may send 40."""
FLOOD_PER_S = 300

Make = Callable[..., Neighbourhood]


@pytest.fixture
def neighbourhood(tmp_path: Path) -> Iterator[Make]:
    missing = missing_for_namespaces("nft", "svwar", "svcrack")
    if missing is not None:
        pytest.skip(missing)
    with Lab(tmp_path) as lab:
        yield lambda **how: Neighbourhood(lab, tmp_path, **how)


@pytest.mark.parametrize(("users", "six"), [(500, False), (200, True)], ids=["a NAT", "a /64"])
def test_no_user_loses_a_registration_or_a_call_to_an_attacker_at_the_same_address(
    neighbourhood: Make, users: int, six: bool
) -> None:
    hood = neighbourhood(users=users, six=six)
    lasts_s = users / STARTS_PER_S + 20
    with Crowd() as crowd:
        hood.people(crowd)
        flood = hood.attacks("flood", rate=FLOOD_PER_S, seconds=lasts_s)
        guesser = hood.attacks("guess", seconds=lasts_s)
        if not six:
            hood.scans()
        crowd.will("register", "call", "register", per_s=STARTS_PER_S, then_after_s=8.0)
        crowd.goes_on(lambda: crowd.at_rest, within_s=lasts_s + PATIENCE_S, what="all have called")
        assert crowd.failures() == []
        assert {(user.registered, user.called) for user in crowd.users} == {(2, 1)}
    status, bans = hood.status(), hood.bans()
    flood.wait(within_s=PATIENCE_S)
    guesser.wait(within_s=PATIENCE_S)
    assert guesser.output == ""
    # Of the attacker next to nothing was read, and nobody was shut out for him.
    assert bans["bans"] == []
    assert 0 < bans["counters"]["wrong_password"] < 50
    asked_by_users = users * 9
    assert status["received"]["messages"] - status["received"]["dropped_rate"] < (
        asked_by_users + FLOOD_PER_S * lasts_s / 10
    )
    hood.stop()


BEFORE, AFTER = 70, 30
"""Users who are connected when the attack begins, and who come while it goes on."""
CONNECTED_PER_S = 4.0
"""Users in a second who call, or come new."""
ATTACKED_S = 40.0
IN = {"connect": AFTER * 2 // 3, "hello": AFTER // 3}
"""How many of the new users must be in by the end, each of whom tries once in a second.

Of an address 200 connections are taken in a second: beside 3500 in a second that say hello every
17th try of a user succeeds, and half of the users are in after a quarter of a minute.
"""


@pytest.mark.parametrize("attack", ["connect", "hello"])
def test_connections_are_untouched_by_those_of_an_attacker_and_new_users_get_in(
    neighbourhood: Make, attack: str
) -> None:
    hood = neighbourhood(users=BEFORE + AFTER, secure=True)
    with Crowd() as crowd:
        hood.people(crowd)
        old, new = crowd.lines[:BEFORE], crowd.lines[BEFORE:]
        crowd.will("connect", per_s=STARTS_PER_S, last=BEFORE)
        crowd.goes_on(lambda: all(map(is_in, old)), within_s=PATIENCE_S, what="those before are in")
        attacker = hood.attacks(attack, seconds=ATTACKED_S, ports=500)
        hood.until(lambda: hood.status()["transport"]["refused_rate"], "the attack is felt")
        crowd.will("call", "register", per_s=CONNECTED_PER_S, last=BEFORE)
        crowd.will("connect", per_s=CONNECTED_PER_S, first=BEFORE)
        crowd.goes_on(
            lambda: all(map(is_done, old)) and sum(map(is_in, new)) >= IN[attack],
            within_s=ATTACKED_S,
            what="new users are in",
        )
        assert attacker.running
        # Whoever had a connection has it still, and noticed nothing.
        assert crowd.failures() == []
        assert {line.attempts for line in old} == {1}
        assert sum(line.lost for line in crowd.lines) == 0
    status = hood.status()["transport"]
    assert status["displaced_unproven"] > 0
    assert status["accepted"] < status["refused_rate"]
    hood.stop()


def is_done(line: Line) -> bool:
    return (line.user.registered, line.user.called) == (2, 1)


def is_in(line: Line) -> bool:
    return bool(line.user.registered)
