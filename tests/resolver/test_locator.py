"""The places of the configuration's names, kept up to date beside everything else."""

import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from sbc.resolver.locator import Locator
from sbc.resolver.records import Answer, Question
from sbc.routing.location import Destination, Located, Locations, Reach
from sbc.routing.model import Place, Target
from tests.resolver.zone import Zone, srv

UDP4: Reach = (("udp", 4),)
PBX = Destination("inside", Target("pbx.example", 5060))
SPARE = Destination("inside", Target("spare.example", 5060))
TRUNK = Destination("outside", Target("trunk.example", None, "udp"))
ONE = Place("192.0.2.1", 5060, "udp")
TWO = Place("192.0.2.2", 5060, "udp")
SINCE = " (since 10:04)"


class Names:
    """A name service whose answers hold for a minute, and which may be slow or silent."""

    def __init__(self, zone: Zone) -> None:
        self.zone = dict(zone)
        self.asked: list[str] = []
        self.hang: set[str] = set()

    async def ask(self, question: Question) -> Answer:
        self.asked.append(str(question))
        if question.name in self.hang:
            await trio.sleep_forever()
        await trio.lowlevel.checkpoint()
        said = self.zone.get(question, ())
        until = trio.current_time() + 60
        if isinstance(said, str):
            return Answer((), until, known=False, trouble=said)
        return Answer(tuple(said), until)


class Heard:
    def __init__(self, names: Names, *destinations: Destination) -> None:
        self.changes: list[Locations] = []
        self.troubles: list[tuple[str, str]] = []
        self.locator = Locator(
            names.ask,
            on_change=self.changes.append,
            on_trouble=lambda one, why: self.troubles.append((str(one), why)),
            time_of_day=lambda: "10:04",
        )
        self.watch(*destinations)

    def watch(self, *destinations: Destination) -> None:
        self.locator.watch(dict.fromkeys(destinations, UDP4))

    def places(self, destination: Destination) -> tuple[Place, ...]:
        return self.locator.known.get(destination, Located()).places


async def test_a_name_is_located_at_the_start_and_again_when_its_answers_are_over(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    names = Names({("pbx.example", "A"): ["192.0.2.1"]})
    heard = Heard(names, PBX)
    nursery.start_soon(heard.locator.run)
    await heard.locator.settled()
    assert heard.changes == [{PBX: Located((ONE,))}]
    names.zone["pbx.example", "A"] = ["192.0.2.2"]
    await trio.sleep(58)
    assert heard.places(PBX) == (ONE,)
    await trio.sleep(3)
    assert heard.changes[1:] == [{PBX: Located((TWO,))}]


async def test_what_is_behind_srv_records_is_followed_too(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    names = Names(
        {
            ("_sip._udp.trunk.example", "SRV"): [srv("one.example", port=5070)],
            ("one.example", "A"): ["192.0.2.1"],
        }
    )
    heard = Heard(names, TRUNK)
    nursery.start_soon(heard.locator.run)
    await heard.locator.settled()
    assert heard.places(TRUNK) == (Place("192.0.2.1", 5070, "udp", 0, 1, "one.example"),)


async def test_a_name_that_nobody_answers_for_holds_up_no_other(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    names = Names({("spare.example", "A"): ["192.0.2.2"]})
    names.hang.add("pbx.example")
    heard = Heard(names, PBX, SPARE)
    nursery.start_soon(heard.locator.run)
    await trio.sleep(0.1)
    assert heard.locator.known == {SPARE: Located((TWO,))}
    with trio.move_on_after(60) as waiting:
        await heard.locator.settled()
    assert waiting.cancelled_caught


async def test_what_becomes_known_together_is_told_once(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    names = Names({("pbx.example", "A"): ["192.0.2.1"], ("spare.example", "A"): ["192.0.2.2"]})
    heard = Heard(names, PBX, SPARE)
    nursery.start_soon(heard.locator.run)
    await heard.locator.settled()
    assert heard.changes == [{PBX: Located((ONE,)), SPARE: Located((TWO,))}]


async def test_trouble_is_told_when_it_begins_and_ends_and_says_since_when(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    names = Names({("pbx.example", "A"): "no answer"})
    heard = Heard(names, PBX)
    nursery.start_soon(heard.locator.run)
    await heard.locator.settled()
    assert heard.locator.known == {PBX: Located((), "no answer" + SINCE)}
    await trio.sleep(180)
    assert heard.troubles == [("pbx.example:5060 on inside", "no answer")]
    assert heard.locator.troubled == {PBX: "no answer" + SINCE}
    names.zone["pbx.example", "A"] = ["192.0.2.1"]
    await trio.sleep(61)
    assert heard.troubles[1:] == [("pbx.example:5060 on inside", "")]
    assert heard.locator.known == {PBX: Located((ONE,))}
    assert heard.changes[-1] == heard.locator.known


async def test_another_order_of_the_same_addresses_is_no_change(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    names = Names({("pbx.example", "A"): ["192.0.2.1", "192.0.2.2"]})
    heard = Heard(names, PBX)
    nursery.start_soon(heard.locator.run)
    await heard.locator.settled()
    names.zone["pbx.example", "A"] = ["192.0.2.2", "192.0.2.1"]
    await trio.sleep(61)
    assert names.asked == ["A of pbx.example"] * 2
    assert heard.changes == [{PBX: Located((ONE, TWO))}]


async def test_a_reload_locates_new_names_at_once_and_forgets_old_ones(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    names = Names({("pbx.example", "A"): "no answer", ("spare.example", "A"): ["192.0.2.2"]})
    heard = Heard(names, PBX)
    nursery.start_soon(heard.locator.run)
    await heard.locator.settled()
    heard.watch(SPARE)
    assert heard.locator.troubled == {}
    await heard.locator.settled()
    assert heard.locator.known == {SPARE: Located((TWO,))}
    asked = len(names.asked)
    await trio.sleep(61)
    assert names.asked[asked:] == ["A of spare.example"]


async def test_a_name_that_was_dropped_while_it_was_asked_for_stays_forgotten(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    names = Names({("spare.example", "A"): ["192.0.2.2"]})
    names.hang.add("pbx.example")
    heard = Heard(names, PBX)
    nursery.start_soon(heard.locator.run)
    await wait_all_tasks_blocked()
    heard.watch(SPARE)
    names.hang.clear()
    heard.watch(SPARE, PBX)
    await heard.locator.settled()
    assert names.asked.count("A of pbx.example") == 2
    assert heard.places(SPARE) == (TWO,)


async def test_without_names_there_is_nothing_to_wait_for(autojump_clock: MockClock) -> None:
    await Heard(Names({})).locator.settled()
