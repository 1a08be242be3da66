"""Whatever phones write into their messages, the other side learns nothing of where they are."""

import pytest

from tests.kit.pair import ADDRESSES, BORDERS, CALLEE, CALLER, Pair
from tests.kit.phone_writing import Habits
from tests.kit.terrible_network import Posted


def talkative(name: str) -> tuple[str, ...]:
    """Headers of a phone that says everywhere where it is."""
    host = ADDRESSES[name][0]
    return (
        f"X-Where: {host}",
        f"X-Me: <sip:{name}@{host}>",
        f"Subject: greetings from {host}",
        f'Reason: SIP;cause=200;text="{host} says so"',
        f'Warning: 399 {host} "at {host}"',
        f"Alert-Info: <http://{host}/ring.wav>",
        f"Call-Info: <http://{host}/me.png>",
        f"Organization: {name}-product",
        f"Reply-To: <sip:{name}@{host}>",
        f"Remote-Party-ID: <sip:{name}@{host}>",
        f"P-Asserted-Identity: <sip:{name}@{host}>",
        f"Diversion: <sip:{name}@{host}>",
        f"History-Info: <sip:{name}@{host}>;index=1",
        f"Record-Route: <sip:proxy@{host};lr>",
        f"X-Call: {name}-call-id",
        f"Geolocation: <sip:{host}>",
    )


SCRIPTS = {
    "answered": {
        0.5: "callee.reinvite",
        0.7: "caller.info",
        0.9: "callee.update",
        2.0: "callee.bye",
    },
    "cancelled": {0.05: "caller.cancel"},
    "hung up": {0.5: "caller.hold", 2.0: "caller.bye"},
    "hunted": {0.05: "callee.fail", 2.0: "backup.bye"},
}


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("late_offer", [False, True])
def test_talkative_phones_are_kept_quiet(script: str, late_offer: bool) -> None:
    pair = Pair(
        Habits(headers=talkative(CALLER), late_offer=late_offer),
        Habits(headers=talkative(CALLEE), early_media=True),
    )
    pair.run({**SCRIPTS[script], 20.0: "caller.bye"})
    assert pair.faults() == []


@pytest.mark.parametrize("phrase", ["Busy at 192.168.1.5", "pbx callee-call-id is busy"])
def test_a_reason_phrase_does_not_tell(phrase: str) -> None:
    pair = Pair(Habits(), Habits(status=486))
    pair.callee.phrase = phrase
    pair.run()
    assert pair.caller.rejected == [486]
    assert pair.faults() == []


def test_the_border_says_only_its_address_on_that_side() -> None:
    pair = Pair().run({2.0: "caller.bye"})
    for name in (CALLER, CALLEE):
        told = [p.payload.decode() for p in pair.network.record if p.destination == name]
        assert any(BORDERS[name][0] in text for text in told)


def test_the_oracle_sees_what_is_leaked() -> None:
    """A leak planted by hand is found, else the tests above prove nothing."""
    pair = Pair().run({2.0: "caller.bye"})
    secrets = (ADDRESSES[CALLEE][0], BORDERS[CALLEE][0], "callee-product", pair.call.b.call_id)
    for secret in secrets:
        planted = Posted(3.0, "border", CALLER, f"X: {secret}".encode(), ())
        pair.network.record.append(planted)
        assert pair.leaks(), secret
        pair.network.record.pop()
    assert pair.leaks() == []
