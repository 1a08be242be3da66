"""The commands, against a control server that answers what a test put into it."""

import json
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest
import trio

from sbc.cli import operate
from sbc.cli.main import main, parser
from sbc.cli.table import clock_time
from sbc.management.control import Arguments, Command, CommandRefused, ControlServer
from sbc.state.file import CdrFile
from sbc.state.rows import row_of
from tests.kit.patience import PATIENCE_S
from tests.state.records import a_record, in_progress

LEG_A = {"peer": "phones", "network": "outside", "address": "198.51.100.7:5060"}
LEG_B = {"peer": "", "network": "inside", "address": "10.0.0.1:5060"}
CALL = {
    "call": "c1",
    "state": "confirmed",
    "from": "100",
    "to": "600",
    "a": LEG_A,
    "b": LEG_B,
    "age_s": 62.0,
    "talking_s": None,
    "route": "to the PBX",
}
STORY = {
    **CALL,
    "journal": [
        {"at": 0.0, "kind": "sip", "side": "a", "direction": "in", "summary": "INVITE sip:600@x"}
    ],
    "dropped": 3,
    "media": [
        {
            "index": 0,
            "clock_hz": 8000,
            "a": {
                "packets": 500,
                "lost": 1,
                "jitter_ms": 1.0,
                "mos": 4.35,
                "worst_mos": 3.5,
                "mos_codec": "G.729A",
                "worst_loss_percent": 2.0,
                "longest_burst": 1,
                "round_trip_ms": 41.2,
                "reported_lost": 20,
                "reported_jitter_ms": 2.5,
                "lost_behind_us": 19,
                "drops": {"not_latched": 2},
            },
            "b": {"packets": 499, "lost": 0, "jitter_ms": 0.0, "mos": None, "drops": {}},
            "a_rtp_latch": {"source": "198.51.100.7:4000", "rank": "signalled"},
        }
    ],
}


class Process:
    """A process that runs, as the CLI sees it."""

    def __init__(self, directory: Path) -> None:
        self.socket = directory / "control.sock"
        self.asked: list[tuple[str, Arguments]] = []
        self.answers: dict[str, object] = {
            "calls": [CALL],
            "call": STORY,
            "registrations": [
                {
                    "aor": "100@pbx",
                    "source": "198.51.100.7:5060",
                    "expires_in_s": 61,
                    "reachable": True,
                }
            ],
            "accept": {"aor": "sip:100@pbx", "accepted_s": 3600},
            "alarms": [
                {
                    "at": 0.0,
                    "level": "warning",
                    "event": "toll fraud suspected",
                    "fields": {"account": "user a\x1b[2J", "live_calls": 3, "s": 600.0},
                }
            ],
            "register": [],
            "trunks": [
                {
                    "trunk": "carrier",
                    "account": "sip:acme@carrier.example",
                    "state": "backing off",
                    "registered": False,
                    "state_s": 65.0,
                    "target": "192.0.2.1:5060",
                    "expires_in_s": None,
                    "next_in_s": 30.0,
                    "last_error": "503 Busy from 192.0.2.1:5060",
                    "last_error_ago_s": 65.0,
                }
            ],
            "limits": [
                {
                    "limit": "strangers",
                    "where": "p.yaml:7",
                    "network": "outside",
                    "per": "source",
                    "shadow": False,
                    "rate": 20.0,
                    "burst": 60,
                    "remembered": 3,
                    "dropped": 12,
                    "would_drop": 0,
                    "without_place": 0,
                    "minutes": 250,
                    "at_once": {"p50": 2, "p99": 9, "p999": 11, "most": 60},
                    "per_minute": {"p50": 4, "p99": 20, "p999": 30, "most": 500},
                    "suggested": {"rate": 1.0, "burst": 22},
                    "advice": "it is wide enough",
                }
            ],
            "peers": [
                {
                    "peer": "carrier",
                    "target": "sip.carrier.example",
                    "place": "192.0.2.10:5060;transport=udp",
                    "state": "down",
                    "state_s": 61.0,
                    "drain": True,
                    "calls": 2,
                    "peer_calls": 3,
                    "max_calls": 30,
                    "begun_last_second": 1,
                    "calls_per_second": None,
                    "kbps": 240,
                    "max_kbps": 2000,
                    "rests_s": 5.0,
                    "registration": "registered",
                    "evidence": "OPTIONS got no answer within 4 s",
                    "evidence_s": 12.0,
                },
                {"peer": "pbx", "target": "pbx.example", "state": "unresolved", "calls": 0},
            ],
            "status": {
                "calls": 1,
                "draining": False,
                "media": {"engine": "python", "ports_in_use": {"outside": 4}},
                "names": {"troubled": {}},
                "uptime_s": 3600.0,
                "configuration": {"version": 1, "at": 86_400.0},
            },
            "reload": {
                "applied": True,
                "changes": ["timers.no_answer: 60 -> 30"],
                "problems": ["x: warning: y"],
                "version": 7,
            },
            "stop": {"calls": 1, "draining": True},
            "flush": None,
        }
        self.stopped = trio.CancelScope()

    async def run(self, *, task_status: trio.TaskStatus[None]) -> None:
        commands = {name: self._command(name) for name in self.answers}
        with self.stopped:
            await ControlServer(self.socket, commands, log=lambda *_, **__: None).run(
                task_status=task_status
            )

    def _command(self, name: str) -> Command:
        def answer(arguments: Arguments) -> object:
            self.asked.append((name, arguments))
            result = self.answers[name]
            if isinstance(result, Exception):
                raise result
            return result

        return answer

    async def sbc(self, *argv: str) -> int:
        """Run a command beside the loop, as a shell would."""
        with trio.fail_after(PATIENCE_S):
            return await trio.to_thread.run_sync(
                partial(main, [*argv, "--socket", str(self.socket)])
            )


