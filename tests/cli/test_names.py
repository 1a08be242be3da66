"""``sbc resolve``, and names in ``sbc check``, against a name server on loopback."""

import json
from pathlib import Path

import pytest
import trio

from sbc.cli.main import main
from tests.kit.name_server import NameServer

ZONE = """\
pbx.example. 60 IN NAPTR 10 10 "s" "SIP+D2U" "" _sip._udp.pbx.example.
_sip._udp.pbx.example. 30 IN SRV 10 60 5070 one.example.
one.example. 600 IN A 192.0.2.1
one.example. 600 IN AAAA 2001:db8::1
"""
CONFIGURATION = """\
networks:
  inside: {{trust: trusted, bind: 127.0.0.1, listen: udp/5060, media_ports: 30000-30010}}
peers:
  pbx: {{kind: pbx, network: inside, address: pbx.example}}
  old: {{kind: pbx, network: inside, address: ["old.example:5060", 192.0.2.9]}}
routes:
  - {{name: all, from: pbx, to: old}}
policies: {root}/policies/edge-default.yaml
dns: {{servers: "127.0.0.1:{port}", timeout: 5}}
state_dir: run
"""
ROOT = Path(__file__).parents[2]


@pytest.fixture
async def file(tmp_path: Path, nursery: trio.Nursery) -> Path:
    _, port = await nursery.start(NameServer(ZONE).run)
    path = tmp_path / "sbc.yaml"
    path.write_text(CONFIGURATION.format(root=ROOT, port=port))
    return path


async def sbc(*words: str) -> int:
    with trio.fail_after(30):
        return await trio.to_thread.run_sync(main, words)


async def test_each_question_is_shown_with_its_answer_and_what_follows(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await sbc("resolve", "pbx.example", "-c", str(file)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [" ".join(line.split()) for line in lines] == [
        "QUESTION ANSWER HOLDS_S",
        'NAPTR of pbx.example 10 10 "s" "SIP+D2U" "" _sip._udp.pbx.example 60',
        "SRV of _sip._udp.pbx.example 10 60 5070 one.example 30",
        "A of one.example 192.0.2.1 600",
        "AAAA of one.example 2001:db8::1 600",
        "",
        "udp/192.0.2.1:5070 (one.example, priority 10, weight 60)",
        "udp/[2001:db8::1]:5070 (one.example, priority 10, weight 60)",
    ]


async def test_a_network_has_what_it_can_reach(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ("resolve", "pbx.example", "-c", str(file), "--network", "inside", "--json")
    assert await sbc(*argv) == 0
    told = json.loads(capsys.readouterr().out)
    assert [place["host"] for place in told["places"]] == ["192.0.2.1"]
    assert told["questions"][-1] == {
        "question": "A of one.example",
        "answer": "192.0.2.1",
        "holds_s": 600,
    }


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("old.example",), "sbc: DNS has no A or AAAA record of old.example\n"),
        (("old.example;transport=sctp",), "is not understood"),
        (("old",), "'old' is a peer; ask for its address: old.example, 192.0.2.9\n"),
        (("pbx.example", "--network", "outside"), "has no network 'outside', but inside"),
    ],
)
async def test_what_leads_nowhere_is_told(
    file: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], said: str
) -> None:
    assert await sbc("resolve", *words, "-c", str(file)) == 1
    assert said in capsys.readouterr().err


async def test_a_check_warns_of_names_that_lead_nowhere_now(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await sbc("check", str(file)) == 0
    out = capsys.readouterr().out
    assert (
        f"{file}:5:1: warning: peers.old.address: old.example cannot be located now: DNS has no A "
        "record of old.example (calls to it fail until it can; `sbc resolve old.example` says more)"
    ) in out
    assert "pbx.example" not in out
    assert "1 warning" in out
