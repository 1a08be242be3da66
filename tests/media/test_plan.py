"""Plans: what leads from one to the next, and how they are carried away and back."""

import json
from dataclasses import replace

import pytest

from media.plan import (
    CloseStream,
    MediaPlan,
    MediaSide,
    MediaStream,
    OpenStream,
    UpdateStream,
    diff,
)
from media.types import Endpoint, SideName, SrtpKeys, SrtpSuite

KEYS = SrtpKeys(SrtpSuite.AEAD_AES_128_GCM, bytes(range(28)))
LIMITED = replace(KEYS, mki=b"\0\1", lifetime_packets=1 << 20)
SIDE = MediaSide("outside", Endpoint("192.0.2.1", 20000), Endpoint("192.0.2.1", 20001))
AUDIO = MediaStream(0, "audio", 8000, SIDE, replace(SIDE, network="inside"))
VIDEO = replace(AUDIO, index=1, kind="video", clock_hz=90000)
PLAN = MediaPlan("call", (AUDIO, VIDEO), 60.0)


def test_a_new_plan_opens_everything() -> None:
    assert diff(None, PLAN) == [
        OpenStream(("call", 0), AUDIO, 60.0, pinholes=True),
        OpenStream(("call", 1), VIDEO, 60.0, pinholes=True),
    ]


def test_the_end_closes_everything() -> None:
    assert diff(PLAN, None) == [CloseStream(("call", 0)), CloseStream(("call", 1))]


@pytest.mark.parametrize("plan", [None, PLAN])
def test_nothing_new_is_nothing_to_do(plan: MediaPlan | None) -> None:
    assert diff(plan, plan) == []


def test_only_what_changed_is_changed() -> None:
    held = replace(AUDIO, a=replace(SIDE, receiving=False))
    new = replace(PLAN, streams=(held, VIDEO))
    assert diff(PLAN, new) == [UpdateStream(("call", 0), held, 60.0, pinholes=True)]


def test_terms_of_the_whole_call_change_every_stream() -> None:
    assert diff(PLAN, replace(PLAN, inactivity_s=None)) == [
        UpdateStream(("call", 0), AUDIO, None, pinholes=True),
        UpdateStream(("call", 1), VIDEO, None, pinholes=True),
    ]


def test_opens_come_before_changes_and_closes_come_last() -> None:
    third = replace(AUDIO, index=2)
    faster = replace(VIDEO, clock_hz=1)
    new = replace(PLAN, streams=(faster, third))
    assert [type(command) for command in diff(PLAN, new)] == [
        OpenStream,
        UpdateStream,
        CloseStream,
    ]


def test_plans_of_two_calls_have_no_difference() -> None:
    with pytest.raises(ValueError, match="'other'"):
        diff(PLAN, replace(PLAN, call="other"))


def test_a_plan_survives_json() -> None:
    side = replace(
        SIDE,
        remote=Endpoint("2001:db8::1", 4000),
        remote_rtcp=Endpoint("2001:db8::1", 4001),
        rtcp_mux=True,
        receive_keys=KEYS,
        send_keys=LIMITED,
        signalling_host="2001:db8::2",
        learn_any=True,
        sending=False,
        receiving=False,
        handshakes=True,
        dscp=0,
        max_kbps=64,
    )
    plan = replace(PLAN, streams=(replace(AUDIO, a=side),), inactivity_s=None, pinholes=False)
    for each in (PLAN, plan):
        assert MediaPlan.from_data(json.loads(json.dumps(each.to_data()))) == each


@pytest.mark.parametrize(
    ("path", "value", "key"),
    [
        (("call",), None, "call"),
        (("streams",), {}, "streams"),
        (("streams",), [1], "stream"),
        (("inactivity_s",), "soon", "inactivity_s"),
        (("inactivity_s",), True, "inactivity_s"),
        (("pinholes",), 1, "pinholes"),
        (("streams", 0, "index"), True, "index"),
        (("streams", 0, "a"), None, "a"),
        (("streams", 0, "a", "local"), ["192.0.2.1"], "local"),
        (("streams", 0, "a", "remote"), "192.0.2.1:5000", "remote"),
        (("streams", 0, "a", "handshakes"), None, "handshakes"),
        (("streams", 0, "a", "dscp"), "EF", "dscp"),
    ],
)
def test_data_that_is_no_plan_is_refused_by_key(
    path: tuple[str | int, ...], value: object, key: str
) -> None:
    data = PLAN.to_data()
    place = json.loads(json.dumps(data))
    whole = place
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    with pytest.raises(ValueError, match=f"^{key} must be"):
        MediaPlan.from_data(whole)


def test_keys_of_the_wrong_length_are_refused() -> None:
    plan = replace(PLAN, streams=(replace(AUDIO, a=replace(SIDE, send_keys=KEYS)),))
    data = json.loads(json.dumps(plan.to_data()))
    data["streams"][0]["a"]["send_keys"]["key"] = "AAAA"
    with pytest.raises(ValueError, match="needs 28 bytes"):
        MediaPlan.from_data(data)


@pytest.mark.parametrize(
    "wrong", [{"mki": bytes(129)}, {"lifetime_packets": 0}, {"lifetime_packets": (1 << 48) + 1}]
)
def test_an_identifier_or_a_lifetime_that_no_key_has_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"too long|no lifetime"):
        replace(KEYS, **wrong)


@pytest.mark.parametrize(
    ("suite", "length"),
    [
        ("AES_CM_128_HMAC_SHA1_32", 30),
        ("AES_192_CM_HMAC_SHA1_80", 38),
        ("AES_192_CM_HMAC_SHA1_32", 38),
        ("AES_256_CM_HMAC_SHA1_80", 46),
        ("AES_256_CM_HMAC_SHA1_32", 46),
        ("AEAD_AES_256_GCM", 44),
    ],
)
def test_suites_have_the_key_lengths_of_their_rfcs(suite: str, length: int) -> None:
    assert SrtpSuite(suite).key_length == length


def test_keys_do_not_show_in_text() -> None:
    assert "key_and_salt" not in repr(KEYS)


def test_a_stream_knows_its_sides() -> None:
    assert (AUDIO.side(SideName.A), AUDIO.side(SideName.B)) == (AUDIO.a, AUDIO.b)
