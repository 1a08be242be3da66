"""A kept version and which of them stands, as data and as JSON.

Sans-IO.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any


@dataclass(frozen=True, slots=True)
class Read:
    """What a configuration was read from."""

    main: str
    """The absolute path of its sbc.yaml."""
    files: Mapping[str, bytes]
    """What was in every file, sbc.yaml too, by absolute path."""
    referred: Mapping[str, str]
    """Certificates: by absolute path their fingerprint."""
    feeds: Mapping[str, str] = field(default_factory=dict)
    """Those of the files that others renew, which no version is written over: by absolute path by
    what that is known."""


@dataclass(frozen=True, slots=True)
class Version:
    """One configuration: the files it was read from, and who put it in force."""

    number: int
    """From 1; never given twice."""
    at: float
    """Seconds since 1970."""
    who: str
    why: str
    main: str
    """The absolute path of its sbc.yaml."""
    files: Mapping[str, str]
    """Of every file it was read from, sbc.yaml too: SHA-256 of the content by absolute path."""
    referred: Mapping[str, str]
    """Certificates, by absolute path their fingerprint: not kept, since keys belong to them."""
    feeds: Mapping[str, str] = field(default_factory=dict)
    """As of what was read; earlier builds kept none."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Which version is in force, and whether it will stay so."""

    in_force: int = 0
    """0 while there never was one."""
    confirmed: int = 0
    """The one to go back to; the same while nothing waits for a confirmation."""
    confirm_by: float | None = None
    """Seconds since 1970 when the one in force ends unless it is confirmed."""
    written: bool = True
    """Whether the files on disk were made those of the version in force; while not, the first
    thing a start does is to finish that."""

    @property
    def is_pending(self) -> bool:
        """Whether the version in force waits for its confirmation."""
        return self.confirm_by is not None

    def settled(self) -> "Standing":
        """The same with the version in force confirmed."""
        return replace(self, confirmed=self.in_force, confirm_by=None)


class NoVersion(ValueError):
    """A text that is no version, or no standing, of ours."""


def version_text(version: Version) -> bytes:
    """A version as it is kept."""
    return _text(asdict(version))


def read_version(text: bytes) -> Version:
    """A kept version.

    Raises:
        NoVersion: it is damaged.
    """
    try:
        return Version(**_object(text))
    except TypeError as error:
        raise NoVersion(str(error)) from None


def standing_text(standing: Standing) -> bytes:
    """A standing as it is kept."""
    return _text(asdict(standing))


def read_standing(text: bytes) -> Standing:
    """A kept standing.

    Raises:
        NoVersion: it is damaged.
    """
    try:
        return Standing(**_object(text))
    except TypeError as error:
        raise NoVersion(str(error)) from None


def _text(value: dict[str, Any]) -> bytes:
    return json.dumps(value, indent=1).encode() + b"\n"


def _object(text: bytes) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise NoVersion("it is no JSON") from None
    if not isinstance(value, dict):
        raise NoVersion("it is no object")
    return value
