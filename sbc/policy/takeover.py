"""Has somebody else registered as this phone? What changes of a registration say of that.

A phone may reboot, get another address, or be upgraded, and people may have two phones: none of
that is held against them. What is told are two signs:

- another device: while a device of the user is live, one registers whose User-Agent is of another
  make than all that the user had, with another instance-id, and from another place than the live
  ones (IPv4: another /24, IPv6: another /64, or another network of ours);
- travel: the user's country changes sooner than anybody travels.

The first one can be held back: the new registration is refused for as long as the old one lives,
or until an operator accepts it. A device whose make or instance-id is known is never refused.

Times are seconds since 1970.
"""

import re
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

from sbc.prefixes import source_key

OnTakeover = Literal["notify", "hold"]

MOST_USERS: Final = 50_000
MOST_DEVICES: Final = 16
"""Of one user; the one seen longest ago is forgotten."""
ACCEPTED_S: Final = 3600.0
"""How long an operator's word waits for the registration that it is about."""
TOLD_AGAIN_S: Final = 600.0
"""How long a registration that is held again and again is told but once."""

_VERSION = re.compile(r"v?[0-9][^ ]*+|\([^()]*+\)")
_LONGEST_AGENT: Final = 256
"""Of a User-Agent, how much tells makes apart: whoever registers wrote it."""


@dataclass(frozen=True, slots=True)
class TakeoverRules:
    """What is done about it."""

    on_takeover: OnTakeover = "notify"
    travel_s: float = 7200.0
    """How soon after one country another one is too soon."""
    where: str = field(default="built in", compare=False)


NOTIFY: Final = TakeoverRules()


class Device(NamedTuple):
    """A device as it registers."""

    host: str
    network: str
    agent: str
    """Its User-Agent; ``""`` for none."""
    instance: str = ""
    country: str = ""
    until: float = 0.0
    """When its registration ends."""

    @property
    def make(self) -> str:
        """Its User-Agent without versions, which upgrades change."""
        agent = self.agent[:_LONGEST_AGENT].replace("/", " ")
        words = _VERSION.sub(" ", agent).lower().split()
        return " ".join(words)

    @property
    def place(self) -> tuple[str, str]:
        """Network and neighbourhood of its address."""
        host = source_key(self.host)
        return self.network, host if ":" in host else host.rpartition(".")[0]


class Finding(NamedTuple):
    """Signs of a takeover."""

    why: str
    """For the person who must act."""
    holds: bool
    """Whether the registration may be held back for it."""


class _User:
    __slots__ = ("devices", "last", "last_at")

    def __init__(self) -> None:
        self.devices: OrderedDict[str, Device] = OrderedDict()
        """By the key of the binding; those that are gone, too."""
        self.last: Device | None = None
        self.last_at = 0.0


class TakeoverGuard:
    """What is known of the devices of every user. Bounded."""

    __slots__ = ("_accepted", "_told", "_users")

    def __init__(self) -> None:
        self._users: OrderedDict[str, _User] = OrderedDict()
        self._accepted: dict[str, float] = {}
        self._told: OrderedDict[tuple[str, bool], float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._users)

    def judge(self, aor: str, device: Device, rules: TakeoverRules, now: float) -> Finding | None:
        """What speaks for a takeover, if a device registers as a user."""
        user = self._users.get(aor)
        if user is None or self._accepted.get(aor, 0.0) > now:
            return None
        known = any(_is_same(device, one) for one in user.devices.values())
        live = [one for one in user.devices.values() if one.until > now]
        if live and not known and all(one.place != device.place for one in live):
            old = live[-1]
            why = f"{_told(device)} registers as {aor}, while {_told(old)} is registered"
            return Finding(why, holds=True)
        last = user.last
        if last is None or not (last.country and device.country):
            return None
        age = now - user.last_at
        if last.country != device.country and age < rules.travel_s:
            why = (
                f"{_told(device)} registers as {aor} from {device.country}, {age / 60:.0f} minutes "
                f"after {_told(last)} did from {last.country}"
            )
            return Finding(why, holds=not known)
        return None

    def registered(self, aor: str, key: str, device: Device, now: float) -> None:
        """A registration of a device was accepted, or refreshed."""
        user = self._users.get(aor)
        if user is None:
            user = self._users[aor] = _User()
            if len(self._users) > MOST_USERS:
                self._users.popitem(last=False)
        self._users.move_to_end(aor)
        if not any(_is_same(device, one) for one in user.devices.values()):
            # What the operator's word was about has come.
            self._accepted.pop(aor, None)
        user.devices[key] = device
        user.devices.move_to_end(key)
        if len(user.devices) > MOST_DEVICES:
            user.devices.popitem(last=False)
        user.last, user.last_at = device, now

    def gone(self, aor: str, key: str, now: float) -> None:
        """A registration ended; its device stays known."""
        user = self._users.get(aor)
        if user is not None and key in user.devices:
            user.devices[key] = user.devices[key]._replace(until=now)

    def accept(self, aor: str, now: float) -> bool:
        """An operator says that a new device of a user is the user's; false for no such user."""
        for old in [one for one, until in self._accepted.items() if until <= now]:
            del self._accepted[old]
        if aor not in self._users:
            return False
        self._accepted[aor] = now + ACCEPTED_S
        return True

    def is_news(self, aor: str, now: float, *, proves: bool = True) -> bool:
        """Whether that a registration is held was not told lately.

        Args:
            proves: Whether it came with credentials; those without are told apart.
        """
        key = aor, proves
        if now - self._told.get(key, float("-inf")) < TOLD_AGAIN_S:
            return False
        self._told[key] = now
        self._told.move_to_end(key)
        if len(self._told) > MOST_USERS:
            self._told.popitem(last=False)
        return True


def _is_same(one: Device, other: Device) -> bool:
    return one.make == other.make or bool(one.instance and one.instance == other.instance)


def _told(device: Device) -> str:
    return f"{device.agent[:80]!r} at {device.host} ({device.network})"
