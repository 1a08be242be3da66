"""A real name server on a host: knot, authoritative for one zone that a test writes."""

import signal
from pathlib import Path

from tests.kit.hosts import Host, Program, wait_until
from tests.kit.patience import PATIENCE_S

_CONFIGURATION = """\
server:
    rundir: {directory}
    listen: {address}@53
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
log:
  - target: stdout
    any: info
database:
    storage: {directory}
template:
  - id: default
    storage: {directory}
    zonefile-sync: -1
    zonefile-load: whole
    journal-content: none
zone:
  - domain: {zone}
    file: zone
"""


class Knot:
    """One running name server."""

    def __init__(self, host: Host, zone: str, records: str) -> None:
        """Start it and wait until it answers.

        Args:
            host: where it runs, at the first address.
            zone: the domain that it knows.
            records: what it says, as lines of a zone file.
        """
        self.address = host.ip
        self._zone = zone
        self._directory: Path = host.logs / f"knot-{host.name}"
        self._directory.mkdir()
        self._serial = 0
        self._write(records)
        configuration = self._directory / "knot.conf"
        configuration.write_text(
            _CONFIGURATION.format(directory=self._directory, address=self.address, zone=zone)
        )
        self.program: Program = host.start("knot", "knotd", "-c", str(configuration))
        self._await_loaded()

    def load(self, records: str) -> None:
        """Say something else from now on."""
        self._write(records)
        self.program.process.send_signal(signal.SIGHUP)
        self._await_loaded()

    def _write(self, records: str) -> None:
        self._serial += 1
        (self._directory / "zone").write_text(
            f"$ORIGIN {self._zone}.\n"
            f"@ 5 SOA ns.{self._zone}. admin.{self._zone}. {self._serial} 60 60 600 5\n"
            f"@ 5 NS ns.{self._zone}.\nns 5 A {self.address}\n{records}"
        )

    def _await_loaded(self) -> None:
        loaded = f"serial none -> {self._serial}", f"-> {self._serial},"
        wait_until(
            lambda: any(text in self.program.output for text in loaded),
            within_s=PATIENCE_S,
            what=f"knot has loaded serial {self._serial}\n{self.program.tail()}",
        )
