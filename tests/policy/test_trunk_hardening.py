"""The shipped policy `trunk-hardening`: what a carrier may do, and that each line of it matters."""

from typing import Any

import pytest

from sbc.policy.facts import Facts
from sbc.policy.load import combine, load_policy
from sbc.policy.model import RateLimit
from sbc.policy.world import Nowhere, World
from sbc.sip.message import Request
from tests.kit.shipped_policies import Verdict, read, shipped, verdict
from tests.policy.test_call_facts import an_invite

NAMES = ("trunk-hardening.yaml", "edge-default.yaml")
POLICY = shipped(*NAMES)


class Kinds(Nowhere):
    """Numbers whose kind is known."""

    def kind(self, e164: str) -> str:
        return {"+4930": "invalid", "+49301": "unallocated"}.get(e164, "fixed")


OWNERS = "owners: {peers: {pbx: ['+4930123*'], carrier: ['+4930*']}}"
WORLD = World(numbers=Kinds())


def carrier(method: str = "INVITE", request: Request | None = None, **known: Any) -> Facts:
    known.setdefault("peer", "carrier")
    return Facts(
        "outside", False, "192.0.2.1", method, request=request or call(), world=WORLD, **known
    )


def pbx(request: Request) -> Facts:
    return Facts("inside", True, "192.168.1.5", "INVITE", peer="pbx", request=request, world=WORLD)


def call(caller: str = "+33123456789", *lines: str) -> Request:
    return an_invite(*lines, caller=f"<sip:{caller}@x>", uri="sip:+493012345678@y")


def forwarded(times: int) -> Request:
    return call("+33123456789", *(f"Diversion: <sip:{n}@x>" for n in range(times)))


PHONE = {"peer": None, "registered": True}
TAG = "tag [unverified]"
CASES: list[tuple[Facts, str, int, tuple[str, ...]]] = [
    (carrier(), "allow", 0, ("voice only",)),
    (carrier("OPTIONS"), "allow", 0, ()),
    (carrier("REGISTER"), "reject", 405, ("trunks call and probe",)),
    (carrier("SUBSCRIBE"), "reject", 405, ("trunks call and probe",)),
    (carrier("REGISTER", **PHONE), "allow", 0, ()),
    (pbx(call()), "allow", 0, ()),
    (Facts("inside", True, "192.168.1.5", "NOTIFY", peer="pbx"), "allow", 0, ()),
    (carrier(request=forwarded(5)), "allow", 0, ("voice only",)),
    (carrier(request=forwarded(6)), "reject", 483, ("forwarded in circles",)),
    (carrier("OPTIONS", request=forwarded(6)), "allow", 0, ()),
    (carrier(request=call("+4930")), "allow", 0, ("number that cannot be", "voice only")),
    (carrier(request=call("+49301")), "allow", 0, ("number that cannot be", "voice only")),
    (carrier(request=call("+493012340000")), "allow", 0, ("neighbour", "voice only")),
    (carrier(request=call("+4930"), **PHONE), "allow", 0, ()),
    (carrier(request=call("+493012340000"), **PHONE), "allow", 0, ()),
    (pbx(call("+493012340000")), "allow", 0, ()),
    (pbx(call("+4930")), "allow", 0, ()),
]


@pytest.mark.parametrize(("facts", "outcome", "status", "rules"), CASES)
def test_the_policy(facts: Facts, outcome: str, status: int, rules: tuple[str, ...]) -> None:
    found = verdict(POLICY, facts)
    assert found[:2] == (outcome, status)
    assert tuple(one.split(": ")[1] for one in found[3]) == rules
    assert all(TAG in one for one in found[3] if one.startswith("identity"))


def with_owners(facts: Facts) -> Verdict:
    """The policy, and a file of the operator's that says which numbers are whose."""
    own = load_policy(OWNERS, "owners.yaml")
    return verdict(combine([*(read(name) for name in NAMES), own]), facts)


@pytest.mark.parametrize(
    ("facts", "outcome", "rule"),
    [
        (pbx(call("+4930123456")), "allow", ""),
        (pbx(call("+33123456789")), "reject", "identity: not our number: reject 403 Not your"),
        (carrier(request=call("+33123456789")), "allow", "media: voice only"),
        (carrier(request=call("+493012340000")), "allow", "media: voice only"),
    ],
)
def test_whoever_is_inside_shows_its_own_numbers_and_who_owns_one_is_no_neighbour(
    facts: Facts, outcome: str, rule: str
) -> None:
    found = with_owners(facts)
    assert found[0] == outcome
    assert (found[3][0] if found[3] else "").startswith(rule)


def test_trunks_have_a_rate_of_their_own_before_that_of_all_peers() -> None:
    def limit(facts: Facts) -> RateLimit:
        return next(one for one in POLICY.rate_limits if one.when.hold(facts))

    assert (limit(carrier()).name, limit(carrier()).rate, limit(carrier()).burst) == (
        "trunks",
        500,
        1000,
    )
    assert limit(pbx(call())).name == "peers"
    assert limit(carrier(**PHONE)).name == "registered phones"
