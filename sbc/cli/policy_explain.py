"""``sbc policy explain``: what becomes of a message, a capture or a call, and why."""

import sys
from argparse import Namespace
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from time import time

from sbc.cli.explain import draw_explanation
from sbc.cli.files import configuration_file
from sbc.cli.ladder import ascii_only
from sbc.cli.operate import OK, PROBLEM, show_json
from sbc.cli.simulated import Unusable, configured, force_of
from sbc.cli.table import clock_time, draw_table
from sbc.config.load import Configuration
from sbc.config.places import find_places
from sbc.document.schema import BadValue
from sbc.driver.in_force import InForce
from sbc.management.redaction import without_secrets
from sbc.routing.facing import host_port
from sbc.simulation.capture import NoCapture, read_capture
from sbc.simulation.cases import Case, Expected, source_address
from sbc.simulation.flows import flow_at, hearing, home_of
from sbc.simulation.outcome import Outcome
from sbc.simulation.phones import caller_of
from sbc.simulation.simulation import Simulation
from sbc.simulation.testing import message_of
from sbc.simulation.traffic import Replay, outcomes
from sbc.state.cdr import CdrRecord
from sbc.state.database import StoreUnusable
from sbc.state.file import read_records

_MOST_LISTED = 10_000
_LARGEST_MESSAGE = 1 << 20
_CAPTURES = (b"\xa1\xb2\xc3\xd4", b"\xd4\xc3\xb2\xa1", b"\xa1\xb2\x3c\x4d", b"\x4d\x3c\xb2\xa1",
             b"\x0a\x0d\x0d\x0a")  # fmt: skip
"""How pcap, pcap with nanoseconds, and pcapng begin."""


def explain(arguments: Namespace) -> int:
    """``sbc policy explain``: 0 whatever is decided; 1 where that cannot be told."""
    path = configuration_file(arguments.file)
    if path is None:
        return PROBLEM
    try:
        configuration = configured(path)
        what = Path(arguments.what)
        if not what.is_file():
            found = [_of_record(arguments, configuration, path)]
        elif _is_capture(what):
            return _explain_capture(arguments, configuration, what)
        else:
            found = [_of_message(arguments, configuration, what)]
    except Unusable as error:
        print(f"sbc: {error}", file=sys.stderr)
        return PROBLEM
    _show(found, as_json=arguments.json)
    return OK


def _show(found: Iterable[Outcome], *, as_json: bool) -> None:
    explanations = [_explanation(one) for one in found]
    if as_json:
        show_json(explanations)
    else:
        print("\n".join(map(draw_explanation, explanations)), end="")


def _explanation(outcome: Outcome) -> dict[str, object]:
    data = outcome.to_data()
    lines = data["lines"] + [{"step": "sent", "text": one, "where": ""} for one in data["sent"]]
    lines = [{**line, "text": without_secrets(line["text"])} for line in lines]
    return {**data, "id": outcome.call_id, "lines": lines}


def _of_message(arguments: Namespace, configuration: Configuration, path: Path) -> Outcome:
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST_MESSAGE)
    except OSError as error:
        raise Unusable(f"{path}: {error.strerror}") from None
    if b"\r\n" not in data:
        data = data.replace(b"\n", b"\r\n")
    return _simulated(arguments, configuration, data, arguments.source, arguments.network)


def _of_record(arguments: Namespace, configuration: Configuration, path: Path) -> Outcome:
    """What would become now of a call that a record tells of."""
    record = _record(arguments.what, path)
    peer = next((p for p in configuration.settings.peers if p.name == record.a.peer), None)
    arguments.registered = arguments.registered or peer is None or peer.kind == "endpoints"
    case = Case(
        name="record", caller=record.from_number or "anonymous",
        called=record.to_number or "nobody", expect=Expected(),
    )  # fmt: skip
    source = arguments.source or record.a.address
    network = arguments.network or record.a.network
    return _simulated(arguments, configuration, case, source, network)


def _record(name: str, path: Path) -> CdrRecord:
    file = find_places(path).call_records
    try:
        found = read_records(file, last=1, sip_call_id=name)
        found = found or read_records(file, last=1, call=name)
    except StoreUnusable as error:
        raise Unusable(f"{name} is no file, and {error}") from None
    if not found:
        raise Unusable(f"{name} is neither a file nor a call that {file} has a record of")
    return found[0]


def _simulated(
    arguments: Namespace,
    configuration: Configuration,
    message: bytes | Case,
    source: str | None,
    network: str | None,
) -> Outcome:
    try:
        remote = source_address(source or "198.51.100.7:5060")
    except BadValue as error:
        raise Unusable(str(error)) from None
    force = force_of(configuration)
    network = network or home_of(force, remote[0])
    if network not in force.networks:
        known = ", ".join(sorted(force.networks))
        raise Unusable(f"{configuration.file} has no network {network!r}, but {known}")
    force = hearing(force, network, arguments.transport)
    at = time() if arguments.time is None else arguments.time
    simulation = Simulation(force, limits=configuration.message_limits, at=at)
    flow = flow_at(force, network, arguments.transport, remote)
    data = message if isinstance(message, bytes) else message_of(message, force, flow)
    if arguments.registered:
        user, host = caller_of(data)
        simulation.register(user, host or _host(force, network), flow)
    return simulation.receive(flow, data, at, user=arguments.user)


def _host(force: InForce, network: str) -> str:
    return force.networks[network].listeners[0].advertise


def _is_capture(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(4) in _CAPTURES
    except OSError as error:
        raise Unusable(f"{path}: {error.strerror}") from None


def _explain_capture(arguments: Namespace, configuration: Configuration, path: Path) -> int:
    try:
        replay = Replay(
            force_of(configuration),
            ours=arguments.ours,
            network=arguments.network or "",
            limits=configuration.message_limits,
        )
        capture, file = read_capture(path, configuration.message_limits)
    except (OSError, NoCapture, ValueError) as error:
        raise Unusable(f"{path}: {error}") from None
    with file:
        told: Counter[str] = Counter()
        found: list[Outcome] = []
        for outcome in outcomes(replay, capture):
            told[outcome.treatment] += 1
            if arguments.call in (None, outcome.call_id) and len(found) < _MOST_LISTED:
                found.append(outcome)
    if arguments.json or arguments.call is not None:
        _show(found, as_json=arguments.json)
    else:
        print(draw_table(_COLUMNS, [_cells(one) for one in found]), end="")
        counts = ", ".join(f"{count} {what}" for what, count in sorted(told.items())) or "none"
        print(f"requests: {counts}; packets: {capture.packets}, {capture.skipped} without SIP")
    if capture.fault:
        print(f"sbc: {path}: {capture.fault}", file=sys.stderr)
    return PROBLEM if capture.fault else OK


_COLUMNS = ("at", "source", "request", "call-id", "outcome", "rule", "where")


def _cells(outcome: Outcome) -> list[object]:
    return [
        clock_time(outcome.at),
        host_port(*outcome.flow.remote),
        outcome.title,
        ascii_only(outcome.call_id[:40]),
        f"{outcome.treatment} {outcome.status or ''}".strip(),
        outcome.rule or outcome.why[:60],
        outcome.where,
    ]
