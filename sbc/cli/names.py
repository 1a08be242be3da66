"""``sbc resolve``, and what ``sbc check`` says of names: asked anew, in this process."""

import sys
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Final

import trio

from sbc.cli.operate import OK, PROBLEM, show_json
from sbc.cli.places import find_configuration
from sbc.cli.table import draw_table
from sbc.config.load import Configuration, LoadResult, load_file
from sbc.config.values import parse_target
from sbc.document.problem import Problem, Severity
from sbc.document.schema import BadValue
from sbc.resolver.cache import Answers
from sbc.resolver.dns import Dns, DnsSettings
from sbc.resolver.locator import Step, find
from sbc.resolver.records import Answer, Naptr, Record, Srv
from sbc.routing.location import (
    UNKNOWN,
    Destination,
    Located,
    Reach,
    destinations,
    place_text,
    reach_of,
)
from sbc.routing.model import Peer, Target

_EVERYTHING: Final[Reach] = (
    ("udp", 4),
    ("udp", 6),
    ("tcp", 4),
    ("tcp", 6),
    ("tls", 4),
    ("tls", 6),
)
_CHECK_S: Final = 15.0
"""How long a check waits for names, however many there are."""


def resolve(arguments: Namespace) -> int:
    """``sbc resolve``: every question, its answer, and the places that follow; 1 without any."""
    try:
        target = parse_target(arguments.target)
        settings, reach = _surroundings(arguments)
    except (BadValue, ValueError) as error:
        print(f"sbc: {error}", file=sys.stderr)
        return PROBLEM
    located, rows = trio.run(_explained, target, reach, settings)
    if arguments.json:
        show_json(
            {
                "questions": [dict(zip(_COLUMNS, row, strict=True)) for row in rows],
                "places": [place._asdict() for place in located.places],
                "trouble": located.trouble,
            }
        )
    else:
        if rows:
            print(draw_table(_COLUMNS, rows))
        print("\n".join(place_text(place) for place in located.places) or "no place")
    if located.trouble and not arguments.json:
        print(f"sbc: {located.trouble}", file=sys.stderr)
    return OK if located.places else PROBLEM


_COLUMNS: Final = ("question", "answer", "holds_s")


async def _explained(
    target: Target, reach: Reach, settings: DnsSettings
) -> tuple[Located, list[tuple[str, str, int]]]:
    located, steps = await find(target, reach, Answers(Dns(settings).ask).ask)
    now = trio.current_time()
    return located, [row for step in steps for row in _rows(step, now)]


def _rows(step: Step, now: float) -> list[tuple[str, str, int]]:
    question, answer = step
    texts = [_record_text(record) for record in answer.records] or [_nothing(answer)]
    return [(str(question), text, round(answer.until - now)) for text in texts]


def _nothing(answer: Answer) -> str:
    return "no record" if answer.known else "not known"


def _record_text(record: Record) -> str:
    if isinstance(record, Srv):
        return f"{record.priority} {record.weight} {record.port} {record.target or '.'}"
    if isinstance(record, Naptr):
        order = f"{record.order} {record.preference}"
        texts = " ".join(f'"{text}"' for text in (record.flags, record.service, record.regexp))
        return f"{order} {texts} {record.replacement or '.'}"
    return record


def _surroundings(arguments: Namespace) -> tuple[DnsSettings, Reach]:
    """Whom to ask, and what the network can reach; without a configuration the usual, and all.

    Raises:
        ValueError: the configuration cannot be used, or has no such network.
    """
    path = arguments.config or find_configuration()
    if path is None:
        if arguments.network is not None:
            raise ValueError("--network needs a configuration, and there is none")
        return DnsSettings(), _EVERYTHING
    configuration = load_file(path).configuration
    if configuration is None:
        raise ValueError(f"{path} cannot be used; `sbc check {path}` says why")
    _refuse_peers(arguments.target, configuration.settings.peers)
    if arguments.network is None:
        return configuration.dns, _EVERYTHING
    networks = {network.name: network for network in configuration.settings.networks}
    if arguments.network not in networks:
        known = ", ".join(sorted(networks))
        raise ValueError(f"{path} has no network {arguments.network!r}, but {known}")
    return configuration.dns, reach_of(networks[arguments.network])


def _refuse_peers(name: str, peers: tuple[Peer, ...]) -> None:
    """Say what to ask for instead of a peer's name, unless an address is that very word.

    Raises:
        ValueError: it is the name of a peer that has addresses.
    """
    hosts = {peer.name: [target.host for target in peer.targets] for peer in peers}
    if hosts.get(name) and not any(name in of_one for of_one in hosts.values()):
        raise ValueError(f"{name!r} is a peer; ask for its address: {', '.join(hosts[name])}")


def with_names_checked(result: LoadResult) -> LoadResult:
    """A load with a warning for each name of a peer that has no place now."""
    configuration = result.configuration
    if configuration is None:
        return result
    settings = configuration.settings
    wanted = destinations(settings.networks, settings.peers)
    if not wanted:
        return result
    known = trio.run(partial(located, wanted, configuration.dns))
    problems = [*result.problems, *_unlocated(configuration, known)]
    problems.sort(key=lambda one: (one.file, one.line, one.column))
    return replace(result, problems=tuple(problems))


async def located(
    wanted: Mapping[Destination, Reach], settings: DnsSettings
) -> dict[Destination, Located]:
    """What names stand for now, as far as that was answered in time."""
    ask = Answers(Dns(settings).ask).ask
    known: dict[Destination, Located] = {}

    async def one(destination: Destination, reach: Reach) -> None:
        known[destination], _ = await find(destination.target, reach, ask)

    with trio.move_on_after(_CHECK_S):
        async with trio.open_nursery() as nursery:
            for destination, reach in wanted.items():
                nursery.start_soon(one, destination, reach)
    return known


def _unlocated(configuration: Configuration, known: Mapping[Destination, Located]) -> list[Problem]:
    found = []
    for peer in configuration.settings.peers:
        file, _, line = peer.where.rpartition(":")
        for destination in destinations(configuration.settings.networks, [peer]):
            host = destination.target.host
            located = known.get(destination, UNKNOWN)
            if not located.places:
                said = f"{host} cannot be located now: {located.trouble}"
                hint = f"calls to it fail until it can; `sbc resolve {host}` says more"
                path = f"peers.{peer.name}.address"
                found.append(Problem(Severity.WARNING, file, int(line), 1, path, said, hint))
    return found
