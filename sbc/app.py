"""The composition root: a configuration in, one nursery up, an orderly stop."""

import gc
import math
import resource
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import trio

from media.events import MediaEvent
from media.relay import Relay
from sbc.b2bua.causes import NORMAL_CLEARING, Ending
from sbc.config.load import Configuration, load_file
from sbc.config.reload import reload_file
from sbc.driver.entropy import SystemEntropy
from sbc.driver.loop import Loop
from sbc.driver.placing import InForce
from sbc.driver.switchboard import Switchboard
from sbc.management.control import (
    AlreadyRunning,
    Arguments,
    CommandRefused,
    ControlServer,
    ControlUnusable,
    text_argument,
)
from sbc.management.log import Level, Log
from sbc.management.records import CallRecords
from sbc.management.views import Views
from sbc.resolver.addresses import Addresses, PeerAddresses
from sbc.sip.flow import Flow
from sbc.state.file import StoreInUse, StoreUnusable
from sbc.state.places import CDR_FILE
from sbc.state.sqlite import CdrStore
from sbc.transport.sockets import ListenFailed
from sbc.transport.transports import Transports

HANG_UP_S = 2.0
"""How long a stop waits for the answers to its BYEs."""
POLL_S = 0.1

CANNOT_START = 1


class App:
    """All parts of one running SBC."""

    def __init__(self, configuration: Configuration, log: Log) -> None:
        self.configuration = configuration
        self.log = log
        self._stopping = trio.Event()
        self._drain_s = 0.0
        relay = Relay(self._media_event)
        self._relay = relay
        self.store = CdrStore(
            configuration.state_dir / CDR_FILE,
            on_trouble=lambda why: log.error("call records", trouble=why or "over"),
        )
        wire = _Wire()
        self.switchboard = Switchboard(
            in_force(configuration, {}),
            wire=wire,
            relay=relay,
            records=CallRecords(self.store.put),
            log=self._note,
            ids=SystemEntropy(),
            wall=time.time,
            message_limits=configuration.message_limits,
        )
        self.loop = Loop(self.switchboard)
        self.transports = Transports(
            configuration.settings.networks,
            on_messages=self.loop.messages,
            on_failure=self.loop.flow_failed,
            on_connection_closed=self.loop.flow_closed,
            limits=configuration.transport_limits,
            message_limits=configuration.message_limits,
        )
        wire.send = self.transports.send
        self._addresses = PeerAddresses(
            hosts_of(configuration),
            on_change=self._resolved,
            on_trouble=lambda name, why: log.warning(
                "name lookup", name=name, trouble=why or "over"
            ),
        )
        self._views = Views(self.switchboard, relay, self.transports, self.store, time.time)
        self._control = ControlServer(
            configuration.control_socket,
            {
                "calls": lambda _: self._views.calls(),
                "call": self._call,
                "registrations": lambda _: self._views.registrations(),
                "status": lambda _: self._views.status(),
                "reload": lambda _: self.reload(),
                "stop": self._stop,
                "flush": lambda _: self.store.flush(),
            },
            log=self._note,
        )

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until `stop`, or until cancelled.

        Raises:
            ListenFailed: a listener cannot be bound.
            StoreInUse, StoreUnusable: the call records cannot be kept.
            AlreadyRunning, ControlUnusable: the control socket cannot be had.
        """
        self.configuration.state_dir.mkdir(parents=True, exist_ok=True)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.log.run)
            await nursery.start(lambda task_status: self.store.run(task_status=task_status))
            await nursery.start(self._relay.run)
            self.transports.open()
            for warning in self.transports.warnings:
                self.log.warning("transport", text=warning)
            nursery.start_soon(self._addresses.run)
            nursery.start_soon(self.loop.run)
            await nursery.start(lambda task_status: self.transports.run(task_status=task_status))
            # Last, so that whoever gets an answer knows that calls are served.
            await nursery.start(lambda task_status: self._control.run(task_status=task_status))
            self._tell_ready()
            task_status.started()
            await self._stopping.wait()
            await self._wind_down()
            nursery.cancel_scope.cancel()

    def stop(self, drain_s: float = 0.0) -> None:
        """Begin to stop: no new calls; calls get `drain_s` seconds to end by themselves."""
        self._drain_s = drain_s
        self.switchboard.reception.draining = True
        self.log.info("stopping", drain_s=drain_s, calls=len(self.switchboard.calls))
        self._stopping.set()

    async def reload(self) -> dict[str, object]:
        """Read the configuration again and put it in force as a whole, or change nothing."""
        reload = await trio.to_thread.run_sync(reload_file, self.configuration)
        for problem in reload.result.problems:
            note = self.log.error if problem.is_error else self.log.warning
            note("configuration", problem=str(problem))
        plan, configuration = reload.plan, reload.configuration
        answer: dict[str, object] = {
            "applied": configuration is not None,
            "problems": [str(problem) for problem in reload.result.problems],
            "restart": [] if plan is None else [str(one) for one in plan.restart],
            "changes": [],
        }
        if configuration is None:
            self.log.error("reload refused", restart=answer["restart"])
            return answer
        if plan is not None:
            texts = [str(one) for change in plan.changes for one in change.differences]
            answer["changes"] = list(dict.fromkeys(texts))
        self.configuration = configuration
        self._addresses.watch(hosts_of(configuration))
        force = in_force(configuration, self._addresses.known)
        self.switchboard.configure(force, trio.current_time())
        self.loop.changed()
        self.log.info("reloaded", changes=answer["changes"])
        return answer

    async def obey_signals(self) -> None:
        """SIGHUP reloads; SIGTERM and SIGINT stop."""
        with trio.open_signal_receiver(signal.SIGHUP, signal.SIGTERM, signal.SIGINT) as signals:
            async for number in signals:
                if number != signal.SIGHUP:
                    self.stop()
                    return
                await self.reload()

    async def _wind_down(self) -> None:
        calls = self.switchboard.calls
        await _until_empty(lambda: len(calls), self._drain_s)
        text = "this border was stopped by its operator"
        ending = Ending(503, NORMAL_CLEARING, "operator", text)
        self.switchboard.hang_up_all(ending, trio.current_time())
        self.loop.changed()
        await _until_empty(lambda: len(calls), HANG_UP_S)
        calls.drop_all(ending, trio.current_time())

    def _call(self, arguments: Arguments) -> object:
        name = text_argument(arguments, "call")
        found = self._views.call(name)
        if found is None:
            raise CommandRefused(
                f"no call {name!r} is live or among the recent ones; "
                "`sbc calls` lists those that are live, `sbc cdr` those that were"
            )
        return found

    def _stop(self, arguments: Arguments) -> object:
        drain, timeout = arguments.get("drain", False), arguments.get("timeout_s")
        if timeout is not None and not isinstance(timeout, int | float):
            raise CommandRefused("'timeout_s' is a number of seconds")
        drain_s = 0.0
        if drain:
            drain_s = math.inf if timeout is None else float(timeout)
        self.stop(drain_s)
        return {"calls": len(self.switchboard.calls)}

    def _tell_ready(self) -> None:
        listeners = [
            f"{network.name}={listener.transport}/{listener.bind}:{listener.port}"
            for network in self.configuration.settings.networks
            for listener in network.listeners
        ]
        self.log.info("ready", listeners=listeners, engine=self._relay.engine_name)

    def _media_event(self, event: MediaEvent) -> None:
        self.loop.media_event(event)

    def _note(self, level: str, event: str, **fields: object) -> None:
        self.log.note(Level[level.upper()], event, fields)

    def _resolved(self, name: str, addresses: Addresses) -> None:
        self.log.info("name resolved", name=name, addresses=list(addresses))
        self.switchboard.resolved(self._addresses.known)


class _Wire:
    """The transports, which are made after what they report to."""

    __slots__ = ("send",)

    def __init__(self) -> None:
        self.send: Callable[[Flow, bytes], None] = _nowhere


def _nowhere(flow: Flow, data: bytes) -> None:
    """Before the transports are there nothing can be sent, and nothing is."""


def run(path: Path, *, json_lines: bool = False, level: Level = Level.INFO) -> int:
    """Load a configuration and serve until stopped; the exit status of `sbc run`."""
    log = Log(json_lines=json_lines, level=level)
    result = load_file(path)
    for problem in result.problems:
        note = log.error if problem.is_error else log.warning
        note("configuration", problem=str(problem))
    if result.configuration is None:
        log.error("not started", why="the configuration has errors")
        return CANNOT_START
    configuration = result.configuration
    _settle_garbage_collector()
    _raise_descriptor_limit(log)
    refused: list[str] = []
    try:
        trio.run(_serve, configuration, log)
    except* (AlreadyRunning, ControlUnusable, ListenFailed, StoreInUse, StoreUnusable) as group:
        refused = [str(error) for error in _leaves(group)]
    for why in refused:
        log.error("not started", why=why)
    return CANNOT_START if refused else 0


def _leaves(group: BaseExceptionGroup[Exception]) -> Iterator[BaseException]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error


async def _serve(configuration: Configuration, log: Log) -> None:
    app = App(configuration, log)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(app.obey_signals)
        await app.run()
        nursery.cancel_scope.cancel()


def in_force(configuration: Configuration, addresses: dict[str, Addresses]) -> InForce:
    """What the switchboard judges by under a configuration."""
    table = configuration.routing_table().with_addresses(addresses)
    return InForce(configuration.settings, table, configuration.policies, addresses)


def hosts_of(configuration: Configuration) -> list[str]:
    """Every host that a peer's target names."""
    return [target.host for peer in configuration.settings.peers for target in peer.targets]


def _raise_descriptor_limit(log: Log) -> None:
    """Take as many descriptors as we may: a call needs four, and 1024 is the usual soft limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (OSError, ValueError) as error:
            log.warning("descriptors", limit=soft, why=str(error))


def _settle_garbage_collector() -> None:
    """Collect young objects rarely and old ones hardly ever.

    A call is a few hundred objects that live as long as it does, and leaves no cycles; to walk
    through all calls for nothing stops everything for longer than a retransmission takes. What is
    alive at the start is never garbage at all.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 1000)


async def _until_empty(count: Callable[[], int], seconds: float) -> None:
    """Look now and then whether a count is zero; only a stop waits so, and only once."""
    deadline = trio.current_time() + seconds
    while count() and trio.current_time() < deadline:  # noqa: ASYNC110 - it has no event
        await trio.sleep(POLL_S)
