"""Bans carried out: in the kernel, on connections and on disk; and an operator's hand in them."""

from collections.abc import Callable, Iterable, Mapping
from hashlib import blake2s
from ipaddress import ip_network
from pathlib import Path
from typing import Final

import trio

from sbc.driver.switchboard import Switchboard
from sbc.firewall.nftables import FirewallSettings, Nftables, Wanted
from sbc.firewall.ruleset import Guarded
from sbc.management.control import Arguments, Command, CommandRefused, text_argument, who_commands
from sbc.management.listing import Row
from sbc.policy.ban_data import ban_from_data, ban_to_data
from sbc.policy.bans import Ban, canonical
from sbc.policy.guard import Banned, Lifted, Measure, Muted, Refused
from sbc.prefixes import IpNetwork, PrefixMap
from sbc.sip.flow import Flow
from sbc.state.bans import read_bans, write_bans

TURN_S: Final = 1.0
"""Between two looks at what is over."""

SAVE_TURNS: Final = 5
"""Turns between two times that bans are written down."""

LONGEST_S: Final = 31_536_000.0
MOST_SHOWN: Final = 1000
MOST_WHY: Final = 200

Hosts = Callable[[], Iterable[tuple[str, str]]]
"""Hosts of the machine that are never banned, each with its reason."""


