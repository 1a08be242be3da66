"""What a process begins with: the last confirmed version, or what the operator wrote since."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from sbc.config.files import Files
from sbc.config.load import Configuration, LoadResult, load_file
from sbc.config.machine import Machine
from sbc.config.places import find_places
from sbc.config.renewal import certificates_of
from sbc.state.versions.history import Change, History
from sbc.state.versions.store import STANDING, VersionStore
from sbc.state.versions.version import Read

AT_START = "the process was started with it"


@dataclass(frozen=True, slots=True)
class Start:
    """What there is to begin with."""

    result: LoadResult
    history: History | None
    """Open and locked; None where there is nothing to begin with."""
    told: tuple[str, ...] = ()
    """What was made whole that the end of the process before had left half done."""


def begin(
    path: Path,
    now: float,
    who: str,
    machine: Machine | None = None,
    environment: Mapping[str, str] | None = None,
) -> Start:
    """Load the configuration that a process begins with, and keep it as a version.

    It is the operator's file as it stands, since whoever edits it and restarts means that; but a
    version that still waited for its confirmation is gone back from first.

    Args:
        now: seconds since 1970.
        who: who starts the process.
        machine: as `load_file` takes it.
        environment: likewise.

    Raises:
        StoreInUse: another process keeps its versions there.
        StoreUnusable: the versions cannot be read or kept.
    """
    variables = os.environ if environment is None else environment
    directory = find_places(path, variables).versions
    history = History(VersionStore(directory)) if (directory / STANDING).exists() else None
    try:
        told, files = _settled(history, path, now)
        result = load_file(path, machine, environment, files)
        configuration = result.configuration
        if configuration is None:
            if history is not None:
                history.store.close()
            return Start(result, None, told)
        if history is None:
            history = History(VersionStore(configuration.state_dir / directory.name))
        number = history.begin(read_of(configuration, files), Change(who, AT_START), now)
        history.store.forget_old()
    except BaseException:
        if history is not None:
            history.store.close()
        raise
    return Start(
        replace(result, configuration=replace(configuration, version=number)), history, told
    )


def read_of(configuration: Configuration, files: Files) -> Read:
    """What a configuration was read from."""
    return Read(
        main=str(Path(configuration.file).absolute()),
        files=dict(files.seen),
        referred={
            str(Path(one.file).absolute()): one.fingerprint
            for one in certificates_of(configuration.settings)
        },
        feeds=_feeds(configuration, files),
    )


def _feeds(configuration: Configuration, files: Files) -> dict[str, str]:
    """The files that others than whoever writes the configuration renew, and why that is clear."""
    home = Path(configuration.file).absolute().parent
    lists = (path for path in files.seen if not path.endswith((".yaml", ".yml")))
    found = {
        path: f"it lies outside {home}"
        for path in lists
        if not Path(path).resolve().is_relative_to(home.resolve())
    }
    for one in configuration.policies.sets:
        if one.feed:
            found[str(Path(one.file).absolute())] = one.feed
    found.pop(str(Path(configuration.file).absolute()), None)
    return found


def _settled(history: History | None, path: Path, now: float) -> tuple[tuple[str, ...], Files]:
    """What was made whole, and where to read: on disk, unless nothing can be written there."""
    if history is None:
        return (), Files()
    main = str(path.absolute())
    told, trouble = history.settle(main, now)
    version = history.version
    if not trouble or version is None:
        return tuple(told), Files()
    told.append(
        f"version {version.number} is read from where it was kept, for its files cannot be "
        f"written: {trouble}"
    )
    return tuple(told), Files(history.store.files(version), only=True)
