"""A month of a small company's calls, and patterns of toll fraud that are publicly known.

Everything is seeded, so that it is the same month each time.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from random import Random

from sbc.policy.past import Past

MONTH = datetime(2026, 5, 1, tzinfo=UTC).timestamp()
DAY_S = 86_400.0
HOUR_S = 3600.0
DESKS = [f"phone {number}@example.com" for number in range(100, 112)]
CALL_CENTRE = "peer pbx"
HOLIDAYS = frozenset({1, 14, 25})

NUMBERING = {
    "49": "DE", "43": "AT", "41": "CH", "44": "GB", "33": "FR", "1": "US", "81": "JP", "61": "AU",
    "34": "ES", "39": "IT", "31": "NL", "420": "CZ", "48": "PL", "90": "TR", "254": "KE",
    "371": "LV", "224": "GN", "252": "SO", "53": "CU", "960": "MV", "675": "PG", "232": "SL",
    "1876": "JM", "1900": "", "870": "", "881": "", "882": "", "979": "",
}  # fmt: skip


class Numbering:
    """Countries by the longest prefix; kinds are left to the tariffs."""

    def country(self, e164: str) -> str:
        for length in (4, 3, 2, 1):
            if e164[1 : 1 + length] in NUMBERING:
                return NUMBERING[e164[1 : 1 + length]]
        return ""

    def kind(self, e164: str) -> str:
        del e164
        return ""


class Phones:
    """Makes calls, one name for each."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._count = 0

    def call(
        self,
        account: str,
        number: str,
        began: float,
        talked_s: float,
        *,
        rang_s: float = 8.0,
        diverter: str = "",
    ) -> Past:
        """A call; not answered if nobody talked."""
        self._count += 1
        answered = began + rang_s if talked_s > 0 else None
        ended = began + rang_s + talked_s
        name = f"{self._prefix}{self._count}"
        network = "inside" if account.startswith("peer") else "outside"
        return Past(
            name, account, number, began, answered, ended, diverter, network=network,
            trusted=network == "inside", host="198.51.100.7",
        )  # fmt: skip


def a_normal_month(seed: int = 1) -> list[Past]:
    """What an honest company with a dozen desks and a small call centre does."""
    chance, phones = Random(seed), Phones("n")
    calls: list[Past] = []
    for day in range(1, 32):
        weekday = datetime.fromtimestamp(MONTH + (day - 1) * DAY_S, UTC).weekday()
        begin = MONTH + (day - 1) * DAY_S
        if weekday >= 5 or day in HOLIDAYS:
            calls += _emergency_duty(chance, phones, begin)
            continue
        for desk in DESKS:
            calls += _desk(chance, phones, desk, begin)
        calls += _call_centre(chance, phones, begin)
        calls += _came_in(chance, phones, begin)
        calls += _export_desk(chance, phones, begin, day)
    return sorted(calls, key=lambda call: call.began)


def _germany(chance: Random) -> str:
    return f"+49{chance.choice(['30', '89', '40', '151', '172'])}{chance.randrange(10**6, 10**7)}"


def _desk(chance: Random, phones: Phones, desk: str, day: float) -> Iterator[Past]:
    """A dozen calls one after the other in office hours; some abroad, some not answered."""
    at = day + chance.uniform(7.0, 9.0) * HOUR_S
    while at < day + 17 * HOUR_S:
        number = _germany(chance)
        if chance.random() < 0.06:
            country = chance.choice(
                ["4366", "4144", "4420", "331", "1212", "349", "3906", "3120", "4202", "4822"]
            )
            number = f"+{country}{chance.randrange(10**7, 10**8)}"
        talked_s = 0.0 if chance.random() < 0.2 else chance.expovariate(1 / 180.0)
        call = phones.call(desk, number, at, talked_s)
        yield call
        at = call.ended + chance.expovariate(1 / 1500.0)


def _call_centre(chance: Random, phones: Phones, day: float) -> Iterator[Past]:
    """A dialler behind the PBX that keeps three agents talking: many at once, many short ones."""
    for agent in range(3):
        at = day + 9 * HOUR_S + agent * 7
        while at < day + 16 * HOUR_S:
            draw = chance.random()
            talked_s = 0.0 if draw < 0.4 else 4.0 if draw < 0.5 else chance.expovariate(1 / 120.0)
            call = phones.call(CALL_CENTRE, _germany(chance), at, talked_s, rang_s=15.0)
            yield call
            at = call.ended + chance.uniform(5, 30)


