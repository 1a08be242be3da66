import json

from sbc.b2bua.causes import Ending
from sbc.management.listing import (
    call_story,
    calls_listing,
    registrations_listing,
    trunks_listing,
)
from sbc.state.cdr import EndedBy
from tests.kit.trunks import Office
from tests.management.a_call import a_binding, a_call


def test_a_call_in_progress_is_one_row_that_json_can_carry() -> None:
    call = a_call()
    call.answered_at = 104.0
    (row,) = calls_listing([call], now=110.0)
    assert json.loads(json.dumps(row)) == {
        "call": "c1",
        "state": "calling",
        "from": "100",
        "to": "600",
        "a": {
            "peer": "phones",
            "network": "outside",
            "transport": "udp",
            "address": "[2001:db8::7]:5062",
            "call_id": "call-a",
        },
        "b": {
            "peer": "",
            "network": "inside",
            "transport": "tcp",
            "address": "10.0.0.1:5060",
            "call_id": "call-b",
        },
        "route": "phones to the PBX",
        "started_at": 1_700_000_000.0,
        "age_s": 10.0,
        "talking_s": 6.0,
        "ended_by": None,
        "origin": None,
        "reason": None,
    }


def test_an_ended_call_grows_no_older_and_says_why() -> None:
    call = a_call()
    call.ended_at = 103.0
    call.ends(Ending(486, 17, EndedBy.CALLEE, "busy"))
    (row,) = calls_listing([call], now=500.0)
    assert (row["age_s"], row["talking_s"]) == (3.0, None)
    assert (row["ended_by"], row["origin"], row["reason"]) == ("callee", "remote", "busy")


def test_a_story_is_the_journal_with_times_from_the_start() -> None:
    story = call_story(a_call(), now=101.0)
    assert json.loads(json.dumps(story))["journal"] == [
        {
            "at": 0.0,
            "kind": "sip",
            "side": "a",
            "direction": "in",
            "summary": "INVITE sip:600@x",
            "raw": "INVITE sip:600@x SIP/2.0\r\n\ufffd\r\n",
        },
        {
            "at": 0.5,
            "kind": "decision",
            "side": "",
            "direction": "",
            "summary": "the rule chose pbx",
            "raw": "",
        },
    ]
    assert story["dropped"] == 0


def test_a_story_tells_no_secret() -> None:
    call = a_call()
    call.journal.note(
        101.0, "sip", "", "a", "in", b"INVITE sip:6:pw@x SIP/2.0\r\n\r\nk=clear:me\r\n"
    )
    told = str(call_story(call, now=101.0))
    assert "(removed)@x" in told
    assert "pw" not in told
    assert "clear" not in told


def test_registrations_are_sorted_and_say_why_a_nat_is_believed() -> None:
    rows = registrations_listing([a_binding("200@pbx"), a_binding()], now=100.0)
    assert [row["aor"] for row in rows] == ["100@pbx", "200@pbx"]
    assert rows[0]["source"] == "[2001:db8::7]:5062"
    assert rows[0]["expires_in_s"] == rows[0]["registrar_expires_in_s"] == 60.0
    assert (rows[0]["mode"], rows[0]["flow"]) == ("relay", 0)
    assert rows[0]["behind_nat"] is True
    assert "Contact is not the source" in str(rows[0]["nat"])
    json.dumps(rows)


def test_a_registration_with_a_trunk_tells_its_state_its_next_step_and_its_last_error() -> None:
    office = Office()
    office.fail(office.until_sent())
    office.reply(office.last, 200, "Expires: 300", "P-Associated-URI: <tel:+4930123>, <sip:a@b>")
    office.wait(10)
    (row,) = trunks_listing(office.trunks.registrations, office.now)
    assert json.loads(json.dumps(row)) == {
        "trunk": "carrier",
        "account": "sip:4930123@carrier.example",
        "state": "registered",
        "registered": True,
        "state_s": 10.0,
        "target": "192.0.2.2:5060",
        "transport": "udp",
        "expires_in_s": 290.0,
        "next_in_s": 200.0,
        "failures": 0,
        "last_error": "no answer from 192.0.2.1:5060",
        "last_error_ago_s": 10.0,
        "associated": ["<tel:+4930123>", "<sip:a@b>"],
    }


def test_one_that_never_began_has_nothing_to_tell() -> None:
    (row,) = trunks_listing(Office().trunks.registrations, 1000.0)
    assert (row["state"], row["target"], row["last_error"]) == ("unregistered", None, None)
