"""sbc.yaml to what the process runs on; every complaint names file, line, column and key path."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from sbc.config.authentication import ReadText
from sbc.config.dids import build_dids
from sbc.config.files import Files, read_text
from sbc.config.firewall import build_firewall
from sbc.config.geo import build_geo, warn_of_missing
from sbc.config.lint import lint
from sbc.config.machine import Machine, ThisMachine
from sbc.config.model import SbcFile
from sbc.config.names import build_dns
from sbc.config.networks import build_networks
from sbc.config.peers import build_peers
from sbc.config.routes import build_routes
from sbc.document.problem import Problem, Severity
from sbc.document.reading import why_unreadable
from sbc.document.schema import validate
from sbc.document.text import Document, read_document
from sbc.firewall.nftables import FirewallSettings
from sbc.geo.places import GeoPlaces
from sbc.policy.caps import CallLimits
from sbc.policy.library import Library
from sbc.policy.load import LoadedPolicy, combine, load_policy
from sbc.policy.model import PolicySet
from sbc.resolver.dns import DnsSettings
from sbc.routing.model import Settings, Timers
from sbc.routing.table import RoutingTable
from sbc.sip.parser import Limits as MessageLimits
from sbc.transport.limits import TransportLimits

_SOCKET_BYTES = 107
"""Longest path of a Unix socket."""


@dataclass(frozen=True, slots=True)
class MediaEngine:
    """Which engine relays media."""

    engine: Literal["native", "python"] = "native"
    """The native one relays only where this build has it."""
    workers: int | None = None
    """Its threads; None for one per core."""

    @property
    def native(self) -> bool:
        """Whether the native one may relay."""
        return self.engine == "native"


@dataclass(frozen=True, slots=True)
class Configuration:
    """Everything that one sbc.yaml and its policies say. Immutable; swapped as one reference."""

    file: str
    settings: Settings
    policies: PolicySet
    call_limits: Mapping[str, CallLimits]
    """The caps of each peer that has any."""
    message_limits: MessageLimits
    transport_limits: TransportLimits
    media_engine: MediaEngine
    dns: DnsSettings
    firewall: FirewallSettings
    places: GeoPlaces = field(compare=False)
    """Where addresses are; the databases in it may be exchanged while it is in force."""
    state_dir: Path
    control_socket: Path
    version: int = field(default=0, compare=False)
    """The number that it is kept under; 0 while it is not kept."""

    def routing_table(self) -> RoutingTable:
        """A new routing table; addresses behind names are added with `with_locations`."""
        settings = self.settings
        return RoutingTable(settings.networks, settings.peers, settings.routes, settings.dids)

    @property
    def trust(self) -> dict[str, bool]:
        """Whether each network is trusted, as `Admission` wants it."""
        return {network.name: network.trusted for network in self.settings.networks}


@dataclass(frozen=True, slots=True)
class LoadResult:
    """What a load gave: a configuration unless a problem is an error."""

    configuration: Configuration | None
    problems: tuple[Problem, ...] = field(default=())
    """By file, line and column."""

    @property
    def settings(self) -> Settings | None:
        """What the cores get of the configuration, if there is one."""
        return None if self.configuration is None else self.configuration.settings

    @property
    def errors(self) -> tuple[Problem, ...]:
        """Why there is no configuration."""
        return tuple(problem for problem in self.problems if problem.is_error)

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """What the operator should look at."""
        return tuple(problem for problem in self.problems if not problem.is_error)


def load_file(
    path: str | Path,
    machine: Machine | None = None,
    environment: Mapping[str, str] | None = None,
    files: Files | None = None,
) -> LoadResult:
    """Load an sbc.yaml and the policies it names.

    May wait for the name service and the disk: inside a running loop, call it from a thread.

    Args:
        machine: by default the one we run on.
        environment: what ``${NAME}`` stands for; by default the process environment.
        files: where all files are read; by default on disk.
    """
    files = Files() if files is None else files
    try:
        text = files.read(Path(path))
    except (OSError, ValueError) as error:
        why = f"cannot be read: {why_unreadable(error)}"
        problem = Problem(Severity.ERROR, str(path), 1, 1, "", why)
        return LoadResult(None, (problem,))
    return load_text(
        text,
        str(path),
        ThisMachine() if machine is None else machine,
        os.environ if environment is None else environment,
        files.read,
    )


def load_text(
    text: str,
    file: str,
    machine: Machine,
    environment: Mapping[str, str],
    read: ReadText = read_text,
) -> LoadResult:
    """Load the text of an sbc.yaml. Any text gives a result, never an exception.

    Args:
        file: its name, for problems and for paths relative to it.
        read: how policy files, files of users and DID tables are read; raises OSError or
            ValueError.
    """
    document = read_document(text, file, environment)
    model = validate(document, SbcFile)
    if model is None:
        return _result(None, document.problems)
    networks = build_networks(document, model, machine)
    peers = build_peers(document, model, networks, machine, read)
    dids = build_dids(document, model.dids, peers, read)
    routes = build_routes(document, model, peers, dids)
    base = Path(file).parent
    state_dir = base / model.state_dir
    control_socket = _control_socket(document, model, base)
    policies = _policies(document, model, read, environment)
    places = build_geo(document, model.geo)
    combined = combine(policies)
    for named in combined.sets:
        named.look(machine.clock())
    warn_of_missing(document, model.geo, combined)
    lint(document, networks, peers, routes, combined)
    problems = [*document.problems, *(p for policy in policies for p in policy.problems)]
    if any(problem.is_error for problem in problems):
        return _result(None, problems)
    timers = model.timers
    configuration = Configuration(
        file=file,
        settings=Settings(
            networks=networks,
            peers=peers,
            routes=routes,
            timers=Timers(
                ring_s=timers.ring,
                no_answer_s=timers.no_answer,
                max_duration_s=timers.max_duration,
                inactivity_s=timers.media_inactivity,
            ),
            server_header=model.user_agent or None,
            dids=dids,
        ),
        policies=combined,
        call_limits={
            peer.name: CallLimits(
                max_calls=peer.limits.max_calls,
                calls_per_second=peer.limits.calls_per_second,
                burst=peer.limits.burst,
                where=peer.where,
                max_kbps=peer.limits.max_kbps,
            )
            for peer in peers
        },
        message_limits=MessageLimits(
            message_bytes=model.limits.message_bytes,
            head_bytes=model.limits.header_bytes,
            header_count=model.limits.headers,
        ),
        transport_limits=TransportLimits(
            inbound_connections=model.limits.tcp_connections,
            connections_per_source=model.limits.tcp_connections_per_source,
            first_message_s=model.limits.tcp_first_message,
            idle_s=model.limits.tcp_idle,
            message_s=model.limits.tcp_message,
            unproven_s=model.limits.tcp_unproven,
            unproven_per_source=model.limits.tcp_unproven_per_source,
            pings_per_second=model.limits.tcp_pings,
            handshake_s=model.limits.tls_handshake,
            handshakes=model.limits.tls_handshakes,
            upgrade_bytes=model.limits.websocket_request_bytes,
            fragments=model.limits.websocket_fragments,
            websocket_ping_s=model.limits.websocket_ping,
        ),
        media_engine=MediaEngine(model.media.engine, model.media.workers),
        dns=build_dns(model.dns),
        firewall=build_firewall(model.firewall),
        places=places,
        state_dir=state_dir,
        control_socket=control_socket,
    )
    return _result(configuration, problems)


def _result(configuration: Configuration | None, problems: list[Problem]) -> LoadResult:
    ordered = sorted(problems, key=lambda one: (one.file, one.line, one.column))
    return LoadResult(configuration, tuple(ordered))


def _control_socket(document: Document, model: SbcFile, base: Path) -> Path:
    given = model.control_socket
    path = base / given if given else base / model.state_dir / "control.sock"
    if len(bytes(path)) > _SOCKET_BYTES:
        document.report(
            ("control_socket",) if given else ("state_dir",),
            f"the path of the control socket has {len(bytes(path))} bytes, and Linux takes "
            f"{_SOCKET_BYTES}",
            "for example: control_socket: /run/sbc/control.sock",
        )
    return path


def _policies(
    document: Document, model: SbcFile, read: ReadText, environment: Mapping[str, str]
) -> list[LoadedPolicy]:
    if not model.policies:
        document.report(
            ("policies",),
            "there are no policies, so everything is denied",
            "for example: policies: [policies/edge-default.yaml]",
            severity=Severity.WARNING,
        )
    loaded: list[LoadedPolicy] = []
    library = Library(read, environment)
    names: dict[str, str] = {}
    for number, name in enumerate(model.policies):
        path = Path(document.file).parent / name
        entry = ("policies", number)
        where = entry if entry in document.values else ("policies",)
        if library.has_read(path):
            continue
        try:
            text = read(path)
        except (OSError, ValueError) as error:
            why = why_unreadable(error)
            document.report(where, f"{name}: cannot be read: {why}", f"looked at {path}")
            continue
        policy = load_policy(text, str(path), model.networks, model.peers, library)
        for rule in (rule for file in policy.files for rule in file.rules):
            file = rule.where.rpartition(":")[0]
            first = names.setdefault(rule.name, file)
            if first != file:
                document.report(
                    where,
                    f"its rule {rule.name!r} ({rule.where}) has the name of one in {first}",
                    "explanations need names that differ",
                )
        loaded.append(policy)
        found = [file.bans for one in loaded for file in one.files if file.bans is not None]
        if len(found) > 1:
            document.report(
                where,
                f"its bans ({found[-1].where}) are not the only ones",
                f"keep them, or those of {found[0].where}",
            )
    return loaded
