"""Unit tests of policies: run, and what is told of those that fail."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from sbc.config.files import read_text
from sbc.config.load import Configuration, LoadResult
from sbc.document.problem import Problem, Severity
from sbc.document.text import Document
from sbc.driver.in_force import InForce
from sbc.policy.world import UNKNOWN
from sbc.routing.facing import bracketed, family_of
from sbc.simulation.cases import SECTIONS, Case, CasesFile, Place, read_cases, source_address
from sbc.simulation.flows import flow_at, hearing, home_of
from sbc.simulation.loading import load_border, load_simulated
from sbc.simulation.moments import moment
from sbc.simulation.outcome import Outcome
from sbc.simulation.simulation import Simulation
from sbc.sip.flow import Flow
from sbc.sip.grammar import quote
from sbc.sip.parser import DEFAULT, Limits

NOON: Final = moment("2026-03-02 12:00")
"""A Monday: when cases happen unless they say."""

_PRINT: Final = ":".join(["AB"] * 32)
_STREAMS: Final = {
    "rtp": ("m=audio 4000 RTP/AVP 8 0",),
    "sdes": (
        "m=audio 4000 RTP/SAVP 8 0",
        f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{'A' * 40}",
    ),
    "dtls": (
        "m=audio 4000 UDP/TLS/RTP/SAVPF 8 0",
        f"a=fingerprint:sha-256 {_PRINT}",
        "a=setup:actpass",
    ),
}
"""A stream of G.711 by how it is protected."""

MakeForce = Callable[[Configuration], InForce]
"""A configuration to what requests are judged by, as the composition root does it."""


@dataclass(frozen=True, slots=True)
class Result:
    """What one case gave."""

    name: str
    where: str
    """``file:line``."""
    outcome: Outcome
    failures: tuple[str, ...]
    """What was to be otherwise; empty for a case that holds."""


@dataclass(frozen=True, slots=True)
class Findings:
    """What a file of cases gave."""

    results: tuple[Result, ...]
    problems: tuple[Problem, ...]
    """What is wrong with the file, or with what it tests."""

    @property
    def broken(self) -> bool:
        """Whether nothing could be tested."""
        return any(problem.is_error for problem in self.problems)

    @property
    def failed(self) -> tuple[Result, ...]:
        """The cases that do not hold."""
        return tuple(result for result in self.results if result.failures)


def run_cases(path: Path, force_of: MakeForce) -> Findings:
    """Run the tests in a file, each on its own."""
    try:
        text = read_text(path)
    except (OSError, ValueError) as error:
        problem = Problem(Severity.ERROR, str(path), 1, 1, "", f"cannot be read: {error}")
        return Findings((), (problem,))
    model, document = read_cases(text, str(path))
    if model is None:
        return Findings((), tuple(document.problems))
    loaded = _loaded(model, path, document)
    if loaded is None or loaded.configuration is None:
        found = () if loaded is None else loaded.errors
        return Findings((), (*document.problems, *found))
    force = force_of(loaded.configuration)
    limits = loaded.configuration.message_limits
    results = tuple(_results(model, document, force, limits))
    return Findings(results, tuple(document.problems))


def _loaded(model: CasesFile, path: Path, document: Document) -> LoadResult | None:
    if model.config is None:
        sections = {name: getattr(model, name) for name in SECTIONS}
        given = {name: value for name, value in sections.items() if value is not None}
        return load_border(given, model.policies, path.parent, NOON, model.environment)
    try:
        return load_simulated(path.parent / model.config, NOON, model.environment)
    except (OSError, ValueError) as error:
        document.report(("config",), f"{model.config} cannot be read: {error}")
        return None


def _results(
    model: CasesFile, document: Document, force: InForce, limits: Limits
) -> Iterator[Result]:
    for number, case in enumerate(model.cases):
        path = ("cases", number)
        if case.network is not None and case.network not in force.networks:
            known = ", ".join(sorted(force.networks))
            hint = f"networks: {known}"
            document.report((*path, "network"), f"there is no network {case.network!r}", hint)
            continue
        outcome = run_case(case, force, limits)
        where = document.place(path).where
        yield Result(case.name, where, outcome, tuple(failures_of(case, outcome)))


def run_case(case: Case, force: InForce, limits: Limits = DEFAULT) -> Outcome:
    """What becomes of a case's message, of the last where it is sent several times."""
    source = source_address(case.source)
    network = case.network or home_of(force, source[0])
    force = hearing(force, network, case.transport)
    if case.place is not None:
        world = replace(force.world, places=_OnePlace(case.place))
        force = replace(force, world=world, located={}, by_credentials={})
    at = NOON if case.time is None else moment(case.time)
    simulation = Simulation(force, limits=limits, at=at)
    flow = flow_at(force, network, case.transport, source)
    if case.registered:
        simulation.register(case.caller, _host(force, flow), flow)
    outcome = None
    for number in range(case.repeat):
        host = str(ip_address(source[0]) + number % case.hosts)
        remote = host, source[1] + number % case.ports
        flow = flow_at(force, network, case.transport, remote)
        outcome = simulation.receive(
            flow,
            message_of(case, force, flow, number),
            at + number * case.every,
            proven=case.certificate,
            tls=case.tls_version,
            user=case.user,
            counters=case.counters,
        )
    assert outcome is not None, "a case has at least one message"
    return outcome


