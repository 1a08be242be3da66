"""``sbc route``: where a call would go and why, by what places calls in the running process."""

import sys
from argparse import Namespace

import trio

from sbc.candidates import in_force, wanted
from sbc.cli.files import configuration_file
from sbc.cli.names import located
from sbc.cli.operate import OK, PROBLEM, show_json
from sbc.cli.table import draw_table
from sbc.config.load import Configuration, load_file
from sbc.document.problem import did_you_mean
from sbc.driver.in_force import InForce
from sbc.driver.placing import Course, course_of, to_peer, why_unreachable
from sbc.driver.present import IDLE
from sbc.management.replay import flow_on, invite_to
from sbc.policy.numbers import sent
from sbc.routing.facing import host_port
from sbc.routing.location import Destination, Located
from sbc.routing.model import Peer
from sbc.sip.errors import ParseError
from sbc.sip.flow import Flow
from sbc.sip.message import Request

_COLUMNS = ("try", "peer", "request-uri", "address", "number")


def route(arguments: Namespace) -> int:
    """``sbc route``: 1 when the call would go nowhere."""
    path = configuration_file(arguments.file)
    if path is None:
        return PROBLEM
    result = load_file(path)
    configuration = result.configuration
    if configuration is None:
        print(f"sbc: {path} cannot be used; `sbc check` says why", file=sys.stderr)
        return PROBLEM
    origin = _origin(configuration, arguments.caller)
    if origin is None:
        names = [*(p.name for p in configuration.settings.peers)]
        names += [network.name for network in configuration.settings.networks]
        hint = did_you_mean(arguments.caller, names, "peers and networks")
        print(f"sbc: there is no peer or network {arguments.caller!r} ({hint})", file=sys.stderr)
        return PROBLEM
    caller, network = origin
    force = in_force(configuration, _locations(configuration))
    flow = flow_on(force, network)
    request = invite_to(force, flow, arguments.called)
    try:
        course = course_of(force, caller, request, flow)
        rows = [row for step in course.steps for row in _rows(force, *step, request, flow)]
    except ParseError as error:
        print(f"sbc: {arguments.called!r}: {error.reason}", file=sys.stderr)
        return PROBLEM
    _show(course, rows, as_json=arguments.json)
    return OK if course.steps else PROBLEM


def _origin(configuration: Configuration, name: str) -> tuple[str, str] | None:
    """The peer that calls, ``""`` for a stranger, and its network."""
    for peer in configuration.settings.peers:
        if peer.name == name:
            return name, peer.network
    if any(network.name == name for network in configuration.settings.networks):
        return "", name
    return None


def _locations(configuration: Configuration) -> dict[Destination, Located]:
    """What the names of targets stand for now."""
    names = wanted(configuration)
    return trio.run(located, names, configuration.dns) if names else {}


def _rows(
    force: InForce, peer: Peer, user: str, request: Request, flow: Flow
) -> list[tuple[str, str, str, str]]:
    """Peer, Request-URI, address and what was done to the number, of each place of a step."""
    if peer.kind == "endpoints":
        return [(peer.name, "", f"where {user} is registered", "")]
    if peer.registering is not None:
        told = sent(user, peer.numbers, "called", force.plan)
        return [(peer.name, f"{told.number} at the trunk", "where we are registered", told.why)]
    places = to_peer(force, peer, request, user, flow, IDLE)
    if not places:
        return [(peer.name, "", why_unreachable(force, peer, user), "")]
    return [
        (
            peer.name,
            place.request_uri,
            f"{place.flow.transport} {host_port(*place.flow.remote)}",
            place.note,
        )
        for place in places
    ]


def _show(course: Course, rows: list[tuple[str, str, str, str]], *, as_json: bool) -> None:
    if as_json:
        steps = [dict(zip(_COLUMNS[1:], row, strict=True)) for row in rows]
        show_json({"why": course.why, "steps": steps})
        return
    print(course.why)
    if rows:
        table = [(number, *row) for number, row in enumerate(rows, 1)]
        print(draw_table(_COLUMNS, table), end="")
