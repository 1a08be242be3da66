"""``sbc route``: where a call would go and why, by what places calls in the running process."""

import sys
from argparse import Namespace

from sbc.app import hosts_of, in_force
from sbc.cli.files import configuration_file
from sbc.cli.operate import OK, PROBLEM, show_json
from sbc.cli.table import draw_table
from sbc.config.load import Configuration, load_file
from sbc.config.machine import ThisMachine
from sbc.document.problem import did_you_mean
from sbc.driver.placing import Course, InForce, course_of, to_peer, why_unreachable
from sbc.routing.facing import bracketed, host_port
from sbc.routing.model import Peer
from sbc.sip.errors import ParseError
from sbc.sip.uri import Uri, escape_user, parse_uri_untrusted

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
    try:
        uri = _called(configuration, arguments.called, origin[1])
    except ParseError as error:
        print(f"sbc: {arguments.called!r}: {error.reason}", file=sys.stderr)
        return PROBLEM
    machine = ThisMachine()
    known = {host: machine.resolve(host) for host in hosts_of(configuration)}
    force = in_force(configuration, known)
    course = course_of(force, *origin, uri)
    rows = [row for peer, user in course.steps for row in _rows(force, peer, uri, user)]
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


def _called(configuration: Configuration, text: str, network: str) -> Uri:
    """The URI that is called: of a number alone, that at our address on the caller's network."""
    if text.startswith(("sip:", "sips:", "tel:")):
        return parse_uri_untrusted(text)
    host = configuration.settings.network(network).listeners[0].advertise
    return parse_uri_untrusted(f"sip:{escape_user(text)}@{bracketed(host)}")


def _rows(force: InForce, peer: Peer, uri: Uri, user: str) -> list[tuple[str, str, str, str]]:
    """Peer, Request-URI, address and what was done to the number, of each place of a step."""
    if peer.kind == "endpoints":
        return [(peer.name, "", f"where {user} is registered", "")]
    places = to_peer(force, peer, uri, user)
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