def _host(force: InForce, flow: Flow) -> str:
    return force.networks[flow.network].listeners[0].advertise


def message_of(case: Case, force: InForce, flow: Flow, number: int = 0) -> bytes:
    """A case's message as bytes.

    Args:
        number: Which of several it is: each is a transaction of its own.
    """
    if case.message is not None:
        head, _, body = case.message.partition("\n\n")
        lines = [*head.rstrip("\n").split("\n"), "", body]
        return "\r\n".join(lines).encode("utf-8", "surrogateescape")
    ours, theirs = bracketed(_host(force, flow)), bracketed(flow.remote[0])
    called = case.called if ":" in case.called else f"sip:{case.called}@{ours}"
    caller = case.caller if ":" in case.caller else f"sip:{case.caller}@{ours}"
    display = f"{quote(case.display)} " if case.display else ""
    asked = f"sip:{ours}" if case.method == "REGISTER" else called
    to = caller if case.method == "REGISTER" else called
    offer = _offer(case, flow) if case.method == "INVITE" and case.offer else ""
    body = case.body.replace("\n", "\r\n") or offer
    via = f"{flow.transport.upper()} {theirs}:{flow.remote[1]};rport"
    lines = [
        f"{case.method} {asked} SIP/2.0",
        f"Via: SIP/2.0/{via};branch=z9hG4bK-case-{number}",
        f"From: {display}<{caller}>;tag=case",
        f"To: <{to}>",
        f"Call-ID: case-{number}",
        f"CSeq: 1 {case.method}",
        "Max-Forwards: 70",
        f"Contact: <sip:case@{theirs}:{flow.remote[1]}>",
        *([f"User-Agent: {case.user_agent}"] if case.user_agent is not None else []),
        *(f"{name}: {value}" for name, value in case.headers.items()),
        *(["Content-Type: application/sdp"] if body else []),
        f"Content-Length: {len(body.encode('utf-8', 'surrogateescape'))}",
        "",
        body,
    ]
    return "\r\n".join(lines).encode("utf-8", "surrogateescape")


def _offer(case: Case, flow: Flow) -> str:
    address = f"IN IP{family_of(flow.remote[0])} {flow.remote[0]}"
    streams = (line for kind in case.offer for line in _STREAMS[kind])
    lines = ("v=0", f"o=- 1 1 {address}", "s=-", f"c={address}", "t=0 0", *streams, "")
    return "\r\n".join(lines)


class _OnePlace:
    """Places of which one is given, for every address."""

    def __init__(self, place: Place) -> None:
        self._place = place

    def country(self, host: str) -> str:
        """See `sbc.policy.world.Places`."""
        del host
        return self._place.country or UNKNOWN

    def asn(self, host: str) -> str:
        """See `sbc.policy.world.Places`."""
        del host
        return self._place.asn or UNKNOWN


def failures_of(case: Case, outcome: Outcome) -> Iterator[str]:
    """What was to be otherwise."""
    wanted = case.expect
    found: Mapping[str, object] = {
        "outcome": outcome.treatment,
        "status": outcome.status,
        "stage": outcome.stage,
        "rule": outcome.rule,
        "effects": tuple(str(step.action) for step in outcome.effects),
    }
    for name, value in found.items():
        expected = getattr(wanted, name)
        if expected is not None and expected != value:
            yield f"{name} is {_shown(value)}, not {_shown(expected)}"
    if not (wanted.says or wanted.omits or wanted.nearest is not None):
        return
    lines = outcome.lines
    text = "\n".join(f"{line.step}: {line.text} [{line.where}]" for line in lines)
    for piece in wanted.says:
        if piece not in text:
            yield f"the explanation does not say {piece!r}"
    for piece in wanted.omits:
        if piece in text:
            yield f"the explanation says {piece!r}"
    near = "; ".join(line.text for line in lines if line.step == "nearest")
    if wanted.nearest is not None and (
        wanted.nearest not in near or bool(near) is not bool(wanted.nearest)
    ):
        yield f"what is nearest is {_shown(near)}, not {_shown(wanted.nearest)}"


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(repr, value)) or "nothing"
    return repr(value) if value != "" else "nothing"
