"""The composition root: a configuration in, one nursery up, an orderly stop."""

import time
from collections.abc import Callable

import trio

from media.relay import Relay
from sbc.config.load import Configuration
from sbc.driver.entropy import SystemEntropy
from sbc.driver.loop import Loop
from sbc.driver.placing import InForce
from sbc.driver.switchboard import Switchboard
from sbc.management.log import Level, Log
from sbc.management.records import CallRecords
from sbc.resolver.addresses import Addresses, PeerAddresses
from sbc.sip.flow import Flow
from sbc.state.sqlite import CdrStore
from sbc.transport.transports import Transports

CDR_FILE = "cdr.sqlite"


class _Wire:
    """The transports, which exist only after what they report to."""

    __slots__ = ("send",)

    def __init__(self) -> None:
        self.send: Callable[[Flow, bytes], None] = _nowhere


def _nowhere(flow: Flow, data: bytes) -> None:
    del flow, data


class App:
    """All parts of one running SBC."""

    def __init__(self, configuration: Configuration, log: Log) -> None:
        self.configuration = configuration
        self.log = log
        self._relay = Relay(self._media_event)
        self.store = CdrStore(
            configuration.state_dir / CDR_FILE,
            on_trouble=lambda why: log.error("call records", trouble=why or "over"),
        )
        wire = _Wire()
        self.switchboard = Switchboard(
            in_force(configuration, {}),
            wire=wire,
            relay=self._relay,
            records=CallRecords(self.store.put),
            log=self._note,
            ids=SystemEntropy(),
            wall=time.time,
        )
        self.loop = Loop(self.switchboard)
        self.transports = Transports(
            configuration.settings.networks,
            on_messages=self.loop.messages,
            on_failure=self.loop.flow_failed,
            on_connection_closed=self.loop.flow_closed,
            limits=configuration.transport_limits,
        )
        wire.send = self.transports.send
        self._addresses = PeerAddresses(
            hosts_of(configuration),
            on_change=self._resolved,
            on_trouble=lambda name, why: log.warning(
                "name lookup", name=name, trouble=why or "over"
            ),
        )

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled.

        Raises:
            ListenFailed: a listener cannot be bound.
            StoreInUse, StoreUnusable: the call records cannot be kept.
        """
        self.configuration.state_dir.mkdir(parents=True, exist_ok=True)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.log.run)
            await nursery.start(self._run_store)
            await nursery.start(self._relay.run)
            self.transports.open()
            for warning in self.transports.warnings:
                self.log.warning("transport", text=warning)
            nursery.start_soon(self._addresses.run)
            nursery.start_soon(self.loop.run)
            await nursery.start(self._run_transports)
            task_status.started()

    async def _run_store(self, task_status: trio.TaskStatus[None]) -> None:
        await self.store.run(task_status=task_status)

    async def _run_transports(self, task_status: trio.TaskStatus[None]) -> None:
        await self.transports.run(task_status=task_status)

    def _media_event(self, event: object) -> None:
        self.loop.media_event(event)  # type: ignore[arg-type]

    def _note(self, level: str, event: str, **fields: object) -> None:
        self.log.note(Level[level.upper()], event, fields)

    def _resolved(self, name: str, addresses: Addresses) -> None:
        self.log.info("name resolved", name=name, addresses=list(addresses))
        self.switchboard.resolved(self._addresses.known)


def in_force(configuration: Configuration, addresses: dict[str, Addresses]) -> InForce:
    """What the switchboard judges by under a configuration."""
    table = configuration.routing_table().with_addresses(addresses)
    return InForce(configuration.settings, table, configuration.policies, addresses)


def hosts_of(configuration: Configuration) -> list[str]:
    """Every host that a peer's target names."""
    return [target.host for peer in configuration.settings.peers for target in peer.targets]
