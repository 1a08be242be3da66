"""What the operator's commands show: the running process as plain data."""

from collections.abc import Callable, Mapping
from dataclasses import asdict

import trio

from media.relay import Relay
from media.types import DropReason, FlowCounters, SideName
from sbc.b2bua.call import Call
from sbc.driver.switchboard import Switchboard
from sbc.firewall.socket_filter import SocketFilter
from sbc.management.certificates import CertificateWatch
from sbc.management.limits import limits_counters, limits_listing
from sbc.management.listing import (
    Row,
    call_story,
    calls_listing,
    registrations_listing,
    trunks_listing,
)
from sbc.management.lists import ListWatch
from sbc.management.log import Log
from sbc.management.peers import peers_listing
from sbc.management.quality import rtp_totals
from sbc.resolver.cache import ResolverStatistics
from sbc.resolver.locator import Locator
from sbc.routing.facing import host_port
from sbc.state.bindings import BindingStore
from sbc.state.sqlite import CdrStore
from sbc.transport.transports import Transports


class Views:
    """Reads, never changes."""

    def __init__(
        self,
        switchboard: Switchboard,
        relay: Relay,
        transports: Transports,
        store: CdrStore,
        bindings: BindingStore,
        locator: Locator,
        certificates: CertificateWatch,
        lists: ListWatch,
        questions: ResolverStatistics,
        socket_filter: SocketFilter,
        log: Log,
        wall: Callable[[], float],
    ) -> None:
        self._switchboard = switchboard
        self._relay = relay
        self._transports = transports
        self._store = store
        self._bindings = bindings
        self._locator = locator
        self._certificates = certificates
        self._lists = lists
        self._questions = questions
        self._filter = socket_filter
        self._log = log
        self._wall = wall
        self._since = wall()

    def calls(self) -> list[Row]:
        """Every live call."""
        return calls_listing(self._switchboard.calls, trio.current_time())

    def call(self, name: str) -> Row | None:
        """One live or recent call with its journal and what its media does."""
        call = self._switchboard.calls.by_name(name)
        if call is None:
            return None
        return {**call_story(call, trio.current_time()), "media": self._media(call)}

    def registrations(self) -> list[Row]:
        """Every binding."""
        return registrations_listing(self._switchboard.registrar.bindings, trio.current_time())

    def trunks(self) -> list[Row]:
        """Every registration of ours with a trunk."""
        registrations = self._switchboard.carriers.registrations
        return trunks_listing(registrations, trio.current_time())

    def limits(self) -> list[Row]:
        """Every rate limit: what it drops and what is used of it."""
        return limits_listing(self._switchboard.admission, trio.current_time())

    def peers(self) -> list[Row]:
        """Every place that a target of a peer stands for."""
        return peers_listing(self._switchboard, trio.current_time())

    def alarms(self) -> list[Row]:
        """What the log warned of lately."""
        return self._log.alarms.listing()

    def status(self) -> Row:
        """How the process is doing: what it holds now, and everything that it counts.

        What it holds must come back to zero when nobody calls; ``received`` and below only grow, as
        do the drops of streams that have closed.
        """
        board = self._switchboard
        counts = board.layer.counts
        statistics = trio.lowlevel.current_statistics()
        tally = asdict(board.tally)
        return {
            "uptime_s": round(self._wall() - self._since, 1),
            "draining": board.reception.draining,
            "calls": len(board.calls),
            "calls_total": board.calls.total,
            "registrations": len(board.registrar.bindings),
            "trunks": {
                "registered": sum(one.home is not None for one in board.carriers.registrations),
                "all": len(board.carriers.registrations),
            },
            "registers": {
                "waiting": board.registrar.pending,
                "absorbed": board.registrar.absorbed,
                **asdict(self._bindings.statistics),
            },
            "dialogs": board.calls.dialogs,
            "transactions": {"clients": counts.clients, "servers": counts.servers},
            "owned_transactions": board.outbox.owned,
            "media": {
                "engine": self._relay.engine_name,
                "why": self._relay.engine_reason,
                "lost_events": self._relay.lost_events,
                "streams": len(self._relay.streams()),
                "planned_calls": board.outbox.planned,
                "ports_in_use": board.ports.in_use(),
                "dropped": _by_reason(board.outbox.dropped),
            },
            "connections": self._transports.connections,
            "tasks": statistics.tasks_living,
            "faults": tally.pop("faults"),
            "received": {"messages": tally.pop("received"), **tally},
            "refusals_not_kept": board.refused.unkept,
            "limits": limits_counters(board.admission),
            "muted": self._muted(),
            "transport": asdict(self._transports.statistics),
            "records": {"waiting": self._store.waiting, **asdict(self._store.statistics)},
            "log": {"lost": self._log.lost},
            "alarms": self._log.alarms.counts,
            "accounts": {
                "known": len(board.calls.ledger),
                "calls": len(board.calls.ledger.live),
                "forgotten": board.calls.ledger.evicted,
            },
            "names": {
                "known": sum(bool(known.places) for known in self._locator.known.values()),
                **asdict(self._questions),
                "troubled": {str(name): why for name, why in self._locator.troubled.items()},
            },
            "certificates": {
                "in_force": self._certificates.listing(),
                "trouble": list(self._certificates.trouble),
            },
            **self._lists.listing(),
        }

    def _muted(self) -> Row:
        """What the kernel drops for us; ``dropped`` is None where it does not count it."""
        return {
            "now": self._filter.muted,
            "times": self._switchboard.admission.mutes.muted,
            "dropped": self._filter.dropped(),
            "trouble": self._filter.trouble or None,
        }

    def _media(self, call: Call) -> list[Row]:
        """Counters and latches of a live call's streams, or what was counted of an ended one."""
        if call.plan is None:
            return [
                {"index": c.index, "clock_hz": c.clock_hz, **_measured(c.a, c.b, c.clock_hz)}
                for c in call.counters
            ]
        rows: list[Row] = []
        for stream in call.plan.streams:
            stream_id = (call.name, stream.index)
            if stream_id not in self._relay.streams():
                continue
            counters = self._relay.counters(stream_id)
            a, b = counters[SideName.A], counters[SideName.B]
            row: Row = {
                "index": stream.index,
                "clock_hz": stream.clock_hz,
                **_measured(a, b, stream.clock_hz),
            }
            for (side, component), latch in self._relay.latches(stream_id).items():
                if latch.source is not None:
                    key = f"{side.value}_{component.name.lower()}_latch"
                    row[key] = {
                        "source": host_port(*latch.source),
                        "rank": latch.rank.name.lower(),
                    }
            rows.append(row)
        return rows


def _measured(a: FlowCounters, b: FlowCounters, clock_hz: int) -> Row:
    """Both sides of a stream, as their record will have them and with what it has not."""
    return {
        "a": {**asdict(rtp_totals(a, b, clock_hz)), **_of_the_moment(a)},
        "b": {**asdict(rtp_totals(b, a, clock_hz)), **_of_the_moment(b)},
    }


def _of_the_moment(counters: FlowCounters) -> Row:
    last = counters.interval
    return {
        "rtcp_packets": counters.rtcp_packets,
        "sent_packets": counters.sent_packets,
        "jitter_ticks": round(counters.jitter_ticks, 1),
        "last_second": {"expected": last.expected, "lost": last.lost},
        "last_mos": None if counters.speech is None else round(counters.speech.last, 2),
        "loss_runs": counters.bursts.runs,
        "burst_ratio": round(counters.bursts.ratio, 2),
        "drops": _by_reason(counters.drops),
    }


def _by_reason(drops: Mapping[DropReason, int]) -> Row:
    return {reason.name.lower(): count for reason, count in drops.items()}