class Guarding:
    """Everything that is done about bans outside of the core.

    Args:
        file: where bans are kept over a restart.
        hosts: asked now and then, since name servers change.
        cut: ends the connections that are meant, for a reason.
    """

    def __init__(
        self,
        switchboard: Switchboard,
        settings: FirewallSettings,
        file: Path,
        *,
        hosts: Hosts,
        cut: Callable[[Callable[[Flow], bool], str], None],
        log: Callable[..., None],
        wall: Callable[[], float],
    ) -> None:
        self._board = switchboard
        self._watch = switchboard.watch
        self._settings = settings
        self._file = file
        self._hosts = hosts
        self._cut = cut
        self._log = log
        self._wall = wall
        self._known_hosts: list[tuple[str, str]] = []
        self._told: set[str] = set()
        self._changed = False
        self._trouble = ""
        name = blake2s(str(file.resolve()).encode(), digest_size=4).hexdigest()
        self.kernel = Nftables(
            f"sbc_{name}",
            settings.nftables,
            wanted=self._wanted,
            shut=self._shut,
            known=self._registered,
            tell=self._tell_kernel,
        )
        self._watch.enforce = self._enforce

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Carry bans out until cancelled.

        Raises:
            FirewallUnusable: the kernel's part is required and cannot be had.
        """
        self._look_at_hosts()
        self._take_over()
        async with trio.open_nursery() as nursery:
            await nursery.start(lambda task_status: self.kernel.run(task_status=task_status))
            task_status.started()
            try:
                await self._keep()
            finally:
                with trio.CancelScope(shield=True):
                    await self._save()

    def configured(self) -> None:
        """Another configuration is in force."""
        self._look_at_hosts()
        self.kernel.renew()

    # -- for the operator -------------------------------------------------------------------

    def commands(self) -> Mapping[str, Command]:
        """The commands of the control socket."""
        return {"bans": lambda _: self.listing(), "ban": self._ban, "lift": self._lift}

    def listing(self) -> Row:
        """Who is banned and muted, why, whose password was guessed at, and what was counted."""
        guard, now = self._watch.guard, trio.current_time()
        bans = [self._row(ban, now) for ban in guard.bans if ban.until > now]
        mutes = [
            {
                "network": key[0],
                "host": key[1],
                "port": key[2],
                "connection": key[3] if len(key) == 4 else None,
                "throttled": mute.throttled,
                "left_s": round(mute.until - now, 1),
                "hits": mute.hits,
                "why": mute.verdict.where,
            }
            for key, mute in guard.bans.muted(now)
        ]
        return {
            "bans": bans[-MOST_SHOWN:],
            "mutes": mutes[-MOST_SHOWN:],
            "users": [
                {"user": user, "sources": len(score.subjects), "last": score.evidence[-1].source}
                for user, score in guard.users
                if score.evidence
            ][-MOST_SHOWN:],
            "counters": {one.key: count for one, count in guard.counters.items()},
            **self.standing(),
        }

    def standing(self) -> Row:
        """In a few lines: how many there are, and where they are in force."""
        guard = self._watch.guard
        rules = guard.rules
        return {
            "banned": len(guard.bans),
            "muted": guard.bans.mutes,
            "turned_away": guard.bans.turned_away,
            "spared": guard.spared,
            "shadow": None if rules is None else rules.shadow,
            "kernel": self.kernel.trouble or f"in force as table inet {self.kernel.name}",
            "kernel_dropped": dict(self.kernel.dropped),
            "trouble": self._trouble,
        }

    def _row(self, ban: Ban, now: float) -> Row:
        return {**ban_to_data(ban), "left_s": round(ban.until - now, 1)}

    def _ban(self, arguments: Arguments) -> object:
        source, seconds = _source(arguments), arguments.get("seconds")
        if isinstance(seconds, bool) or not isinstance(seconds, int | float):
            raise CommandRefused("'seconds' is a number")
        if not 1 <= seconds <= LONGEST_S:
            raise CommandRefused(f"'seconds' is from 1 to {LONGEST_S:g}")
        why = text_argument(arguments, "why")
        if len(why) > MOST_WHY or not why.isprintable():
            raise CommandRefused(f"'why' is at most {MOST_WHY} characters on one line")
        why = f"{why} ({who_commands()})"
        try:
            measures = self._watch.guard.add(source, float(seconds), why, trio.current_time())
        except Refused as refused:
            raise CommandRefused(str(refused)) from None
        self._watch.tell_measures(measures)
        return self.listing()

    def _lift(self, arguments: Arguments) -> object:
        source = _source(arguments)
        measures = self._watch.guard.lift(source, f"{who_commands()} said so")
        self._watch.tell_measures(measures)
        lifted = [str(measure.ban.source) for measure in measures if isinstance(measure, Lifted)]
        return {"lifted": lifted}

    # -- what is done -----------------------------------------------------------------------

    def _enforce(self, measure: Measure) -> None:
        """Do at once what a measure of the guard means out here."""
        if isinstance(measure, Banned):
            self._changed = True
            ban = measure.ban
            if not ban.shadow:
                self.kernel.ban(ban.source, ban.seconds)
                self._cut_off(ban.source)
        elif isinstance(measure, Lifted):
            self._changed = True
            self.kernel.lift(measure.ban.source)
        elif isinstance(measure, Muted) and _in_kernel(measure):
            self.kernel.mute_flow(measure.flow[1], measure.flow[2], measure.seconds)

    def _cut_off(self, source: IpNetwork) -> None:
        banned = PrefixMap([(source, True)])
        exempt = self._watch.guard.bans.network_exempt

        def meant(flow: Flow) -> bool:
            return flow.network not in exempt and banned.find(flow.remote[0]) is not None

        self._cut(meant, f"{source} is banned")

    async def _keep(self) -> None:
        turn = 0
        while True:
            await trio.sleep(TURN_S)
            turn += 1
            self._watch.now = trio.current_time()
            self._watch.expire()
            if turn % SAVE_TURNS == 0:
                self._look_at_hosts()
                self._tell_registered()
                if self._changed:
                    await self._save()

    def _tell_registered(self) -> None:
        """Let the kernel not count who registered meanwhile, where it counts at all."""
        if self._settings.rate is None:
            return
        there = self._registered()
        for host in there - self._told:
            self.kernel.know(host, known=True)
        for host in self._told - there:
            self.kernel.know(host, known=False)
        self._told = there

    def _look_at_hosts(self) -> None:
        hosts = list(self._hosts())
        if hosts != self._known_hosts:
            self._known_hosts = hosts
            self._watch.protect(hosts)

    # -- what the kernel's table is made of -------------------------------------------------

    def _wanted(self) -> Wanted:
        force = self._board.force
        guarded = tuple(
            Guarded(
                "udp" if one.transport == "udp" else "tcp",
                one.bind,
                one.port,
                proves=one.transport in {"tls", "wss"} and network.name in force.table.proving,
            )
            for network in force.settings.networks
            if not network.trusted
            for one in network.listeners
        )
        return Wanted(guarded, self._settings.rate, self._watch.protected.prefixes)

    def _shut(self) -> list[tuple[IpNetwork, float]]:
        now = trio.current_time()
        bans = self._watch.guard.bans
        return [(b.source, b.until - now) for b in bans if b.until > now and not b.shadow]

    def _registered(self) -> set[str]:
        return {binding.flow.remote[0] for binding in self._board.registrar.bindings}

    def _tell_kernel(self, trouble: str) -> None:
        table = f"inet {self.kernel.name}"
        if trouble:
            self._log("warning", "bans not in the kernel", table=table, why=trouble)
        else:
            self._log("info", "bans in the kernel", table=table)

    # -- over a restart ---------------------------------------------------------------------

    def _take_over(self) -> None:
        now, wall = trio.current_time(), self._wall()
        try:
            kept = [ban_from_data(one, now, wall) for one in read_bans(self._file)]
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            self._log("error", "bans of before not taken over", file=str(self._file), why=error)
            return
        self._watch.guard.restore(kept, now)

    async def _save(self) -> None:
        self._changed = False
        bans = [ban_to_data(ban) for ban in self._watch.guard.bans]
        why = ""
        try:
            await trio.to_thread.run_sync(write_bans, self._file, bans)
        except OSError as error:
            why = f"{self._file}: {error.strerror or error}"
            self._changed = True
        if why != self._trouble:
            self._trouble = why
            self._log("error" if why else "info", "bans on disk", trouble=why or "over")


def _in_kernel(mute: Muted) -> bool:
    """Whether the kernel can do it: of datagrams, from one port, and without exception."""
    return not (mute.shadow or mute.throttled) and len(mute.flow) == 3


def _source(arguments: Arguments) -> IpNetwork:
    text = text_argument(arguments, "source")
    try:
        return canonical(ip_network(text))
    except ValueError as error:
        raise CommandRefused(f"{error}; for example: 192.0.2.1 or 192.0.2.0/24") from None
