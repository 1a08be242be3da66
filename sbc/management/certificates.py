"""The certificates of the running process: taken when their files change, told before they end."""

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import trio

from sbc.management.file_changes import LOOK_S, FileChanges, signatures
from sbc.management.listing import Row
from sbc.management.log import Level, Log
from sbc.routing.tls import Certificate

DAY_S = 86_400.0

_THRESHOLDS_DAYS = (0, 1, 7, 30)
_LEVELS = {0: Level.ERROR, 1: Level.ERROR, 7: Level.WARNING, 30: Level.WARNING}


class Alarm(NamedTuple):
    """A certificate that ends soon, or has ended."""

    certificate: Certificate
    level: Level
    days: int
    """Whole days that are left, negative when it has expired."""


class ExpiryAlarms:
    """Tells of each certificate once as it passes 30, 7 and 1 days before its end, and the end."""

    __slots__ = ("_told",)

    def __init__(self) -> None:
        self._told: dict[tuple[str, str], int] = {}

    def due(self, certificates: Sequence[Certificate], now: float) -> list[Alarm]:
        """What has to be told at a time that was not told before.

        Args:
            certificates: all there are; those that are gone are forgotten.
            now: seconds since 1970.
        """
        told: dict[tuple[str, str], int] = {}
        alarms: list[Alarm] = []
        for certificate in certificates:
            left = certificate.expires_at - now
            passed = next((days for days in _THRESHOLDS_DAYS if left <= days * DAY_S), None)
            if passed is None:
                continue
            key = (certificate.file, certificate.fingerprint)
            if key not in told and self._told.get(key) != passed:
                alarms.append(Alarm(certificate, _LEVELS[passed], days_left(certificate, now)))
            told[key] = passed
        self._told = told
        return alarms


def days_left(certificate: Certificate, now: float) -> int:
    """Whole days until a certificate expires, negative from the moment it has."""
    return int((certificate.expires_at - now) // DAY_S)


class CertificateWatch:
    """Looks at the files of certificates and the clock."""

    def __init__(
        self,
        *,
        files: Callable[[], tuple[Path, ...]],
        certificates: Callable[[], Sequence[Certificate]],
        renew: Callable[[], Awaitable[Sequence[str]]],
        log: Log,
        wall: Callable[[], float],
    ) -> None:
        """Watch what is in force.

        Args:
            files: Those that the certificates in force were read from.
            certificates: Those in force.
            renew: Reads the files and puts what they hold in force; returns what is wrong with
                them.
            wall: Seconds since 1970.
        """
        self._files = files
        self._certificates = certificates
        self._renew = renew
        self._log = log
        self._wall = wall
        self._alarms = ExpiryAlarms()
        self.trouble: tuple[str, ...] = ()
        """Why new files were not taken; empty when what is in the files is in force."""

    async def run(self) -> None:
        """Watch until cancelled."""
        changes = FileChanges()
        while True:
            self._tell()
            found = await trio.to_thread.run_sync(signatures, self._files(), abandon_on_cancel=True)
            if changes.due(found):
                self.trouble = tuple(await self._renew())
            await trio.sleep(LOOK_S)

    def listing(self) -> Row:
        """Each certificate in force by its file, the one that ends first at the top."""
        now = self._wall()
        return {
            one.file: {"days_left": days_left(one, now), "names": " ".join(one.names)}
            for one in sorted(self._certificates(), key=lambda one: one.expires_at)
        }

    def _tell(self) -> None:
        for alarm in self._alarms.due(self._certificates(), self._wall()):
            one = alarm.certificate
            note = self._log.error if alarm.level is Level.ERROR else self._log.warning
            note(
                "certificate expires" if alarm.days >= 0 else "certificate expired",
                file=one.file,
                names=list(one.names),
                days_left=alarm.days,
                advice="renew it; a new file is taken without a restart",
            )
