"""``sbc run`` as a process of its own, reached by the other commands and by signals."""

import json
import signal
import socket
from collections.abc import AsyncIterator
from dataclasses import asdict, fields
from pathlib import Path

import pytest
import trio

from sbc.driver.tally import Tally
from sbc.resolver.cache import ResolverStatistics
from sbc.state.cdr import EndedBy
from sbc.state.sqlite import StoreStatistics
from sbc.transport.limits import TransportStatistics
from tests.cli.running import Running, running_sbc, said_at_its_end, start
from tests.kit.name_server import NameServer
from tests.kit.patience import PATIENCE_S
from tests.transport.edge import OPTIONS


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    async with running_sbc(tmp_path) as one:
        yield one


async def test_a_process_serves_is_asked_and_stops(
    running: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as phone:
        phone.sendto(OPTIONS, ("127.0.0.1", running.port))
    with trio.fail_after(PATIENCE_S):
        received = 0
        while not received:
            assert await running.sbc("status", "--json") == 0
            received = json.loads(capsys.readouterr().out)["received"]["messages"]
    assert await running.sbc("status") == 0
    assert "closed_after_crash" in capsys.readouterr().out
    for command in ("calls", "registrations", "reload", "cdr"):
        assert await running.sbc(command) == 0, command
    capsys.readouterr()
    assert await running.sbc("stop", "--drain") == 0
    assert capsys.readouterr().out == "calls left: 0\nstopped\n"
    assert await running.sbc("calls") == 3


async def test_the_status_tells_everything_that_is_counted(
    running: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    await running.call()
    assert await running.sbc("status", "--json") == 0
    status = json.loads(capsys.readouterr().out)
    assert (status["calls"], status["faults"], status["log"]) == (1, 0, {"lost": 0})
    assert status["names"] == {"known": 0, "troubled": {}, **asdict(ResolverStatistics())}
    for group, counters in {
        "received": [field.name for field in fields(Tally)],
        "transport": [field.name for field in fields(TransportStatistics)],
        "records": [field.name for field in fields(StoreStatistics)],
    }.items():
        told = {"faults", "messages", *status[group]}
        assert {"messages" if name == "received" else name for name in counters} <= told
    assert status["received"]["messages"] == status["transport"]["messages_in"] == 3
    assert status["records"]["lost"] == status["received"]["unacknowledged"] == 0


async def test_a_reload_of_a_file_with_an_error_changes_nothing(
    running: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    text = running.file.read_text()
    running.file.write_text(text + "nonsense: 1\n")
    assert await running.sbc("reload") == 1
    line = text.count("\n") + 1
    assert f"{running.file}:{line}:1: error: nonsense" in capsys.readouterr().err
    assert await running.sbc("status") == 0


async def test_a_hangup_signal_reloads_and_a_broken_file_ends_nothing(running: Running) -> None:
    text = running.file.read_text()
    running.file.write_text(text + "timers: {no_answer: 33}\n")
    running.signal(signal.SIGHUP)
    told = await running.logged("reloaded")
    assert told["changes"] == ["timers.no_answer_s: 180.0 -> 33.0"]
    running.file.write_bytes(b"\xff\x00")
    running.signal(signal.SIGHUP)
    await running.logged("reload refused")
    running.file.write_text(text)
    running.signal(signal.SIGHUP)
    await running.logged("reloaded", 2)
    running.signal(signal.SIGTERM)
    assert await running.ended() == 0


async def test_a_stop_says_bye_to_both_sides_and_writes_the_record(running: Running) -> None:
    await running.call()
    running.signal(signal.SIGTERM)
    await running.hung_up()
    assert await running.ended() == 0
    assert running.record().ended_by is EndedBy.OPERATOR


async def test_the_story_of_a_call_outlives_the_process(
    running: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    await running.call()
    running.signal(signal.SIGTERM)
    await running.hung_up()
    await running.ended()
    name = running.record().call
    for command in ("calls", "--ladder", name), ("cdr", "--call", name, "--ladder"):
        assert await running.sbc(*command) == 0
        drawn = capsys.readouterr().out
        assert "route 'incoming'" in " ".join(drawn.split())
        for message in ("INVITE sip:600@", "100 Trying (INVITE)", "200 OK (INVITE)", "BYE sip:"):
            assert message in drawn


async def test_a_drain_lets_a_call_end_by_itself(running: Running) -> None:
    await running.call()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(running.sbc, "stop", "--drain")
        await running.logged("stopping")
        await running.hang_up()
        assert await running.ended() == 0
    assert running.record().ended_by is EndedBy.CALLER


@pytest.mark.parametrize("second", ["stop", "SIGTERM", "SIGINT"])
async def test_whoever_stops_again_ends_a_drain(running: Running, second: str) -> None:
    await running.call()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(running.sbc, "stop", "--drain")
        await running.logged("stopping")
        if second == "stop":
            nursery.start_soon(running.sbc, "stop")
        else:
            running.signal(signal.Signals[second])
        await running.hung_up()
        assert await running.ended() == 0
    assert running.record().ended_by is EndedBy.OPERATOR


async def test_a_drain_does_not_last_longer_than_its_time(running: Running) -> None:
    await running.call()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(running.sbc, "stop", "--drain", "--timeout", "1")
        await running.hung_up()
        assert await running.ended() == 0


async def test_who_does_not_answer_our_bye_can_be_left_without_by_a_second_signal(
    running: Running,
) -> None:
    await running.call()
    running.signal(signal.SIGTERM)
    await running.carrier.receive("BYE")
    running.signal(signal.SIGTERM)
    began = trio.current_time()
    assert await running.ended() == 0
    assert trio.current_time() - began < 1.5
    assert running.record().ended_by is EndedBy.OPERATOR


async def test_a_second_process_for_the_same_state_refuses_to_start(running: Running) -> None:
    second = await start(running.file)
    said = await said_at_its_end(second)
    assert second.returncode == 1
    assert said[-1]["event"] == "not started"
    assert "is written by process" in str(said[-1]["why"])


@pytest.mark.parametrize("name", ["state", "cdr.sqlite"])
async def test_a_state_directory_that_cannot_be_used_is_told_in_one_line(
    tmp_path: Path, name: str
) -> None:
    """Once the directory cannot be made, and once its file cannot be written."""
    file = tmp_path / "sbc.yaml"
    directory = tmp_path / "taken" / "state"
    if name == "state":
        directory.parent.touch()
    else:
        (directory / name).mkdir(parents=True)
    network = "{bind: 127.0.0.1, listen: [udp/5060], media_ports: 40000-40010}"
    file.write_text(f"networks: {{outside: {network}}}\nstate_dir: taken/state\n")
    process = await start(file)
    said = await said_at_its_end(process)
    assert process.returncode == 1
    (told,) = [line for line in said if line["event"] == "not started"]
    assert str(directory) in str(told["why"])
    assert f"let the key `state_dir` in {file} name a directory" in str(told["advice"])


@pytest.mark.parametrize("name", ["registrations.sqlite", "cdr.sqlite"])
async def test_a_damaged_file_of_state_is_told_with_what_helps(tmp_path: Path, name: str) -> None:
    file = tmp_path / "sbc.yaml"
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / name).write_bytes(b"not a database" * 100)
    network = "{bind: 127.0.0.1, listen: [udp/5060], media_ports: 40000-40010}"
    file.write_text(f"networks: {{outside: {network}}}\nstate_dir: state\n")
    said = await said_at_its_end(await start(file))
    (told,) = [line for line in said if line["event"] == "not started"]
    assert name in str(told["why"])
    assert "move that file away" in str(told["advice"])


_ENGINE_BREAKS = """
import sys
import trio
from media.events import EngineFailed
from media.relay import Relay
from sbc.cli.main import main

run = Relay.run

async def run_and_break(relay, task_status):
    async with trio.open_nursery() as nursery:
        await nursery.start(run, relay)
        task_status.started()
        await trio.sleep(0.2)
        relay._deliver([EngineFailed("no more memory")])

Relay.run = run_and_break
sys.exit(main(sys.argv[1:]))
"""


async def test_a_process_whose_media_engine_failed_ends_so_that_it_is_started_again(
    tmp_path: Path, running: Running
) -> None:
    await running.sbc("stop")
    process = await start(running.file, ("-c", _ENGINE_BREAKS))
    said = await said_at_its_end(process)
    assert process.returncode == 1
    assert said[-1]["event"] == "ended by a failure"
    assert said[-1]["why"] == "the media engine failed: no more memory"


async def test_a_reload_to_a_name_asks_the_servers_that_it_says_and_calls_go_there(
    running: Running, nursery: trio.Nursery, capsys: pytest.CaptureFixture[str]
) -> None:
    _, port = await nursery.start(NameServer("pbx.example. 60 IN A 127.0.0.2").run)
    text = running.file.read_text().replace("address: '127.0.0.2:", "address: 'pbx.example:")
    running.file.write_text(f"{text}dns: {{servers: '127.0.0.1:{port}'}}\n")
    assert await running.sbc("reload") == 0
    told = await running.logged("name resolved")
    assert told["name"] == f"pbx.example:{running.pbx.port} on inside"
    assert told["places"] == [f"udp/127.0.0.2:{running.pbx.port}"]
    await running.call()
    capsys.readouterr()
    assert await running.sbc("status", "--json") == 0
    names = json.loads(capsys.readouterr().out)["names"]
    assert (names["known"], names["questions"], names["troubled"]) == (1, 1, {})


async def test_a_name_that_leads_nowhere_is_not_called_resolved(
    running: Running, nursery: trio.Nursery
) -> None:
    _, port = await nursery.start(NameServer("pbx.example. 60 IN A 127.0.0.2").run)
    text = running.file.read_text().replace("address: '127.0.0.2:", "address: 'none.example:")
    running.file.write_text(f"{text}dns: {{servers: '127.0.0.1:{port}'}}\n")
    assert await running.sbc("reload") == 0
    told = await running.logged("name lookup")
    assert told["name"] == f"none.example:{running.pbx.port} on inside"
    running.file.write_text(running.file.read_text().replace("none.example", "pbx.example"))
    assert await running.sbc("reload") == 0
    resolved = await running.logged("name resolved")
    assert resolved["name"] == f"pbx.example:{running.pbx.port} on inside"
