"""What a policy file says of bans."""

from ipaddress import ip_network

import pytest

from sbc.policy.ban_rules import BanRules
from sbc.policy.load import LoadedPolicy, combine, load_policy
from sbc.policy.offences import WEIGHTS, Offence


def load(text: str) -> LoadedPolicy:
    return load_policy(text, "p.yaml")


def test_without_a_section_nobody_is_banned() -> None:
    assert combine([load("version: 1")]).bans is None


def test_an_empty_section_has_safe_defaults() -> None:
    rules = combine([load("version: 1"), load("version: 1\nbans: {}")]).bans
    assert rules is not None
    assert rules == BanRules(scanners=rules.scanners, where="p.yaml:2")
    assert "friendly-scanner" in rules.scanners
    assert rules.weights[Offence.POLICY] * 20 < rules.threshold


def test_everything_that_is_written_counts() -> None:
    policy = load(
        """
bans:
  threshold: 50
  half_life: 60
  duration: 120
  longest: 3600
  mute: 5
  shadow: true
  never_ban: ["192.0.2.0/24", "::ffff:198.51.100.7"]
  scanners: Evil-Dialer
  weights: {wrong_password: 7, flood: 0}
"""
    )
    assert policy.problems == ()
    assert policy.bans == BanRules(
        threshold=50,
        half_life_s=60,
        ban_s=120,
        longest_s=3600,
        mute_s=5,
        shadow=True,
        never=(ip_network("192.0.2.0/24"), ip_network("198.51.100.7/32")),
        weights={**WEIGHTS, Offence.WRONG_PASSWORD: 7, Offence.FLOOD: 0},
        scanners=("evil-dialer",),
        where="p.yaml:3",
    )


@pytest.mark.parametrize(
    ("section", "complaint"),
    [
        ("{duration: 0}", "1:18: error: bans.duration: "),
        ("{weights: {rudeness: 1}}", "1:18: error: bans.weights.rudeness: unknown key 'rudeness'"),
        ("{never_ban: [192.0.2.1/24]}", "did you mean 192.0.2.0/24?"),
        ("{scanners: [ua]}", "1:19: error: bans.scanners[0]: "),
        ("{shadow: perhaps}", "1:16: error: bans.shadow: "),
    ],
)
def test_what_is_wrong_is_told_with_its_place(section: str, complaint: str) -> None:
    policy = load(f"bans: {section}")
    assert policy.broken
    assert complaint in str(policy.problems[0])
