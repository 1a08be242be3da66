"""Bans carried out: in the kernel, on connections and on disk, and by hand."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio

from sbc.firewall.nftables import FirewallSettings
from sbc.management.control import Command, CommandRefused
from sbc.management.guarding import Guarding
from sbc.policy.guard import Banned
from sbc.sip.flow import Flow
from tests.kit.switchboard import PHONE_FLOW, Board, a_message, register

STREAM = Flow("outside", "tcp", ("0.0.0.0", 5060), ("198.51.100.66", 40000), 7)
SCAN = a_message("OPTIONS", headers=("User-Agent: sipvicious",))


class Stage:
    """A switchboard whose bans are carried out, and what that does."""

    def __init__(self, directory: Path) -> None:
        self.board = Board()
        self.cuts: list[tuple[Callable[[Flow], bool], str]] = []
        self.hosts = [("192.0.2.53", "it is a name server")]
        self.guarding = Guarding(
            self.board.switchboard,
            FirewallSettings("off"),
            directory / "bans.json",
            hosts=lambda: self.hosts,
            cut=lambda meant, why: self.cuts.append((meant, why)),
            log=self.board.log,
            wall=lambda: 1.7e9,
        )

    def do(self, name: str, **arguments: object) -> Any:
        """What a command of the control socket gives, as the CLI reads it."""
        command: Command = self.guarding.commands()[name]
        return json.loads(json.dumps(command(arguments)))


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


async def test_a_ban_cuts_what_the_source_has_open_and_outlives_the_process(
    stage: Stage, tmp_path: Path, autojump_clock: trio.abc.Clock
) -> None:
    async with trio.open_nursery() as nursery:
        await nursery.start(stage.guarding.run)
        stage.board.now = trio.current_time()
        stage.board.give(STREAM, SCAN)
        ((meant, why),) = stage.cuts
        assert why == "198.51.100.66/32 is banned"
        assert meant(STREAM)
        assert not meant(STREAM._replace(network="inside"))
        assert not meant(STREAM._replace(remote=("198.51.100.67", 1)))
        nursery.cancel_scope.cancel()
    (kept,) = json.loads((tmp_path / "bans.json").read_text())
    assert (kept["source"], kept["evidence"][0]["offence"]) == ("198.51.100.66/32", "scanner_name")
    later = Stage(tmp_path)
    async with trio.open_nursery() as nursery:
        await nursery.start(later.guarding.run)
        (ban,) = later.do("bans")["bans"]
        assert ban["source"] == "198.51.100.66/32"
        await trio.sleep(601)
        assert later.do("bans")["bans"] == []
        nursery.cancel_scope.cancel()
    assert json.loads((tmp_path / "bans.json").read_text()) == []


@pytest.mark.parametrize("text", ["{", "[7]", '[{"source": "x"}]', '{"a": 1}', "[{}]"])
async def test_a_file_of_bans_that_is_something_else_is_told_and_nobody_banned(
    stage: Stage, tmp_path: Path, text: str, autojump_clock: trio.abc.Clock
) -> None:
    (tmp_path / "bans.json").write_text(text)
    async with trio.open_nursery() as nursery:
        await nursery.start(stage.guarding.run)
        assert stage.do("bans")["bans"] == []
        nursery.cancel_scope.cancel()
    assert "bans of before not taken over" in stage.board.log.events("error")


async def test_an_operator_adds_and_lifts_bans(stage: Stage) -> None:
    told = stage.do("ban", source="198.51.100.0/24", seconds=3600, why="the whole rack")
    assert told["bans"][0]["why"].startswith("the whole rack (")
    assert told["bans"][0]["by"] == "operator"
    assert stage.do("lift", source="198.51.100.0/24") == {"lifted": ["198.51.100.0/24"]}
    assert stage.do("lift", source="198.51.100.0/24") == {"lifted": []}
    assert "ban lifted" in stage.board.log.events("info")


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"source": "198.51.100.1/24", "seconds": 60, "why": "x"}, "has host bits set"),
        ({"source": "nobody", "seconds": 60, "why": "x"}, "for example: 192.0.2.1"),
        ({"source": "198.51.100.1", "seconds": 0, "why": "x"}, "from 1 to"),
        ({"source": "198.51.100.1", "seconds": "1h", "why": "x"}, "is a number"),
        ({"source": "198.51.100.1", "seconds": 60, "why": "a\nb"}, "on one line"),
        ({"source": "192.168.1.5", "seconds": 60, "why": "x"}, "it is peer 'pbx'"),
        ({"source": "192.0.2.53", "seconds": 60, "why": "x"}, "it is a name server"),
        ({"source": "198.51.100.7", "seconds": 60, "why": "x"}, "phones are registered from there"),
    ],
)
async def test_what_an_operator_may_not_ban_is_refused_with_the_reason(
    stage: Stage, arguments: dict[str, object], why: str
) -> None:
    register(stage.board, flow=PHONE_FLOW)
    stage.guarding.configured()
    with pytest.raises(CommandRefused, match=why):
        stage.do("ban", **arguments)
    assert len(stage.board.switchboard.watch.guard.bans) == 0


async def test_everything_is_listed(stage: Stage) -> None:
    stage.board.now = trio.current_time()
    stage.board.give(STREAM, SCAN)
    muted = PHONE_FLOW._replace(remote=("192.0.2.9", 5060))
    stage.board.give(muted, SCAN)
    told = stage.do("bans")
    assert told["counters"] == {"scanner_name": 2}
    (mute,) = told["mutes"]
    assert (mute["host"], mute["port"], mute["throttled"]) == ("192.0.2.9", 5060, False)
    assert (told["banned"], told["muted"], told["kernel"]) == (1, 1, "it is off")
    measure = Banned(next(iter(stage.board.switchboard.watch.guard.bans)))
    assert measure.ban.evidence[0].what == "its User-Agent says 'sipvicious'"
