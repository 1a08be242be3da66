"""What becomes of the operator's files when a version is written over them.

A version is written over what a person wrote. It is never written over a feed, which others renew:
what was in it when the version was kept is older than what they fetched since. And it is never
written through a link that leads out of the directory of the configuration, for whoever made that
link need not be who may say what stands behind it.

Everything here blocks.
"""

import hashlib
from collections.abc import Container, Iterator, Mapping
from os.path import normpath
from pathlib import Path
from typing import Literal, NamedTuple

from sbc.state.versions.disk import read_bounded

REPLACED = ".replaced"
"""What is added to the name of a file that stood where a version was written to, and that no
version had: an operator's work is not thrown away."""


class FileFate(NamedTuple):
    """What becomes of one file. Those that are as they should be have none."""

    path: str
    """Absolute, as the version names it."""
    what: Literal["write", "leave", "refuse"]
    why: str = ""
    place: Path = Path()
    """Where it is written."""
    aside: Path | None = None
    """Where what stands there now is kept, because no version has it."""


class Refused(Exception):
    """Nothing may be written there; the text says why."""


def fates(
    main: str, kept: Mapping[str, bytes], feeds: Mapping[str, str], known: Container[str]
) -> Iterator[FileFate]:
    """What becomes of each file that is not as a version has it.

    Args:
        main: The absolute path of its sbc.yaml.
        kept: What was kept of its files, by absolute path.
        feeds: Files that others renew, by absolute path by what that is known.
        known: SHA-256 of every content that some version has.

    Raises:
        OSError: a file that is there cannot be read; its name is in the error.
    """
    for path, data in kept.items():
        feed = feeds.get(path)
        if feed is not None and Path(path).exists():
            yield FileFate(path, "leave", f"others renew it: {feed}")
            continue
        try:
            there = _there(Path(path))
            if there == data:
                continue
            place, why = _place(Path(path), Path(normpath(main)).parent)
        except Refused as error:
            yield FileFate(path, "refuse", str(error))
            continue
        aside = None
        if there is not None and not why and hashlib.sha256(there).hexdigest() not in known:
            aside = Path(path).parent.resolve() / (Path(path).name + REPLACED)
            why = f"what stands there, and in no version, is {aside} then"
        yield FileFate(path, "write", why, place, aside)


def _there(path: Path) -> bytes | None:
    """What stands there now; None for nothing.

    Raises:
        Refused: nobody wrote that by hand.
        OSError: it cannot be read.
    """
    try:
        return read_bounded(path)
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise Refused(f"what stands there is not what a version had: {error}; move it") from None


def _place(path: Path, home: Path) -> tuple[Path, str]:
    """Where a file is written, and what is to be said of that; the answer is no link.

    Args:
        home: The directory of sbc.yaml. A file that is named elsewhere is at home where it is.

    Raises:
        Refused: its directory is behind a link that leads out.
    """
    plain = Path(normpath(path))
    bounds = home if plain.is_relative_to(home) else plain.parent
    try:
        real, directory, file = bounds.resolve(), path.parent.resolve(), path.resolve()
    except RuntimeError:  # links in a circle
        raise Refused("it is a link that leads nowhere; remove it") from None
    if not directory.is_relative_to(real):
        raise Refused(
            f"{path.parent} leads out of {bounds} to {directory}, where nothing is written; put a "
            "directory in the place of the link, or name the file where it is"
        )
    if file.is_relative_to(real):
        return file, ""
    why = f"in place of a link that leads out of {bounds}; {file} is left alone"
    return directory / path.name, why