def _came_in(chance: Random, phones: Phones, day: float) -> Iterator[Past]:
    """Customers who call; some hang up before anybody answers, and are called back."""
    for _ in range(30):
        at = day + chance.uniform(8, 16) * HOUR_S
        number = _germany(chance)
        answered = chance.random() < 0.8
        yield phones.call("", number, at, 120.0 if answered else 0.0, rang_s=20.0)
        if not answered:
            yield phones.call(chance.choice(DESKS), number, at + 1200, 90.0)


def _export_desk(chance: Random, phones: Phones, day: float, number: int) -> Iterator[Past]:
    """One user deals with the world: Japan early, America late, a supplier in Kenya."""
    export = "user export"
    yield phones.call(export, f"+813{chance.randrange(10**7, 10**8)}", day + 6 * HOUR_S, 900.0)
    yield phones.call(export, f"+1415{chance.randrange(10**6, 10**7)}", day + 19 * HOUR_S, 1500.0)
    yield phones.call(export, f"+61{chance.randrange(10**8, 10**9)}", day + 5.5 * HOUR_S, 600.0)
    if number % 3 == 0:
        yield phones.call(export, "+254201234567", day + 10 * HOUR_S, 300.0)
    if number % 5 == 0:
        yield phones.call(export, "+902125551234", day + 11 * HOUR_S, 1200.0)


def _emergency_duty(chance: Random, phones: Phones, day: float) -> Iterator[Past]:
    """At week-ends somebody is on duty, whose calls are forwarded to a mobile phone."""
    for _ in range(3):
        at = day + chance.uniform(0, 24) * HOUR_S
        diverter = f"{CALL_CENTRE} forwarding 100"
        yield phones.call(CALL_CENTRE, "+491721234567", at, 240.0, diverter=diverter)


NIGHT = MONTH + 16 * DAY_S + 2 * HOUR_S
"""Sunday, two o'clock."""


def irsf_blast() -> list[Past]:
    """A stolen password: parallel long calls at night to numbers of one range."""
    phones = Phones("f")
    return [phones.call(DESKS[3], f"+25261{500000 + n}", NIGHT + 5 * n, 3000.0) for n in range(40)]


def slow_drip() -> list[Past]:
    """One call after the other, in daytime, so that no rate is noticed."""
    phones = Phones("f")
    day = MONTH + 11 * DAY_S + 9 * HOUR_S
    return [
        phones.call(DESKS[4], f"+224{620000000 + 7 * n}", day + n * 1800, 1500.0) for n in range(16)
    ]


def premium_dialler() -> list[Past]:
    """A phone that dials a premium service again and again."""
    phones = Phones("f")
    return [phones.call(DESKS[5], "+19005551234", NIGHT + 700 * n, 600.0) for n in range(10)]


def satellite() -> list[Past]:
    """Calls to satellite phones."""
    phones = Phones("f")
    numbers = ["+870773123456", "+881612345678", "+88216123456"]
    return [phones.call("user export", n, NIGHT + 60 * i, 900.0) for i, n in enumerate(numbers)]


def wangiri() -> list[Past]:
    """Missed calls from abroad, and curious colleagues who call back."""
    phones = Phones("f")
    day = MONTH + 12 * DAY_S + 10 * HOUR_S
    lures = [phones.call("", "+2327612345", day + n, 0.0, rang_s=2.0) for n in range(6)]
    back = [phones.call(DESKS[n], "+2327612345", day + 600 + 300 * n, 400.0) for n in range(6)]
    return lures + back


def hacked_voicemail() -> list[Past]:
    """Callers from outside have a mailbox of the PBX forward them to a dear destination."""
    phones = Phones("f")
    diverter = f"{CALL_CENTRE} forwarding 107"
    return [
        phones.call(CALL_CENTRE, f"+5352{n:06}", NIGHT + 40 * n, 3600.0, diverter=diverter)
        for n in range(20)
    ]


def forwards_in_parallel() -> list[Past]:
    """The same with numbers that no table calls risky, only dear."""
    phones = Phones("f")
    diverter = f"{CALL_CENTRE} forwarding 107"
    return [
        phones.call(CALL_CENTRE, f"+254{700000000 + n}", NIGHT + 20 * n, 3600.0, diverter=diverter)
        for n in range(20)
    ]


def number_scan() -> list[Past]:
    """Short calls to many numbers of a range, to see which of them pays."""
    phones = Phones("f")
    return [
        phones.call(DESKS[6], f"+371{26000000 + 13 * n}", NIGHT + 45 * n, 6.0) for n in range(30)
    ]


FRAUD = {
    "IRSF blast at night": irsf_blast,
    "slow drip by day": slow_drip,
    "premium dialler": premium_dialler,
    "satellite": satellite,
    "Wangiri": wangiri,
    "hacked voicemail": hacked_voicemail,
    "forwards in parallel": forwards_in_parallel,
    "number scan": number_scan,
}
