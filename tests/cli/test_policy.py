"""``sbc policy`` and ``sbc explain``: what an operator types, sees and scripts."""

import json
from pathlib import Path

import pytest

from sbc.cli.main import main
from sbc.state.file import CdrFile
from sbc.state.rows import row_of
from tests.kit.switchboard import OFFER, OUTSIDE, a_message, a_register
from tests.simulation.captures import datagram, ethernet, pcap
from tests.state.records import a_record

ROOT = Path(__file__).parents[2]
EDGE = str(ROOT / "policies" / "edge-default.yaml")
CASES = str(ROOT / "policies" / "tests" / "trusted-lan.yaml")
PHONE, US = ("198.51.100.7", 40000), (OUTSIDE, 5060)


@pytest.fixture
def message(tmp_path: Path) -> str:
    path = tmp_path / "invite.sip"
    path.write_bytes(a_message("INVITE", body=OFFER))
    return str(path)


@pytest.fixture
def traffic(tmp_path: Path) -> str:
    """A phone registers, calls and is a stranger again; another is a stranger always."""
    registered = a_register().replace(b"10.0.0.7", b"198.51.100.7")
    answer = b"SIP/2.0 200 OK\r\n" + registered.split(b"\r\n", 1)[1]
    other = ("198.51.100.66", 5060)
    frames = [
        datagram(PHONE, US, registered),
        datagram(US, PHONE, answer),
        datagram(PHONE, US, a_message("INVITE", call_id="good", body=OFFER)),
        datagram(other, US, a_message("INVITE", branch="z9hG4bK-9", call_id="bad", body=OFFER)),
    ]
    path = tmp_path / "traffic.pcap"
    path.write_bytes(pcap([ethernet(frame) for frame in frames]).getvalue())
    return str(path)


def said(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> str:
    assert main(words) == code
    return capsys.readouterr().out


def test_a_message_is_explained(capsys: pytest.CaptureFixture[str], message: str) -> None:
    out = said(capsys, "policy", "explain", "-c", EDGE, message)
    assert "reject 403 Register first by rule 'not registered'" in out
    assert "edge-default.yaml:" in out
    assert "would be allowed by rule 'registered phones may call'" in out


def test_what_is_said_of_its_sender_counts(
    capsys: pytest.CaptureFixture[str], message: str
) -> None:
    where = ("--from", "198.51.100.9:5070", "--transport", "tls", "--network", "outside")
    out = said(
        capsys, "policy", "explain", "-c", EDGE, *where, "--registered", "--json",
        "--time", "2026-03-02 12:00", message,
    )  # fmt: skip
    (account,) = json.loads(out)
    assert (account["outcome"], account["rule"]) == ("allow", "registered phones may call")
    assert (account["source"], account["transport"]) == ("198.51.100.9:5070", "tls")
    assert {line["step"] for line in account["lines"]} >= {"source", "rules", "route", "media"}


def test_a_capture_is_explained_request_by_request(
    capsys: pytest.CaptureFixture[str], traffic: str
) -> None:
    out = said(capsys, "policy", "explain", "-c", EDGE, traffic)
    assert "registered phones may call" in out
    assert "requests: 2 allow, 1 reject; packets: 4, 0 without SIP" in out
    out = said(capsys, "policy", "explain", "-c", EDGE, "--call", "bad", traffic)
    assert "not registered" in out
    assert "registrations" not in out


def test_a_recorded_call_is_explained(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "sbc.yaml").write_text((ROOT / "deploy/sbc.yaml").read_text())
    text = (tmp_path / "sbc.yaml").read_text().replace("${PBX}", "192.168.1.5")
    text = text.replace("../policies", str(ROOT / "policies")).replace("../run", "run")
    (tmp_path / "sbc.yaml").write_text(text)
    file = CdrFile(tmp_path / "run" / "cdr.sqlite")
    leg = a_record().a
    record = a_record("c7", a=type(leg)("phones", "outside", "198.51.100.7:40000", "id@phone"))
    file.write([row_of(record)], 1000.0)
    file.close()
    for name in ("id@phone", "c7"):
        out = said(capsys, "policy", "explain", "-c", str(tmp_path / "sbc.yaml"), name)
        assert "registered phones may call" in out
    out = said(capsys, "explain", "-c", str(tmp_path / "sbc.yaml"), "id@phone")
    assert "the callee hung up (by callee)" in out
    assert main(["explain", "-c", str(tmp_path / "sbc.yaml"), "nobody"]) == 1
    assert "nothing is known of nobody" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["explain", "-c", EDGE, "nothing"], "nothing is no file"),
        (["explain", "-c", "/nothing.yaml", "MESSAGE"], "/nothing.yaml: cannot be read"),
        (["explain", "-c", EDGE, "--from", "moon", "MESSAGE"], "'moon' is no address"),
        (["explain", "-c", EDGE, "--network", "moon", "MESSAGE"], "no network 'moon'"),
        (["diff", EDGE, EDGE, "--traffic", "MESSAGE"], "neither pcap nor pcapng"),
        (["diff", EDGE, EDGE, "--traffic", "TRAFFIC", "--ours", "x"], "'x' is no address"),
        (["diff", EDGE, EDGE, "--traffic", "TRAFFIC", "--network", "x"], "no network 'x'"),
    ],
)
def test_what_cannot_be_done_says_why(
    capsys: pytest.CaptureFixture[str], message: str, traffic: str, words: list[str], why: str
) -> None:
    given = {"MESSAGE": message, "TRAFFIC": traffic}
    assert main(["policy", *(given.get(word, word) for word in words)]) == 1
    assert why in capsys.readouterr().err


