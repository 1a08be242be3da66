"""``sbc policy backtest``: which calls of before the rules would have stopped."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from sbc.cli.main import main
from sbc.state.cdr import CdrRecord
from sbc.state.file import CdrFile
from sbc.state.rows import row_of
from tests.kit.toll_fraud import irsf_blast
from tests.state.records import a_record

SHIPPED = str(Path(__file__).parents[2] / "policies/toll-fraud.yaml")


def records() -> list[CdrRecord]:
    return [
        a_record(
            past.call, started_at=past.began, answered_at=past.answered, ended_at=past.ended,
            account=past.account, number=past.number, diverter="",
        )
        for past in irsf_blast()
    ]  # fmt: skip


@pytest.fixture
def store(tmp_path: Path) -> Path:
    path = tmp_path / "cdr.sqlite"
    file = CdrFile(path)
    file.write([row_of(one) for one in records()], 0.0)
    file.close()
    return path


def backtest(*more: str) -> int:
    return main(["policy", "backtest", "--policy", SHIPPED, "--since", "9999d", *more])


def test_what_would_have_been_stopped_is_told_with_its_reasons(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert backtest("--cdr", str(store)) == 0
    out = capsys.readouterr().out
    assert "calls    40, which cost 1800.00" in out
    assert "found    40 reject" in out
    assert "by rule 'first calls at night'" in out
    assert "phone 103@example.com" in out


@pytest.mark.parametrize("form", ["store", "list", "lines"])
def test_records_are_read_from_a_store_or_from_what_was_exported(
    store: Path, tmp_path: Path, form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = store
    if form != "store":
        data = [asdict(one) for one in records()]
        file = tmp_path / "cdr.json"
        lines = "\n".join(json.dumps(one) for one in data)
        file.write_text(json.dumps(data) if form == "list" else f"{lines}\n\n")
    assert backtest("--cdr", str(file), "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["calls"], answer["done"]) == (40, {"reject": 40})
    assert answer["saved"] == answer["cost"] == pytest.approx(1800.0)
    assert answer["rules"] == {"first calls at night": {"calls": 40, "saved": 1800.0}}
    assert answer["found"][0]["where"].startswith(SHIPPED)


def test_calls_before_the_time_are_left_out(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["policy", "backtest", "--policy", SHIPPED, "--since", "1s",
                 "--cdr", str(store)]) == 0  # fmt: skip
    assert "calls    0," in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "said"),
    [("{", "record 1: "), ("[1]", "record 1: no JSON object"), ("[", "no list of call records"),
     ('{"call": "a"}', "record 1: 'call' and 'started_at' are needed")],
)  # fmt: skip
def test_what_is_no_record_is_refused_with_its_place(
    tmp_path: Path, text: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "x.jsonl"
    file.write_text(text)
    assert backtest("--cdr", str(file)) == 1
    assert said in capsys.readouterr().err


def test_a_broken_policy_or_a_missing_file_is_told(
    tmp_path: Path, store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "p.yaml"
    file.write_text("fraud: [{name: a, then: fly}]")
    assert main(["policy", "backtest", "--policy", str(file), "--cdr", str(store)]) == 1
    assert f"{file}:1:25: error: fraud[0].then: 'fly' is not understood" in capsys.readouterr().err
    assert backtest("--cdr", str(tmp_path / "none")) == 1
    assert "cannot be read" in capsys.readouterr().err
    assert main(["policy", "backtest", "--policy", str(tmp_path / "q"), "--cdr", str(store)]) == 1
    assert "cannot be read" in capsys.readouterr().err
