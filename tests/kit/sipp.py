"""SIPp on a host: a scenario file, its audio, and the counts it ended with."""

import csv
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

from tests.kit import sound
from tests.kit.hosts import Host, NeverHappened, Program, wait_until
from tests.kit.patience import PATIENCE_S

SCENARIOS = Path(__file__).parent.parent / "interop" / "scenarios"
_MODES = {"udp": "u1", "tcp": "t1"}
_TUNE_S = 30.0


@dataclass(frozen=True, slots=True)
class Counts:
    """What SIPp counted over its whole run."""

    successful: int
    failed: int
    retransmissions: int
    """Messages it sent again, plus those it received again."""
    unexpected: int
    """Messages that fit no call of its own."""


class Sipp:
    """One running SIPp."""

    def __init__(self, program: Program, directory: Path, name: str) -> None:
        self.program = program
        self._directory = directory
        self._name = name

    @property
    def counts(self) -> Counts:
        """The latest counts; all zero before the first second has passed."""
        rows = self._rows()
        last = rows[-1] if rows else {}
        return Counts(
            int(last.get("SuccessfulCall(C)") or 0),
            int(last.get("FailedCall(C)") or 0),
            int(last.get("Retransmissions(C)") or 0),
            int(last.get("DeadCallMsgs(C)") or 0) + int(last.get("OutOfCallMsgs(C)") or 0),
        )

    @property
    def errors(self) -> str:
        """What SIPp wrote about messages it did not expect."""
        logs = sorted(self._directory.glob("*_errors.log"))
        return "\n".join(log.read_text(errors="replace") for log in logs)

    def finish(self, *, within_s: float) -> Counts:
        """Wait until it has made (or taken) all its calls and return the counts.

        Raises:
            NeverHappened: it did not end in time, or a call failed.
        """
        status = self.program.wait(within_s=within_s)
        counts = self.counts
        if status != 0 or counts.failed:
            raise NeverHappened(
                f"{self._name} ended with status {status}, {counts}\n{self.errors[-6000:]}"
            )
        return counts

    def _rows(self) -> list[dict[str, str]]:
        path = self._directory / "statistics.csv"
        if not path.exists():
            return []
        with path.open(newline="") as file:
            # Every line ends with a delimiter and may be read half written.
            return [row for row in csv.DictReader(file, delimiter=";") if row.get("FailedCall(C)")]


def start_sipp(
    host: Host,
    scenario: str,
    *,
    tune: str,
    address: str | None = None,
    port: int = 5060,
    transport: str = "udp",
    target: str | None = None,
    number: str = "callee",
    called: str | None = None,
    caller: str = "caller",
    calls: int = 1,
    talk_ms: int = 2500,
    keys: dict[str, str] | None = None,
) -> Sipp:
    """Start a scenario on a host; with a `target` (``host:port``) as caller, else as callee.

    It ends by itself after `calls` calls, each to `number` at the target, or to the URI `called`.
    `tune` names the notes it plays (see `sound.TUNES`).
    """
    name = f"{host.name}-{scenario.removesuffix('.xml')}"
    directory = Path(mkdtemp(prefix=f"sipp-{name}-", dir=host.logs))
    notes = sound.TUNES[tune]
    (directory / "tune.ulaw").write_bytes(sound.ulaw_encode(sound.tune(notes, _TUNE_S)))
    local = address or host.ip
    command = ["sipp", "-sf", str(SCENARIOS / scenario), "-i", local, "-mi", local]
    command += ["-p", str(port), "-t", _MODES[transport], "-m", str(calls), "-d", str(talk_ms)]
    command += ["-trace_stat", "-stf", str(directory / "statistics.csv"), "-fd", "1"]
    command += ["-trace_err", "-nostdin", "-timeout", "60", "-timeout_error"]
    command += ["-recv_timeout", "20000", "-s", number]
    everywhere = {"caller": caller, "called": called or f"sip:{number}@{target}"}
    for key, value in {**everywhere, **(keys or {})}.items():
        command += ["-key", key, value]
    if target:
        command += ["-r", "5", target]
    program = host.start(name, *command, cwd=directory, env={"TERM": "dumb"})
    if not target:
        wait_until(
            lambda: _listens(host, port, transport) or not program.running,
            within_s=PATIENCE_S,
            what=f"{name} listens\n{program.tail()}",
        )
    return Sipp(program, directory, name)


def _listens(host: Host, port: int, transport: str) -> bool:
    """Whether a socket of the namespace is bound to the port."""
    for family in ("", "6"):
        table = host.run("cat", f"/proc/net/{transport}{family}")
        for line in table.splitlines()[1:]:
            if line.split()[1].endswith(f":{port:04X}"):
                return True
    return False
