"""Configurations, messages and captures for simulations, as the command line names them."""

import os
import time
from collections.abc import Sequence
from pathlib import Path

import trio

from sbc.candidates import in_force, wanted
from sbc.cli.names import located
from sbc.config.load import Configuration
from sbc.config.machine import ThisMachine
from sbc.driver.in_force import InForce
from sbc.management.resources import settle_garbage_collector
from sbc.simulation.capture import NoCapture, read_capture
from sbc.simulation.loading import load_simulated
from sbc.simulation.traffic import Comparison, Replay, compare


class Unusable(Exception):
    """What the command line names cannot be used; the text says why."""


def force_without_names(configuration: Configuration) -> InForce:
    """What judges by a configuration, without asking for names."""
    return in_force(configuration, {})


def force_of(configuration: Configuration) -> InForce:
    """What judges by a configuration, its names located now."""
    names = wanted(configuration)
    return in_force(configuration, trio.run(located, names, configuration.dns) if names else {})


def configured(path: Path) -> Configuration:
    """An sbc.yaml, or a policy file in a small border.

    Raises:
        Unusable: it is none, or broken.
    """
    try:
        result = load_simulated(path, time.time(), os.environ, ThisMachine().resolve)
    except (OSError, ValueError) as error:
        raise Unusable(f"{path}: cannot be read: {error}") from None
    if result.configuration is None:
        raise Unusable("\n".join([f"{path} cannot be used:", *map(str, result.errors)]))
    return result.configuration


def compared(
    old: Path, new: Path, traffic: Path, ours: Sequence[str], network: str
) -> tuple[Comparison, str]:
    """What two configurations do with a capture, and why the rest of it could not be read.

    Raises:
        Unusable: one of the files is none of its kind.
    """
    settle_garbage_collector()
    before, after = (_replay(configured(path), ours, network) for path in (old, new))
    try:
        capture, file = read_capture(traffic)
    except (OSError, NoCapture) as error:
        raise Unusable(f"{traffic}: {error}") from None
    with file:
        return compare(before, after, capture), capture.fault


def _replay(configuration: Configuration, ours: Sequence[str], network: str) -> Replay:
    force = force_of(configuration)
    if network and network not in force.networks:
        known = ", ".join(sorted(force.networks))
        raise Unusable(f"{configuration.file} has no network {network!r}, but {known}")
    try:
        return Replay(force, ours=ours, network=network, limits=configuration.message_limits)
    except ValueError as error:
        raise Unusable(str(error)) from None
