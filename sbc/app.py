"""The composition root: a configuration in, one nursery up, an orderly stop."""

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import trio

from media.events import EngineFailed, MediaEvent
from media.relay import Relay
from sbc.candidates import in_force, read_again, read_from, sources_of, wanted
from sbc.config.files import Files, read_text
from sbc.config.load import Configuration
from sbc.config.machine import ThisMachine
from sbc.config.reload import reload_certificates
from sbc.config.renewal import certificates_of, files_of
from sbc.config.start import begin
from sbc.driver.entropy import SystemEntropy
from sbc.driver.loop import Loop
from sbc.driver.switchboard import Switchboard
from sbc.firewall.nftables import FirewallUnusable
from sbc.firewall.socket_filter import SocketFilter
from sbc.management.advice import advice
from sbc.management.bindings import BindingRecords, take_over
from sbc.management.certificates import CertificateWatch
from sbc.management.commands import commands_of
from sbc.management.control import (
    AlreadyRunning,
    ControlServer,
    ControlUnusable,
    user_name,
)
from sbc.management.guarding import Guarding
from sbc.management.lists import ListWatch
from sbc.management.log import Level, Log
from sbc.management.past_calls import remember_calls
from sbc.management.records import CallRecords
from sbc.management.reloading import Reloading
from sbc.management.resources import raise_descriptor_limit, settle_garbage_collector
from sbc.management.stopping import Stopping
from sbc.management.versions import Versions
from sbc.management.views import Views
from sbc.resolver.cache import Answers
from sbc.resolver.dns import Dns
from sbc.resolver.locator import Locator
from sbc.routing.location import Locations, place_text
from sbc.sip.flow import Flow
from sbc.state.bindings import BindingStore
from sbc.state.database import StoreInUse, StoreUnusable
from sbc.state.places import BANS_FILE, BINDINGS_FILE, CDR_FILE
from sbc.state.sqlite import CdrStore
from sbc.state.versions.history import History
from sbc.transport.sockets import ListenFailed
from sbc.transport.tls.contexts import TlsContexts
from sbc.transport.transports import Transports

_FIRST_ANSWERS_S = 1.0
"""How long a start waits for names to be located; then they are unknown until they are."""

SIGNAL = "SIGHUP"
"""Who reloads when nobody gave a command."""

_NO_START = (
    AlreadyRunning, ControlUnusable, FirewallUnusable, ListenFailed, StoreInUse, StoreUnusable,
)  # fmt: skip

FAILED = 1
"""The exit status of a process that could not start, or could not go on."""


