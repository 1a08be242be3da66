"""Health: which hops are in service, from what calls show of them and from probes.

An agent of the driver (`sbc.driver.agents`): it sends OPTIONS of its own, at most one to a hop at
a time, and takes what is told of calls. What it knows is bounded by the configuration: one record
for each hop that the targets of peers stand for.
"""

from collections.abc import Iterable, Mapping

from sbc.health.probing import options
from sbc.health.record import News, Record
from sbc.routing.hops import Hop, hop_of
from sbc.routing.model import Peer, Settings
from sbc.routing.spread import Spread
from sbc.sip.fields.retry_after import retry_after_of
from sbc.sip.flow import Flow
from sbc.sip.message import Response
from sbc.sip.timers import Deadlines
from sbc.sip.user import Abandon, SendRequest

SOON_S = 1.0
"""Until the next probe of a hop whose state is in doubt."""
SPREAD_S = 5.0
"""Within which new hops are probed for the first time."""

_JITTER = 0.1
"""Which part of an interval probes may come sooner or later, so that they do not come in step."""

Command = SendRequest | Abandon | News


class Health:
    """The records of all hops, and their probes."""

    __slots__ = ("_asked", "_by_flow", "_deadlines", "_records", "_settings", "_spread")

    def __init__(self, seed: int) -> None:
        """Know of no hops yet.

        Args:
            seed: Of the jitter.
        """
        self._spread = Spread(seed)
        self._settings = Settings((), (), ())
        self._records: dict[Hop, Record] = {}
        self._by_flow: dict[Flow, list[Record]] = {}
        self._asked: dict[str, Record] = {}
        self._deadlines: Deadlines[Hop] = Deadlines()

    def record(self, hop: Hop) -> Record | None:
        """What is known of a hop, to read."""
        return self._records.get(hop)

    def admits(self, hop: Hop, now: float) -> bool:
        """Whether a call may try a hop before those that are down; ask once for each call."""
        record = self._records.get(hop)
        return record is None or record.admits(now)

    def configure(self, settings: Settings, hops: Mapping[Hop, Peer], now: float) -> list[Command]:
        """Watch these hops from now on; what is known of those that stay is kept."""
        self._settings = settings
        out: list[Command] = []
        for hop in [hop for hop in self._records if hop not in hops]:
            out += self._stop_probing(self._records.pop(hop))
        for hop, peer in hops.items():
            record = self._records.get(hop)
            if record is None:
                record = self._records[hop] = Record(hop, peer, now)
            elif record.peer.health != peer.health:
                out += self._stop_probing(record)
            record.peer = peer
            if peer.health.probe != "off" and record.probe_at is None:
                first_s = min(SPREAD_S, peer.health.interval_s)
                self._schedule(record, now + first_s * self._spread.fraction())
        self._by_flow = {}
        for record in self._records.values():
            self._by_flow.setdefault(record.hop.flow, []).append(record)
        return out

    def saw(
        self, hop: Hop, evidence: str, now: float, *, alive: bool, retry_after_s: int = 0
    ) -> list[News]:
        """Take what a call showed of a hop; of one that is not watched it says nothing."""
        record = self._records.get(hop)
        if record is None:
            return []
        news = record.saw(evidence, now, alive=alive) + record.rest(retry_after_s, now)
        if record.probe_at is not None and not record.probe and not record.is_settled:
            self._schedule(record, min(record.probe_at, now + SOON_S))
        return news

    def flow_failed(self, flow: Flow, why: str) -> None:
        """Note what the transport says; what it means is told by the requests that fail of it."""
        for record in self._by_flow.get(hop_of("", flow).flow, ()):
            record.trouble = why

    # -- as an agent ------------------------------------------------------------------------

    def reply(self, ref: str, response: Response, now: float) -> list[Command]:
        """A probe was answered: whatever it says but 503 and 408, somebody is there."""
        record = self._asked.get(ref)
        if record is None or response.status < 200:
            return []
        alive = response.status not in (408, 503)
        wait_s = 0 if alive else retry_after_of(response)
        evidence = f"OPTIONS answered {response.status} {response.reason}".rstrip()
        return self._probed(record, evidence, now, alive=alive, retry_after_s=wait_s)

    def failed(self, ref: str, why: str, now: float) -> list[Command]:
        """A probe could not be sent, or its transaction ran out."""
        record = self._asked.get(ref)
        if record is None:
            return []
        return self._probed(record, f"OPTIONS failed: {why}", now, alive=False)

    def next_timeout(self) -> float | None:
        """When the next probe is due, or one under way counts as unanswered."""
        return self._deadlines.next()

    def handle_timeout(self, now: float, branches: Iterable[str]) -> list[Command]:
        """Probe what is due, and give up what was not answered in time."""
        out: list[Command] = []
        fresh = iter(branches)
        for hop in self._deadlines.pop_due(now):
            record = self._records[hop]
            if record.probe:
                waited_s = record.peer.health.timeout_s
                out.append(Abandon(record.probe))
                evidence = f"OPTIONS got no answer within {waited_s:g} s"
                out += self._probed(record, evidence, now, alive=False)
            else:
                out.append(self._probe(record, next(fresh), now))
        return out

    # -- inside -----------------------------------------------------------------------------

    def _probe(self, record: Record, ref: str, now: float) -> SendRequest:
        hop, peer = record.hop, record.peer
        network = self._settings.network(hop.flow.network)
        request = options(hop, peer, network, ref, self._settings.server_header)
        record.probe = ref
        self._asked[ref] = record
        self._schedule(record, now + peer.health.timeout_s)
        return SendRequest(ref, hop.flow, request)

    def _probed(
        self, record: Record, evidence: str, now: float, *, alive: bool, retry_after_s: int = 0
    ) -> list[Command]:
        """A probe is over: weigh what came of it, and let the next one be due."""
        del self._asked[record.probe]
        record.probe = ""
        spread = 1.0 - _JITTER + 2 * _JITTER * self._spread.fraction()
        self._schedule(record, now + record.peer.health.interval_s * spread)
        return [*self.saw(record.hop, evidence, now, alive=alive, retry_after_s=retry_after_s)]

    def _schedule(self, record: Record, at: float) -> None:
        record.probe_at = at
        self._deadlines.set(record.hop, at)

    def _stop_probing(self, record: Record) -> list[Command]:
        self._deadlines.cancel(record.hop)
        record.probe_at = None
        ref, record.probe = record.probe, ""
        if not ref:
            return []
        del self._asked[ref]
        return [Abandon(ref)]
