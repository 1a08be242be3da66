"""Configurations as the process reads them again, and what the switchboard makes of one."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path

from sbc.config.files import Files
from sbc.config.load import Configuration
from sbc.config.plan import entries
from sbc.config.reload import Reload, reload_file
from sbc.config.start import read_of
from sbc.driver.in_force import InForce
from sbc.driver.world import world_of
from sbc.management.planning import Sources
from sbc.management.reloading import NOTHING_READ, ReadAgain
from sbc.management.replay import Treatment, routed
from sbc.routing.location import Destination, Locations, Reach, destinations
from sbc.simulation.recorded import assumed, assumed_under, case_of
from sbc.simulation.testing import run_case
from sbc.sip.errors import ParseError
from sbc.state.cdr import CdrRecord
from sbc.state.file import read_records
from sbc.state.places import CDR_FILE


def read_from(
    current: Configuration, given: Mapping[str, bytes], *, only: bool
) -> ReadAgain[Configuration]:
    """As `sbc.management.versions.ReadFrom`."""
    files = Files(given, only=only)
    return read_again(reload_file(current, files=files), files)


def read_again(reload: Reload, files: Files) -> ReadAgain[Configuration]:
    """What was read, as `Reloading` wants it."""
    plan, new = reload.plan, reload.configuration
    restart = () if plan is None else plan.restart
    changes = () if plan is None else plan.changes
    texts = [str(one) for change in changes for one in change.differences]
    return ReadAgain(
        new,
        reload.result.problems,
        [str(one) for one in restart],
        list(dict.fromkeys(texts)),
        NOTHING_READ if new is None else read_of(new, files),
        reload.result.configuration,
    )


def in_force(configuration: Configuration, locations: Locations) -> InForce:
    """What the switchboard judges by under a configuration."""
    table = configuration.routing_table().with_locations(locations)
    settings, policies = configuration.settings, configuration.policies
    return InForce(
        settings,
        table,
        policies,
        locations,
        configuration.version,
        world=world_of(settings.peers, policies.emergency, places=configuration.places),
    )


def wanted(configuration: Configuration) -> dict[Destination, Reach]:
    """Every name that a peer's target has, and what can be reached of it."""
    return destinations(configuration.settings.networks, configuration.settings.peers)


def sources_of(
    current: Callable[[], Configuration], known: Callable[[], Locations]
) -> Sources[Configuration]:
    """What plans are made of in a process.

    Args:
        current: the configuration in force.
        known: what is known of the targets that are names.
    """
    return Sources(
        current=current,
        read=read_from,
        main=lambda one: str(Path(one.file).absolute()),
        force=lambda one: in_force(one, known()),
        entries=lambda old, new: [asdict(one) for one in entries(old, new)],
        treat=treated,
        assumed=lambda force: assumed_under(force.policy),
        records=lambda last: read_records(current().state_dir / CDR_FILE, last=last),
    )


def treated(force: InForce, record: CdrRecord) -> Treatment:
    """What becomes of a recorded call: what policy says where it stops it, else its route.

    A record does not say all that a message does; what it does not is assumed, and told.
    """
    route = routed(force, record)
    if record.a.network not in force.networks:
        return route
    try:
        outcome = run_case(case_of(record, force), force)
    except (ValueError, ParseError):
        return route  # a number or an address that no message of ours could have
    decision = None if outcome.decided is None else outcome.decided.decision
    trail = () if decision is None else decision.trail
    unsaid = assumed(record, (one for step in trail for one in step.tested))
    stopped = decision is not None and not decision.allowed
    if not stopped and outcome.treatment != "limit":
        return route._replace(assumed=unsaid)
    what = f"{outcome.treatment} {outcome.status or ''}".rstrip()
    why = outcome.why if outcome.where in outcome.why else f"{outcome.why} ({outcome.where})"
    return Treatment(f"{what} by rule {outcome.rule!r}", why, unsaid)