class App:
    """All parts of one running SBC."""

    def __init__(self, configuration: Configuration, history: History, log: Log) -> None:
        self.log = log
        engine = configuration.media_engine
        relay = Relay(self._media_event, workers=engine.workers, native=engine.native)
        self._relay = relay
        self.store = CdrStore(
            configuration.state_dir / CDR_FILE,
            on_trouble=lambda why: log.error("call records", trouble=why or "over"),
        )
        self.bindings = BindingStore(
            configuration.state_dir / BINDINGS_FILE,
            os.urandom(32),
            on_trouble=lambda why: log.error("registrations", trouble=why or "over"),
        )
        self._binding_records = BindingRecords(
            self.bindings.put, self.bindings.forget, clock=trio.current_time, wall=time.time
        )
        wire = _Wire()
        self.switchboard = Switchboard(
            in_force(configuration, {}),
            wire=wire,
            relay=relay,
            records=CallRecords(self.store.put),
            bindings=self._binding_records,
            log=log,
            ids=SystemEntropy(),
            wall=time.time,
            message_limits=configuration.message_limits,
            now=trio.current_time(),
        )
        self.loop = Loop(self.switchboard)
        self.stopping = Stopping(self.switchboard, rearm=self.loop.changed, log=log)
        self._contexts = TlsContexts(configuration.settings.networks, configuration.settings.peers)
        self.transports = Transports(
            configuration.settings.networks,
            on_messages=self.loop.messages,
            on_datagrams=self.loop.datagrams,
            doorkeeper=self.switchboard.doorkeeper,
            on_failure=self.loop.flow_failed,
            on_connection_closed=self.loop.flow_closed,
            on_trouble=self._stream_trouble,
            contexts=self._contexts,
            limits=configuration.transport_limits,
            message_limits=configuration.message_limits,
        )
        wire.transports = self.transports
        self._socket_filter = SocketFilter(self.transports.udp_sockets)
        self.switchboard.admission.mutes.kernel = self._socket_filter
        self._dns = Dns(configuration.dns)
        answers = Answers(self._dns.ask)
        self._locator = Locator(
            answers.ask,
            on_change=self._located,
            on_trouble=lambda destination, why: log.warning(
                "name lookup", name=str(destination), trouble=why or "over"
            ),
            time_of_day=_time_of_day,
        )
        self._locator.watch(wanted(configuration))
        self.reloading = Reloading(
            configuration,
            renew=lambda current: read_again(reload_certificates(current, time.time()), Files()),
            put_in_force=self._put_in_force,
            log=log,
        )
        self.versions = Versions(
            history,
            self.reloading,
            read=read_from,
            numbered=lambda new, number: replace(new, version=number),
            log=log,
            wall=time.time,
        )
        plan_sources = sources_of(lambda: self.reloading.configuration, lambda: self._locator.known)
        self._guarding = Guarding(
            self.switchboard,
            configuration.firewall,
            configuration.state_dir / BANS_FILE,
            hosts=self._needed_hosts,
            cut=self.transports.cut,
            log=log,
            wall=time.time,
        )
        self._watch = CertificateWatch(
            files=lambda: files_of(self.reloading.configuration.settings),
            certificates=lambda: certificates_of(self.reloading.configuration.settings),
            renew=self.reloading.renew,
            log=log,
            wall=time.time,
        )
        self._lists = ListWatch(log, read=read_text, wall=time.time)
        self._lists.watch(configuration.policies.sets, configuration.places)
        self._views = Views(
            self.switchboard,
            relay,
            self.transports,
            self.store,
            self.bindings,
            self._locator,
            self._watch,
            self._lists,
            answers.statistics,
            self._socket_filter,
            log,
            time.time,
        )
        self._control = ControlServer(
            configuration.control_socket,
            commands_of(
                self._views,
                self.switchboard,
                self.versions,
                self.stopping,
                plan_sources,
                self._guarding,
                rearm=self.loop.changed,
                flush=self._flush,
            ),
            log=log,
        )

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until `stopping` is done, or until cancelled.

        Raises:
            ListenFailed: a listener cannot be bound.
            StoreInUse, StoreUnusable: the call records or the registrations cannot be kept.
            AlreadyRunning, ControlUnusable: the control socket cannot be had.
            FirewallUnusable: bans in the kernel are required and cannot be had.
        """
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.log.run)
            await nursery.start(lambda task_status: self.store.run(task_status=task_status))
            await nursery.start(lambda task_status: self.bindings.run(task_status=task_status))
            now = trio.current_time()
            take_over(self.bindings, self._binding_records, self.switchboard, now, self.log)
            await remember_calls(self.store.path, self.switchboard, time.time(), self.log)
            await nursery.start(self._relay.run)
            await nursery.start(lambda task_status: self._guarding.run(task_status=task_status))
            self.transports.open()
            for warning in self.transports.warnings:
                self.log.warning("transport", text=warning)
            nursery.start_soon(self._watch.run)
            nursery.start_soon(self._lists.run)
            nursery.start_soon(self.versions.run)
            nursery.start_soon(self._locator.run)
            # What arrives meanwhile waits in the sockets, and then finds the peers that have names.
            with trio.move_on_after(_FIRST_ANSWERS_S):
                await self._locator.settled()
            nursery.start_soon(self.loop.run)
            nursery.start_soon(self._socket_filter.run)
            await nursery.start(lambda task_status: self.transports.run(task_status=task_status))
            # Last, so that whoever gets an answer knows that calls are served.
            await nursery.start(lambda task_status: self._control.run(task_status=task_status))
            self._tell_ready()
            self.switchboard.begin(trio.current_time())
            self.loop.changed()
            task_status.started()
            await self.stopping.run()
            nursery.cancel_scope.cancel()

    async def obey_signals(
        self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """SIGHUP reloads; SIGTERM and SIGINT stop, and a second one stops sooner.

        Until the very end, since a signal that nobody takes would end the process without a word
        to the calls and with records unwritten.
        """
        with trio.open_signal_receiver(signal.SIGHUP, signal.SIGTERM, signal.SIGINT) as signals:
            async with trio.open_nursery() as nursery:
                task_status.started()
                async for number in signals:
                    if number != signal.SIGHUP:
                        self.stopping.stop()
                    elif not self.reloading.is_awaited:
                        nursery.start_soon(self.versions.reload, SIGNAL)

    def _needed_hosts(self) -> Iterator[tuple[str, str]]:
        """Whom no ban may keep from us, besides peers."""
        yield from ((host, "it is a name server") for host in self._dns.servers())
        for addresses in ThisMachine().interfaces().values():
            yield from ((host, "it is an address of this machine") for host in addresses)

    async def _flush(self) -> None:
        await self.store.flush()
        await self.bindings.flush()

    def _tell_ready(self) -> None:
        listeners = [
            f"{network.name}={listener.transport}/{listener.bind}:{listener.port}"
            for network in self.reloading.configuration.settings.networks
            for listener in network.listeners
        ]
        engine, why = self._relay.engine_name, self._relay.engine_reason
        self.log.info("ready", listeners=listeners, engine=engine, why=why)

    def _media_event(self, event: MediaEvent) -> None:
        self.loop.media_event(event)
        if isinstance(event, EngineFailed):
            # Nothing can be relayed any more; who started us may start us again.
            self.stopping.fail(f"the media engine failed: {event.reason}")

    def _stream_trouble(self, flow: Flow, why: str, untold: int) -> None:
        """A connection failed at something that somebody may have to mend.

        Strangers fail at something all the time; a peer of ours should not.
        """
        tell = self.log.warning if flow.peer else self.log.info
        tell(
            "connection failed",
            network=flow.network,
            transport=flow.transport,
            peer=flow.peer or None,
            remote=flow.remote,
            why=why,
            more=untold or None,
        )

    def _put_in_force(self, configuration: Configuration) -> None:
        settings = configuration.settings
        configuration.places.inherit(self.reloading.configuration.places)
        self._contexts.replace(settings.networks, settings.peers)
        self.transports.configure(settings.networks)
        self._dns.configure(configuration.dns)
        self._locator.watch(wanted(configuration))
        force = in_force(configuration, self._locator.known)
        if not self.switchboard.configure(force, trio.current_time()):
            raise RuntimeError("the switchboard kept the configuration before; the log says why")
        self._guarding.configured()
        self._lists.watch(configuration.policies.sets, configuration.places)
        self.loop.changed()

    def _located(self, locations: Locations) -> None:
        for destination, known in locations.items():
            before = self.switchboard.force.locations.get(destination)
            if known.places and (before is None or before.places != known.places):
                places = [place_text(place) for place in known.places]
                self.log.info("name resolved", name=str(destination), places=places)
        self.switchboard.located(locations, trio.current_time())
        self.loop.changed()


class _Wire:
    """The transports, which are made after what they report to."""

    __slots__ = ("transports",)

    def __init__(self) -> None:
        self.transports: Transports | None = None

    def send(self, flow: Flow, data: bytes) -> None:
        """As `Transports.send`; before they are there nothing can be sent, and nothing is."""
        if self.transports is not None:
            self.transports.send(flow, data)

    def prove(self, flow: Flow) -> None:
        """As `Transports.prove`."""
        if self.transports is not None:
            self.transports.prove(flow)

    def names(self, flow: Flow) -> tuple[str, ...]:
        """As `Transports.names`."""
        return () if self.transports is None else self.transports.names(flow)

    def tls_version(self, flow: Flow) -> float:
        """As `Transports.tls_version`."""
        return 0.0 if self.transports is None else self.transports.tls_version(flow)


def run(path: Path, *, json_lines: bool = False, level: Level = Level.INFO) -> int:
    """Load a configuration and serve until stopped; the exit status of `sbc run`."""
    log = Log(json_lines=json_lines, level=level)
    refused: list[BaseException] = []
    failure = ""
    try:
        start = begin(path, time.time(), user_name(os.geteuid()))
        for text in start.told:
            log.warning("configuration", made_whole=text)
        for problem in start.result.problems:
            note = log.error if problem.is_error else log.warning
            note("configuration", problem=str(problem))
        configuration, history = start.result.configuration, start.history
        if configuration is None or history is None:
            log.error("not started", why="the configuration has errors")
            return FAILED
        settle_garbage_collector()
        raise_descriptor_limit(log)
        failure = trio.run(_serve, configuration, history, log)
    except* _NO_START as group:
        refused = list(_leaves(group))
    for error in refused:
        log.error("not started", why=error, advice=advice(error, str(path)))
    if failure:
        log.error("ended by a failure", why=failure)
    return FAILED if refused or failure else 0


def _leaves(group: BaseExceptionGroup[Exception]) -> Iterator[BaseException]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error


async def _serve(configuration: Configuration, history: History, log: Log) -> str:
    """Serve until stopped; why the process could not go on, empty if it could."""
    app = App(configuration, history, log)
    async with trio.open_nursery() as nursery:
        await nursery.start(lambda task_status: app.obey_signals(task_status=task_status))
        await app.run()
        nursery.cancel_scope.cancel()
    return app.stopping.failure


def _time_of_day() -> str:
    return datetime.now().astimezone().strftime("%Y-%m-%d %H:%M:%S")
