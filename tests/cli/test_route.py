"""``sbc route`` says where a call would go, and why."""

import json
from pathlib import Path

import pytest

from sbc.cli.main import main
from sbc.routing.location import UNKNOWN

TEXT = """\
networks:
  outside: {bind: 127.0.0.1, listen: udp/5060, media_ports: 30000-39999}
  inside: {trust: trusted, bind: 127.0.0.1, listen: udp/5062, media_ports: 20000-29999}
peers:
  pbx: {kind: pbx, network: inside, address: 127.0.0.5, numbers: {country: DE}}
  carrier:
    kind: trunk
    network: outside
    address: 127.0.0.30:5070
    numbers: {country: DE, outbound: {format: international-00}}
  away: {kind: trunk, network: outside, address: nowhere.invalid}
  phones: {kind: endpoints, network: outside}
dids: {main: {numbers: {"+4930600": {peer: [pbx, phones], user: "1001"}}}}
routes:
  - {name: numbers, from: outside, dids: main}
  - {name: out, from: pbx, number: "+*", to: [carrier, away]}
"""


async def nothing(wanted, settings):
    return dict.fromkeys(wanted, UNKNOWN)


@pytest.fixture
def sbc(tmp_path: Path, capsys, monkeypatch):
    monkeypatch.setattr("sbc.cli.route.located", nothing)
    file = tmp_path / "sbc.yaml"
    file.write_text(TEXT)

    def run(*words: str) -> tuple[int, str]:
        code = main(["route", *words, "-c", str(file)])
        told = capsys.readouterr()
        return code, (told.out + told.err).replace(str(file), "sbc.yaml")

    return run


def test_each_place_is_told_with_what_became_of_the_number(sbc):
    code, told = sbc("03099999999", "--from", "pbx")
    assert code == 0
    first, _, one, two = told.splitlines()
    assert first == "route 'out' (sbc.yaml:16), called 03099999999 -> +493099999999 (e164 DE)"
    assert one.split()[:5] == [
        "1",
        "carrier",
        "sip:00493099999999@127.0.0.30:5070",
        "udp",
        "127.0.0.30:5070",
    ]
    assert one.endswith(
        "peer 'carrier' is told +493099999999 -> 00493099999999 (international-00 DE)"
    )
    assert "nowhere.invalid has no known address" in two


def test_a_did_is_told_with_its_row(sbc):
    code, told = sbc("tel:+49-30-600", "--from", "outside", "--json")
    assert code == 0
    data = json.loads(told)
    assert data["why"] == "route 'numbers' (sbc.yaml:15), DID main +4930600 (sbc.yaml:13)"
    assert [(step["peer"], step["request-uri"]) for step in data["steps"]] == [
        ("pbx", "sip:1001@127.0.0.5;user=phone"),
        ("phones", ""),
    ]
    assert data["steps"][1]["address"] == "where 1001 is registered"


def test_a_call_that_goes_nowhere_is_no_success(sbc):
    code, told = sbc("600", "--from", "outside")
    assert code == 1
    assert told.startswith("none of 2 routes takes INVITE from a stranger on network 'outside'")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("600", "--from", "pxb"), "there is no peer or network 'pxb' (did you mean 'pbx'?)"),
        (("sip:@", "--from", "pbx"), "'sip:@': malformed SIP URI"),
    ],
)
def test_misuse_is_told(sbc, words, complaint):
    code, told = sbc(*words)
    assert (code, told) == (1, f"sbc: {complaint}\n")


def test_a_broken_file_routes_nothing(tmp_path, capsys):
    (tmp_path / "x.yaml").write_text("networks: {}\n")
    assert main(["route", "1", "--from", "a", "-c", str(tmp_path / "x.yaml")]) == 1
    assert "cannot be used; `sbc check` says why" in capsys.readouterr().err
