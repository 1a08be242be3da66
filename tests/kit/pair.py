"""A pair of phones with the border between them: caller - switchboard - callee, all without I/O.

The caller is a trunk on an untrusted network, the callee a PBX on a trusted one, a second PBX on
a third network takes over when the first fails. Everything between them goes over a terrible
network; wire, relay, records, log and entropy of the switchboard are fakes.
"""

import json
import re
from collections.abc import Callable, Mapping
from ipaddress import ip_network

from sbc.b2bua.call import Call
from sbc.b2bua.snapshot import from_data, to_data
from sbc.driver.in_force import InForce
from sbc.driver.switchboard import Switchboard
from sbc.policy.conditions import Conditions
from sbc.policy.model import PolicySet
from sbc.policy.rules import Action, Rule
from sbc.routing.model import (
    Listener,
    MediaRules,
    Network,
    NetworkAddress,
    Peer,
    Route,
    Settings,
    Target,
    Timers,
)
from sbc.routing.table import RoutingTable
from sbc.sip.flow import Address, Flow
from tests.kit.phone_writing import ACCOUNT, Habits
from tests.kit.phones import Phone, Posts
from tests.kit.switchboard import CountingIds, FakeBindings, FakeLog, FakeRecords, FakeRelay
from tests.kit.terrible_network import Fate, TerribleNetwork

CALLER, CALLEE, BACKUP = "caller", "callee", "backup"
ADDRESSES: dict[str, Address] = {
    CALLER: ("198.51.100.7", 5080),
    CALLEE: ("192.168.1.5", 5060),
    BACKUP: ("172.16.9.9", 5060),
}
BORDERS: dict[str, Address] = {
    CALLER: ("203.0.113.10", 5060),
    CALLEE: ("192.168.1.2", 5062),
    BACKUP: ("172.16.9.2", 5064),
}
_NETWORKS = {CALLER: "outside", CALLEE: "inside", BACKUP: "spare"}
IDLE_S = 400.0
"""By when everything of the longest story has run out."""


class _Wire:
    """Collects what the switchboard sends during one input."""

    def __init__(self) -> None:
        self.posts: Posts = []

    def send(self, flow: Flow, data: bytes) -> None:
        for name, address in ADDRESSES.items():
            if flow.remote == address:
                self.posts.append((name, data))

    def prove(self, flow: Flow) -> None:
        """Nothing here ends for want of proof."""

    def names(self, flow: Flow) -> tuple[str, ...]:
        return ()

    def tls_version(self, flow: Flow) -> float:
        return 0.0


class Border:
    """A switchboard as an endpoint of the terrible network."""

    def __init__(
        self, settings: Settings, relay: FakeRelay, *, restores: bool, now: float = 0.0
    ) -> None:
        self.wire = _Wire()
        self.relay = relay
        self.records = FakeRecords()
        self.log = FakeLog()
        self.restores = restores
        self.restored = 0
        """How many calls were exported and restored so far."""
        self.switchboard = Switchboard(
            InForce(
                settings,
                RoutingTable(settings.networks, settings.peers, settings.routes),
                _ALLOW_ALL,
                {},
            ),
            wire=self.wire,
            relay=relay,
            records=self.records,
            bindings=FakeBindings(),
            log=self.log,
            ids=CountingIds(),
            wall=lambda: 1.7e9,
        )

    def receive(self, source: str, payload: bytes, now: float) -> Posts:
        network = _NETWORKS[source]
        flow = Flow(network, "udp", BORDERS[source], ADDRESSES[source])
        return self._do(lambda: self.switchboard.receive(flow, payload, now))

    def handle_timeout(self, now: float) -> Posts:
        return self._do(lambda: self.switchboard.handle_timeout(now))

    def next_timeout(self) -> float | None:
        return self.switchboard.next_timeout()

    def _do(self, step: Callable[[], None]) -> Posts:
        self.wire.posts = []
        step()
        if self.restores:
            self._restore_all()
        return self.wire.posts

    def _restore_all(self) -> None:
        """Replace every live call by its exported and restored self."""
        calls = self.switchboard.calls
        for call in calls:
            twin = restored(call)
            self.restored += 1
            calls._live[call.name] = twin
            for tag, (known, side) in list(calls._dialogs.items()):
                if known is call:
                    calls._dialogs[tag] = (twin, side)
            for key, known in list(calls._invites.items()):
                if known is call:
                    calls._invites[key] = twin