@pytest.fixture
async def process(tmp_path: Path, nursery: trio.Nursery) -> AsyncIterator[Process]:
    one = Process(tmp_path)
    await nursery.start(one.run)
    yield one
    one.stopped.cancel()


async def test_calls_are_a_table(process: Process, capsys: pytest.CaptureFixture[str]) -> None:
    assert await process.sbc("calls") == 0
    head, row = capsys.readouterr().out.splitlines()
    assert head.split() == ["CALL", "STATE", "FROM", "TO", "A", "B", "AGE", "TALKING", "ROUTE"]
    assert "phones 198.51.100.7:5060" in row
    assert "inside 10.0.0.1:5060" in row
    assert "0:01:02" in row


async def test_calls_are_json_for_scripts(
    process: Process, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await process.sbc("calls", "--json") == 0
    assert json.loads(capsys.readouterr().out) == [CALL]


async def test_a_call_is_told_with_its_ladder_and_its_media(
    process: Process, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await process.sbc("calls", "--ladder", "c") == 0
    assert process.asked == [("call", {"call": "c"})]
    out = capsys.readouterr().out
    assert out.startswith("c1  confirmed  100 -> 600\n")
    assert "|-INVITE sip:600@x" in out
    assert "(3 entries in the middle gave way to later ones)" in out
    assert "198.51.100.7:4000 (signalled)" in out
    assert "2 not_latched" in out
    table = out[out.index("STREAM  FROM  MOS") :].splitlines()
    assert table[1].split() == [
        *("0", "a", "4.35", "3.5", "G.729A", "2.0", "1", "41.2", "20", "2.5")
    ]
    assert table[2].split() == ["0", "b", *("-" for _ in range(8))]
    assert table[3:] == ["a reports 19 packets lost that had left here: look between here and a"]
    assert await process.sbc("calls", "--ladder", "c", "--json") == 0
    assert json.loads(capsys.readouterr().out) == STORY


async def test_a_refusal_is_told_and_is_no_success(
    process: Process, capsys: pytest.CaptureFixture[str]
) -> None:
    process.answers["call"] = CommandRefused("no call 'x'")
    assert await process.sbc("calls", "--ladder", "x") == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "sbc: no call 'x'" in captured.err


async def test_a_reload_that_changes_nothing_because_of_an_error_is_no_success(
    process: Process, capsys: pytest.CaptureFixture[str]
) -> None:
    process.answers["reload"] = {
        "applied": False,
        "problems": ["sbc.yaml:3:1: error: no"],
        "restart": ["networks.outside.listeners: 1 -> 2"],
        "changes": [],
    }
    assert await process.sbc("reload") == 1
    assert await process.sbc("reload", "--json") == 1
    assert capsys.readouterr().err == (
        "sbc.yaml:3:1: error: no\n"
        "needs a restart: networks.outside.listeners: 1 -> 2\n"
        "nothing was changed\n"
    )


async def test_a_held_device_is_accepted_by_its_user(
    process: Process, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await process.sbc("registrations", "--accept", "100@pbx") == 0
    assert capsys.readouterr().out == ("a new device of sip:100@pbx may register within 1:00:00\n")
    assert ("accept", {"aor": "100@pbx"}) in process.asked
    assert await process.sbc("registrations", "--accept", "100@pbx", "--json") == 0
    assert json.loads(capsys.readouterr().out)["aor"] == "sip:100@pbx"


async def test_alarms_are_told_with_all_that_they_say_and_move_no_cursor(
    process: Process, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await process.sbc("alarms") == 0
    first, account, live, lasts = capsys.readouterr().out.splitlines()
    assert first.endswith("  warning  toll fraud suspected")
    assert account.startswith("    account       user a")
    assert "\x1b" not in account
    assert live == "    live_calls    3"
    assert lasts == "    lasts         0:10:00"
    process.answers["alarms"] = []
    assert await process.sbc("alarms") == 0
    assert capsys.readouterr().out == "no alarms\n"


async def test_registrations_are_a_table(
    process: Process, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await process.sbc("registrations") == 0
    assert "100@pbx" in capsys.readouterr().out
    assert await process.sbc("registrations", "--json") == 0
    assert json.loads(capsys.readouterr().out)[0]["aor"] == "100@pbx"


HEAD = (
    "TRUNK    ACCOUNT                   STATE        FOR      TARGET          EXPIRES IN  "
    "NEXT     LAST ERROR"
)
ROW = (
    "carrier  sip:acme@carrier.example  backing off  0:01:05  192.0.2.1:5060  -           "
    "0:00:30  503 Busy from 192.0.2.1:5060 (0:01:05 ago)"
)


async def test_trunks_are_a_table(process: Process, capsys: pytest.CaptureFixture[str]) -> None:
    assert await process.sbc("trunks") == 0
    assert capsys.readouterr().out.splitlines() == [HEAD, ROW]
    assert await process.sbc("trunks", "--json") == 0
    assert json.loads(capsys.readouterr().out)[0]["trunk"] == "carrier"


async def test_a_trunk_is_registered_with_at_once_when_asked(process: Process) -> None:
    assert await process.sbc("trunks", "--register", "carrier") == 0
    assert process.asked[-1] == ("register", {"trunk": "carrier"})


async def test_limits_are_a_table_and_advice(
    process: Process, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await process.sbc("limits") == 0
    head, strangers, advice = capsys.readouterr().out.splitlines()
    assert head.startswith("LIMIT")
    assert [cell.strip() for cell in strangers.split("  ") if cell] == [
        *("strangers", "outside", "source", "20.0", "60", "3", "12", "-"),
        *("2/9/11/60", "4/20/30/500"),
    ]
    assert advice == "strangers on outside (p.yaml:7): it is wide enough"
    assert await process.sbc("limits", "--json") == 0
    assert json.loads(capsys.readouterr().out)[0]["suggested"]["burst"] == 22


async def test_peers_are_a_table(process: Process, capsys: pytest.CaptureFixture[str]) -> None:
    assert await process.sbc("peers") == 0
    head, carrier, pbx = (line.split("  ") for line in capsys.readouterr().out.splitlines())
    assert head[0] == "PEER"
    assert [cell.strip() for cell in carrier if cell] == [
        "carrier",
        "sip.carrier.example",
        "192.0.2.10:5060;transport=udp",
        "down, registered, drained, rests 0:00:05",
        "0:01:01",
        "2",
        "3 of 30",
        "1",
        "240 of 2000",
        "OPTIONS got no answer within 4 s (0:00:12 ago)",
    ]
    assert [cell.strip() for cell in pbx if cell][:4] == ["pbx", "pbx.example", "-", "unresolved"]
    assert await process.sbc("peers", "--json") == 0
    assert json.loads(capsys.readouterr().out)[0]["peer"] == "carrier"


async def test_the_status_is_an_outline_for_people(
    process: Process, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await process.sbc("status") == 0
    assert capsys.readouterr().out.splitlines() == [
        "calls           1",
        "draining        no",
        "media",
        "  engine        python",
        "  ports_in_use",
        "    outside     4",
        "names",
        "  troubled      -",
        "uptime          1:00:00",
        "configuration",
        "  version       1",
        f"  at            {clock_time(86_400.0)}",
    ]
    assert await process.sbc("status", "--json") == 0
    assert json.loads(capsys.readouterr().out) == process.answers["status"]


async def test_a_reload_shows_what_changed_and_warnings_apart(
    process: Process, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await process.sbc("reload") == 0
    captured = capsys.readouterr()
    assert captured.out == ("reloaded\ntimers.no_answer: 60 -> 30\nversion 7 is in force\n")
    assert captured.err == "x: warning: y\n"


async def test_draining_waits_until_the_process_has_gone(
    process: Process, capsys: pytest.CaptureFixture[str]
) -> None:
    counts = iter([1, 1, 0])

    def pass_time(seconds: float) -> None:
        left = next(counts, None)
        process.answers["status"] = {"calls": left}
        if left is None:
            trio.from_thread.run_sync(process.stopped.cancel)
            while process.socket.exists():
                trio.from_thread.run(trio.lowlevel.checkpoint)

    arguments = parser().parse_args(["stop", "--drain", "--socket", str(process.socket)])
    with trio.fail_after(PATIENCE_S):
        code = await trio.to_thread.run_sync(
            partial(operate.stop, arguments, sleep=pass_time, clock=lambda: 0.0)
        )
    assert code == 0
    assert process.asked[0] == ("stop", {"drain": True, "timeout_s": None})
    assert capsys.readouterr().out == "calls left: 1\ncalls left: 0\nstopped\n"


async def test_a_process_that_does_not_go_is_a_problem(
    process: Process, capsys: pytest.CaptureFixture[str]
) -> None:
    times = iter(range(0, 100, 10))
    arguments = parser().parse_args(["stop", "--json", "--socket", str(process.socket)])
    with trio.fail_after(PATIENCE_S):
        code = await trio.to_thread.run_sync(
            partial(operate.stop, arguments, sleep=lambda _: None, clock=lambda: next(times))
        )
    assert code == 1
    assert json.loads(capsys.readouterr().out) == {"state": "still running"}


@pytest.mark.parametrize(
    "command",
    ["alarms", "calls", "registrations", "trunks", "peers", "limits", "reload", "stop", "status"],
)
def test_nobody_there_has_its_own_exit_code(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, "--socket", str(tmp_path / "control.sock")]) == 3
    path = tmp_path / "control.sock"
    said = f"sbc: not running: nobody answers at {path}; `sbc run` starts it"
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("argv", [[], ["fly"], ["cdr", "--last", "0"], ["stop", "now"]])
def test_misuse_has_its_own_exit_code(argv: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(argv)
    assert caught.value.code == 2


@pytest.fixture
def records(tmp_path: Path) -> Path:
    path = tmp_path / "cdr.sqlite"
    file = CdrFile(path)
    file.write([row_of(a_record("c1")), row_of(in_progress("c2", 1005.0))], 1010.0)
    file.close()
    return path


def test_call_records_are_shown_without_a_process(
    records: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["cdr", "--file", str(records)]) == 0
    head, first, second = capsys.readouterr().out.splitlines()
    assert head.startswith("CALL  STARTED")
    assert "0:01:00" in first
    assert "3/0" in first
    assert "4.4/-" in first
    assert "3.8/-" in first
    assert "callee" in first
    assert "in progress" in second


def test_one_call_record_is_json_for_scripts(
    records: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["cdr", "--file", str(records), "--call", "c1", "--json"]) == 0
    (record,) = json.loads(capsys.readouterr().out)
    assert record["duration_s"] == 60.0
    assert record["from_a"]["packets"] == 3000
    assert (record["ended_by"], record["origin"]) == ("callee", "remote")


def test_call_records_can_be_drawn(records: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cdr", "--file", str(records), "--call", "c1", "--ladder"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "c1  ended  100 -> 600"
    assert "phones [2001:db8::1]:5060" in lines[1]
    assert "   0.000 |-INVITE sip:600@sbc-" in lines[3]
    assert "  60.021 |  * decision: ends" in lines[4]
    assert lines[-2].split()[1:4] == ["b", "-", "-"]
    assert lines[-1] == "a reports 237 packets lost that had left here: look between here and a"
    assert main(["cdr", "--file", str(records), "--ladder"]) == 0
    assert "\n\nc2  in progress  " in capsys.readouterr().out


async def test_a_call_that_left_memory_is_told_from_its_record(
    process: Process, records: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    process.answers["call"] = CommandRefused("no call 'c1'")
    assert await process.sbc("calls", "--ladder", "c1") == 0
    assert process.asked[-1] == ("flush", {})
    assert "|-INVITE sip:600@sbc" in capsys.readouterr().out
    assert await process.sbc("calls", "--ladder", "c2") == 1, "what has no end has no story yet"
    assert await process.sbc("calls", "--ladder", "c") == 1, "two begin so"
    assert "no call 'c1'" in capsys.readouterr().err


def test_a_call_is_told_from_its_record_without_a_process(
    records: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    socket = ["--socket", str(records.parent / "control.sock")]
    assert main(["calls", "--ladder", "c1", "--json", *socket]) == 0
    story = json.loads(capsys.readouterr().out)
    assert (story["state"], story["ended_by"], story["origin"]) == ("ended", "callee", "remote")
    assert [entry["kind"] for entry in story["journal"]] == ["sip", "decision"]
    assert main(["calls", "--ladder", "zz", *socket]) == 3


def test_no_such_call_record_is_no_success(
    records: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["cdr", "--file", str(records), "--call", "zz"]) == 1
    assert main(["cdr", "--file", str(records / "nowhere")]) == 1
    assert "there is no such file" in capsys.readouterr().err


async def test_a_running_process_writes_its_records_before_they_are_shown(
    process: Process, records: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await process.sbc("cdr", "--last", "1") == 0
    assert process.asked == [("flush", {})]
    assert len(capsys.readouterr().out.splitlines()) == 2


GOOD = """\
networks:
  outside: {bind: 127.0.0.1, listen: [udp/5060], media_ports: 30000-30010}
state_dir: run
"""


def test_a_good_file_is_fine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "sbc.yaml"
    path.write_text(GOOD)
    assert main(["check", str(path)]) == 0
    assert f"{path}: fine: 1 network, 0 peers, 0 routes" in capsys.readouterr().out


def test_a_bad_file_is_told_with_line_and_column(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "sbc.yaml"
    path.write_text(GOOD + "nonsense: 1\n")
    assert main(["check", str(path)]) == 1
    out = capsys.readouterr().out
    assert f"{path}:4:1: error: nonsense" in out
    assert "cannot be used: 1 error(s)" in out
    assert main(["check", str(path), "--json"]) == 1
    answer = json.loads(capsys.readouterr().out)
    assert answer["usable"] is False
    assert {"line": 4, "column": 1}.items() <= answer["problems"][-1].items()


def test_no_file_at_all_is_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SBC_CONFIG", raising=False)
    monkeypatch.setattr("sbc.cli.places.SEARCHED", ())
    assert main(["check"]) == 1
    assert main(["run"]) == 1
    assert "name a configuration file" in capsys.readouterr().err


def test_the_schemas_are_json_schemas(capsys: pytest.CaptureFixture[str]) -> None:
    for argv, key in ((["schema"], "networks"), (["schema", "policy"], "rules")):
        assert main(argv) == 0
        schema = json.loads(capsys.readouterr().out)
        assert key in schema["properties"]
        assert schema["$schema"].startswith("https://json-schema.org/")


def test_the_version_can_be_asked_for_as_an_option(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    option = capsys.readouterr().out
    main(["version"])
    assert (ended.value.code, option) == (0, capsys.readouterr().out)


def test_the_version_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["version"]) == 0
    assert capsys.readouterr().out.startswith("sbc ")
    assert main(["version", "--json"]) == 0
    assert "version" in json.loads(capsys.readouterr().out)
