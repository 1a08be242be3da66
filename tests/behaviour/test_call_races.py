"""Whatever crosses, is lost, doubled or late: a call ends clean on both sides, with one record.

Two phones with the border between them, everything without I/O. Each case lets something happen at
one moment of a call, or two things at two, and does something terrible to one datagram. In the
end nothing may be left: no call, transaction, port, stream, place in a cap; both phones idle; one
record for each call; nothing told to one side about the other.
"""

import os
import random
from collections.abc import Iterator, Mapping
from itertools import product

import pytest

from sbc.routing.failover import DEFAULT_FAILOVER
from sbc.routing.model import Timers
from tests.kit.pair import Pair
from tests.kit.phone_writing import Habits
from tests.kit.terrible_network import Fate

HANG_UPS: Mapping[float, str] = {20.0: "caller.bye", 21.0: "callee.bye", 22.0: "backup.bye"}
"""What ends every story that nothing else has ended."""

HABITS = {
    "plain": (Habits(), Habits()),
    "early media": (Habits(), Habits(early_media=True, rings=(183, 180))),
    "late offer": (Habits(late_offer=True), Habits(late_offer=True)),
    "silent until the answer": (Habits(), Habits(rings=(100,))),
    "busy": (Habits(), Habits(status=486)),
    "the first PBX fails": (Habits(), Habits(status=503)),
    "slow re-INVITEs": (Habits(), Habits(reinvite_delay_s=0.05)),
    "refuses re-INVITEs": (Habits(), Habits(reinvite_status=488, update_status=488)),
    "both challenge": (Habits(challenges=True), Habits(challenges=True)),
}
DEEDS = (
    *("caller.cancel", "caller.bye", "caller.reinvite", "caller.update", "caller.hold"),
    *("callee.bye", "callee.reinvite", "callee.update", "callee.info"),
    *("callee.answer", "callee.fail", "callee.ring", "caller.cancel-reinvite"),
)
MOMENTS_S = (0.005, 0.015, 0.025, 0.045, 0.115, 0.125, 0.135, 0.145, 0.155, 0.5)
"""Before and after each of the messages of an ordinary call, which is up after 0.14 s."""

PASSED_OVER = Timers(ring_s=0.1)
LATE_DEEDS = ("callee.answer", "callee.ring", "callee.fail", "caller.cancel", "backup.bye")
LATE_MOMENTS_S = (0.05, 0.085, 0.095, 0.105, 0.115, 0.125, 0.135, 0.2, 0.25, 0.5)
"""About 0.1 s, when the first PBX has not rung and the second is tried."""


def check(pair: Pair, script: Mapping[float, str]) -> None:
    pair.run({**HANG_UPS, **script})
    faults = pair.faults()
    assert not faults, "\n".join([*faults, *pair.titles()])


@pytest.mark.parametrize("habits", HABITS)
def test_anything_may_happen_at_any_moment(habits: str) -> None:
    for deed, moment in product(DEEDS, MOMENTS_S):
        check(Pair(*HABITS[habits]), {moment: deed})


@pytest.mark.parametrize("fate", [Fate.DROP, Fate.DUPLICATE, Fate.REORDER])
@pytest.mark.parametrize("habits", HABITS)
def test_each_message_of_a_call_may_be_lost_doubled_or_late(habits: str, fate: Fate) -> None:
    usual = Pair(*HABITS[habits]).run({0.5: "callee.reinvite", **HANG_UPS})
    for number in range(len(usual.network.record)):
        check(Pair(*HABITS[habits], fates={number: fate}), {0.5: "callee.reinvite"})


@pytest.mark.parametrize("second", ["caller.bye", "callee.bye", "caller.reinvite", "caller.cancel"])
def test_two_things_may_cross(second: str) -> None:
    for first, moment, gap in product(DEEDS, (0.115, 0.135, 0.5), (-0.012, 0.0, 0.008)):
        script = {moment: first, moment + gap + 0.0001: second}
        check(Pair(*HABITS["slow re-INVITEs"]), script)


@pytest.mark.parametrize("habits", HABITS)
def test_a_call_that_is_restored_at_every_step_says_the_same(habits: str) -> None:
    for number, (deed, moment) in enumerate(product(DEEDS, MOMENTS_S)):
        fates = {number % 12: (Fate.DROP, Fate.DUPLICATE, Fate.REORDER, Fate.PASS)[number % 4]}
        says_the_same_restored(HABITS[habits], {moment: deed}, fates)


def test_a_call_that_passed_a_pbx_over_says_the_same_when_restored() -> None:
    habits = Habits(rings=(), answers_after_s=None)
    for deed, moment in product(LATE_DEEDS, LATE_MOMENTS_S):
        says_the_same_restored((Habits(), habits), {moment: deed}, {}, timers=PASSED_OVER)


def test_a_pbx_that_kept_still_may_say_anything_at_any_moment() -> None:
    silent = Habits(trying=False, rings=(), answers_after_s=None)
    tried_after_s = DEFAULT_FAILOVER.timeout_s - 0.1
    for deed, moment in product(LATE_DEEDS, LATE_MOMENTS_S):
        script = {tried_after_s + moment: deed}
        check(Pair(callee=silent), script)
        says_the_same_restored((Habits(), silent), script, {})
    usual = Pair(callee=silent).run(HANG_UPS)
    assert "border>backup INVITE" in usual.titles()
    assert "border>callee CANCEL" not in usual.titles()