def test_cases_that_hold_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    out = said(capsys, "policy", "test", CASES)
    assert out.endswith(" cases, 0 failed\n")
    assert "holds: a phone in the office may register" in said(
        capsys, "policy", "test", "-v", CASES
    )
    (file,) = json.loads(said(capsys, "policy", "test", "--json", CASES))
    assert all(case["holds"] and case["outcome"]["lines"] for case in file["cases"])


def test_a_file_that_cannot_be_used_is_not_counted_as_well_tested(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "t.yaml"
    path.write_text(
        f"policies: {EDGE}\ncases:\n  - {{name: x, at: 7, expect: {{outcome: allow}}}}\n"
    )
    out = said(capsys, "policy", "test", str(path), CASES, code=1)
    assert out.endswith(" cases, 0 failed, files that cannot be used: 1\n")


def test_a_case_that_fails_is_explained(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "t.yaml"
    path.write_text(f"policies: {EDGE}\ncases:\n  - {{name: x, expect: {{outcome: allow}}}}\n")
    out = said(capsys, "policy", "test", str(path), code=1)
    assert "t.yaml:3: FAILED: x\n    outcome is 'reject', not 'allow'" in out
    assert "| numbers: " in out
    assert "| rules: reject 403 Register first" in out


def test_a_difference_says_which_requests_and_why(
    capsys: pytest.CaptureFixture[str], traffic: str, tmp_path: Path
) -> None:
    other = tmp_path / "open.yaml"
    other.write_text("rules:\n  - {name: everybody, then: allow}\n")
    out = said(capsys, "policy", "diff", EDGE, str(other), "--traffic", traffic)
    assert out.startswith("1 of 3 requests would be treated differently (4 messages)")
    assert "by not registered" in out
    assert "-> everybody" in out.replace("  ", " ")
    found = json.loads(
        said(capsys, "policy", "diff", EDGE, str(other), "--traffic", traffic, "--json")
    )
    (group,) = found["differences"]
    assert group["requests"] == 1
    assert group["examples"][0]["before"]["call_id"] == "bad"
    same = said(capsys, "policy", "diff", EDGE, EDGE, "--traffic", traffic)
    assert same == "0 of 3 requests would be treated differently (4 messages)\n"
