"""The ledger: what calls cost, how many there are and whereto, for each account that makes them.

An account is whoever pays for a call: an authenticated user, a registered phone, a peer, or a
stranger's address; a call that was forwarded is counted for the party that forwarded it, too. A
call is counted from its begin on, so that calls that are set up at once see each other.

Times are seconds since 1970, amounts are in the currency of the tariffs.
"""

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from sbc.policy.accounts import FORWARDING, STRANGER, account_of, diverter_of
from sbc.policy.charges import Charge, PastCall, country_of
from sbc.policy.facts import Facts
from sbc.policy.tariffs import FREE, CutOff
from sbc.policy.windows import DAY_S, HOUR_S, Window

MOST_ACCOUNTS: Final = 20_000
MOST_STRANGERS: Final = 2_000
"""Accounts of addresses that nobody knows: they push out each other, nobody else."""
MOST_DIVERTERS: Final = 10_000
"""Accounts of parties that forwarded calls: whoever sends a call names them as it likes, so they
push out each other, nobody else."""
MOST_RISKY_NUMBERS: Final = 64
"""Different numbers that are remembered of one account."""
MOST_MISSED: Final = 10_000
"""Callers from outside that are remembered because nobody answered them."""
SHORT_S: Final = 10.0
"""An answered call that is over sooner is a short one."""
RESERVED_MIN: Final = 1.0
"""Of a live call, how much of what is still to come counts as spent."""
NEW_COUNTRY_S: Final = DAY_S
"""How long a country stays new after the first call to it."""


@dataclass(slots=True)
class _Live:
    charge: Charge
    answered: float | None = None


@dataclass(slots=True)
class Account:
    """What is known of one account."""

    live: dict[str, _Live] = field(default_factory=dict)
    risky: set[str] = field(default_factory=set)
    """Of the live calls, those to risky destinations."""
    hour: Window = field(default_factory=lambda: Window(HOUR_S))
    day: Window = field(default_factory=lambda: Window(DAY_S))
    calls: Window = field(default_factory=lambda: Window(HOUR_S))
    short: Window = field(default_factory=lambda: Window(HOUR_S))
    failed: Window = field(default_factory=lambda: Window(HOUR_S))
    numbers: dict[str, float] = field(default_factory=dict)
    """Risky numbers, with when each was called last."""
    countries: dict[str, float] = field(default_factory=dict)
    """When each country was called first."""
    burn: float = 0.0
    """What a minute of all answered calls costs."""
    reserved: float = 0.0
    accrued: float = 0.0
    """Until when what they cost is in the windows."""

    def accrue(self, now: float) -> None:
        """Bring the windows up to date with what live calls cost."""
        begin, self.accrued = self.accrued, max(now, self.accrued)
        if self.burn and now > begin:
            self._spend(begin, now, self.burn * (now - begin) / 60.0)

    def begin(self, call: str, charge: Charge, now: float) -> None:
        """A call rings."""
        self.live[call] = _Live(charge)
        self.calls.add(now, 1.0)
        self.reserved += charge.price.of(RESERVED_MIN)
        self._note_destination(charge, now)
        if charge.risk:
            self.risky.add(call)

    def answer(self, call: str, now: float) -> None:
        """A live call was answered."""
        one = self.live[call]
        self.accrue(now)
        one.answered = now
        price = one.charge.price
        self.burn += price.per_minute
        self.reserved -= price.connect
        self._spend(now, now, price.connect)

    def end(self, call: str, now: float) -> _Live:
        """A live call is over; what it was."""
        self.accrue(now)
        one = self.live.pop(call)
        self.risky.discard(call)
        price = one.charge.price
        self.reserved -= price.per_minute * RESERVED_MIN
        if one.answered is None:
            self.reserved -= price.connect
        else:
            self.burn -= price.per_minute
        if not self.live:
            # Nothing of rounding may be left.
            self.burn = self.reserved = 0.0
        return one

    def record(self, past: PastCall) -> None:
        """Count a call that is over already."""
        charge, answered = past.charge, past.answered
        self.calls.add(past.began, 1.0)
        self._note_destination(charge, past.began)
        if answered is not None:
            self._spend(answered, answered, charge.price.connect)
            minutes = max(past.ended - answered, 0.0) / 60.0
            self._spend(answered, past.ended, charge.price.per_minute * minutes)
        self.judge_length(answered, past.ended)

    def judge_length(self, answered: float | None, ended: float) -> None:
        """Count a call that is over among those that failed, or were short."""
        if answered is None:
            self.failed.add(ended, 1.0)
        elif ended - answered < SHORT_S:
            self.short.add(ended, 1.0)

    def risky_numbers(self, now: float) -> int:
        """Different risky numbers of the last hour."""
        return sum(at > now - HOUR_S for at in self.numbers.values())

    def is_new(self, country: str, now: float) -> bool:
        """Whether a country was not called before, or first not long ago."""
        return now - self.countries.get(country, now) < NEW_COUNTRY_S

    def _spend(self, begin: float, end: float, amount: float) -> None:
        if amount:
            self.hour.spread(begin, end, amount)
            self.day.spread(begin, end, amount)

    def _note_destination(self, charge: Charge, now: float) -> None:
        if charge.country:
            first = self.countries.get(charge.country, now)
            self.countries[charge.country] = min(first, now)
        if charge.risk:
            last = max(now, self.numbers.pop(charge.number, now))
            self.numbers[charge.number] = last
            if len(self.numbers) > MOST_RISKY_NUMBERS:
                del self.numbers[next(iter(self.numbers))]