class Pair:
    """Two phones, a spare one, and the border."""

    def __init__(
        self,
        caller: Habits | None = None,
        callee: Habits | None = None,
        *,
        seed: int = 0,
        drop: float = 0.0,
        duplicate: float = 0.0,
        delay_s: tuple[float, float] = (0.01, 0.01),
        fates: Mapping[int, Fate] | None = None,
        rules: Mapping[str, MediaRules] | None = None,
        timers: Timers | None = None,
        restores: bool = False,
    ) -> None:
        self.relay = FakeRelay()
        habits = {CALLER: caller, CALLEE: callee}
        asking = frozenset(name for name, one in habits.items() if one and one.challenges)
        settings = some_settings(rules or {}, timers or Timers(), asking)
        self.border = Border(settings, self.relay, restores=restores)
        self.caller = Phone(CALLER, ADDRESSES[CALLER], BORDERS[CALLER], habits=caller)
        self.callee = Phone(CALLEE, ADDRESSES[CALLEE], BORDERS[CALLEE], habits=callee)
        self.backup = Phone(BACKUP, ADDRESSES[BACKUP], BORDERS[BACKUP])
        self.network: TerribleNetwork[str, bytes] = TerribleNetwork(
            seed, drop=drop, duplicate=duplicate, delay_s=delay_s, fates=fates
        )
        self.network.attach("border", self.border)
        for phone in self.phones:
            self.network.attach(phone.name, phone)

    @property
    def phones(self) -> tuple[Phone, ...]:
        """All of them."""
        return self.caller, self.callee, self.backup

    @property
    def call(self) -> Call:
        """The only call, live or over."""
        (call,) = [*self.border.switchboard.calls, *self.border.records.ended]
        return call

    def run(self, script: Mapping[float, str] | None = None, until: float = IDLE_S) -> "Pair":
        """Let the caller call and the script happen: time -> ``"caller.cancel"``."""
        self.caller.at(0.0, "invite")
        for when, line in (script or {}).items():
            name, _, deed = line.partition(".")
            next(phone for phone in self.phones if phone.name == name).at(when, deed)
        self.network.run(until)
        return self

    def faults(self) -> list[str]:
        """Everything that is not as it must be when a story is over."""
        return [*self._left(), *self._wrong(), *self.leaks()]

    def leaks(self) -> list[str]:
        """What one side was told of the other."""
        return [
            *_leaks_about(CALLER, self._texts(CALLER), self._texts(CALLEE, BACKUP)),
            *_leaks_about(CALLEE, self._texts(CALLEE), self._texts(CALLER)),
            *_leaks_about(BACKUP, self._texts(BACKUP), self._texts(CALLER)),
        ]

    def titles(self, *names: str) -> list[str]:
        """What was posted, as ``"caller>border INVITE"``; only by or to those named."""
        return [
            f"{posted.source}>{posted.destination} {_title(posted.payload)}"
            for posted in self.network.record
            if not names or posted.source in names or posted.destination in names
        ]

    def _left(self) -> list[str]:
        board = self.border.switchboard
        counts = board.layer.counts
        live = {
            "calls": len(board.calls),
            "dialogs": board.calls.dialogs,
            "client transactions": counts.clients,
            "server transactions": counts.servers,
            "transaction timers": counts.timers,
            "owners": board.outbox.owned,
            "plans": board.outbox.planned,
            "ports": sum(board.ports.in_use().values()),
            "streams": len(self.relay.open),
            "caps": sum(board.calls._caps.calls(peer) for peer in (CALLER, CALLEE, BACKUP)),
        }
        left = [f"{count} {name} left" for name, count in live.items() if count]
        left += [f"{phone.name} is {phone.phase.value}" for phone in self.phones if not phone.idle]
        if not self.network.idle:
            left.append("something still waits for its time")
        return left

    def _wrong(self) -> list[str]:
        border = self.border
        wrong = [f"{phone.name}: {what}" for phone in self.phones for what in phone.complaints]
        begun, ended = border.switchboard.calls.total, border.records.ended
        if len(ended) != begun or len({call.name for call in ended}) != begun:
            wrong.append(f"{begun} calls, {len(ended)} records")
        for level, event, fields in border.log.lines:
            if event == "internal error":
                wrong.append(f"{level}: {fields.get('traceback')}")
        return wrong

    def _texts(self, *names: str) -> tuple[str, str]:
        """What came from phones, and what was sent to them."""
        record = self.network.record
        said = [p.payload.decode("latin-1") for p in record if p.source in names]
        told = [p.payload.decode("latin-1") for p in record if p.destination in names]
        return "\n".join(said), "\n".join(told)


