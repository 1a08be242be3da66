"""What a registration costs: as registrar with digest, before one as cache, and kept alive.

    python -m tests.bench.registrations                  local, cache, kamailio and kept
    python -m tests.bench.registrations --only local     one of them

The last line is one JSON object with the figures; definitions are in README.md beside this file.
"""

import argparse
import json
import multiprocessing
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.synchronize import Event
from pathlib import Path

from tests.bench import phones
from tests.bench.process import System, alone, raise_descriptor_limit, running

HERE = Path(__file__).parent
PARTS = ("local", "cache", "kamailio", "kept")
_PHONES = 1000
_ROUNDS = 5
_KAMAILIO_ROUNDS = 40
_LEAST_CPU_S = 0.1
"""What /proc tells in ticks of 10 ms is no figure below that."""
_KEPT = 10_000
_KEPT_WARM_S = 30.0
_KEPT_S = 50.0
_KAMAILIO = """\
debug=0
log_stderror=yes
children=1
auto_aliases=no
listen=udp:127.0.0.1:5060
mpath="/usr/lib/x86_64-linux-gnu/kamailio/modules/"
loadmodule "sl.so"
loadmodule "pv.so"
loadmodule "auth.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
modparam("auth", "qop", "auth")
modparam("usrloc", "db_mode", 0)
request_route {
    if (!pv_www_authenticate("bench.example", "bench", "0")) {
        www_challenge("bench.example", "1");
        exit;
    }
    save("location");
}
"""


@dataclass(frozen=True, slots=True)
class Setting:
    """Where things run, and where their logs go."""

    directory: Path
    system_core: int | None
    load_core: int | None


def our_command(setting: Setting, mode: str, users: int) -> list[str]:
    """Our own system in one mode of registration."""
    authentication = "{mode: pass}"
    if mode == "local":
        listed = ", ".join(f"u{number}: {phones.PASSWORD}" for number in range(users))
        authentication = (
            f"{{mode: challenge, realm: {phones.DOMAIN}, algorithms: [MD5], users: {{{listed}}}}}"
        )
    text = (HERE / "registrar.yaml").read_text()
    for word, value in (
        ("MODE}", f"{mode}}}"),
        ("AUTHENTICATION", authentication),
        ("POLICY", str(HERE / "registrar-policy.yaml")),
    ):
        # Only the keys: the comment at the head names the words too.
        head, _, body = text.partition("version: 1")
        text = f"{head}version: 1{body.replace(word, value)}"
    file = setting.directory / "sbc.yaml"
    file.write_text(text)
    return [sys.executable, "-m", "sbc", "run", str(file)]


def kamailio_command(setting: Setting) -> list[str]:
    """Kamailio as registrar with digest, one worker, bindings in memory."""
    file = setting.directory / "kamailio.cfg"
    file.write_text(_KAMAILIO)
    run = setting.directory / "kamailio"
    run.mkdir(exist_ok=True)
    options = ["-m", "256", "-M", "16", "-x", "fm", "-X", "fm", "-Y", str(run), "-w", str(run)]
    return ["kamailio", "-DD", "-f", str(file), *options]


def throughput(
    setting: Setting, command: list[str], who: str, rounds: int = _ROUNDS
) -> dict[str, object]:
    """First registrations with their challenge, then refreshes with credentials at once."""
    log = setting.directory / f"{who}.log"
    with (
        running(
            command, core=setting.system_core, log=log, listens_on=phones.SYSTEM_PORT
        ) as system,
        _phones(_PHONES) as load,
        _pbx() as taken,
    ):
        first = _measured(system, load, 1)
        load.latencies.clear()
        relayed = taken()
        again = _measured(system, load, rounds)
        return {
            "first_per_cpu_s": first,
            "refreshes_per_cpu_s": again,
            "p50_ms": phones.quantile(load.latencies, 0.5),
            "p99_ms": phones.quantile(load.latencies, 0.99),
            "refreshes": _PHONES * rounds,
            "refreshes_relayed": taken() - relayed,
        }


def kept(setting: Setting) -> dict[str, object]:
    """Many registered phones that only answer keep-alives: the share of a core, and memory."""
    # Phones that refresh are the other parts.
    command = our_command(setting, "cache, phone_expires: 1800", 0)
    log = setting.directory / "kept.log"
    with (
        running(
            command, core=setting.system_core, log=log, listens_on=phones.SYSTEM_PORT
        ) as system,
        _phones(_KEPT) as load,
        _pbx(),
    ):
        empty = system.usage().memory_kb
        load.register_all()
        load.keep_alive(_KEPT_WARM_S)
        before, pings = system.usage(), load.pings
        load.keep_alive(_KEPT_S)
        after = system.usage()
        return {
            "phones": _KEPT,
            "keepalives_per_s": round((load.pings - pings) / _KEPT_S, 1),
            "cpu_share": round((after.cpu_s - before.cpu_s) / _KEPT_S, 3),
            "memory_mb": round(after.memory_kb / 1024, 1),
            "kb_per_phone": round((after.memory_kb - empty) / _KEPT, 2),
        }


def _measured(system: System, load: phones.Phones, rounds: int) -> int | None:
    """Registrations for one CPU-second; None when they took too little of it to be measured."""
    used = system.usage().cpu_s
    load.register_all(rounds)
    used = system.usage().cpu_s - used
    return None if used < _LEAST_CPU_S else round(_PHONES * rounds / used)


@contextmanager
def _phones(count: int) -> Iterator[phones.Phones]:
    load = phones.Phones(count)
    try:
        yield load
    finally:
        load.close()


@contextmanager
def _pbx() -> Iterator[Callable[[], int]]:
    """The PBX in a process of its own; asked, it tells how many REGISTERs it took."""
    stop, taken = multiprocessing.Event(), multiprocessing.Value("q", 0)
    process = multiprocessing.Process(target=_serve, args=(stop, taken), daemon=True)
    process.start()
    try:
        yield lambda: taken.value
    finally:
        stop.set()
        process.join(5)


def _serve(stop: Event, taken: "multiprocessing.sharedctypes.Synchronized[int]") -> None:
    pbx = phones.Pbx()

    def told() -> bool:
        taken.value = pbx.taken
        return stop.is_set()

    pbx.serve(told)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=PARTS, action="append")
    parser.add_argument("--system-core", type=int, default=0)
    parser.add_argument("--load-core", type=int, default=1)
    arguments = parser.parse_args()
    raise_descriptor_limit()
    figures: dict[str, object] = {}
    with alone(), tempfile.TemporaryDirectory(prefix="bench-") as name:
        setting = Setting(Path(name), arguments.system_core, arguments.load_core)
        for part in arguments.only or PARTS:
            print(f"{part} ...", file=sys.stderr)
            if part == "kept":
                figures[part] = kept(setting)
            elif part == "kamailio":
                figures[part] = throughput(
                    setting, kamailio_command(setting), part, _KAMAILIO_ROUNDS
                )
            else:
                command = our_command(setting, part, _PHONES)
                figures[part] = throughput(setting, command, part)
            print(json.dumps(figures[part]), file=sys.stderr)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