_NOTHING: Final = Account()


class _Table(OrderedDict[str, Account]):
    """Accounts by their names, the one used last at the end."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = most


class Ledger:
    """The accounts of one process: the `Counters` that decisions ask. Bounded."""

    __slots__ = ("_answered", "_calls", "_diverters", "_known", "_missed", "_strangers",
                 "evicted")  # fmt: skip

    def __init__(
        self,
        most: int = MOST_ACCOUNTS,
        most_strangers: int = MOST_STRANGERS,
        most_diverters: int = MOST_DIVERTERS,
    ) -> None:
        """Nobody called yet.

        Args:
            most: Accounts of users, phones and peers; those beyond that called longest ago go.
            most_strangers: Accounts of addresses that nobody knows.
            most_diverters: Accounts of parties that forwarded calls.
        """
        self._known = _Table(most)
        self._strangers = _Table(most_strangers)
        self._diverters = _Table(most_diverters)
        self._calls: dict[str, Charge] = {}
        self._answered: set[str] = set()
        self._missed: OrderedDict[str, float] = OrderedDict()
        self.evicted = 0
        """Accounts that were forgotten for want of room."""

    def __len__(self) -> int:
        return sum(map(len, self._tables))

    @property
    def _tables(self) -> tuple["_Table", ...]:
        return self._known, self._strangers, self._diverters

    @property
    def live(self) -> dict[str, Charge]:
        """What is counted for each live call."""
        return dict(self._calls)

    def accounts(self) -> Iterator[tuple[str, Account]]:
        """Every account, by its name."""
        for table in self._tables:
            yield from table.items()

    # -- calls ------------------------------------------------------------------------------

    def begin(self, call: str, charge: Charge, now: float) -> None:
        """A call is set up. Each call begins once."""
        self._calls[call] = charge
        for name in _payers(charge):
            self._account(name).begin(call, charge, now)

    def answered(self, call: str, now: float) -> None:
        """It was answered; what is not known is nothing to do."""
        if call in self._calls and call not in self._answered:
            self._answered.add(call)
            for account in self._of(call):
                account.answer(call, now)

    def ended(self, call: str, now: float) -> None:
        """It is over; what is not known is nothing to do."""
        charge, answered = self._end(call, now)
        if charge is not None and not answered:
            self._note_missed(charge, now)

    def undo(self, call: str, now: float) -> None:
        """It was none: who called was only asked for a password."""
        self._end(call, now, counts=False)

    def _end(self, call: str, now: float, *, counts: bool = True) -> tuple[Charge | None, bool]:
        """End a call with its accounts: what it was, and whether it was answered."""
        answered = call in self._answered
        self._answered.discard(call)
        for account in self._of(call):
            one = account.end(call, now)
            if counts:
                account.judge_length(one.answered, now)
            else:
                account.calls.add(now, -1.0)
        return self._calls.pop(call, None), answered

    def record(self, past: PastCall) -> None:
        """Count a call of before: from records, in any order."""
        for name in _payers(past.charge):
            self._account(name).record(past)
        if past.answered is None:
            self._note_missed(past.charge, past.ended)

    # -- what decisions ask -----------------------------------------------------------------

    def count(self, what: str, facts: Facts) -> float:
        """The value of a counter for whoever sends a request; see `sbc.policy.money_facts`."""
        now = facts.now
        if what == "calls_back":
            missed = self._missed.get(facts.called_number)
            return float(missed is not None and now - missed < DAY_S)
        if what.startswith("diverter_"):
            account, what = self._find(diverter_of(facts)), what.removeprefix("diverter_")
            what = "live_calls" if what == "calls" else what
        else:
            account = self._find(account_of(facts))
        if what == "new_country":
            country = country_of(facts)
            return float(bool(country) and account.is_new(country, now))
        return self.value(account, what, now)

    def value(self, account: Account, what: str, now: float) -> float:
        """The value of a counter of an account.

        Raises:
            KeyError: there is no such counter.
        """
        if what == "live_calls":
            return float(len(account.live))
        if what == "risky_calls":
            return float(len(account.risky))
        if what == "risky_numbers":
            return float(account.risky_numbers(now))
        account.accrue(now)
        window = {
            "spend_hour": account.hour,
            "spend_day": account.day,
            "calls_hour": account.calls,
            "short_calls": account.short,
            "failed_calls": account.failed,
        }[what]
        return window.sum(now) + (account.reserved if what.startswith("spend") else 0.0)

    def overdrawn(self, limits: CutOff, now: float) -> list[tuple[str, str, float]]:
        """The live calls that cost something, of accounts that spent more than they may.

        Returns:
            Of each its name, its account, and what that spent in the hour or day.
        """
        spent: dict[str, float | None] = {}
        found = []
        for call, charge in self._calls.items():
            if charge.price == FREE:
                continue
            for name in _payers(charge):
                if name not in spent:
                    spent[name] = self._excess(self._find(name), limits, now)
                amount = spent[name]
                if amount is not None:
                    found.append((call, name, amount))
                    break
        return found

    def _excess(self, account: Account, limits: CutOff, now: float) -> float | None:
        """What an account spent, if that is more than it may."""
        for what, most in (("spend_hour", limits.hour), ("spend_day", limits.day)):
            amount = self.value(account, what, now)
            if most is not None and amount > most:
                return amount
        return None

    # -- accounts ---------------------------------------------------------------------------

    def _of(self, call: str) -> list[Account]:
        charge = self._calls.get(call)
        return [] if charge is None else [self._account(name) for name in _payers(charge)]

    def _table(self, name: str) -> "_Table":
        if FORWARDING in name:
            return self._diverters
        return self._strangers if name.startswith(STRANGER) else self._known

    def _find(self, name: str) -> Account:
        return self._table(name).get(name, _NOTHING)

    def _account(self, name: str) -> Account:
        """The account of a name, made where there is none; the one not used longest makes room.

        Accounts with live calls stay, so that no call is forgotten while it costs money.
        """
        table = self._table(name)
        account = table.get(name)
        if account is not None:
            table.move_to_end(name)
            return account
        for _ in range(max(0, len(table) - table.most + 1)):
            oldest = next(iter(table))
            if table[oldest].live:
                table.move_to_end(oldest)
            else:
                del table[oldest]
                self.evicted += 1
        account = table[name] = Account()
        return account

    def _note_missed(self, charge: Charge, now: float) -> None:
        if charge.account or not charge.number.startswith("+"):
            return
        self._missed[charge.number] = max(now, self._missed.pop(charge.number, now))
        if len(self._missed) > MOST_MISSED:
            self._missed.popitem(last=False)


def _payers(charge: Charge) -> list[str]:
    return [name for name in (charge.account, charge.diverter) if name]