def restored(call: Call) -> Call:
    """A call after a passage through JSON, checked to be equal."""
    data = json.loads(json.dumps(to_data(call)))
    twin = from_data(data, call.context)
    assert twin == call, f"{call.name} is not itself after a passage through JSON"
    assert to_data(twin) == to_data(call)
    return twin


def some_settings(
    rules: Mapping[str, MediaRules], timers: Timers, asking: frozenset[str] = frozenset()
) -> Settings:
    """The border's configuration: three networks, three peers, caller to callee and back.

    Those who are asking have an account for us.
    """
    networks = tuple(
        Network(
            name=_NETWORKS[name],
            listeners=(Listener("udp", 4, BORDERS[name][0], BORDERS[name][1], BORDERS[name][0]),),
            media=(
                NetworkAddress(4, BORDERS[name][0], BORDERS[name][0]),
                NetworkAddress(6, f"2001:db8::{number}", f"2001:db8::{number}"),
            ),
            media_ports=(20000 + 1000 * number, 20199 + 1000 * number),
            trusted=name != CALLER,
        )
        for number, name in enumerate(_NETWORKS, 1)
    )
    peers = tuple(
        Peer(
            name=name,
            kind="trunk" if name == CALLER else "pbx",
            network=_NETWORKS[name],
            targets=(Target(ADDRESSES[name][0], ADDRESSES[name][1]),),
            sources=(ip_network(ADDRESSES[name][0]),),
            sources_given=True,
            media=rules.get(name, MediaRules(sdes_in_clear=True)),
            account=ACCOUNT if name in asking else None,
        )
        for name in _NETWORKS
    )
    routes = (
        Route("in", (CALLEE, BACKUP), from_peers=(CALLER,)),
        Route("out", (CALLER,), from_peers=(CALLEE, BACKUP)),
    )
    return Settings(networks, peers, routes, timers)


_ALLOW_ALL = PolicySet((Rule("all", Conditions(), Action("allow"), "pair"),))

_SECRETS = (
    re.compile(r"(?im)^(?:Call-ID|i)[ \t]*:[ \t]*(\S+)"),
    re.compile(r"(?i);tag=([^;>\s]+)"),
    re.compile(r"(?i);branch=([^;,\s]+)"),
    re.compile(r"(?m)^o=\S+ (\d{6,})"),
    re.compile(r"(?m)^a=crypto:[^\r\n]*inline:([^|\s]+)"),
)
"""Identifiers that belong to one side alone, whoever chose them."""


def _leaks_about(name: str, ours: tuple[str, str], theirs: tuple[str, str]) -> list[str]:
    """Words of a phone's side in what the border sent elsewhere."""
    said, told = ours
    secrets = {ADDRESSES[name][0], BORDERS[name][0]}
    secrets |= {f"{name}-{word}" for word in ("product", "user", "session", "tool", "cname")}
    secrets |= {f"{name}ufrag", "ssrc:", "candidate:"}
    for pattern in _SECRETS:
        secrets.update(word for text in (said, told) for word in pattern.findall(text))
    return [f"{word} of {name} leaked" for word in sorted(secrets) if word in theirs[1]]


def _title(payload: bytes) -> str:
    start, _, rest = payload.decode("latin-1").partition("\r\n")
    if not start.startswith("SIP/2.0"):
        return start.split(" ")[0]
    method = re.search(r"(?im)^CSeq: *\d+ (\S+)", rest)
    return f"{start.split(' ')[1]} {method.group(1) if method else ''}"
