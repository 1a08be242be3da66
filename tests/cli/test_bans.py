"""What ``sbc bans`` asks for and shows."""

import argparse
from pathlib import Path

import pytest

from sbc.cli import bans as command
from sbc.cli.bans import duration
from sbc.cli.main import main

ANSWER = {
    "bans": [
        {
            "source": "198.51.100.66/32",
            "left_s": 599.0,
            "by": "scanner: known by its name",
            "hits": 7,
            "score": 100.0,
            "number": 2,
            "why": "its User-Agent says 'sipvicious'",
            "shadow": False,
            "since": 1.7e9,
            "evidence": [
                {
                    "at": 1.7e9,
                    "source": "198.51.100.66:5060/tcp",
                    "offence": "scanner_name",
                    "what": "its User-Agent says 'sip\x1bvicious'",
                    "call_id": "c-1",
                }
            ],
        }
    ],
    "mutes": [
        {
            "network": "outside",
            "host": "192.0.2.9",
            "port": 5061,
            "connection": 7,
            "throttled": True,
            "left_s": 3.0,
            "hits": 1,
            "why": "enumeration",
        }
    ],
    "counters": {"scanner_name": 2},
    "kernel": "in force as table inet sbc_1",
    "kernel_dropped": {"banned": 37, "muted": 0, "limited": 4},
    "shadow": False,
    "trouble": "",
}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, object]]:
    """What reaches the process, which has one ban."""
    questions: list[tuple[str, object]] = []

    def ask(path: Path, name: str, arguments: object = None) -> object:
        questions.append((name, arguments))
        return {"lifted": ["198.51.100.66/32"]} if name == "lift" else ANSWER

    monkeypatch.setattr(command, "ask", ask)
    return questions


def run(*words: str) -> int:
    return main(["bans", "--socket", "/tmp/none.sock", *words])


def test_bans_are_shown_with_their_evidence(
    asked: list[tuple[str, object]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run() == 0
    shown = capsys.readouterr().out
    assert "198.51.100.66/32  0:09:59  scanner: known by its name  7" in shown
    assert "198.51.100.66:5060/tcp  scanner_name: its User-Agent says" in shown
    assert "(Call-ID c-1)" in shown
    assert "\x1b" not in shown
    assert "throttled: enumeration" in shown
    assert (
        "kernel: in force as table inet sbc_1; packets dropped there, beside the hits: "
        "37 banned, 4 limited\n"
    ) in shown


def test_an_operator_lifts_and_adds(
    asked: list[tuple[str, object]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--lift", "198.51.100.66") == 0
    assert capsys.readouterr().out == "lifted: 198.51.100.66/32\n"
    assert run("--add", "192.0.2.0/24", "--for", "2d", "--why", "the rack") == 0
    assert asked == [
        ("lift", {"source": "198.51.100.66"}),
        ("ban", {"source": "192.0.2.0/24", "seconds": 172_800, "why": "the rack"}),
    ]


def test_counters_are_a_table_of_their_own(
    asked: list[tuple[str, object]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--counters") == 0
    assert capsys.readouterr().out == "OFFENCE       SEEN\nscanner_name  2\n"


def test_durations_are_written_as_people_do() -> None:
    assert [duration(text) for text in ("90", "90s", "30m", "1h", "2d")] == [
        90, 90, 1800, 3600, 172_800,
    ]  # fmt: skip
    for text in ("", "h", "1w", "-1", "0", "1.5h", "²"):
        with pytest.raises(argparse.ArgumentTypeError):
            duration(text)