def says_the_same_restored(
    habits: tuple[Habits, Habits],
    script: Mapping[float, str],
    fates: Mapping[int, Fate],
    timers: Timers | None = None,
) -> None:
    script = {**HANG_UPS, **script}
    left_alone = Pair(*habits, fates=fates, timers=timers).run(script)
    restored = Pair(*habits, fates=fates, timers=timers, restores=True).run(script)
    assert restored.border.restored
    assert restored.network.record == left_alone.network.record, script
    assert not restored.faults(), script


def test_a_pbx_that_was_passed_over_may_say_anything_at_any_moment() -> None:
    habits = Habits(rings=(), answers_after_s=None)
    for deed, moment in product(LATE_DEEDS, LATE_MOMENTS_S):
        check(Pair(callee=habits, timers=PASSED_OVER), {moment: deed})
    usual = Pair(callee=habits, timers=PASSED_OVER).run(HANG_UPS)
    assert "border>callee CANCEL" in usual.titles()
    assert "border>backup INVITE" in usual.titles()
    for fate, number in product(Fate, range(len(usual.network.record))):
        fates = {number: fate}
        check(Pair(callee=habits, timers=PASSED_OVER, fates=fates), {0.115: "callee.answer"})


def test_the_deeds_do_happen() -> None:
    """The phones are no statues: each deed leaves its mark on the wire."""
    marks = {
        "caller.cancel": (0.05, "caller>border CANCEL"),
        "callee.bye": (0.5, "callee>border BYE"),
        "caller.reinvite": (0.5, "border>callee INVITE"),
        "callee.reinvite": (0.5, "border>caller INVITE"),
        "caller.update": (0.5, "border>callee UPDATE"),
        "callee.info": (0.5, "border>caller INFO"),
        "callee.fail": (0.05, "border>backup INVITE"),
    }
    for deed, (moment, mark) in marks.items():
        assert mark in Pair().run({moment: deed, **HANG_UPS}).titles(), deed


def test_challenges_are_answered_on_their_own_leg() -> None:
    pair = Pair(*HABITS["both challenge"])
    pair.run({0.5: "caller.reinvite", 0.7: "callee.reinvite", 0.9: "callee.info", **HANG_UPS})
    asked = [title for title in pair.titles() if title.split(" ")[1] == "407"]
    assert asked == [
        "callee>border 407 INVITE",
        "callee>border 407 INVITE",
        "caller>border 407 INVITE",
        "caller>border 407 INFO",
        "callee>border 407 BYE",
    ]
    assert pair.caller.rejected == pair.callee.rejected == []


def test_both_legs_reinvite_at_once_and_both_hear_491() -> None:
    pair = Pair(*HABITS["slow re-INVITEs"])
    pair.run({0.5: "caller.reinvite", 0.5001: "callee.reinvite", **HANG_UPS})
    assert pair.caller.rejected == [491]
    assert pair.callee.rejected == [491]
    assert not pair.faults()


def random_pair(seed: int) -> tuple[Pair, dict[float, str]]:
    """Phones with random habits on a random network, and what they do."""
    chance = random.Random(seed)
    caller = Habits(
        late_offer=chance.random() < 0.2,
        acks=chance.random() > 0.1,
        answers_bye=chance.random() > 0.05,
        challenges=chance.random() < 0.2,
    )
    callee = Habits(
        rings=chance.choice([(180,), (183, 180), (100,)]),
        early_media=chance.random() < 0.4,
        answers_after_s=chance.choice([0.0, 0.1, 0.1, None]),
        status=chance.choice([200] * 6 + [486, 503, 404]),
        reinvite_status=chance.choice([200, 200, 488, 491, 481]),
        reinvite_delay_s=chance.choice([0, 0.05, 1.0]),
        late_offer=chance.random() < 0.3,
        acks=chance.random() > 0.05,
        answers_bye=chance.random() > 0.1,
        trying=chance.random() > 0.2,
        challenges=chance.random() < 0.2,
    )
    pair = Pair(
        caller,
        callee,
        seed=seed,
        drop=chance.choice([0, 0.05, 0.2]),
        duplicate=chance.choice([0, 0.1]),
        delay_s=chance.choice([(0.01, 0.01), (0.001, 0.2), (0.01, 1.5)]),
        restores=chance.random() < 0.1,
        timers=Timers(no_answer_s=15, ring_s=5),
    )
    script = {
        round(chance.choice([chance.uniform(0, 0.3), chance.uniform(0, 5)]), 4): chance.choice(
            DEEDS
        )
        for _ in range(chance.randint(0, 5))
    }
    return pair, script


def seeds() -> Iterator[int]:
    """120 ordinarily; from SBC_RACE_SEED as many as SBC_RACES says for a long run."""
    first = int(os.environ.get("SBC_RACE_SEED", "1"))
    return iter(range(first, first + int(os.environ.get("SBC_RACES", "120"))))


def test_bad_phones_on_a_bad_network_leave_nothing_behind() -> None:
    for seed in seeds():
        pair, script = random_pair(seed)
        pair.run({40.0: "caller.bye", 41.0: "callee.bye", 42.0: "backup.bye", **script})
        faults = pair.faults()
        assert not faults, "\n".join([f"seed {seed}: {script}", *faults, *pair.titles()])
