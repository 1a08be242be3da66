"""Call records as the ledger knows calls: of the store, and as `sbc cdr --json` writes them."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sbc.management.log import Log
from sbc.management.past_calls import (
    HISTORY_S,
    past_of,
    record_from_data,
    remember_calls,
)
from sbc.policy.past import Past
from sbc.state.file import CdrFile, read_since
from sbc.state.rows import row_of
from tests.kit.switchboard import Board
from tests.state.records import a_record, in_progress

NOW = 1.7e9


def test_a_record_tells_who_paid_and_what_for() -> None:
    record = a_record(account="user alice", number="+4930123", diverter="user alice forwarding 7")
    assert past_of(record, {"public"}) == Past(
        "c1", "user alice", "+4930123", 1000.0, 1002.5, 1062.5, "user alice forwarding 7",
        network="public", trusted=True, host="2001:db8::1", caller="100",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "account", "number"),
    [
        ({}, "peer phones", "600"),
        ({"a": a_record().a.__class__("", "public", "198.51.100.7:5060", "x")},
         "source 198.51.100.7", "600"),
        ({"account": "", "number": "+49301"}, "", "+49301"),
    ],
)  # fmt: skip
def test_a_record_of_before_is_counted_for_the_peer_or_the_address(
    changes: dict[str, Any], account: str, number: str
) -> None:
    past = past_of(a_record(**changes))
    assert past is not None
    assert (past.account, past.number, past.trusted) == (account, number, False)


def test_a_call_in_progress_is_no_past_one() -> None:
    assert past_of(in_progress()) is None


def test_what_was_exported_is_read_as_it_was() -> None:
    record = a_record(account="user alice", number="+4930123", diverter="")
    data = json.loads(json.dumps(asdict(record)))
    assert past_of(record_from_data(data)) == past_of(record)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ([], "no JSON object"),
        ({}, "'call' and 'started_at' are needed"),
        ({"call": "a", "started_at": "x"}, "'started_at' is no time"),
        ({"call": "a", "started_at": True}, "'started_at' is no time"),
        ({"call": "a", "started_at": 1, "ended_at": float("nan")}, "'ended_at' is no time"),
        ({"call": "a", "started_at": 1, "to_number": 5}, "'to_number' is no text"),
    ],
)
def test_what_is_no_record_is_told(data: object, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        record_from_data(data)


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(),
                    lambda inner: st.dictionaries(st.sampled_from(["call", "started_at", "a",
                    "ended_at", "number"]), inner)))  # fmt: skip
def test_whatever_json_holds_it_is_a_record_or_an_error(data: object) -> None:
    try:
        past_of(record_from_data(data))
    except ValueError:
        pass


@pytest.fixture
def records(tmp_path: Path) -> Path:
    path = tmp_path / "cdr.sqlite"
    file = CdrFile(path)
    calls = [
        a_record("old", started_at=NOW - HISTORY_S - 1, account="user a", number="+49301"),
        a_record("a", started_at=NOW - 500, answered_at=NOW - 490, ended_at=NOW - 5,
                 account="user a", number="+4930123456"),
        a_record("b", started_at=NOW - 400, answered_at=None, ended_at=NOW - 399,
                 account="user a", number="+4930123456"),
        a_record("c", started_at=NOW - 300, ended_at=None, account="user a", number="+49301"),
    ]  # fmt: skip
    file.write([row_of(call) for call in calls], NOW)
    file.close()
    return path


def test_records_since_a_time_come_in_order_and_without_their_stories(records: Path) -> None:
    found = list(read_since(records, NOW - 1000, 10))
    assert [one.call for one in found] == ["c", "b", "a"]
    assert {one.ladder for one in found} == {""}
    assert [one.call for one in read_since(records, NOW - 1000, 2)] == ["c", "b"]


async def test_a_restart_forgets_nothing(records: Path, tmp_path: Path) -> None:
    board = Board()
    log = Log(lambda data: None)
    await remember_calls(records, board.switchboard, NOW, log)
    ((name, account),) = board.switchboard.calls.ledger.accounts()
    assert name == "user a"
    assert (account.calls.sum(NOW), account.failed.sum(NOW)) == (2.0, 1.0)
    assert account.live == {}
    await remember_calls(tmp_path / "none", board.switchboard, NOW, log)
    assert list(log.alarms.counts) == ["accounts"]
