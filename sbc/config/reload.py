"""What a reload changes: live changes in their order, or the keys that need a restart.

All or nothing: a file with errors, or one that changes what only a restart can change, leaves
everything as it is.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from enum import Enum
from pathlib import Path
from typing import NamedTuple

from sbc.config.files import Files
from sbc.config.load import Configuration, LoadResult, load_file
from sbc.config.machine import Machine
from sbc.config.renewal import renewed
from sbc.policy.conditions import Conditions
from sbc.policy.rules import Action


class Part(Enum):
    """What is swapped, in the order in which it has to happen."""

    MEDIA_PORTS = "media ports"
    """Before anything can allocate from the new ranges."""
    SETTINGS = "settings"
    """Networks, peers, routes, timers: calls that are up keep the ones they began with."""
    CALL_LIMITS = "call limits"
    POLICIES = "policies"
    """After the peers that rules may name; admission is told with them."""


class Difference(NamedTuple):
    """One value that differs."""

    path: str
    """Key path like ``peers.trunk.limits.max_calls``."""
    old: str
    new: str

    def __str__(self) -> str:
        return f"{self.path}: {self.old} -> {self.new}"


class Change(NamedTuple):
    """A part to swap, and why."""

    part: Part
    differences: tuple[Difference, ...]


@dataclass(frozen=True, slots=True)
class ReloadPlan:
    """How to get from one configuration to another."""

    changes: tuple[Change, ...] = ()
    """In the order to make them; empty when nothing differs."""
    restart: tuple[Difference, ...] = ()
    """What only a restart can change; then nothing may be applied."""


@dataclass(frozen=True, slots=True)
class Reload:
    """A file that was read again, and what to do about it."""

    result: LoadResult
    plan: ReloadPlan | None
    """None when the file has errors: everything stays as it is."""

    @property
    def configuration(self) -> Configuration | None:
        """What to put in force; None when nothing may change."""
        if self.plan is None or self.plan.restart:
            return None
        return self.result.configuration


def reload_file(
    current: Configuration,
    machine: Machine | None = None,
    environment: Mapping[str, str] | None = None,
    files: Files | None = None,
) -> Reload:
    """Read the file of a configuration again and say what would change.

    Args:
        files: where it is read; by default on disk.
    """
    result = load_file(current.file, machine, environment, files)
    if result.configuration is None:
        return Reload(result, None)
    return Reload(result, diff(current, result.configuration))


def reload_certificates(current: Configuration, now: float) -> Reload:
    """Read only the certificates of a configuration again and say what would change.

    Args:
        now: seconds since 1970.
    """
    settings, problems = renewed(current.settings, now)
    new = replace(current, settings=settings)
    plan = diff(current, new)
    if not plan.changes:
        errors = tuple(problem for problem in problems if problem.is_error)
        return Reload(LoadResult(None, errors), None)
    return Reload(LoadResult(new, problems), plan)


def diff(old: Configuration, new: Configuration) -> ReloadPlan:
    """The changes from one configuration to another."""
    settings = differences("", _flat(old), _flat(new))
    restart = [one for one in settings if _needs_restart(one.path)]
    restart += differences("limits", old.message_limits, new.message_limits)
    restart += differences("limits", old.transport_limits, new.transport_limits)
    restart += differences("media", old.media_engine, new.media_engine)
    restart += differences("firewall", old.firewall, new.firewall)
    restart += differences("state_dir", old.state_dir, new.state_dir)
    restart += differences("control_socket", old.control_socket, new.control_socket)
    rules = differences("", _of_policies(old), _of_policies(new))
    live = [one for one in settings if not _needs_restart(one.path)]
    by_part = {
        Part.MEDIA_PORTS: [one for one in live if ".media_ports" in one.path],
        Part.SETTINGS: live,
        Part.CALL_LIMITS: [one for one in live if _is_call_limit(one.path)],
        # Rules ask for networks and peers, so admission looks at those anew.
        Part.POLICIES: rules
        + [one for one in live if one.path.startswith(("peers.", "networks."))],
    }
    return ReloadPlan(
        tuple(Change(part, tuple(by_part[part])) for part in Part if by_part[part]),
        tuple(restart),
    )


def key_of_stage(name: str) -> str:
    """What differences call the rules of a stage; ``geo`` alone is the section of sbc.yaml."""
    return "geo rules" if name == "geo" else name


def _of_policies(configuration: Configuration) -> dict[str, object]:
    """What policies say, and where addresses are, by the names that a plan gives them."""
    policies = configuration.policies
    return {
        **{key_of_stage(name): rules for name, rules in policies.stages.items()},
        "rate_limits": policies.rate_limits,
        "bans": policies.bans,
        "geo": configuration.places.settings,
        "sets": _sets(configuration),
        "emergency": policies.emergency,
        "owners": policies.owners._asdict(),
        "tariffs": policies.tariffs,
        "registrations": policies.takeover,
        "admission": policies.admission,
        "headers": policies.headers.all,
        "media_rules": policies.media.all,
    }


def _sets(configuration: Configuration) -> dict[str, object]:
    return {one.name: one for one in configuration.policies.sets}


def _flat(configuration: Configuration) -> dict[str, object]:
    settings = configuration.settings
    return {
        "networks": {network.name: network for network in settings.networks},
        "peers": {peer.name: peer for peer in settings.peers},
        "peer order": tuple(peer.name for peer in settings.peers),
        "routes": settings.routes,
        "dids": {table.name: table for table in settings.dids},
        "timers": settings.timers,
        "user_agent": settings.server_header,
        "dns": configuration.dns,
    }


def _needs_restart(path: str) -> bool:
    """Whether a difference touches sockets, which are opened once."""
    parts = path.split(".")
    if parts[0] != "networks":
        return False
    if len(parts) == 2:
        return True
    key = parts[2].partition("[")[0]
    if key in ("listeners", "media"):
        return parts[-1] != "advertise"
    return key == "signalling_dscp"


def _is_call_limit(path: str) -> bool:
    parts = path.split(".")
    return parts[0] == "peers" and (len(parts) == 2 or parts[2] == "limits")


def differences(path: str, old: object, new: object) -> list[Difference]:
    """Every value that differs, by its key path; where things stand does not count."""
    if old == new:
        return []
    if isinstance(old, dict) and isinstance(new, dict):
        return _between_mappings(path, old, new)
    if isinstance(old, Conditions | Action):
        return [Difference(path, str(old), str(new))]
    if is_dataclass(old) and is_dataclass(new) and type(old) is type(new):
        found: list[Difference] = []
        for one in fields(old):
            before, after = getattr(old, one.name), getattr(new, one.name)
            here = f"{path}.{one.name}"
            if one.name == "where" or not one.compare or before == after:
                continue
            # What its repr hides is secret.
            found += differences(here, before, after) if one.repr else [_hidden(here)]
        return found
    if isinstance(old, tuple) and isinstance(new, tuple) and _are_records(old, new):
        return [
            difference
            for number, (before, after) in enumerate(zip(old, new, strict=True))
            for difference in differences(f"{path}[{number}]", before, after)
        ]
    return [Difference(path, _shown(old), _shown(new))]


def _hidden(path: str) -> Difference:
    return Difference(path, "one", "another (not shown)")


def _between_mappings(
    path: str, old: dict[str, object], new: dict[str, object]
) -> list[Difference]:
    found: list[Difference] = []
    for key in [*old, *(key for key in new if key not in old)]:
        here = f"{path}.{key}" if path else key
        if key not in new:
            found.append(Difference(here, "there", "removed"))
        elif key not in old:
            found.append(Difference(here, "missing", "added"))
        else:
            found += differences(here, old[key], new[key])
    return found


def _are_records(old: tuple[object, ...], new: tuple[object, ...]) -> bool:
    """Whether both are lists of as many records, which are compared one by one."""
    return len(old) == len(new) and all(is_dataclass(item) for item in (*old, *new))


def _shown(value: object) -> str:
    if isinstance(value, Action):
        return str(value)
    if isinstance(value, tuple):
        if any(is_dataclass(item) for item in value):
            return f"{len(value)} entries"
        return "[" + ", ".join(_shown(item) for item in value) + "]"
    if is_dataclass(value):
        return "there"
    if isinstance(value, frozenset):
        return _shown(tuple(sorted(value)))
    if isinstance(value, Path):
        return str(value)
    return "nothing" if value is None else str(value)
