"""A name service as a table, for cores that ask it by value."""

from collections.abc import Mapping, Sequence

from sbc.resolver.locate import Locating
from sbc.resolver.records import Answer, Naptr, Question, Record, Srv
from sbc.routing.location import Located

Zone = Mapping[tuple[str, str], Sequence[Record] | str]
"""Records by name and kind; a text is why nobody answers; what is missing does not exist."""

HOUR_S = 3600.0


def answer_of(zone: Zone, question: Question) -> Answer:
    said = zone.get(question, ())
    if isinstance(said, str):
        return Answer((), HOUR_S, known=False, trouble=said)
    return Answer(tuple(said), HOUR_S)


def asked_and_found(locating: Locating, zone: Zone) -> tuple[list[str], Located]:
    """Run a location to its end: the questions in their order, and what was found."""
    asked: list[str] = []
    try:
        questions = next(locating)
        while True:
            asked += map(str, questions)
            questions = locating.send([answer_of(zone, question) for question in questions])
    except StopIteration as end:
        found: Located = end.value
    return asked, found


def naptr(order: int, service: str, replacement: str, *, preference: int = 50) -> Naptr:
    return Naptr(order, preference, "s", service, "", replacement)


def srv(target: str, priority: int = 0, weight: int = 1, port: int = 5060) -> Srv:
    return Srv(priority, weight, port, target)
